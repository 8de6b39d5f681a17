"""The check door behind nginx, over both transports: what a visitor calls himself never reaches the application, no
header of his moves the decision, and the path that is decided is the path that is served."""

import itertools
import json

import pytest

from check_site import SHOW, TRANSPORTS, CheckSite
from test_spoofing import EVIL, spellings
from visitor import Form

# Every way in which nginx may treat odd names; one server each, the distribution's first.
LENIENCE = list(itertools.product(["off", "on"], ["on", "off"]))
SERVERS = [f"underscores_in_headers {under};\nignore_invalid_headers {ignore};" for under, ignore in LENIENCE]
ADDRESSES = {f"underscores {under}, invalid {ignore}": n for n, (under, ignore) in enumerate(LENIENCE, start=1)}

SPECIAL = "100% of a?b #1 ä.html"
PAGES = {
    **{f"{folder}/page.html": f"a page of {folder}" for folder in ("public", "app", "admin", "closed")},
    **{f"{folder}/show.php": SHOW for folder in ("public", "app", "admin")},
    f"public/{SPECIAL}": "a special page",
    "public/folder/index.html": "a public index",
    "public/front/index.html": "never shown: its folder's index is another file",
    "app/hidden/index.html": "a hidden index",
    "app/secret.php": SHOW,
    "exact/100%.html": "an exact page",
    "exact/100%25.html": "another page",
}
ROUTES = [
    {"path": "/public/**", "access": "public"},
    {"path": "/app/hidden/index.html", "access": "deny"},
    {"path": "/app/secret.php", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/app/**", "access": "authenticated"},
    {"path": "/admin/**", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/exact/100%.html", "access": "public"},
]
# What redirects within nginx.
REDIRECTING = """
location /public/fallback/ { try_files $uri /admin/page.html; }
location /public/open-fallback/ { try_files $uri /public/page.html; }
location = /public/front/ { index /app/page.html; }
location /public/errors/ { error_page 404 /closed/page.html; }
location /public/named/ { try_files $uri @named; }
location @named { try_files /public/page.html =404; }
"""


@pytest.fixture(scope="module", params=TRANSPORTS)
def site(request):
    routes = [{**route, **({} if route["access"] == "deny" else {"downstream": "scripts"})} for route in ROUTES]
    servers = [lines + REDIRECTING for lines in SERVERS]
    made = CheckSite(over=request.param, servers=servers, pages=PAGES, routes=routes)
    made.token = made.signed_in().token
    yield made
    made.close()


def send(site, target, *lines, signed_in=False, server=1, method="GET"):
    cookie = [f"Cookie: session={site.token}"] if signed_in else []
    return site.raw_get(target, "Accept: */*", *cookie, *lines, method=method, address=f"127.0.0.{server}")


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────

# Whatever the routes say: an open page, with and without a session, and a closed one.
CASES = [("/public/show.php", False), ("/public/show.php", True), ("/app/show.php", True)]
OWNED = [
    *("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"),
    *("X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State", "Proxy", "Authorization"),
    "Redirect-Status",
]


def is_plain(name):
    return name.replace("-", "").replace("_", "").isalnum()


def refusal_of(name, site):
    """What a name that PHP makes another one of gets where nginx hands it on: it cannot be taken out there. One that is
    no token (RFC 9110 section 5.6.2) makes of a check over HTTP no request at all."""
    if is_plain(name):
        return 200
    return 503 if site.over == "http" and "[" in name else 403


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
            assert answer.status in {200, refusal_of(spelling, site)}, (spelling, answer.status)
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

OPEN = "/public/show.php"
INTERNAL = {
    "X-Original-URI": OPEN,
    "X-Original-Method": "GET",
    "X-Original-Proto": "https",
    "X-Original-URL": OPEN,
    "X-Rewrite-URL": OPEN,
    "X-Forwarded-Uri": OPEN,
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.9",
    "X-Forwarded-Prefix": "/public",
    "X-Gatehouse-Path": OPEN,
    "X-Gatehouse-Method": "GET",
    "X-Gatehouse-Cookies": "0",
    "X-Gatehouse-User": "alice",
    "Gatehouse-Path": OPEN,
    "Gatehouse-Method": "GET",
    "Gatehouse-Cookies": "0",
    "Gatehouse-Mount": "1",
    "Script-Name": "/auth/login",
    "Path-Info": OPEN,
    "Request-Uri": OPEN,
    "Request-Method": "GET",
    "Document-Uri": OPEN,
    "X-Accel-Redirect": OPEN,
    "Variable-Remote-User": "alice",
    "Remote-User": "alice",
    "Remote-Groups": "admin",
    "Connection": "X-Original-Method",
    "Upgrade": "websocket",
    "Content-Type": "text/html",
    "Range": "bytes=0-0",
    "If-None-Match": '"x"',
}
# A page of every decision, with and without a session, and what is right.
DECIDED = [
    ("/public/page.html", False, 200),
    ("/app/page.html", False, 401),
    ("/app/page.html", True, 200),
    ("/admin/page.html", False, 401),
    ("/admin/page.html", True, 403),
    ("/closed/page.html", True, 403),
]


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
    visitor = site.visitor()
    visitor.http.headers.update(
        {"X-Forwarded-For": "192.0.2.9", "X-Real-IP": "192.0.2.9", "Forwarded": "for=192.0.2.9"}
    )
    assert visitor.sign_in("alice").status_code == 303
    [row] = site.gatehouse.query("SELECT address FROM user_session ORDER BY created_at DESC LIMIT 1")
    assert row["address"] == "127.0.0.1"


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

# Target → what nobody and what alice gets: a status, or the text of the page that is right.
PUBLIC, APP = "a page of public", "a page of app"
TARGETS = {
    "/public/page.html": (PUBLIC, PUBLIC),
    "/public//page.html": (PUBLIC, PUBLIC),
    "/public/./page.html": (PUBLIC, PUBLIC),
    "//public/page.html": (PUBLIC, PUBLIC),
    "/%70ublic/%70age.html": (PUBLIC, PUBLIC),
    "/admin/../public/page.html": (PUBLIC, PUBLIC),
    "/admin/%2e%2e/public/page.html": (PUBLIC, PUBLIC),
    "/admin/..%2fpublic/page.html": (PUBLIC, PUBLIC),
    "/public/page.html?/admin/page.html": (PUBLIC, PUBLIC),
    "/public/page.html#/admin/page.html": (PUBLIC, PUBLIC),
    "/public/100%25%20of%20a%3Fb%20%231%20%C3%A4.html": ("a special page", "a special page"),
    "/app/page.html": (401, APP),
    "//app/page.html": (401, APP),
    "/./app/page.html": (401, APP),
    "/%61pp/page.html": (401, APP),
    "/public/../app/page.html": (401, APP),
    "/public/%2e%2e/app/page.html": (401, APP),
    "/public/%2E./app/page.html": (401, APP),
    "/public;/../app/page.html": (401, APP),
    "/public/page.html/../../app/page.html": (401, APP),
    "/app/page.html?/public/page.html": (401, APP),
    "/admin/page.html": (401, 403),
    "//admin/page.html": (401, 403),
    "///admin///page.html": (401, 403),
    "/admin/./page.html": (401, 403),
    "/%61dmin/page.html": (401, 403),
    "/public/../admin/page.html": (401, 403),
    "/public/%2e%2e/admin/page.html": (401, 403),
    "/app/../public/../admin/page.html": (401, 403),
    "/admin/page.html?x=/public/": (401, 403),
    "/admin/": (401, 403),
    # Odd ones, which two programs may read differently.
    "/public/..;/admin/page.html": (403, 403),
    "/public/..%3b/admin/page.html": (403, 403),
    "/public/..\\admin/page.html": (403, 403),
    "/public/%5c../admin/page.html": (403, 403),
    "/public/..%5cadmin/page.html": (403, 403),
    "/public/%0a": (403, 403),
    "/public/%0d%0aX-Original-URI:%20/public/page.html": (403, 403),
    "/admin/%0d%0aX-Original-URI:%20/public/page.html": (403, 403),
    "/admin/page.html%0d%0a%0d%0aGET%20/auth/check/public/page.html%20HTTP/1.1": (403, 403),
    "/public/%7f": (403, 403),
    # nginx decodes it and goes on; the login does not promise to lead back to what two programs read differently.
    "/public/..%2fapp/page.html": (400, APP),
    "/public%2f..%2fapp/page.html": (400, APP),
    "/public/..%2fadmin/page.html": (400, 403),
    "/public/%2e%2e%2fadmin/page.html": (400, 403),
    # nginx refuses by itself.
    "/public/page.html%00": (400, 400),
    "/public/%00/../admin/page.html": (400, 400),
    "/public/%": (400, 400),
    "/public/%zz": (400, 400),
    "/public/%u002e": (400, 400),
    "/../admin/page.html": (400, 400),
    "/public/../../admin/page.html": (400, 400),
    "http://evil.example/admin/page.html": (401, 403),
    "http://evil.example/public/page.html": (PUBLIC, PUBLIC),
    # Never decoded twice, never folded: names of files that are not there, below rules that say so.
    "/public/%252e%252e/admin/page.html": (404, 404),
    "/public/%252fpage.html": (404, 404),
    "/public/page.html%20": (404, 404),
    "/public/%20page.html": (404, 404),
    "/public/page.html%3f": (404, 404),
    "/public/page.html%09": (403, 403),
    "/public/page.html/": (404, 404),
    "/PUBLIC/page.html": (403, 403),
    "/publi%63/page.htm%6C": (PUBLIC, PUBLIC),
    "/%c0%ae%c0%ae/app/page.html": (403, 403),
    "/exact/100%25.html": ("an exact page", "an exact page"),
    "/exact/100%2525.html": (403, 403),
    # Redirects within nginx: every step is decided.
    "/public/folder/": ("a public index", "a public index"),
    "/app/hidden/": (401, 403),
    "/app/hidden/index.html": (403, 403),
    "/public/front/": (401, APP),
    "/public/fallback/x": (401, 403),
    "/public/open-fallback/x": (PUBLIC, PUBLIC),
    "/public/errors/x": (403, 403),
    "/public/named/x": (PUBLIC, PUBLIC),
    "/elsewhere/page.html": (403, 403),
}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_decided_is_what_is_served(site, target):
    for signed_in, right in zip((False, True), TARGETS[target]):
        answer = send(site, target, signed_in=signed_in)
        got = answer.body.decode() if answer.status == 200 else answer.status
        assert got == right, "alice" if signed_in else "nobody"


# The same for scripts: SCRIPT_NAME and PATH_INFO that ran.
SCRIPTS = {
    "/public/show.php": ("/public/show.php", ""),
    "/public/show.php/a/b": ("/public/show.php", "/a/b"),
    "/public/show.php/admin/show.php": ("/public/show.php", "/admin/show.php"),
    "/public/show.php/a%20b%3F": ("/public/show.php", "/a b?"),
    "/public//show.php//x": ("/public/show.php", "/x"),
    "/public/show.php/../../app/show.php": 401,
    "/public/show.php/..%2f..%2fapp/show.php": 400,
    "/app/show.php/public/show.php": 401,
    "/app/show.php/": 401,
    "/app/show.php?/public/": 401,
    "/admin/show.php/../../public/show.php": ("/public/show.php", ""),
    "/app/secret.php/x": 401,
    "/public/page.html/x.php": 403,
    "/public/missing.php": 404,
    "/public/show.php%00.html": 400,
    "/public/show.php%0a": 403,
}


@pytest.mark.parametrize("target", SCRIPTS)
def test_the_script_that_is_decided_is_the_one_that_runs(site, target):
    answer = send(site, target)
    if answer.status == 200:
        env = json.loads(answer.body)["env"]
        assert (env["SCRIPT_NAME"], env.get("PATH_INFO", "")) == SCRIPTS[target]
    else:
        assert answer.status == SCRIPTS[target]


def test_the_rule_of_the_executed_script_binds(site):
    for target in ("/app/secret.php", "/app/secret.php/", "/app/secret.php/x/y", "/app//secret.php/x"):
        assert send(site, target, signed_in=True).status == 403, target


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
