"""HAProxy as FastCGI client of the gateway door: its request ids are odd and rise on a kept connection, it may ask for
values first, and it may be told to send several requests at once. What every door has in common is in test_doors."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import urllib.parse

import pytest

from door_table import PAGES, VISITORS, Guests, outcomes, wanted
from door_table import routes as door_routes
from harness import wait_until
from haproxy import OPTIONS, HAProxySite
from languages import write_program
from page_table import OWNED
from test_paths import TARGETS as PATHS
from test_paths import check as check_path
from test_spoofing import EVIL, assert_clean, spellings
from visitor import session_cookies, set_cookies

ROUTES = [
    *door_routes(downstream="scripts"),
    {"path": "/elsewhere/**", "access": "deny"},  # of the table: what no route matches
    {"path": "/open/**", "access": "public", "downstream": "scripts"},
    {"path": "/**", "access": "authenticated", "downstream": "scripts"},
]


def write_pages(gatehouse):
    tell = write_program("C", gatehouse.folder / "tell")
    for path in [*PAGES.values(), "/open/show"]:
        script = gatehouse.root / path.strip("/")
        script.parent.mkdir(exist_ok=True)
        shutil.copy(tell, script)


def open_site(**more):
    site = HAProxySite(prepare=write_pages, routes=ROUTES, **more)
    site.guests = Guests(site.gatehouse)
    return site


@pytest.fixture(scope="module")
def site():
    with contextlib.closing(open_site()) as made:
        yield made


def member(site):
    visitor = site.visitor()
    visitor.token = site.guests.token("valid")
    return visitor


def test_haproxy_accepts_the_example(site):
    done = site.nginx.test()
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr


@pytest.mark.parametrize("visitor", VISITORS)
def test_decisions_are_those_of_the_table(site, visitor):
    got = outcomes(site, visitor)
    assert got == {cell: wanted(visitor, page=cell[0]) for cell in got}


def test_the_whole_circle(site):
    visitor = site.visitor()
    refused = visitor.navigate("/show?a=%2F")
    login = urllib.parse.urlsplit(refused.headers["Location"])
    assert refused.status_code == 302 and urllib.parse.parse_qs(login.query) == {"rd": ["/show?a=%2F"]}
    assert visitor.sign_in("alice", "wrong password, really").status_code == 401
    arrived = visitor.sign_in("alice", rd="/show?a=%2F")
    # HAProxy would have made it 302.
    assert arrived.status_code == 303 and arrived.headers["Location"] == "/show?a=%2F"
    assert len(session_cookies(arrived)) == 1
    assert visitor.show("/show?a=%2F")["env"]["REMOTE_USER"] == "alice"
    assert visitor.sign_out(headers={"Origin": "https://evil.example"}).status_code == 403
    assert visitor.sign_out().status_code == 303 and visitor.token is None
    assert visitor.fetch("/show").status_code == 401


def test_bodies_and_answers_pass_whole(site):
    visitor = member(site)
    body = os.urandom(3 << 20)
    assert visitor.fetch("/echo", method="POST", data=body).content == body
    assert visitor.fetch("/large").content == bytes(20 << 20)
    assert [line.split(";")[0] for line in set_cookies(visitor.fetch("/cookies"))] == ["first=1", "second=2"]
    assert [visitor.fetch(f"/status?{code}").status_code for code in (204, 206, 404, 418)] == [204, 206, 404, 418]


def test_failures_of_a_script_are_gatehouses_own_answers(site):
    visitor = member(site)
    for path, status in (("/hang", 504), ("/silent", 502), ("/half-header", 502)):
        answer = visitor.fetch(path)
        assert answer.status_code == status and answer.headers["X-Request-Id"]


def test_two_cookie_lines_are_one(site):
    token = site.guests.token("valid")
    answer = site.raw_get("/show", "Cookie: theme=dark", f"Cookie: session={token}")
    env = json.loads(answer.body)["env"]
    assert env["REMOTE_USER"] == "alice" and env["HTTP_COOKIE"] == "theme=dark"
    other = site.guests.token("valid")[::-1]
    assert site.raw_get("/show", f"Cookie: session={other}", f"Cookie: session={token}").status == 401


@pytest.mark.parametrize("name", OWNED)
def test_no_spelling_of_a_name_of_ours_reaches_a_script(site, name):
    for token in (None, site.guests.token("valid")):
        for spelling in spellings(name):
            cookie = [f"Cookie: session={token}"] if token else []
            value = f"Basic {EVIL}" if name == "Authorization" else EVIL
            answer = site.raw_get("/open/show", f"{spelling}: {value}", *cookie)
            assert answer.status in (200, 400), spelling
            if answer.status == 200:
                assert_clean(json.loads(answer.body)["env"], token is not None)


@pytest.mark.parametrize("target, expected", PATHS)
def test_paths(site, target, expected):
    if target in ("/open/%", "/open/%z1", "/open/%2", "/open/%u002e"):
        expected = 500  # HAProxy itself
    answer = site.raw_get(target, "Accept: */*")
    check_path(target, expected, answer.status, answer.body)


# ── several requests, one connection ────────────────────────────────────────────────────────────────────────────────

WAYS = {
    "not kept": "    no option keep-conn\n",
    "kept": OPTIONS,
    "kept, asked": OPTIONS + "    option get-values\n",
    "kept, asked, multiplexed": OPTIONS + "    option get-values\n    option mpxs-conns\n",
    "multiplexed": OPTIONS + "    option mpxs-conns\n",
    "asked, multiplexed by force": OPTIONS + "    option get-values\n    option mpxs-conns\n    option max-reqs 50\n",
}
VISITORS_AT_ONCE, REQUESTS_OF_EACH = 15, 6


def requests_of(site, token, visitor_number):
    """What one visitor sends over his connection, of one kind and another; whether each got its own answer. Behind an
    answer that has a length HAProxy does not wait for the end of the request."""
    visitor = site.visitor()
    for number in range(visitor_number * 100, visitor_number * 100 + REQUESTS_OF_EACH):
        visitor.token = token if number % 3 else None
        body = f"{number} ".encode() * 500
        if number % 4 == 3:
            session = visitor.fetch("/auth/session")
            yield session.status_code == (200 if visitor.token else 401)
        elif number % 3 == 1:
            yield visitor.fetch("/echo", method="POST", data=body).content == body
        else:
            env = visitor.show(f"/open/show?{number}")["env"]
            yield (env["QUERY_STRING"], env.get("REMOTE_USER")) == (str(number), "alice" if number % 3 else None)


@pytest.mark.parametrize("way", WAYS)
def test_many_requests_at_once_get_their_own_answers(way):
    with contextlib.closing(open_site(options=WAYS[way], tapped=True)) as site:
        token = site.guests.token("valid")
        with concurrent.futures.ThreadPoolExecutor(VISITORS_AT_ONCE) as pool:
            right = list(pool.map(lambda number: list(requests_of(site, token, number)), range(VISITORS_AT_ONCE)))
        assert right == [[True] * REQUESTS_OF_EACH] * VISITORS_AT_ONCE
        ids = site.tap.ids()
        assert all(number % 2 for number in ids)
        assert way != "not kept" or site.tap.most_at_once() == 1
        assert (max(ids) > 1 and site.tap.connections() < len(ids)) == (way != "not kept")
        assert (site.tap.questions() > 0) == ("asked" in way)


# ── gatehouse away ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_gatehouse_that_is_down_is_503_and_asked_again():
    with contextlib.closing(open_site()) as site:
        visitor = member(site)
        assert visitor.fetch("/app/show.php").status_code == 200
        site.gatehouse.stop()
        for path in ("/app/show.php", "/open/show", "/auth/login"):
            assert visitor.fetch(path).status_code == 503
        site.gatehouse.start()
        wait_until(lambda: visitor.fetch("/app/show.php").status_code == 200, "HAProxy asks again")
