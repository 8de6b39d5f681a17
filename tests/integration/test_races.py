"""Renewal without races: many requests at once, a logout at the worst moment, two gateways on one database, answers
that get lost. What needs no second request is in test_sessions.
"""

import collections
import concurrent.futures
import hashlib
import os
import random
import re
import socket
import threading

import pytest

import harness
from two_gateways import (
    DAY,
    HOUR,
    Aim,
    Pair,
    age,
    assert_ended,
    assert_renewed_or_refused,
    new_token,
    now,
    race,
    send_at,
    session_id,
)
from visitor import is_removal

ROUNDS = 10_000 if os.environ.get("GATEHOUSE_LONG") == "1" else 1000


# ── many requests with one idle session, through nginx ──────────────────────────────────────────────────────────────


@pytest.fixture
def busy_site(new_site):
    return new_site(
        session={"rotation_grace": "1h"}, downstreams={"scripts": {"cgi": {"max_processes": 64, "timeout": "20s"}}}
    )


def test_fifty_parallel_requests_with_one_idle_session_get_one_successor(busy_site):
    site = busy_site
    old = site.signed_in().token
    site.gatehouse.query("UPDATE user_session SET active_expires = ?", now() - 1000)
    request = f"GET /greet HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\nCookie: session={old}\r\n\r\n".encode()
    together = threading.Barrier(50)

    def ask(_):
        with socket.create_connection(("127.0.0.1", site.nginx.port), harness.LONG) as connection:
            together.wait(harness.LONG)
            connection.sendall(request)
            answer = b""
            while data := connection.recv(65536):
                answer += data
            return answer.decode()

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert collections.Counter(answer.split()[1] for answer in answers) == {"200": 50}
    assert all("Hello, alice" in answer for answer in answers)
    cookies = [re.findall(r"^Set-Cookie: session=([0-9a-z]+);", answer, re.MULTILINE) for answer in answers]
    [successor] = {tuple(found) for found in cookies}
    assert len(successor) == 1 and successor[0] != old
    [row] = site.gatehouse.query("SELECT * FROM user_session")
    assert row["id"] == session_id(successor[0]) and row["parent"] == session_id(old)
    [rotated] = site.gatehouse.query("SELECT * FROM rotated_session")
    assert rotated["id"] == session_id(old) and rotated["successor_seen_at"] is None


# ── two gateways on one database ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def new_pair(track):
    def make(**session):
        return track(Pair(session={"rotation_grace": "1h", **session})).start()

    return make


@pytest.mark.parametrize("renewal", ["rotate", "extend"])
def test_a_renewal_that_meets_a_logout_resurrects_nobody(new_pair, renewal):
    pair = new_pair(renewal=renewal)
    rng = random.Random(20)
    aim = Aim(rng)
    seen = collections.Counter()
    refused = []
    for token in pair.seed(ROUNDS):
        answers = race(pair, rng, aim, token)
        assert_renewed_or_refused(renewal, token, answers)
        refused += [answer.header("X-Request-Id") for answer in answers if answer.status == 401]
        was_renewed = answers[0].status == 200
        seen["renewed first" if was_renewed else "logged out first"] += 1
        aim.learn(was_renewed)
        assert_ended(pair, token, answers)
    assert pair.query("SELECT * FROM user_session") == [] and pair.query("SELECT * FROM rotated_session") == []
    assert seen["renewed first"] > 0 and seen["logged out first"] > 0, seen
    if renewal == "rotate":
        # Refused without a word of an unknown session: it had been found, and was gone when it was to be renewed.
        unknown = set(re.findall(r"unknown_session.*?request=(\S+)", "".join(pair.logs().values())))
        seen["gone between find and renewal"] = len(set(refused) - unknown)
        assert seen["gone between find and renewal"] > 0
    print(f"\n{renewal}: {dict(seen)}")


def test_both_gateways_answer_with_one_successor(new_pair):
    pair = new_pair()
    rng = random.Random(21)
    for token in pair.seed(50):
        sends = [(rng.uniform(0, 300e-6), lambda client=client: client.send("page", token)) for client in pair.askers]
        send_at(sends)
        answers = [client.read() for client in pair.askers]
        assert [answer.status for answer in answers] == [200, 200]
        [successor] = {new_token(answer) for answer in answers}
        assert sorted(row["id"] for row in pair.rows_of(token)) == sorted([session_id(token), session_id(successor)])


@pytest.mark.parametrize("kind", ["logout", "logout everywhere"])
@pytest.mark.parametrize("is_presented", [False, True], ids=["before the grace", "during the grace"])
def test_logout_with_the_old_cookie_ends_the_successor_on_both_gateways(new_pair, kind, is_presented):
    pair = new_pair()
    [token] = pair.seed(1)
    answer = pair.askers[0].ask("page", token)
    successor = new_token(answer)
    if is_presented:
        assert pair.askers[1].ask("page", successor).status == 200
        assert pair.query("SELECT successor_seen_at AS at FROM rotated_session")[0]["at"] is not None
    assert pair.leavers[1].ask(kind, token).status == 303
    assert_ended(pair, token, [answer])


# ── a rotated id comes back, an answer gets lost ────────────────────────────────────────────────────────────────────


def test_a_rotated_id_reused_after_the_grace_ends_the_family_and_is_a_security_event(new_pair):
    pair = new_pair(rotation_grace="10s")
    [token] = pair.seed(1)
    successor = new_token(pair.askers[0].ask("page", token))
    assert pair.askers[0].ask("page", successor).status == 200
    assert pair.askers[1].ask("page", token).status == 200, "the grace has only begun"
    pair.query("UPDATE rotated_session SET successor_seen_at = successor_seen_at - 10001")
    reused = pair.askers[1].ask("page", token)
    assert reused.status == 401 and is_removal(reused.header("Set-Cookie"))
    assert pair.rows_of(token) == []
    for gateway in pair.askers:
        assert gateway.ask("page", successor).status == 401
    [event] = [line for line in pair.second.log().splitlines() if "rotated_reuse" in line]
    assert re.search(r"\bwarn", event) and reused.header("X-Request-Id") in event
    assert hashlib.sha256(session_id(token).encode()).hexdigest()[:12] in event, "which session, by its handle"
    for secret in (token, successor, session_id(token), session_id(successor)):
        assert secret not in pair.first.log() + pair.second.log()


def test_lost_answers_lock_nobody_out_until_the_old_id_itself_expires(new_pair):
    pair = new_pair(rotation_grace="10s")
    [token] = pair.seed(1)
    [successor] = {new_token(gateway.ask("page", token)) for gateway in pair.askers for _ in range(10)}
    # The grace has long been over, had it begun; later the successor is idle, and nobody but its holder renews it.
    for days in (1, 2, 6, 4):
        age(pair, days * DAY)
        for gateway in pair.askers:
            answer = gateway.ask("page", token)
            assert answer.status == 200 and new_token(answer) == successor, days
    [row] = pair.query("SELECT * FROM user_session")
    assert row["id"] == session_id(successor) and row["active_expires"] < now() < row["idle_expires"]
    [rotated] = pair.query("SELECT * FROM rotated_session")
    assert rotated["successor_seen_at"] is None and rotated["idle_expires"] > now()

    age(pair, rotated["idle_expires"] - now() + 1000)
    assert pair.askers[0].ask("page", token).status == 401
    renewed = pair.askers[1].ask("page", successor)
    assert renewed.status == 200 and new_token(renewed) not in (None, successor)


def test_an_answer_lost_at_every_renewal_locks_nobody_out(new_pair):
    pair = new_pair(rotation_grace="10s")
    [token] = pair.seed(1)
    for _ in range(5):
        [successor] = {new_token(gateway.ask("page", token)) for gateway in pair.askers * 3}
        age(pair, 25 * HOUR)
        # What arrives at last has aged, too: the next renewal, whose answers are lost again.
        token = successor
    assert pair.askers[0].ask("page", token).status == 200
    assert len(pair.query("SELECT * FROM user_session")) == 1
