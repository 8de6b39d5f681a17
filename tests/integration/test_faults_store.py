"""The store breaks in every way that a file can: 503 within the deadline, no cookie touched, nobody let in, no script
started; and back by itself, without a restart, when the file is back. A file that is another one is believed, and never
mixed with the log of the one before."""

import collections
import concurrent.futures
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest

import harness
from fastcgi import FastCgi, get
from harness import wait_until
from visitor import Visitor, is_removal, session_cookies, set_cookies

# More than the store waits for a lock (2 s) and for a thread (2 s); a visitor who waits longer was kept, not answered.
DEADLINE = 15.0
STRANGER = "a" * 40
MARKS = (
    '#!/bin/sh\necho x >>"$GATE.marks"\nprintf \'Content-Type: text/plain\\n\\nHello, %s\' "${REMOTE_USER-nobody}"\n'
)


def with_marks(site):
    """A script that tells that it ran, below a closed path and below an open one."""
    root = site.gatehouse.root
    (root / "open").mkdir()
    for script in (root / "marks", root / "open" / "marks"):
        script.write_text(MARKS)
        script.chmod(0o755)
    return site


@pytest.fixture(scope="module")
def site():
    made = with_marks(harness.Site())
    yield made
    made.close()


def marks(site):
    return len(site.gatehouse.folder.joinpath("gate.marks").read_text()) if marks_file(site).exists() else 0


def marks_file(site):
    return site.gatehouse.folder / "gate.marks"


class Patient(Visitor):
    """A visitor for whom an answer after the deadline is none."""

    def __init__(self, site, token=None):
        super().__init__(site.url)
        self.token = token

    def request(self, *arguments, **more):
        return super().request(*arguments, timeout=DEADLINE, **more)


# One of each kind of request that needs the store.
KINDS = {
    "a page": lambda visitor: visitor.navigate("/marks"),
    "a program's request": lambda visitor: visitor.fetch("/marks"),
    "an upload": lambda visitor: visitor.fetch("/marks", method="POST", data=b"x"),
    "an open page": lambda visitor: visitor.navigate("/open/marks"),
    "the session": lambda visitor: visitor.fetch("/auth/session"),
    "the form": lambda visitor: visitor.navigate("/auth/login"),
    "a logout": lambda visitor: visitor.sign_out(),
    "a logout everywhere": lambda visitor: visitor.sign_out(data={"all": "1"}),
}


def answers_during(site, token):
    """Asks everything at once, so that a test waits for a lock only once. Returns kind → answer."""
    asked = {kind: (ask, Patient(site, token)) for kind, ask in KINDS.items()}
    asked["a token that nobody has"] = KINDS["a page"], Patient(site, STRANGER)
    asked["a login"] = (lambda visitor: visitor.sign_in("alice")), Patient(site)
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        jobs = {kind: pool.submit(ask, visitor) for kind, (ask, visitor) in asked.items()}
        return {kind: job.result() for kind, job in jobs.items()}


def assert_503(site, kind, answer):
    assert answer.status_code == 503, f"{kind}: {answer.status_code} {answer.text}"
    assert "X-Request-Id" in answer.headers, f"{kind}: nginx answered, not we"
    assert int(answer.headers["Retry-After"]) > 0, kind
    assert set_cookies(answer) == [], kind
    assert "Location" not in answer.headers, kind
    assert "sqlite" not in answer.text.lower() and str(site.gatehouse.folder) not in answer.text, kind


def assert_fails_closed(site, token):
    before = marks(site)
    for kind, answer in answers_during(site, token).items():
        assert_503(site, kind, answer)
    assert marks(site) == before, "a script was started"


def is_let_in(site, token):
    answer = Patient(site, token).fetch("/marks")
    if answer.status_code == 503:
        return False
    assert answer.status_code == 200 and answer.text == "Hello, alice", f"{answer.status_code} {answer.text}"
    assert session_cookies(answer) == []
    return True


def assert_works(site, token):
    wait_until(lambda: is_let_in(site, token), "the session is there again")
    again = site.signed_in()
    assert again.sign_out().status_code == 303
    assert site.gatehouse.process.poll() is None


def assert_fails_closed_while(site, broken, when="while it runs"):
    """`broken`: what happens to the store until it is left again."""
    token = site.signed_in().token
    if when == "while it runs":
        with broken:
            assert_fails_closed(site, token)
        assert_works(site, token)
        return
    # Killed, so that the log is left as a crash leaves it.
    site.gatehouse.process.kill()
    site.gatehouse.process.wait()
    with broken:
        site.gatehouse.start()
        assert_fails_closed(site, token)
    assert_works(site, token)


WHEN = pytest.mark.parametrize("when", ["while it runs", "before the start"])

# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def beside(path, suffix):
    return path.with_name(path.name + suffix)


def remove_all(path):
    """The database, or what stands in its place, with its log."""
    for one in path.parent.glob(path.name + "*"):
        if one.name.endswith((".kept", ".lock")):
            continue
        shutil.rmtree(one) if one.is_dir() else one.unlink()


def log_into_file(path):
    """Everything into the one file. The daemon reads it anew: what it had in memory is older than this commit."""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        with connection:
            connection.execute("UPDATE user SET name = name")
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


@contextlib.contextmanager
def moved_away(path):
    pairs = [(beside(path, suffix), beside(path, suffix + ".kept")) for suffix in ("", "-wal", "-shm")]
    pairs = [(one, kept) for one, kept in pairs if one.exists()]
    for one, kept in pairs:
        one.rename(kept)
    try:
        yield
    finally:
        remove_all(path)
        for one, kept in pairs:
            kept.rename(one)


@contextlib.contextmanager
def moved_away_without_its_log(path):
    kept = beside(path, ".kept")
    path.rename(kept)
    try:
        yield
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        kept.rename(path)


@contextlib.contextmanager
def folder_moved_away(path):
    away = path.parent.with_name("away")
    path.parent.rename(away)
    try:
        yield
    finally:
        away.rename(path.parent)


@WHEN
@pytest.mark.parametrize(
    "missing", [moved_away, moved_away_without_its_log, folder_moved_away], ids=lambda how: how.__name__
)
def test_a_missing_file(site, missing, when):
    assert_fails_closed_while(site, missing(site.gatehouse.database), when)


def a_header_of_garbage(path):
    content = beside(path, ".kept").read_bytes()
    path.write_bytes(os.urandom(100) + content[100:])


def another_programs_tables(path):
    made = path.with_name("another.db")
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE user_session (id TEXT, who TEXT)")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        connection.commit()
    made.rename(path)


SOMETHING_ELSE = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a dead link": lambda path: path.symlink_to("nowhere"),
    "nothing in it": lambda path: path.touch(),
    "zeros": lambda path: path.write_bytes(bytes(65536)),
    "text": lambda path: path.write_bytes(b"this is not a database " * 1000),
    "a header of garbage": a_header_of_garbage,
    "another program's tables": another_programs_tables,
}


@WHEN
@pytest.mark.parametrize("kind", SOMETHING_ELSE)
def test_something_else_in_its_place(site, kind, when):
    path = site.gatehouse.database

    @contextlib.contextmanager
    def broken():
        with moved_away(path):
            SOMETHING_ELSE[kind](path)
            yield

    assert_fails_closed_while(site, broken(), when)


@pytest.mark.parametrize("kind", SOMETHING_ELSE)
def test_something_else_in_its_place_beside_the_old_log(site, kind):
    path = site.gatehouse.database

    @contextlib.contextmanager
    def broken():
        with moved_away_without_its_log(path):
            SOMETHING_ELSE[kind](path)
            yield

    assert_fails_closed_while(site, broken())


# ── damage ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def overwrite(path, start, content):
    """In place, as a failing disk does."""
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(content)


DAMAGE = {
    "the header": lambda path: overwrite(path, 0, os.urandom(100)),
    "the first page": lambda path: overwrite(path, 0, bytes(4096)),
    "all but the first page": lambda path: overwrite(path, 4096, os.urandom(path.stat().st_size - 4096)),
    "cut after the first page": lambda path: os.truncate(path, 4096),
    "cut within the first page": lambda path: os.truncate(path, 1000),
    "cut to nothing": lambda path: os.truncate(path, 0),
}


@WHEN
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage(site, kind, when):
    path = site.gatehouse.database

    @contextlib.contextmanager
    def broken():
        log_into_file(path)
        sound = beside(path, ".kept")
        shutil.copy2(path, sound)
        DAMAGE[kind](path)
        try:
            yield
        finally:
            sound.rename(path)  # a backup is put in its place

    assert_fails_closed_while(site, broken(), when)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x0a"], ids=["zeros", "ones", "line feeds"])
def test_damage_of_any_one_page_lets_nobody_in_and_throws_nobody_out(site, fill):
    path = site.gatehouse.database
    token = site.signed_in().token
    log_into_file(path)
    pages = path.stat().st_size // 4096
    assert pages > 10
    refused = 0
    for page in range(pages):
        log_into_file(path)
        sound = path.read_bytes()[page * 4096 : (page + 1) * 4096]
        overwrite(path, page * 4096, fill * 4096)
        mine = Patient(site, token).fetch("/marks")
        if mine.status_code != 200:
            assert_503(site, f"page {page}", mine)
            refused += 1
        else:
            assert mine.text == "Hello, alice" and set_cookies(mine) == [], f"page {page}"
        strangers = Patient(site, STRANGER).fetch("/marks")
        assert strangers.status_code in (401, 503), f"page {page}: {strangers.status_code}"
        overwrite(path, page * 4096, sound)
    assert refused > 2, "the damage was where it is read"
    assert_works(site, token)


# ── another database ────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def another_database(*users):
    """A migrated one, with these users. Gives its path."""
    other = harness.Gatehouse()
    try:
        other.run("db", "migrate", check=0)
        for user in users:
            other.add_user(user)
        assert not beside(other.database, "-wal").exists()
        yield other.database
    finally:
        other.remove()


def is_unknown(site, token):
    """True once the store says that there is no such session: the cookie is dead then. A 503 before that is fair."""
    answer = Patient(site, token).fetch("/marks")
    if answer.status_code == 503:
        assert set_cookies(answer) == []
        return False
    assert answer.status_code == 401, f"{answer.status_code} {answer.text}"
    [removal] = session_cookies(answer)
    assert is_removal(removal)
    return True


def rows(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(sql).fetchall()]


@pytest.mark.parametrize("log", ["its log beside it", "without its log"])
@pytest.mark.parametrize("users", [(), ("bob",)], ids=["empty", "other users"])
def test_another_database_in_its_place_is_believed(site, users, log):
    path = site.gatehouse.database
    token = site.signed_in().token
    kept = beside(path, ".kept")
    before = marks(site)
    with another_database(*users) as other:
        if log == "without its log":
            log_into_file(path)
        path.rename(kept)
        if log == "without its log":
            beside(path, "-wal").unlink()
            beside(path, "-shm").unlink()
        shutil.move(other, path)
    wait_until(lambda: is_unknown(site, token), "the sessions of the old file are unknown")
    assert marks(site) == before
    assert site.visitor().sign_in("alice").status_code == 401
    for user in users:
        visitor = site.signed_in(user)
        assert visitor.fetch("/marks").text == f"Hello, {user}"
        assert visitor.sign_out().status_code == 303
        assert site.signed_in(user).fetch("/auth/session").status_code == 200
    assert rows(path, "SELECT username FROM user") == list(users)
    assert rows(path, "SELECT count(*) FROM user_session") == [len(users)]
    assert rows(path, "PRAGMA integrity_check") == ["ok"]

    # The old one comes back, whole, though its log stayed behind.
    assert rows(kept, "PRAGMA integrity_check") == ["ok"]
    kept.rename(path)
    assert_works(site, token)


def test_a_backup_that_is_put_in_its_place_ends_what_came_later(site):
    path = site.gatehouse.database
    earlier = site.signed_in().token
    backup = beside(path, ".kept")
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    site.gatehouse.add_user("newcomer")
    later = site.signed_in("newcomer").token
    backup.rename(path)
    wait_until(lambda: is_unknown(site, later), "the backup knows of no newcomer")
    assert_works(site, earlier)
    assert "newcomer" not in rows(path, "SELECT username FROM user")
    site.gatehouse.restart()
    assert_works(site, earlier)
    assert "newcomer" not in rows(path, "SELECT username FROM user")


def test_a_stop_after_another_database_came_leaves_both_whole(site):
    """Nothing is asked between the two: nobody but the end itself can notice."""
    path = site.gatehouse.database
    kept = beside(path, ".kept")
    token = site.signed_in().token
    assert beside(path, "-wal").stat().st_size > 0
    sessions = rows(path, "SELECT count(*) FROM user_session")
    with another_database("bob") as other:
        path.rename(kept)
        shutil.move(other, path)
        site.gatehouse.stop()
    assert not beside(path, "-wal").exists()
    assert rows(path, "SELECT username FROM user") == ["bob"]
    assert rows(path, "PRAGMA integrity_check") == rows(kept, "PRAGMA integrity_check") == ["ok"]
    assert rows(kept, "SELECT count(*) FROM user_session") == sessions
    site.gatehouse.start()
    assert is_unknown(site, token)
    assert site.signed_in("bob").fetch("/marks").text == "Hello, bob"
    kept.rename(path)
    assert_works(site, token)


def test_a_stop_after_the_log_was_removed_loses_nothing(site):
    path = site.gatehouse.database
    token = site.signed_in().token
    for suffix in ("-wal", "-shm"):
        beside(path, suffix).unlink()
    site.gatehouse.restart()
    assert is_let_in(site, token)
    assert rows(path, "PRAGMA integrity_check") == ["ok"]


def test_a_command_waits_until_the_gateway_has_seen_another_database(site):
    path = site.gatehouse.database
    kept = beside(path, ".kept")
    token = site.signed_in().token
    log = beside(path, "-wal").stat().st_size
    assert log > 0
    with another_database("bob", "carol") as other:
        path.rename(kept)
        shutil.move(other, path)
    new = path.read_bytes()
    add = ("user", "add", "dave", "--password-stdin")
    refused = site.gatehouse.run(*add, stdin=harness.PASSWORD + "\n", check=69)
    assert "belongs to another file" in refused.stderr and f"{path}-wal" in refused.stderr
    assert path.read_bytes() == new
    assert beside(path, "-wal").stat().st_size == log
    assert is_unknown(site, token)
    site.gatehouse.run(*add, stdin=harness.PASSWORD + "\n", check=0)
    assert rows(path, "SELECT username FROM user ORDER BY username") == ["bob", "carol", "dave"]
    assert rows(path, "PRAGMA integrity_check") == ["ok"]
    assert site.signed_in("dave").fetch("/marks").text == "Hello, dave"
    kept.rename(path)
    assert_works(site, token)


def test_the_log_of_a_killed_gateway_is_not_read_into_another_database(site):
    path = site.gatehouse.database
    kept = beside(path, ".kept")
    token = site.signed_in().token
    site.gatehouse.process.kill()
    site.gatehouse.process.wait()
    with another_database("bob") as other:
        path.rename(kept)
        shutil.move(other, path)
    new, log = path.read_bytes(), beside(path, "-wal").read_bytes()
    assert log
    site.gatehouse.start()
    assert_fails_closed(site, token)
    assert f"{path}-wal: belongs to another file" in site.gatehouse.log()
    assert path.read_bytes() == new and beside(path, "-wal").read_bytes() == log
    beside(path, "-wal").rename(beside(kept, "-wal"))  # beside its own file it is worth something
    wait_until(lambda: is_unknown(site, token), "the new file is served")
    assert site.signed_in("bob").fetch("/marks").text == "Hello, bob"
    assert rows(path, "SELECT username FROM user") == ["bob"]
    log_into_file(kept)
    for suffix in ("-wal", "-shm"):
        beside(kept, suffix).unlink(missing_ok=True)
    kept.rename(path)
    assert_works(site, token)


class Crowd:
    """Clients of some gateways, on their sockets, that ask, sign in and go on; each answer must be the truth of
    one of two databases, or none."""

    def __init__(self, gateways, tokens):
        self.tokens = tokens  # username → token
        self.answers = collections.Counter()  # of (gateway, username, status)
        self.wrong = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        jobs = [(gateway, user, ask) for gateway in gateways for user in tokens for ask in (self._greet, self._sign_in)]
        self._threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(harness.LONG)
            assert not thread.is_alive(), "a request was never answered"

    def _repeat(self, gateway, user, ask):
        while not self._end.is_set():
            try:
                status, wrong = ask(gateway, user)
            except Exception as error:
                status, wrong = 0, repr(error)
            with self._lock:
                self.answers[gateway, user, status] += 1
                if wrong:
                    self.wrong.append((user, status, wrong))

    def _greet(self, gateway, user):
        with FastCgi(gateway.socket) as connection:
            answer = connection.request(get("/greet", cookie=self.tokens[user]))
        allowed = answer.status in (401, 503) or (answer.status == 200 and answer.body == f"Hello, {user}\n".encode())
        return answer.status, None if allowed else answer.body

    def _sign_in(self, gateway, user):
        answer = gateway.post_login(user)
        # 403: the form could not be had, the store was away, so that it was sent back empty.
        return f"login {answer.status}", None if answer.status in (303, 401, 403, 503) else answer.body

    def wait_for(self, gateway, user, status):
        """Returns when this has been answered anew."""
        before = self.answers[gateway, user, status]
        wait_until(lambda: self.answers[gateway, user, status] > before or self.wrong, f"{user}: {status}")


def token_of(gateway, user):
    answer = gateway.post_login(user)
    assert answer.status == 303
    [cookie] = [line for line in answer.all_headers("Set-Cookie") if line.startswith("session=")]
    return cookie.split(";")[0].removeprefix("session=")


@pytest.fixture
def two_gateways():
    """On one database, with one user: anna."""
    first = harness.Gatehouse()
    second = harness.Gatehouse(store={"sqlite": {"path": str(first.database)}})
    try:
        first.run("db", "migrate", check=0)
        first.add_user("anna")
        yield first.start(), second.start()
        second.stop()
        first.stop()
    finally:
        second.remove()
        first.remove()


def swap(path, other, kept):
    path.rename(kept)
    other.rename(path)


def test_databases_that_take_turns_under_traffic_are_never_mixed(two_gateways):
    first, second = two_gateways
    path = first.database
    away = {user: path.parent / f"{user}.kept" for user in ("anna", "bert")}
    tokens = {"anna": token_of(first, "anna")}
    with another_database("bert") as other:
        shutil.move(other, away["bert"])
    swap(path, away["bert"], away["anna"])
    tokens["bert"] = token_of(second, "bert")
    inside, outside = "bert", "anna"
    with Crowd(two_gateways, tokens) as crowd:
        for turn in range(10):
            swap(path, away[outside], away[inside])
            inside, outside = outside, inside
            crowd.wait_for(first, inside, "login 303")
            if turn % 2:  # else the second one may not have noticed yet
                crowd.wait_for(second, inside, 200)
    assert crowd.wrong == []
    for gateway in two_gateways:
        gateway.stop()
    for user, file in {inside: path, outside: away[outside]}.items():
        assert rows(file, "PRAGMA integrity_check") == ["ok"], user
        assert rows(file, "PRAGMA foreign_key_check") == [], user
        assert rows(file, "SELECT username FROM user") == [user]
        known = rows(file, "SELECT id FROM user_session")
        assert hashlib.sha256(tokens[user].encode()).hexdigest() in known
        theirs = next(token for name, token in tokens.items() if name != user)
        assert hashlib.sha256(theirs.encode()).hexdigest() not in known


@pytest.mark.parametrize("suffixes", [("-wal", "-shm"), ("-wal",), ("-shm",)], ids=" and ".join)
def test_a_log_that_is_removed_under_our_feet_costs_nobody_anything(site, suffixes):
    path = site.gatehouse.database
    alice = site.signed_in()
    assert beside(path, "-wal").stat().st_size > 0, "what she did is only in the log"
    for suffix in suffixes:
        beside(path, suffix).unlink()
    assert_works(site, alice.token)
    # What we write, others see, and what they write, we see.
    later = site.signed_in()
    assert rows(path, "PRAGMA integrity_check") == ["ok"]
    row = site.gatehouse.query(
        "SELECT id FROM user_session WHERE id = ?", hashlib.sha256(later.token.encode()).hexdigest()
    )
    assert len(row) == 1
    site.gatehouse.run("session", "revoke", "--user", "alice", check=0)
    assert is_unknown(site, later.token) and is_unknown(site, alice.token)
    site.gatehouse.restart()
    assert is_unknown(site, later.token)
    assert site.signed_in().fetch("/marks").text == "Hello, alice"


# ── it can be read by nobody, or by one only ────────────────────────────────────────────────────────────────────────

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder, or mount a disk")


@pytest.fixture
def new_marked_site(new_site):
    return lambda **how: with_marks(new_site(**how))


@needs_root
@pytest.mark.parametrize("what", ["the file", "the folder"])
def test_what_may_not_be_read(new_marked_site, what):
    def of_nobody(gatehouse):
        # As root the daemon becomes the owner of the folder, whom modes bind.
        shutil.chown(gatehouse.database.parent, "nobody", "nogroup")
        os.chmod(gatehouse.folder, 0o777)  # where scripts, which are nobody's too, leave their marks

    site = new_marked_site(prepare=of_nobody)
    path = site.gatehouse.database if what == "the file" else site.gatehouse.database.parent
    mode = path.stat().st_mode

    @contextlib.contextmanager
    def closed():
        path.chmod(0)
        try:
            yield
        finally:
            path.chmod(mode)

    # A file that we have open can still be read, and what it says is still true: then nobody needs to be refused.
    if what == "the folder":
        assert_fails_closed_while(site, closed())
    assert_fails_closed_while(site, closed(), "before the start")


# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def held(path, *statements):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
        yield connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def make_idle(site, token):
    site.gatehouse.query(
        "UPDATE user_session SET active_expires = ? WHERE id = ?",
        int(time.time() * 1000) - 1000,
        hashlib.sha256(token.encode()).hexdigest(),
    )


def active_and_idle(site):
    active, idle = site.signed_in().token, site.signed_in().token
    make_idle(site, idle)
    return active, idle


def assert_lets_in_unrenewed(site, active, idle):
    """While nothing can be written: every wait for the lock at once, because each is two seconds long."""
    asked = {
        "active": lambda: Patient(site, active).fetch("/marks"),
        "idle": lambda: Patient(site, idle).fetch("/marks"),
        "idle, a page": lambda: Patient(site, idle).navigate("/marks"),
        "idle, an upload": lambda: Patient(site, idle).fetch("/marks", method="POST", data=b"x"),
        "idle, an open page": lambda: Patient(site, idle).fetch("/open/marks"),
        "a stranger": lambda: Patient(site, STRANGER).fetch("/marks"),
        "login": lambda: Patient(site).sign_in("alice"),
        "login with a session": lambda: sign_in_again(Patient(site, active)),
        "logout": lambda: Patient(site, active).sign_out(),
        "logout of an idle session": lambda: Patient(site, idle).sign_out(),
        "logout everywhere": lambda: Patient(site, active).sign_out(data={"all": "1"}),
    }
    before = marks(site)
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = {kind: job.result() for kind, job in {k: pool.submit(ask) for k, ask in asked.items()}.items()}
    for kind in ("active", "idle", "idle, a page", "idle, an upload", "idle, an open page"):
        answer = answers.pop(kind)
        assert answer.status_code == 200 and answer.text == "Hello, alice", f"{kind}: {answer.status_code}"
        assert set_cookies(answer) == [], kind
    assert marks(site) == before + 10
    answer = answers.pop("a stranger")
    assert answer.status_code == 401, "that nobody has this token could be read"
    for kind, answer in answers.items():
        assert_503(site, kind, answer)


def sign_in_again(visitor):
    form = visitor.login_form()
    return visitor.post("/auth/login", data={**form.fields, "username": "alice", "password": harness.PASSWORD})


def assert_renews(site, active, idle):
    """Nothing that was refused has been half done, and the renewal is made up for."""
    assert_works(site, active)

    def is_renewed():
        answer = Patient(site, idle).fetch("/marks")
        assert answer.status_code == 200 and answer.text == "Hello, alice"
        return len(session_cookies(answer)) == 1 and not is_removal(session_cookies(answer)[0])

    wait_until(is_renewed, "the idle session is renewed")


@pytest.mark.parametrize("begin", ["IMMEDIATE", "EXCLUSIVE"])
def test_locked_by_another_writer(site, begin):
    active, idle = active_and_idle(site)
    with held(site.gatehouse.database, f"BEGIN {begin}", "UPDATE user SET name = 'never kept'"):
        assert_lets_in_unrenewed(site, active, idle)
    assert_renews(site, active, idle)


def test_locked_by_one_who_wants_the_file_alone(site):
    token = site.signed_in().token
    site.gatehouse.stop()
    with held(
        site.gatehouse.database,
        "PRAGMA locking_mode=EXCLUSIVE",
        "BEGIN IMMEDIATE",
        "UPDATE user SET name = name",
        "COMMIT",
    ):
        site.gatehouse.start()
        assert_fails_closed(site, token)
    assert_works(site, token)


def test_who_wants_the_file_alone_does_not_get_it_from_us(site):
    token = site.signed_in().token
    assert is_let_in(site, token)
    with contextlib.closing(sqlite3.connect(site.gatehouse.database, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("UPDATE user SET name = 'never kept'")
        assert_works(site, token)


# ── a full disk ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(new_marked_site):
    """Makes a site whose database lies on a disk of 1 MiB."""
    mounted = []

    def mount(gatehouse):
        folder = gatehouse.database.parent
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)], check=True)
        mounted.append(folder)

    try:
        yield lambda: new_marked_site(prepare=mount)
    finally:
        for folder in mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def full(folder):
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    assert shutil.disk_usage(folder).free == 0
    try:
        yield
    finally:
        filler.unlink()


@needs_root
def test_a_full_disk(small_disk):
    site = small_disk()
    path = site.gatehouse.database
    active, idle = active_and_idle(site)
    log_into_file(path)  # the log is empty: whoever writes needs room
    with full(path.parent):
        assert_lets_in_unrenewed(site, active, idle)
        assert_lets_in_unrenewed(site, active, idle)  # also over connections that were opened since
    assert_renews(site, active, idle)


@needs_root
def test_a_disk_that_is_full_at_the_start(small_disk):
    site = small_disk()
    path = site.gatehouse.database
    active, idle = active_and_idle(site)
    site.gatehouse.stop()
    assert not beside(path, "-wal").exists()
    with full(path.parent):
        site.gatehouse.start()
        assert_lets_in_unrenewed(site, active, idle)
    assert_renews(site, active, idle)
