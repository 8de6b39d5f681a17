"""Idle connections cost no thread, busy ones delay nobody, and whoever speaks no FastCGI is shown the door."""

import concurrent.futures
import os

import pytest

import harness
from fastcgi import (
    ABORT,
    AUTHORIZER,
    BEGIN,
    END,
    FILTER,
    GET_VALUES,
    GET_VALUES_RESULT,
    PARAMS,
    STDIN,
    UNKNOWN_TYPE,
    encode_pairs,
    get,
    record,
    stream,
)
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


def test_200_stalled_beginnings_delay_nobody(site):
    stalled = [site.fastcgi() for _ in range(200)]
    for connection in stalled:
        connection.send(record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]))[:10])
    with site.fastcgi() as connection:
        assert connection.request(get("/auth/session")).status == 401
    for connection in stalled:
        connection.close()


# ── the protocol's corners, on the real daemon ──────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("role", [0, FILTER, 4, 9, 255])
def test_an_unknown_role_is_said_to_be_unknown(site, role):
    with site.fastcgi() as connection:
        connection.send(record(BEGIN, bytes([0, role, 0, 0, 0, 0, 0, 0])))
        kind, _, content = connection.read_record()
        assert kind == END and content[4] == 3


def test_management_records_are_answered_at_once(site):
    with site.fastcgi() as connection:
        names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "UNKNOWN"]
        connection.send(record(GET_VALUES, encode_pairs([(name, "") for name in names]), request_id=0))
        kind, request_id, content = connection.read_record()
        assert (kind, request_id) == (GET_VALUES_RESULT, 0)
        assert b"FCGI_MPXS_CONNS" in content and b"UNKNOWN" not in content
        connection.send(record(77, b"some content", request_id=0))
        kind, request_id, content = connection.read_record()
        assert (kind, request_id, content[0]) == (UNKNOWN_TYPE, 0, 77)
        assert connection.request(get("/auth/session")).status == 401


def test_a_second_request_on_a_busy_connection_leaves_the_first_alone(site):
    alice = site.signed_in()
    with site.fastcgi() as connection:
        connection.send(record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]), 1))
        connection.send(stream(PARAMS, encode_pairs(get("/greet", cookie=alice.token)), 1))
        connection.send(record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]), 2))
        kind, request_id, content = connection.read_record()
        assert (kind, request_id, content[4]) == (END, 2, 1)  # CANT_MPX_CONN
        connection.send(stream(STDIN, b"", 1))
        assert connection.read_answer(1).body == b"Hello, alice\n"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0]), version=2),
        record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0]), request_id=0),
        record(BEGIN, b"short"),
        record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]))
        + record(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff")
        + record(PARAMS)
        + record(STDIN),
        record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0]))
        + record(PARAMS, b"\x7f\x7fshort")
        + record(PARAMS)
        + record(STDIN),
        record(BEGIN, bytes([0, 1, 1, 0, 0, 0, 0, 0])) + record(STDIN, b"too early"),
    ],
    ids=["http", "version 2", "id 0", "short begin", "lengths of 2 GiB", "pair beyond the end", "stdin first"],
)
def test_what_is_no_fastcgi_is_dropped_without_an_answer_of_200(site, data):
    with site.fastcgi() as connection:
        connection.send(data)
        connection.socket.shutdown(1)
        answer = connection.read_answer()
        assert answer.status is None or answer.status >= 400
        assert connection.is_closed()
    with site.fastcgi() as connection:
        assert connection.request(get("/auth/session")).status == 401


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


@pytest.mark.parametrize(
    "pairs",
    [
        [("HTTP_X_LARGE", "x" * 70_000)],
        [(f"HTTP_X_{n}", "x" * 30_000) for n in range(10)],
        [(f"HTTP_X_{n}", "") for n in range(1100)],
    ],
    ids=["one value", "all together", "too many"],
)
def test_beyond_the_bounds_of_the_parameters_there_is_431(site, pairs):
    with site.fastcgi() as connection:
        answer = connection.request(get("/auth/session", *pairs))
        assert answer.status == 431


def test_parameters_in_pieces_of_one_byte_with_padding_are_the_same_request(site):
    alice = site.signed_in()
    whole = encode_pairs(get("/greet", cookie=alice.token))
    data = record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0]), request_id=65535, padding=255)
    for at in range(len(whole)):
        data += record(PARAMS, whole[at : at + 1], request_id=65535, padding=at % 256)
    data += record(PARAMS, b"", 65535, padding=7) + record(STDIN, b"", 65535, padding=255)
    with site.fastcgi() as connection:
        connection.send(data)
        assert connection.read_answer(65535).body == b"Hello, alice\n"


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


def test_the_authorizer_role_is_never_answered_with_less_than_a_status(site):
    # Its door comes with a later version; until then whatever is said must not be read as "let him in".
    with site.fastcgi() as connection:
        connection.send(
            record(BEGIN, bytes([0, AUTHORIZER, 0, 0, 0, 0, 0, 0])) + stream(PARAMS, encode_pairs(get("/show")))
        )
        answer = connection.read_answer()
        assert not answer.ended or answer.protocol_status == 3 or (answer.status or 0) >= 400
        if answer.ended and answer.protocol_status == 0:
            assert answer.first_line.startswith("Status: ")
