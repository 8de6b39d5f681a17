"""A real gatehouse with a real nginx in front, and the clients that talk to them.

Everything lives in a folder of its own below /tmp (the path of a unix socket may be 107 bytes long), listens on the
loopback or on unix sockets, is stopped by its process id, and is waited for by polling with a deadline.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

from fastcgi import FastCgi, get
from visitor import PASSWORD, Form, Visitor

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
BINARY = os.environ.get("GATEHOUSE_BINARY", str(TREE / "build/release/gatehouse"))
# Some tests hold hundreds of connections; a login shell's limit may be 1024.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# As root, web servers and CGI programs run as the user that Debian has for that.
USER = "www-data" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
LONG = 20.0  # seconds that a wait may take before the test fails; nothing measures them


def wait_until(condition, what, seconds=LONG):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(address):
    """True if somebody listens on the unix socket, whose path is there before that, or on (host, port)."""
    kind = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with contextlib.suppress(OSError), socket.socket(kind) as probe:
        probe.connect(address if isinstance(address, tuple) else str(address))
        return True
    return False


def is_alive(pid):
    """True if the process is there and is no zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def processes_of(program):
    """The pids of what runs the program now."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "exe").startswith(str(program)):
                found.append(int(entry.name))
    return sorted(found)


_libc = ctypes.CDLL(None)


def die_with_the_test():
    """For a server about to start: if the test is killed (ctest's time-out), it ends too."""
    _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def clean_environment(**more):
    """What a service starts with: nothing of the tester's shell but the path and what sanitizers read."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR") or k.endswith("SAN_OPTIONS")}
    return {**kept, **more}


# Puts the listeners where systemd does, from descriptor 3 on, and becomes the program.
PASS_ON = """
import os, sys
count = int(sys.argv[1])
for number in range(count):
    os.dup2(int(sys.argv[2 + number]), 100 + number)
for number in range(count):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ["LISTEN_PID"] = str(os.getpid()) if os.environ.get("LISTEN_PID") != "other" else "1"
os.environ["LISTEN_FDS"] = str(count)
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def listening(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    return listener


def merged(base, changes):
    """The base with changed keys; a dictionary within is merged too, a list replaced."""
    out = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


class Gatehouse:
    """One gatehouse daemon: its folder, configuration, database and log.

    `written` is configuration as somebody wrote it, such as conf/examples has it; its sections replace ours.
    """

    def __init__(self, written="", **changes):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-", dir="/tmp"))
        os.chmod(self.folder, 0o755)  # nginx's workers have to get to the socket
        (self.folder / "db").mkdir(mode=0o700)
        self.root = self.folder / "cgi-bin"
        shutil.copytree(HERE / "cgi-bin", self.root)
        self.socket = self.folder / "gatehouse.sock"
        self.database = self.folder / "db" / "gatehouse.db"
        self.config_file = self.folder / "gatehouse.yaml"
        self.log_file = self.folder / "gatehouse.log"
        self.process = None
        self.written = written
        self.config = merged(self._standard_config(), changes)
        self.write_config()

    def _standard_config(self):
        show = {"cgi": {"program": str(self.root / "show")}}
        as_root = os.getuid() == 0
        return {
            "listen": [f"unix:{self.socket}"],
            # As root nginx's workers are www-data, so that the socket's mode and group are what lets them in.
            "socket": {"mode": "0660", "group": "www-data" if as_root else ""},
            "store": {"driver": "sqlite", "sqlite": {"path": str(self.database)}},
            "session": {"cookie": {"name": "session", "secure": False}, "cache": {"max_staleness": "0s"}},
            "downstreams": {
                "scripts": {
                    "cgi": {"root": str(self.root), "timeout": "2s", "env": {"GATE": str(self.folder / "gate")}}
                },
                "show": show,
            },
            "routes": [
                {"path": "/public/**", "access": "public", "downstream": "show"},
                {"path": "/closed/**", "access": "deny"},
                {"path": "/admin/**", "access": "authenticated", "require": {"roles": ["admin"]}, "downstream": "show"},
                {"path": "/open/**", "access": "public", "downstream": "scripts"},
                {"path": "/**", "access": "authenticated", "downstream": "scripts"},
            ],
            # Everybody here has one address; test_sign_in tries the throttle on its own site.
            "login": {"throttle": {"enabled": False}},
            "log": {"level": "debug"},
        }

    def write_config(self):
        # JSON is YAML.
        sections = set(re.findall(r"^(\w+):", self.written, re.MULTILINE))
        ours = {key: value for key, value in self.config.items() if key not in sections}
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in ours.items()]
        self.config_file.write_text("".join(lines) + self.written)

    @property
    def cookie_name(self):
        return self.config["session"]["cookie"]["name"]

    # ── the command line ──────────────────────────────────────────────────────────────────────────────────────────

    def run(self, *arguments, stdin="", check=None, config=True, environment=None):
        """Runs a command to its end. With `check`, its exit code must be that."""
        where = ["-c", str(self.config_file)] if config else []
        result = subprocess.run(
            [BINARY, *where, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(**(environment or {})),
            cwd="/",
        )
        if check is not None:
            assert result.returncode == check, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def add_user(self, username, /, password=PASSWORD, **attributes):
        sets = [part for key, value in attributes.items() for part in ("--set", f"{key}={value}")]
        result = self.run("user", "add", username, "--password-stdin", *sets, stdin=password + "\n", check=0)
        return result.stdout.strip()

    # ── the daemon ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, arguments=("serve",), wait=True, **popen):
        popen.setdefault("env", clean_environment())
        popen.setdefault("stdin", subprocess.DEVNULL)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "-c", str(self.config_file), *arguments],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=die_with_the_test,
                **popen,
            )
        if wait:
            self.wait_until_it_answers()
        return self

    def start_passed_on(self, listeners, restrict=lambda: None, **environment):
        """Starts the daemon as systemd does: descriptors from 3 on, told by LISTEN_FDS and LISTEN_PID."""
        numbers = [listener.fileno() for listener in listeners]

        def before():
            die_with_the_test()
            restrict()

        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PASS_ON, str(len(numbers)), *map(str, numbers)]
                + [BINARY, "-c", str(self.config_file), "serve"],
                pass_fds=numbers,
                env=clean_environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=before,
            )

    def answers(self):
        try:
            FastCgi(self.socket).request(get("/auth/session")).status
            return True
        except (OSError, ConnectionError):
            return False

    def wait_until_it_answers(self):
        def up_or_dead():
            assert self.process.poll() is None, f"gatehouse ended with {self.process.returncode}:\n{self.log()}"
            return self.answers()

        wait_until(up_or_dead, "gatehouse answers on its socket")

    def stop(self, expect=0):
        """SIGTERM, and the exit code that a clean end has. A sanitizer's report would make it another one."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=LONG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("gatehouse did not end on SIGTERM") from None
        assert code == expect, f"gatehouse ended with {code}:\n{self.log()[-4000:]}"

    def post_login(self, username, password=PASSWORD):
        """Signs in without nginx, straight on the socket: fetches the form and sends it back."""
        with FastCgi(self.socket) as connection:
            page = connection.request(get("/auth/login", ("HTTP_ACCEPT", "text/html")))
        fields = {**Form(page.body.decode()).fields, "username": username, "password": password}
        body = urllib.parse.urlencode(fields).encode()
        cookies = "; ".join(line.split(";")[0] for line in page.all_headers("Set-Cookie"))
        params = get(
            "/auth/login",
            ("HTTP_COOKIE", cookies),
            ("HTTP_ORIGIN", "http://127.0.0.1"),
            ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
            ("CONTENT_LENGTH", str(len(body))),
            method="POST",
        )
        with FastCgi(self.socket) as connection:
            return connection.request(params, body)

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def threads(self):
        return self._status("Threads")

    def memory(self):
        """The daemon's resident memory in KiB."""
        return self._status("VmRSS")

    def peak_memory(self):
        """The most that it was since forget_peak_memory(), in KiB."""
        return self._status("VmHWM")

    def forget_peak_memory(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, name):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(f"{name}:")).split()[1])

    def descriptors(self):
        """What its descriptors lead to, the database's left out: its connections are opened as they are needed."""
        found = []
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{self.process.pid}/fd/{fd}"))
        return [target for target in found if not target.startswith(str(self.database))]

    def children(self):
        """The pids of live processes whose parent is the daemon, or that an ended script of it left behind."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if parent == self.process.pid:
                        found.append(int(entry.name))
        return found

    def query(self, sql, *values):
        """One statement on the database, beside the daemon. Returns the rows as dictionaries."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            with connection:
                return [dict(row) for row in connection.execute(sql, values).fetchall()]


def with_paths(text, paths):
    """A shipped configuration file with its paths replaced; each must be there."""
    for shipped, ours in paths.items():
        assert shipped in text, f"{shipped} is not in the shipped file"
        text = text.replace(shipped, f'"{ours}"')
    return text


def stop_process(process, number):
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(timeout=LONG)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class FrontServer:
    """A real web server on a free port of the loopback. A subclass has a `folder`, the files that are its `log_files`,
    writes the configuration for `port` and names the command."""

    process = None
    port = None
    as_user = False  # from the start; who changes to it by itself loses the signal that ends it with the test
    stop_signal = signal.SIGTERM

    def write(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def environment(self):
        return clean_environment()

    def is_ready(self):
        """False while it listens and is not ready for all that."""
        return True

    def start(self):
        # A port is free until somebody takes it: another test may, between the look and the bind.
        for _ in range(10):
            self.port = free_port()
            self.write()
            user = USER if self.as_user and os.getuid() == 0 else None
            with open(self.log_files[0], "ab") as log:
                self.process = subprocess.Popen(
                    self.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=self.environment(),
                    start_new_session=True,
                    user=user,
                    group=user,
                    extra_groups=[] if user else None,
                    preexec_fn=die_with_the_test,
                )
            wait_until(lambda: self._listens() or self.process.poll() is not None, f"{self.command()[0]} listens")
            if self.process.poll() is None:
                return self
            assert "address already in use" in self.log().lower(), self.log()
        raise AssertionError("no free port found")

    def _listens(self):
        if self.process.poll() is not None or not self.is_ready():
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def log(self):
        return "".join(path.read_text(errors="replace") for path in self.log_files if path.exists())

    def stop(self):
        stop_process(self.process, self.stop_signal)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class Nginx(FrontServer):
    """A real nginx in front of a Gatehouse, with the configuration that we ship (conf/nginx). `paths` says where this
    test has what the shipped file names."""

    def __init__(
        self, gatehouse, http_lines="", server_lines="", edit=lambda text: text, shipped="gatehouse.conf", paths=None
    ):
        self.folder = gatehouse.folder / "nginx"
        self.folder.mkdir()
        self.error_log = self.folder / "error.log"
        self.log_files = [self.folder / "start.log", self.error_log]
        shutil.copy(TREE / "conf" / "nginx" / "gatehouse_params", self.folder)
        paths = paths or {"unix:/run/gatehouse/gatehouse.sock": f"unix:{gatehouse.socket}"}
        self.site = edit(with_paths((TREE / "conf" / "nginx" / shipped).read_text(), paths))
        self.http_lines, self.server_lines = http_lines, server_lines

    def write(self):
        # The shipped files say `listen 80;`; a further server of a test's own is on another address of the loopback.
        site, servers = re.subn(
            r"listen (?:(127\.\S+):)?80;",
            lambda found: f"listen {found[1] or '127.0.0.1'}:{self.port};\n{self.server_lines}",
            self.site,
        )
        assert servers
        (self.folder / "site.conf").write_text(site)
        user = "user www-data;" if os.getuid() == 0 else ""
        temp = "".join(
            f'{kind}_temp_path "{self.folder}/{kind}";\n'
            for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"""
{user}
daemon off;
worker_processes 1;
worker_shutdown_timeout 1s;
pid "{self.folder}/nginx.pid";
error_log "{self.error_log}" warn;
events {{ worker_connections 2048; }}
http {{
{temp}
access_log "{self.folder}/access.log";
{self.http_lines}
include site.conf;
}}
"""
        )

    def command(self):
        return ["nginx", "-p", f"{self.folder}/", "-c", str(self.folder / "nginx.conf"), "-e", str(self.error_log)]

    def is_ready(self):
        return (self.folder / "nginx.pid").exists()


ALICE = {"name": "Alice Example", "email": "alice@example.org", "roles": "staff,ops"}


class Site:
    """Gatehouse and nginx together, with one user: alice. `prepare` gets the Gatehouse before there is a database."""

    def __init__(self, nginx=None, prepare=lambda gatehouse: None, alice=ALICE, **config):
        self.gatehouse = Gatehouse(**config)
        try:
            prepare(self.gatehouse)
            self.gatehouse.run("db", "migrate", check=0)
            self.alice_id = self.gatehouse.add_user("alice", **alice)
            self.start_gatehouse()
            self.nginx = self.make_front(**(nginx or {})).start()
        except BaseException:
            self.gatehouse.remove()
            raise

    def start_gatehouse(self):
        self.gatehouse.start()

    def make_front(self, **options):
        """Makes the web server: nginx, unless a class of one's own puts another one in its place."""
        return Nginx(self.gatehouse, **options)

    @property
    def url(self):
        return self.nginx.url

    @property
    def host(self):
        return f"127.0.0.1:{self.nginx.port}"

    def visitor(self):
        return Visitor(self.url, self.gatehouse.cookie_name)

    def signed_in(self, name="alice", password=PASSWORD):
        visitor = self.visitor()
        answer = visitor.sign_in(name, password)
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        return visitor

    def fastcgi(self):
        return FastCgi(self.gatehouse.socket)

    def raw(self, data, address="127.0.0.1"):
        """Sends bytes to nginx as they are. Returns an HTTPResponse whose body has been read."""
        with socket.create_connection((address, self.nginx.port), LONG) as connection:
            connection.sendall(data)
            response = http.client.HTTPResponse(connection, method=data.split(b" ", 1)[0].decode())
            response.begin()
            response.body = response.read()
            return response

    def raw_get(self, target, *header_lines, method="GET", address="127.0.0.1"):
        lines = [
            f"{method} ".encode() + (target if isinstance(target, bytes) else target.encode()) + b" HTTP/1.1",
            f"Host: {self.host}".encode(),
            b"Connection: close",
        ]
        lines += [line if isinstance(line, bytes) else line.encode() for line in header_lines]
        return self.raw(b"\r\n".join(lines) + b"\r\n\r\n", address)

    def logs(self):
        return {"gatehouse": self.gatehouse.log(), "nginx": self.nginx.log()}

    def close(self):
        try:
            self.nginx.stop()
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()
