"""Two gateways on one database, and clients that meet at the worst moment: what the tests of races stand on."""

import contextlib
import hashlib
import secrets
import sqlite3
import string
import time

import harness
from fastcgi import FastCgi, get
from visitor import is_removal, session_cookies

HOUR = 3600 * 1000
DAY = 24 * HOUR
ALPHABET = string.digits + string.ascii_lowercase


def now():
    return int(time.time() * 1000)


def session_id(token):
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(answer):
    """The value of the one session cookie that an answer sets; None if it sets none."""
    lines = session_cookies(answer) if hasattr(answer, "raw") else answer.all_headers("Set-Cookie")
    assert len(lines) <= 1, lines
    return lines[0].split(";")[0].partition("=")[2] if lines else None


class Client:
    """A kept-alive FastCGI connection to one gateway."""

    def __init__(self, gatehouse):
        self.connection = FastCgi(gatehouse.socket)

    def send(self, kind, token):
        if kind == "page":
            self.connection.send_request(get("/greet", cookie=token), keep=True)
            return
        body = b"all=1" if kind == "logout everywhere" else b""
        form = [("CONTENT_TYPE", "application/x-www-form-urlencoded"), ("CONTENT_LENGTH", str(len(body)))]
        params = get("/auth/logout", ("HTTP_ORIGIN", "http://127.0.0.1"), *form, method="POST", cookie=token)
        self.connection.send_request(params, body, keep=True)

    def read(self):
        answer = self.connection.read_answer()
        assert answer.ended
        return answer

    def ask(self, kind, token):
        self.send(kind, token)
        return self.read()


class Pair:
    """Two gateways on one database, a SQLite file, and for each a client that asks and one that signs out."""

    begin = "BEGIN IMMEDIATE"

    def __init__(self, **config):
        self.closing = contextlib.ExitStack()
        self.first = harness.Gatehouse(**config)
        self.second = harness.Gatehouse(**{**config, "store": {"sqlite": {"path": str(self.first.database)}}})

    def open_database(self):
        """A connection of the test's own."""
        database = sqlite3.connect(self.first.database, timeout=10, isolation_level=None)
        database.row_factory = sqlite3.Row
        return database

    @property
    def gateways(self):
        return [self.first, self.second]

    def start(self):
        self.first.run("db", "migrate", check=0)
        for gateway in self.gateways:
            gateway.start()
        self.database = self.closing.enter_context(contextlib.closing(self.open_database()))
        self.askers, self.leavers = ([Client(gateway) for gateway in self.gateways] for _ in range(2))
        for client in self.askers + self.leavers:
            self.closing.callback(client.connection.close)
        return self

    def query(self, sql, *values):
        return [dict(row) for row in self.database.execute(sql, values).fetchall()]

    def seed(self, count):
        """As many users, each with one idle session. Returns the tokens; a family is its token, reversed."""
        return self.seed_with(["".join(secrets.choice(ALPHABET) for _ in range(40)) for _ in range(count)])

    def seed_with(self, tokens):
        start = now() - 25 * HOUR
        self.query(self.begin)
        for token in tokens:
            user = "u" + token[:14]
            self.query("INSERT INTO user (id, username, created_at) VALUES (?, ?, ?)", user, user, start)
            self.query(
                "INSERT INTO user_session (id, user_id, active_expires, idle_expires, created_at, family, last_used_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(session_id(token), user, start + 24 * HOUR, start + 15 * DAY, start, token[::-1], start),
            )
        self.query("COMMIT")
        return tokens

    def rows_of(self, token):
        family = token[::-1]
        return self.query("SELECT id FROM user_session WHERE family = ?", family) + self.query(
            "SELECT id FROM rotated_session WHERE family = ?", family
        )

    def logs(self):
        return {f"gatehouse {n}": gateway.log() for n, gateway in enumerate(self.gateways, 1)}

    def close(self):
        self.closing.close()
        try:
            for gateway in self.gateways:
                gateway.stop()
        finally:
            for gateway in self.gateways:
                gateway.remove()


def send_at(moments):
    """Sends each request when its time has come. The waits are a few hundred microseconds: too short for a sleep."""
    begin = time.perf_counter()
    for offset, send in sorted(moments, key=lambda moment: moment[0]):
        while time.perf_counter() - begin < offset:
            pass
        send()


class Aim:
    """How much later than the page the logout is sent, so that it meets the renewal: where the last logout came first
    it is sent later, where it came last, sooner. That holds on any machine, however fast or busy.
    """

    STEP, SPREAD = 50e-6, 400e-6

    def __init__(self, rng):
        self.rng, self.delay = rng, 0.0

    def offsets(self, pages):
        logout = self.delay + self.rng.uniform(-self.SPREAD, self.SPREAD)
        asked = [self.rng.uniform(0, self.SPREAD) if n else 0.0 for n in range(pages)]
        earliest = min(0.0, logout)
        return [offset - earliest for offset in asked], logout - earliest

    def learn(self, was_renewed):
        self.delay += -self.STEP if was_renewed else self.STEP


def race(pair, rng, aim, token):
    """One session: pages on one or both gateways and a logout on either. Returns the pages' answers."""
    pages = pair.askers[: rng.choice((1, 2))] if rng.random() < 0.5 else [pair.askers[1]]
    leaver = rng.choice(pair.leavers)
    kind = rng.choice(("logout", "logout everywhere"))
    asked, left = aim.offsets(len(pages))
    moments = [(at, lambda page=page: page.send("page", token)) for at, page in zip(asked, pages)]
    send_at(moments + [(left, lambda: leaver.send(kind, token))])
    answers = [page.read() for page in pages]
    goodbye = leaver.read()
    assert goodbye.status == 303 and is_removal(goodbye.header("Set-Cookie"))
    return answers


def handed_out(answers):
    return {new_token(answer) for answer in answers if answer.status == 200}


def assert_renewed_or_refused(renewal, token, answers):
    for answer in answers:
        assert answer.status == 200 or answer.status == 401 and is_removal(answer.header("Set-Cookie"))
    if renewal == "extend":
        # Who finds it extended already has nothing to renew.
        assert handed_out(answers) <= {token, None}
    else:
        assert len(handed_out(answers)) <= 1 and not handed_out(answers) & {token, None}


def assert_ended(pair, token, answers):
    """Logged out: no row is left of it, and no cookie that anybody holds lets in, on either gateway."""
    assert pair.rows_of(token) == []
    for held in {token} | handed_out(answers) - {None}:
        for gateway in pair.askers:
            assert gateway.ask("page", held).status == 401


def age(pair, milliseconds):
    """Time passes: everything that is written down happened earlier."""
    pair.query(
        "UPDATE user_session SET active_expires = active_expires - ?, idle_expires = idle_expires - ?,"
        " created_at = created_at - ?, last_used_at = last_used_at - ?",
        *[milliseconds] * 4,
    )
    pair.query(
        "UPDATE rotated_session SET idle_expires = idle_expires - ?, rotated_at = rotated_at - ?,"
        " successor_seen_at = successor_seen_at - ?",
        *[milliseconds] * 3,
    )
