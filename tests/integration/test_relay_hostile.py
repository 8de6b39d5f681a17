"""Applications that lie, flood, hang, break off or are not there, behind every web server: what the visitor sees comes in
time, nobody else notices, and nothing is left behind."""

import concurrent.futures
import contextlib
import http.client
import itertools
import os
import re
import socket
import time

import pytest

from apache import ApacheGatewaySite
from fastcgi import FastCgi, get
from harness import LONG, Site, wait_until
from hostile_application import BEGINNING, BEHAVIOURS, BROKEN, PAGE, RESETS, Behaviour, HostileApplication
from lighttpd import LighttpdGatewaySite

TIMEOUT = 2  # seconds, for applications that do not end
IS_LONG = os.environ.get("GATEHOUSE_LONG") == "1"
ROUNDS = 100 if IS_LONG else 2  # of all behaviours, to see what they leave behind
AT_ONCE = 24
# What the memory may grow by, in KiB. A sanitizer keeps what was freed.
ALLOWANCE = 8192
BODY = b"b" * 400_000


class Hostile:
    """For a gateway site of any web server: /hostile/NAME is answered by that behaviour, /hasty/NAME with the short
    TIMEOUT; /tcp/NAME over TCP, /kept/NAME over connections that are kept. Nobody listens for /down/, and the one for
    /full/ takes nobody in."""

    takes_cut_for_whole = False  # the web server, if the end comes together with the beginning

    def __init__(self, **options):
        super().__init__(prepare=self.prepare, **options)

    def prepare(self, gatehouse):
        folder = gatehouse.folder
        self.application = HostileApplication(folder / "hostile.sock")
        self.full = socket.socket(socket.AF_UNIX)
        self.full.bind(str(folder / "full.sock"))
        self.full.listen(0)
        self.waiting = socket.socket(socket.AF_UNIX)
        self.waiting.connect(str(folder / "full.sock"))
        on_socket = {"address": f"unix:{self.application.path}", "timeout": f"{LONG:.0f}s"}
        hasty = {"timeout": f"{TIMEOUT}s"}
        downstreams = {
            "hostile": on_socket,
            "hasty": {**on_socket, **hasty},
            "kept": {**on_socket, "keep_connections": 8},
            "tcp": {**on_socket, "address": f"tcp:127.0.0.1:{self.application.port}"},
            "down": {"address": f"unix:{folder}/nobody.sock"},
            "full": {"address": f"unix:{folder}/full.sock", **hasty},
        }
        routes = []
        for name, keys in downstreams.items():
            gatehouse.config["downstreams"][name] = {"fastcgi": keys}
            routes.append({"path": f"/{name}/**", "access": "public", "downstream": name})
        gatehouse.config["routes"] = routes + gatehouse.config["routes"]
        gatehouse.write_config()

    def see(self, path, body=None):
        """What a visitor gets: (status, body); a status of BROKEN if it is not whole."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=3 * LONG)) as visitor:
            try:
                # Apache has a visitor wait for the rest of an answer that is broken off, if the connection is to stay.
                visitor.request("GET" if body is None else "POST", path, body, {"Connection": "close"})
                answer = visitor.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, ConnectionError):
                return BROKEN, b""

    def close(self):
        with self.full, self.waiting, contextlib.closing(self.application):
            super().close()


class HostileNginx(Hostile, Site):
    pass


class HostileApache(Hostile, ApacheGatewaySite):
    pass


class HostileLighttpd(Hostile, LighttpdGatewaySite):
    takes_cut_for_whole = True


FRONTS = {"nginx": HostileNginx, "Apache": HostileApache, "lighttpd": HostileLighttpd}


@pytest.fixture(scope="module", params=FRONTS)
def site(request):
    made = FRONTS[request.param]()
    yield made
    made.close()


@pytest.fixture(scope="module")
def nginx():
    made = HostileNginx()
    yield made
    made.close()


def wrong_with(site, seen, behaviour):
    """What is wrong with what a visitor saw, or None."""
    status, body = seen
    if behaviour.seen == BROKEN:
        # A web server that has sent nothing yet may say that the gateway broke off.
        is_right = status in (BROKEN, 500, 502, 503) or (site.takes_cut_for_whole and seen == (200, BEGINNING))
    elif behaviour.seen == 200:
        is_right = seen == (200, PAGE)
    else:
        is_right = status == behaviour.seen
    return None if is_right else seen


def at_once(function, arguments):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, arguments))


def path_of(name):
    return f"/hasty/{name}" if BEHAVIOURS[name].lasts else f"/hostile/{name}"


def ask(site, path, behaviour, body=None):
    """Returns what was wrong, or None."""
    begin = time.monotonic()
    wrong = wrong_with(site, site.see(path, body), behaviour)
    took = time.monotonic() - begin
    return None if wrong is None and took < LONG else (path, wrong, took)


def ask_all(site, cells):
    """Each cell is (path, behaviour) or (path, behaviour, body). Many at once. Returns what was wrong."""
    return [wrong for wrong in at_once(lambda cell: ask(site, *cell), cells) if wrong]


def cells(lasting=True):
    return [(path_of(name), each) for name, each in BEHAVIOURS.items() if lasting or not each.lasts]


def with_bodies(those):
    return [*those, *((*each, BODY) for each in those)]


def reasons(gatehouse):
    """What the log says of requests that failed or were broken off: path → lines."""
    found = {}
    for line in gatehouse.log().splitlines():
        if " script_failed " in line or " broken_off " in line:
            found.setdefault(re.search(r" path=(\S+)", line)[1], []).append(line)
    return found


NOBODY = {
    "/down/page": Behaviour(None, 502, "No such file or directory"),
    "/full/page": Behaviour(None, 503, "queue is full"),
}


def test_each_is_answered_in_time_the_next_visitor_well_and_the_log_names_the_reason(site):
    asked = [*cells(), *((f"/tcp/{name}", each) for name, each in RESETS.items()), *NOBODY.items()]
    assert ask_all(site, with_bodies(asked)) == []
    for body in (None, BODY):
        assert ask_all(site, [("/hostile/well", BEHAVIOURS["well"], body)] * AT_ONCE) == []
        assert ask(site, "/tcp/well", BEHAVIOURS["well"], body) is None

    wrong = {path for path, behaviour in asked if behaviour.seen != 200}
    # A visitor may have the answer before the line is there.
    wait_until(lambda: wrong <= set(reasons(site.gatehouse)), "the log has it")
    found = reasons(site.gatehouse)
    for path, behaviour in asked:
        # Who has all of the announced length does not wait for the end.
        reason = behaviour.reason if behaviour.seen != 200 else "the visitor went away"
        assert all(reason in line for line in found.get(path, [])), (path, found[path])


# One FastCGI connection of the web server's, on which one request follows another: what a hostile application did to the
# first must not be seen in the second.
def test_the_connection_to_the_web_server_stays_clean(nginx):
    def request_twice(name):
        behaviour = BEHAVIOURS[name]
        paths = [path_of(name), *([f"/kept/{name}"] if behaviour.is_kept else [])]
        for first, then in itertools.product(paths, ("/hostile/well", "/kept/well")):
            with FastCgi(nginx.gatehouse.socket, 3 * LONG) as connection:
                answer = connection.request(get(first), keep=True)
                if behaviour.seen == BROKEN and not answer.ended:
                    continue
                # What breaks off before the head is on its way is still answered.
                assert answer.ended and answer.stderr == b"", first
                assert answer.status in ((502, 504) if behaviour.seen == BROKEN else (behaviour.seen,)), first
                assert answer.status != 503 or answer.header("Retry-After"), first
                answer = connection.request(get(then), keep=True)
                assert (answer.ended, answer.status, answer.body) == (True, 200, PAGE), (first, then)

    at_once(request_twice, BEHAVIOURS)


def sockets_and_files(gatehouse):
    """How many are open. A reactor's own descriptors come when it starts, which may be later."""
    return sum(not target.startswith("anon_inode:") for target in gatehouse.descriptors())


def test_hundreds_of_each_leave_nothing_behind(track):
    """Neither memory nor descriptors, connections, places or temporary files."""
    nginx = track(HostileNginx())
    before_all = sockets_and_files(nginx.gatehouse)
    # The allocator's arenas are as large as they get only after a few hundred requests at once.
    for warm_up in (cells(), *[with_bodies(cells(lasting=False))] * 6):
        assert ask_all(nginx, warm_up) == []
    wait_until(nginx.application.is_idle, "every connection is closed")
    before = nginx.gatehouse.memory()
    nginx.gatehouse.forget_peak_memory()
    for _ in range(ROUNDS):
        assert ask_all(nginx, with_bodies(cells(lasting=IS_LONG))) == []
    assert ask_all(nginx, cells()) == []
    wait_until(nginx.application.is_idle, "every connection is closed")
    nginx.nginx.stop()  # which keeps some connections to gatehouse, now more and now less
    wait_until(lambda: sockets_and_files(nginx.gatehouse) <= before_all, "no descriptor is left")
    grown, peak = nginx.gatehouse.memory() - before, nginx.gatehouse.peak_memory() - before
    print(f"memory: {before} KiB, {grown:+} KiB afterwards, {peak:+} KiB at the most")
    if not os.environ.get("GATEHOUSE_SANITIZE"):
        assert grown < ALLOWANCE and peak < 4 * ALLOWANCE


def test_a_flood_delays_nobody(nginx):
    floods = {path_of(name): each for name, each in BEHAVIOURS.items() if name.startswith("floods")}
    with concurrent.futures.ThreadPoolExecutor(len(floods)) as pool:
        flooding = [pool.submit(ask, nginx, *each) for each in floods.items()]
        served = 0
        while not all(each.done() for each in flooding):
            assert ask(nginx, "/hostile/well", BEHAVIOURS["well"]) is None
            served += 1
        assert [each.result() for each in flooding] == [None] * len(floods)
    assert served > 0


def test_a_visitor_who_leaves_is_told_to_the_application(nginx):
    with FastCgi(nginx.gatehouse.socket) as connection:
        asked = nginx.application.asked
        connection.send_request(get("/hostile/hangs"))
        wait_until(lambda: nginx.application.asked > asked, "the application is asked")
    wait_until(nginx.application.is_idle, "the connection to it is closed")
