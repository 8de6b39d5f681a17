"""Real FastCGI applications, and sites that relay to them: php-fpm, and programs of one's own on libfcgi and on FCGI.pm
(fcgi-bin), each on a listening socket of its own.

The same little application in three languages: what it does is in fcgi-bin/application.c. A site of each web server has
gatehouse in front of all of them.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from apache import ApacheGatewaySite
from built_once import built_once
from check_site import PhpFpm
from harness import (
    HERE,
    Site,
    clean_environment,
    die_with_the_test,
    merged,
    stop_process,
)
from lighttpd import LighttpdGatewaySite

PROGRAMS = HERE / "fcgi-bin"
# Whoever finds this in a script's environment has found our own.
SECRET_OF_THE_DAEMON = "secret-of-the-daemon"


def compiled(source):
    """The program that is built of a file of C with libfcgi."""

    def compile_it(folder):
        command = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", folder / "program", source, "-lfcgi"]
        subprocess.run(command, check=True, timeout=120)

    return built_once("fcgi_application", source.read_bytes(), compile_it) / "program"


def bound(address):
    """A socket that does not listen yet, on a path or on (host, port)."""
    made = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address if isinstance(address, tuple) else str(address))
    return made


class Prefork:
    """Processes of one program that accept on one listening socket, their descriptor 0, as spawn-fcgi starts them: on a
    path, or on a port of the loopback. It may be started again."""

    def __init__(self, command, path=None, processes=1):
        self.command, self.path, self.count = command, path, processes
        self.processes = []
        self.holder = None
        if path is None:
            # Bound and not listened on: the port is given to nobody else while the program is not there.
            self.holder = bound(("127.0.0.1", 0))
        self.address = f"unix:{path}" if path else f"tcp:127.0.0.1:{self.holder.getsockname()[1]}"

    def start(self):
        with bound(self.path or self.holder.getsockname()) as listener:
            listener.listen(64)
            self.processes = [self._spawn(listener) for _ in range(self.count)]

    def _spawn(self, listener):
        return subprocess.Popen(
            [str(part) for part in self.command],
            stdin=listener,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )

    def stop(self):
        for process in self.processes:
            stop_process(process, signal.SIGKILL)  # libfcgi takes seconds to end by itself
        self.processes = []
        if self.path:
            self.path.unlink(missing_ok=True)

    def close(self):
        self.stop()
        if self.holder:
            self.holder.close()


class Gate:
    """A pipe that `wait` waits at, once it is shut, until it is opened."""

    def __init__(self, path):
        self.path = path

    def shut(self):
        os.mkfifo(self.path)
        self.path.chmod(0o666)
        return self

    def waiting(self):
        return len(list(self.path.parent.glob("gate.started.*")))

    def open(self):
        if not self.path.exists():
            return
        # Who waits, waits for a writer; who comes later finds no pipe.
        pipe = os.open(self.path, os.O_RDWR)
        self.path.unlink()
        os.close(pipe)
        for mark in self.path.parent.glob("gate.started.*"):
            mark.unlink()


class Applications:
    """All of them, in a folder of their own below /tmp: `root` is where php-fpm's scripts are, `cgi_root` where the same
    page is a CGI program, `kept_files` what nginx serves nobody by itself. `mortal` is a php-fpm that is not started
    with the others."""

    def __init__(self):
        program, perl = compiled(PROGRAMS / "application.c"), PROGRAMS / "application.pl"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-fcgi-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.root, self.cgi_root = self.folder / "www", self.folder / "cgi"
        self.kept_files = self.folder / "kept-files"
        self.gate = Gate(self.folder / "marks" / "gate")
        # It would run every file: which ones are scripts is ours to say.
        self.php = PhpFpm(self.folder, workers=4, lines="security.limit_extensions =")
        self.mortal = PhpFpm(self.folder / "mortal")
        # Several processes, so that one that waits is not missed by the others.
        self.c = Prefork([program], self.folder / "c.sock", 3)
        self.c_over_tcp = Prefork([program], processes=2)
        self.perl = Prefork(["/usr/bin/perl", perl], self.folder / "perl.sock", 3)
        # An idle connection of it occupies one process.
        self.c_kept = Prefork([program], self.folder / "kept.sock", 2)

    def start(self):
        try:
            self.write_scripts()
            for folder in (self.gate.path.parent, self.mortal.folder):
                folder.mkdir()
            for one in (self.php, self.c, self.c_over_tcp, self.perl, self.c_kept):
                one.start()
        except BaseException:
            self.close()
            raise
        return self

    def write_scripts(self):
        script = (PROGRAMS / "application.php").read_text()
        for path in (
            "php/app.php",
            "php/folder/index.php",
            "php/front.php",
            "php/picture.jpg",
            "public/app.php",
            "public/inner.php",
            "board/index.php",
            "every/page.jpg",
            "mortal/app.php",
        ):
            self.write(self.root / path, script)
        self.write(self.cgi_root / "php/app.php", "#!/usr/bin/php-cgi\n" + script)
        (self.cgi_root / "php/app.php").chmod(0o755)
        self.write(self.kept_files / "page.txt", "kept for those who may")
        (self.root / "php/empty").mkdir()
        (self.root / "php/within.php").symlink_to("folder/index.php")
        outside = self.folder / "outside"
        self.write(outside / "app.php", script)
        (self.root / "php/out.php").symlink_to("../../outside/app.php")
        (self.root / "php/absolute.php").symlink_to(outside / "app.php")
        (self.root / "php/out").symlink_to("../../outside")

    @staticmethod
    def write(file, text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def downstreams(self):
        php = {"address": self.php.address, "root": str(self.root), "index": "index.php"}
        c = {"address": self.c.address}
        every = {
            "php": php,
            "front": {"address": self.php.address, "program": str(self.root / "php/front.php")},
            "every": {**php, "extensions": []},
            "c": c,
            "perl": {"address": self.perl.address},
            "tcp": {"address": self.c_over_tcp.address},
            "kept": {"address": self.c_kept.address, "keep_connections": 1},
            "small": {**c, "max_body": "64KiB"},
            "narrow": {**c, "max_connections": 2},
            "accel": {**c, "allow_x_accel": True},
            "mortal": {**php, "address": self.mortal.address},
            "moving": c,
        }
        env = {"GATE": str(self.gate.path), "FROM_CONFIGURATION": "a value"}
        relayed = {name: {"fastcgi": {"timeout": "20s", "env": env, **keys}} for name, keys in every.items()}
        return {**relayed, "php_cgi": {"cgi": {"root": str(self.cgi_root), "timeout": "20s", "env": env}}}

    def logs(self):
        return {"php-fpm": self.php.log()}

    def close(self):
        for fpm in (self.php, self.mortal):
            fpm.stop()
        for program in (self.c, self.c_over_tcp, self.perl, self.c_kept):
            program.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# ── sites ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ROUTES = [
    {"path": "/php/**", "hosts": ["cgi.test"], "access": "authenticated", "downstream": "php_cgi"},
    {"path": "/php/**", "access": "authenticated", "downstream": "php"},
    {"path": "/front/**", "access": "authenticated", "downstream": "front"},
    {"path": "/public/inner.php", "access": "authenticated", "downstream": "php"},
    {"path": "/public/**", "access": "public", "downstream": "php"},
    {"path": "/board/index.php", "access": "authenticated", "require": {"roles": ["admin"]}, "downstream": "php"},
    {"path": "/board/**", "access": "authenticated", "downstream": "php"},
    {"path": "/every/**", "access": "authenticated", "downstream": "every"},
    {"path": "/open/c/**", "access": "public", "downstream": "c"},
    {"path": "/open/perl/**", "access": "public", "downstream": "perl"},
    {"path": "/closed/**", "access": "deny"},
    *(
        {"path": f"/{name}/**", "access": "authenticated", "downstream": name}
        for name in ("c", "perl", "tcp", "kept", "small", "narrow", "accel", "mortal", "moving")
    ),
]


class Relayed:
    """For a gateway site of any web server: gatehouse relays to the applications."""

    def __init__(self, applications, **options):
        self.applications = applications
        super().__init__(**merged({"downstreams": applications.downstreams(), "routes": ROUTES}, options))

    def start_gatehouse(self):
        self.gatehouse.start(
            env=clean_environment(HTTP_X_SECRET=SECRET_OF_THE_DAEMON, REMOTE_USER=SECRET_OF_THE_DAEMON)
        )

    def logs(self):
        return {**super().logs(), **self.applications.logs()}


class RelayingNginx(Relayed, Site):
    """It passes uploads on as they come, without a length if they have none, and every header name that there is."""

    def make_front(self, **options):
        def edit(text):
            assert "fastcgi_request_buffering on;" in text
            return text.replace("fastcgi_request_buffering on;", "fastcgi_request_buffering off;")

        files = f'location /kept-files/ {{ internal; alias "{self.applications.kept_files}/"; }}'
        lines = f"underscores_in_headers on;\nignore_invalid_headers off;\n{files}"
        return super().make_front(edit=edit, server_lines=lines, **options)


class RelayingApache(Relayed, ApacheGatewaySite):
    pass


class RelayingLighttpd(Relayed, LighttpdGatewaySite):
    pass


SERVERS = {"nginx": RelayingNginx, "Apache": RelayingApache, "lighttpd": RelayingLighttpd}
