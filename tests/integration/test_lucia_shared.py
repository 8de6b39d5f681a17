"""One database, two programs: Lucia itself on Node, and gatehouse. Whatever one of them does with users, keys,
passwords and sessions, the other one sees at once, in both directions; and Lucia's tables stay as they were.
"""

import concurrent.futures
import itertools
import json
import time

import pytest

import harness
from lucia_node import COOKIE, LuciaError, LuciaSite
from visitor import PASSWORD, is_removal, session_cookies

DAY = 24 * 3600 * 1000
ACTIVE, IDLE = DAY, 14 * DAY
GARBAGE = [
    None,
    "",
    "s2",
    "s2:",
    "s2::",
    "s2:a:",
    "x",
    ":",
    "$argon2id$",
    "$2b$",
    PASSWORD,
    "s2:abcdefghij012345:" + "0" * 128,
]


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def shared(request):
    made = LuciaSite(request.param)
    try:
        before = made.tables()
        yield made
        assert made.tables() == before, "Lucia's tables were changed"
    finally:
        made.close()


@pytest.fixture
def site(shared):
    return shared


@pytest.fixture
def lucia(shared):
    return shared.lucia


_numbers = itertools.count(1)


@pytest.fixture
def new_user(lucia):
    """Signs somebody up with Lucia; returns the name and the id. Without a password there is no key, which is quick."""

    def make(password=None, **attributes):
        name = f"user{next(_numbers)}"
        return name, lucia.sign_up(name, password, **attributes)

    return make


def now():
    return int(time.time() * 1000)


def cookies(answer):
    return session_cookies(answer, COOKIE)


def ask(site, token, path="/show", **more):
    """One request with that cookie and no memory."""
    return site.with_token(token).fetch(path, **more)


def is_let_in(site, token):
    answer = ask(site, token)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def assert_refused_for_good(answer):
    assert answer.status_code == 401
    [line] = cookies(answer)
    assert is_removal(line, COOKIE)


def make_idle(site, session_id):
    site.sql(f"UPDATE {site.names['session']} SET active_expires = %s WHERE id = %s", now() - 1000, session_id)


def set_hash(site, user_id, stored):
    site.sql(f"UPDATE {site.names['key']} SET hashed_password = %s WHERE user_id = %s", stored, user_id)


def hash_of(site, user_id):
    [row] = site.sql(f"SELECT hashed_password FROM {site.names['key']} WHERE user_id = %s", user_id)
    return row["hashed_password"]


def can_use_key(lucia, name, password):
    try:
        return bool(lucia.use_key("username", name, password))
    except LuciaError as error:
        assert str(error) == "AUTH_INVALID_PASSWORD", error
        return False


def can_sign_in(site, name, password):
    answer = site.visitor().sign_in(name, password)
    assert answer.status_code in (303, 401), answer.text
    return answer.status_code == 303


# ── users, keys, passwords ──────────────────────────────────────────────────────────────────────────────────────────


def test_whom_lucia_signed_up_signs_in_here_and_is_greeted(site, new_user):
    name, user_id = new_user(PASSWORD, email="n@example.org")
    visitor = site.signed_in(name)
    assert visitor.navigate("/greet").text == f"Hello, {name}\n"
    env = visitor.show()["env"]
    assert env["GATEHOUSE_USER_ID"] == user_id and env["HTTP_REMOTE_EMAIL"] == "n@example.org"
    assert not can_sign_in(site, name, PASSWORD + " ")


def test_whom_gatehouse_made_lucia_knows(site, lucia):
    key = lucia.use_key("username", "alice", PASSWORD)
    assert key["userId"] == site.alice_id and key["passwordDefined"]
    assert lucia.version == 2 or (key["type"] == "persistent" and key["primary"])
    assert not can_use_key(lucia, "alice", "another one")
    user = lucia.get_user(site.alice_id)
    assert user == {"userId": site.alice_id, "username": "alice", "email": "alice@example.org"}
    assert len(site.alice_id) == 15
    assert hash_of(site, site.alice_id).startswith("s2:")


def test_a_login_here_leaves_lucias_hash_alone(site, new_user):
    name, user_id = new_user(PASSWORD)
    before = hash_of(site, user_id)
    assert can_sign_in(site, name, PASSWORD)
    assert hash_of(site, user_id) == before


def test_a_password_changed_here_counts_for_lucia(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    site.gatehouse.run("user", "password", name, "--password-stdin", stdin="a wholly different one\n", check=0)
    assert can_use_key(lucia, name, "a wholly different one") and not can_use_key(lucia, name, PASSWORD)
    assert hash_of(site, user_id).startswith("s2:")


def test_a_password_changed_by_lucia_counts_here(site, lucia, new_user):
    name, _ = new_user(PASSWORD)
    lucia.update_key_password("username", name, "a wholly different one")
    assert can_sign_in(site, name, "a wholly different one") and not can_sign_in(site, name, PASSWORD)


@pytest.mark.parametrize(
    "typed, other",
    [("ﬁsh and chips for two", "fish and chips for two"), ("pa\u0308sswörter überall", "pässwörter überall")],
)
def test_passwords_that_have_two_spellings(site, lucia, new_user, typed, other):
    name, _ = new_user(typed)
    assert can_sign_in(site, name, typed) and can_sign_in(site, name, other)
    # 1.x normalises what it stores and not what it compares, and so does not let in its own user.
    assert can_use_key(lucia, name, typed) == (lucia.version == 2) and can_use_key(lucia, name, other)

    site.gatehouse.add_user(name + "g", typed)
    assert can_use_key(lucia, name + "g", typed) == (lucia.version == 2) and can_use_key(lucia, name + "g", other)


def vectors():
    kept = ("old two-part, r=8", "s2 made with r=8", "ligature stored without NFKC", "odd salt")
    every = json.loads((harness.TREE / "tests/data/lucia-password-vectors.json").read_text())
    return [vector for vector in every if vector["name"] in kept]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_hashes_that_lucia_has_written_through_the_years(site, lucia, new_user, vector):
    name, user_id = new_user(PASSWORD)
    set_hash(site, user_id, vector["stored"])
    assert can_use_key(lucia, name, vector["password"]) == (vector[f"v{lucia.version}"] == "ok")
    assert can_sign_in(site, name, vector["password"]) == ("ok" in (vector["v1"], vector["v2"]))
    assert hash_of(site, user_id) == vector["stored"]


def test_a_garbage_or_null_hash_is_a_wrong_password_and_never_a_pass(site, new_user):
    name, user_id = new_user(PASSWORD)
    for stored in GARBAGE:
        set_hash(site, user_id, stored)
        for password in (PASSWORD, "x", stored or "null"):
            assert not can_sign_in(site, name, password), stored
        assert hash_of(site, user_id) == stored


def test_names_that_differ_in_case_accents_or_spaces_are_others(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    for other in (name.upper(), name.replace("u", "ú"), name + " "):
        # What makes this worth a test: Lucia itself lets them in.
        assert lucia.use_key("username", other, PASSWORD)["userId"] == user_id
        assert not can_sign_in(site, other, PASSWORD), other


def test_a_name_that_the_tables_take_for_another_one_is_a_duplicate(site, new_user):
    name, _ = new_user()
    users, keys = (site.sql(f"SELECT * FROM {site.names[table]}") for table in ("user", "key"))
    for other in (name, name.upper()):
        result = site.gatehouse.run("user", "add", other, "--password-stdin", stdin=PASSWORD + "\n")
        assert result.returncode == 1 and result.stderr, result
    assert site.sql(f"SELECT * FROM {site.names['user']}") == users
    assert site.sql(f"SELECT * FROM {site.names['key']}") == keys


def test_a_column_that_lucias_tables_lack_is_refused_and_nothing_is_half_written(site):
    before = site.sql(f"SELECT * FROM {site.names['user']}")
    result = site.gatehouse.run(
        "user", "add", "columns", "--password-stdin", "--set", "shoe_size=43", stdin=PASSWORD + "\n"
    )
    assert result.returncode == 1 and "shoe_size" in result.stderr
    assert site.sql(f"SELECT * FROM {site.names['user']}") == before


def test_a_user_that_lucia_deletes_is_gone_here(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    visitor = site.signed_in(name)
    lucia.delete_user(user_id)
    assert_refused_for_good(visitor.fetch("/show"))
    assert not can_sign_in(site, name, PASSWORD)


def test_a_change_of_the_user_counts_with_the_next_request(site, lucia, new_user):
    name, user_id = new_user(PASSWORD, email="old@example.org")
    visitor = site.signed_in(name)
    assert visitor.show()["env"]["HTTP_REMOTE_EMAIL"] == "old@example.org"
    change = {"email": "new@example.org"}
    lucia.update_user_attributes(user_id, change)
    assert visitor.show()["env"]["HTTP_REMOTE_EMAIL"] == "new@example.org"


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_that_lucia_made_is_valid_here_at_once(site, lucia, new_user):
    name, user_id = new_user()
    session_id = lucia.new_session(user_id)
    answer = ask(site, session_id)
    assert answer.status_code == 200 and cookies(answer) == []
    env = answer.json()["env"]
    assert env["REMOTE_USER"] == name and env["GATEHOUSE_SESSION_STATE"] == "active"


def test_a_session_made_here_is_valid_for_lucia_at_once(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    visitor = site.visitor()
    [line] = cookies(visitor.sign_in(name))
    token = visitor.token
    assert len(token) == 40 and token.isalnum() and token.isascii()
    session = lucia.validate_session(token)
    assert session["sessionId"] == token and session["state"] == "active"
    assert (session["userId"] if lucia.version == 1 else session["user"]["userId"]) == user_id
    [row] = site.rows_of(token)
    assert row["user_id"] == user_id and row["idle_expires"] - row["active_expires"] == IDLE
    assert abs(row["active_expires"] - now() - ACTIVE) < 60_000
    # Lucia's middleware reads the very line that we wrote.
    read = lucia.request({"headers": {"cookie": line.split(";")[0]}}, [["validate"]])
    assert read["results"][0]["sessionId"] == token and read["cookies"] == []


def test_a_renewal_here_extends_the_row_that_lucia_sees(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    make_idle(site, session_id)
    answer = ask(site, session_id)
    assert answer.status_code == 200
    [line] = cookies(answer)
    assert line.startswith(f"{COOKIE}={session_id};"), "the same id, with its new expiry"
    [row] = site.sql(f"SELECT * FROM {site.names['session']} WHERE user_id = %s", user_id)
    assert abs(row["active_expires"] - now() - ACTIVE) < 60_000
    assert row["idle_expires"] - row["active_expires"] == IDLE
    session = lucia.validate_session(session_id)
    assert session["state"] == "active" and not session["fresh"]
    assert session["activePeriodExpiresAt"] == row["active_expires"]
    assert cookies(ask(site, session_id)) == []


def test_a_renewal_by_lucia_is_valid_here(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    make_idle(site, session_id)
    renewed = lucia.validate_session(session_id)
    assert renewed["fresh"] and (renewed["sessionId"] == session_id) == (lucia.version == 2)
    answer = ask(site, renewed["sessionId"])
    assert answer.status_code == 200 and cookies(answer) == []
    # 1.x leaves the old row where it was: a session like any other, and we treat it as one.
    assert is_let_in(site, session_id)


def test_renewals_by_both_at_once_let_everybody_in(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    make_idle(site, session_id)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        theirs = [lucia.ask("validateSession", session_id) for _ in range(8)]
        ours = list(pool.map(lambda _: ask(site, session_id), range(16)))
    assert [answer.status_code for answer in ours] == [200] * 16
    ids = {future.result(harness.LONG)["sessionId"] for future in theirs}
    assert {line.split(";")[0] for answer in ours for line in cookies(answer)} <= {f"{COOKIE}={session_id}"}
    for one in ids | {session_id}:
        assert is_let_in(site, one)
    assert lucia.version == 1 or len(site.sql("SELECT * FROM user_session WHERE user_id = %s", user_id)) == 1


def test_a_session_attribute_of_lucias_survives_our_renewal(site, lucia, new_user):
    if lucia.version == 1:
        pytest.skip("1.x has no session attributes")
    _, user_id = new_user()
    session_id = lucia.create_session({"userId": user_id, "attributes": {"country": "CH"}})["sessionId"]
    make_idle(site, session_id)
    assert cookies(ask(site, session_id))
    assert lucia.validate_session(session_id)["country"] == "CH"


def test_logout_here_ends_it_for_lucia_at_once(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    here, there = site.signed_in(name), lucia.new_session(user_id)
    token = here.token
    assert lucia.session(token)
    [line] = cookies(here.sign_out())
    assert is_removal(line, COOKIE)
    assert lucia.session(token) is None and site.rows_of(token) == []
    assert lucia.session(there), "the other session of the user lives"
    assert cookies(site.with_token(there).sign_out())
    assert lucia.session(there) is None


def test_logout_everywhere_here_ends_every_session_of_the_user(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    _, stranger = new_user(PASSWORD)
    sessions = [lucia.new_session(user_id) for _ in range(3)]
    theirs = lucia.new_session(stranger)
    assert site.signed_in(name).sign_out(data={"all": "1"}).status_code == 303
    assert [lucia.session(one) for one in sessions] == [None] * 3 and lucia.get_all_user_sessions(user_id) == []
    assert lucia.session(theirs)


def test_what_lucia_invalidates_is_refused_here_at_once(site, lucia, new_user):
    name, user_id = new_user(PASSWORD)
    one, two, three = site.signed_in(name), *(site.with_token(lucia.new_session(user_id)) for _ in range(2))
    lucia.invalidate_session(one.token)
    assert_refused_for_good(one.fetch("/show"))
    assert is_let_in(site, two.token)
    lucia.invalidate_all_user_sessions(user_id)
    assert_refused_for_good(two.fetch("/show"))
    assert_refused_for_good(three.fetch("/show"))


def test_the_commands_see_and_end_lucias_sessions(site, lucia, new_user):
    name, user_id = new_user()
    sessions = [lucia.new_session(user_id) for _ in range(2)]
    listed = site.gatehouse.run("session", "list", name, check=0).stdout
    assert len(listed.splitlines()) == 2 and not any(one in listed for one in sessions)
    assert name in site.gatehouse.run("user", "list", check=0).stdout
    handle = listed.split()[0]
    site.gatehouse.run("session", "revoke", handle, check=0)
    assert sum(lucia.session(one) is not None for one in sessions) == 1
    site.gatehouse.run("session", "revoke", "--user", name, check=0)
    assert [lucia.session(one) for one in sessions] == [None, None]


def test_ids_that_differ_in_case_or_accents_are_no_sessions_and_end_none(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    other = session_id.swapcase()
    # What makes this worth a test: Lucia itself lets it in.
    assert lucia.session(other)["sessionId"] == session_id
    assert_refused_for_good(ask(site, other))
    answer = site.with_token(other).sign_out()
    assert answer.status_code == 303 and site.rows_of(session_id)
    make_idle(site, session_id)
    assert_refused_for_good(ask(site, other))
    [row] = site.rows_of(session_id)
    assert row["active_expires"] < now(), "nothing was renewed by it"
    # Of another shape: no session, and not even asked for.
    for malformed in (session_id + "%20", session_id[:-1] + "%C3%A9", session_id[:-1]):
        answer = site.visitor().fetch("/show", headers={"Cookie": f"{COOKIE}={malformed}"})
        assert answer.status_code == 401 and cookies(answer) == [], malformed
    assert is_let_in(site, session_id)


def test_expiries_in_seconds_are_no_session_and_leave_the_cookie(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    site.sql(
        f"UPDATE {site.names['session']} SET active_expires = %s, idle_expires = %s WHERE id = %s",
        now() // 1000 + 86400,
        now() // 1000 + 1_000_000,
        session_id,
    )
    for _ in range(2):
        answer = ask(site, session_id)
        assert answer.status_code == 401 and cookies(answer) == []
    assert site.rows_of(session_id)
    told = [line for line in site.gatehouse.log().splitlines() if "implausible_expiry" in line]
    assert told and session_id not in site.gatehouse.log()


def test_expiries_beyond_our_periods_are_valid_and_logged_once(site, lucia, new_user):
    _, user_id = new_user()
    session_id = lucia.new_session(user_id)
    site.sql(
        f"UPDATE {site.names['session']} SET active_expires = %s, idle_expires = %s WHERE id = %s",
        now() + 200 * DAY,
        now() + 300 * DAY,
        session_id,
    )
    before = site.gatehouse.log().count("expiry_beyond_policy")
    assert [ask(site, session_id).status_code for _ in range(5)] == [200] * 5
    assert site.gatehouse.log().count("expiry_beyond_policy") <= before + 1
    assert "expiry_beyond_policy" in site.gatehouse.log()


def test_of_many_logins_with_a_single_use_key_one_wins(site, lucia, new_user):
    if lucia.version == 2:
        pytest.skip("2.x has no single-use keys")
    name, user_id = new_user(PASSWORD)
    key = {"type": "single_use", "providerId": "username", "providerUserId": name + "once", "password": PASSWORD}
    lucia.create_key(user_id, {**key, "expiresIn": 600})
    # As many as may hash at once or wait for that on the smallest machine; more would be 503.
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: site.visitor().sign_in(name + "once"), range(5)))
    assert sorted(answer.status_code for answer in answers) == [303] + [401] * 4
    with pytest.raises(LuciaError, match="AUTH_INVALID_KEY_ID"):
        lucia.get_key("username", name + "once")
    assert can_sign_in(site, name, PASSWORD)


# ── the tables ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_and_migrate_find_nothing_to_do(site):
    before = site.tables()
    for command in ("status", "migrate", "status"):
        site.gatehouse.run("db", command, check=0)
    assert site.tables() == before


@pytest.mark.parametrize("which", ["user", "key", "session"])
def test_a_missing_table_is_named_and_requests_get_503(site, lucia, new_user, which):
    name, user_id = new_user(PASSWORD)
    token = site.signed_in(name).token
    table = site.names[which]
    site.sql(f"RENAME TABLE {table} TO hidden")
    try:
        status = site.gatehouse.run("db", "status", check=69)
        assert table in status.stdout + status.stderr, "which table"
        answer = site.visitor().sign_in(name)
        assert answer.status_code == 503 and cookies(answer) == [] and answer.headers["Retry-After"]
        if which != "key":
            answer = ask(site, token)
            assert answer.status_code == 503 and cookies(answer) == [] and answer.headers["Retry-After"]
        assert site.gatehouse.run("db", "migrate").returncode == 69, "Lucia's tables are not ours to make"
    finally:
        site.sql(f"RENAME TABLE hidden TO {table}")
    harness.wait_until(lambda: ask(site, token).status_code == 200, "the session is there again")
    assert can_sign_in(site, name, PASSWORD)


@pytest.mark.parametrize(
    "session, key",
    [
        ({"renewal": "rotate"}, "session.renewal"),
        ({"token_storage": "sha256"}, "session.token_storage"),
        ({"max_lifetime": "90d"}, "session.max_lifetime"),
        ({"profile": "hardened"}, "store.schema"),
    ],
)
def test_what_lucias_tables_cannot_hold_is_a_configuration_error(site, session, key):
    text = site.gatehouse.config_file.read_text()
    config = harness.merged(site.gatehouse.config, {"session": session})
    site.gatehouse.config_file.write_text("".join(f"{name}: {json.dumps(part)}\n" for name, part in config.items()))
    try:
        for command in (["check"], ["serve"], ["db", "status"]):
            result = site.gatehouse.run(*command, check=78)
            assert f"{key}: " in result.stdout + result.stderr
    finally:
        site.gatehouse.config_file.write_text(text)
