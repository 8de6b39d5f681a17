"""The check door behind nginx, over both transports: what a visitor calls himself never reaches the application, no
header of his moves the decision, and the path that is decided is the path that is served."""

import itertools
import json

import pytest

from check_site import TRANSPORTS, CheckSite
from page_table import address_of_who_says_another, send, served, targets_of
from page_table import APP, CASES, DECIDED, INTERNAL, OWNED, PAGES, PUBLIC, ROUTES
from test_spoofing import EVIL, spellings
from visitor import Form

# Every way in which nginx may treat odd names; one server each, the distribution's first.
LENIENCE = list(itertools.product(["off", "on"], ["on", "off"]))
SERVERS = [f"underscores_in_headers {under};\nignore_invalid_headers {ignore};" for under, ignore in LENIENCE]
ADDRESSES = {f"underscores {under}, invalid {ignore}": n for n, (under, ignore) in enumerate(LENIENCE, start=1)}

# What redirects within nginx.
REDIRECTING = """
location /public/fallback/ { try_files $uri /admin/page.html; }
location /public/open-fallback/ { try_files $uri /public/page.html; }
location = /public/front/ { index /app/page.html; }
location /public/errors/ { error_page 404 /closed/page.html; }
location /public/named/ { try_files $uri @named; }
location @named { try_files /public/page.html =404; }
"""
REDIRECTED = {
    "/public/front/": (401, APP),
    "/public/fallback/x": (401, 403),
    "/public/open-fallback/x": (PUBLIC, PUBLIC),
    "/public/errors/x": (403, 403),
    "/public/named/x": (PUBLIC, PUBLIC),
}


@pytest.fixture(scope="module", params=TRANSPORTS)
def site(request):
    servers = [lines + REDIRECTING for lines in SERVERS]
    # What /public/front/ never shows, since its folder's index is another file.
    pages = {**PAGES, "public/front/index.html": "never shown"}
    made = CheckSite(over=request.param, servers=servers, pages=pages, routes=ROUTES)
    made.token = made.signed_in().token
    yield made
    made.close()


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_plain(name):
    return name.replace("-", "").replace("_", "").isalnum()


def assert_clean(env, signed_in):
    assert EVIL not in json.dumps(env), {k: v for k, v in env.items() if EVIL in f"{k}{v}"}
    assert env.get("REMOTE_USER") == ("alice" if signed_in else None)
    assert env.get("GATEHOUSE_SESSION_STATE") == ("active" if signed_in else None)
    assert env["HTTP_REMOTE_USER"] == ("alice" if signed_in else "")
    assert env["HTTP_REMOTE_GROUPS"] == ("staff,ops" if signed_in else "")


@pytest.mark.parametrize("server", ADDRESSES.values(), ids=ADDRESSES.keys())
@pytest.mark.parametrize("name", OWNED)
def test_no_spelling_of_a_name_of_ours_reaches_the_application(site, server, name):
    for path, signed_in in CASES:
        for spelling in spellings(name):
            value = f"Basic {EVIL}" if name == "Authorization" else EVIL
            answer = send(site, path, f"{spelling}: {value}", signed_in=signed_in, server=server)
            # A name that PHP makes another one of cannot be taken out where nginx hands it on.
            assert answer.status in {200, 200 if is_plain(spelling) else 403}, (spelling, answer.status)
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], signed_in)
        doubled = [f"{spelling}: {EVIL}{n}" for spelling in spellings(name) if is_plain(spelling) for n in range(2)]
        answer = send(site, path, *doubled, signed_in=signed_in, server=server)
        # nginx itself takes Authorization once only.
        assert answer.status == (400 if name == "Authorization" else 200)
        if answer.status == 200:
            assert_clean(json.loads(answer.body)["env"], signed_in)


@pytest.mark.parametrize(
    "line", [b" Remote-User: x", b"Remote-User : x", b"Remote User: x", b"Remote-User\0: x", b": x"]
)
def test_a_name_that_is_none_reaches_nobody(site, line):
    for server in ADDRESSES.values():
        for path, signed_in in CASES:
            answer = send(site, path, line.replace(b": x", b": " + EVIL.encode()), signed_in=signed_in, server=server)
            assert answer.status in (200, 400, 403), line
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], signed_in)


def test_other_headers_arrive(site):
    for server in ADDRESSES.values():
        env = json.loads(send(site, "/app/show.php", "X-Mine: kept", signed_in=True, server=server).body)["env"]
        assert env["HTTP_X_MINE"] == "kept"


# ── what a decision hangs on ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ADDRESSES.values(), ids=ADDRESSES.keys())
@pytest.mark.parametrize("name", INTERNAL)
def test_no_header_of_the_visitors_moves_a_decision(site, server, name):
    value = INTERNAL[name]
    alias = name.replace("-", "_").upper()
    for lines in ([f"{name}: {value}"], [f"{alias}: {value}"], [f"{name}: {value}"] * 2):
        for path, signed_in, status in DECIDED:
            answer = send(site, path, *lines, signed_in=signed_in, server=server)
            right = {status, 206} if status == 200 and name == "Range" else {status}
            assert answer.status in right or (len(lines) == 2 and answer.status == 400), (lines, path, answer.status)


def test_all_of_them_at_once_move_nothing(site):
    lines = [f"{name}: {value}" for name, value in INTERNAL.items() if name != "Range"]
    for path, signed_in, status in DECIDED:
        assert send(site, path, *lines, signed_in=signed_in).status == status, path


@pytest.mark.parametrize(
    "origin, lines",
    [
        ("http://evil.example", ["X-Forwarded-Host: evil.example"]),
        ("http://evil.example", ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http"]),
        ("http://evil.example", ["X-Original-Host: evil.example"]),
        ("https://{host}", ["X-Forwarded-Proto: https"]),
        ("https://{host}", ["X-Original-Proto: https"]),
    ],
)
def test_another_sites_form_is_not_made_our_own(site, origin, lines):
    lines = [f"Origin: {origin.format(host=site.host)}", "Content-Length: 0", *lines]
    assert send(site, "/auth/logout", *lines, signed_in=True, method="POST").status == 403
    assert send(site, "/app/page.html", *lines, signed_in=True, method="POST").status == 401
    assert send(site, "/app/page.html", signed_in=True).status == 200


def test_the_address_of_a_session_is_the_visitors(site):
    address, _ = address_of_who_says_another(site)
    assert address == "127.0.0.1"


def test_the_login_leads_back_to_the_page_that_was_asked_for(site):
    visitor = site.visitor()
    for page in (
        "/app/page.html",
        "/app/page.html?rd=/public/page.html",
        "/app/page.html?a=%2F&b=+%20",
        "/app/%C3%A4%20b",
    ):
        headers = {"X-Original-URI": "/evil", "X-Forwarded-Uri": "/evil"}
        answer = visitor.navigate(page, **headers)
        assert Form(answer.text).fields["rd"] == page
    assert Form(visitor.navigate("/auth/login", **headers).text).fields["rd"] == "/"


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


TARGETS = {**targets_of("nginx"), **REDIRECTED}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_decided_is_what_is_served(site, target):
    assert served(site, target) == TARGETS[target]


@pytest.mark.parametrize(
    "target",
    [
        *("/auth/check", "/auth/check?x", "/auth/check/", "/auth//check", "/auth/%63heck", "/x/../auth/check"),
        *("/auth/check/public/page.html", "/auth/check/app/page.html", "/auth//check/public/page.html"),
        *("/auth/forward", "/auth/forward/", "/auth/%66orward", "/auth/checker", "/auth/", "/auth/nothing"),
    ],
)
def test_what_only_web_servers_ask_is_not_there_for_visitors(site, target):
    for signed_in in (False, True):
        lines = ("X-Original-URI: /public/page.html", "X-Original-Method: GET")
        assert send(site, target, *lines, signed_in=signed_in).status == 404
        lines = ("X-Forwarded-Uri: /public/page.html", "X-Forwarded-Method: GET")
        assert send(site, target, *lines, signed_in=signed_in).status == 404


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_method_opens_nothing(site, method):
    for path, signed_in, status in DECIDED:
        if status == 200:
            continue
        lines = ["Content-Length: 0"] if method in ("POST", "PUT") else []
        assert send(site, path, *lines, signed_in=signed_in, method=method).status == status, path


def test_a_visitor_of_http_1_0_may_name_no_host(site):
    for path, right in (("/public/page.html", 200), ("/app/page.html", 401), ("/closed/page.html", 403)):
        assert site.raw(f"GET {path} HTTP/1.0\r\n\r\n".encode()).status == right, path
