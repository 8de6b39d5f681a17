"""A real MariaDB in a folder of its own below /tmp, on a unix socket and, where a test asks for it, on the loopback.

It knows nobody but its own root; nothing of the machine's configuration is read. Tests read and write rows beside
gatehouse with `sql`, hold locks with `connect`, and see with `recorded` which statements gatehouse sent.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pymysql
import pymysql.cursors

from built_once import built_once
from harness import LONG, Site, accepts, clean_environment, die_with_the_test, free_port, wait_until

DATABASE = "gatehouse"
USER = "gatehouse"
USER_PASSWORD = "a password, 'quoted'"
REPLICA = "replica"
SERVING = "SELECT, INSERT, UPDATE, DELETE"
MIGRATING = "CREATE, ALTER, DROP, INDEX, REFERENCES"

# As Debian's configuration has it: Lucia's tables then are as blind to case and accents as on a real machine.
CHARACTERS = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
# Kept commits survive the death of the process, which is what tests bring about, not that of the machine.
SMALL = [
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=4M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-fast-shutdown=2",
    "--key-buffer-size=64K",
]
# A commit is answered when a replica has received it: who is promoted then lacks nothing.
REPLICATED = [
    "--log-bin=binlog",
    "--log-slave-updates",
    "--binlog-format=ROW",
    "--gtid-strict-mode",
    "--rpl-semi-sync-master-enabled",
    "--rpl-semi-sync-slave-enabled",
    "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
    "--rpl-semi-sync-master-wait-no-slave=OFF",
]
AS_ROOT = ["--user=root"] if os.getuid() == 0 else []


INSTALL = [*SMALL, *CHARACTERS, "--auth-root-authentication-method=normal", "--skip-test-db"]


def _install(folder):
    made = subprocess.run(
        ["mariadb-install-db", "--no-defaults", *AS_ROOT, f"--datadir={folder}/data", *INSTALL],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment(),
    )
    assert made.returncode == 0, made.stdout + made.stderr


class MariaDb:
    """One server. `tcp`: also on 127.0.0.1:`port`. `tls`: the Certificates that it shows there."""

    def __init__(self, tcp=False, tls=None, options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-db-", dir="/tmp"))
        self.socket = self.folder / "mysql.sock"
        self.data = self.folder / "data"
        self.log_file = self.folder / "mariadbd.log"
        self.port = free_port() if tcp or tls else None
        self.tls = tls
        self.options = list(options)
        self.process = None
        try:
            self.install()
        except BaseException:
            self.remove()
            raise

    def install(self):
        """Gives it the data of a server that nobody has used yet."""
        shutil.rmtree(self.data, ignore_errors=True)
        version = subprocess.run(["mariadbd", "--version"], capture_output=True, check=True).stdout
        fresh = built_once("mariadb", version + " ".join(INSTALL).encode(), _install)
        subprocess.run(["cp", "-R", "--sparse=always", str(fresh / "data"), str(self.data)], check=True)

    def _arguments(self):
        where = ["--skip-networking"]
        if self.port:
            where = ["--bind-address=127.0.0.1", f"--port={self.port}"]
        if self.tls:
            where += [f"--ssl-ca={self.tls.ca}", f"--ssl-cert={self.tls.certificate}", f"--ssl-key={self.tls.key}"]
        names = [f"--datadir={self.data}", f"--socket={self.socket}", f"--pid-file={self.folder}/pid"]
        return [*AS_ROOT, *names, *where, "--skip-name-resolve", *SMALL, *CHARACTERS, *self.options]

    # ── the process ───────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, wait=True):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                start_new_session=True,
                preexec_fn=die_with_the_test,
            )
        if wait:
            self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self):
        def up_or_dead():
            assert self.process.poll() is None, f"mariadbd ended with {self.process.returncode}:\n{self.log()}"
            return accepts(self.socket)

        wait_until(up_or_dead, "mariadbd answers on its socket")

    def stop(self):
        """Ends it as its operator would; it says goodbye to its clients."""
        self._end(signal.SIGTERM)

    def kill(self):
        """Ends it as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            process.wait(timeout=LONG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("mariadbd did not end") from None

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        """From now on it takes connections and bytes, for the kernel does that, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "mariadbd stands still")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def logs(self):
        return {"mariadbd": self.log()}

    def close(self):
        try:
            self.stop()
        finally:
            self.remove()

    # ── what is in it ─────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, database=None, user="root", password="", autocommit=True):
        """A connection of the test's own, for instance to hold a lock. Close it."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user,
            password=password,
            database=database,
            charset="utf8mb4",
            autocommit=autocommit,
            cursorclass=pymysql.cursors.DictCursor,
            read_timeout=LONG,
            connect_timeout=LONG,
        )

    def sql(self, statement, *values, database=DATABASE):
        """One statement as root, who may write also where gatehouse may not. Returns the rows as dictionaries."""
        with contextlib.closing(self.connect()) as connection:
            return run(connection, statement, *values, database=database)

    def create_database(self, database=DATABASE, privileges=f"{SERVING}, {MIGRATING}"):
        """A database and the user whom gatehouse is there. Without TCP there is no other host than localhost."""
        self.sql(f"CREATE DATABASE `{database}`", database=None)
        for host in ("localhost", "127.0.0.1"):
            self.sql(f"CREATE USER IF NOT EXISTS {USER}@'{host}' IDENTIFIED BY %s", USER_PASSWORD, database=None)
            self.sql(f"GRANT {privileges} ON `{database}`.* TO {USER}@'{host}'", database=None)
        return self

    def store(self, schema="native", **mysql):
        """The section `store` of a gatehouse that uses it over its unix socket."""
        password = self.folder / "password"
        password.write_text(USER_PASSWORD)
        password.chmod(0o600)
        ours = {"hosts": [f"unix:{self.socket}"], "database": DATABASE, "user": USER, "password_file": str(password)}
        return {"driver": "mysql", "schema": schema, "mysql": {**ours, **mysql}}

    def revoke(self, privileges, database=DATABASE):
        for host in ("localhost", "127.0.0.1"):
            self.sql(f"REVOKE {privileges} ON `{database}`.* FROM {USER}@'{host}'", database=None)

    def set_read_only(self, is_read_only):
        self.sql("SET GLOBAL read_only = %s", int(is_read_only), database=None)

    # ── replication ───────────────────────────────────────────────────────────────────────────────────────────────

    def replicate(self, primary):
        """From now on it follows another server and may be written by nobody else."""
        self.set_read_only(True)
        self.sql(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s,"
            " MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1",
            *(primary.port, REPLICA, USER_PASSWORD),
            database=None,
        )
        self.sql("START SLAVE", database=None)
        return self

    def has_all_of(self, primary):
        """True if it has what the other one had written when it was asked."""
        [row] = primary.sql("SELECT @@gtid_binlog_pos AS at", database=None)
        [here] = self.sql("SELECT MASTER_GTID_WAIT(%s, 5) AS late", row["at"], database=None)
        return here["late"] == 0

    def promote(self):
        """Makes a replica the one that is written to, when it has done all that it had received."""
        self.sql("STOP SLAVE IO_THREAD", database=None)
        wait_until(self._has_done_what_it_received, "the replica does what it has received")
        self.sql("STOP SLAVE", database=None)
        self.sql("RESET SLAVE ALL", database=None)
        self.set_read_only(False)

    def _has_done_what_it_received(self):
        [row] = self.sql("SHOW SLAVE STATUS", database=None)
        assert row["Slave_SQL_Running"] == "Yes", row["Last_SQL_Error"]
        return "has read all relay log" in row["Slave_SQL_Running_State"]

    # ── what it counts ────────────────────────────────────────────────────────────────────────────────────────────

    def status(self, name):
        """A counter of the whole server, such as Aborted_connects."""
        [row] = self.sql("SHOW GLOBAL STATUS LIKE %s", name, database=None)
        return int(row["Value"])

    def clients(self, user=USER):
        """The ids of that user's connections."""
        rows = self.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", user, database=None)
        return [row["ID"] for row in rows]

    def running(self, user=USER):
        """The statements that the user's connections are at just now."""
        listed = "SELECT INFO FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO IS NOT NULL"
        return [row["INFO"] for row in self.sql(listed, user, database=None)]

    @contextlib.contextmanager
    def recorded(self, user=USER):
        """Fills a list with (command, statement) of all that the user sends meanwhile: Query, Prepare, Execute, …"""
        said = []
        self.sql("SET GLOBAL log_output = 'TABLE'", database=None)
        self.sql("TRUNCATE mysql.general_log", database=None)
        self.sql("SET GLOBAL general_log = ON", database=None)
        try:
            yield said
        finally:
            self.sql("SET GLOBAL general_log = OFF", database=None)
            # In hexadecimal digits: a statement may hold a nonce, whose bytes are no text.
            what = "SELECT command_type, HEX(argument) AS argument FROM mysql.general_log WHERE user_host LIKE %s"
            rows = self.sql(what, f"%[{user}] @%", database=None)
            said += [(row["command_type"], bytes.fromhex(row["argument"]).decode(errors="replace")) for row in rows]


def as_text(value):
    """Ids may be kept as bytes, so that no collation is asked about them."""
    with contextlib.suppress(UnicodeDecodeError):
        return value.decode() if isinstance(value, bytes) else value
    return value


def run(connection, statement, *values, database=None):
    """One statement on a connection of the test's own."""
    if database is not None:
        connection.select_db(database)
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return [{name: as_text(value) for name, value in row.items()} for row in cursor.fetchall()]


class Certificates:
    """A certificate authority and a server's certificate for `name`, made with openssl."""

    def __init__(self, folder, name="IP:127.0.0.1"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.ca, self.certificate, self.key = (self.folder / part for part in ("ca.pem", "cert.pem", "key.pem"))
        ca_key, request, extensions = (self.folder / part for part in ("ca.key", "request.pem", "extensions"))
        extensions.write_text(f"subjectAltName={name}\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        signed = ["-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions]
        openssl(
            "req", "-x509", *key, "-keyout", ca_key, "-out", self.ca, "-days", "2", "-subj", "/CN=a test's authority"
        )
        openssl("req", *key, "-keyout", self.key, "-out", request, "-subj", f"/CN={name.partition(':')[2]}")
        openssl("x509", "-req", "-in", request, *signed, "-out", self.certificate)


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class MySqlSite(Site):
    """Gatehouse behind nginx, and a MariaDB of its own unless there is one already."""

    def __init__(self, mariadb=None, store=None, **config):
        self.mariadb = mariadb or MariaDb()
        try:
            if mariadb is None:
                self.mariadb.start().create_database()
            super().__init__(store=store or self.mariadb.store(), **config)
        except BaseException:
            self.mariadb.close()
            raise

    def sql(self, statement, *values):
        return self.mariadb.sql(statement, *values)

    def with_token(self, token):
        visitor = self.visitor()
        visitor.token = token
        return visitor

    def tables(self):
        """How the tables are made, to the letter, whatever is in them."""
        names = [next(iter(row.values())) for row in self.sql("SHOW TABLES")]
        return {name: self.sql(f"SHOW CREATE TABLE `{name}`")[0]["Create Table"] for name in names}

    def logs(self):
        return {**super().logs(), **self.mariadb.logs()}

    def close(self):
        try:
            super().close()
        finally:
            self.mariadb.close()
