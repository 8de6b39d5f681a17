"""The process under stress: stopped, replaced and reloaded while requests come in, and short of descriptors. No request
is lost, the old configuration goes on, and accept pauses without spinning."""

import contextlib
import json
import os
import pathlib
import resource
import signal
import time

import pytest

import harness
from fastcgi import get
from harness import listening, wait_until
from load import CLIENTS, Visitors

# How long each kind of load goes on; GATEHOUSE_LONG=1 for the whole measure.
IS_LONG = os.environ.get("GATEHOUSE_LONG") == "1"


@pytest.fixture
def site(new_site):
    made = new_site(downstreams={"scripts": {"cgi": {"timeout": "20s", "max_processes": 200}}})
    (made.gatehouse.root / "open").mkdir()
    (made.gatehouse.root / "open" / "greet").symlink_to("../greet")
    return made


# ── the end, and the successor ──────────────────────────────────────────────────────────────────────────────────────


def hand_over(gatehouse, listener, overlap):
    """SIGTERM to one, and another on the same socket, which somebody (systemd) holds open all the time."""
    old = gatehouse.process
    old.send_signal(signal.SIGTERM)
    if not overlap:
        assert old.wait(harness.LONG) == 0
    gatehouse.start_passed_on([listener])
    if overlap:
        assert old.wait(harness.LONG) == 0
    return old


@pytest.mark.parametrize("overlap", [False, True], ids=["one after the other", "the successor at once"])
def test_term_under_load_loses_no_request(site, overlap):
    gatehouse = site.gatehouse
    token = site.signed_in().token
    gatehouse.stop()
    with listening(gatehouse.socket) as listener:
        os.chmod(gatehouse.socket, 0o666)
        gatehouse.start_passed_on([listener])
        with Visitors(site, token) as load:
            for _ in range(10 if IS_LONG else 3):
                hand_over(gatehouse, listener, overlap)
                load.wait_for_more()
        assert load.wrong == []
        gatehouse.stop()


# ── reloading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def config_with(gatehouse, **changes):
    return json.dumps(harness.merged(gatehouse.config, changes))


def bad_templates(gatehouse):
    folder = gatehouse.folder / "templates"
    folder.mkdir()
    (folder / "login.mustache").write_text("{{#never}} closed")
    return str(folder)


BAD_FILES = {
    "no YAML": lambda gatehouse: "routes: [",
    "half a file": lambda gatehouse: config_with(gatehouse)[: len(config_with(gatehouse)) // 2],
    "an unknown key": lambda gatehouse: config_with(gatehouse, nonsense=1),
    "a forbidden value": lambda gatehouse: config_with(gatehouse, session={"cookie": {"name": "__Host-session"}}),
    "a route to nowhere": lambda gatehouse: config_with(
        gatehouse, routes=[{"path": "/**", "access": "public", "downstream": "nowhere"}]
    ),
    "a template that is none": lambda gatehouse: config_with(gatehouse, login={"templates": bad_templates(gatehouse)}),
    "no file": lambda gatehouse: None,
    "an empty file": lambda gatehouse: "",
}


def reload(gatehouse, word):
    before = len(gatehouse.log())
    gatehouse.process.send_signal(signal.SIGHUP)
    wait_until(lambda: word in gatehouse.log()[before:], f"the log says {word}")


def test_hup_with_a_bad_file_under_load_keeps_the_old_configuration(site):
    gatehouse = site.gatehouse
    alice = site.signed_in()
    with Visitors(site, alice.token) as load:
        for name, content in BAD_FILES.items():
            text = content(gatehouse)
            gatehouse.config_file.unlink() if text is None else gatehouse.config_file.write_text(text)
            reload(gatehouse, " reload_refused ")
            assert site.visitor().fetch("/greet").status_code == 401, name
            assert site.visitor().fetch("/closed/x").status_code == 403, name
            assert alice.fetch("/admin/x").status_code == 403, name
            load.wait_for_more(CLIENTS)
        # And a good one is taken at last, in the middle of the load too.
        gatehouse.config["routes"].insert(0, {"path": "/new/**", "access": "public", "downstream": "show"})
        gatehouse.write_config()
        reload(gatehouse, " reloaded ")
        assert site.visitor().fetch("/new/x").status_code == 200
        load.wait_for_more()
    assert load.wrong == []
    assert gatehouse.process.poll() is None


# ── no descriptors left ─────────────────────────────────────────────────────────────────────────────────────────────


def limit_descriptors(gatehouse, more):
    """As many as it has now, and so many more."""
    numbers = [int(name) for name in os.listdir(f"/proc/{gatehouse.process.pid}/fd")]
    _, hard = resource.prlimit(gatehouse.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gatehouse.process.pid, resource.RLIMIT_NOFILE, (max(numbers) + 1 + more, hard))
    return len(numbers), max(numbers) + 1 + more


def ticks(pid):
    """Processor time that it has used, all threads together."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def spins(gatehouse, seconds=1.0):
    """True if it uses more than a quarter of one processor while nobody asks it anything."""
    before, begun = ticks(gatehouse.process.pid), time.monotonic()
    time.sleep(seconds)
    used = (ticks(gatehouse.process.pid) - before) / os.sysconf("SC_CLK_TCK")
    return used > (time.monotonic() - begun) / 4


def is_full(gatehouse, limit):
    return len(os.listdir(f"/proc/{gatehouse.process.pid}/fd")) == limit


@contextlib.contextmanager
def out_of_descriptors(site, more=20):
    """Connections until accept fails, and some that wait behind it."""
    gatehouse = site.gatehouse
    _, limit = limit_descriptors(gatehouse, more)
    with contextlib.ExitStack() as held:
        crowd = [held.enter_context(site.fastcgi()) for _ in range(limit + 30)]
        wait_until(lambda: is_full(gatehouse, limit), "every descriptor is used")
        yield crowd


def test_without_descriptors_accept_pauses_and_recovers(site):
    gatehouse = site.gatehouse
    alice = site.signed_in()
    assert alice.fetch("/greet").status_code == 200  # the store is open
    kept = site.fastcgi()
    assert kept.request(get("/auth/session", cookie=alice.token), keep=True).status == 200
    with out_of_descriptors(site) as crowd:
        waiting = crowd[-1]
        waiting.send_request(get("/auth/session", cookie=alice.token))
        assert not spins(gatehouse), "accept is tried again and again"
        # Who is in is served as ever.
        for _ in range(3):
            assert kept.request(get("/auth/session", cookie=alice.token), keep=True).status == 200
            assert kept.request(get("/auth/session"), keep=True).status == 401
        for one in crowd[:-1]:
            one.close()
        # Who waited is served now, and so is everybody else.
        assert waiting.read_answer().status == 200
    assert alice.fetch("/greet").text == "Hello, alice\n"
    assert site.signed_in().fetch("/greet").status_code == 200
    assert not spins(gatehouse, 0.3)
    kept.close()


def test_without_descriptors_no_script_starts_and_nobody_is_let_in(site):
    gatehouse = site.gatehouse
    gatehouse.root.joinpath("marks").write_text(
        '#!/bin/sh\necho >>"$GATE.marks"\nprintf "Content-Type: text/plain\\n\\n"\n'
    )
    gatehouse.root.joinpath("marks").chmod(0o755)
    alice = site.signed_in()
    kept = site.fastcgi()
    assert kept.request(get("/greet", cookie=alice.token), keep=True).status == 200
    with out_of_descriptors(site):
        for target in ("/marks", "/public/x"):  # a file that is looked for, a program whose place is known
            answer = kept.request(get(target, cookie=alice.token), keep=True)
            assert answer.status == 503 and answer.header("Retry-After") and not answer.all_headers("Set-Cookie")
        assert kept.request(get("/marks"), keep=True).status == 401
        assert kept.request(get("/closed/x"), keep=True).status == 403
        assert not (gatehouse.folder / "gate.marks").exists()
        # Nor can the configuration be read again: the old one goes on.
        reload(gatehouse, " reload_refused ")
    wait_until(lambda: kept.request(get("/marks", cookie=alice.token), keep=True).status == 200, "scripts start again")
    kept.close()


def test_a_store_that_cannot_be_opened_for_want_of_descriptors_is_503(site):
    path = site.gatehouse.database
    token = site.signed_in().token
    kept = site.fastcgi()

    def expect_503():
        for target in ("/greet", "/auth/session", "/public/x"):
            answer = kept.request(get(target, cookie=token), keep=True)
            assert answer.status == 503 and answer.header("Retry-After") and not answer.all_headers("Set-Cookie")

    with out_of_descriptors(site):
        away = path.parent.rename(path.parent.with_name("away"))
        expect_503()  # the store lets go of its file, and those who waited take the descriptors
        limit = resource.prlimit(site.gatehouse.process.pid, resource.RLIMIT_NOFILE)[0]
        wait_until(lambda: is_full(site.gatehouse, limit), "every descriptor is used again")
        away.rename(path.parent)
        expect_503()
    wait_until(lambda: kept.request(get("/greet", cookie=token), keep=True).status == 200, "the store is open")
    kept.close()
