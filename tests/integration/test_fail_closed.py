"""Whatever becomes of the gateway, no web server lets anybody in by any door: every web server and door × every fault.
The visitor is signed in and would see the page, and does see it before and afterwards."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable

import pytest
import requests

from apache import AccessCheckerSite, ApacheFcgidSite, ApacheGatewaySite, AuthorizerSite
from caddy import CaddyRelay, CaddySite
from check_site import SHOW, TRANSPORTS, CheckSite
from door_table import PAGES, Guests
from faults import FAULTS, meet
from gateway_site import ROUTES, GatewaySite
from harness import LONG, Site, wait_until
from haproxy import HAProxySite
from lighttpd import LighttpdGatewaySite, LighttpdSite, LighttpdSpawnedSite
from visitor import NAVIGATION, Visitor, set_cookies

STATIC = "/app/page.txt"
STATIC_TEXT = "a file that only she may read"
SHOWN = '"env"'  # in the page of every script
# A web server that waits longer for a frozen gateway is left after a moment: it has said nothing until then.
PATIENCE = 10.0
PROGRAM = {"Accept": "*/*"}
# An END_REQUEST without a byte of an answer.
NO_STATUS = ("answers nothing", "says that it is overloaded")


@dataclasses.dataclass(frozen=True)
class Front:
    """A web server and a door. `asks`: it serves the pages itself, so that it could serve them unasked."""

    open: Callable
    asks: bool = True
    ways: Callable = lambda site: [site.url]
    says_503: bool = False  # to everybody whom it could not ask about, with Retry-After
    waits: float = 3.0  # seconds for an answer
    is_slow: bool = False  # it starts processes by itself, one a second
    # Faults that the web server takes for a yes whatever is configured; the gateway is never like that.
    beyond_us: tuple = ()
    empty_200: tuple = ()  # faults of which the web server makes an empty page


def checked(kind, **more):
    """A web server that asks, with the pages of the table and a file beside them."""
    pages = {**{path.strip("/"): SHOW for path in PAGES.values()}, STATIC.strip("/"): STATIC_TEXT}
    return lambda: kind(pages=pages, routes=ROUTES, **more)


def run(kind):
    """A web server that relays to the gateway door, where the pages are CGI programs."""
    return lambda: kind(prepare=GatewaySite.copy_pages, routes=ROUTES)


class CaddyGatewaySite(Site):
    def make_front(self, **_):
        return CaddyRelay(self)


FRONTS = {
    "nginx, check": Front(
        checked(CheckSite, over=TRANSPORTS, servers=[""] * len(TRANSPORTS)),
        ways=lambda site: [f"http://127.0.0.{number}:{site.nginx.port}" for number in (1, 2)],
        says_503=True,
    ),
    "Caddy, forward": Front(checked(CaddySite), says_503=True),
    "lighttpd, authorizer": Front(checked(LighttpdSite), waits=5, beyond_us=NO_STATUS),
    "Apache, mod_authnz_fcgi": Front(checked(AuthorizerSite), waits=30),
    "Apache, FcgidAccessChecker": Front(checked(AccessCheckerSite), waits=40, is_slow=True),
    "nginx, gateway": Front(GatewaySite, asks=False, waits=75),
    "Apache, mod_proxy_fcgi": Front(run(ApacheGatewaySite), asks=False, waits=75, empty_200=NO_STATUS),
    "lighttpd, gateway": Front(run(LighttpdGatewaySite), asks=False, waits=75),
    "lighttpd, bin-path": Front(run(LighttpdSpawnedSite), asks=False, waits=75),
    "Apache, FcgidWrapper": Front(run(ApacheFcgidSite), asks=False, waits=75, is_slow=True),
    "HAProxy": Front(run(HAProxySite), asks=False, waits=75),
    "Caddy, gateway": Front(run(CaddyGatewaySite), asks=False, waits=75),
}


@dataclasses.dataclass
class Open:
    """A front that stands, and the visitor's session in it."""

    front: Front
    site: object
    token: str

    def pages(self):
        return [PAGES["authenticated"], PAGES["public"], *([STATIC] if self.front.asks else [])]

    def ask(self, path, kind, token, url, fault=None):
        """The answer; None if the web server had said nothing when the visitor left."""
        visitor = Visitor(url)
        visitor.http.headers["Cookie"] = f"session={token}" if token else "theme=dark"
        leaves = fault == "frozen" and self.front.waits > PATIENCE
        try:
            return visitor.request("GET", path, kind, timeout=1 if leaves else 3 * LONG)
        except requests.exceptions.ReadTimeout:
            assert leaves, f"{path} was never answered"
            return None

    def assert_works(self):
        for url, path in itertools.product(self.front.ways(self.site), self.pages()):
            wait_until(lambda: is_served(self.ask(path, {}, self.token, url), path), f"{path} is served at {url}")

    def go_through(self, fault):
        """Everybody asks while it lasts, and afterwards. Returns what was wrong."""
        kinds = [PROGRAM] if self.front.is_slow else [PROGRAM, NAVIGATION]
        cells = [(path, kind, self.token) for path in self.pages() for kind in kinds]
        cells.append((PAGES["authenticated"], kinds[0], None))
        calls = [(*cell, url) for cell in cells for url in self.front.ways(self.site)]
        with meet(self.site, fault):
            answers = at_once([functools.partial(self.ask, *call, fault) for call in calls])
        self.assert_works()
        problems = [self.problem(fault, call[2], answer) for call, answer in zip(calls, answers, strict=True)]
        return [(*call, problem) for call, problem in zip(calls, problems, strict=True) if problem]

    def problem(self, fault, token, answer):
        """What is wrong with an answer; None if it lets nobody in."""
        if answer is None:
            return None
        if STATIC_TEXT in answer.text or SHOWN in answer.text:
            return "the page is served"
        told = (answer.status_code, dict(answer.headers), answer.text[:200])
        is_empty = answer.status_code == 200 and answer.text == "" and fault in self.front.empty_200
        if not is_empty and answer.status_code not in (401, 403) and answer.status_code < 500:
            return "not refused", told
        if set_cookies(answer):
            return "a cookie is touched", told
        if [name for name in answer.headers if "gatehouse" in name.lower()]:
            return "a header of ours is handed on", told
        # A bug is 500, which nginx takes for any other failure and Caddy hands on.
        is_bug = fault == "store throws an int" and answer.status_code == 500
        if self.front.says_503 and token is not None and not is_bug:
            is_whole = answer.headers.get("Retry-After") and answer.headers.get("Cache-Control") == "no-store"
            return None if answer.status_code == 503 and is_whole else ("no 503 with Retry-After", told)
        return None


def is_served(answer, path):
    text = STATIC_TEXT if path == STATIC else SHOWN
    return answer is not None and answer.status_code == 200 and text in answer.text


def results(pool, calls):
    return [job.result() for job in [pool.submit(call) for call in calls]]


def at_once(calls):
    """Runs them beside each other, so that a test waits for a time-out only once."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return results(pool, calls)


@pytest.fixture(scope="module")
def fronts():
    """Every front, each with a gateway of its own."""
    with contextlib.ExitStack() as stack:
        # One for all tests: a server ends with the thread that started it (die_with_the_test).
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(FRONTS)))

        def stand(front):
            site = stack.enter_context(contextlib.closing(front.open()))
            made = Open(front, site, Guests(site.gatehouse).token("valid"))
            made.assert_works()
            return made

        opened = results(pool, [functools.partial(stand, front) for front in FRONTS.values()])
        yield pool, dict(zip(FRONTS, opened, strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_with_a_fault_nobody_is_let_in(fronts, fault):
    pool, fronts = fronts
    names = [name for name in fronts if fault not in fronts[name].front.beyond_us]
    found = results(pool, [functools.partial(fronts[name].go_through, fault) for name in names])
    wrong = {name: problems for name, problems in zip(names, found, strict=True) if problems}
    assert not wrong
