"""lighttpd: the authorizer door, where it asks about every request before it serves it, and the gateway door, over a
socket and with processes that lighttpd starts by itself. What every door has in common is in test_doors."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import time
import urllib.parse

import pytest

from door_table import HOUR, Guests, outcomes, row_id, wanted
from door_table import PAGES as DOOR_PAGES
from door_table import VISITORS
from door_table import routes as door_routes
from fastcgi import FastCgi, get
from harness import is_alive, wait_until
from languages import SUFFIXES, write_program
from lighttpd import LighttpdGatewaySite, LighttpdSite, LighttpdSpawnedSite
from page_table import CASES, DECIDED, INTERNAL, OWNED, PAGES, PUBLIC, ROUTES
from page_table import address_of_who_says_another, send, served, targets_of
from test_paths import TARGETS as PATHS
from test_paths import check as check_path
from test_spoofing import EVIL, spellings
from visitor import is_removal, session_cookies, set_cookies

# Further configuration of the site's own, behind ours.
MORE = """
server.modules += ( "mod_rewrite" )
url.rewrite-once = (
    "^/public/rewritten/admin$" => "/admin/page.html",
    "^/public/rewritten/open$" => "/public/page.html",
    "^/app/rewritten/open$" => "/public/page.html",
)
# Added to, our list still holds in a condition.
$HTTP["url"] =~ "^/app/" {
    fastcgi.server += ( ".nothing" => (( "socket" => "/nowhere", "check-local" => "disable" )) )
}
$HTTP["url"] =~ "^/(app|public)/bin/" {
    cgi.assign = ( "" => "" )
}
"""
# A folder whose programs, and files, have no suffix.
BIN = [
    {"path": "/app/bin/secret", "access": "deny"},
    {"path": "/app/secret-file", "access": "authenticated", "require": {"roles": ["admin"]}},
]


@pytest.fixture(scope="module")
def site():
    made = LighttpdSite(more=MORE, pages={**PAGES, "app/secret-file": "a secret file"}, routes=[*BIN, *ROUTES])
    with contextlib.closing(made):
        for folder in ("app", "public"):
            for language in SUFFIXES:
                write_program(language, made.root / folder / "tell")
        program = write_program("C", made.root / "app" / "bin" / "secret")
        program.rename(program.with_suffix(""))
        made.token = made.signed_in().token
        yield made


# ── the printed configuration ───────────────────────────────────────────────────────────────────────────────────────


def test_lighttpd_accepts_what_is_printed(site):
    done = site.nginx.test()
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_without_a_socket_there_is_nothing_to_print_but_for_lighttpds_own_processes(gatehouse):
    gatehouse.config.update({"listen": [], "listen_http": ["unix:/run/h"]})
    gatehouse.write_config()
    for part in ("authorizer", "gateway"):
        refused = gatehouse.run("snippet", "lighttpd", "--part", part, check=1)
        assert refused.stdout.startswith("gatehouse_snippet_failed; #") and "listen: there is no" in refused.stderr
    printed = gatehouse.run("snippet", "lighttpd", "--part", "spawned", check=0).stdout
    assert f'"GATEHOUSE_CONFIG" => "{gatehouse.config_file}"' in printed


@pytest.mark.parametrize(
    "listen, address",
    [
        (["unix:/run/f", "unix:/run/second"], '"socket" => "/run/f"'),
        (["tcp:192.0.2.1:9000", "unix:/run/f"], '"socket" => "/run/f"'),
        (["tcp:127.0.0.1:9000"], '"host" => "127.0.0.1", "port" => 9000'),
        (["tcp:[::1]:9000"], '"host" => "::1", "port" => 9000'),
    ],
)
def test_it_names_the_first_unix_socket_or_else_the_first_address(gatehouse, listen, address):
    gatehouse.config["listen"] = listen
    gatehouse.write_config()
    for part in ("authorizer", "gateway"):
        assert address in gatehouse.run("snippet", "lighttpd", "--part", part, check=0).stdout


def test_it_takes_out_the_configured_headers_and_opens_no_more_than_the_endpoints(gatehouse):
    changes = {"identity": {"headers": {"X-User": "user.username", "remote-user": "user.id"}}}
    gatehouse.config.update({**changes, "endpoints": {"prefix": "/sign"}, "login": {"url": "https://x.example/"}})
    gatehouse.config["login"]["enabled"] = False
    gatehouse.write_config()
    printed = gatehouse.run("snippet", "lighttpd", check=0).stdout
    assert '    "X-User" => "",\n' in printed and '    "remote-user" => "",\n' in printed
    assert "Remote-User" not in printed  # lighttpd takes no name twice
    assert [line.split('"')[1] for line in printed.splitlines() if line.endswith("=> ((")] == [
        "/sign/logout",
        "/sign/session",
        "/",
    ]


# ── who is let in ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def door():
    """The authorizer door with the pages and routes of the table of decisions."""
    with contextlib.closing(LighttpdSite(pages={}, routes=door_routes())) as made:
        for path in DOOR_PAGES.values():
            write_program("PHP", made.root / path.strip("/").removesuffix(".php"))
        made.guests = Guests(made.gatehouse)
        yield made


@pytest.mark.parametrize("visitor", VISITORS)
def test_decisions_are_those_of_the_table_but_no_cookie_goes_with_a_page(door, visitor):
    def right(page):
        outcome = wanted(visitor, page)
        delivered = outcome.decision != "let in"  # lighttpd drops every header of a 200
        return outcome if delivered else type(outcome)(outcome.decision, outcome.user, outcome.state)

    got = outcomes(door, visitor)
    assert got == {cell: right(cell[0]) for cell in got}


def test_an_idle_session_is_extended_and_never_rotated(door):
    guests, gatehouse = door.guests, door.gatehouse
    token = guests.session(guests.alice, active=-HOUR, idle=HOUR)
    visitor = door.visitor()
    for _ in range(3):
        visitor.token = token
        assert visitor.show("/app/show.php")["env"]["GATEHOUSE_SESSION_STATE"] == "active"
    [row] = gatehouse.query("SELECT active_expires FROM user_session WHERE id = ?", row_id(token))
    assert row["active_expires"] > time.time() * 1000 + HOUR
    assert gatehouse.query("SELECT id FROM rotated_session WHERE id = ?", row_id(token)) == []


@pytest.fixture
def refused_store(door):
    """The door while its store cannot be asked."""
    door.gatehouse.query("ALTER TABLE user_session RENAME TO gone")
    yield door
    door.gatehouse.query("ALTER TABLE gone RENAME TO user_session")


def test_a_store_that_fails_refuses_and_leaves_the_cookie_alone(refused_store):
    visitor = refused_store.visitor()
    visitor.token = refused_store.guests.token("valid")
    for ask in (visitor.fetch, visitor.navigate):
        for path in ("/app/show.php", "/public/show.php"):
            answer = ask(path)
            assert answer.status_code == 503 and answer.headers["Retry-After"]
            assert session_cookies(answer) == [] and "env" not in answer.text


@pytest.mark.parametrize("ask, status", [("navigate", 302), ("fetch", 401)])
def test_a_dead_sessions_cookie_is_removed_with_the_refusal(door, ask, status):
    visitor = door.visitor()
    visitor.token = door.guests.token("dead")
    answer = getattr(visitor, ask)("/app/show.php")
    assert answer.status_code == status and answer.headers["Cache-Control"] == "no-store"
    [line] = session_cookies(answer)
    assert is_removal(line)


def test_the_whole_circle(site):
    visitor = site.visitor()
    refused = visitor.navigate("/app/page.html?a=%2F&b=+")
    assert refused.status_code == 302
    login = urllib.parse.urlsplit(refused.headers["Location"])
    assert login.path == "/auth/login" and urllib.parse.parse_qs(login.query) == {"rd": ["/app/page.html?a=%2F&b=+"]}
    assert visitor.sign_in("alice", "wrong password, really").status_code == 401
    arrived = visitor.sign_in("alice", rd="/app/page.html?a=%2F&b=+")
    assert arrived.status_code == 303 and arrived.headers["Location"] == "/app/page.html?a=%2F&b=+"
    assert visitor.navigate("/app/page.html").text == "a page of app"
    assert visitor.fetch("/auth/session").json()["user"]["username"] == "alice"
    refused = visitor.navigate("/admin/page.html")
    assert refused.status_code == 403 and refused.headers["Content-Type"].startswith("text/html")
    assert visitor.navigate("/auth/logout").status_code == 405
    assert visitor.sign_out(headers={"Origin": "https://evil.example"}).status_code == 403
    assert visitor.navigate("/app/page.html").status_code == 200
    token = visitor.token
    assert visitor.sign_out().status_code == 303
    assert visitor.token is None
    visitor.token = token
    assert visitor.fetch("/app/page.html").status_code == 401


def test_a_body_reaches_the_application_whole(site):
    visitor = site.visitor()
    visitor.token = site.token
    body = os.urandom(300_000)
    for suffix in (".cgi", ".pl", ".py"):
        assert visitor.fetch(f"/app/tell{suffix}", method="POST", data=body).json()["body_length"] == len(body)
    text = visitor.fetch("/app/tell.php", method="POST", data=b"a" * 300_000).json()["post"]
    assert text == "a" * 300_000
    visitor.token = None
    assert visitor.fetch("/app/tell.cgi", method="POST", data=body).status_code == 401


def test_a_head_is_decided_as_a_get_and_has_no_body(site):
    for path, signed_in, status in DECIDED:
        answer = send(site, path, signed_in=signed_in, method="HEAD")
        assert (answer.status, answer.body) == (status, b"")


# ── what a program is told ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", SUFFIXES)
def test_programs_in_every_language_are_told_who_it_is(site, language):
    path = f"/app/tell{SUFFIXES[language]}"
    evil = [f"{name}: {EVIL}" for name in OWNED]
    env = json.loads(send(site, path, "X-Mine: kept", *evil, signed_in=True).body)["env"]
    assert_clean(env, True)
    identity = {
        "REMOTE_USER": "alice",
        "AUTH_TYPE": "Gatehouse",
        "GATEHOUSE_USER_ID": site.alice_id,
        "GATEHOUSE_SESSION_STATE": "active",
        "HTTP_REMOTE_USER": "alice",
        "HTTP_REMOTE_NAME": "Alice Example",
        "HTTP_REMOTE_EMAIL": "alice@example.org",
        "HTTP_REMOTE_GROUPS": "staff,ops",
    }
    assert {name: env.get(name) for name in identity} == identity
    assert env["HTTP_X_MINE"] == "kept"
    env = json.loads(send(site, path.replace("/app/", "/public/"), *evil).body)["env"]
    assert_clean(env, False)
    nobody = {name: "" if name.startswith("HTTP_") else None for name in identity}
    assert {name: env.get(name) for name in identity} == nobody


def assert_clean(env, signed_in):
    assert EVIL not in json.dumps(env), {k: v for k, v in env.items() if EVIL in f"{k}{v}"}
    assert env.get("REMOTE_USER") == ("alice" if signed_in else None)
    assert env["HTTP_REMOTE_USER"] == ("alice" if signed_in else "")
    assert env["HTTP_REMOTE_GROUPS"] == ("staff,ops" if signed_in else "")


# Of two variables of one name a C program sees the first, PHP the last.
@pytest.mark.parametrize("language", ["C", "PHP"])
@pytest.mark.parametrize("name", OWNED)
def test_no_spelling_of_a_name_of_ours_reaches_a_program(site, name, language):
    for page, signed_in in CASES:
        page = page.rpartition("/")[0] + "/tell" + SUFFIXES[language]
        for spelling in spellings(name):
            value = f"Basic {EVIL}" if name == "Authorization" else EVIL
            answer = send(site, page, f"{spelling}: {value}", signed_in=signed_in)
            # lighttpd takes out the name that it is told, in upper and lower case; with others nobody passes.
            right = (200,) if spelling.lower() == name.lower() else (400, 403)
            assert answer.status in right, (spelling, answer.status)
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], signed_in)
        doubled = [f"{name}: {EVIL}1", f"{name.upper()}: {EVIL}2"]
        answer = send(site, page, *doubled, signed_in=signed_in)
        assert answer.status == 200
        assert_clean(json.loads(answer.body)["env"], signed_in)


@pytest.mark.parametrize("line", [b"Remote-User : x", b"Remote User: x", b"Remote-User\0: x", b": x"])
def test_a_name_that_is_none_reaches_nobody(site, line):
    for path, signed_in in CASES:
        answer = send(site, path, line.replace(b": x", b": " + EVIL.encode()), signed_in=signed_in)
        assert answer.status in (200, 400), line
        if answer.status == 200:
            assert_clean(json.loads(answer.body)["env"], signed_in)


def test_a_line_that_begins_with_a_space_belongs_to_the_one_before(site):
    env = json.loads(send(site, "/public/tell.cgi", "X-Mine: kept", f" Remote-User: {EVIL}").body)["env"]
    assert env.pop("HTTP_X_MINE").startswith("kept ")
    assert_clean(env, False)


def is_taken_out(line):
    """Whether lighttpd is told this very name."""
    name = line.partition(":")[0].lower()
    return name in ("remote-user", "remote-groups", "x-gatehouse-user")


def is_ours(line):
    name = line.partition(":")[0].lower().replace("_", "-")
    return name.startswith(("remote-", "x-gatehouse-", "variable-"))


@pytest.mark.parametrize("name", INTERNAL)
def test_no_header_of_the_visitors_moves_a_decision(site, name):
    value = INTERNAL[name]
    alias = name.replace("-", "_").upper()
    for lines in ([f"{name}: {value}"], [f"{alias}: {value}"], [f"{name}: {value}"] * 2):
        for path, signed_in, status in DECIDED:
            answer = send(site, path, *lines, signed_in=signed_in)
            # Who would be let in is not, with a name of ours that lighttpd leaves in; unless it says what is true.
            is_true = signed_in and lines[0] == "REMOTE_USER: alice"
            is_refused = status == 200 and is_ours(lines[0]) and not is_taken_out(lines[0]) and not is_true
            right = {403} if is_refused else {status, 206} if status == 200 and name == "Range" else {status}
            assert answer.status in right or (len(lines) == 2 and answer.status == 400), (lines, path, answer.status)


def test_the_address_of_a_session_is_the_visitors(site):
    address, _ = address_of_who_says_another(site)
    assert address == "127.0.0.1"


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TARGETS = {
    **targets_of("lighttpd"),
    # By both paths: the visitor's, and the one that lighttpd serves.
    "/public/rewritten/open": (PUBLIC, PUBLIC),
    "/public/rewritten/admin": (401, 403),
    "/app/rewritten/open": (401, PUBLIC),
}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_decided_is_what_is_served(site, target):
    assert served(site, target) == TARGETS[target]


@pytest.mark.parametrize("path", ["/app/bin/secret", "/app/secret-file"])
@pytest.mark.parametrize(
    "below",
    ["", "/", "//", "/x", "//x", "/x.html", "/../{name}/x", "/%78"],
)
def test_a_rule_for_a_file_binds_what_is_called_below_it(site, path, below):
    # lighttpd runs a program, and sends a file, for every longer path as well.
    nobody, alice = served(site, path + below.replace("{name}", path.rpartition("/")[2]))
    assert nobody in (401, 403) and alice == 403


@pytest.mark.parametrize(
    "target",
    [
        *("/auth/check", "/auth/check?x", "/auth/check/", "/auth//check", "/auth/%63heck", "/x/../auth/check"),
        *("/auth/check/public/page.html", "/auth/check/app/page.html", "/auth//check/public/page.html"),
        *("/auth/forward", "/auth/forward/", "/auth/%66orward", "/auth/checker", "/auth/", "/auth/nothing"),
        *("/auth/session/x", "/auth/logoutx"),
    ],
)
def test_what_only_web_servers_ask_is_not_there_for_visitors(site, target):
    for signed_in in (False, True):
        for lines in ((), ("X-Original-URI: /public/page.html",), ("X-Forwarded-Uri: /public/page.html",)):
            assert send(site, target, *lines, signed_in=signed_in).status in (403, 404)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "TRACE"])
def test_a_method_opens_nothing(site, method):
    for path, signed_in, status in DECIDED:
        if status == 200:
            continue
        lines = ["Content-Length: 0"] if method in ("POST", "PUT") else []
        answer = send(site, path, *lines, signed_in=signed_in, method=method)
        assert answer.status == (403 if method == "TRACE" else status), path


def test_trace_echoes_nothing(site):
    for path, signed_in, _ in DECIDED:
        answer = send(site, path, "X-Secret: seven", signed_in=signed_in, method="TRACE")
        assert answer.status == 403 and b"seven" not in answer.body and site.token.encode() not in answer.body


def test_a_visitor_of_http_1_0_may_name_no_host(site):
    for path, right in (("/public/page.html", 200), ("/app/page.html", 401), ("/closed/page.html", 403)):
        assert site.raw(f"GET {path} HTTP/1.0\r\n\r\n".encode()).status == right, path


# ── gatehouse away ──────────────────────────────────────────────────────────────────────────────────────────────────


def soon(text):
    """The printed configuration with less patience, so that the test needs none either."""
    assert '"read-timeout" => 3,' in text
    return text.replace('"read-timeout" => 3,', '"read-timeout" => 1,')


@pytest.fixture(scope="module", params=["authorizer", "gateway"])
def faulty(request):
    """A site of its own, since the others are not to wait while it is down."""
    made = LighttpdSite() if request.param == "authorizer" else LighttpdGatewaySite()
    with contextlib.closing(made):
        made.token = made.signed_in().token
        yield made


def assert_closed(site, right, paths):
    cells = [(path, signed_in) for path in paths for signed_in in (False, True)]
    with concurrent.futures.ThreadPoolExecutor(len(cells)) as pool:
        for answer in pool.map(lambda cell: send(site, cell[0], signed_in=cell[1]), cells):
            assert answer.status == right and b"a page" not in answer.body


def test_a_gatehouse_that_is_down_lets_nobody_in(faulty):
    faulty.gatehouse.stop()
    try:
        assert_closed(faulty, 503, ("/page.html", "/public/page.html", "/app/show.php", "/", "/auth/login", "/show"))
    finally:
        faulty.gatehouse.start()
    # lighttpd tries again after a second.
    wait_until(lambda: send(faulty, "/public/show.php", signed_in=True).status == 200, "lighttpd asks again")


def test_a_gatehouse_that_is_frozen_lets_nobody_in():
    with contextlib.closing(LighttpdSite(edit=soon)) as site:
        site.token = site.signed_in().token
        site.gatehouse.process.send_signal(signal.SIGSTOP)
        try:
            assert_closed(site, 504, ("/page.html", "/public/page.html", "/public/show.php"))
        finally:
            site.gatehouse.process.send_signal(signal.SIGCONT)
        wait_until(lambda: send(site, "/page.html", signed_in=True).status == 200, "it goes on where it was")


# ── the gateway door ────────────────────────────────────────────────────────────────────────────────────────────────


def write_pages(gatehouse):
    tell = write_program("C", gatehouse.folder / "tell")
    for path in [*DOOR_PAGES.values(), "/open/show"]:
        script = gatehouse.root / path.strip("/")
        script.parent.mkdir(exist_ok=True)
        shutil.copy(tell, script)


def open_gateway(kind, **config):
    made = (LighttpdGatewaySite if kind == "socket" else LighttpdSpawnedSite)(**config)
    made.guests = Guests(made.gatehouse)
    return made


@pytest.fixture(scope="module", params=["socket", "spawned"])
def gateway(request):
    routes = [
        *door_routes(downstream="scripts"),
        {"path": "/elsewhere/**", "access": "deny"},  # of the table: what no route matches
        {"path": "/open/**", "access": "public", "downstream": "scripts"},
        {"path": "/**", "access": "authenticated", "downstream": "scripts"},
    ]
    with contextlib.closing(open_gateway(request.param, prepare=write_pages, routes=routes)) as made:
        yield made


@pytest.mark.parametrize("visitor", VISITORS)
def test_decisions_of_the_gateway_door_are_those_of_the_table(gateway, visitor):
    got = outcomes(gateway, visitor)
    assert got == {cell: wanted(visitor, page=cell[0]) for cell in got}


@pytest.mark.parametrize("target, expected", PATHS)
def test_paths_of_the_gateway_door(gateway, target, expected):
    if "%c0%ae" in target:
        expected = 400  # no UTF-8: lighttpd itself
    answer = gateway.raw_get(target, "Accept: */*")
    check_path(target, expected, answer.status, answer.body)


@pytest.mark.parametrize("name", OWNED)
def test_no_spelling_of_a_name_of_ours_reaches_a_script(gateway, name):
    for path, token in (("/open/show", None), ("/open/show", gateway.guests.token("valid"))):
        for spelling in spellings(name):
            cookie = [f"Cookie: session={token}"] if token else []
            answer = gateway.raw_get(path, f"{spelling}: {EVIL}", *cookie)
            assert answer.status in (200, 400), spelling
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], token is not None)


def test_answers_and_uploads_of_any_length_pass_whole(gateway):
    visitor = gateway.visitor()
    visitor.token = gateway.guests.token("valid")
    assert visitor.fetch("/large").content == bytes(20 << 20)
    body = os.urandom(3 << 20)
    assert visitor.fetch("/echo", method="POST", data=body).content == body
    # Without a length it gets one from lighttpd.
    shown = visitor.show("/show", method="POST", data=iter([b"a" * 70_000, b"b"]))
    assert shown["body_length"] == 70_001 and shown["env"]["CONTENT_LENGTH"] == "70001"


def test_what_a_script_says_is_what_the_visitor_gets(gateway):
    visitor = gateway.visitor()
    visitor.token = gateway.guests.token("valid")
    assert [line.split(";")[0] for line in set_cookies(visitor.fetch("/cookies"))] == ["first=1", "second=2"]
    assert [visitor.fetch(f"/status?{code}").status_code for code in (204, 206, 404, 418)] == [204, 206, 404, 418]
    answer = visitor.fetch("/hang")
    assert answer.status_code == 504 and answer.headers["X-Request-Id"]
    assert visitor.fetch("/silent").status_code == 502


# ── processes that lighttpd starts ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def spawned():
    with contextlib.closing(open_gateway("spawned")) as made:
        yield made


def test_all_processes_serve_one_store(spawned):
    token = spawned.signed_in().token
    sockets = sorted(spawned.nginx.folder.glob("spawned.sock-*"))
    assert len(sockets) == len(spawned.processes()) == 2

    def statuses():
        answers = []
        for path in sockets:
            with FastCgi(path) as connection:
                answers.append(connection.request(get("/show", cookie=token)).status)
        return answers

    assert statuses() == [200, 200]
    spawned.gatehouse.run("session", "revoke", "--user", "alice", check=0)
    assert statuses() == [401, 401]


def test_a_process_that_was_killed_is_started_again(spawned):
    visitor = spawned.signed_in()
    before = spawned.processes()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(spawned.processes()) - set(before)) == 2, "lighttpd has started both again")
    wait_until(lambda: visitor.fetch("/show").status_code == 200, "they answer")


def test_a_restart_leaves_no_process_behind(spawned):
    visitor = spawned.signed_in()
    before = spawned.processes()
    # As `systemctl reload` has it.
    spawned.nginx.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: not any(is_alive(pid) for pid in before), "the old ones have gone")
    wait_until(lambda: len(spawned.processes()) == 2, "there are new ones")
    wait_until(lambda: visitor.fetch("/show").status_code == 200, "they answer")
    before = spawned.processes()
    spawned.nginx.stop()
    wait_until(lambda: not any(is_alive(pid) for pid in before), "they have gone with lighttpd")
    spawned.nginx.start()
    visitor.url = spawned.url
    assert visitor.fetch("/show").status_code == 200


def test_a_process_of_lighttpds_knows_nothing_of_its_environment(spawned):
    visitor = spawned.signed_in()
    env = visitor.show("/show")["env"]
    assert "GATEHOUSE_CONFIG" not in env and "TMPDIR" not in env
    kept = {"PATH", "LANG", "TZ", "GATEHOUSE_CONFIG", "PHP_FCGI_CHILDREN", "FCGI_WEB_SERVER_ADDRS"}
    for pid in spawned.processes():
        names = {
            entry.split(b"=")[0].decode() for entry in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        }
        assert names - {""} <= kept
