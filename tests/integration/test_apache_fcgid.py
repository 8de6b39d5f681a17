"""Gatehouse as processes of Apache's mod_fcgid, which starts, asks and ends them: several on one store, in the authorizer
door (FcgidAccessChecker) and in the gateway door (FcgidWrapper)."""

import concurrent.futures
import contextlib
import os
import signal
import threading

import pytest

from apache import AccessCheckerSite, ApacheFcgidSite
from cgi_servers import MountedVisitor
from door_table import HOUR, Guests
from harness import is_alive, wait_until
from page_table import APP, PAGES, ROUTES, send
from visitor import PASSWORD, is_removal, session_cookies


@pytest.fixture
def gate_site(track):
    """The gateway door, with a script that waits at a gate which the test opens."""
    # Longer than a test may take: it is the test that opens the gate.
    made = track(ApacheFcgidSite(downstreams={"scripts": {"cgi": {"timeout": "60s"}}}))
    os.mkfifo(made.gatehouse.folder / "gate")
    os.chmod(made.gatehouse.folder / "gate", 0o666)
    made.visitors = []
    return made


def waiting(site):
    return list(site.gatehouse.folder.glob("gate.started.*"))


def open_gate(site, times=1):
    with open(site.gatehouse.folder / "gate", "r+b", buffering=0) as gate:
        for _ in range(times):
            gate.write(b"\n")


@contextlib.contextmanager
def requests_at_the_gate(site, count):
    """Sends requests that wait, each by a visitor of its own with alice's session. Yields what they will get."""
    token = site.signed_in().token
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        answers = []
        try:
            for number in range(1, count + 1):
                visitor = site.visitor()
                visitor.token = token
                answers.append(pool.submit(visitor.fetch, "/wait", timeout=60))
                # mod_fcgid starts one process about every second under load.
                wait_until(lambda: len(waiting(site)) == number, f"{number} scripts wait", 40)
            yield answers
        finally:
            open_gate(site, count)


def test_several_processes_serve_one_store(gate_site):
    with requests_at_the_gate(gate_site, 3) as answers:
        assert len(gate_site.processes()) >= 3
        # One of them ends the sessions, and all of them know.
        gate_site.signed_in().sign_out(data={"all": "1"})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            token = gate_site.signed_in().token
            assert all(send_with(gate_site, token).status == 200 for _ in range(4))
            gate_site.gatehouse.run("session", "revoke", "--user", "alice", check=0)
            statuses = pool.map(lambda _: send_with(gate_site, token).status, range(8))
            assert set(statuses) == {401}
    assert [answer.result().status_code for answer in answers] == [200] * 3


def send_with(site, token):
    return site.raw_get("/show", "Accept: */*", f"Cookie: session={token}")


def test_a_graceful_restart_finishes_the_request_and_ends_the_old_process(gate_site):
    with requests_at_the_gate(gate_site, 1) as answers:
        old = gate_site.processes()
        assert old
        gate_site.nginx.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: " draining" in gate_site.nginx.log(), "the old process is told to end")
        # mod_fcgid tells it again a second later; nothing here waits for that, since eight seconds later it kills it.
        for pid in old:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        assert not answers[0].done()
    assert (answers[0].result().status_code, answers[0].result().text) == (200, "through")
    wait_until(lambda: not any(is_alive(pid) for pid in old), "the old process goes")
    assert gate_site.signed_in().show()["env"]["REMOTE_USER"] == "alice"


def test_processes_end_with_apache(track):
    site = track(ApacheFcgidSite())
    site.signed_in()
    processes = site.processes()
    assert processes
    site.nginx.stop()
    wait_until(lambda: not any(is_alive(pid) for pid in processes), "all processes are gone")
    assert "Sanitizer" not in site.nginx.log()


def test_a_query_is_no_command(track):
    site = track(ApacheFcgidSite())
    # The first request is what a process is started for.
    assert site.raw_get("/public/x?user+list").status == 200
    assert site.raw_get("/public/x?version").status == 200
    checker = track(AccessCheckerSite(pages=PAGES, routes=ROUTES))
    assert checker.raw_get("/auth/session?user+list", "Accept: */*").status == 401
    assert checker.raw_get("/public/page.html?version").status == 200


def test_parallel_questions_about_an_idle_session_make_one_successor(track):
    site = track(AccessCheckerSite(pages=PAGES, routes=ROUTES))
    guests = Guests(site.gatehouse)
    site.token = guests.session(site.alice_id, active=-HOUR, idle=HOUR)
    together = threading.Barrier(6)

    def ask(_):
        together.wait()
        return send(site, "/app/page.html", signed_in=True)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert {answer.body for answer in answers} == {APP.encode()}
    lines = [line for answer in answers for line in session_cookies(answer)]
    assert len({line.split(";")[0] for line in lines}) == 1 and not is_removal(lines[0])


# ── below a path of the site ────────────────────────────────────────────────────────────────────────────────────────


class MountedFcgidSite(ApacheFcgidSite):
    """As the printed comment says for a part of the site."""

    def with_program(self, text):
        text = super().with_program(text)
        whole, part = f'Alias "/" "{self.program}/"', f'Alias "/app" "{self.program}"'
        assert text.count(whole) == 1 and text.count('<Location "/">') == 1
        return text.replace(whole, part).replace('<Location "/">', '<Location "/app">')


def test_below_a_path_of_the_site_links_have_script_name_in_front(track):
    site = track(MountedFcgidSite())
    visitor = MountedVisitor(site.url, "/app")
    away = visitor.request("GET", "/greet", {"Accept": "text/html"})
    assert (away.status_code, away.headers["Location"]) == (302, "/app/auth/login?rd=%2Fgreet")
    signed_in = visitor.sign_in("alice", PASSWORD)
    assert signed_in.status_code == 303 and signed_in.headers["Location"].startswith("/app/")
    env = visitor.request("GET", "/show/x", {}).json()["env"]
    assert (env["SCRIPT_NAME"], env["PATH_INFO"], env["REMOTE_USER"]) == ("/app/show", "/x", "alice")
    assert visitor.request("GET", "/greet").text == "Hello, alice\n"
    assert visitor.request("POST", "/auth/logout", {"Origin": site.url}).status_code == 303
    assert visitor.request("GET", "/greet").status_code == 401
