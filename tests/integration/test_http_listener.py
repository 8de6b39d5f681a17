"""The HTTP listener, asked directly: whose word counts for a page, what is answered, and how it is started and ended."""

import http.client
import pathlib
import signal
import socket
import urllib.parse

import pytest

from harness import Gatehouse, accepts, free_port, listening, wait_until
from visitor import NAVIGATION, PASSWORD, Form, is_removal


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


class Http(http.client.HTTPConnection):
    """A kept connection to a unix socket or a port."""

    def __init__(self, address):
        super().__init__("app.example.org", timeout=20)
        self.address = address

    def connect(self):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        self.sock = socket.socket(family)
        self.sock.settimeout(20)
        self.sock.connect(self.address)

    def ask(self, path, *fields, method="GET", body=None):
        """Sends fields as they are, doubled ones too."""
        self.putrequest(method, path, skip_accept_encoding=True)
        for name, value in fields:
            self.putheader(name, value)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        self.endheaders(body)
        return Answer(self.getresponse())

    def check(self, page, *fields):
        return self.ask("/auth/check", ("X-Original-URI", page), ("X-Original-Method", "GET"), *fields)

    def forward(self, page, *fields, method="GET"):
        return self.ask("/auth/forward", ("X-Forwarded-Uri", page), ("X-Forwarded-Method", method), *fields)


class HttpSite:
    """A gatehouse with a unix socket and a port for HTTP; nobody stands before it."""

    def __init__(self, **config):
        self.gatehouse = Gatehouse(**config)
        self.socket = str(self.gatehouse.folder / "http.sock")
        try:
            self.gatehouse.run("db", "migrate", check=0)
            self.alice_id = self.gatehouse.add_user("alice", email="alice@example.org", roles="staff")
            self._start()
        except BaseException:
            self.gatehouse.remove()
            raise

    def _start(self):
        # A port is free until somebody takes it.
        for _ in range(10):
            self.port = free_port()
            self.gatehouse.config["listen_http"] = [f"unix:{self.socket}", f"tcp:127.0.0.1:{self.port}"]
            self.gatehouse.write_config()
            self.gatehouse.start(wait=False)
            process = self.gatehouse.process
            wait_until(lambda: process.poll() is not None or self.gatehouse.answers(), "gatehouse answers")
            if process.poll() is None:
                return
            assert "Address already in use" in self.gatehouse.log(), self.gatehouse.log()

    def unix(self):
        return Http(self.socket)

    def tcp(self):
        return Http(("127.0.0.1", self.port))

    def token(self):
        answer = self.gatehouse.post_login("alice")
        return next(
            line.split(";")[0].partition("=")[2]
            for line in answer.all_headers("Set-Cookie")
            if line.startswith("session=")
        )

    def logs(self):
        return {"gatehouse": self.gatehouse.log()}

    def close(self):
        try:
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()


@pytest.fixture(scope="module")
def site():
    made = HttpSite()
    yield made
    made.close()


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_check_says_who_it_is_with_every_header_and_no_body(site):
    connection = site.unix()
    anonymous = connection.check("/public/x")
    assert (anonymous.status, anonymous.body) == (200, b"")
    owned = ("X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State", "Remote-User", "Remote-Groups")
    assert [anonymous.headers[name] for name in owned] == [""] * 5
    answer = connection.check("/page", ("Cookie", f"session={site.token()}"))
    assert (answer.status, answer.body) == (200, b"")
    assert [answer.headers[name] for name in owned] == ["alice", site.alice_id, "active", "alice", "staff"]
    assert connection.check("/page").status == 401
    assert connection.check("/closed/x").status == 403


def test_the_page_may_stand_behind_the_endpoint(site):
    connection = site.unix()
    method = ("X-Original-Method", "GET")
    assert connection.ask("/auth/check/public/x", method).status == 200
    assert connection.ask("/auth/check/public/x?a=b", method).status == 200
    assert connection.ask("/auth/check/page", method).status == 401
    assert connection.ask("/auth/check/", method).status == 401
    assert connection.ask("/auth/check/closed/..%2fpublic/x", method).status == 403
    assert connection.ask("/auth/check/closed/%2e%2e/public/x", method).status == 200
    assert connection.ask("/auth/check/../../public/x", method).status == 403
    assert connection.ask("/auth/check/public/x", method, ("X-Original-URI", "/public/x")).status == 403


def test_a_check_that_names_no_page_or_itself_is_refused(site):
    connection = site.unix()
    assert connection.ask("/auth/check").status == 403
    assert connection.check("").status == 403
    for endpoint in ("check", "forward", "x"):
        assert connection.check(f"/auth/{endpoint}").status == 403, endpoint
    assert connection.check("/auth/login").status == 200


@pytest.mark.parametrize(
    "field",
    ["X-Original-URI", "X-Original-Method", "X-Original-Proto", "X-Forwarded-For", "X-Gatehouse-Cookies"],
)
def test_a_header_given_twice_is_refused(site, field):
    value = {"X-Original-URI": "/public/x", "X-Original-Method": "GET", "X-Original-Proto": "http"}
    value = {**value, "X-Forwarded-For": "192.0.2.1", "X-Gatehouse-Cookies": "1"}[field]
    fields = [("X-Original-URI", "/public/x"), ("X-Original-Method", "GET")]
    once = [*[f for f in fields if f[0] != field], (field, value)]
    assert site.unix().ask("/auth/check", *once).status == 200
    assert site.unix().ask("/auth/check", *once, (field, value)).status == 403


def test_both_families_at_once_are_refused(site):
    for other in (("X-Forwarded-Uri", "/public/x"), ("X-Forwarded-Method", "GET")):
        assert site.unix().check("/public/x", other).status == 403
    for other in (("X-Original-URI", "/public/x"), ("X-Original-Method", "GET")):
        assert site.unix().forward("/public/x", other).status == 403


def test_a_rule_with_methods_is_not_passed_over_where_no_method_is_named(track):
    routes = [
        {"path": "/**", "methods": ["POST"], "access": "deny"},
        {"path": "/**", "access": "public"},
    ]
    site = track(HttpSite(routes=routes))
    assert site.unix().ask("/auth/check", ("X-Original-URI", "/x"), ("X-Original-Method", "GET")).status == 200
    assert site.unix().ask("/auth/check", ("X-Original-URI", "/x"), ("X-Original-Method", "POST")).status == 403
    assert site.unix().ask("/auth/check", ("X-Original-URI", "/x")).status == 403


# ── whose word counts ───────────────────────────────────────────────────────────────────────────────────────────────


def test_over_tcp_nobody_is_believed_who_is_not_trusted(site):
    cookie = ("Cookie", f"session={site.token()}")
    assert site.tcp().check("/public/x", cookie).status == 403
    assert site.tcp().forward("/public/x", cookie).status == 403
    assert site.tcp().ask("/auth/check/public/x", cookie).status == 403
    assert site.tcp().ask("/auth/session", cookie).status == 200


@pytest.mark.parametrize("network", ["127.0.0.1", "127.0.0.0/8"])
def test_over_tcp_a_trusted_proxy_is_believed(track, network):
    site = track(HttpSite(trusted_proxies=[network, "10.0.0.0/8"]))
    assert site.tcp().check("/public/x").status == 200
    answer = site.tcp().check("/page", ("X-Forwarded-For", "198.51.100.7, 192.0.2.7, 10.1.2.3"))
    assert answer.status == 401
    assert "address=192.0.2.7" in site.gatehouse.log()


def test_the_client_is_the_rightmost_address_that_is_not_trusted(track):
    site = track(HttpSite(trusted_proxies=["10.0.0.0/8", "fd00::/8"]))
    for sent, seen in {
        "198.51.100.1, 192.0.2.1": "192.0.2.1",
        "192.0.2.2, 10.0.0.1, fd00::1": "192.0.2.2",
        "10.0.0.3, 10.0.0.1": "10.0.0.3",
        "2001:db8::4": "2001:db8::4",
    }.items():
        assert site.unix().check("/page", ("X-Forwarded-For", sent)).status == 401
        assert f"address={seen}\n" in site.gatehouse.log(), sent
    for nonsense in ("a", "192.0.2.1,", "unknown", "192.0.2.1 10.0.0.1", "192.0.2.256"):
        assert site.unix().check("/public/x", ("X-Forwarded-For", nonsense)).status == 403, nonsense


def test_a_proxy_that_does_not_say_so_delivers_no_cookie(site):
    def idle_token():
        token = site.token()
        site.gatehouse.query("UPDATE user_session SET active_expires = 1700000000000")
        return token

    extended = site.unix().check("/page", ("Cookie", f"session={idle_token()}"))
    assert (extended.status, extended.headers.get_all("Set-Cookie")) == (200, None)
    rotated = site.unix().check("/page", ("Cookie", f"session={idle_token()}"), ("X-Gatehouse-Cookies", "1"))
    assert rotated.status == 200 and len(rotated.headers.get_all("Set-Cookie")) == 1


# ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGE = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "app.example.org"))


def test_a_navigation_without_a_session_goes_to_the_login(site):
    answer = site.unix().forward("/page?a=1&b=%2F", *PAGE, *NAVIGATION.items())
    assert answer.status == 302
    assert answer.headers["Location"] == "https://app.example.org/auth/login?rd=%2Fpage%3Fa%3D1%26b%3D%252F"
    program = site.unix().forward("/page", *PAGE)
    assert (program.status, program.headers["Content-Type"]) == (401, "application/json")
    assert site.unix().forward("/page", *PAGE, *NAVIGATION.items(), method="POST").status == 401


def test_a_login_on_another_host_gets_the_page_as_a_url(track):
    site = track(HttpSite(endpoints={"url": "https://auth.example.org"}))
    answer = site.unix().forward("/page", *PAGE, *NAVIGATION.items())
    assert answer.headers["Location"] == "https://auth.example.org/auth/login?rd=https%3A%2F%2Fapp.example.org%2Fpage"


def test_a_page_whose_host_is_not_known_has_no_login(site):
    connection = site.unix()
    connection.putrequest("GET", "/auth/forward", skip_host=True)
    for name, value in (("Host", ""), ("X-Forwarded-Uri", "/page"), ("X-Forwarded-Method", "GET"), *NAVIGATION.items()):
        connection.putheader(name, value)
    connection.endheaders()
    assert Answer(connection.getresponse()).status == 401


def test_another_spelling_of_a_header_of_ours_is_refused(site):
    cookie = ("Cookie", f"session={site.token()}")
    assert site.unix().forward("/page", *PAGE, cookie).headers["Remote-User"] == "alice"
    assert site.unix().forward("/page", *PAGE, cookie, ("Remote-User", "evil")).headers["Remote-User"] == "alice"
    for alias in ("Remote_User", "remote_groups", "X_Gatehouse-User", "Remote.User", "Variable_X"):
        assert site.unix().forward("/page", *PAGE, cookie, (alias, "evil")).status == 403, alias
    assert "another spelling of one of ours" in site.gatehouse.log()
    assert site.unix().forward("/page", *PAGE, cookie, ("X_Other", "harmless")).status == 200


# ── the other endpoints ─────────────────────────────────────────────────────────────────────────────────────────────


def test_signing_in_and_out_over_http(site):
    connection = site.unix()
    page = connection.ask("/auth/login?rd=/page", *NAVIGATION.items())
    fields = {**Form(page.body.decode()).fields, "username": "alice", "password": PASSWORD}
    cookie = page.headers["Set-Cookie"].split(";")[0]
    form = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in fields.items()).encode()
    own = (
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "app.example.org"),
        ("Origin", "https://app.example.org"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )
    answer = connection.ask("/auth/login", *own, ("Cookie", cookie), method="POST", body=form)
    assert (answer.status, answer.headers["Location"]) == (303, "/page")
    session = next(l for l in answer.headers.get_all("Set-Cookie") if l.startswith("session=")).split(";")[0]
    assert connection.check("/page", ("Cookie", session)).status == 200
    out = connection.ask("/auth/logout", *own, ("Cookie", session), method="POST", body=b"")
    assert out.status == 303 and any(is_removal(line) for line in out.headers.get_all("Set-Cookie"))
    assert connection.check("/page", ("Cookie", session)).status == 401


def test_the_login_shown_in_the_place_of_a_page_leads_back_to_it(site):
    page = site.unix().ask("/auth/login", ("X-Original-URI", "/page?x=%26"), *NAVIGATION.items())
    assert Form(page.body.decode()).fields["rd"] == "/page?x=%26"
    assert site.unix().ask("/auth/login", ("X-Original-URI", "/page")).status == 401


def test_pages_of_the_site_are_not_served(site):
    for path in ("/", "/public/show", "/show", "/auth/x", "/auth"):
        assert site.unix().ask(path, ("Cookie", f"session={site.token()}")).status == 404, path
    assert site.unix().ask("/auth/session", method="TRACE").status == 405


def test_a_check_that_is_no_http_is_refused_like_any_other(site):
    for path in ("/auth/check/public/x", "/auth/forward"):
        answer = site.unix().ask(path, ("Content-Length", "0"), ("Content-Length", "0"))
        assert answer.status == 403, path
    assert site.unix().ask("/auth/check").body == b""


def test_what_is_no_http_is_logged_and_answered_with_its_request_id(site):
    connection = site.unix()
    answer = connection.ask("/auth/session", ("Content-Length", "1"), ("Content-Length", "1"))
    assert answer.status == 400
    assert f"request={answer.headers['X-Request-Id']} status=400" in site.gatehouse.log()
    answer = site.unix().ask("/auth/session", ("X", "a" * 70_000))
    assert answer.status == 431
    assert f"request={answer.headers['X-Request-Id']} status=431" in site.gatehouse.log()


# ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_socket_of_systemd_named_http_speaks_http(track):
    site = track(HttpSite())
    site.gatehouse.stop()
    folder = site.gatehouse.folder
    fastcgi, http_socket = listening(folder / "f.sock"), listening(folder / "h.sock")
    site.gatehouse.socket = folder / "f.sock"
    with fastcgi, http_socket:
        site.gatehouse.start_passed_on([fastcgi, http_socket], LISTEN_FDNAMES="gatehouse:http")
        site.gatehouse.wait_until_it_answers()
        assert Http(str(folder / "h.sock")).check("/public/x").status == 200
        assert not accepts(site.socket), "a kind that is inherited is not bound besides"


def test_of_a_kind_that_is_not_inherited_the_configured_sockets_are_bound(track):
    site = track(HttpSite())
    site.gatehouse.stop()
    inherited = listening(site.gatehouse.folder / "h.sock")
    with inherited:
        site.gatehouse.start_passed_on([inherited], LISTEN_FDNAMES="http")
        site.gatehouse.wait_until_it_answers()
        assert Http(str(site.gatehouse.folder / "h.sock")).check("/public/x").status == 200


def begin_sign_in(site, connection):
    """Sends all of a sign-in but its body, and waits until somebody waits for that. Returns it."""
    page = connection.ask("/auth/login", *NAVIGATION.items())
    fields = {**Form(page.body.decode()).fields, "username": "alice", "password": PASSWORD}
    body = urllib.parse.urlencode(fields).encode()
    connection.putrequest("POST", "/auth/login", skip_accept_encoding=True)
    for name, value in (
        ("Cookie", page.headers["Set-Cookie"].split(";")[0]),
        ("Origin", "http://app.example.org"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
        ("Expect", "100-continue"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    asked = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.sock.recv(len(asked), socket.MSG_WAITALL) == asked
    return body


def end_sign_in(connection, body):
    connection.send(body)
    return Answer(connection.getresponse())


def test_a_request_under_way_is_answered_whole_and_told_of_the_end(track):
    site = track(HttpSite())
    connection, idle = site.unix(), site.unix()
    assert idle.check("/public/x").status == 200
    signed_in = end_sign_in(connection, begin_sign_in(site, connection))
    assert (signed_in.status, signed_in.headers["Connection"]) == (303, None), "the connection is kept"
    body = begin_sign_in(site, connection)
    process = site.gatehouse.process
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: "draining" in site.gatehouse.log(), "the drain begins")
    wait_until(lambda: not accepts(site.socket), "nobody new is let in")
    assert process.poll() is None, "it waits for the request"
    told = end_sign_in(connection, body)
    assert (told.status, told.headers["Connection"]) == (303, "close")
    assert told.headers["Location"] == signed_in.headers["Location"]
    assert any(line.startswith("session=") for line in told.headers.get_all("Set-Cookie"))
    assert process.wait(timeout=20) == 0, "no idle connection holds it up"
    assert not pathlib.Path(site.socket).exists()
    site.gatehouse.process = None
