"""Web servers that run gatehouse as a CGI program, one process a request: Apache with mod_cgid, nginx with fcgiwrap."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from harness import (
    BINARY,
    TREE,
    USER,
    FrontServer,
    Gatehouse,
    Nginx,
    accepts,
    clean_environment,
    die_with_the_test,
    processes_of,
    stop_process,
    wait_until,
    with_paths,
)
from visitor import PASSWORD, Visitor

MODULES = pathlib.Path("/usr/lib/apache2/modules")


class ApacheProcess(FrontServer):
    """A real Apache with a folder of its own below the gatehouse's. A subclass names its `modules` and what it serves."""

    modules = ()

    def __init__(self, gatehouse):
        self.folder = gatehouse.folder / "apache"
        self.folder.mkdir()
        self.config_file = self.folder / "apache.conf"
        self.error_log = self.folder / "error.log"
        self.log_files = [self.folder / "start.log", self.error_log]

    def served(self):
        """The configuration beside what every Apache needs; `self.port` is known by then."""
        raise NotImplementedError

    def write(self):
        # Some are built into the program.
        files = {name: MODULES / f"mod_{name}.so" for name in self.modules}
        loads = "\n".join(f"LoadModule {name}_module {file}" for name, file in files.items() if file.exists())
        self.config_file.write_text(
            f"""
{loads}
ServerRoot "{self.folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:{self.port}
PidFile "{self.folder}/apache.pid"
ErrorLog "{self.error_log}"
{f"User {USER}" if os.getuid() == 0 else ""}
{f"Group {USER}" if os.getuid() == 0 else ""}
Timeout 20
<Directory />
    Require all denied
</Directory>
<IfModule mod_cgid.c>
    ScriptSock "{self.folder}/cgid.sock"
</IfModule>
{self.served()}
"""
        )

    def command(self, what="-DFOREGROUND"):
        return ["apache2", "-f", str(self.config_file), what]

    def is_ready(self):
        return (self.folder / "apache.pid").exists()

    def test(self):
        """What `apache2 -t` says of the configuration."""
        return subprocess.run(self.command("-t"), capture_output=True, text=True, timeout=60, env=clean_environment())


class Apache(ApacheProcess):
    """With mod_cgid and the configuration that we ship (conf/apache/gatehouse-cgi.conf)."""

    mount = "/app"
    modules = ("mpm_event", "authz_core", "alias", "cgid", "env")

    def __init__(self, gatehouse, program):
        super().__init__(gatehouse)
        self.site = with_paths(
            (TREE / "conf" / "apache" / "gatehouse-cgi.conf").read_text(),
            {'"/usr/bin/gatehouse"': program, "/etc/gatehouse/gatehouse.yaml": gatehouse.config_file},
        )
        self.plain = gatehouse.root / "show"

    def served(self):
        (self.folder / "site.conf").write_text(self.site)
        return f"""
TraceEnable Off
Include site.conf
# The same script without Gatehouse, to see what this server hands to CGI programs.
ScriptAlias "/plain" "{self.plain}"
<Location "/plain">
    Require all granted
</Location>
"""


class ApacheAtTheRoot(Apache):
    """The same for a whole site, as the comments of the shipped file say."""

    mount = ""

    def __init__(self, gatehouse, program):
        super().__init__(gatehouse, program)
        before = self.site
        self.site = before.replace(f'ScriptAlias "/app" "{program}"', f'ScriptAlias "/" "{program}/"')
        self.site = self.site.replace('<Location "/app">', '<Location "/">')
        assert self.site.count("/app") == before.count("/app") - 2


def become_user():
    """For a server about to start as root: it becomes the one that Debian has for CGI programs."""
    if os.getuid() == 0:
        entry = pwd.getpwnam(USER)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    die_with_the_test()


class SpawnedFcgi:
    """Processes of one FastCGI program on a unix socket, started by the real spawn-fcgi."""

    def __init__(self, path, log_file, command, processes=1, become=die_with_the_test, **environment):
        self.socket, self.log_file = path, log_file
        forks = ["-F", str(processes)] if processes > 1 else []
        with open(log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["spawn-fcgi", "-n", "-M", "0666", *forks, "-s", str(path), "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(**environment),
                start_new_session=True,
                preexec_fn=become,
            )
        wait_until(lambda: accepts(path), "spawn-fcgi listens")

    def log(self):
        return self.log_file.read_text(errors="replace")

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        stop_process(self.process, signal.SIGTERM)


class NginxFcgiwrap:
    """A real nginx and a real fcgiwrap with the configuration that we ship (conf/nginx/gatehouse-cgi.conf)."""

    mount = ""

    def __init__(self, gatehouse, program):
        self.socket = gatehouse.folder / "fcgiwrap.sock"
        self.own_log = gatehouse.folder / "fcgiwrap.log"
        self.fcgiwrap = None
        self.nginx = Nginx(
            gatehouse,
            shipped="gatehouse-cgi.conf",
            paths={
                "/usr/bin/gatehouse": program,
                "/etc/gatehouse/gatehouse.yaml": gatehouse.config_file,
                "unix:/run/fcgiwrap.socket": f"unix:{self.socket}",
            },
        )

    def start(self):
        command = ["/usr/sbin/fcgiwrap", "-f"]
        self.fcgiwrap = SpawnedFcgi(self.socket, self.own_log, command, processes=4, become=become_user)
        self.nginx.start()
        return self

    @property
    def port(self):
        return self.nginx.port

    def log(self):
        return self.nginx.log() + (self.fcgiwrap.log() if self.fcgiwrap else "")

    def stop(self):
        self.nginx.stop()
        if self.fcgiwrap is not None:
            self.fcgiwrap.stop()


class CgiSite:
    """A web server that runs gatehouse as its CGI program, with one user: alice. No gatehouse runs between requests."""

    def __init__(self, server, **config):
        self.gatehouse = Gatehouse(**config)
        folder = self.gatehouse.folder
        try:
            # A place where the server's user may run it, whoever owns the tree that it was built in.
            self.program = folder / "gatehouse"
            shutil.copy(BINARY, self.program)
            if os.getuid() == 0:
                shutil.chown(folder / "db", USER, USER)
                shutil.chown(folder, USER)
            self.gatehouse.run("db", "migrate", check=0)
            self.gatehouse.add_user("alice", name="Alice Example", email="alice@example.org", roles="staff,ops")
            self.server = server(self.gatehouse, self.program).start()
        except BaseException:
            self.gatehouse.remove()
            raise
        self.mount = server.mount

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def url(self):
        return self.origin + self.mount

    def visitor(self):
        """One whose paths begin where gatehouse is mounted."""
        return MountedVisitor(self.origin, self.mount)

    def signed_in(self):
        visitor = self.visitor()
        answer = visitor.sign_in("alice", PASSWORD)
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        return visitor

    def processes(self):
        """The pids of what runs our program, or a script of ours, now."""
        return processes_of(self.program)

    def logs(self):
        return {"the web server": self.server.log()}

    def close(self):
        try:
            self.server.stop()
            log = self.server.log()
            assert "Sanitizer" not in log, log[-4000:]
        finally:
            self.gatehouse.remove()


class MountedVisitor(Visitor):
    def __init__(self, origin, mount):
        super().__init__(origin)
        self.mount = mount

    def request(self, method, path, headers=None, **more):
        # Redirects and forms name the whole path.
        whole = path if self.mount and path.startswith(self.mount + "/") else self.mount + path
        return super().request(method, whole, headers, **more)
