"""The command line: what it prints, what it returns, and that it changes nothing when it fails."""

import json
import os
import pty
import re
import select
import subprocess

import pytest

import harness
from harness import BINARY, clean_environment
from visitor import PASSWORD


@pytest.fixture
def migrated(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    return gatehouse


# ── usage and configuration ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["no-such-command"],
        ["user"],
        ["user", "no-such"],
        ["db"],
        ["db", "no-such"],
        ["session"],
        ["serve", "surplus"],
        ["user", "add"],
        ["session", "revoke"],
        ["user", "disable"],
    ],
)
def test_usage_errors_are_2(gatehouse, arguments):
    result = gatehouse.run(*arguments)
    assert result.returncode == 2, result.stderr
    assert result.stderr and not result.stdout


def test_without_command_and_socket_there_is_usage(gatehouse):
    result = gatehouse.run(config=False)
    assert result.returncode == 2 and "serve" in result.stderr + result.stdout


def test_version_names_version_commit_and_libraries(gatehouse):
    result = gatehouse.run("version", config=False)
    assert result.returncode == 0
    assert re.search(r"gatehouse \d+\.\d+\.\d+", result.stdout)
    assert "SQLite" in result.stdout and "OpenSSL" in result.stdout


def test_check_says_ok(gatehouse):
    result = gatehouse.run("check", check=0)
    assert result.stdout.strip().endswith("ok")


def test_check_reports_every_problem_with_its_place(gatehouse):
    gatehouse.config_file.write_text(
        """\
listen: [ "unix:/tmp/x.sock" ]
store: { driver: oracle }
session:
  active_period: soon
  cookie: { name: __Host-x, secure: false }
nonsense: 1
downstreams: { a: { cgi: { root: /usr/lib/cgi-bin } } }
routes:
  - { path: relative, access: public, downstream: a }
  - { path: /x, access: perhaps, downstream: b }
"""
    )
    result = gatehouse.run("check")
    assert result.returncode == 78
    lines = (result.stderr + result.stdout).splitlines()
    file = str(gatehouse.config_file)
    for place, key in (
        (2, "store.driver"),
        (4, "session.active_period"),
        (5, "session.cookie"),
        (6, "nonsense"),
        (9, "routes[0].path"),
        (10, "routes[1].access"),
        (10, "routes[1].downstream"),
    ):
        assert any(re.match(rf"{re.escape(file)}:{place}:\d+: {re.escape(key)}\S*: .+", line) for line in lines), (
            place,
            key,
            lines,
        )


@pytest.mark.parametrize("text", ["", "- a list\n", "a: [\n", "listen: [\0]\n", "just text", "{}\n"])
def test_what_is_no_configuration_is_78(gatehouse, text):
    gatehouse.config_file.write_text(text)
    for command in (["check"], ["serve"], ["user", "list"]):
        result = gatehouse.run(*command)
        if text in ("", "{}\n") and result.returncode != 78:
            # An empty file is a configuration without routes; it may be one that is allowed.
            assert result.returncode in (0, 1, 69)
            return
        assert result.returncode == 78, (command, result.stderr)
        assert str(gatehouse.config_file) in result.stderr + result.stdout


def test_a_missing_configuration_is_78(gatehouse):
    gatehouse.config_file.unlink()
    result = gatehouse.run("check")
    assert result.returncode == 78 and str(gatehouse.config_file) in result.stderr + result.stdout


def test_the_configuration_can_be_named_by_the_environment(gatehouse):
    assert (
        gatehouse.run("check", config=False, environment={"GATEHOUSE_CONFIG": str(gatehouse.config_file)}).returncode
        == 0
    )


# ── db ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", [["user", "list"], ["session", "list"], ["user", "disable", "alice"]])
def test_before_migration_commands_end_with_69(gatehouse, command):
    assert gatehouse.run(*command).returncode == 69


def test_user_add_before_migration_is_69(gatehouse):
    assert gatehouse.run("user", "add", "alice", "--password-stdin", stdin=PASSWORD + "\n").returncode == 69


def test_migrate_can_be_repeated_and_the_file_is_private(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")
    gatehouse.run("db", "migrate", check=0)
    assert "alice" in gatehouse.run("user", "list", check=0).stdout
    for file in gatehouse.database.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_store_that_cannot_be_opened_is_69(gatehouse):
    gatehouse.database.write_bytes(b"this is not a database " * 1000)
    for command in (["db", "migrate"], ["user", "list"], ["session", "list"]):
        result = gatehouse.run(*command)
        assert result.returncode == 69, (command, result.stderr)


def test_a_folder_that_is_missing_is_69(gatehouse):
    gatehouse.database.parent.rmdir()
    assert gatehouse.run("db", "migrate").returncode == 69


@pytest.mark.skipif(os.getuid() != 0, reason="only root can switch users")
def test_as_root_it_becomes_the_owner_of_the_databases_folder(gatehouse):
    import pwd

    owner = pwd.getpwnam("www-data")
    os.chown(gatehouse.database.parent, owner.pw_uid, owner.pw_gid)
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")
    assert {file.stat().st_uid for file in gatehouse.database.parent.iterdir()} == {owner.pw_uid}


# ── user ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_user_add_prints_the_id_and_stores_everything(migrated):
    result = migrated.run(
        "user",
        "add",
        "alice",
        "--password-stdin",
        "--set",
        "name=Alice Example",
        "--set",
        "email=a@example.org",
        "--set",
        "roles=staff, ops",
        stdin=PASSWORD + "\n",
        check=0,
    )
    assert re.fullmatch(r"\S+\n", result.stdout)
    [row] = migrated.query("SELECT * FROM user")
    assert (row["id"], row["username"], row["name"], row["email"]) == (
        result.stdout.strip(),
        "alice",
        "Alice Example",
        "a@example.org",
    )
    assert [role.strip() for role in row["roles"].split(",")] == ["staff", "ops"] and not row["disabled"]
    [key] = migrated.query("SELECT * FROM user_key")
    assert key["id"] == "username:alice" and key["user_id"] == row["id"]
    assert key["hashed_password"].startswith("$argon2id$") and PASSWORD not in key["hashed_password"]


def test_an_existing_name_is_1_and_changes_nothing(migrated):
    migrated.add_user("alice", name="First")
    before = migrated.query("SELECT * FROM user"), migrated.query("SELECT * FROM user_key")
    result = migrated.run(
        "user", "add", "alice", "--password-stdin", "--set", "name=Second", stdin="another password, longer\n"
    )
    assert result.returncode == 1 and not result.stdout and "alice" in result.stderr
    assert before == (migrated.query("SELECT * FROM user"), migrated.query("SELECT * FROM user_key"))


@pytest.mark.parametrize(
    "stdin, code",
    [
        ("", 1),
        ("\n", 1),
        ("short\n", 1),
        ("x" * 14 + "\n", 1),
        ("ä" * 14 + "\n", 1),
        ("x" * 4097 + "\n", 1),
        ("x" * 15 + "\n", 0),
        ("x" * 15, 0),
        ("ä" * 15 + "\n", 0),
    ],
)
def test_the_password_must_be_long_enough(migrated, stdin, code):
    result = migrated.run("user", "add", "bob", "--password-stdin", stdin=stdin)
    assert (result.returncode != 0) == (code != 0), result.stderr
    assert len(migrated.query("SELECT * FROM user")) == (0 if code else 1)


def test_allow_weak_allows_a_weak_one_but_never_an_empty_one(migrated):
    assert migrated.run("user", "add", "bob", "--password-stdin", "--allow-weak", stdin="weak\n").returncode == 0
    assert migrated.run("user", "add", "eve", "--password-stdin", "--allow-weak", stdin="\n").returncode != 0


def test_exactly_one_trailing_newline_is_stripped(migrated):
    for name, stdin, password in (
        ("one", PASSWORD + "\n\n", PASSWORD + "\n"),
        ("two", " " + PASSWORD + " \n", " " + PASSWORD + " "),
    ):
        migrated.run("user", "add", name, "--password-stdin", stdin=stdin, check=0)
    # Verified by signing in: fields of a form keep both.
    migrated.start()
    for name, password, expected in (
        ("one", PASSWORD + "\n", 303),
        ("one", PASSWORD, 401),
        ("two", " " + PASSWORD + " ", 303),
        ("two", PASSWORD, 401),
    ):
        assert migrated.post_login(name, password).status == expected, (name, password)


def test_without_a_terminal_and_without_password_stdin_there_is_usage(migrated):
    result = migrated.run("user", "add", "bob", stdin=PASSWORD + "\n")
    assert result.returncode == 2 and migrated.query("SELECT * FROM user") == []


def on_terminal(arguments, answers):
    """Runs a command on a terminal, types each answer when a prompt waits, returns the exit code and what was shown."""
    try:
        parent, child = pty.openpty()
    except OSError:
        pytest.skip("no terminals here: /dev/pts is not mounted, as in a bare chroot")
    process = subprocess.Popen(
        [BINARY, *arguments],
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env=clean_environment(TERM="dumb"),
        cwd="/",
    )
    os.close(child)
    shown = b""
    pending = list(answers)
    while True:
        readable, _, _ = select.select([parent], [], [], harness.LONG)
        assert readable, f"nothing for {harness.LONG} s after {shown!r}"
        try:
            data = os.read(parent, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if pending and shown.rstrip(b" ").endswith(b":"):
            os.write(parent, pending.pop(0).encode() + b"\n")
    os.close(parent)
    return process.wait(harness.LONG), shown.decode()


def test_on_a_terminal_it_asks_twice_and_shows_nothing(migrated):
    code, shown = on_terminal(["-c", str(migrated.config_file), "user", "add", "bob"], [PASSWORD, PASSWORD])
    assert code == 0, shown
    assert PASSWORD not in shown
    code, shown = on_terminal(["-c", str(migrated.config_file), "user", "add", "eve"], [PASSWORD, PASSWORD + "x"])
    assert code == 1, shown
    assert [row["username"] for row in migrated.query("SELECT username FROM user")] == ["bob"]


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "a\x1b[31m", "\u202eevil", "x" * 300])
def test_names_that_would_break_a_header_or_a_log_are_refused(migrated, name):
    if "\0" in name:
        return  # cannot be an argument at all
    result = migrated.run("user", "add", name, "--password-stdin", stdin=PASSWORD + "\n")
    if result.returncode == 0:
        assert name in ("\u202eevil", "x" * 300), "control bytes and an empty name never"
    else:
        assert migrated.query("SELECT * FROM user") == []


@pytest.mark.parametrize("setting", ["name=a\nb", "email=x\x01", "no-such-column=1", "=x", "novalue", "disabled=maybe"])
def test_values_that_cannot_be_stored_or_sent_are_refused(migrated, setting):
    result = migrated.run("user", "add", "bob", "--password-stdin", "--set", setting, stdin=PASSWORD + "\n")
    assert result.returncode in (1, 2) and migrated.query("SELECT * FROM user") == []


def test_user_list_in_both_forms(migrated):
    identity = migrated.add_user("alice", name="Alice", email="alice@example.org", roles="staff,ops")
    migrated.add_user("bob")
    migrated.run("user", "disable", "bob", check=0)
    text = migrated.run("user", "list", check=0).stdout
    assert "alice" in text and "bob" in text and "argon2" not in text
    listed = json.loads(migrated.run("user", "list", "--json", check=0).stdout)
    by_name = {user["username"]: user for user in listed}
    assert by_name["alice"]["id"] == identity and by_name["alice"]["email"] == "alice@example.org"
    assert by_name["alice"]["roles"] == ["staff", "ops"]
    assert by_name["bob"]["disabled"] is True and by_name["alice"]["disabled"] is False
    assert "argon2" not in json.dumps(listed)


def test_user_password_changes_it(migrated):
    migrated.add_user("alice")
    before = migrated.query("SELECT hashed_password FROM user_key")
    migrated.run("user", "password", "alice", "--password-stdin", stdin="a new one, also long\n", check=0)
    assert migrated.query("SELECT hashed_password FROM user_key") != before
    assert migrated.run("user", "password", "alice", "--password-stdin", stdin="short\n").returncode == 1


@pytest.mark.parametrize("command", [["disable"], ["enable"], ["password", "--password-stdin"]])
def test_an_unknown_user_is_1(migrated, command):
    result = migrated.run("user", command[0], "nobody", *command[1:], stdin=PASSWORD + "\n")
    assert result.returncode == 1 and "nobody" in result.stderr


# ── session ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sessions_are_listed_by_handle_and_revoked(site):
    gatehouse = site.gatehouse
    gatehouse.add_user("bob")
    alice, second, bob = site.signed_in(), site.signed_in(), site.signed_in("bob")

    text = gatehouse.run("session", "list", check=0).stdout
    listed = json.loads(gatehouse.run("session", "list", "--json", check=0).stdout)
    assert len(listed) == 3
    for visitor in (alice, second, bob):
        assert visitor.token not in text and visitor.token not in json.dumps(listed)
    mine = json.loads(gatehouse.run("session", "list", "bob", "--json", check=0).stdout)
    assert len(mine) == 1
    handle = mine[0]["handle"]
    assert handle in text and len(handle) < 40

    gatehouse.run("session", "revoke", handle, check=0)
    assert bob.fetch("/show").status_code == 401 and alice.fetch("/show").status_code == 200
    assert gatehouse.run("session", "revoke", handle).returncode == 1, "it is gone"
    assert gatehouse.run("session", "revoke", "").returncode in (1, 2)

    gatehouse.run("session", "revoke", "--user", "alice", check=0)
    assert alice.fetch("/show").status_code == second.fetch("/show").status_code == 401
    bob = site.signed_in("bob")
    gatehouse.run("session", "revoke", "--all", check=0)
    assert bob.fetch("/show").status_code == 401
    assert json.loads(gatehouse.run("session", "list", "--json", check=0).stdout) == []


def test_the_sessions_of_an_unknown_user_are_1(migrated):
    assert migrated.run("session", "list", "nobody").returncode == 1
    assert migrated.run("session", "revoke", "--user", "nobody").returncode == 1


def test_a_query_never_becomes_an_argument_of_ours(migrated):
    # A web server may run us with the query as arguments. GATEWAY_INTERFACE says so: then argv counts nothing.
    result = subprocess.run(
        [BINARY, "-c", str(migrated.config_file), "user", "list"],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(
            GATEWAY_INTERFACE="CGI/1.1",
            GATEHOUSE_CONFIG=str(migrated.config_file),
            REQUEST_METHOD="GET",
            REQUEST_URI="/public/x",
            SCRIPT_NAME="/public/x",
        ),
    )
    migrated.add_user("alice")
    assert "alice" not in result.stdout and "username" not in result.stdout.lower()
