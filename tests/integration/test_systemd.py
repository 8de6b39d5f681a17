"""The units in systemd/: what they are scored, whether they are right, and whether the program does its part with their
sockets: names, readiness, the watchdog, a restart that refuses nobody, and scripts under what is forbidden."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import pytest

import harness
from check_site import CheckSite
from fastcgi import AUTHORIZER, BEGIN, PARAMS, FastCgi, encode_pairs, get, record, stream
from apache import ApacheGatewaySite
from haproxy import HAProxySite
from harness import BINARY, TREE, wait_until
from load import Visitors
from service_manager import UNITS, ServiceManager, apply, filter_of, lines_of, stopped, threads_in

SERVICE = "gatehouse.service"
SOCKETS = sorted(path.name for path in UNITS.glob("*.socket"))
NO_SCRIPTS = TREE / "conf" / "systemd" / "no-scripts.conf"

# ── the files ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def units(tmp_path):
    """A copy of the units in which the program is where it is here."""
    for path in UNITS.iterdir():
        text = path.read_text()
        assert path.suffix != ".service" or "ExecStart=/usr/bin/gatehouse " in text
        (tmp_path / path.name).write_text(text.replace("/usr/bin/gatehouse", BINARY))
    return tmp_path


def with_no_scripts(units):
    (units / f"{SERVICE}.d").mkdir()
    shutil.copy(NO_SCRIPTS, units / f"{SERVICE}.d")
    return units


def analyze(*arguments):
    result = subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def exposure(unit):
    told = analyze("security", "--offline=true", unit)
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told)[1])


def test_the_service_is_exposed_as_little_as_it_says(units):
    score = exposure(units / SERVICE)
    assert score <= 1.0
    assert f"`systemd-analyze security gatehouse` says {score}." in (UNITS / SERVICE).read_text()


def test_without_scripts_it_is_exposed_less(units):
    score = exposure(with_no_scripts(units) / SERVICE)
    assert score <= 0.4
    assert f"`systemd-analyze security gatehouse` says {score} then." in NO_SCRIPTS.read_text()


@pytest.mark.parametrize("prepare", [lambda units: units, with_no_scripts], ids=["as they are", "with the drop-in"])
def test_the_units_are_right(units, prepare):
    folder = prepare(units)
    assert analyze("verify", *(folder / unit for unit in [SERVICE, *SOCKETS])) == ""


def test_every_socket_unit_is_installed():
    installed = (TREE / "CMakeLists.txt").read_text()
    assert SOCKETS == ["gatehouse-http.socket", "gatehouse-tcp.socket", "gatehouse.socket"]
    assert all(f" {unit}" in installed for unit in [SERVICE, *SOCKETS])


# ── the program and the sockets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def places(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")
    return {
        "/run/gatehouse/gatehouse.sock": gatehouse.socket,
        "/run/gatehouse/http.sock": gatehouse.folder / "http.sock",
        "127.0.0.1:9100": ("127.0.0.1", harness.free_port()),
    }


@pytest.fixture
def manage(gatehouse, places):
    with contextlib.ExitStack() as stack:

        def start(units=SOCKETS, **more):
            return stack.enter_context(contextlib.closing(ServiceManager(gatehouse, units, places, **more))).start()

        yield start


def test_a_further_socket_comes_with_the_next_start_of_the_service():
    """systemd starts no socket of a service that runs."""
    for unit in set(SOCKETS) - {"gatehouse.socket"}:
        assert ("WantedBy", "sockets.target gatehouse.service") in lines_of(unit), unit


def test_a_configured_address_that_is_not_served_is_warned_of(gatehouse, places, manage):
    left_out = f"tcp:127.0.0.1:{harness.free_port()}"
    gatehouse.config["listen"] = [f"unix:{gatehouse.socket}", left_out]
    gatehouse.write_config()
    manage(["gatehouse.socket"])
    assert f"warning: {left_out} is configured and not served" in gatehouse.log()
    assert f"warning: unix:{gatehouse.socket}" not in gatehouse.log()
    wait_until(lambda: f"inherited:fastcgi=unix:{gatehouse.socket}" in gatehouse.log(), "the log names the socket")


def test_each_socket_speaks_what_its_unit_says(gatehouse, places, manage):
    manage()
    for address in (places["/run/gatehouse/gatehouse.sock"], places["127.0.0.1:9100"]):
        with FastCgi(address) as connection:
            assert connection.request(get("/public/x")).status == 200
    with FastCgi(places["127.0.0.1:9100"]) as connection:  # as mod_authnz_fcgi asks, for whom the socket is there
        begin = record(BEGIN, bytes([0, AUTHORIZER, 0, 0, 0, 0, 0, 0]))
        connection.send(begin + stream(PARAMS, encode_pairs(get("/public/x"))))
        assert connection.read_answer().status == 200
    with FastCgi(places["/run/gatehouse/http.sock"]) as connection:
        connection.send(b"GET /auth/check HTTP/1.1\r\nHost: x\r\nX-Original-URI: /show\r\n\r\n")
        assert connection.socket.recv(100).startswith(b"HTTP/1.1 401 ")
    for unit in SOCKETS[:2]:
        assert ("Service", SERVICE) in lines_of(unit), "else systemd looks for a service of the socket's own name"


def test_systemd_is_told_when_it_is_ready_reloads_and_stops(gatehouse, manage):
    manager = manage(["gatehouse.socket"])
    for text in (gatehouse.config_file.read_text(), "nonsense: ["):
        gatehouse.config_file.write_text(text)
        manager.told.clear()
        gatehouse.process.send_signal(signal.SIGHUP)
        manager.wait_for("READY=1")
        assert manager.told[0] == "RELOADING=1" and manager.told[-1] == "READY=1"
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", manager.told[1])  # what Type=notify-reload waits for
    manager.told.clear()
    gatehouse.process.send_signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")


# ── the watchdog ────────────────────────────────────────────────────────────────────────────────────────────────────

WATCHDOG = 0.6
# A pool has two seconds to take a call. What was said before a thread stood still comes first.
QUIET = 3 * WATCHDOG
REACTORS = ("epoll_wait", "epoll_pwait")


def is_quiet(manager):
    return "WATCHDOG=1" not in manager.hear(QUIET)


def watched(gatehouse, manage, reactors):
    gatehouse.config["threads"] = reactors
    gatehouse.write_config()
    manager = manage(["gatehouse.socket"], watchdog=WATCHDOG)
    manager.wait_for("WATCHDOG=1")
    return manager


def assert_not_fed_without(manager, threads):
    with stopped(threads):
        wait_until(lambda: is_quiet(manager), "nothing is said any more")
    manager.wait_for("WATCHDOG=1")


def test_the_watchdog_is_not_fed_while_a_reactor_stands_still(gatehouse, manage):
    manager = watched(gatehouse, manage, reactors=2)
    # One that never had a connection waits for it in another way.
    with FastCgi(gatehouse.socket), FastCgi(gatehouse.socket):
        first, second = wait_until(lambda: two(threads_in(gatehouse.process.pid, *REACTORS)), "both wait for events")
    # The first one has the watchdog's own timer.
    assert_not_fed_without(manager, [second])
    assert_not_fed_without(manager, [first])


def test_the_watchdog_is_not_fed_while_the_pools_stand_still(gatehouse, manage):
    manager = watched(gatehouse, manage, reactors=1)
    assert_not_fed_without(manager, wait_until(lambda: threads_in(gatehouse.process.pid, "futex"), "they wait"))


def two(threads):
    return threads if len(threads) == 2 else None


@contextlib.contextmanager
def locked(gatehouse):
    with contextlib.closing(sqlite3.connect(gatehouse.database, isolation_level=None)) as other:
        for statement in ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN IMMEDIATE", "UPDATE user SET name = name", "COMMIT"):
            other.execute(statement).fetchall()
        yield


@contextlib.contextmanager
def no_database(gatehouse):
    gatehouse.database.write_bytes(b"nonsense" * 1000)
    yield


@contextlib.contextmanager
def away(gatehouse):
    gatehouse.database.unlink()
    yield


@pytest.mark.parametrize("broken, beats", [(locked, 10), (no_database, 4), (away, 4)])
def test_a_broken_store_is_no_reason_to_restart(gatehouse, manage, broken, beats):
    with broken(gatehouse), contextlib.ExitStack() as stack:
        manager = manage(["gatehouse.socket"], watchdog=WATCHDOG)
        # Many times as many as there are threads to wait for it.
        connections = [stack.enter_context(FastCgi(gatehouse.socket)) for _ in range(100)]
        for connection in connections:
            connection.send_request(get("/auth/session", cookie="a" * 40))
        for _ in range(beats):
            manager.wait_for("WATCHDOG=1")
        assert {connection.read_answer().status for connection in connections} == {503}
    assert gatehouse.process.poll() is None


# ── a restart ───────────────────────────────────────────────────────────────────────────────────────────────────────

RESTARTS = 6


class Restarted:
    """A site whose gatehouse is systemd's: nginx keeps its connections to sockets that outlive the process."""

    def __init__(self, site, units):
        self.site = site
        site.gatehouse.stop()
        places = {
            "/run/gatehouse/gatehouse.sock": site.gatehouse.socket,
            "/run/gatehouse/http.sock": site.gatehouse.folder / "http.sock",
        }
        self.manager = ServiceManager(site.gatehouse, units, places).start()

    def logs(self):
        return self.site.logs()

    def close(self):
        try:
            self.manager.close()
        finally:
            self.site.close()


DOORS = {
    "the gateway": (harness.Site, [("GET", "/greet", b"Hello, alice\n"), ("POST", "/echo", b"an upload")]),
    "the check door over HTTP": (
        lambda: CheckSite(over="http"),
        [("GET", "/page.html", b"a page"), ("POST", "/app/show.php", None)],
    ),
    # It asks again for what may be asked twice; a POST may meet the end of the connection that it was sent on.
    "HAProxy": (HAProxySite, [("GET", "/greet", b"Hello, alice\n")]),
    "Apache's mod_proxy_fcgi": (
        ApacheGatewaySite,
        [("GET", "/greet", b"Hello, alice\n"), ("POST", "/echo", b"an upload")],
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_six_restarts_under_load_refuse_nobody(track, door):
    make, requests = DOORS[door]
    made = track(Restarted(make(), ["gatehouse-http.socket", "gatehouse.socket"]))
    token = made.site.signed_in().token
    pids = set()
    with Visitors(made.site, token, requests) as visitors:
        for _ in range(RESTARTS):
            pids.add(made.site.gatehouse.process.pid)
            made.manager.restart()
            visitors.wait_for_more()
    print(f"\n{door}: {RESTARTS} restarts, {visitors.done} requests, {len(visitors.wrong)} failed")
    assert visitors.wrong == [] and len(pids) == RESTARTS


# ── what is forbidden ───────────────────────────────────────────────────────────────────────────────────────────────

SCRIPTS = {
    "perl": "#!/usr/bin/perl\nuse Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;"
    ' print "Content-Type: text/plain\\n\\n", `echo it works`;',
    "python": "#!/usr/bin/python3\nimport subprocess, tempfile\ntempfile.TemporaryFile().write(b'x')\n"
    "print('Content-Type: text/plain\\n')\n"
    "print(subprocess.run(['echo', 'it works'], capture_output=True, text=True).stdout)",
    "sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; echo it works | cat",
    "php": "#!/usr/bin/env php-cgi\n<?php header('Content-Type: text/plain');"
    " echo preg_replace('/no/', 'it', 'no works'), shell_exec('true');",
    "git": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; git --version >/dev/null && echo it works",
}


not_under_a_sanitizer = pytest.mark.skipif(
    os.environ.get("GATEHOUSE_SANITIZE", "") != "", reason="a sanitizer needs what the unit forbids"
)


@not_under_a_sanitizer
def test_scripts_run_under_the_filter_of_the_unit(gatehouse, manage):
    assert ("RestrictAddressFamilies", "AF_UNIX") in lines_of(SERVICE)
    (gatehouse.root / "open").mkdir()
    for name, text in SCRIPTS.items():
        script = gatehouse.root / "open" / name
        script.write_text(text)
        script.chmod(0o755)
    tcp = gatehouse.root / "open" / "tcp"
    tcp.write_text(
        "#!/usr/bin/perl\nuse Socket; print 'Status: ', socket(my $s, PF_INET, SOCK_STREAM, 0) ? 200 : 403, \"\\n\\n\";"
    )
    tcp.chmod(0o755)
    program = filter_of(SERVICE)
    manage(["gatehouse.socket"], restrict=lambda: apply(program))
    answer = gatehouse.post_login("alice")
    assert answer.status == 303, "the password is hashed, the session written"
    for name in SCRIPTS:
        with FastCgi(gatehouse.socket) as connection:
            assert b"it works" in connection.request(get(f"/open/{name}")).body, (name, gatehouse.log()[-2000:])
    with FastCgi(gatehouse.socket) as connection:
        assert connection.request(get("/open/tcp")).status == 403, "what the drop-in in the unit's comment is for"


@not_under_a_sanitizer
def test_without_scripts_no_memory_need_be_writable_code(gatehouse, manage):
    assert "MemoryDenyWriteExecute=yes" in NO_SCRIPTS.read_text()
    program = filter_of(SERVICE, no_writable_code=True)
    manage(["gatehouse.socket"], restrict=lambda: apply(program))
    assert gatehouse.post_login("alice").status == 303
