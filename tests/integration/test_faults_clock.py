"""The wall clock jumps, a day either way and more: nobody becomes immortal, nobody's row is lost, and when the clock is
right again everything is as before. libfaketime moves the clock of the running daemon; what waits goes by the other
clock, which does not jump."""

import hashlib
import os
import re
import subprocess
import time

import pytest

import harness
from fastcgi import get
from harness import clean_environment, wait_until
from visitor import is_removal, session_cookies

HOUR, DAY = 3600, 86400
ACTIVE, IDLE, LIFETIME = DAY, 14 * DAY, 90 * DAY  # the defaults


def library():
    """The one for programs with threads, wherever this architecture has it."""
    listed = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True).stdout
    return next(line for line in listed.splitlines() if line.endswith("/libfaketimeMT.so.1"))


class Clock:
    """Sets the daemon's wall clock so many seconds beside ours. With `monotonic` the other clock jumps along."""

    def __init__(self, gatehouse, monotonic=False):
        self.gatehouse, self.offset = gatehouse, 0
        self.file = gatehouse.folder / "clock"
        self.jump(0)
        self.environment = clean_environment(
            LD_PRELOAD=library(), FAKETIME_TIMESTAMP_FILE=str(self.file), FAKETIME_NO_CACHE="1"
        )
        if not monotonic:
            self.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"

    def jump(self, offset):
        self.offset = offset
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.rename(self.file)

    def now(self):
        return time.time() + self.offset


def with_clock(site, **how):
    site.clock = Clock(site.gatehouse, **how)
    site.gatehouse.stop()
    site.gatehouse.start(env=site.clock.environment)
    return site


@pytest.fixture(scope="module")
def site():
    made = with_clock(harness.Site())
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clock(request):
    if "site" not in request.fixturenames:
        return None
    clock = request.getfixturevalue("site").clock
    clock.jump(0)
    return clock


def ask(site, token, path="/greet"):
    visitor = site.visitor()
    visitor.token = token
    answer = visitor.fetch(path)
    return answer, visitor.token


def is_let_in_as_it_was(site, token):
    answer, _ = ask(site, token)
    return answer.status_code == 200 and answer.text == "Hello, alice\n" and session_cookies(answer) == []


def is_renewed(site, token):
    """The successor's token, or None."""
    answer, new = ask(site, token)
    return new if answer.status_code == 200 and len(session_cookies(answer)) == 1 and new != token else None


def is_dead(site, token):
    answer, _ = ask(site, token)
    return answer.status_code == 401 and [is_removal(line) for line in session_cookies(answer)] == [True]


def session_id(token):
    return hashlib.sha256(token.encode()).hexdigest()


def row(site, token):
    [found] = site.gatehouse.query("SELECT * FROM user_session WHERE id = ?", session_id(token))
    return found


def counts(site):
    return [
        site.gatehouse.query(f"SELECT count(*) AS n FROM {table}")[0]["n"]
        for table in ("user", "user_key", "user_session", "rotated_session")
    ]


def test_the_daemons_clock_is_the_one_that_jumps(site, clock):
    clock.jump(-3 * DAY)
    before = len(site.gatehouse.log())
    assert site.visitor().fetch("/greet").status_code == 401
    line = wait_until(lambda: site.gatehouse.log()[before:], "a line in the log")
    told = re.search(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d)", line, re.MULTILINE).group(1)
    assert told[:10] == time.strftime("%Y-%m-%d", time.gmtime(clock.now()))


def test_an_hour_either_way_changes_nothing(site, clock):
    token = site.signed_in().token
    for offset in (HOUR, -HOUR, 0):
        clock.jump(offset)
        assert is_let_in_as_it_was(site, token)


def test_a_day_ahead_the_active_are_idle_and_back_again_both_ids_lead_to_one_session(site, clock):
    used, unused = site.signed_in().token, site.signed_in().token
    clock.jump(DAY + HOUR)
    successor = is_renewed(site, used)
    assert successor
    assert row(site, successor)["idle_expires"] <= (clock.now() + ACTIVE + IDLE + 60) * 1000
    clock.jump(0)
    # Who did not come meanwhile has what he had; who did has one session, that says "not longer than the rule" later.
    assert is_let_in_as_it_was(site, unused)
    assert is_let_in_as_it_was(site, successor)


def test_fifteen_days_ahead_they_are_dead_and_their_rows_are_kept(site, clock):
    tokens = [site.signed_in().token for _ in range(3)]
    before = counts(site)
    clock.jump(ACTIVE + IDLE + HOUR)
    assert all(is_dead(site, token) for token in tokens)
    assert counts(site) == before, "a clock that is wrong deletes nothing"
    clock.jump(0)
    assert all(is_let_in_as_it_was(site, token) for token in tokens), "who kept his cookie is signed in again"


def test_a_day_back_nobody_is_let_in_for_longer_than_his_row_says(site, clock):
    token = site.signed_in().token
    before = row(site, token)
    clock.jump(-DAY)
    assert is_let_in_as_it_was(site, token)
    assert row(site, token)["idle_expires"] == before["idle_expires"], "the row is not moved"
    # The row's own time ends it, whatever the clock has been.
    clock.jump(ACTIVE + IDLE + HOUR)
    assert is_dead(site, token)


def test_who_signs_in_while_the_clock_is_a_day_back_only_has_a_day_less(site, clock):
    clock.jump(-DAY)
    token = site.signed_in().token
    assert row(site, token)["idle_expires"] <= (clock.now() + ACTIVE + IDLE + 60) * 1000
    clock.jump(60)
    successor = is_renewed(site, token)  # its day is over
    assert successor
    clock.jump(0)
    assert is_let_in_as_it_was(site, successor)


def test_a_session_renewed_a_day_ahead_ends_all_the_same(site, clock):
    token = site.signed_in().token
    for days in (2, 4, 6):
        clock.jump(days * DAY)
        token = is_renewed(site, token)
        assert token
    clock.jump(0)
    before = site.gatehouse.log()
    assert is_let_in_as_it_was(site, token) and is_let_in_as_it_was(site, token)
    told = site.gatehouse.log()[len(before) :].count(" expiry_beyond_policy ")
    assert told == 1, "that a row is longer than the rule is said, once"
    assert row(site, token)["idle_expires"] <= (time.time() + 6 * DAY + ACTIVE + IDLE + 60) * 1000
    clock.jump(6 * DAY + ACTIVE + IDLE + HOUR)
    assert is_dead(site, token)


@pytest.mark.parametrize("jumps", [(0,), (DAY,), (-DAY,), (30 * DAY, 0), (-30 * DAY, 0)], ids=str)
def test_however_the_clock_jumps_the_lifetime_counts_from_the_login(site, clock, jumps):
    token = site.signed_in().token
    for jump in jumps:
        clock.jump(jump)
        token = ask(site, token)[1] or token
    # Renewed as often as it can be, it lives to the end of its lifetime and not longer.
    clock.jump(0)
    lived = 0
    for days in range(10, 100, 10):
        clock.jump(days * DAY)
        answer, token = ask(site, token)
        if answer.status_code != 200:
            break
        lived = days
    else:
        raise AssertionError("it is immortal")
    assert lived == LIFETIME // DAY - 10


def test_the_old_id_of_a_rotation_is_no_second_session_whichever_way_the_clock_goes(site, clock):
    token = site.signed_in().token
    clock.jump(DAY + HOUR)
    successor = is_renewed(site, token)
    assert is_let_in_as_it_was(site, successor)  # presented: the grace runs
    clock.jump(0)  # before the rotation
    answer, led_to = ask(site, token)
    assert answer.status_code == 200 and led_to == successor, "it leads to the one session, as within the grace"
    clock.jump(DAY + 2 * HOUR)
    assert is_dead(site, token), "after the grace it ends the family"
    assert is_dead(site, successor)


def test_sign_in_and_sign_out_work_whatever_the_clock_says(site, clock):
    for offset in (DAY, -DAY, 400 * DAY):
        clock.jump(offset)
        visitor = site.signed_in()
        assert visitor.fetch("/greet").text == "Hello, alice\n"
        token = visitor.token
        assert visitor.sign_out().status_code == 303
        assert is_dead(site, token)
        clock.jump(0)
        assert is_dead(site, token), "signed out is signed out"


def test_a_jump_while_a_request_runs_ends_nothing_early(site, clock):
    """A deadline is waited for by the clock that does not jump."""
    gatehouse = site.gatehouse
    token = site.signed_in().token
    os.mkfifo(gatehouse.folder / "gate")
    with site.fastcgi() as connection:
        connection.send_request(get("/wait", cookie=token))
        wait_until(lambda: list(gatehouse.folder.glob("gate.started.*")), "the script runs")
        clock.jump(DAY)
        assert site.visitor().fetch("/auth/session").status_code == 401
        with open(gatehouse.folder / "gate", "w") as pipe:
            pipe.write("\n")
            pipe.flush()
            assert connection.read_answer().body == b"through"


def test_the_hourly_sweep_keeps_what_is_dead_only_because_the_clock_jumped(new_site):
    # Both clocks jump here, so that the sweep's hour is over as soon as anything wakes the one thread: a script's time.
    site = with_clock(new_site(threads=1), monotonic=True)
    kept = site.signed_in().token
    long_dead, dead_by_the_jump = site.signed_in().token, site.signed_in().token
    now = int(time.time() * 1000)
    for token, dead_for in ((long_dead, 2 * DAY), (dead_by_the_jump, -HOUR)):
        site.gatehouse.query(
            "UPDATE user_session SET active_expires = ?, idle_expires = ? WHERE id = ?",
            now - 20 * DAY * 1000,
            now - dead_for * 1000,
            session_id(token),
        )
    before = counts(site)
    with site.fastcgi() as connection:
        connection.send_request(get("/hang", cookie=kept))
        wait_until((site.gatehouse.folder / "gate.pids").exists, "the script runs")
        site.clock.jump(DAY)
        assert connection.read_answer().status == 504
    wait_until(
        lambda: not site.gatehouse.query("SELECT 1 FROM user_session WHERE id = ?", session_id(long_dead)),
        "the sweep has come",
    )
    after = counts(site)
    assert after == [before[0], before[1], before[2] - 1, before[3]], "nothing else is gone"
    assert is_dead(site, dead_by_the_jump)
    site.clock.jump(0)
    assert is_renewed(site, dead_by_the_jump) and is_let_in_as_it_was(site, kept)
