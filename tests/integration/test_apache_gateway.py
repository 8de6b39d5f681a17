"""Apache in front of the gateway door: over Gatehouse's socket by mod_proxy_fcgi, and by processes that mod_fcgid starts.
Gatehouse runs the scripts. What every door has in common is in test_doors and test_family."""

import contextlib
import hashlib
import json

import pytest

from apache import ApacheFcgidSite, ApacheGatewaySite
from door_table import HOUR, Guests
from test_paths import BAD, LOGIN, MISSING, TARGETS, check
from test_spoofing import CASES, EVIL, OWNED, assert_clean, send, spellings
from visitor import PASSWORD, Form, is_removal, session_cookies

KINDS = {"mod_proxy_fcgi": ApacheGatewaySite, "mod_fcgid": ApacheFcgidSite}


@pytest.fixture(scope="module", params=KINDS)
def site(request):
    made = KINDS[request.param]()
    with contextlib.closing(made):
        folder = made.root / "open"
        folder.mkdir()
        (folder / "show").write_bytes((made.root / "show").read_bytes())
        (folder / "show").chmod(0o755)
        made.kind = request.param
        made.token = made.signed_in().token
        yield made


def test_apache_takes_what_is_printed_without_a_word_against_it(site):
    done = site.nginx.test()
    assert (done.returncode, done.stderr.strip()) == (0, "Syntax OK")


def test_the_login_leads_back_to_the_page_and_the_logout_out(site):
    visitor = site.visitor()
    page = "/show/a%20b?a=%2F&b=+%20"
    answer = visitor.navigate(page)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/auth/login?rd=")
    answer = visitor.navigate(answer.headers["Location"])
    form = Form(answer.text)
    assert form.fields["rd"] == page
    answer = visitor.post("/auth/login", data={**form.fields, "username": "alice", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    env = visitor.navigate(page).json()["env"]
    assert (env["REMOTE_USER"], env["SCRIPT_NAME"], env["PATH_INFO"]) == ("alice", "/show", "/a b")
    assert env["QUERY_STRING"] == "a=%2F&b=+%20" and "GATEHOUSE_PATH" not in env and "GATEHOUSE_MOUNT" not in env
    answer = visitor.sign_out()
    assert answer.status_code == 303 and is_removal(session_cookies(answer)[0])
    assert visitor.fetch("/show").status_code == 401


def test_a_renewed_cookie_comes_once(site):
    guests = Guests(site.gatehouse)
    visitor = site.visitor()
    visitor.token = guests.session(site.alice_id, active=-HOUR, idle=HOUR)
    [line] = session_cookies(visitor.fetch("/show"))
    assert not is_removal(line) and visitor.show()["env"]["REMOTE_USER"] == "alice"


# Apache refuses these by itself.
REFUSED = {
    "/open..%2fshow": MISSING,
    "/open%2fshow": MISSING,
    "/open/..%2fshow": MISSING,
    "/open%2F..%2Fshow": MISSING,
    "/open/show%00": MISSING,
    # It normalises before it decodes.
    "/open/%00/../../show": LOGIN,
}


@pytest.mark.parametrize("target, expected", TARGETS)
def test_the_path_that_is_decided_is_the_path_that_runs(site, target, expected):
    answer = site.raw_get(target, "Accept: */*")
    check(target, REFUSED.get(target, expected), answer.status, answer.body)


@pytest.mark.parametrize("target", ["/auth%2flogout", "/auth\\logout", "/auth/logout%00"])
def test_an_endpoint_of_an_ambiguous_path_is_none(site, target):
    assert site.raw_get(target).status in (BAD, MISSING)


def test_trace_is_refused(site):
    assert site.raw_get("/open/show", "X-Secret: kept", method="TRACE").status == 405


@pytest.mark.parametrize("name", [*OWNED, "Proxy", "Authorization", "Redirect-Status", "X-Gatehouse-User"])
def test_no_spelling_of_a_name_of_ours_reaches_a_script(site, name):
    for path, signed_in in CASES:
        token = site.token if signed_in else None
        for spelling in spellings(name):
            answer = send(site, path, [f"{spelling}: {EVIL}"], token)
            assert answer.status in (200, 400), spelling
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], signed_in)
        lines = [f"{spelling}: {EVIL}{n}" for spelling in spellings(name)[:6] for n in range(2)]
        answer = send(site, path, lines, token)
        assert answer.status == 200
        assert_clean(json.loads(answer.body)["env"], signed_in)


# ── mod_cache ───────────────────────────────────────────────────────────────────────────────────────────────────────

CACHING = """
    CacheRoot "{folder}/cache"
    CacheEnable disk /
    CacheIgnoreNoLastMod On
    CacheDefaultExpire 600
    CacheStorePrivate On
    CacheStoreNoStore On
"""


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_is_taken_from_the_cache(track, kind):
    site = track(KINDS[kind](more=CACHING, modules=("cache", "cache_disk")))
    cache = site.nginx.folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    site.token = site.signed_in().token
    for _ in range(2):
        assert send(site, "/show", [], site.token).status == 200
        assert send(site, "/show", [], None).status == 401
    assert not [file for file in cache.rglob("*") if file.is_file()]


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

BODY = bytes(range(256)) * 3516  # 900 kB


def told_of(answer):
    assert answer.status == 200, f"{answer.status} {answer.body[:300]}"
    told = json.loads(answer.body)
    return told["body_length"], told["body_sha256"]


def post(site, *lines):
    head = ["POST /show HTTP/1.1", f"Host: {site.host}", "Connection: close", f"Cookie: session={site.token}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def test_an_upload_of_900_kb_arrives(site):
    answer = site.raw(post(site, f"Content-Length: {len(BODY)}") + BODY)
    assert told_of(answer) == (len(BODY), hashlib.sha256(BODY).hexdigest())


def test_an_upload_without_a_length_arrives(site):
    pieces = [BODY[at : at + 60000] for at in range(0, len(BODY), 60000)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    answer = site.raw(post(site, "Transfer-Encoding: chunked") + chunked)
    assert told_of(answer) == (len(BODY), hashlib.sha256(BODY).hexdigest())


# ── nobody answers ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_apache_asks_again_as_soon_as_gatehouse_is_back(track):
    site = track(ApacheGatewaySite())
    visitor = site.signed_in()
    assert visitor.show()["env"]["REMOTE_USER"] == "alice"
    site.gatehouse.stop()
    assert [visitor.fetch("/show").status_code for _ in range(3)] == [503] * 3
    site.gatehouse.start()
    assert visitor.show()["env"]["REMOTE_USER"] == "alice"


def test_connections_are_used_again(track):
    site = track(ApacheGatewaySite())
    visitor = site.signed_in()
    before = sockets(site)
    visitor.show()
    [kept] = [each for each in sockets(site) if each not in before] or [None]
    assert kept or before, "one stays open between two requests"
    used = set(before) | {kept}
    for _ in range(5):
        visitor.show()
        # One a process of Apache's at most; a visitor's connection stays with one process.
        assert set(sockets(site)) <= used


def sockets(site):
    """What leads to Apache, or waits for it, now."""
    return [target for target in site.gatehouse.descriptors() if target.startswith("socket:")]
