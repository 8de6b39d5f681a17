"""What test_mysql_faults is about, with a primary and a replica."""

import itertools

import pytest

from fastcgi import FastCgi, get
from harness import wait_until
from mariadb import REPLICA, REPLICATED, USER_PASSWORD, MariaDb
from under_load import House, go_through, new_tokens


class Replicated:
    """A primary and a replica, which the gateway knows in this order."""

    def __init__(self):
        ids = itertools.count(1)
        self.first, self.second = (
            MariaDb(tcp=True, options=[*REPLICATED, f"--server-id={next(ids)}"]) for _ in range(2)
        )
        try:
            self.first.start().sql(f"CREATE USER {REPLICA}@'127.0.0.1' IDENTIFIED BY %s", USER_PASSWORD, database=None)
            self.first.sql(f"GRANT REPLICATION SLAVE ON *.* TO {REPLICA}@'127.0.0.1'", database=None)
            self.first.create_database()
            self.second.start().replicate(self.first)
            wait_until(lambda: self.second.has_all_of(self.first), "the replica has everything")
        except BaseException:
            self.close()
            raise

    def close(self):
        for server in (self.first, self.second):
            server.close()


@pytest.fixture
def pair():
    made = Replicated()
    yield made
    made.close()


@pytest.fixture
def replicated_house(track, pair):
    return track(House(pair.first, pair.second))


def test_failed_over_to_a_replica_that_is_promoted(replicated_house, pair):
    house = replicated_house
    assert pair.second.has_all_of(pair.first)
    during = go_through(house, "primary killed, replica promoted", pair.first.kill, pair.second.promote)
    assert during[200] > 0, "the replica can be read before it is promoted"


def test_a_session_that_a_replica_does_not_know_may_only_not_have_arrived(replicated_house, pair):
    """Its cookie stays, until a server that can be written says that there is no such session."""
    house = replicated_house
    [unknown] = new_tokens(1)

    def status(token):
        with FastCgi(house.gatehouse.socket) as connection:
            answer = connection.request(get("/show", cookie=token))
        assert answer.header("Set-Cookie") is None or answer.status == 401
        return answer.status

    assert (status(house.active[0]), status(unknown)) == (200, 401)
    pair.first.kill()
    wait_until(lambda: status(house.active[0]) == 200, "the replica is asked")
    assert [status(unknown) for _ in range(5)] == [503] * 5
    pair.second.promote()
    wait_until(lambda: status(unknown) == 401, "the new primary knows")


def test_failed_over_from_a_primary_that_stands_still(replicated_house, pair):
    """It takes connections and never answers; whoever promotes the other one sees to it that it never will."""
    house = replicated_house
    during = go_through(house, "primary stopped, replica promoted", pair.first.pause, pair.second.promote)
    assert during[200] > 0
    pair.first.kill()
    house.assert_nothing_is_lost()


def test_switched_over_and_back(replicated_house, pair):
    """What an operator does before maintenance: nobody is killed, and each in turn is the one that may be written."""
    house = replicated_house

    def hand_over(old, new):
        old.set_read_only(True)
        assert new.has_all_of(old)
        new.promote()
        old.replicate(new)

    for old, new in ((pair.first, pair.second), (pair.second, pair.first)):
        go_through(house, "switched over", lambda: old.set_read_only(True), lambda: hand_over(old, new))
