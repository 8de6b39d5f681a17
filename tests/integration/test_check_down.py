"""A web server that asks when gatehouse is stopped or asked for more than it can do: the page is never served, and neither
is one of ours; the visitor is told 503 within the server's deadline. (Every fault on every server: test_fail_closed.)"""

import concurrent.futures
import contextlib
import functools
import itertools
import socket
import sqlite3

import pytest

from caddy import CaddySite
from check_site import PAGES, TRANSPORTS, CheckSite
from harness import wait_until
from visitor import Visitor, set_cookies


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def site(request):
    """nginx asks both ways at once: one server each."""
    if request.param == "caddy":
        made = CaddySite()
        made.ways = ["forward"]
    else:
        made = CheckSite(over=TRANSPORTS, servers=[""] * len(TRANSPORTS))
        made.ways = TRANSPORTS
    yield made
    made.close()


ASKED = ["/page.html", "/public/page.html", "/app/show.php", "/admin/page.html", "/closed/page.html", "/missing"]


def at_once(*calls):
    """Runs them all beside each other, so that a test waits for a time-out only once."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [job.result() for job in [pool.submit(call) for call in calls]]


def ask_as(site, token, server):
    visitor = Visitor(f"http://127.0.0.{1 + server}:{site.nginx.port}")
    if token is not None:
        visitor.http.headers["Cookie"] = f"session={token}"
    return visitor


def assert_nothing_is_served(site, tokens, paths=ASKED):
    """503 within the web server's deadline; no page, no cookie, and nothing that a cache could keep."""

    def ask(path, token, server):
        return path, f"over {site.ways[server]}", ask_as(site, token, server).fetch(path, timeout=15)

    cells = itertools.product(paths, tokens, range(len(site.ways)))
    for path, over, answer in at_once(*(functools.partial(ask, *cell) for cell in cells)):
        assert (answer.status_code, set_cookies(answer)) == (503, []), (path, over)
        assert answer.headers["Retry-After"] and answer.headers["Cache-Control"] == "no-store", (path, over)
        assert not [name for name in answer.headers if "gatehouse" in name.lower()], (path, over)
        assert not [text for text in PAGES.values() if text in answer.text], (path, over)


def assert_works(site, token):
    for server, over in enumerate(site.ways):
        visitor = ask_as(site, token, server)
        wait_until(lambda: visitor.fetch("/page.html").text == "a page", f"the page is served again over {over}")


def test_a_stopped_gatehouse_is_503_and_never_the_page(site):
    token = site.signed_in().token
    site.gatehouse.stop()
    try:
        assert_nothing_is_served(site, [token, None], [*ASKED, "/auth/login", "/auth/session", "/auth/nothing"])
    finally:
        site.gatehouse.start()
    # Its first connections are new ones: those that were kept have gone with the old process.
    assert_works(site, token)


@contextlib.contextmanager
def store_locked_by_somebody(site):
    """A store that nobody can read, and a gatehouse that waits for it."""
    site.gatehouse.stop()
    with contextlib.closing(sqlite3.connect(site.gatehouse.database, isolation_level=None)) as other:
        for statement in ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN IMMEDIATE", "UPDATE user SET name = name", "COMMIT"):
            other.execute(statement).fetchall()
        site.gatehouse.start()
        yield


def test_more_checks_than_the_store_takes_are_503_and_never_the_page(site):
    token = site.signed_in().token
    with store_locked_by_somebody(site):
        assert_nothing_is_served(site, [token], ["/page.html", "/public/page.html", "/app/show.php"] * 40)
    assert_works(site, token)


MOST_CONNECTIONS = 4096


@contextlib.contextmanager
def every_connection_taken(site):
    """By somebody who never sends a byte. Those that were kept have ended with the gatehouse that they led to."""
    site.gatehouse.restart()
    with contextlib.ExitStack() as stack:

        def is_connected(one):
            with contextlib.suppress(BlockingIOError):  # the listener's queue is full just now
                one.connect(str(site.gatehouse.socket))
                return True
            return False

        for _ in range(MOST_CONNECTIONS):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            wait_until(lambda: is_connected(one), "gatehouse accepts")
        wait_until(lambda: len(site.gatehouse.descriptors()) >= MOST_CONNECTIONS, "all of them are accepted")
        yield


def test_no_connection_left_is_503_and_never_the_page(site):
    token = site.signed_in().token
    with every_connection_taken(site):
        assert_nothing_is_served(site, [token, None])
    assert_works(site, token)


def test_a_missing_store_is_503_and_touches_no_cookie(site):
    token = site.signed_in().token
    away = site.gatehouse.folder / "away"
    site.gatehouse.database.rename(away)
    try:
        assert_nothing_is_served(site, [token])
    finally:
        away.rename(site.gatehouse.database)
    assert_works(site, token)
