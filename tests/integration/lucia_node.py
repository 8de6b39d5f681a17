"""Lucia itself, on Node: the real packages over the real MySQL adapters, one process a version (lucia/v1.mjs, v2.mjs).

The packages are installed beside the gatehouse that is tested, once for each lock file, and never into the source tree.
"""

import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import threading

from built_once import built_once
from harness import HERE, LONG, clean_environment, die_with_the_test
from mariadb import DATABASE, SERVING, MariaDb, MySqlSite, run

SOURCE = HERE / "lucia"
PACKAGES = ("package.json", "package-lock.json")
PROGRAMS = ("serve.mjs", "v1.mjs", "v2.mjs")


def installed():
    """The folder with the packages and the programs."""
    origin = b"".join((SOURCE / name).read_bytes() for name in PACKAGES + PROGRAMS)
    return built_once("lucia", origin, _install)


def _install(folder):
    for name in PACKAGES + PROGRAMS:
        shutil.copy(SOURCE / name, folder)
    without_scripts = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {"HOME": str(folder), **os.environ}
    done = subprocess.run(
        ["npm", "ci", *without_scripts], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


class LuciaError(Exception):
    """What Lucia threw: the message is its name, such as AUTH_INVALID_KEY_ID."""


# Lucia's documentation, "MySQL", of both versions; auth_user with attributes as its guides have them.
TABLES = {
    1: (
        """CREATE TABLE auth_user (
             id VARCHAR(15) NOT NULL PRIMARY KEY,
             username VARCHAR(31) NOT NULL UNIQUE,
             email VARCHAR(255)
           )""",
        """CREATE TABLE auth_key (
             id VARCHAR(255) NOT NULL PRIMARY KEY,
             user_id VARCHAR(15) NOT NULL,
             primary_key TINYINT UNSIGNED NOT NULL,
             hashed_password VARCHAR(255),
             expires BIGINT UNSIGNED,
             FOREIGN KEY (user_id) REFERENCES auth_user(id)
           )""",
        """CREATE TABLE auth_session (
             id VARCHAR(127) NOT NULL PRIMARY KEY,
             user_id VARCHAR(15) NOT NULL,
             active_expires BIGINT UNSIGNED NOT NULL,
             idle_expires BIGINT UNSIGNED NOT NULL,
             FOREIGN KEY (user_id) REFERENCES auth_user(id)
           )""",
    ),
    2: (
        """CREATE TABLE auth_user (
             id VARCHAR(15) NOT NULL PRIMARY KEY,
             username VARCHAR(31) NOT NULL UNIQUE,
             email VARCHAR(255)
           )""",
        """CREATE TABLE user_key (
             id VARCHAR(255) NOT NULL PRIMARY KEY,
             user_id VARCHAR(15) NOT NULL,
             hashed_password VARCHAR(255),
             FOREIGN KEY (user_id) REFERENCES auth_user(id)
           )""",
        """CREATE TABLE user_session (
             id VARCHAR(127) NOT NULL PRIMARY KEY,
             user_id VARCHAR(15) NOT NULL,
             active_expires BIGINT UNSIGNED NOT NULL,
             idle_expires BIGINT UNSIGNED NOT NULL,
             country VARCHAR(2),
             FOREIGN KEY (user_id) REFERENCES auth_user(id)
           )""",
    ),
}
NAMES = {
    1: {"user": "auth_user", "key": "auth_key", "session": "auth_session"},
    2: {"user": "auth_user", "key": "user_key", "session": "user_session"},
}


def make_tables(mariadb, version, database=DATABASE):
    with contextlib.closing(mariadb.connect(database)) as connection:
        for statement in TABLES[version]:
            run(connection, statement)


class Lucia:
    """One Node process with one Lucia. Its methods are called by their names in Python: create_user is createUser.

    Arguments are Lucia's own, as JSON; what comes back is too, with times in milliseconds. Thread-safe.
    """

    def __init__(self, version, mariadb, database=DATABASE, **options):
        wanted = {
            "connection": {"socketPath": str(mariadb.socket), "user": "root", "database": database},
            "options": options,
        }
        self.version = version
        self.names = NAMES[version]
        self.log_file = mariadb.folder / f"lucia-v{version}.log"
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting = {0: concurrent.futures.Future()}
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["node", f"v{version}.mjs", json.dumps(wanted)],
                cwd=installed(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_environment(),
                start_new_session=True,
                preexec_fn=die_with_the_test,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self._waiting[0].result(LONG)
        except BaseException:
            self.close()
            raise

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            with self._lock:
                future = self._waiting.pop(told["id"])
            if "error" in told:
                future.set_exception(LuciaError(told["error"]["message"]))
            else:
                future.set_result(told.get("result"))
        with self._lock:
            for future in self._waiting.values():
                future.set_exception(ConnectionError(f"the Node program ended:\n{self.log()}"))
            self._waiting.clear()

    def ask(self, call, *arguments):
        """Sends a call and returns a future of its answer."""
        future = concurrent.futures.Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
            self.process.stdin.write(json.dumps({"id": number, "call": call, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
        return future

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        first, *rest = name.split("_")
        call = first + "".join(part.capitalize() for part in rest)
        return lambda *arguments: self.ask(call, *arguments).result(LONG)

    # ── what the two versions spell differently ───────────────────────────────────────────────────────────────────

    def sign_up(self, username, password, provider="username", **attributes):
        """A user, with a key unless the password is None; returns the user's id."""
        key = {"providerId": provider, "providerUserId": username, "password": password} if password else None
        about = {"attributes": {"username": username, **attributes}}
        named = "primaryKey" if self.version == 1 else "key"
        return self.create_user({**about, named: key})["userId"]

    def new_session(self, user_id):
        """Returns the session's id."""
        if self.version == 1:
            return self.create_session(user_id)["sessionId"]
        return self.create_session({"userId": user_id, "attributes": {}})["sessionId"]

    def session(self, session_id):
        """The session as Lucia validates it (and renews it if it is idle), or None."""
        try:
            return self.validate_session(session_id)
        except LuciaError as error:
            assert str(error) == "AUTH_INVALID_SESSION_ID", error
            return None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def logs(self):
        return {f"Lucia {self.version}": self.log()}

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdout.close()


COOKIE = "auth_session"
ALICE = {"email": "alice@example.org"}


class LuciaSite(MySqlSite):
    """Gatehouse behind nginx on Lucia's own tables, and Lucia on Node beside it. One user, made by gatehouse: alice."""

    def __init__(self, version, **session):
        self.version, self.names = version, NAMES[version]
        self.lucia = None
        mariadb = MariaDb()
        try:
            mariadb.start().create_database(privileges=SERVING)
            make_tables(mariadb, version)
            self.lucia = Lucia(version, mariadb)
            # 1.x has fixed names; those of 2.x are the site's own.
            tables = {"tables": self.names} if version == 2 else {}
            super().__init__(
                mariadb,
                alice=ALICE,
                store={**mariadb.store(f"lucia-v{version}"), **tables},
                session={"profile": "lucia", "cookie": {"name": COOKIE}, **session},
            )
        except BaseException:
            if self.lucia is not None:
                self.lucia.close()
            mariadb.close()
            raise

    def rows_of(self, session_id):
        """The rows that have these very bytes for an id."""
        return self.sql(f"SELECT * FROM {self.names['session']} WHERE id = BINARY %s", session_id)

    def logs(self):
        return {**super().logs(), **self.lucia.logs()}

    def close(self):
        self.lucia.close()
        super().close()
