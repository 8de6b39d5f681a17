"""Idle connections cost no thread, busy ones delay nobody, and half a request never runs. (Every corner of the protocol is
in test_fastcgi_conformance.)"""

import concurrent.futures
import os

import pytest

import harness
from fastcgi import ABORT, BEGIN, PARAMS, STDIN, encode_pairs, get, record, stream
from harness import wait_until


@pytest.fixture(scope="module")
def site():
    made = harness.Site()
    made.gatehouse.stop()
    made.gatehouse.config["downstreams"]["scripts"]["cgi"].update(max_processes=100, timeout="60s")
    made.gatehouse.write_config()
    os.mkfifo(made.gatehouse.folder / "gate")
    made.gatehouse.start()
    yield made
    made.close()


def test_500_idle_connections_beside_64_busy_ones_all_answer_with_no_thread_more(site):
    alice = site.signed_in()
    threads = site.gatehouse.threads()

    idle = [site.fastcgi() for _ in range(500)]
    for connection in idle:
        assert connection.request(get("/auth/session", cookie=alice.token), keep=True).status == 200
    assert site.gatehouse.threads() == threads

    busy = [site.fastcgi() for _ in range(64)]
    for connection in busy:
        connection.send_request(get("/wait", cookie=alice.token), keep=True)
    wait_until(lambda: len(list(site.gatehouse.folder.glob("gate.started.*"))) == 64, "64 scripts are under way")
    assert site.gatehouse.threads() == threads

    # While all 64 are busy, every idle one answers, and so does a visitor through nginx.
    for connection in idle:
        assert connection.request(get("/auth/session", cookie=alice.token), keep=True).status == 200
    assert alice.fetch("/greet").text == "Hello, alice\n"
    assert site.gatehouse.threads() == threads

    with open(site.gatehouse.folder / "gate", "w") as pipe:
        pipe.write("\n" * 64)
        pipe.flush()
        assert [connection.read_answer().body for connection in busy] == [b"through"] * 64
    for connection in busy + idle:
        assert connection.request(get("/auth/session", cookie=alice.token), keep=True).status == 200
        connection.close()
    assert site.gatehouse.threads() == threads


def test_thousands_of_requests_over_kept_connections_through_nginx(site):
    token = site.signed_in().token

    def visitor(_):
        browser = site.visitor()
        browser.token = token
        return [browser.fetch("/auth/session").status_code for _ in range(50)]

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        results = [code for codes in pool.map(visitor, range(64)) for code in codes]
    assert len(results) == 3200 and set(results) == {200}


# ── what is answered, and what is not ───────────────────────────────────────────────────────────────────────────────


def test_without_keep_conn_the_connection_ends_after_the_answer(site):
    with site.fastcgi() as connection:
        assert connection.request(get("/auth/session")).ended
        assert connection.is_closed()


def test_every_answer_begins_with_a_status(site):
    alice = site.signed_in()
    for target, cookie in (
        ("/auth/session", None),
        ("/show", None),
        ("/show", alice.token),
        ("/closed/", None),
        ("/auth/logout", None),
        ("/auth/login", None),
        ("/%00", None),
        ("/silent", alice.token),
    ):
        with site.fastcgi() as connection:
            answer = connection.request(get(target, cookie=cookie))
        assert answer.first_line.startswith("Status: "), (target, answer.head)
        assert answer.ended and answer.protocol_status == 0


def test_a_request_cut_within_its_parameters_never_runs(site):
    alice = site.signed_in()
    whole = encode_pairs(get("/leaves-a-mark", cookie=alice.token))
    marker = site.gatehouse.root / "mark"
    script = site.gatehouse.root / "leaves-a-mark"
    script.write_text(f"#!/bin/sh\n: >{marker}\nprintf 'Content-Type: text/plain\\n\\n'\n")
    script.chmod(0o755)
    for cut in (1, len(whole) // 2, len(whole) - 1):
        with site.fastcgi() as connection:
            connection.send(record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0])) + record(PARAMS, whole[:cut]))
            connection.socket.shutdown(1)
            answer = connection.read_answer()
            assert answer.status is None or answer.status >= 400
        with site.fastcgi() as connection:
            connection.send(
                record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0])) + record(PARAMS, whole[:cut]) + record(ABORT)
            )
            answer = connection.read_answer()
            assert answer.status is None or answer.status >= 400
    assert not marker.exists()


def test_an_unread_body_is_never_taken_for_the_next_request(site):
    alice = site.signed_in()
    smuggled = (
        record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]))
        + stream(PARAMS, encode_pairs(get("/greet", cookie=alice.token)))
        + record(STDIN)
    )
    with site.fastcgi() as connection:
        body = smuggled * 400
        assert (
            connection.request(get("/show", ("CONTENT_LENGTH", str(len(body))), method="POST"), body, keep=True).status
            == 401
        )
        # Either the connection is as good as new, or it is closed; nothing else may come over it.
        try:
            assert connection.request(get("/auth/session"), keep=True).status in (401, None)
        except (BrokenPipeError, ConnectionResetError):
            pass
