"""The forward door behind a real Caddy, with the configuration that gatehouse prints and the worked example of
conf/caddy."""

import concurrent.futures
import contextlib
import dataclasses
import json
import socket
import threading

import pytest

import door_table
import page_table
from caddy import CaddySite
from check_site import SHOW
from door_table import VISITORS, Guests, outcomes, row_id, wanted
from harness import TREE, free_port, listening
from page_table import address_of_who_says_another, send, served, targets_of
from page_table import CASES, DECIDED, INTERNAL, OWNED, ROUTES
from test_spoofing import EVIL, spellings
from visitor import PASSWORD, Form, is_removal, session_cookies, set_cookies

PAGES = {
    **page_table.PAGES,
    "page.html": "a page of nobody's",
    "index.php": SHOW,
    "app/cookie.php": "<?php setcookie('theirs', '1'); setcookie('more', '2'); http_response_code(418);",
}


def new_site(edit=lambda text: text, **more):
    return CaddySite(edit, **{"pages": PAGES, "routes": ROUTES, **more})


@pytest.fixture(scope="module")
def site():
    made = new_site()
    made.token = made.signed_in().token
    made.guests = Guests(made.gatehouse)
    yield made
    made.close()


def env_of(answer):
    assert answer.status == 200, f"{answer.status} {answer.body}"
    return json.loads(answer.body)["env"]


# ── the configuration ───────────────────────────────────────────────────────────────────────────────────────────────


def test_caddy_takes_the_printed_configuration_without_a_word_against_it(site):
    done = site.nginx.run("validate", "--adapter", "caddyfile", "--config", site.nginx.config_file)
    said = [line for line in done.stderr.splitlines() if '"level":"info"' not in line]
    assert done.returncode == 0 and all("automatic HTTPS is completely disabled" in line for line in said), said


@pytest.mark.parametrize("file", ["snippet", "example"])
def test_it_is_formatted_as_caddy_formats(site, file):
    path = site.nginx.snippet if file == "snippet" else TREE / "conf" / "caddy" / "Caddyfile"
    assert site.nginx.run("fmt", path).stdout == path.read_text()


def test_without_a_socket_that_caddy_can_ask_over_there_is_no_snippet(gatehouse):
    refused = gatehouse.run("snippet", "caddy", check=1)
    assert (
        refused.stdout.startswith("gatehouse_snippet_failed")
        and "listen_http: there is no HTTP socket" in refused.stderr
    )
    gatehouse.config["listen_http"] = ["tcp:127.0.0.1:9080"]
    gatehouse.write_config()
    refused = gatehouse.run("snippet", "caddy", check=1)
    assert refused.stdout.startswith("gatehouse_snippet_failed") and "trusted_proxies: empty" in refused.stderr
    gatehouse.config["trusted_proxies"] = ["127.0.0.1"]
    gatehouse.write_config()
    assert 'forward_auth @gatehouse_pages "127.0.0.1:9080"' in gatehouse.run("snippet", "caddy", check=0).stdout
    gatehouse.config["listen_http"].append("unix:/run/gatehouse/http.sock")
    gatehouse.write_config()
    assert "9080" not in gatehouse.run("snippet", "caddy", check=0).stdout


# ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("visitor", VISITORS)
def test_decisions_are_those_of_the_table(site, visitor):
    got = outcomes(site, visitor)
    assert len(got) == len(door_table.PAGES) * (1 if visitor == "foreign" else 2)
    # Caddy has no parameter that it leaves out: what is unset elsewhere is empty.
    got = {cell: dataclasses.replace(one, user=one.user or None, state=one.state or None) for cell, one in got.items()}
    assert got == {cell: wanted(visitor, page=cell[0]) for cell in got}


def test_a_visitor_signs_in_and_comes_back_to_the_page(site):
    visitor = site.visitor()
    away = visitor.navigate("/app/page.html?x=1&y=%2F")
    assert away.status_code == 302 and away.headers["Location"].startswith(f"{site.url}/auth/login?rd=")
    form = visitor.login_form(away.headers["Location"].removeprefix(site.url))
    assert form.fields["rd"] == "/app/page.html?x=1&y=%2F"
    back = visitor.sign_in("alice", rd=form.fields["rd"])
    assert (back.status_code, back.headers["Location"]) == (303, "/app/page.html?x=1&y=%2F")
    assert visitor.navigate("/app/page.html?x=1&y=%2F").text == "a page of app"
    assert visitor.fetch("/auth/session").json()["user"]["username"] == "alice"
    assert visitor.sign_out().status_code == 303
    assert visitor.fetch("/app/page.html").status_code == 401


def test_a_program_without_a_session_gets_401_and_no_form(site):
    answer = site.visitor().fetch("/app/page.html")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "target",
    [
        *("/auth/check", "/auth/check?x", "/auth/check/", "/auth//check", "/auth/%63heck", "/x/../auth/check"),
        *("/auth/check/public/page.html", "/auth/forward", "/auth/forward/", "/auth/%66orward", "/AUTH/forward"),
        *("/auth", "/auth/", "/auth/nothing", "/auth/login/x", "/auth/login/../forward", "//auth/forward"),
    ],
)
def test_what_only_web_servers_ask_is_not_there_for_visitors(site, target):
    for lines in (
        ("X-Original-URI: /public/page.html", "X-Original-Method: GET"),
        ("X-Forwarded-Uri: /public/page.html", "X-Forwarded-Method: GET"),
    ):
        for signed_in in (False, True):
            assert send(site, target, *lines, signed_in=signed_in).status == 404


# ── what php-fpm receives ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lines", [("Content-Length: 300000",), ("Content-Length: 300000", "Expect: 100-continue")])
def test_a_body_goes_to_the_page_and_not_to_the_question(site, lines):
    head = ["POST /app/show.php HTTP/1.1", f"Host: {site.host}", f"Cookie: session={site.token}", "Connection: close"]
    answer = site.raw("\r\n".join([*head, *lines]).encode() + b"\r\n\r\n" + b"x" * 300000)
    while answer.status == 100:
        answer.begin()
    assert len(json.loads(answer.body)["post"]) == 300000


def test_a_long_query_is_asked_about_once(site):
    long = "x" * 40_000
    answer = send(site, f"/app/show.php?{long}", signed_in=True)
    assert env_of(answer)["QUERY_STRING"] == long


def assert_clean(env, signed_in):
    assert EVIL not in json.dumps(env), {k: v for k, v in env.items() if EVIL in f"{k}{v}"}
    for name, value in {
        **{"REMOTE_USER": "alice", "HTTP_REMOTE_USER": "alice", "HTTP_X_GATEHOUSE_USER": "alice"},
        **{"HTTP_REMOTE_NAME": "Alice Example", "HTTP_REMOTE_EMAIL": "alice@example.org"},
        **{"HTTP_REMOTE_GROUPS": "staff,ops", "GATEHOUSE_SESSION_STATE": "active"},
    }.items():
        assert env[name] == (value if signed_in else ""), name


@pytest.mark.parametrize("name", [name for name in OWNED if name != "Redirect-Status"] + ["X-Gatehouse-Cookies"])
def test_no_spelling_of_a_name_of_ours_reaches_the_application(site, name):
    for path, signed_in in CASES:
        for spelling in spellings(name):
            answer = send(site, path, f"{spelling}: {EVIL}", signed_in=signed_in)
            # A name that some language makes another one of is refused; Go itself takes no '['.
            assert answer.status == 200 or spelling != name, spelling
            assert answer.status in (200, 403) or (answer.status == 400 and "[" in spelling), (spelling, answer.status)
            if answer.status == 200:
                assert_clean(env_of(answer), signed_in)
        doubled = [f"{one}: {EVIL}{n}" for one in (name, name.lower(), name.upper()) for n in range(2)]
        assert_clean(env_of(send(site, path, *doubled, signed_in=signed_in)), signed_in)


def test_a_twin_with_an_underscore_is_taken_out(site):
    twins = (
        "X_Forwarded_For",
        "X_FORWARDED_PROTO",
        "User_Agent",
        "X-Mine_",
        "_",
        "Content_Type",
    )
    # Of two twins Caddy sends either.
    for twin in twins * 3:
        env = env_of(send(site, "/app/show.php", f"{twin}: {EVIL}", "X-Mine: kept", signed_in=True))
        assert_clean(env, True)
        assert env["HTTP_X_MINE"] == "kept"


def test_a_users_attributes_are_values_and_no_placeholders(track):
    site = track(new_site())
    strange = '{env.HOME} {http.request.host} {$HOME} `{"a": 1}` \\ ünï'
    site.gatehouse.run("user", "set", "alice", f"name={strange}")
    site.gatehouse.query("UPDATE user SET name = ? WHERE username = 'alice'", strange)
    visitor = site.signed_in()
    assert visitor.fetch("/app/show.php").json()["env"]["HTTP_REMOTE_NAME"] == strange


def test_headers_are_named_as_the_configuration_names_them(track):
    headers = {"X_User": "user.username", "x-gate-EMAIL": "user.email", "X-A_b-C": "user.name"}
    site = track(
        new_site(identity={"headers": headers}, endpoints={"prefix": "/gate.way"}, session={"cookie": {"path": "/"}})
    )
    visitor = site.visitor()
    page = visitor.login_form("/gate.way/login")
    answer = visitor.post("/gate.way/login", data={**page.fields, "username": "alice", "password": PASSWORD})
    assert answer.status_code == 303
    site.token = visitor.token
    for signed_in in (True, False):
        for alias in ("X-User", "x-user", "X-A-B-C", "x_gate_email"):
            assert send(site, "/public/show.php", f"{alias}: {EVIL}", signed_in=signed_in).status == 403, alias
        for spoofed in ("X_User", "X-A_B-c", "X-Gate-Email", "X-Other"):
            env = env_of(send(site, "/public/show.php", f"{spoofed}: {EVIL}", signed_in=signed_in))
            assert spoofed == "X-Other" or EVIL not in json.dumps(env), spoofed
            assert env["REMOTE_USER"] == env["HTTP_X_USER"] == ("alice" if signed_in else "")
            assert env["HTTP_X_GATE_EMAIL"] == ("alice@example.org" if signed_in else "")
            assert env["HTTP_X_A_B_C"] == ("Alice Example" if signed_in else "")
    assert send(site, "/gate.way/forward").status == 404


# ── what a decision hangs on ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", INTERNAL)
def test_no_header_of_the_visitors_moves_a_decision(site, name):
    value = INTERNAL[name]
    for lines in (
        [f"{name}: {value}"],
        [f"{name.upper()}: {value}"],
        [f"{name.replace('-', '_')}: {value}"],
        [f"{name}: {value}"] * 2,
    ):
        for path, signed_in, status in DECIDED:
            answer = send(site, path, *lines, signed_in=signed_in)
            right = {200: {200, 206}}.get(status, {status}) if name == "Range" else {status}
            # An alias of a name that we own is refused.
            assert answer.status in right or ("_" in lines[0] and answer.status == 403), (lines, path, answer.status)


def test_all_of_them_at_once_move_nothing(site):
    lines = [f"{name}: {value}" for name, value in INTERNAL.items() if name != "Range"]
    for path, signed_in, status in DECIDED:
        assert send(site, path, *lines, signed_in=signed_in).status == status, path


def test_no_header_of_the_visitors_says_where_a_login_leads_back_to(site):
    visitor = site.visitor()
    page = visitor.navigate("/auth/login", **{"X-Original-URI": "/evil", "X-Forwarded-Uri": "/evil"})
    assert Form(page.text).fields["rd"] == "/"
    away = visitor.navigate(
        "/app/page.html?a=%2F&b=+%20", **{"X-Forwarded-Uri": "/evil", "X-Forwarded-Host": "evil.example"}
    )
    assert away.headers["Location"].startswith(f"{site.url}/auth/login?rd=")
    assert (
        visitor.login_form(away.headers["Location"].removeprefix(site.url)).fields["rd"]
        == "/app/page.html?a=%2F&b=+%20"
    )


def test_the_address_of_a_visitor_is_his_own(site):
    address, visitor = address_of_who_says_another(site)
    assert address == "127.0.0.1"
    assert visitor.fetch("/app/show.php").json()["env"]["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert "192.0.2.9" not in site.gatehouse.log() and "address=127.0.0.1" in site.gatehouse.log()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_method_opens_nothing(site, method):
    for path, signed_in, status in DECIDED:
        if status != 200:
            assert send(site, path, "Content-Length: 0", signed_in=signed_in, method=method).status == status, path


def test_a_refused_head_request_is_answered_at_once(site):
    for path, signed_in, status in DECIDED:
        assert send(site, path, signed_in=signed_in, method="HEAD").status == status, path


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


TARGETS = targets_of("caddy")


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_decided_is_what_is_served(site, target):
    assert served(site, target) == TARGETS[target]


def test_what_the_site_rewrites_before_it_asks_is_what_is_decided(track):
    lines = "\turi strip_prefix /strip\n\trewrite /public/old/* /admin/page.html\n\tfile_server\n"
    site = track(new_site(lambda text: text.replace("\tfile_server\n", lines)))
    site.token = site.signed_in().token
    for target, right in {
        "/public/old/x": (401, 403),
        "/strip/admin/page.html": (401, 403),
        "/strip/public/page.html": (200, 200),
        "/public/strip/admin/page.html": (404, 404),
    }.items():
        assert (send(site, target).status, send(site, target, signed_in=True).status) == right, target


# ── wherever it stands ──────────────────────────────────────────────────────────────────────────────────────────────

# Directives in an order in which nobody would write them, the import last but one.
CROWD = """
	root * /srv/www
	respond /app/respond "said"
	route /app/route {
		respond "routed"
	}
	handle /app/handle {
		respond "handled"
	}
	handle_path /app/handle_path/* {
		file_server
	}
	@posted {
		method POST
		path /app/* /closed/*
	}
	handle @posted {
		respond "posted"
	}
	route {
		respond /app/deep "deep"
	}
	php_fastcgi /app/*.php unix//run/php/php-fpm.sock
	reverse_proxy /app/proxy 127.0.0.1:1
	error /app/error 418
	respond /app/told "{header.Proxy}{header.Authorization}{header.X_Mine}{header.Remote-User}"
	import gatehouse
	file_server
"""


def test_nothing_is_served_unasked_wherever_the_import_stands(track):
    def edit(text):
        start = text.index("\timport gatehouse\n")
        return text[:start] + CROWD + "}\n"

    site = track(new_site(edit))
    site.token = site.signed_in().token
    for target, right in {
        **{"/app/respond": b"said", "/app/route": b"routed", "/app/handle": b"handled", "/app/deep": b"deep"},
        **{"/app/handle_path/app/page.html": b"a page of app", "/app/page.html": b"a page of app"},
        **{"/app/proxy": 502, "/app/error": 418},
    }.items():
        assert send(site, target).status == 401, target
        answer = send(site, target, signed_in=True)
        assert (answer.body if answer.status == 200 else answer.status) == right, target
    told = send(site, "/app/told", "Proxy: x", "Authorization: x", "X_Mine: x", "Remote-User: x", signed_in=True)
    assert told.body == b"alice"
    posted = [send(site, "/app/x", "Content-Length: 0", method="POST", signed_in=is_in) for is_in in (False, True)]
    assert (posted[0].status, posted[1].body) == (401, b"posted")
    assert send(site, "/closed/x", "Content-Length: 0", method="POST", signed_in=True).status == 403


def test_an_import_that_would_leave_the_rest_of_a_site_open_is_none(site):
    text = site.nginx.config_file.read_text()
    for block in ("handle /app/*", "route", "handle_path /app/*"):
        path = site.nginx.folder / "wrong"
        path.write_text(text.replace("\timport gatehouse\n", f"\t{block} {{\n\t\timport gatehouse\n\t}}\n"))
        assert site.nginx.run("adapt", "--adapter", "caddyfile", "--config", path).returncode != 0, block


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def idle(site):
    visitor = site.visitor()
    visitor.token = site.guests.token("idle")
    return visitor


@pytest.mark.parametrize(
    "path, status, theirs",
    [
        ("/app/page.html", 200, []),
        ("/app/show.php", 200, []),
        ("/app/missing", 404, []),
        ("/app/missing.php", 404, []),
        ("/app/hidden", 308, []),
        ("/app/cookie.php", 418, ["theirs", "more"]),
    ],
)
def test_an_idle_session_is_rotated_and_its_cookie_delivered_beside_the_pages_own(site, path, status, theirs):
    visitor = idle(site)
    old = visitor.token
    answer = visitor.fetch(path)
    assert answer.status_code == status
    lines = set_cookies(answer)
    assert sorted(line.split("=")[0] for line in lines) == sorted([*theirs, "session"])
    assert "no-store" in answer.headers["Cache-Control"]
    [line] = session_cookies(answer)
    new = line.split(";")[0].partition("=")[2]
    rows = site.gatehouse.query("SELECT id FROM user_session WHERE id IN (?, ?)", row_id(old), row_id(new))
    assert [row["id"] for row in rows] == [row_id(new)] and new != old


def test_where_nothing_is_renewed_there_is_no_cookie_and_no_trace_of_one(site):
    for path in ("/app/page.html", "/app/missing", "/app/show.php", "/auth/session", "/closed/page.html"):
        answer = send(site, path, signed_in=True)
        assert session_cookies(answer) == [], path
        assert path.startswith(("/auth", "/closed")) or "no-store" not in answer.headers.get("Cache-Control", ""), path
        assert not [name for name in answer.headers if "gatehouse" in name.lower()], path


def test_a_page_of_gatehouses_own_renews_nothing(site):
    visitor = idle(site)
    for path in ("/auth/session", "/auth/login"):
        assert session_cookies(visitor.fetch(path)) == [], path
    assert len(site.gatehouse.query("SELECT id FROM user_session WHERE id = ?", row_id(visitor.token))) == 1


def test_a_logout_of_an_idle_session_leaves_nothing_behind(site):
    visitor = idle(site)
    answer = visitor.sign_out()
    assert answer.status_code == 303 and [is_removal(line) for line in session_cookies(answer)] == [True]
    assert visitor.fetch("/app/page.html").status_code == 401


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────

ASKED = ("/app/page.html", "/public/page.html", "/app/show.php", "/app/missing")


def assert_down(site, *paths):
    """All at once: each may take as long as Caddy waits."""
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        answers = pool.map(lambda path: send(site, path, signed_in=True), paths)
        for path, answer in zip(paths, answers, strict=True):
            assert (answer.status, set_cookies(answer)) == (503, []), path
            assert answer.headers["Retry-After"] and answer.headers["Cache-Control"] == "no-store", path
            assert b"page of" not in answer.body and "gatehouse" not in str(answer.headers).lower(), path


@contextlib.contextmanager
def in_the_place_of(path, said):
    """Somebody else on that unix socket, who reads a request's head, says that and hangs up."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with connection:
                    while b"\r\n\r\n" not in connection.recv(65536, socket.MSG_PEEK):
                        pass
                    connection.recv(65536)
                    connection.sendall(said)

    path.unlink(missing_ok=True)
    with listening(path) as listener:
        path.chmod(0o666)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_half_an_answer_is_503_and_never_the_page(track):
    site = track(new_site())
    site.token = site.signed_in().token
    site.gatehouse.stop()
    path = site.gatehouse.folder / "http.sock"
    for said in (b"", b"HTTP/1.1 200 OK\r\nX-Gatehouse-User: alice\r\n", b"rubbish\r\n\r\n", b"\0" * 99):
        with in_the_place_of(path, said):
            assert_down(site, *ASKED)
    with in_the_place_of(path, b"HTTP/1.1 500 Bug\r\nContent-Length: 0\r\n\r\n"):
        assert send(site, "/app/page.html", signed_in=True).status == 500


OWN_ERRORS = """	basicauth /public/old {
		bob JDJhJDE0JDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==
	}
	import gatehouse_door
	handle_errors {
		import gatehouse_errors
		respond "our own {http.error.status_code}"
	}
"""
# A second `handle_errors`, which Caddy forgets; on its own it would serve the page.
SECOND_ERRORS = """	import gatehouse
	handle_errors {
		file_server
	}
"""


def test_a_site_may_have_error_pages_of_its_own(track):
    site = track(new_site(lambda text: text.replace("\timport gatehouse\n", OWN_ERRORS)))
    site.token = site.signed_in().token
    site.guests = Guests(site.gatehouse)
    answer = idle(site).fetch("/app/missing")
    assert (answer.status_code, answer.text) == (404, "our own 404") and len(session_cookies(answer)) == 1
    # An error before the question, and one after it, are not Gatehouse that is down.
    assert send(site, "/public/old").status == 401
    site.php.stop()
    assert send(site, "/app/show.php", signed_in=True).body == b"our own 502"
    site.gatehouse.stop()
    assert_down(site, *ASKED, "/auth/login")


def test_further_error_pages_serve_no_page_when_gatehouse_is_down(track):
    site = track(new_site(lambda text: text.replace("\timport gatehouse\n", SECOND_ERRORS)))
    site.token = site.signed_in().token
    site.gatehouse.stop()
    assert_down(site, *ASKED)


# ── over TCP ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trusted, right", [("127.0.0.1", 200), ("192.0.2.1", 403)])
def test_over_tcp_caddy_is_believed_if_it_is_listed(track, trusted, right):
    site = track(new_site(listen_http=[f"tcp:127.0.0.1:{free_port()}"], trusted_proxies=[trusted]))
    for path in ("/public/page.html", "/app/page.html"):
        refused = right if right == 403 or path.startswith("/public") else 401
        assert site.visitor().fetch(path, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == refused
    if right == 200:
        assert site.signed_in().fetch("/app/page.html").text == "a page of app"
