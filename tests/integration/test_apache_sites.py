"""What a site's own lines, and its folders' .htaccess, would open unawares: each test is named after a hole that was
there. By mod_authnz_fcgi and by mod_fcgid's access checker."""

import contextlib
import itertools
import json
import os
import signal

import pytest

from apache import AccessCheckerSite, AuthorizerSite
from check_site import SHOW
from door_table import Guests
from harness import wait_until
from page_table import send
from visitor import session_cookies, set_cookies

KINDS = {"mod_authnz_fcgi": AuthorizerSite, "mod_fcgid": AccessCheckerSite}
ROUTES = [
    {"path": "/public/sub/**", "access": "deny"},
    {"path": "/public/**", "access": "public"},
    {"path": "/app/hidden/index.html", "access": "deny"},
    {"path": "/app/**", "access": "authenticated"},
    {"path": "/admin/**", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/closed/**", "access": "deny"},
]
# Who may see a page is in its text.
PAGES = {
    "public/page.html": "for everybody",
    "app/page.html": "for alice",
    "admin/page.html": "for admins",
    "closed/page.html": "for nobody",
    "app/hidden/index.html": "for nobody",
}
SECRETS = {False: ("for alice", "for admins", "for nobody"), True: ("for admins", "for nobody")}


def of_kind(kind, **options):
    options.setdefault("pages", PAGES)
    return KINDS[kind](routes=ROUTES, **options)


def with_token(site):
    site.token = site.signed_in().token
    return site


def assert_shows(site, target, nobody, alice):
    """Each is a status or a part of the page; and no page is shown to whom it is not for."""
    for signed_in, right in ((False, nobody), (True, alice)):
        answer = send(site, target, signed_in=signed_in)
        text = answer.body.decode()
        assert not [each for each in SECRETS[signed_in] if each in text], (target, signed_in)
        assert (answer.status == right) if isinstance(right, int) else (right in text), (target, signed_in, text)


# ── one page that leads to another ──────────────────────────────────────────────────────────────────────────────────

LEADING = """
    <Directory "{root}">
        AllowOverride All
        Options +Includes
        AddType text/html .shtml
        AddOutputFilter INCLUDES .shtml
    </Directory>
    <Directory "{root}/public/limited">
        AllowMethods GET
    </Directory>
    ErrorDocument 403 /admin/page.html
    ErrorDocument 404 /app/page.html
    <If "%{REQUEST_URI} =~ m#^/closed/if/#">
        Require all granted
    </If>
"""
INCLUDES = "".join(f'<!--#include virtual="/{folder}/page.html" -->' for folder in ("app", "admin", "closed", "public"))
OPENING = {
    "granted": "Require all granted",
    "satisfy": "Satisfy Any\nRequire all granted",
    "no-merging": "AuthMerging Off\nRequire all granted",
}
# Of the one module or the other.
OPENING_OF = {
    "mod_authnz_fcgi": {"provider": "AuthnzFcgiCheckAuthnProvider None\nRequire all granted\nSatisfy Any"},
    "mod_fcgid": {
        "not-authoritative": "FcgidAccessCheckerAuthoritative Off",
        "program": "FcgidAccessChecker /bin/true",
    },
}


# What Apache and we say to each other, said by a folder.
FORGED = """
SetEnvIf Request_URI . MATCH_GATEHOUSE_PATH=/public/page.html REDIRECT_STATUS=404
SetEnvIf Request_URI . GATEHOUSE_PATH=/public/page.html REDIRECT_URI=/public/page.html
SetEnvIf Request_URI . REMOTE_USER=alice MATCH_GATEHOUSE_QUESTION=
"""
# An <If> within another is merged after that one.
DEPTHS = [1, 2, 3]


def opening_pages(kind):
    lines = {**OPENING, **OPENING_OF[kind]}
    return {
        f"{folder}/{name}-{depth}/{file}": text
        for folder, for_whom in (("app", "for alice"), ("closed", "for nobody"))
        for name, opening in lines.items()
        for depth in DEPTHS
        for file, text in (
            (".htaccess", '<If "true">\n' * depth + opening + "\n</If>" * depth + "\n"),
            ("page.html", for_whom),
        )
    }


@pytest.fixture(scope="module", params=KINDS)
def site(request):
    kind = request.param
    pages = {
        **PAGES,
        ".htaccess": "RewriteEngine On\n"
        "RewriteRule ^public/one/(.*)$ /$1 [L]\nRewriteRule ^public/two/(.*)$ /public/one/$1 [L]\n",
        "public/all.shtml": f"all: {INCLUDES}",
        "public/all-of-another.shtml": 'another: <!--#include virtual="/public/all.shtml" -->',
        "public/index.shtml": 'index: <!--#include virtual="/app/hidden/" -->',
        "closed/if/page.html": "for nobody",
        **{
            f"{folder}/forged/{file}": text
            for folder, for_whom in (("app", "for alice"), ("closed", "for nobody"))
            for file, text in ((".htaccess", FORGED), ("page.html", for_whom))
        },
        "public/below.shtml": 'below: <!--#include file="sub/page.html" -->',
        "public/sub/page.html": "for nobody",
        "public/limited/page.html": "for everybody",
        "public/blog/.htaccess": "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . show.php [L]\n",
        "public/blog/show.php": SHOW,
        **opening_pages(kind),
    }
    with contextlib.closing(
        of_kind(kind, more=LEADING, pages=pages, modules=("rewrite", "include", "allowmethods"))
    ) as made:
        made.kind = kind
        yield with_token(made)


def test_what_two_rewrites_of_a_folder_lead_to_is_decided(site):
    # By mod_fcgid, a page that is refused is the login's, which is told the public path only.
    refused = 403 if site.kind == "mod_authnz_fcgi" else 401
    for rewrites in ("one", "two"):
        assert_shows(site, f"/public/{rewrites}/public/page.html", "for everybody", "for everybody")
        assert_shows(site, f"/public/{rewrites}/app/page.html", 401, "for alice")
        assert_shows(site, f"/public/{rewrites}/admin/page.html", 401, refused)


def test_the_index_page_that_a_rewrite_leads_to_is_decided(site):
    refused = 403 if site.kind == "mod_authnz_fcgi" else 401
    for target in ("/app/hidden/", "/public/one/app/hidden/", "/public/two/app/hidden/"):
        assert_shows(site, target, 401, refused)


@pytest.mark.parametrize("page", ["all", "all-of-another"])
def test_what_a_page_includes_is_decided_page_by_page(site, page):
    assert_shows(site, f"/public/{page}.shtml", "for everybody", "for everybody")
    assert_shows(site, f"/public/{page}.shtml", "all: ", "for alice")


def test_the_index_page_that_a_page_includes_is_decided(site):
    assert_shows(site, "/public/index.shtml", "index: ", "index: ")


def test_a_file_of_a_folder_below_that_a_page_includes_is_refused(site):
    # Apache tells no path of it.
    assert_shows(site, "/public/below.shtml", "below: ", "below: ")


def test_the_methods_that_the_site_allows_stay_the_only_ones(site):
    assert_shows(site, "/public/limited/page.html", "for everybody", "for everybody")
    for method in ("POST", "OPTIONS"):
        assert send(site, "/public/limited/page.html", method=method).status == 405, method


def test_behind_a_rewrite_of_a_folder_a_script_is_told_once_who_it_is(site):
    for target in ("/public/blog/a/post", "/public/blog/show.php"):
        for signed_in in (False, True):
            answer = send(site, target, signed_in=signed_in)
            assert answer.status == 200, answer.body
            env = json.loads(answer.body)["env"]
            names = ("REMOTE_USER", "HTTP_REMOTE_USER", "HTTP_REMOTE_GROUPS", "AUTH_TYPE")
            right = ("alice", "alice", "staff,ops", "Gatehouse") if signed_in else ("", "", "", "")
            assert tuple(env.get(name, "") for name in names) == right, target


def test_the_page_that_the_site_shows_for_an_error_is_decided(site):
    for target in ("/closed/page.html", "/admin/page.html", "/public/missing.html", "/app/missing.html"):
        assert_shows(site, target, "", "")


def test_no_if_of_a_folder_or_of_the_site_opens_a_page(site):
    for name, depth in itertools.product([*OPENING, *OPENING_OF[site.kind]], DEPTHS):
        assert_shows(site, f"/closed/{name}-{depth}/page.html", "", "")
        # What a folder breaks so that Apache serves nothing is broken for alice, too.
        assert_shows(site, f"/app/{name}-{depth}/page.html", "", "for alice" if name in OPENING else "")
    assert_shows(site, "/closed/if/page.html", "", "")


def test_no_folder_says_another_path_in_its_own_place(site):
    # By mod_authnz_fcgi the folder has shut out everybody.
    assert_shows(site, "/app/forged/page.html", "", "for alice" if site.kind == "mod_fcgid" else 403)
    assert_shows(site, "/closed/forged/page.html", "", "")


# ── rules of the virtual host ───────────────────────────────────────────────────────────────────────────────────────

NO_FILE = 'RewriteCond "{root}%{REQUEST_FILENAME}" !-f'
NO_QUERY = "RewriteCond %{QUERY_STRING} ^$"
BUT_LOGIN = "RewriteCond %{REQUEST_URI} !^/auth/log"
# What they make of a question is a page that everybody may see, or a redirect.
RULES = {
    "PT": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^ /public/page.html [PT,L]",
    "PT to a page of alice's": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^ /app/page.html [PT,L]",
    "PT of plain paths": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^/[a-z/-]+$ /public/page.html [PT,L]",
    "PT without a query": f"{NO_QUERY}\n{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^ /public/page.html [PT,L]",
    "PT to the login": "RewriteRule ^/auth/(?!log) /auth/login [PT,L]",
    "no PT": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^ /public/page.html [L]",
    "R": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^ /public/page.html [R,L]",
    "R of plain paths": f"{BUT_LOGIN}\n{NO_FILE}\nRewriteRule ^/[a-z/-]+$ /public/page.html [R,L]",
    "RedirectMatch": 'RedirectMatch "^/auth/(?!log)" "/public/page.html"',
}
REWRITING_THE_QUESTION = ["PT", "PT to a page of alice's", "PT of plain paths", "PT to the login"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
def test_no_rule_of_the_virtual_host_answers_in_the_place_of_gatehouse(track, kind, rule):
    more = f"RewriteEngine On\n{RULES[rule]}\n"
    site = with_token(track(of_kind(kind, more=more, modules=("rewrite",))))
    assert_shows(site, "/app/page.html", 401, "for alice")
    assert_shows(site, "/admin/page.html", 401, 403)
    assert_shows(site, "/closed/page.html", 403, 403)
    # Where the question is lost, nobody is not known to be nobody.
    lost = (kind, rule) in [("mod_authnz_fcgi", each) for each in REWRITING_THE_QUESTION]
    assert_shows(site, "/public/page.html", 500 if lost else "for everybody", "for everybody")


@pytest.mark.parametrize("kind", KINDS)
def test_a_rewritten_path_below_the_endpoints_opens_no_page(track, kind):
    more = 'RewriteEngine On\nRewriteRule "^/auth/(admin|closed)/" "/$1/page.html"\n'
    site = with_token(track(of_kind(kind, more=more, modules=("rewrite",))))
    for target in ("/auth/admin/x", "/auth/closed/x"):
        assert_shows(site, target, "", "")
    assert_shows(site, "/app/page.html", 401, "for alice")


@pytest.mark.parametrize("kind", KINDS)
def test_another_server_that_a_rule_below_the_endpoints_leads_to_is_not_asked(track, kind):
    # Apache itself, by its other name: whatever it answered, it would be shown.
    more = 'RewriteEngine On\nRewriteRule "^/auth/x/(.*)$" "http://127.0.0.1:%{SERVER_PORT}/public/$1" [P]\n'
    site = with_token(track(of_kind(kind, more=more, modules=("rewrite", "proxy", "proxy_http"))))
    for signed_in in (False, True):
        answer = send(site, "/auth/x/page.html", signed_in=signed_in)
        assert answer.status in (401, 403) and b"for everybody" not in answer.body
    assert_shows(site, "/public/page.html", "for everybody", "for everybody")


def test_a_rewritten_question_is_not_asked(track):
    more = f"RewriteEngine On\n{RULES['PT']}\n"
    site = track(of_kind("mod_authnz_fcgi", more=more, modules=("rewrite",)))
    assert send(site, "/public/page.html").status == 500
    assert send(site, "/closed/page.html").status == 403
    # The second page's answer was told last.
    wait_until(lambda: " path=/closed/page.html " in site.gatehouse.log(), "the questions are logged")
    assert site.gatehouse.log().count(" path=/public/page.html ") == 1


# ── mod_cache ───────────────────────────────────────────────────────────────────────────────────────────────────────

CACHING = """
    CacheRoot "{folder}/cache"
    CacheEnable disk /
    CacheMinExpire 600
    CacheHeader on
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_from_the_cache_is_asked_about(track, kind):
    site = track(of_kind(kind, more=CACHING, modules=("cache", "cache_disk")))
    cache = site.nginx.folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    site.guests = Guests(site.gatehouse)
    site.token = site.guests.token("idle")
    # A renewed cookie is nobody else's.
    [line] = session_cookies(send(site, "/app/page.html", signed_in=True))
    site.token = line.split(";")[0].partition("=")[2]

    def is_cached():
        answer = send(site, "/app/page.html", signed_in=True)
        assert not set_cookies(answer)
        return "HIT" in answer.headers["X-Cache"]

    wait_until(is_cached, "alice's page is in the cache")
    assert_shows(site, "/app/page.html", 401, "for alice")
    assert not set_cookies(send(site, "/public/page.html"))
    site.gatehouse.run("session", "revoke", "--user", "alice", check=0)
    assert send(site, "/app/page.html", signed_in=True).status == 401


# ── uploads, and processes that hang ────────────────────────────────────────────────────────────────────────────────

BODY = b"x" * 900000
COUNT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nwc -c\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_upload_is_asked_about_as_any_other(track, kind):
    site = with_token(track(of_kind(kind, pages={**PAGES, "app/count.cgi": COUNT})))
    (site.root / "app" / "count.cgi").chmod(0o755)

    def upload(*lines):
        head = ["POST /app/count.cgi HTTP/1.1", f"Host: {site.host}", "Connection: close", "Accept: application/json"]
        head += [*lines, f"Content-Length: {len(BODY)}"]
        return site.raw("\r\n".join(head).encode() + b"\r\n\r\n" + BODY)

    assert upload(f"Cookie: session={site.token}").body.strip() == str(len(BODY)).encode()
    answer = upload()
    assert answer.status == 401
    if kind == "mod_fcgid":
        # The login's answer, and not Apache's own.
        assert json.loads(answer.body)["error"] == "unauthorized"


def test_an_access_checker_that_hangs_is_left_after_its_own_time(track):
    def short(text):
        assert text.count(" IOTimeout 10\n") == 1
        return text.replace(" IOTimeout 10\n", " IOTimeout 1\n")

    site = with_token(track(of_kind("mod_fcgid", edit=short)))
    frozen = site.processes()
    assert frozen
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        # mod_fcgid's own default is longer than anything here waits.
        answer = send(site, "/app/page.html", signed_in=True)
        assert answer.status >= 400 and b"for alice" not in answer.body
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
