"""Fixtures: a site for a whole file, sites made to measure for one test. Logs are attached to what fails."""

import pathlib

import pytest

import harness

_open = []


def _track(site):
    _open.append(site)
    return site


def _close(site):
    _open.remove(site)
    site.close()


@pytest.fixture(scope="module")
def site():
    """Gatehouse behind nginx with the standard configuration; tests of one file share it."""
    made = _track(harness.Site())
    yield made
    _close(made)


@pytest.fixture
def new_site():
    """Makes a site with changed configuration keys, for this test only."""
    made = []

    def make(**config):
        made.append(_track(harness.Site(**config)))
        return made[-1]

    yield make
    for one in reversed(made):
        _close(one)


def _tracking():
    taken = []

    def take(one):
        taken.append(_track(one))
        return one

    yield take
    for one in reversed(taken):
        _close(one)


@pytest.fixture
def track():
    """Takes what a test started (anything with `logs` and `close`) and closes it when the test is over."""
    yield from _tracking()


@pytest.fixture(scope="module")
def track_for_all():
    """The same, closed when the last test of the file is over."""
    yield from _tracking()


@pytest.fixture
def gatehouse():
    """A configured gatehouse that has not been started, for tests that drive the program themselves."""
    made = harness.Gatehouse()
    yield made
    try:
        made.stop()
    finally:
        made.remove()


@pytest.fixture
def visitor(site):
    return site.visitor()


@pytest.fixture
def alice(site):
    """A visitor signed in as alice."""
    return site.signed_in()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for site in _open:
            for name, text in site.logs().items():
                report.sections.append((f"log of {name}", text[-6000:]))
        own = item.funcargs.get("gatehouse") if hasattr(item, "funcargs") else None
        if own is not None:
            report.sections.append(("log of gatehouse", own.log()[-6000:]))


def pytest_sessionstart(session):
    if not pathlib.Path(harness.BINARY).is_file():
        pytest.exit(f"no gatehouse at {harness.BINARY}: build it, or set GATEHOUSE_BINARY", returncode=2)
