"""MariaDB dies, stands still and becomes read-only under two hundred requests a second: every answer comes within the
deadline, nobody loses a session or a cookie, nobody is let in who should not be, and it heals by itself. Two servers:
test_mysql_failover.
"""

import pytest

from mariadb import MariaDb
from under_load import House, go_through


@pytest.fixture
def house(track):
    return track(House(MariaDb().start().create_database()))


def test_killed_and_restarted(house):
    [server] = house.servers
    during = go_through(house, "killed and restarted", server.kill, server.start)
    assert during[503] > 0


def test_stopped_and_restarted(house):
    [server] = house.servers
    during = go_through(house, "stopped and restarted", server.stop, server.start)
    assert during[503] > 0


def test_standing_still_and_going_on(house):
    [server] = house.servers
    during = go_through(house, "SIGSTOP and SIGCONT", server.pause, server.resume)
    assert during[503] > 0


def test_read_only_and_back(house):
    [server] = house.servers
    during = go_through(
        house, "read_only and back", lambda: server.set_read_only(True), lambda: server.set_read_only(False)
    )
    assert during[503] == 0, "what can be read is enough to let somebody in"
    assert during[200] > 0
