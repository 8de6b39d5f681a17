"""A store that cannot be asked is never "no session": 503, no redirect, the cookie stays, and it heals by itself."""

import contextlib
import hashlib
import sqlite3
import time

import pytest

from fastcgi import FastCgi, get
from harness import wait_until
from visitor import PASSWORD, is_removal, session_cookies


@pytest.fixture
def site(new_site):
    """Every test here breaks its own."""
    return new_site()


def assert_cannot_decide(site, visitor):
    for answer in (
        visitor.navigate("/show"),
        visitor.fetch("/show"),
        visitor.navigate("/public/x"),
        visitor.fetch("/auth/session"),
        visitor.fetch("/show", method="POST", data=b"x"),
    ):
        assert answer.status_code == 503, (answer.request.url, answer.status_code)
        assert int(answer.headers["Retry-After"]) > 0
        assert "Set-Cookie" not in answer.headers and "Location" not in answer.headers
        assert "sqlite" not in answer.text.lower() and str(site.gatehouse.folder) not in answer.text
    answer = visitor.sign_out()
    assert answer.status_code == 503 and session_cookies(answer) == []
    form = visitor.navigate("/auth/login")
    if form.status_code == 200:
        answer = visitor.sign_in("alice")
        assert answer.status_code == 503 and session_cookies(answer) == []
    else:
        assert form.status_code == 503


def assert_works(site, visitor):
    wait_until(lambda: visitor.fetch("/show").status_code == 200, "the session is there again")
    assert visitor.navigate("/greet").text == "Hello, alice\n"
    assert site.signed_in().fetch("/show").status_code == 200


@contextlib.contextmanager
def renamed_table(site, table):
    site.gatehouse.query(f"ALTER TABLE {table} RENAME TO hidden")
    yield
    site.gatehouse.query(f"ALTER TABLE hidden RENAME TO {table}")


def test_a_table_that_is_gone_and_comes_back(site):
    alice = site.signed_in()
    with renamed_table(site, "user_session"):
        assert_cannot_decide(site, alice)
    assert_works(site, alice)


def test_strangers_without_a_cookie_need_no_store_to_be_sent_to_the_login(site):
    with renamed_table(site, "user_session"):
        assert site.visitor().fetch("/show").status_code in (401, 503)
        malformed = site.raw_get("/show", "Cookie: session=malformed")
        assert malformed.status in (401, 503) and malformed.headers.get_all("Set-Cookie") is None


def moved_away(site):
    database = site.gatehouse.database
    return [(file, file.with_name(file.name + ".away")) for file in database.parent.glob(database.name + "*")]


def test_a_database_that_is_moved_away_and_back(site):
    alice = site.signed_in()
    pairs = moved_away(site)
    for file, away in pairs:
        file.rename(away)
    assert_cannot_decide(site, alice)
    for file in site.gatehouse.database.parent.glob("gatehouse.db*"):
        if not file.name.endswith(".away"):
            file.unlink()
    for file, away in pairs:
        away.rename(file)
    assert_works(site, alice)


def test_a_database_replaced_by_garbage_and_restored(site):
    alice = site.signed_in()
    database = site.gatehouse.database
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pairs = moved_away(site)
    for file, away in pairs:
        file.rename(away)
    database.write_bytes(b"this is not a database " * 1000)
    assert_cannot_decide(site, alice)
    for file in database.parent.glob("gatehouse.db*"):
        if not file.name.endswith(".away"):
            file.unlink()
    for file, away in pairs:
        away.rename(file)
    assert_works(site, alice)


def test_a_start_without_a_database_serves_503_until_it_is_made(gatehouse):
    gatehouse.start()
    with FastCgi(gatehouse.socket) as connection:
        answer = connection.request(get("/show", cookie="a" * 40))
    assert answer.status == 503 and answer.header("Retry-After") and answer.header("Set-Cookie") is None
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")

    def unknown_token_is_unknown():
        with FastCgi(gatehouse.socket) as connection:
            return connection.request(get("/show", cookie="a" * 40)).status == 401

    wait_until(unknown_token_is_unknown, "the daemon notices the database")


# ── it can be read, and not written ─────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def write_locked(site):
    with contextlib.closing(sqlite3.connect(site.gatehouse.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def make_idle(site, token):
    site.gatehouse.query(
        "UPDATE user_session SET active_expires = ? WHERE id = ?",
        int(time.time() * 1000) - 1000,
        hashlib.sha256(token.encode()).hexdigest(),
    )


def test_while_nothing_can_be_written_sessions_are_let_in_unrenewed(site):
    active, idle = site.signed_in(), site.signed_in()
    make_idle(site, idle.token)
    token = idle.token
    form = site.visitor()
    fields = form.login_form().fields
    with write_locked(site):
        for visitor in (active, idle):
            answer = visitor.fetch("/greet")
            assert answer.status_code == 200 and answer.text == "Hello, alice\n"
            assert session_cookies(answer) == []
        answer = form.post("/auth/login", data={**fields, "username": "alice", "password": PASSWORD})
        assert answer.status_code == 503 and "Retry-After" in answer.headers and session_cookies(answer) == []
        answer = active.sign_out()
        assert answer.status_code == 503 and session_cookies(answer) == []
    assert active.fetch("/greet").status_code == 200, "the logout that was refused has ended nothing"
    answer = idle.fetch("/greet")
    assert len(session_cookies(answer)) == 1 and not is_removal(session_cookies(answer)[0]) and idle.token != token
