"""A gateway on MariaDB that two hundred visitors a second ask, and what must hold for every one of them while a server
dies, stands still, becomes read-only or hands over to another one.
"""

import collections
import contextlib
import secrets
import threading
import time

from fastcgi import FastCgi, get
from harness import Gatehouse, wait_until
from load import Load
from mariadb import run
from two_gateways import ALPHABET, DAY, HOUR, Client, new_token, now, session_id

RATE = 200
ACQUIRE, TIMEOUT, QUEUE = 0.5, 1.0, 2.0
# A call waits for a thread, for a connection, and is repeated once. What is beyond is this machine's, not ours.
DEADLINE = QUEUE + ACQUIRE + 2 * TIMEOUT + 1.0
VALID, INVALID = ("active", "idle"), ("logged out", "unknown")


def new_tokens(count):
    return ["".join(secrets.choice(ALPHABET) for _ in range(40)) for _ in range(count)]


def is_removal(line):
    return line.startswith("session=;")


class House:
    """A gateway on one or more servers, and everybody who comes: who is active, idle, logged out, unknown."""

    def __init__(self, *servers):
        self.servers = list(servers)
        hosts = [f"unix:{server.socket}" for server in servers]
        limits = {"timeout": f"{TIMEOUT:.0f}s", "pool": {"max": 8, "acquire_timeout": f"{ACQUIRE * 1000:.0f}ms"}}
        self.gatehouse = Gatehouse(store=servers[0].store(hosts=hosts, **limits))
        try:
            self.gatehouse.run("db", "migrate", check=0)
            self.gatehouse.add_user("alice")
            self.seed()
            self.gatehouse.start()
            self.log_out()
        except BaseException:
            self.gatehouse.remove()
            raise
        self._lock = threading.Lock()
        self.answers, self.wrong = [], []

    def seed(self):
        self.active, idle, self.logged_out = new_tokens(60), new_tokens(1500), new_tokens(40)
        self.idle = collections.deque(idle)
        start = now()
        rows = [(token, start - HOUR) for token in self.active + self.logged_out]
        rows += [(token, start - 25 * HOUR) for token in idle]
        with contextlib.closing(self.servers[0].connect("gatehouse", autocommit=False)) as connection:
            [alice] = run(connection, "SELECT id FROM user")
            for token, at in rows:
                run(
                    connection,
                    "INSERT INTO user_session (id, user_id, active_expires, idle_expires, created_at, family,"
                    " last_used_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    *(session_id(token), alice["id"], at + DAY, at + 15 * DAY, at, token[::-1], at),
                )
            connection.commit()

    def log_out(self):
        client = Client(self.gatehouse)
        for token in self.logged_out:
            assert client.ask("logout", token).status == 303
        client.connection.close()

    # ── the load ──────────────────────────────────────────────────────────────────────────────────────────────────

    KINDS = ("active", "idle", "active", "unknown", "active", "logged out", "active", "idle", "active", "active")

    def ask(self, number):
        """The next visitor: mostly by nginx's check, which starts no script, sometimes for a page."""
        kind = self.KINDS[number % len(self.KINDS)]
        with self._lock:
            token = self._token(kind, number)
        door = [] if number % 23 == 0 else [("SCRIPT_NAME", "/auth/check"), ("GATEHOUSE_COOKIES", "1")]
        params = get("/greet", ("HTTP_ACCEPT", "text/html"), *door, cookie=token)
        return params, lambda *answered: self._note(kind, token, *answered)

    def _token(self, kind, number):
        if kind == "active":
            return self.active[number % len(self.active)]
        if kind == "idle":
            return self.idle.popleft()
        return self.logged_out[number % len(self.logged_out)] if kind == "logged out" else new_tokens(1)[0]

    def _note(self, kind, token, answer, sent, answered):
        with self._lock:
            status = answer.status if answer else None
            lines = answer.all_headers("Set-Cookie") if answer else []
            self.answers.append((kind, sent, answered, status, bool(lines)))
            if problem := self._problem(kind, status, lines, answered - sent):
                self.wrong.append((kind, problem, status, lines, round(answered - sent, 2)))
            if kind != "idle":
                return
            if status == 200 and lines:
                self.active.append(new_token(answer))
            else:
                self.idle.append(token)

    @staticmethod
    def _problem(kind, status, lines, seconds):
        if seconds > DEADLINE:
            return "too late"
        if kind in INVALID:
            # Who is known to have no session may be told to forget the cookie; who could not be looked up may not.
            is_right = status in (401, 302) or status == 503 and not lines
            return None if is_right else "let in, or its cookie touched"
        if status not in (200, 503):
            return "refused"
        if any(is_removal(line) for line in lines) or status == 503 and lines:
            return "the cookie was touched"
        return None

    @contextlib.contextmanager
    def under_load(self):
        self.answers, self.wrong = [], []
        with Load(self.gatehouse.socket, RATE, self.ask):
            self.wait_for(100, lambda answer: answer[0] in VALID and answer[3] == 200)
            yield
        assert self.wrong == [], f"{len(self.wrong)} wrong answers: {self.wrong[:5]}"

    def wait_for(self, count, wanted, since=None):
        """Until so many answers, to requests sent since then, are as wanted."""
        since = since or time.monotonic()

        def enough():
            with self._lock:
                return sum(1 for answer in self.answers if answer[1] >= since and wanted(answer)) >= count

        wait_until(enough, f"{count} answers as wanted")

    def seen(self, begin, end):
        """What the visitors with a session got whose requests were sent in that time."""
        with self._lock:
            return collections.Counter(a[3] for a in self.answers if begin <= a[1] < end and a[0] in VALID)

    def wait_until_it_is_well(self, back):
        """Until for a second everybody was answered as ever. Returns when that began, and the first answer, since
        `back`."""

        def is_well():
            with self._lock:
                late = [answer for answer in self.answers if answer[1] >= back]
                bad = [answer[2] for answer in late if answer[3] in (503, None)]
                good = [answer[2] for answer in late if answer[0] in VALID and answer[3] == 200]
                renewed = [answer[2] for answer in late if answer[0] == "idle" and answer[3] == 200 and answer[4]]
            last = max(bad, default=back)
            if good and renewed and time.monotonic() - last > 1.0 and max(good) - last > 0.9:
                return {"first 200": min(good) - back, "first renewal": min(renewed) - back, "last 503": last - back}
            return None

        return wait_until(is_well, "everybody is let in again")

    # ── afterwards ────────────────────────────────────────────────────────────────────────────────────────────────

    def assert_nothing_is_lost(self):
        with FastCgi(self.gatehouse.socket) as connection:

            def status(token):
                params = get("/greet", ("SCRIPT_NAME", "/auth/check"), cookie=token)
                return connection.request(params, keep=True).status

            # Of those that are idle, the last ones are those that were refused or let in unrenewed.
            kept = collections.Counter(status(token) for token in self.active + list(self.idle)[-300:])
            gone = collections.Counter(status(token) for token in self.logged_out)
        assert set(kept) == {200}, kept
        assert set(gone) == {401}, gone
        assert self.gatehouse.process.poll() is None
        assert self.gatehouse.post_login("alice").status == 303

    def logs(self):
        told = {f"mariadbd {number}": server.log() for number, server in enumerate(self.servers, 1)}
        return {"gatehouse": self.gatehouse.log(), **told}

    def close(self):
        try:
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()
            for server in self.servers:
                server.close()


def tell(what, **measured):
    parts = [
        f"{name}: {value:.2f} s" if isinstance(value, float) else f"{name}: {value}" for name, value in measured.items()
    ]
    print(f"\n{what}: " + ", ".join(parts))


def go_through(house, what, begin, end):
    """Breaks it with `begin`, mends it with `end` and waits until all is well. Returns what was seen meanwhile."""
    with house.under_load():
        broken = time.monotonic()
        begin()
        # Two seconds' worth of visitors who came while it was broken have their answers.
        house.wait_for(2 * RATE, lambda answer: True)
        end()
        back = time.monotonic()
        times = house.wait_until_it_is_well(back)
    during = house.seen(broken, back)
    longest = max(answered - sent for _, sent, answered, _, _ in house.answers)
    tell(what, broken=back - broken, meanwhile=dict(during), **times, **{"longest answer": longest})
    house.assert_nothing_is_lost()
    return during
