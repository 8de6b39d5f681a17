"""Apache asks about every page before it serves it: by mod_authnz_fcgi, which asks the daemon, and by mod_fcgid's access
checker, which asks processes that Apache starts. What every door has in common is in test_doors and test_family."""

import contextlib
import dataclasses
import http.server
import itertools
import json
import os
import signal
import socket
import threading

import pytest

from apache import AccessCheckerSite, AuthorizerSite
from door_table import VISITORS, Guests, outcomes, row_id, wanted
from harness import LONG, wait_until
from languages import SUFFIXES, write_program
from page_table import APP, CASES, DECIDED, INTERNAL, OWNED, PAGES, PUBLIC, ROUTES
from page_table import address_of_who_says_another, send, served, targets_of
from test_spoofing import EVIL, spellings
from visitor import PASSWORD, Form, is_removal, session_cookies, set_cookies

KINDS = {"mod_authnz_fcgi": AuthorizerSite, "mod_fcgid": AccessCheckerSite}
# A site's own lines.
MORE = """
    <Directory "{root}">
        AllowOverride All
    </Directory>
    <Files "forbidden*">
        Require all denied
    </Files>
    ErrorDocument 404 /public/page.html
    # An application behind HTTP.
    ProxyPass "/public/proxied" "http://127.0.0.1:{port}/"
    ProxyPass "/app/proxied" "http://127.0.0.1:{port}/"
    # Where a site itself would let everybody in.
    <Location "/app/lenient">
        Require all granted
        Satisfy Any
    </Location>
"""
# What a folder says of itself.
REWRITING = """
RewriteEngine On
RewriteRule ^to-admin$ /admin/page.html [L]
RewriteRule ^to-public$ /public/page.html [L]
RewriteRule ^to-app$ /app/page.html [L]
RewriteRule ^to-hidden$ /app/hidden/index.html [L]
"""
REWRITTEN = {
    "/public/to-admin": (401, 403),
    "/public/to-public": (PUBLIC, PUBLIC),
    "/public/to-app": (401, APP),
    "/app/to-public": (401, PUBLIC),
    # Within what is one folder to Apache.
    "/app/to-hidden": (401, 403),
}
MORE_PAGES = {
    "public/.htaccess": REWRITING,
    "app/.htaccess": REWRITING,
    "app/lenient/.htaccess": "Satisfy Any\nRequire all granted\n",
    "app/lenient/page.html": "a page of a lenient folder",
    "app/forbidden.html": "what the site forbids by itself",
    "public/forbidden.html": "what the site forbids by itself",
}


def new_site(kind, **more):
    return KINDS[kind](**{"pages": PAGES, "routes": ROUTES, **more})


class TellHeaders(http.server.BaseHTTPRequestHandler):
    """An application that tells the headers it got."""

    def do_GET(self):
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def application():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), TellHeaders) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module", params=KINDS)
def site(request, application):
    lines = MORE.replace("{port}", str(application))
    modules = ("rewrite", "proxy_http")
    made = new_site(request.param, more=lines, pages={**PAGES, **MORE_PAGES}, modules=modules)
    with contextlib.closing(made):
        made.kind = request.param
        for folder in ("app", "public"):
            for language in SUFFIXES:
                write_program(language, made.root / folder / "tell")
        made.token = made.signed_in().token
        made.guests = Guests(made.gatehouse)
        yield made


def env_of(answer):
    assert answer.status == 200, f"{answer.status} {answer.body}"
    return json.loads(answer.body)["env"]


# ── the configuration ───────────────────────────────────────────────────────────────────────────────────────────────


def test_apache_takes_what_is_printed_without_a_word_against_it(site):
    done = site.nginx.test()
    assert (done.returncode, done.stderr.strip()) == (0, "Syntax OK")


# ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("visitor", VISITORS)
def test_decisions_are_those_of_the_table(site, visitor):
    got = outcomes(site, visitor)
    right = {cell: wanted(visitor, page=cell[0]) for cell in got}
    if site.kind == "mod_authnz_fcgi":
        # Nobody is let in by a subrequest, which delivers no cookie.
        right = {
            cell: dataclasses.replace(each, cookie="untouched")
            if cell[0] == "public" and each.cookie == "removed"
            else each
            for cell, each in right.items()
        }
    assert got == right


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_method_opens_nothing(site, method):
    for path, signed_in, status in DECIDED:
        if status == 200:
            continue
        lines = ["Content-Length: 0"] if method in ("POST", "PUT") else []
        assert send(site, path, *lines, signed_in=signed_in, method=method).status == status, path


def test_trace_is_refused(site):
    for path, signed_in, _ in DECIDED:
        answer = send(site, path, "X-Secret: kept", signed_in=signed_in, method="TRACE")
        assert answer.status == 405 and b"kept" not in answer.body


def test_a_body_reaches_the_script_after_the_question(site):
    body = b"x" * 70000
    for suffix in (".cgi", ".pl", ".py"):
        lines = f"POST /app/tell{suffix} HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\n"
        lines += f"Cookie: session={site.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = site.raw(lines.encode() + body)
        assert answer.status == 200 and json.loads(answer.body)["body_length"] == len(body)


# ── what a site says itself ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_site_forbids_stays_forbidden(site):
    for path in ("/app/forbidden.html", "/public/forbidden.html"):
        for signed_in in (False, True):
            answer = send(site, path, signed_in=signed_in)
            assert answer.status in (401, 403) and b"forbids" not in answer.body, path


def test_satisfy_any_and_granted_to_all_open_nothing(site):
    assert served(site, "/app/lenient/page.html") == (401, "a page of a lenient folder")
    assert b"lenient" not in send(site, "/app/lenient/page.html").body


@pytest.mark.parametrize("target", REWRITTEN)
def test_what_a_folder_rewrites_to_is_decided_too(site, target):
    nobody, alice = REWRITTEN[target]
    # The login that mod_fcgid makes of a refusal knows what was asked for, and not what that led to.
    assert served(site, target) == (nobody, 401 if (site.kind, alice) == ("mod_fcgid", 403) else alice)


def test_a_page_that_is_missing_is_404_and_shows_the_sites_own_page(site):
    answer = send(site, "/public/missing.html")
    # mod_fcgid asks about the error's page, too, and Apache forgets over the answer which error it was.
    assert answer.status == (404 if site.kind == "mod_authnz_fcgi" else 200)
    assert answer.body == PUBLIC.encode()


# ── what scripts are told ───────────────────────────────────────────────────────────────────────────────────────────

IDENTITY = {
    "REMOTE_USER": "alice",
    "AUTH_TYPE": "Gatehouse",
    "GATEHOUSE_SESSION_STATE": "active",
    "HTTP_REMOTE_USER": "alice",
    "HTTP_REMOTE_NAME": "Alice Example",
    "HTTP_REMOTE_EMAIL": "alice@example.org",
    "HTTP_REMOTE_GROUPS": "staff,ops",
}
NOBODY = {name: "" if name.startswith("HTTP_") else None for name in [*IDENTITY, "GATEHOUSE_USER_ID"]}


@pytest.mark.parametrize("path", ["/app/tell", "/public/tell", "/public/tell nobody"])
def test_scripts_in_four_languages_are_told_the_same(site, path):
    path, _, nobody = path.partition(" ")
    told = {}
    for language, suffix in SUFFIXES.items():
        answer = send(site, f"{path}{suffix}/extra?a=1", "X-Of-The-Visitor: kept", signed_in=not nobody)
        told[language] = env_of(answer)
    right = NOBODY if nobody else {**IDENTITY, "GATEHOUSE_USER_ID": site.alice_id}
    for language, env in told.items():
        assert {name: env.get(name) for name in right} == right, language
        assert (env["HTTP_X_OF_THE_VISITOR"], env["PATH_INFO"], env["QUERY_STRING"]) == ("kept", "/extra", "a=1")
        assert not any(name.startswith("REDIRECT_") and name != "REDIRECT_STATUS" for name in env)


@pytest.mark.parametrize("name", OWNED)
def test_no_spelling_of_a_name_of_ours_reaches_a_script(site, name):
    for path, signed_in in CASES:
        for path in (path, path.replace("show.php", "tell.cgi")):
            for spelling in spellings(name):
                value = f"Basic {EVIL}" if name == "Authorization" else EVIL
                answer = send(site, path, f"{spelling}: {value}", signed_in=signed_in)
                assert answer.status in (200, 400), (spelling, answer.status)
                if answer.status == 200:
                    assert_clean(env_of(answer), signed_in)
            lines = [f"{spelling}: {EVIL}{n}" for spelling in spellings(name)[:6] for n in range(2)]
            answer = send(site, path, *lines, signed_in=signed_in)
            assert answer.status == 200
            assert_clean(env_of(answer), signed_in)


def assert_clean(env, signed_in):
    assert EVIL not in json.dumps(env), {k: v for k, v in env.items() if EVIL in f"{k}{v}"}
    right = IDENTITY if signed_in else NOBODY
    assert {name: env.get(name) for name in right} == right
    assert not {"HTTP_PROXY", "HTTP_AUTHORIZATION", "PHP_AUTH_USER", "HTTP_REDIRECT_STATUS"} & set(env)


@pytest.mark.parametrize("name", [name for name in OWNED if name != "Redirect-Status"])
def test_no_spelling_of_a_name_of_ours_reaches_an_application_behind_http(site, name):
    """Not with a '_' either, which it may read as a '-'."""
    for path, signed_in in (("/public/proxied", False), ("/public/proxied", True), ("/app/proxied", True)):
        given = [
            name,
            name.lower(),
            *{"".join(each) for each in itertools.product(*[("-_" if c == "-" else c) for c in name])},
        ]
        answer = send(site, path, *[f"{each}: {EVIL}" for each in given], "X-Mine: kept", signed_in=signed_in)
        assert answer.status == 200 and EVIL not in answer.body.decode()
        headers = json.loads(answer.body)
        ours = {each: value for each, value in headers if each.startswith("remote-")}
        assert ours == {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value if signed_in else ""
            for name, value in IDENTITY.items()
            if name.startswith("HTTP_")
        }
        assert len([each for each, _ in headers if each.startswith("remote-")]) == len(ours)
        assert ["x-mine", "kept"] in headers


@pytest.mark.parametrize(
    "value",
    [
        "Remote-User",
        "close, remote-user,REMOTE-GROUPS",
        "Remote-RemRemote-Userote-User, Remote-User",
        "Remote-User\r\nConnection: Remote-Name, Remote-Email",
    ],
)
def test_no_connection_header_takes_the_user_from_an_application_behind_http(site, value):
    answer = send(site, "/app/proxied", f"Connection: {value}", signed_in=True)
    headers = dict(json.loads(answer.body))
    ours = {name.removeprefix("HTTP_").replace("_", "-").lower(): told for name, told in IDENTITY.items()}
    assert {name: headers.get(name) for name in ours if name.startswith("remote-")} == {
        name: told for name, told in ours.items() if name.startswith("remote-")
    } | {"remote-user": "alice"}


@pytest.mark.parametrize("name", INTERNAL)
def test_no_header_of_the_visitors_moves_a_decision(site, name):
    value = INTERNAL[name]
    alias = name.replace("-", "_").upper()
    for lines in ([f"{name}: {value}"], [f"{alias}: {value}"], [f"{name}: {value}"] * 2):
        for path, signed_in, status in DECIDED:
            right = {status, 206} if status == 200 and name == "Range" else {status}
            # Names that begin as ours do are refused, which mod_fcgid makes 401 of.
            if name.startswith(("X-Gatehouse-", "Variable-")):
                right |= {401, 403}
            got = send(site, path, *lines, signed_in=signed_in).status
            assert got in right or (len(lines) == 2 and got == 400), (lines, path)


def test_the_address_of_a_session_is_the_visitors(site):
    address, _ = address_of_who_says_another(site)
    assert address == "127.0.0.1"


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", targets_of("apache"))
def test_what_is_decided_is_what_is_served(site, target):
    table = targets_of("apache" if site.kind == "mod_authnz_fcgi" else "apache with mod_fcgid")
    right = table[target]
    # The site's own page stands in the place of Apache's 404 and, by mod_fcgid, of its status.
    got = tuple(404 if each == PUBLIC and right[i] == 404 else each for i, each in enumerate(served(site, target)))
    assert got == right


def test_the_question_itself_is_not_there_for_visitors(site):
    for path in ("/auth/check", "/auth/forward", "/auth/-", "/auth/", "/auth/nothing", "/auth//check", "/auth/%63heck"):
        for signed_in in (False, True):
            assert send(site, path, signed_in=signed_in).status in (401, 403, 404), path


# ── cookies ─────────────────────────────────────────────────────────────────────────────────────────────────────────

RENEWING = ["/app/page.html", "/app/tell.cgi", "/app/tell.php", "/app/tell.pl/extra", "/public/folder/", "/app/missing"]


@pytest.mark.parametrize("path", RENEWING)
def test_a_renewed_cookie_comes_once_and_no_script_knows_it(site, path):
    token = site.guests.token("idle")
    visitor = site.visitor()
    visitor.token = token
    answer = visitor.fetch(path)
    [line] = session_cookies(answer)
    new = line.split(";")[0].partition("=")[2]
    assert new != token and answer.headers["Cache-Control"] == "no-store"
    assert new not in answer.text
    assert [row["id"] for row in site.gatehouse.query("SELECT id FROM user_session WHERE id = ?", row_id(new))]
    # It is the one that holds.
    assert not session_cookies(visitor.fetch("/app/page.html"))


def test_an_active_session_gets_no_cookie(site):
    for path in (*RENEWING, "/public/page.html"):
        answer = send(site, path, signed_in=True)
        assert not set_cookies(answer) and answer.headers["Cache-Control"] is None, path


def test_a_page_tells_the_visitor_nothing_of_ours(site):
    for path in ("/app/page.html", "/app/tell.cgi", "/app/tell.php", "/public/folder/"):
        names = {name.lower() for name in send(site, path, signed_in=True).headers}
        assert not {name for name in names if name.startswith(("variable-", "x-gatehouse", "remote-"))}, path


# ── the login ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_login_leads_back_to_the_page_and_the_logout_out(site):
    visitor = site.visitor()
    page = "/app/tell.cgi?a=%2F&b=+%20"
    answer = visitor.navigate(page)
    if answer.status_code == 302:
        answer = visitor.navigate(answer.headers["Location"])
    form = Form(answer.text)
    assert answer.status_code == 200 and form.fields["rd"] == page
    assert form.action.startswith("/auth/login") or form.action == ""
    answer = visitor.post(form.action or "/auth/login", data={**form.fields, "username": "alice", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert visitor.navigate(page).json()["env"]["REMOTE_USER"] == "alice"
    answer = visitor.sign_out()
    assert answer.status_code == 303 and is_removal(session_cookies(answer)[0])
    assert visitor.fetch(page).status_code == 401


def test_a_form_that_nobody_sends_is_told_401_and_not_lost_in_a_redirect(site):
    answer = site.visitor().post("/app/tell.cgi", data={"a": "b"}, headers={"Accept": "*/*", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 401


def test_who_is_refused_is_told_so(site):
    visitor = site.signed_in()
    answer = visitor.navigate("/admin/page.html")
    assert answer.status_code == 403 and "password" not in Form(answer.text).fields


# ── nobody answers ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def own_site(request, track):
    made = track(new_site("mod_authnz_fcgi"))
    made.token = made.signed_in().token
    return made


ALL = ["/public/page.html", "/app/page.html", "/admin/page.html", "/closed/page.html", "/app/show.php"]


def test_without_gatehouse_nothing_is_served(own_site):
    own_site.gatehouse.stop()
    for path in ALL:
        for signed_in in (False, True):
            assert send(own_site, path, signed_in=signed_in).status == 500, path
    own_site.gatehouse.start()
    assert send(own_site, "/app/page.html", signed_in=True).body == APP.encode()


def test_a_frozen_gatehouse_holds_the_page_back(own_site):
    process = own_site.gatehouse.process
    request = f"GET /app/page.html HTTP/1.0\r\nCookie: session={own_site.token}\r\n\r\n".encode()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", own_site.nginx.port), LONG) as connection:
            connection.sendall(request)
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            os.kill(process.pid, signal.SIGCONT)
            connection.settimeout(LONG)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
    finally:
        os.kill(process.pid, signal.SIGCONT)


def record(kind, content=b"", request_id=1):
    return bytes([1, kind, 0, request_id, *len(content).to_bytes(2, "big"), 0, 0]) + content


def end(status=0):
    return record(3, bytes([0, 0, 0, 0, status, 0, 0, 0]))


# What is no answer of Gatehouse's, but might be one of something in its place.
BROKEN = {
    "nothing": b"",
    "an end": end(),
    "overloaded": end(2),
    "unknown role": end(3),
    "an error line": record(7, b"oops") + end(),
    "half a head": record(6, b"Status: 200\r\nVariable-REMOTE_USER: alice\r\n") + end(),
    "half a record": record(6, b"Status: 200\r\n\r\n")[:-4],
    "no end": record(6, b"Status: 200\r\n\r\n"),
    "another request": record(6, b"Status: 200\r\n\r\n", 2) + end(),
    "204": record(6, b"Status: 204\r\n\r\n") + end(),
    "206": record(6, b"Status: 206\r\n\r\n") + end(),
}


# What the same impostor says well.
GOOD = record(6, b"Status: 200\r\nVariable-REMOTE_USER: alice\r\n\r\n") + record(6) + end()


def test_a_broken_answer_serves_no_page(own_site):
    own_site.gatehouse.stop()
    current = []

    def answer(connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(LONG)
            received = b""
            # The empty PARAMS record ends what an authorizer is told.
            while not received.endswith(record(4)) and (data := connection.recv(65536)):
                received += data
            connection.sendall(current[0])

    with socket.create_server(("127.0.0.1", own_site.port)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    answer(listener.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for name, broken in BROKEN.items():
            current[:] = [GOOD]
            assert send(own_site, "/app/page.html", signed_in=True).body == APP.encode()
            current[:] = [broken]
            for path in ("/app/page.html", "/public/page.html"):
                got = send(own_site, path, signed_in=True)
                assert got.status != 200 and b"a page of" not in got.body, name
        listener.shutdown(socket.SHUT_RDWR)


def test_without_its_program_the_access_checker_lets_nobody_in(track):
    site = track(new_site("mod_fcgid"))
    site.program.chmod(0o600)
    for path in ALL:
        assert send(site, path).status >= 400, path


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_down_lets_nobody_in_and_takes_no_cookie(track, kind):
    site = track(new_site(kind))
    visitor = site.signed_in()
    site.gatehouse.query("DROP TABLE user_session")
    for path in ("/app/page.html", "/public/page.html", "/app/show.php"):
        answer = visitor.fetch(path)
        assert answer.status_code == 503 and not set_cookies(answer), path


# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_public_route_there_is_one_question_a_page(track):
    site = track(new_site("mod_authnz_fcgi", routes=[{"path": "/**", "access": "authenticated"}]))
    assert "/auth/-" not in (site.nginx.folder / "gatehouse-pages.conf").read_text()
    site.token = site.signed_in().token
    before = site.gatehouse.log().count(" path=/app/page.html ")
    assert served(site, "/app/page.html") == (401, APP)
    wait_until(lambda: site.gatehouse.log().count(" path=/app/page.html ") == before + 2, "both are logged")


def test_a_configuration_that_apache_could_not_ask_by_prints_no_open_site(gatehouse):
    for part in ("authorizer", "provider"):
        done = gatehouse.run("snippet", "apache", "--part", part, check=1)
        assert "listen: mod_authnz_fcgi speaks TCP only" in done.stderr and "tcp:127.0.0.1:9100" in done.stderr
        assert not done.stdout.startswith("#") and "Require" not in done.stdout
    gatehouse.config["listen"] = []
    gatehouse.config["listen_http"] = [f"unix:{gatehouse.folder}/http.sock"]
    gatehouse.write_config()
    assert (
        "listen: there is no FastCGI socket" in gatehouse.run("snippet", "apache", "--part", "gateway", check=1).stderr
    )


def test_the_part_that_is_printed_without_asking_suits_the_sockets(gatehouse):
    def printed(*options):
        return gatehouse.run("snippet", "apache", *options, check=0).stdout

    assert printed() == printed("--part", "gateway")
    gatehouse.config["listen"].append("tcp:127.0.0.1:9100")
    gatehouse.write_config()
    assert printed() == printed("--part", "authorizer")
    assert gatehouse.run("snippet", "apache", "--part", "server", check=2).returncode == 2
