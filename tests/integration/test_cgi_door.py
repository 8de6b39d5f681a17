"""The CGI door: the same binary, one process a request, behind Apache's mod_cgid and behind nginx with fcgiwrap."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from cgi_servers import Apache, ApacheAtTheRoot, CgiSite, NginxFcgiwrap
from harness import BINARY, LONG, Nginx, clean_environment, die_with_the_test, is_alive, wait_until
from test_sessions import make_idle, new_token, row_of, session_id
from visitor import Visitor, is_removal, session_cookies, set_cookies

SERVERS = pytest.mark.parametrize("server", [Apache, NginxFcgiwrap], indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request):
    made = CgiSite(request.param, downstreams={"scripts": {"cgi": {"timeout": "1s"}}})
    yield made
    made.close()


def body_of(size):
    return hashlib.shake_128(b"a body").digest(size)


# ── pages, login, logout ────────────────────────────────────────────────────────────────────────────────────────────


@SERVERS
def test_a_visitor_signs_in_is_greeted_and_signs_out(server):
    visitor = server.visitor()
    to_login = visitor.navigate("/greet")
    assert to_login.status_code == 302
    assert to_login.headers["Location"] == f"{server.mount}/auth/login?rd=%2Fgreet"

    # The way back as Gatehouse writes it, and as a script does that knows its own URL.
    for way_back in ("/greet", f"{server.mount}/greet"):
        signed_in = visitor.sign_in("alice", rd=way_back)
        assert (signed_in.status_code, signed_in.headers["Location"]) == (303, f"{server.mount}/greet")
    if server.mount:
        for way_back in (server.mount, f"{server.mount}?x=1"):
            assert visitor.sign_in("alice", rd=way_back).headers["Location"] == way_back
        assert visitor.sign_in("alice", rd=f"{server.mount}le").headers["Location"] == f"{server.mount}{server.mount}le"
    assert visitor.fetch("/greet").text == "Hello, alice\n"
    token = visitor.token

    assert visitor.sign_out().status_code == 303
    assert visitor.token is None
    assert row_of(server, token) is None
    visitor.token = token
    assert visitor.fetch("/greet").status_code == 401


@SERVERS
def test_a_script_sees_the_user_and_where_it_is_mounted(server):
    seen = server.signed_in().show("/show/more?x=1")
    env = seen["env"]
    assert (env["REMOTE_USER"], env["AUTH_TYPE"], env["HTTP_REMOTE_GROUPS"]) == ("alice", "Gatehouse", "staff,ops")
    assert (env["SCRIPT_NAME"], env["PATH_INFO"], env["QUERY_STRING"]) == (f"{server.mount}/show", "/more", "x=1")
    assert "session=" not in env.get("HTTP_COOKIE", "")
    assert "GATEHOUSE_CONFIG" not in env and not [name for name in env if name.startswith("CONTEXT_")]
    assert (len(seen["argv"]), seen["fds"]) == (1, [0, 1, 2])


@SERVERS
def test_a_wrong_password_an_unknown_user_and_a_foreign_origin_get_nowhere(server):
    visitor = server.visitor()
    assert visitor.sign_in("alice", "wrong wrong wrong").status_code == 401
    assert visitor.sign_in("nobody").status_code == 401
    assert visitor.sign_in("alice", headers={"Origin": "https://evil.example"}).status_code == 403
    assert visitor.token is None


@SERVERS
def test_an_idle_session_is_renewed_and_its_new_cookie_delivered(server):
    visitor = server.signed_in()
    old = visitor.token
    make_idle(server, old)
    answer = visitor.fetch("/greet")
    assert (answer.status_code, answer.text) == (200, "Hello, alice\n")
    assert row_of(server, old) is None and row_of(server, new_token(answer))["user_id"]


@SERVERS
def test_a_request_a_moment_after_the_last_one_writes_nothing(server):
    visitor = server.signed_in()
    before = row_of(server, visitor.token)["last_used_at"]
    assert visitor.fetch("/greet").status_code == 200
    assert row_of(server, visitor.token)["last_used_at"] == before

    server.gatehouse.query(
        "UPDATE user_session SET last_used_at = last_used_at - 120000 WHERE id = ?", session_id(visitor.token)
    )
    assert visitor.fetch("/greet").status_code == 200
    wait_until(lambda: row_of(server, visitor.token)["last_used_at"] >= before, "the use is noted, after the answer")


# ── argv ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@SERVERS
@pytest.mark.parametrize(
    "query",
    [
        "session+revoke+--all",
        "-c+/etc/x+check",
        "version",
        "--help",
        "user+list",
        "serve",
        "-c%20/etc/passwd",
        "db+migrate",
    ],
)
def test_a_query_without_an_equals_sign_is_a_query_whatever_the_server_makes_of_it(server, query):
    visitor = server.signed_in()
    seen = visitor.show(f"/show?{query}")
    assert (seen["env"]["QUERY_STRING"], seen["argv"][1:]) == (query, [])
    assert server.visitor().fetch(f"/show?{query}").status_code == 401
    assert row_of(server, visitor.token), "nobody was signed out"


@pytest.mark.parametrize("server", [ApacheAtTheRoot], indirect=True, scope="module")
def test_it_may_be_mounted_at_the_root_of_a_site(server):
    visitor = server.visitor()
    assert visitor.navigate("/greet").headers["Location"] == "/auth/login?rd=%2Fgreet"
    assert visitor.sign_in("alice", rd="/greet").headers["Location"] == "/greet"
    assert visitor.fetch("/greet").text == "Hello, alice\n"
    assert visitor.show("/show/more")["env"]["SCRIPT_NAME"] == "/show"


@pytest.mark.parametrize("server", [Apache], indirect=True, scope="module")
def test_apache_does_hand_such_a_query_over_as_arguments(server):
    # Else the test above would prove nothing.
    plain = server.visitor()
    plain.mount = ""
    assert plain.show("/plain?session+revoke+--all")["argv"][1:] == ["session", "revoke", "--all"]


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@SERVERS
def test_a_body_arrives_whole_with_a_length_and_without(server):
    visitor = server.signed_in()
    body = body_of(3_000_000)
    assert visitor.fetch("/echo", method="POST", data=body).content == body
    pieces = (body[at : at + 40_000] for at in range(0, len(body), 40_000))
    assert visitor.fetch("/echo", method="POST", data=pieces).content == body


@SERVERS
@pytest.mark.parametrize(
    "script, expected",
    [("out-before-in", b"x" * 1_000_000 + b"\nread 1000000"), ("ignores-body", b"not read")],
    ids=["both-ways", "ignored"],
)
def test_a_large_answer_and_a_large_body_do_not_wait_for_each_other(server, script, expected):
    answer = server.signed_in().fetch(f"/{script}", method="POST", data=body_of(1_000_000))
    assert (answer.status_code, answer.content) == (200, expected)


@SERVERS
def test_a_large_answer_goes_out_although_the_body_is_never_read(server):
    # fcgiwrap writes the whole body before it reads a byte of the answer: somebody has to take it.
    answer = server.signed_in().fetch("/large", method="POST", data=body_of(2_000_000))
    assert answer.status_code == 200 and len(answer.content) > 500_000


@SERVERS
def test_a_refused_upload_gets_its_answer(server):
    answer = server.visitor().fetch("/echo", method="POST", data=body_of(3_000_000))
    assert answer.status_code == 401


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


@SERVERS
def test_a_script_that_hangs_is_504_and_leaves_nobody(server):
    answer = server.signed_in().fetch("/hang")
    assert answer.status_code == 504
    pids = [int(pid) for pid in pathlib.Path(f"{server.gatehouse.folder}/gate.pids").read_text().split()]
    assert len(pids) == 2
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "the script and its child have gone")
    wait_until(lambda: not server.processes(), "our process has gone")


@pytest.mark.parametrize("server", [Apache], indirect=True, scope="module")
def test_a_script_ends_when_its_visitor_leaves(server):
    os.mkfifo(server.gatehouse.folder / "gate")
    os.chmod(server.gatehouse.folder / "gate", 0o666)
    visitor = server.signed_in()
    with socket.create_connection(("127.0.0.1", server.server.port), LONG) as connection:
        connection.sendall(
            f"GET {server.mount}/crash-midway HTTP/1.1\r\nHost: x\r\nCookie: session={visitor.token}\r\n\r\n".encode()
        )
        assert connection.recv(9) == b"HTTP/1.1 "
    wait_until(lambda: not server.processes(), "our process has gone")


@SERVERS
@pytest.mark.parametrize("signal_name", ["TERM", "HUP", "INT"])
def test_a_process_that_is_told_to_end_ends_its_script_first(server, signal_name):
    folder = server.gatehouse.folder
    with contextlib.suppress(FileExistsError):
        os.mkfifo(folder / "gate")
        os.chmod(folder / "gate", 0o666)
    for old in folder.glob("gate.started.*"):
        old.unlink()
    visitor = server.signed_in()
    wait_until(lambda: not server.processes(), "the processes of earlier requests have gone")
    with socket.create_connection(("127.0.0.1", server.server.port), LONG) as connection:
        connection.sendall(
            f"GET {server.mount}/wait HTTP/1.1\r\nHost: x\r\nCookie: session={visitor.token}\r\n\r\n".encode()
        )
        [started] = wait_until(lambda: list(folder.glob("gate.started.*")), "the script runs")
        script = int(started.name.rpartition(".")[2])
        [ours] = server.processes()
        os.kill(ours, {"TERM": 15, "HUP": 1, "INT": 2}[signal_name])
        wait_until(lambda: not is_alive(script), "the script has gone")
        wait_until(lambda: not is_alive(ours), "our process has gone")
        assert b" 200 " not in connection.recv(4096).split(b"\r\n")[0]


@SERVERS
def test_without_the_store_it_is_503_and_no_cookie_is_touched(server):
    visitor = server.signed_in()
    database = server.gatehouse.database
    hidden = database.with_name("hidden")
    os.rename(database, hidden)
    try:
        for answer in (visitor.fetch("/greet"), visitor.sign_out(), visitor.navigate("/greet")):
            assert (answer.status_code, set_cookies(answer)) == (503, [])
            assert answer.headers["Retry-After"]
        assert not database.exists(), "a database must not come into being by itself"
    finally:
        os.rename(hidden, database)
    assert visitor.fetch("/greet").status_code == 200


@SERVERS
def test_a_broken_configuration_is_500_and_lets_nobody_in(server):
    visitor = server.signed_in()
    file = server.gatehouse.config_file
    good = file.read_text()
    try:
        file.write_text(good + "nonsense: true\n")
        answer = visitor.fetch("/public/x")
        assert (answer.status_code, set_cookies(answer)) == (500, [])
        assert "nonsense" not in answer.text and str(file) not in answer.text
        assert "nonsense" in server.server.log(), "the administrator finds the reason in the server's log"
    finally:
        file.write_text(good)
    assert visitor.fetch("/greet").status_code == 200


@SERVERS
def test_a_dead_session_is_refused_and_its_cookie_expired(server):
    visitor = server.signed_in()
    server.gatehouse.query("UPDATE user_session SET idle_expires = 1e12 WHERE id = ?", session_id(visitor.token))
    answer = visitor.fetch("/greet")
    assert answer.status_code == 401 and is_removal(session_cookies(answer)[0])


@SERVERS
def test_ambiguous_paths_and_spoofed_identities_are_no_way_round(server):
    visitor = server.visitor()
    assert visitor.fetch("/public/..%2fgreet").status_code in (400, 401, 404)
    env = visitor.show("/public/x", headers={"Remote-User": "admin", "Remote_User": "admin", "Proxy": "http://evil"})[
        "env"
    ]
    assert "REMOTE_USER" not in env and "HTTP_PROXY" not in env
    assert env["HTTP_REMOTE_USER"] == ""


@SERVERS
def test_the_log_names_the_request_that_the_answer_names(server):
    answer = server.visitor().fetch("/greet")
    assert f"request={answer.headers['X-Request-Id']}" in wait_until(server.server.log, "the server has a log")


@SERVERS
def test_no_process_is_left_over(server):
    wait_until(lambda: not server.processes(), "our processes have gone")


# ── the bare process: what a web server may start it with ───────────────────────────────────────────────────────────


def run_as_cgi(gatehouse, path="/greet", **popen):
    """Runs one CGI process. Returns its answer's status, 0 for none."""
    result = subprocess.run(
        [BINARY],
        env=clean_environment(
            GATEWAY_INTERFACE="CGI/1.1",
            GATEHOUSE_CONFIG=str(gatehouse.config_file),
            REQUEST_METHOD="GET",
            PATH_INFO=path,
            SERVER_NAME="x",
            SERVER_PORT="80",
        ),
        stdout=subprocess.PIPE,
        timeout=60,
        **popen,
    )
    first, _, rest = result.stdout.partition(b"\r\n")
    assert not first or first.startswith(b"Status: "), result.stdout
    return int(first.split()[1]) if first else 0, rest


def test_a_log_that_cannot_be_written_is_no_reason_to_be_silent(gatehouse):
    gatehouse.config["socket"]["mode"] = "0666"  # something to warn of
    gatehouse.write_config()
    gatehouse.run("db", "migrate", check=0)
    with open("/dev/full", "wb") as full:
        assert run_as_cgi(gatehouse, stdin=subprocess.DEVNULL, stderr=full)[0] == 401
        gatehouse.config_file.write_text("nonsense: 1")
        assert run_as_cgi(gatehouse, stdin=subprocess.DEVNULL, stderr=full)[0] == 500


def ignore_ended_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def test_a_server_that_ignores_its_ended_children_does_not_make_us_blind_for_ours(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    log = gatehouse.folder / "stderr"
    with open(log, "wb") as stderr:
        answer = run_as_cgi(
            gatehouse, "/open/greet", stdin=subprocess.DEVNULL, stderr=stderr, preexec_fn=ignore_ended_children
        )
    assert answer[0] == 404, "there is no such script below open/"
    gatehouse.config["routes"].insert(0, {"path": "/greet", "access": "public", "downstream": "scripts"})
    gatehouse.write_config()
    with open(log, "wb") as stderr:
        answer = run_as_cgi(gatehouse, stdin=subprocess.DEVNULL, stderr=stderr, preexec_fn=ignore_ended_children)
    assert answer[0] == 200
    assert "script_exit" not in log.read_text()


def test_without_a_standard_input_it_answers_all_the_same(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    assert run_as_cgi(gatehouse, preexec_fn=lambda: os.close(0))[0] == 401


def test_a_process_that_may_not_become_the_owner_of_the_store_answers_503(gatehouse):
    if os.getuid() != 0:
        pytest.skip("only root becomes somebody else")
    gatehouse.run("db", "migrate", check=0)
    os.chown(gatehouse.folder / "db", 12345, 12345)
    limited = ["setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid", "--"]
    result = subprocess.run(
        [*limited, BINARY],
        env=clean_environment(
            GATEWAY_INTERFACE="CGI/1.1",
            GATEHOUSE_CONFIG=str(gatehouse.config_file),
            REQUEST_METHOD="GET",
            PATH_INFO="/x",
        ),
        capture_output=True,
        timeout=60,
    )
    assert result.stdout.startswith(b"Status: 503 ") and b"\r\nRetry-After: " in result.stdout, result


# ── descriptor 0: the program as a FastCGI server that somebody else started ────────────────────────────────────────


@pytest.fixture
def spawned(gatehouse):
    """spawn-fcgi's gatehouse on descriptor 0, behind a real nginx with kept-alive connections."""
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")
    with open(gatehouse.log_file, "ab") as log:
        gatehouse.process = subprocess.Popen(
            ["spawn-fcgi", "-n", "-M", "0666", "-s", str(gatehouse.socket), "--", BINARY],
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_the_test,
            cwd="/",
            env=clean_environment(GATEHOUSE_CONFIG=str(gatehouse.config_file)),
        )
    wait_until(gatehouse.socket.exists, "spawn-fcgi has made the socket")
    gatehouse.wait_until_it_answers()
    nginx = Nginx(gatehouse).start()
    yield gatehouse, nginx
    nginx.stop()


def connections_of(gatehouse):
    """How many connections of its listening socket are open."""
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(str(gatehouse.socket)) and line.split()[5] == "03" for line in lines)


def test_under_spawn_fcgi_kept_alive_connections_of_nginx_are_served(spawned):
    gatehouse, nginx = spawned
    visitor = Visitor(nginx.url)
    assert visitor.sign_in("alice").status_code == 303
    for _ in range(100):
        assert visitor.fetch("/greet").text == "Hello, alice\n"
    assert connections_of(gatehouse) == 1, "one is kept open; nginx makes a new one after a hundred requests"

    def stranger(_):
        other = Visitor(nginx.url)
        other.token = visitor.token
        return [other.fetch("/auth/session").status_code for _ in range(25)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert {code for codes in pool.map(stranger, range(16)) for code in codes} == {200}
    assert 1 <= connections_of(gatehouse) <= 16, "nginx keeps 16 of them"
    assert visitor.sign_out().status_code == 303
    assert visitor.fetch("/greet").status_code == 401
