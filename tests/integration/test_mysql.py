"""The native tables on a real MariaDB: commands, sign-in, what one request costs, what happens where the server cannot
be used, and that nothing is ever sent unencrypted where encryption was asked for.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import json
import re
import time

import pytest

import harness
from fastcgi import FastCgi, get
from harness import Gatehouse, wait_until
from mariadb import (
    DATABASE,
    MIGRATING,
    SERVING,
    USER,
    USER_PASSWORD,
    Certificates,
    MariaDb,
    MySqlSite,
    run,
)
from visitor import PASSWORD, is_removal, session_cookies

DAY = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def site():
    made = MySqlSite(session={"rotation_grace": "1h"})
    yield made
    made.close()


@pytest.fixture
def new_mysql_site(track):
    return lambda *mariadb, **config: track(MySqlSite(*mariadb, **config))


@pytest.fixture
def new_mariadb(track):
    """Starts a server of the test's own."""
    return lambda **how: track(MariaDb(**how).start().create_database())


@pytest.fixture
def mariadb(site):
    """The site's server, into which a test puts databases of its own."""
    return site.mariadb


@pytest.fixture
def new_gatehouse():
    """Makes gatehouses that have not been started, for tests that drive the program themselves."""
    made = []

    def make(**config):
        made.append(Gatehouse(**config))
        return made[-1]

    yield make
    for one in made:
        try:
            one.stop()
        finally:
            one.remove()


def now():
    return int(time.time() * 1000)


def session_id(token):
    return hashlib.sha256(token.encode()).hexdigest()


def make_idle(site, token):
    site.sql("UPDATE user_session SET active_expires = %s WHERE id = %s", now() - 1000, session_id(token))


def is_let_in(site, token):
    answer = site.with_token(token).fetch("/show")
    return answer.status_code == 200


def assert_503(answer):
    assert answer.status_code == 503, f"{answer.status_code} {answer.text}"
    assert int(answer.headers["Retry-After"]) > 0 and session_cookies(answer) == []
    assert "Location" not in answer.headers
    assert not re.search("mysql|mariadb|gatehouse@|Access denied", answer.text, re.IGNORECASE), answer.text


# ── the tables, the commands ────────────────────────────────────────────────────────────────────────────────────────


def tables_of(mariadb, database):
    names = [next(iter(row.values())) for row in mariadb.sql("SHOW TABLES", database=database)]
    return {name: mariadb.sql(f"SHOW CREATE TABLE `{name}`", database=database)[0] for name in names}


def test_migrate_makes_the_tables_once(mariadb, new_gatehouse):
    mariadb.create_database("fresh")
    gatehouse = new_gatehouse(store=mariadb.store(database="fresh"))
    gatehouse.run("db", "status", check=69)
    gatehouse.run("db", "migrate", check=0)
    made = tables_of(mariadb, "fresh")
    assert {"user", "user_key", "user_session", "rotated_session"} <= set(made)
    assert all("ENGINE=InnoDB" in str(table) for table in made.values())
    gatehouse.run("db", "migrate", check=0)
    gatehouse.run("db", "status", check=0)
    assert tables_of(mariadb, "fresh") == made


def test_migrations_that_run_at_once_make_the_tables_once(mariadb, new_gatehouse):
    mariadb.create_database("crowded")
    gatehouse = new_gatehouse(store=mariadb.store(database="crowded"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: gatehouse.run("db", "migrate"), range(4)))
    assert [result.returncode for result in results] == [0] * 4, results
    gatehouse.run("db", "status", check=0)


def test_migrate_needs_more_rights_than_serving_does(new_mariadb, new_mysql_site):
    mariadb = new_mariadb()
    site = new_mysql_site(mariadb)
    mariadb.revoke(MIGRATING)
    for command in ("status", "migrate"):
        site.gatehouse.run("db", command, check=0)
    site.gatehouse.restart()
    visitor = site.signed_in()
    assert visitor.navigate("/greet").text == "Hello, alice\n"
    assert visitor.sign_out().status_code == 303
    site.gatehouse.add_user("bert")

    mariadb.create_database("another", privileges=SERVING)
    site.gatehouse.config["store"]["mysql"]["database"] = "another"
    site.gatehouse.write_config()
    result = site.gatehouse.run("db", "migrate")
    assert result.returncode in (1, 69) and result.stderr and tables_of(mariadb, "another") == {}


def test_a_database_of_a_later_version_is_named_and_left_alone(mariadb, new_gatehouse):
    mariadb.create_database("later")
    gatehouse = new_gatehouse(store=mariadb.store(database="later"))
    gatehouse.run("db", "migrate", check=0)
    mariadb.sql("UPDATE gatehouse_schema SET version = version + 99", database="later")
    before = tables_of(mariadb, "later")
    assert "version 1" in gatehouse.run("db", "status", check=69).stdout
    gatehouse.run("db", "migrate", check=69)
    assert tables_of(mariadb, "later") == before
    gatehouse.start()
    with FastCgi(gatehouse.socket) as connection:
        answer = connection.request(get("/show", cookie="a" * 40))
    assert answer.status == 503 and answer.header("Retry-After") and answer.header("Set-Cookie") is None


@pytest.mark.parametrize("which", ["user", "user_session", "rotated_session"])
def test_a_missing_table_is_named_and_requests_get_503(site, which):
    token = site.signed_in().token
    site.sql(f"RENAME TABLE `{which}` TO hidden")
    try:
        status = site.gatehouse.run("db", "status", check=69)
        assert which in status.stdout + status.stderr
        if which != "rotated_session":
            assert_503(site.with_token(token).fetch("/show"))
            assert_503(site.visitor().sign_in("alice"))
        assert_503(site.with_token("a" * 40).fetch("/show"))
    finally:
        site.sql(f"RENAME TABLE hidden TO `{which}`")
    wait_until(lambda: is_let_in(site, token), "the session is there again")


def test_the_commands(site):
    gatehouse = site.gatehouse
    user_id = gatehouse.add_user("carla", name="Carla 東京 😀", email="c@example.org", roles="ops")
    assert any(
        "carla" in line and user_id in line for line in gatehouse.run("user", "list", check=0).stdout.splitlines()
    )
    again = gatehouse.run("user", "add", "carla", "--password-stdin", stdin=PASSWORD + "\n")
    assert again.returncode == 1 and again.stderr
    one, two = site.signed_in("carla"), site.signed_in("carla")
    assert one.show()["env"]["HTTP_REMOTE_NAME"] == "Carla 東京 😀"
    listed = gatehouse.run("session", "list", "carla", check=0).stdout.splitlines()
    assert len(listed) == 2 and one.token not in str(listed)
    gatehouse.run("session", "revoke", listed[0].split()[0], check=0)
    assert sorted(visitor.fetch("/show").status_code for visitor in (one, two)) == [200, 401]
    gatehouse.run("user", "password", "carla", "--password-stdin", stdin="a wholly different one\n", check=0)
    assert one.fetch("/show").status_code == two.fetch("/show").status_code == 401
    assert site.visitor().sign_in("carla").status_code == 401
    three = site.signed_in("carla", "a wholly different one")
    gatehouse.run("user", "disable", "carla", check=0)
    assert three.fetch("/show").status_code == 401
    assert site.visitor().sign_in("carla", "a wholly different one").status_code == 401
    gatehouse.run("user", "enable", "carla", check=0)
    assert site.signed_in("carla", "a wholly different one").fetch("/show").status_code == 200


def test_names_that_differ_in_case_or_accents_are_others(site):
    for name in ("zoe", "ZOE", "zoë"):
        site.gatehouse.add_user(name)
        assert site.signed_in(name).show()["env"]["REMOTE_USER"] == name
    assert site.visitor().sign_in("Zoe").status_code == 401
    assert site.visitor().sign_in("zoe ").status_code == 401


def test_sign_in_and_out(site):
    visitor = site.visitor()
    answer = visitor.sign_in("alice")
    assert answer.status_code == 303
    assert visitor.navigate("/greet").text == "Hello, alice\n"
    [row] = site.sql("SELECT * FROM user_session WHERE id = %s", session_id(visitor.token))
    assert row["user_id"] == site.alice_id and row["idle_expires"] - row["active_expires"] == 14 * DAY
    token = visitor.token
    answer = visitor.sign_out()
    assert answer.status_code == 303 and is_removal(session_cookies(answer)[0])
    assert site.sql("SELECT * FROM user_session WHERE id = %s", session_id(token)) == []
    assert not is_let_in(site, token)


def test_one_process_a_request(site):
    """The CGI door: nothing is kept between requests, not even the connection."""
    visitor = site.signed_in()
    before = site.mariadb.clients()
    answer = site.gatehouse.run(
        config=False,
        environment={
            "GATEWAY_INTERFACE": "CGI/1.1",
            "GATEHOUSE_CONFIG": str(site.gatehouse.config_file),
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/greet",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/greet",
            "HTTP_HOST": site.host,
            "HTTP_COOKIE": f"session={visitor.token}",
        },
    )
    assert answer.stdout.startswith("Status: 200") and answer.stdout.endswith("Hello, alice\n"), answer
    assert set(site.mariadb.clients()) <= set(before)


# ── what one request costs ──────────────────────────────────────────────────────────────────────────────────────────

CONTROL = re.compile(r"BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SET autocommit", re.IGNORECASE)


def sent(said):
    """What was executed, prepared or not; and that no connection was made for it."""
    assert {command for command, _ in said} <= {"Query", "Prepare", "Execute", "Close stmt", "Reset stmt"}, said
    return [statement for command, statement in said if command in ("Query", "Execute")]


def warm(site, token):
    """So that connections are there and statements prepared."""
    for _ in range(5):
        assert site.with_token(token).fetch("/public/x").status_code == 200


def test_a_validated_request_costs_exactly_one_select(site):
    token = site.signed_in().token
    warm(site, token)
    with site.mariadb.recorded() as said:
        for _ in range(20):
            assert site.with_token(token).fetch("/show").status_code == 200
    executed = sent(said)
    assert len(executed) == 20 and all(one.startswith("SELECT") for one in executed), executed
    assert all(command == "Execute" for command, _ in said), "prepared, and prepared before"


def test_who_brings_no_token_costs_nothing(site):
    with site.mariadb.recorded() as said:
        assert site.visitor().navigate("/show").status_code == 302
        assert site.visitor().fetch("/public/x").status_code == 200
        for malformed in ("", "a" * 39, "A" * 40, "a" * 41, "a" * 39 + "'"):
            answer = site.visitor().fetch("/show", headers={"Cookie": f"session={malformed}"})
            assert answer.status_code == 401 and session_cookies(answer) == []
    assert said == []


def written_in_one_transaction(executed):
    """What was executed after the SELECT of the validation."""
    assert executed[0].startswith("SELECT"), executed
    control = [one for one in executed if CONTROL.match(one)]
    assert [executed[1], executed[-1]] == control == ["START TRANSACTION", "COMMIT"], executed
    return executed[2:-1]


@pytest.mark.parametrize("renewal", ["rotate", "extend"])
def test_a_renewal_costs_at_most_four_statements_in_one_transaction_more(site, new_mysql_site, renewal):
    if renewal == "extend":
        site = new_mysql_site(session={"renewal": "extend"})
    tokens = [site.signed_in().token for _ in range(5)]
    warm(site, tokens[0])
    costs = []
    for token in tokens:
        make_idle(site, token)
        with site.mariadb.recorded() as said:
            answer = site.with_token(token).fetch("/public/x")
        assert answer.status_code == 200 and len(session_cookies(answer)) == 1
        executed = sent(said)
        assert 1 <= len(written_in_one_transaction(executed)) <= 4, executed
        costs.append(collections.Counter(one.split()[0] for one in executed))
    print(f"\n{renewal}: {dict(costs[-1])}")


def test_the_first_presentation_of_a_successor_costs_no_more_than_a_renewal(site):
    visitor = site.signed_in()
    make_idle(site, visitor.token)
    assert visitor.fetch("/public/x").status_code == 200
    with site.mariadb.recorded() as said:
        assert visitor.fetch("/public/x").status_code == 200
    assert len(written_in_one_transaction(sent(said))) <= 4, said
    with site.mariadb.recorded() as said:
        assert visitor.fetch("/public/x").status_code == 200
    assert len(sent(said)) == 1, "presented once"


def test_a_successor_that_is_renewed_when_first_presented_costs_no_more_than_a_renewal(site):
    visitor = site.signed_in()
    make_idle(site, visitor.token)
    assert visitor.fetch("/public/x").status_code == 200
    make_idle(site, visitor.token)
    with site.mariadb.recorded() as said:
        answer = visitor.fetch("/public/x")
    assert answer.status_code == 200 and len(session_cookies(answer)) == 1
    written = [one.split()[0] for one in written_in_one_transaction(sent(said))]
    assert sorted(written) == ["DELETE", "INSERT", "INSERT", "UPDATE"], said


# ── connections that come and go ────────────────────────────────────────────────────────────────────────────────────


def kill_connections(site):
    for number in site.mariadb.clients():
        with contextlib.suppress(Exception):
            site.sql(f"KILL {number}")


def test_a_connection_that_the_server_ended_is_nothing_that_a_visitor_notices(site):
    visitor = site.signed_in()
    for _ in range(5):
        assert site.mariadb.clients(), "it keeps connections"
        kill_connections(site)
        assert visitor.fetch("/show").status_code == 200
        kill_connections(site)
        make_idle(site, visitor.token)
        answer = visitor.fetch("/show")
        assert answer.status_code == 200 and len(session_cookies(answer)) == 1
        kill_connections(site)
        assert site.signed_in().sign_out().status_code == 303


def test_as_many_connections_as_configured_and_no_more(new_mysql_site):
    mariadb = MariaDb().start().create_database()
    site = new_mysql_site(mariadb, store=mariadb.store(pool={"max": 3}))
    token = site.signed_in().token
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: site.with_token(token).fetch("/auth/session").status_code, range(400)))
    assert answers == [200] * 400
    assert 1 <= len(mariadb.clients()) <= 3


def test_a_server_that_takes_no_more_connections(new_mysql_site):
    site = new_mysql_site()
    token = site.signed_in().token
    site.sql("SET GLOBAL max_connections = 10")
    with contextlib.ExitStack() as held:
        kill_connections(site)
        with contextlib.suppress(Exception):
            for _ in range(20):
                connection = site.mariadb.connect(DATABASE, USER, USER_PASSWORD)
                held.callback(connection.close)
        assert_503(site.with_token(token).fetch("/show"))
    wait_until(lambda: is_let_in(site, token), "it is let in again")


# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_locked_row_holds_up_nobody_for_long_and_costs_nobody_the_session(site):
    active, idle, leaving = (site.signed_in() for _ in range(3))
    make_idle(site, idle.token)
    with contextlib.closing(site.mariadb.connect(DATABASE, autocommit=False)) as connection:
        run(connection, "SELECT * FROM user_session FOR UPDATE")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(visitor.fetch, "/greet") for visitor in (active, idle)]
            left = pool.submit(leaving.sign_out)
        for answer in (one.result() for one in asked):
            assert answer.status_code == 200 and answer.text == "Hello, alice\n" and session_cookies(answer) == []
        assert_503(left.result())
        connection.rollback()
    assert leaving.fetch("/show").status_code == 200, "the logout that was refused has ended nothing"
    assert len(session_cookies(idle.fetch("/show"))) == 1


def test_a_locked_table_is_503_within_the_deadline(site):
    visitor = site.signed_in()
    with contextlib.closing(site.mariadb.connect(DATABASE)) as connection:
        run(connection, "LOCK TABLES user_session WRITE, user WRITE")
        assert_503(visitor.fetch("/show", timeout=10.0))
        run(connection, "UNLOCK TABLES")
    wait_until(lambda: visitor.fetch("/show").status_code == 200, "it is let in again")


def test_while_the_server_is_read_only_sessions_are_let_in_unrenewed(site):
    active, idle = site.signed_in(), site.signed_in()
    make_idle(site, idle.token)
    token = idle.token
    form = site.visitor()
    fields = form.login_form().fields
    site.mariadb.set_read_only(True)
    try:
        for visitor in (active, idle):
            answer = visitor.fetch("/greet")
            assert answer.status_code == 200 and answer.text == "Hello, alice\n" and session_cookies(answer) == []
        assert_503(form.post("/auth/login", data={**fields, "username": "alice", "password": PASSWORD}))
        assert_503(active.sign_out())
        assert site.with_token("a" * 40).fetch("/show").status_code == 401, "that nobody has this token could be read"
        assert site.gatehouse.run("user", "add", "late", "--password-stdin", stdin=PASSWORD).returncode in (1, 69)
    finally:
        site.mariadb.set_read_only(False)
    assert active.fetch("/greet").status_code == 200

    def is_renewed():
        lines = session_cookies(idle.fetch("/greet"))
        return lines and not is_removal(lines[0]) and idle.token != token

    wait_until(is_renewed, "the renewal is made up for")


# ── credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────


def host_lines(gatehouse):
    """The lines of the log that are about the database's host and not about one request."""
    return [line for line in gatehouse.log().splitlines() if "mysql.sock" in line]


def test_wrong_credentials_are_503_without_a_storm(new_mysql_site):
    site = new_mysql_site()
    token = site.signed_in().token
    users = [f"{USER}@'{host}'" for host in ("localhost", "127.0.0.1")]
    for user in users:
        site.sql(f"ALTER USER {user} IDENTIFIED BY 'another'")
    kill_connections(site)
    before, lines = site.mariadb.status("Aborted_connects"), len(host_lines(site.gatehouse))
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: site.with_token(token).fetch("/auth/session"), range(400)))
    seconds = time.monotonic() - began
    for answer in answers:
        assert_503(answer)
    attempts = site.mariadb.status("Aborted_connects") - before
    print(f"\n400 requests in {seconds:.1f} s: {attempts} attempts to connect")
    assert 1 <= attempts <= 40, attempts
    assert len(host_lines(site.gatehouse)) - lines == 1, host_lines(site.gatehouse)
    failed = [line for line in site.gatehouse.log().splitlines() if " warn store_failed " in line]
    assert 1 <= len(failed) <= 2 + seconds / 60, "one a minute, whoever asks"
    assert USER_PASSWORD not in site.gatehouse.log()
    site.gatehouse.run("db", "status", check=69)
    for user in users:
        site.sql(f"ALTER USER {user} IDENTIFIED BY %s", USER_PASSWORD)
    wait_until(lambda: is_let_in(site, token), "it is let in again, without a restart")


def test_a_start_without_a_server_serves_503_until_there_is_one(new_mariadb, new_gatehouse):
    mariadb = new_mariadb()
    gatehouse = new_gatehouse(store=mariadb.store())
    gatehouse.run("db", "migrate", check=0)
    mariadb.stop()
    gatehouse.start()
    gatehouse.run("db", "status", check=69)

    def status():
        with FastCgi(gatehouse.socket) as connection:
            answer = connection.request(get("/show", cookie="a" * 40))
        assert answer.status == 401 or answer.header("Retry-After") and answer.header("Set-Cookie") is None
        return answer.status

    assert status() == 503
    mariadb.start()
    wait_until(lambda: status() == 401, "the daemon notices the server")


# ── encryption ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls") / "right")


def require_tls(mariadb):
    mariadb.sql(f"ALTER USER {USER}@'127.0.0.1' REQUIRE SSL")


def over_tls(mariadb, ca, host="127.0.0.1"):
    return mariadb.store(hosts=[f"{host}:{mariadb.port}"], tls={"mode": "verify", "ca_file": str(ca)})


def test_over_tls(new_mariadb, new_mysql_site, certificates):
    mariadb = new_mariadb(tls=certificates)
    require_tls(mariadb)
    site = new_mysql_site(mariadb, store=over_tls(mariadb, certificates.ca))
    visitor = site.signed_in()
    assert visitor.navigate("/greet").text == "Hello, alice\n"
    # The user may not come in otherwise.
    site.gatehouse.config["store"]["mysql"]["tls"] = {"mode": "off"}
    site.gatehouse.write_config()
    site.gatehouse.run("db", "status", check=69)


def assert_never_connects(mariadb, gatehouse):
    """Neither a command nor the daemon gets as far as to name the user, encrypted or not."""
    with mariadb.recorded() as said:
        assert gatehouse.run("db", "status", check=69).stderr
        gatehouse.start()
        with FastCgi(gatehouse.socket) as connection:
            answer = connection.request(get("/show", cookie="a" * 40))
        assert answer.status == 503 and answer.header("Set-Cookie") is None
    assert said == [] and mariadb.clients() == []


@pytest.mark.parametrize("wrong", ["no TLS at all", "another authority", "another name"])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(new_mariadb, new_gatehouse, certificates, tmp_path, wrong):
    shown = {
        "no TLS at all": lambda: None,
        "another authority": lambda: Certificates(tmp_path / "another"),
        "another name": lambda: Certificates(tmp_path / "named", name="DNS:db.example.org"),
    }[wrong]()
    mariadb = new_mariadb(tcp=True, tls=shown)
    ca = shown.ca if wrong == "another name" else certificates.ca
    assert_never_connects(mariadb, new_gatehouse(store=over_tls(mariadb, ca)))


# ── configuration ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key, value",
    [
        ("store.mysql.database", "db;drop"),
        ("store.mysql.database", "db`x"),
        ("store.mysql.database", ""),
        ("store.tables.session", 'user_session"'),
        ("store.tables.session", "user session"),
        ("store.tables.user", "user`; DROP TABLE user; --"),
        ("store.tables.key", "'"),
        ("store.mysql.hosts", ["localhost"]),
        ("store.mysql.hosts", []),
    ],
)
def test_what_is_no_identifier_is_refused_at_load(new_gatehouse, key, value):
    store = {"driver": "mysql", "mysql": {"database": DATABASE}}
    section, _, name = key.removeprefix("store.").rpartition(".")
    gatehouse = new_gatehouse(store=harness.merged(store, {section: {name: value}}))
    for command in (["check"], ["serve"], ["db", "status"]):
        result = gatehouse.run(*command, check=78)
        assert f"{key}" in result.stdout + result.stderr, json.dumps(value)
