"""The races of test_races with two gateways on one MariaDB, and the ones that are rare there, brought about: a logout
that waits while the successor is written, hundreds of requests on both gateways at the idle edge.
"""

import collections
import concurrent.futures
import contextlib
import secrets
import select
import threading

import pytest

import harness
from fastcgi import FastCgi, get
from harness import wait_until
from mariadb import MariaDb, run

# They ask for `new_pair`, which is another one here.
from test_races import (  # noqa: F401
    test_a_renewal_that_meets_a_logout_resurrects_nobody,
    test_a_rotated_id_reused_after_the_grace_ends_the_family_and_is_a_security_event,
    test_an_answer_lost_at_every_renewal_locks_nobody_out,
    test_both_gateways_answer_with_one_successor,
    test_logout_with_the_old_cookie_ends_the_successor_on_both_gateways,
    test_lost_answers_lock_nobody_out_until_the_old_id_itself_expires,
)
from two_gateways import ALPHABET, Pair, assert_ended, new_token, session_id


@pytest.fixture(scope="module")
def mariadb():
    made = MariaDb()
    try:
        yield made.start()
    finally:
        made.close()


class MySqlPair(Pair):
    """Two gateways on one database of a server that others use, too."""

    begin = "BEGIN"

    def __init__(self, mariadb, name, **config):
        self.mariadb, self.name = mariadb, name
        mariadb.create_database(name)
        store = mariadb.store(database=name)
        self.closing = contextlib.ExitStack()
        self.first, self.second = (harness.Gatehouse(**{**config, "store": store}) for _ in range(2))

    def open_database(self):
        return self.mariadb.connect(self.name)

    def query(self, sql, *values):
        return run(self.database, sql.replace("?", "%s"), *values)

    def logs(self):
        return {**super().logs(), **self.mariadb.logs()}


@pytest.fixture
def new_pair(track, mariadb):
    def make(downstreams=None, **session):
        config = {"session": {"rotation_grace": "1h", **session}, "downstreams": downstreams or {}}
        return track(MySqlPair(mariadb, f"pair_{secrets.token_hex(8)}", **config)).start()

    return make


# ── a logout that waits while the successor is written ──────────────────────────────────────────────────────────────


def token_whose_id_begins_with(digit):
    while True:
        token = "".join(secrets.choice(ALPHABET) for _ in range(40))
        if session_id(token).startswith(digit * 3):
            return token


# What the test holds, so that a renewal stops there: before its first statement, which reads the old row; with the
# successor written, at the end of the old row; in the middle of writing the successor, which refers to the user.
HOLDS = {
    "at its beginning": "SELECT id FROM user_session WHERE id = %s FOR UPDATE",
    "at its end": "SELECT id FROM user_session WHERE id = %s LOCK IN SHARE MODE",
    "in its middle": "SELECT id FROM user WHERE id = (SELECT user_id FROM user_session WHERE id = %s) FOR UPDATE",
}


STANDS_AT = {
    "at its beginning": "INSERT INTO rotated_session",
    "at its end": 'DELETE FROM "user_session"',
    "in its middle": 'INSERT INTO "user_session"',
}
MEETINGS = [
    (where, first) for where in HOLDS for first in ("page", "logout") if (where, first) != ("in its middle", "logout")
]


@contextlib.contextmanager
def held(pair, where, token):
    with contextlib.closing(pair.mariadb.connect(pair.name, autocommit=False)) as connection:
        found = run(connection, HOLDS[where], session_id(token))
        assert len(found) == 1
        yield
        connection.rollback()


def waits_or_has_answered(pair, client, count):
    """Until so many transactions wait for a lock, or the client's was none of them and is done."""
    answers = select.poll()
    answers.register(client.connection.socket, select.POLLIN)
    waits = "Innodb_row_lock_current_waits"
    wait_until(lambda: pair.mariadb.status(waits) >= count or answers.poll(0), f"{count} transactions wait")


@pytest.fixture(scope="module", params=["rotate", "extend"])
def pair_that_waits(request, mariadb):
    made = MySqlPair(mariadb, request.param, session={"rotation_grace": "1h", "renewal": request.param})
    try:
        yield made.start()
    finally:
        made.close()


@pytest.mark.parametrize("digit", ["0", "f"], ids=["the successor sorts after", "the successor sorts before"])
@pytest.mark.parametrize("where, first", MEETINGS)
@pytest.mark.parametrize("kind", ["logout", "logout everywhere"])
def test_a_logout_that_waits_while_a_renewal_is_written(pair_that_waits, kind, where, first, digit):
    pair = pair_that_waits
    token = token_whose_id_begins_with(digit)
    pair.seed_with([token])
    clients = {"page": pair.askers[0], "logout": pair.leavers[1]}
    second = next(who for who in clients if who != first)
    with held(pair, where, token):
        for waiting, who in enumerate((first, second), start=1):
            clients[who].send("page" if who == "page" else kind, token)
            waits_or_has_answered(pair, clients[who], waiting)
            if waiting == 1 and who == "page" and pair.name == "rotate":
                assert [one for one in pair.mariadb.running() if one.startswith(STANDS_AT[where])], where
    page, goodbye = clients["page"].read(), clients["logout"].read()
    assert page.status in (200, 401), page.status
    assert goodbye.status == 303, goodbye.status
    successor = new_token(page) if page.status == 200 else None
    assert successor is None or (successor == token) == (pair.name == "extend")
    assert_ended(pair, token, [page])
    assert pair.query("SELECT * FROM user_session") == [] and pair.query("SELECT * FROM rotated_session") == []


# ── hundreds of requests at the idle edge ───────────────────────────────────────────────────────────────────────────


def check(token):
    """What nginx asks before it serves a page itself: no script runs, so that only the gateways are busy."""
    ours = [("SCRIPT_NAME", "/auth/check"), ("GATEHOUSE_COOKIES", "1")]
    return get("/greet", *ours, cookie=token)


@pytest.mark.parametrize("renewal", ["rotate", "extend"])
def test_two_hundred_parallel_requests_at_the_idle_edge_get_one_successor(new_pair, renewal):
    pair = new_pair(renewal=renewal)
    [token] = pair.seed(1)
    together = threading.Barrier(200)

    def ask(number):
        with FastCgi(pair.gateways[number % 2].socket) as connection:
            together.wait(harness.LONG)
            return connection.request(check(token))

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    assert collections.Counter(answer.status for answer in answers) == {200: 200}
    rows = pair.query("SELECT * FROM user_session")
    assert len(rows) == 1, "one live row"
    handed_out = {new_token(answer) for answer in answers} - {None}
    if renewal == "extend":
        assert handed_out == {token} and pair.query("SELECT * FROM rotated_session") == []
        return
    [successor] = handed_out
    assert all(new_token(answer) == successor for answer in answers), "nobody is left with the old one alone"
    assert rows[0]["id"] == session_id(successor) and rows[0]["parent"] == session_id(token)
    [rotated] = pair.query("SELECT * FROM rotated_session")
    assert rotated["id"] == session_id(token) and rotated["successor_seen_at"] is None
