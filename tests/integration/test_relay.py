"""The relay: FastCGI applications (php-fpm, C on libfcgi, Perl on FCGI.pm) behind the gateway door of nginx, Apache and
lighttpd. What an application is told, what becomes of its answer, and who is let in to it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import zlib

import pytest

from applications import SECRET_OF_THE_DAEMON, SERVERS, Applications
from door_table import Guests, row_id
from fastcgi import FastCgi, get, request
from harness import wait_until
from test_spoofing import EVIL, OWNED, PARAMETERS, assert_clean, spellings
from visitor import is_removal, session_cookies, set_cookies

# Application → where it is mounted; where everybody may go to it.
MOUNTS = {"PHP": "/php/app.php", "PHP front": "/front", "C": "/c", "Perl": "/perl", "C over TCP": "/tcp"}
OPEN = {"PHP": "/public/app.php", "C": "/open/c", "Perl": "/open/perl"}
BODY = bytes(range(256)) * 3516  # 900 kB


@pytest.fixture(scope="module")
def applications():
    with contextlib.closing(Applications().start()) as made:
        yield made


@pytest.fixture(scope="module")
def sites(applications, track_for_all):
    """The site of a web server by its name, made when it is asked for first, with alice signed in and others."""
    made = {}

    def site(server):
        if server not in made:
            made[server] = track_for_all(SERVERS[server](applications))
            made[server].alice = made[server].signed_in()
            made[server].guests = Guests(made[server].gatehouse)
        return made[server]

    return site


@pytest.fixture(params=SERVERS)
def site(request, sites):
    return sites(request.param)


@pytest.fixture
def nginx(sites):
    return sites("nginx")


@pytest.fixture
def alice(site):
    return site.alice


@pytest.fixture(params=OPEN)
def application(request):
    return request.param


def raw(site, target, *more, **options):
    """The answer of the gatehouse itself, past the web server, to alice."""
    with site.fastcgi() as connection:
        return connection.request(get(target, *more, cookie=site.alice.token, **options))


def said(*lines):
    """What makes `say` answer with these header lines."""
    return "/say?" + urllib.parse.quote("~".join(lines), safe="")


PLAIN = "Content-Type: text/plain"


# ── what an application is told ─────────────────────────────────────────────────────────────────────────────────────

# Of the connection and of the client's program; what of it there is depends on the web server.
OF_THE_SERVER = {
    *("SERVER_SOFTWARE", "SERVER_NAME", "SERVER_ADDR", "REMOTE_PORT", "REDIRECT_STATUS"),
    *("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_USER_AGENT", "HTTP_CONNECTION"),
    "CONTENT_LENGTH",  # "0", of a GET, where lighttpd is asked
}
# What PHP adds to its parameters by itself, and what php-fpm does.
OF_PHP = {"PHP_SELF", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "argv", "argc", "USER", "HOME"}


def script_variables(name, root):
    """SCRIPT_NAME, PATH_INFO and what depends on which file is run."""
    if name == "PHP front":  # as nginx's try_files has it
        file = {"SCRIPT_FILENAME": f"{root}/php/front.php", "DOCUMENT_ROOT": f"{root}/php"}
        return {**file, "SCRIPT_NAME": "/front/front.php"}
    path_info = "/tell/möre x"
    told = {"SCRIPT_NAME": MOUNTS[name], "PATH_INFO": path_info}
    if name != "PHP":
        return told
    file = {"SCRIPT_FILENAME": f"{root}/php/app.php", "DOCUMENT_ROOT": str(root)}
    return {**told, **file, "PATH_TRANSLATED": str(root) + path_info}


@pytest.mark.parametrize("name", MOUNTS)
def test_the_parameters_are_rfc_3875_and_the_identity_and_nothing_else(site, name):
    target = f"{MOUNTS[name]}/tell/m%C3%B6re%20x?a=b&c=%20"
    told = site.alice.show(target, headers={"X-Header": "value", "Accept-Language": "de"})
    assert told["language"] == name.split()[0]
    env = told["env"]
    seen = {key: value for key, value in env.items() if key not in OF_THE_SERVER}
    if told["language"] == "PHP":
        seen = {key: value for key, value in seen.items() if key not in OF_PHP}
    assert seen == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": str(site.nginx.port),
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": target,
        "QUERY_STRING": "a=b&c=%20",
        **script_variables(name, site.applications.root),
        "FCGI_ROLE": "RESPONDER",
        "HTTP_HOST": site.host,
        "HTTP_X_HEADER": "value",
        "HTTP_ACCEPT_LANGUAGE": "de",
        "REMOTE_USER": "alice",
        "AUTH_TYPE": "Gatehouse",
        "GATEHOUSE_USER_ID": site.alice_id,
        "GATEHOUSE_SESSION_STATE": "active",
        "HTTP_REMOTE_USER": "alice",
        "HTTP_REMOTE_NAME": "Alice Example",
        "HTTP_REMOTE_EMAIL": "alice@example.org",
        "HTTP_REMOTE_GROUPS": "staff,ops",
        "GATE": str(site.applications.gate.path),
        "FROM_CONFIGURATION": "a value",
    }
    assert env["SERVER_NAME"] and env["SERVER_SOFTWARE"] and env.get("CONTENT_LENGTH", "0") == "0"
    assert SECRET_OF_THE_DAEMON not in json.dumps(env)


def test_an_application_learns_nothing_of_the_session_but_its_own_cookies(site, application):
    cookies = f"theme=dark; session={site.alice.token}; basket=3"
    answer = site.raw_get(MOUNTS[application], f"Cookie: {cookies}")
    told = json.loads(answer.body)
    assert told["env"]["HTTP_COOKIE"] == "theme=dark; basket=3"
    assert site.alice.token not in answer.body.decode()


def test_a_script_that_everybody_may_run_is_told_of_a_user_only_if_there_is_one(site, application):
    env = site.visitor().show(OPEN[application])["env"]
    assert not {"REMOTE_USER", "AUTH_TYPE", "GATEHOUSE_USER_ID", "GATEHOUSE_SESSION_STATE"} & set(env)
    assert (env["HTTP_REMOTE_USER"], env["HTTP_REMOTE_GROUPS"]) == ("", "")
    env = site.alice.show(OPEN[application])["env"]
    assert (env["REMOTE_USER"], env["HTTP_REMOTE_GROUPS"]) == ("alice", "staff,ops")


@pytest.mark.parametrize("name", [*OWNED, "Proxy", "Authorization", "Redirect-Status"])
def test_no_spelling_of_a_name_of_ours_reaches_an_application(site, application, name):
    for path, token in (
        (OPEN[application], None),
        (OPEN[application], site.alice.token),
        (MOUNTS[application], site.alice.token),
    ):
        cookie = [f"Cookie: session={token}"] if token else []
        lines = [f"{spelling}: {EVIL}{number}" for spelling in spellings(name)[:6] for number in range(2)]
        answer = site.raw_get(path, *cookie, *lines)
        assert answer.status in (200, 400), "nginx takes no second Authorization"
        if answer.status == 400:
            answer = site.raw_get(path, *cookie, lines[0])
        assert_clean(json.loads(answer.body)["env"], token is not None)


@pytest.mark.parametrize("name", PARAMETERS, ids=repr)
def test_a_parameter_that_is_not_ours_to_send_is_not_believed(nginx, application, name):
    for path, cookie in ((OPEN[application], None), (MOUNTS[application], nginx.alice.token)):
        with nginx.fastcgi() as connection:
            answer = connection.request([(name, EVIL), *get(path, cookie=cookie), (name, EVIL)])
        assert answer.status in (200, 400, None), answer.head
        if answer.status != 400:
            assert_clean(answer.json()["env"], cookie is not None)


@pytest.mark.parametrize("name", ["PHP_VALUE", "PHP_ADMIN_VALUE"])
def test_nobody_changes_phps_settings(nginx, name):
    setting = f"user_agent={EVIL}"
    for evil in ((name, setting), (f"HTTP_{name}", setting)):
        told = raw(nginx, MOUNTS["PHP"], evil).json()
        assert told["user_agent"] == "" and name not in told["env"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_the_method_belongs_to_the_application(site, application, method):
    assert site.alice.show(MOUNTS[application], method=method)["env"]["REQUEST_METHOD"] == method


def test_an_application_is_asked_for_ranges_and_conditions(site, application):
    # lighttpd would cut a piece out by itself, but for If-Range.
    headers = {"Range": "bytes=0-3", "If-Range": '"a"', "If-None-Match": '"b"'}
    env = site.alice.show(MOUNTS[application], headers=headers)["env"]
    assert {name: env.get(f"HTTP_{name.upper().replace('-', '_')}") for name in headers} == headers


def test_90_kb_of_parameters_arrive(nginx, application):
    # More than nginx can send: it is the gatehouse that is asked, in several records.
    long = {name: f"{name}=" + os.urandom(15_000).hex() for name in ("HTTP_COOKIE", "HTTP_X_FIRST", "HTTP_X_SECOND")}
    params = [*get(MOUNTS[application], cookie=nginx.alice.token), *long.items()]
    with nginx.fastcgi() as connection:
        env = connection.request(params).json()["env"]
    assert {name: env.get(name) for name in long} == long
    assert env["REMOTE_USER"] == "alice"


def test_a_parameter_that_no_record_has_room_for_is_refused_and_not_cut(nginx, application):
    halves = [("HTTP_COOKIE", f"{name}=" + "x" * 40_000) for name in "ab"]
    assert raw(nginx, MOUNTS[application], *halves).status in (400, 431)


# ── php-fpm ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_php_reads_its_path_and_a_form(alice):
    form = {"name": "Ä & b", "list[]": ["1", "2"]}
    told = alice.show("/php/app.php/tell/further?a=1&b[]=2", method="POST", data=form)
    assert told["env"]["PHP_SELF"] == "/php/app.php/tell/further"
    assert told["get"] == {"a": "1", "b": ["2"]} and told["post"] == {"name": "Ä & b", "list": ["1", "2"]}


def test_php_takes_files(alice):
    files = {"file": ("a file.bin", BODY, "application/x-test"), "empty": ("empty", b"", "text/plain")}
    told = alice.show("/php/app.php", method="POST", files=files, data={"field": "value"})
    assert told["post"] == {"field": "value"}
    wanted = {"name": "a file.bin", "type": "application/x-test", "length": len(BODY), "adler32": zlib.adler32(BODY)}
    assert told["files"]["file"] == wanted and told["files"]["empty"]["length"] == 0


def test_a_folder_runs_its_index(alice):
    told = alice.show("/php/folder/?a=b")
    env, root = told["env"], told["env"]["DOCUMENT_ROOT"]
    assert env["SCRIPT_NAME"] == env["PHP_SELF"] == "/php/folder/index.php"
    assert env["SCRIPT_FILENAME"] == f"{root}/php/folder/index.php"
    assert "PATH_INFO" not in env and env["REQUEST_URI"] == "/php/folder/?a=b"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_folder_without_its_slash_is_led_to_it(alice, method):
    answer = alice.fetch("/php/folder?a=%20b", method=method)
    assert answer.status_code == 301
    there = urllib.parse.urljoin(alice.url + "/php/folder", answer.headers["Location"])
    assert there == alice.url + "/php/folder/?a=%20b"


def test_a_form_is_not_led_anywhere(alice):
    assert alice.fetch("/php/folder", method="POST", data=b"x").status_code in (403, 404)


NO_SCRIPT = {
    "/php/picture.jpg": 403,
    "/php/picture.jpg/app.php": 403,
    "/php/missing.php": 404,
    "/php/missing.php/tell": 404,
    "/php/missing/app.php": 404,
    "/php/folder/missing": 404,
    "/php/empty/": 403,
    "/php/out.php": 404,
    "/php/out.php/tell": 404,
    "/php/out/app.php": 404,
    "/php/absolute.php": 404,
}


@pytest.mark.parametrize("path", NO_SCRIPT)
def test_what_is_no_script_below_the_root_is_not_run(alice, path):
    answer = alice.fetch(path)
    assert answer.status_code == NO_SCRIPT[path]
    assert "/www" not in answer.text


def test_which_files_are_scripts_is_configured(alice):
    assert alice.show("/every/page.jpg/tell")["env"]["SCRIPT_NAME"] == "/every/page.jpg"


def test_a_link_that_stays_below_the_root_is_followed(alice):
    assert alice.show("/php/within.php/tell")["env"]["SCRIPT_NAME"] == "/php/within.php"


# Apache refuses some of them by itself, with its own status.
AMBIGUOUS = [
    "/php%2fapp.php",
    "/php/app.php%00",
    "/php/app.php%00.jpg",
    "/php/app.php/tell%2f..",
    "/php/..%2f..%2foutside/app.php",
    "/../../outside/app.php",
    "/php/%2e%2e/%2e%2e/outside/app.php",
    "/php\\app.php",
    "/php/app.php/%c0%ae%c0%ae/tell%",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
def test_a_path_that_two_programs_could_read_differently_runs_nothing(site, target):
    answer = site.raw_get(target, f"Cookie: session={site.alice.token}")
    assert answer.status in (400, 403, 404) and b'"env"' not in answer.body


def test_the_path_that_is_decided_is_the_path_that_runs(site):
    cookie = f"Cookie: session={site.alice.token}"
    for target in (
        "/php/x/../app.php/tell",
        "//php/./app.php//tell",
        "/php/%61pp.php/tell",
        "/closed/../php/app.php/tell",
    ):
        answer = site.raw_get(target, cookie)
        assert answer.status == 200, target
        assert json.loads(answer.body)["env"]["SCRIPT_NAME"] == "/php/app.php"
    for target in ("/php/../closed/app.php", "/php/app.php/../../closed", "/c/%2e%2e/closed/"):
        assert site.raw_get(target, cookie).status == 403, target


# ── who is let in ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_is_asked_to_sign_in(site, application):
    stranger = site.visitor()
    assert stranger.fetch(MOUNTS[application]).status_code == 401
    assert stranger.navigate(MOUNTS[application]).headers["Location"].startswith("/auth/login?rd=")


def test_the_rule_of_the_script_that_a_path_runs_binds(site):
    for path in ("/board/", "/board/index.php", "/board/index.php/tell"):
        assert site.alice.fetch(path).status_code == 403, path
    assert site.visitor().fetch("/public/inner.php/tell").status_code == 401
    assert site.alice.fetch("/public/inner.php/tell").status_code == 200


def test_a_local_redirect_is_decided_anew(site):
    for mount in (MOUNTS["C"], MOUNTS["Perl"]):
        told = site.alice.show(mount + said("Location: /php/app.php/tell?from=there"))
        assert told["language"] == "PHP" and told["env"]["QUERY_STRING"] == "from=there"
        assert told["env"]["REMOTE_USER"] == "alice"
        for path in ("/closed/x", "/board/"):
            assert site.alice.fetch(mount + said(f"Location: {path}")).status_code == 403
    for mount in (OPEN["C"], OPEN["Perl"]):
        assert site.visitor().fetch(mount + said("Location: /php/app.php")).status_code == 401


def test_a_renewed_cookie_comes_once_beside_those_of_the_application(site, application):
    visitor = site.visitor()
    visitor.token = site.guests.token("idle")
    answer = visitor.fetch(MOUNTS[application] + said(PLAIN, "Set-Cookie: first=1", "Set-Cookie: second=2; HttpOnly"))
    [renewed] = session_cookies(answer)
    assert not is_removal(renewed)
    assert sorted(set_cookies(answer)) == sorted([renewed, "first=1", "second=2; HttpOnly"])
    assert session_cookies(visitor.fetch(MOUNTS[application])) == []
    assert visitor.show(MOUNTS[application])["env"]["REMOTE_USER"] == "alice"


def test_who_signs_out_or_is_thrown_out_is_out_at_once(site, application):
    visitor = site.visitor()
    for is_thrown_out in (False, True):
        token = visitor.token = site.guests.session(site.alice_id)
        assert visitor.show(MOUNTS[application])["env"]["REMOTE_USER"] == "alice"
        if is_thrown_out:
            site.gatehouse.query("DELETE FROM user_session WHERE id = ?", row_id(token))
        else:
            assert visitor.sign_out().status_code == 303
        visitor.token = token
        assert visitor.fetch(MOUNTS[application]).status_code == 401


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_told_of(told, body):
    return (told["body_length"], told["body_adler32"]) == (len(body), zlib.adler32(body))


def test_an_upload_arrives(site, application):
    told = site.alice.show(
        MOUNTS[application], method="POST", data=BODY, headers={"Content-Type": "application/x-test"}
    )
    assert is_told_of(told, BODY)
    assert told["env"]["CONTENT_LENGTH"] == str(len(BODY)) and told["env"]["CONTENT_TYPE"] == "application/x-test"


def test_an_upload_without_a_length_arrives_and_has_one(site, application):
    command = ["curl", "-sS", "--data-binary", "@-", "-H", "Transfer-Encoding: chunked", "-H", "Content-Type: a/b"]
    command += ["-b", f"session={site.alice.token}", site.url + MOUNTS[application]]
    told = json.loads(subprocess.run(command, input=BODY, capture_output=True, timeout=60, check=True).stdout)
    assert is_told_of(told, BODY) and told["env"]["CONTENT_LENGTH"] == str(len(BODY))


def test_the_body_comes_back_byte_for_byte(site, application):
    body = os.urandom(1_000_000)
    assert site.alice.fetch(MOUNTS[application] + "/echo", method="POST", data=body).content == body


def test_a_large_answer_arrives_whole(site, application):
    answer = site.alice.fetch(MOUNTS[application] + "/large?5000000")
    assert answer.status_code == 200 and answer.content == b"x" * 5_000_000


def test_an_application_may_answer_without_a_look_at_the_body(site, application):
    answer = site.alice.fetch(MOUNTS[application] + "/early", method="POST", data=BODY * 4)
    assert answer.status_code == 200 and answer.text == "early"


def test_too_large_a_body_is_413(alice):
    def pieces(length):
        yield b"x" * length

    assert alice.show("/small", method="POST", data=b"x" * 65536)["body_length"] == 65536
    assert alice.show("/small", method="POST", data=pieces(65536))["body_length"] == 65536
    assert alice.fetch("/small", method="POST", data=b"x" * 65537).status_code == 413
    assert alice.fetch("/small", method="POST", data=pieces(65537)).status_code == 413


def test_who_is_signed_out_while_the_upload_comes_is_not_let_in(nginx):
    gatehouse = nginx.gatehouse
    token = nginx.guests.session(nginx.guests.alice)
    data = request(get("/c/echo", ("CONTENT_LENGTH", "10"), method="POST", cookie=token), b"0123456789")
    cut = data.index(b"0123456789") + 5
    with FastCgi(gatehouse.socket) as connection:
        began = time.monotonic()
        connection.send(data[:cut])
        gatehouse.run("session", "revoke", "--user", "alice", check=0)
        wait_until(lambda: time.monotonic() - began > 1.5, "the decision is older than it may be")
        connection.send(data[cut:])
        assert connection.read_answer().status == 401
    nginx.alice = nginx.signed_in()
    token = nginx.guests.session(nginx.guests.alice)
    data = request(get("/c/echo", ("CONTENT_LENGTH", "10"), method="POST", cookie=token), b"0123456789")
    with FastCgi(gatehouse.socket) as connection:
        began = time.monotonic()
        connection.send(data[:cut])
        wait_until(lambda: time.monotonic() - began > 1.5, "the same, and nobody is signed out")
        connection.send(data[cut:])
        answer = connection.read_answer()
        assert (answer.status, answer.body) == (200, b"0123456789")


def test_an_upload_that_is_refused_costs_the_next_visitor_nothing(site):
    # Refused without a look at the body, over a connection that the web server keeps: each of its processes its own.
    once = {"Connection": "close"}
    for _ in range(10):
        assert site.visitor().fetch(MOUNTS["C"], method="POST", data=BODY, headers=once).status_code == 401
        assert site.alice.fetch(MOUNTS["C"], headers=once).status_code == 200


# ── what becomes of an answer ───────────────────────────────────────────────────────────────────────────────────────


def test_several_cookies_stay_several_and_ours_is_nobody_elses(site, application):
    ours = ["session=stolen; Path=/", "session =stolen", "session=; Max-Age=0"]
    lines = [f"Set-Cookie: {cookie}" for cookie in ("first=1; Path=/", *ours, "second=2; HttpOnly", "sessions=3")]
    visitor = site.visitor()
    visitor.token = site.alice.token
    answer = visitor.fetch(MOUNTS[application] + said(PLAIN, *lines))
    assert answer.text == "said"
    assert set_cookies(answer) == ["first=1; Path=/", "second=2; HttpOnly", "sessions=3"]


STEERING = {
    "X-Accel-Redirect": "/kept-files/page.txt",
    "X-Accel-Limit-Rate": "1000000",
    "X-Accel-Expires": "3600",
    "X-Sendfile": "/etc/hostname",
    "X-LIGHTTPD-send-file": "/etc/hostname",
}


def test_what_steers_a_web_server_is_not_passed_on(site, application):
    lines = [f"{name}: {value}" for name, value in STEERING.items()]
    answer = site.alice.fetch(MOUNTS[application] + said(PLAIN, *lines, "X-Kept: kept"))
    assert answer.status_code == 200 and answer.text == "said" and answer.headers["X-Kept"] == "kept"
    answer = raw(site, MOUNTS[application] + said(PLAIN, *lines, "X-Kept: kept"))
    assert answer.header("X-Kept") == "kept" and not any(answer.header(name) for name in STEERING)


def test_what_steers_a_web_server_is_passed_on_where_that_is_configured(nginx):
    lines = [f"{name}: {value}" for name, value in STEERING.items()]
    answer = raw(nginx, "/accel" + said(PLAIN, *lines, "Set-Cookie: session=stolen"))
    assert {name: answer.header(name) for name in STEERING} == STEERING
    assert answer.all_headers("Set-Cookie") == []
    answer = nginx.alice.fetch("/accel" + said(PLAIN, "X-Accel-Redirect: /kept-files/page.txt"))
    assert answer.status_code == 200 and answer.text == "kept for those who may"
    assert nginx.alice.fetch("/kept-files/page.txt").status_code == 404


def test_headers_of_the_connection_are_not_passed_on(nginx, application):
    headers = {
        "Connection": "close",
        "Keep-Alive": "timeout=5",
        "Transfer-Encoding": "chunked",
        "Upgrade": "websocket",
        "Proxy-Connection": "close",
        "Trailer": "X-Trailer",
        "TE": "trailers",
    }
    lines = [f"{name}: {value}" for name, value in headers.items()]
    answer = raw(nginx, MOUNTS[application] + said(PLAIN, *lines, "x-Odd-case: kept"))
    assert answer.body == b"said" and ("x-Odd-case", "kept") in answer.headers
    assert not any(answer.header(name) for name in headers)


STATUSES = {
    "206 Partial Content": ["Content-Range: bytes 0-3/10"],
    "304 Not Modified": ["ETag: unquoted"],
    "416 Range Not Satisfiable": ["Content-Range: bytes */10"],
    "404 Gone Fishing": ["X-Odd: odd"],
    "299 Quite Odd": ["X-Odd: odd"],
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_and_its_headers_pass_as_they_are(site, application, status):
    target = MOUNTS[application] + said(PLAIN, f"Status: {status}", *STATUSES[status])
    answer = site.alice.fetch(target)
    assert answer.status_code == int(status[:3])
    for name, value in (line.split(": ") for line in STATUSES[status]):
        assert answer.headers[name] == value
    assert answer.text == ("" if status.startswith("304") else "said")
    assert raw(site, target).header("Status") == status


def test_head_has_the_header_and_no_body(site, application):
    for target in ("/large?100000", said(PLAIN, "Content-Length: 4")):
        answer = site.alice.fetch(MOUNTS[application] + target, method="HEAD")
        assert answer.status_code == 200 and answer.content == b""
        answer = raw(site, MOUNTS[application] + target, method="HEAD")
        assert answer.body == b"" and answer.ended
    assert answer.header("Content-Length") == "4"


def test_an_answer_is_delivered_whatever_the_exit_status(site, application):
    answer = site.alice.fetch(MOUNTS[application] + "/exit")
    assert answer.status_code == 200 and answer.text == "delivered"


def test_what_an_application_complains_of_is_in_the_log(nginx, application):
    assert nginx.alice.fetch(MOUNTS[application] + "/stderr").text == "complained"
    for which in ("first", "second"):
        complaint = f"the {which} complaint of {application}"
        lines = wait_until(
            lambda: [line for line in nginx.gatehouse.log().splitlines() if complaint in line], complaint
        )
        assert all("script_stderr" in line and "request=" in line for line in lines)


# ── connections to an application ───────────────────────────────────────────────────────────────────────────────────


def connection_of(site, path, **more):
    return site.alice.show(path, **more)["connection"]


def test_connections_are_kept_only_where_that_is_configured(nginx):
    first = connection_of(nginx, "/kept")
    assert connection_of(nginx, "/kept") == connection_of(nginx, "/kept") == first
    assert len({connection_of(nginx, "/c") for _ in range(3)}) == 3


def test_no_connection_is_used_again_after_a_body(nginx):
    used = []
    for method, body in (("GET", None), ("POST", b"body"), ("GET", None), ("PUT", b""), ("GET", None)):
        used.append((body, connection_of(nginx, "/kept", method=method, data=body)))
    for (body, before), (_, after) in zip(used, used[1:]):
        assert not body or before != after


def test_a_kept_connection_that_the_application_has_closed_is_not_used(nginx):
    nginx.alice.show("/kept")
    application = nginx.applications.c_kept
    application.stop()
    application.start()
    for _ in range(3):
        assert nginx.alice.fetch("/kept").status_code == 200


def test_beyond_max_connections_there_is_503_with_retry_after(nginx):
    gate = nginx.applications.gate.shut()
    with contextlib.ExitStack() as closing:
        closing.callback(gate.open)
        waiting = [closing.enter_context(nginx.fastcgi()) for _ in range(2)]
        for connection in waiting:
            connection.send_request(get("/narrow/wait", cookie=nginx.alice.token))
        wait_until(lambda: gate.waiting() == 2, "both wait")
        answer = nginx.alice.fetch("/narrow")
        assert answer.status_code == 503 and "Retry-After" in answer.headers and set_cookies(answer) == []
        assert nginx.alice.fetch("/c").status_code == 200, "another downstream has its own bound"
        gate.open()
        assert [connection.read_answer().body for connection in waiting] == [b"through"] * 2
        # Its place is given back when the whole answer is there.
        wait_until(lambda: nginx.alice.fetch("/narrow").status_code == 200, "there is room again")


# ── an application that comes and goes ──────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def nobody_listens(path):
    """The socket of a process that was killed: it is there, and connections are refused."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    try:
        yield
    finally:
        path.unlink()


def test_an_application_that_is_down_is_502_until_it_is_up(site):
    mortal = site.applications.mortal

    def status():
        return site.alice.fetch("/mortal/app.php").status_code

    assert status() == 502, "no socket is there"
    with nobody_listens(mortal.socket):
        assert status() == 502, "nobody listens"
    mortal.start()
    try:
        assert status() == 200
    finally:
        mortal.stop()
    assert status() == 502, "it has ended"
    # What is found without the application is said without it.
    assert site.alice.fetch("/mortal/missing.php").status_code == 404


def test_an_address_that_refuses_is_502(nginx):
    application = nginx.applications.c_over_tcp
    application.stop()
    try:
        answer = nginx.alice.fetch("/tcp")
        assert answer.status_code == 502 and application.address.partition(":")[2] not in answer.text
    finally:
        application.start()
    assert nginx.alice.show("/tcp")["language"] == "C"


def test_a_reload_changes_the_address(nginx):
    gatehouse = nginx.gatehouse
    settings = gatehouse.config["downstreams"]["moving"]["fastcgi"]
    for address, language in ((nginx.applications.perl.address, "Perl"), (nginx.applications.c.address, "C")):
        settings["address"] = address
        gatehouse.write_config()
        gatehouse.process.send_signal(signal.SIGHUP)
        wait_until(lambda: nginx.alice.show("/moving")["language"] == language, f"{language} answers")


# ── beside the CGI program ──────────────────────────────────────────────────────────────────────────────────────────

# php-cgi inherits the first from us; php-fpm adds the others.
OF_PHP_CGI, OF_PHP_FPM = {"PATH"}, {"FCGI_ROLE", "USER", "HOME", "argv", "argc"}
OF_THE_MOMENT = {"REQUEST_TIME", "REQUEST_TIME_FLOAT", "REMOTE_PORT"}


@pytest.mark.parametrize("target", ["/php/app.php", "/php/app.php/tell/x%20y?a=b&c", "/php/%61pp.php?-s"])
def test_php_is_told_the_same_by_php_cgi_and_by_php_fpm(nginx, target):
    def told(host, root):
        """The same page, with what tells the two apart written the same way."""
        headers = {"Host": host, "Cookie": f"session={nginx.alice.token}; own=1", "X-Header": "value"}
        files = {"file": ("a file", BODY, "text/plain")}
        answer = nginx.visitor().fetch(target, method="POST", headers=headers, data={"field": "ä"}, files=files)
        assert answer.status_code == 200, answer.text
        boundary = re.search("boundary=(\\w+)", answer.json()["env"]["CONTENT_TYPE"])[1]
        return json.loads(answer.text.replace(boundary, "BOUNDARY").replace(host, "HOST").replace(root, "ROOT"))

    def escaped(path):
        return json.dumps(str(path)).strip('"').replace("/", "\\/")

    applications = nginx.applications
    cgi = told("cgi.test", escaped(applications.cgi_root))
    fpm = told("fpm.test", escaped(applications.root))
    of_cgi, of_fpm = cgi.pop("env"), fpm.pop("env")
    assert cgi == fpm
    assert set(of_cgi) - set(of_fpm) == OF_PHP_CGI and set(of_fpm) - set(of_cgi) == OF_PHP_FPM
    differs = {name for name in set(of_cgi) & set(of_fpm) if of_cgi[name] != of_fpm[name]}
    assert differs <= OF_THE_MOMENT
