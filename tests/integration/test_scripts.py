"""Scripts of every temper behind the real thing: good ones get what RFC 3875 promises, bad ones cost a clear status."""

import concurrent.futures
import hashlib
import json
import os
import re
import socket

import pytest

import harness
from fastcgi import get
from harness import LONG, is_alive, wait_until
from visitor import set_cookies, session_cookies


def recorded_pids(site):
    file = site.gatehouse.folder / "gate.pids"
    text = wait_until(
        lambda: file.exists() and file.read_text().endswith("\n") and file.read_text(), "the script says its pid"
    )
    file.unlink()
    return [int(pid) for pid in text.split()]


def assert_gone(site, pids):
    wait_until(lambda: not any(is_alive(pid) for pid in pids), f"the processes {pids} are gone")
    wait_until(lambda: site.gatehouse.children() == [], "every child has been reaped")


# ── what a script is given ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_environment_is_rfc_3875_and_nothing_else(site, alice):
    env = alice.show("/show/info?a=b", headers={"X-Header": "value", "Accept-Language": "de"})["env"]
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "a=b",
        "SCRIPT_NAME": "/show",
        "PATH_INFO": "/info",
        "SERVER_PORT": str(site.nginx.port),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": site.host,
        "HTTP_X_HEADER": "value",
        "HTTP_ACCEPT_LANGUAGE": "de",
        "REQUEST_URI": "/show/info?a=b",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert env["SERVER_SOFTWARE"] and env["SERVER_NAME"]
    assert "CONTENT_LENGTH" not in env and "CONTENT_TYPE" not in env
    allowed = {
        *expected,
        "SERVER_SOFTWARE",
        "SERVER_NAME",
        "SERVER_ADDR",
        "REMOTE_PORT",
        "REMOTE_HOST",
        "REQUEST_SCHEME",
        "HTTPS",
        "REDIRECT_STATUS",
        "PATH_TRANSLATED",
        "SCRIPT_FILENAME",
        "DOCUMENT_ROOT",
        "REMOTE_USER",
        "AUTH_TYPE",
        "GATEHOUSE_USER_ID",
        "GATEHOUSE_SESSION_STATE",
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "GATE",
        "UNIQUE_ID",
        "GATEHOUSE_REQUEST_ID",
    }
    # In the C locale Python sets LC_CTYPE in its own environment (PEP 538).
    assert {name for name in env if not name.startswith("HTTP_")} <= allowed | {"LC_CTYPE"}
    assert {name for name in env if name.startswith("HTTP_")} <= {
        "HTTP_HOST",
        "HTTP_X_HEADER",
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_USER_AGENT",
        "HTTP_CONNECTION",
        "HTTP_REMOTE_USER",
        "HTTP_REMOTE_NAME",
        "HTTP_REMOTE_EMAIL",
        "HTTP_REMOTE_GROUPS",
    }


def test_the_query_string_is_there_even_when_empty(alice):
    assert alice.show("/show")["env"]["QUERY_STRING"] == ""


@pytest.mark.parametrize("query", ["-s", "-s+--version", "a+b+c", "--help", "%2d%2ds", ";id", "`id`"])
def test_a_query_without_an_equals_sign_never_becomes_an_argument(site, alice, query):
    seen = json.loads(site.raw_get(f"/show?{query}", f"Cookie: session={alice.token}").body)
    assert seen["argv"] == [f"{site.gatehouse.root}/show"]
    assert seen["env"]["QUERY_STRING"] == query


def test_a_script_inherits_no_descriptor_and_no_signal_of_ours(site, alice):
    seen = alice.show()
    assert seen["fds"] == [0, 1, 2]
    assert seen["SigBlk"] == 0
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); glibc's posix_spawn its own two, 32 and 33.
    assert seen["SigIgn"] & ~sum(1 << (number - 1) for number in (13, 25, 32, 33)) == 0
    assert seen["group"] == seen["pid"]
    assert seen["cwd"] == str(site.gatehouse.root)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "MKCOL", "REPORT"])
def test_the_method_belongs_to_the_script(alice, method):
    assert alice.show(method=method)["env"]["REQUEST_METHOD"] == method


def test_a_body_arrives_with_its_length_and_type(alice):
    body = os.urandom(300_000)
    seen = alice.show(method="POST", data=body, headers={"Content-Type": "application/x-test"})
    assert seen["body_length"] == len(body) and seen["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert seen["env"]["CONTENT_LENGTH"] == str(len(body)) and seen["env"]["CONTENT_TYPE"] == "application/x-test"


def test_no_more_than_the_announced_length_reaches_the_script(site):
    token = site.signed_in().token
    for length, body in (("5", b"0123456789"), ("5", b"01234")):
        params = get("/show", ("CONTENT_LENGTH", length), method="POST", cookie=token)
        with site.fastcgi() as connection:
            answer = connection.request(params, body)
        assert answer.status == 400 or answer.json()["body_length"] == 5
    with site.fastcgi() as connection:  # less than announced is a broken upload, not a short one
        answer = connection.request(get("/show", ("CONTENT_LENGTH", "20"), method="POST", cookie=token), b"0123456789")
    assert answer.status == 400 or not answer.ended
    for length in ("-1", "1x", "18446744073709551616", "0x5", " 5", "5,5"):
        params = get("/show", ("CONTENT_LENGTH", length), method="POST", cookie=token)
        with site.fastcgi() as connection:
            assert connection.request(params, b"01234").status == 400, length


# ── what a script may answer ────────────────────────────────────────────────────────────────────────────────────────


def test_several_cookies_stay_several(alice):
    assert set_cookies(alice.fetch("/cookies")) == ["first=1; Path=/", "second=2; Path=/; HttpOnly"]


@pytest.mark.parametrize("code", [200, 201, 302, 400, 401, 403, 404, 418, 500, 503, 599])
def test_a_status_and_its_headers_pass_as_they_are(alice, code):
    answer = alice.fetch(f"/status?{code}")
    assert answer.status_code == code and answer.reason == "Very Special"
    assert answer.text == f"status {code}"
    assert answer.headers["X-Odd-Case"] == "kept"


def test_partial_unmodified_and_empty_answers_pass(alice):
    answer = alice.fetch("/status?206", headers={"Range": "bytes=0-3"})
    assert answer.status_code == 206 and answer.headers["Content-Range"] == "bytes 0-3/10" and answer.text == "0123"
    answer = alice.fetch("/status?304", headers={"If-None-Match": "unquoted"})
    assert answer.status_code == 304 and answer.headers["ETag"] == "unquoted"
    answer = alice.fetch("/status?204")
    assert answer.status_code == 204 and answer.content == b""


def test_a_status_line_in_place_of_the_field_counts(alice):
    answer = alice.fetch("/status?plain")
    assert answer.status_code == 404 and answer.text == "odd"


@pytest.mark.parametrize("code", ["99", "600", "1000", "abc", "100", "101", "-1"])
def test_a_status_that_is_none_is_502(alice, code):
    assert alice.fetch(f"/status?{code}").status_code == 502


def test_head_has_the_header_and_no_body(site, alice):
    answer = alice.fetch("/show", method="HEAD")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["Content-Type"] == "application/json"
    with site.fastcgi() as connection:
        assert connection.request(get("/large", method="HEAD", cookie=alice.token)).body == b""


def test_a_location_without_status_is_a_redirect(alice):
    answer = alice.fetch("/redirect?https://example.org/there")
    assert answer.status_code == 302 and answer.headers["Location"] == "https://example.org/there"


def test_a_local_redirect_is_served_and_decided_anew(site, alice):
    answer = alice.fetch("/redirect?/show/after?from=redirect")
    assert answer.status_code == 200 and answer.json()["env"]["QUERY_STRING"] == "from=redirect"
    assert answer.json()["env"]["SCRIPT_NAME"] == "/show" and answer.json()["env"]["REMOTE_USER"] == "alice"
    assert alice.fetch("/redirect?/admin/x").status_code == 403
    assert alice.fetch("/redirect?/closed/x").status_code == 403
    assert alice.fetch("/redirect?/public/%2f").status_code in (400, 502)


def test_a_local_redirect_to_itself_ends(alice):
    # Each turn eats one level of escapes, so the chain is as long as it likes to be.
    loop = "/redirect?/redirect"
    assert alice.fetch("/redirect?" + "/redirect?" * 40 + loop).status_code in (500, 502)


def test_a_public_script_cannot_lead_a_stranger_inside(site):
    (site.gatehouse.root / "open").mkdir(exist_ok=True)
    script = site.gatehouse.root / "open" / "leads-inside"
    script.write_text("#!/bin/sh\nprintf 'Location: /show\\r\\n\\r\\n'\n")
    script.chmod(0o755)
    assert site.visitor().fetch("/open/leads-inside").status_code == 401
    assert site.signed_in().fetch("/open/leads-inside").status_code == 200


def test_a_large_answer_arrives_whole(alice):
    answer = alice.fetch("/large")
    assert answer.status_code == 200 and len(answer.content) == 20 * 1024 * 1024


def both_ways(site, path, token, body):
    """A web server that sends and receives at once, as FastCGI allows."""
    with site.fastcgi() as connection, concurrent.futures.ThreadPoolExecutor(1) as sender:
        sent = sender.submit(
            connection.send_request, get(path, ("CONTENT_LENGTH", str(len(body))), method="POST", cookie=token), body
        )
        answer = connection.read_answer()
        sent.result()
        return answer


def test_a_body_streams_in_while_the_answer_streams_out(site, alice):
    body = os.urandom(3_000_000)
    assert both_ways(site, "/echo", alice.token, body).body == body
    answer = both_ways(site, "/out-before-in", alice.token, b"y" * 1_000_000)
    assert answer.body == b"x" * 1_000_000 + b"\nread 1000000"


# nginx stops sending the body as soon as it has passed on the header of the answer, so these two would wait for each
# other if the header went out before the body is in.
def test_the_body_comes_back_byte_for_byte(alice):
    body = os.urandom(3_000_000)
    assert alice.fetch("/echo", method="POST", data=body).content == body


def test_one_megabyte_out_before_one_megabyte_in(alice):
    answer = alice.fetch("/out-before-in", method="POST", data=b"y" * 1_000_000)
    assert answer.content == b"x" * 1_000_000 + b"\nread 1000000"


def test_a_script_that_ignores_its_body_is_answered(alice):
    answer = alice.fetch("/ignores-body", method="POST", data=b"y" * 3_000_000)
    assert answer.status_code == 200 and answer.text == "not read"


def test_a_complete_answer_is_delivered_whatever_the_exit_code(site, alice):
    answer = alice.fetch("/exit-3")
    assert answer.status_code == 200 and answer.text == "delivered"


def test_more_stderr_than_any_pipe_holds_blocks_nothing_and_stays_one_line_each(site, alice):
    answer = alice.fetch("/flood-stderr")
    assert answer.status_code == 200 and answer.text == "answered"
    log = wait_until(lambda: "flood" in site.gatehouse.log() and site.gatehouse.log(), "stderr reaches the log")
    assert "\x1b" not in log
    assert "flood" not in "".join(
        line for line in log.splitlines() if line.startswith("flood")
    ), "each line is a log line"


# ── uploads through nginx without its buffer ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def streaming():
    made = harness.Site(
        nginx={"edit": lambda text: text.replace("fastcgi_request_buffering on;", "fastcgi_request_buffering off;")}
    )
    assert "fastcgi_request_buffering off;" in made.nginx.site
    yield made
    made.close()


def test_a_chunked_upload_streams_and_has_no_length(streaming):
    def pieces():
        for number in range(30):
            yield bytes([number]) * 100_000

    alice = streaming.signed_in()
    seen = alice.fetch("/show", method="POST", data=pieces()).json()
    assert seen["body_length"] == 3_000_000 and "CONTENT_LENGTH" not in seen["env"]
    whole = b"".join(bytes([number]) * 100_000 for number in range(30))
    assert seen["body_sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_stalled_upload_delays_nobody(streaming):
    alice = streaming.signed_in()
    stalled = []
    try:
        for _ in range(12):
            connection = socket.create_connection(("127.0.0.1", streaming.nginx.port), LONG)
            connection.sendall(
                f"POST /show HTTP/1.1\r\nHost: {streaming.host}\r\nCookie: session={alice.token}\r\n"
                "Content-Length: 100000\r\n\r\nonly this".encode()
            )
            stalled.append(connection)
        for _ in range(5):
            assert alice.fetch("/greet").status_code == 200
    finally:
        for connection in stalled:
            connection.close()
    wait_until(lambda: streaming.gatehouse.children() == [], "the scripts of the lost uploads have ended")


def test_too_large_a_body_is_413(new_site):
    site = new_site()
    site.gatehouse.stop()
    site.gatehouse.config["downstreams"]["scripts"]["cgi"]["max_body"] = "64KiB"
    site.gatehouse.write_config()
    site.gatehouse.start()
    alice = site.signed_in()
    assert alice.fetch("/show", method="POST", data=b"x" * 65536).json()["body_length"] == 65536
    assert alice.fetch("/show", method="POST", data=b"x" * 65537).status_code == 413
    # Without a length in front, too.
    params = [p for p in get("/show", method="POST", cookie=alice.token) if p[0] != "CONTENT_LENGTH"]
    with site.fastcgi() as connection:
        assert connection.request(params, b"x" * 200_000).status == 413


# ── scripts that break ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("script", ["silent", "no-header", "half-header", "crash"])
def test_a_script_without_a_complete_header_is_502(site, alice, script):
    answer = alice.fetch(f"/{script}")
    assert answer.status_code == 502
    assert "secret of the script" not in answer.text and str(site.gatehouse.root) not in answer.text
    assert_gone(site, [])


def test_error_pages_carry_the_id_that_the_log_line_carries(site, alice):
    answer = alice.fetch("/silent", headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"].startswith("text/html")
    [number] = set(re.findall(r"\b[0-9a-f]{16}\b", answer.text))
    assert number in site.gatehouse.log()
    answer = alice.fetch("/silent", headers={"Accept": "application/json"})
    assert any(
        value in site.gatehouse.log() for value in answer.json().values() if isinstance(value, str) and len(value) == 16
    )


def test_a_script_that_dies_midway_delivers_what_it_had_and_its_own_length(site, alice):
    # The announced length is 100, so whoever reads it notices that the rest is missing.
    with site.fastcgi() as connection:
        answer = connection.request(get("/crash-midway", cookie=alice.token))
    assert answer.status == 200 and answer.body == b"only the beginning"
    assert answer.header("Content-Length") == "100" or not answer.ended
    assert_gone(site, [])


def test_a_script_that_hangs_is_504_and_its_whole_group_is_gone(site, alice):
    answer = alice.fetch("/hang")
    assert answer.status_code == 504
    pids = recorded_pids(site)
    assert len(pids) == 2
    assert_gone(site, pids)


def test_a_script_that_hangs_midway_is_cut_off(site, alice):
    params = get("/hang-midway", cookie=alice.token)
    with site.fastcgi() as connection:
        answer = connection.request(params)
    assert answer.status == 200 and answer.body == b"the beginning"
    assert not answer.ended, "an END_REQUEST would call it complete"
    assert_gone(site, recorded_pids(site))


def test_a_process_that_keeps_stdout_open_delays_nobody_for_long(site, alice):
    answer = alice.fetch("/linger")
    assert answer.status_code == 200 and answer.text == "the whole answer"
    assert_gone(site, recorded_pids(site))


def test_a_header_without_end_is_502(site, alice):
    assert alice.fetch("/flood-header").status_code == 502
    assert_gone(site, recorded_pids(site))


def test_when_the_visitor_goes_the_script_ends(site, alice):
    connection = site.fastcgi()
    connection.send_request(get("/hang", cookie=alice.token))
    pids = recorded_pids(site)
    assert any(is_alive(pid) for pid in pids)
    connection.close()
    assert_gone(site, pids)


def test_a_file_that_cannot_be_executed_as_a_program_is_an_error_of_ours(site, alice):
    broken = site.gatehouse.root / "no-interpreter"
    broken.write_text("#!/there/is/no/such/interpreter\n")
    broken.chmod(0o755)
    assert alice.fetch("/no-interpreter").status_code in (500, 502)


def test_beyond_max_processes_there_is_503_with_retry_after(new_site):
    site = new_site()
    site.gatehouse.stop()
    site.gatehouse.config["downstreams"]["scripts"]["cgi"].update(max_processes=2, timeout="60s")
    site.gatehouse.write_config()
    site.gatehouse.start()
    alice = site.signed_in()
    gate = site.gatehouse.folder / "gate"
    os.mkfifo(gate)
    waiting = [site.fastcgi() for _ in range(2)]
    for connection in waiting:
        connection.send_request(get("/wait", cookie=alice.token))
    wait_until(lambda: len(list(site.gatehouse.folder.glob("gate.started.*"))) == 2, "both scripts run")
    answer = alice.fetch("/greet")
    assert answer.status_code == 503 and "Retry-After" in answer.headers and not session_cookies(answer)
    assert alice.fetch("/public/x").status_code == 200, "another downstream has its own bound"
    with open(gate, "w") as pipe:
        pipe.write("\n\n")
        pipe.flush()
        assert [connection.read_answer().body for connection in waiting] == [b"through"] * 2
    wait_until(lambda: alice.fetch("/greet").status_code == 200, "there is room again")


def test_after_hundreds_of_scripts_nothing_is_left(site, alice):
    alice.fetch("/greet")
    token = alice.token
    before = len(site.gatehouse.descriptors())

    def one(_):
        with site.fastcgi() as connection:
            return connection.request(get("/greet", cookie=token)).body

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(400))) == {b"Hello, alice\n"}
    wait_until(lambda: site.gatehouse.children() == [], "no child is left, no zombie either")
    wait_until(lambda: len(site.gatehouse.descriptors()) <= before, "no descriptor is left")
