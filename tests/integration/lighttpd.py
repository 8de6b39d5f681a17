"""A real lighttpd: in front of the gateway door, with processes of gatehouse that it starts itself, and in the authorizer
door, where it serves files and runs CGI programs and php-fpm. Its configuration is Debian's own file, the worked example
of conf/lighttpd, and what `gatehouse snippet lighttpd` prints for the site's own gatehouse.yaml."""

import os
import pathlib
import re
import shutil
import subprocess

from check_site import CheckSite
from harness import BINARY, TREE, USER, FrontServer, Site, processes_of, wait_until, with_paths

CONF = TREE / "conf" / "lighttpd"
DEBIAN = pathlib.Path("/etc/lighttpd/lighttpd.conf")


class Lighttpd(FrontServer):
    """A lighttpd below `folder`. `part` is what the worked example includes; `more` stands behind it, as another file of
    the site's own. `edit` changes what is printed."""

    as_user = True

    def __init__(self, gatehouse, example, part, root, paths=None, more="", edit=lambda text: text):
        self.folder = gatehouse.folder / "lighttpd"
        self.enabled = self.folder / "conf-enabled"
        self.enabled.mkdir(parents=True)
        (self.folder / "uploads").mkdir()
        self.root = root
        self.snippet = self.folder / "gatehouse.conf"
        self.snippet.write_text(edit(gatehouse.run("snippet", "lighttpd", "--part", part, check=0).stdout))
        paths = {'"/etc/lighttpd/gatehouse.conf"': self.snippet, **(paths or {})}
        self.example = with_paths((CONF / example).read_text(), paths)
        (self.enabled / f"05-{example}").write_text(self.example)
        (self.enabled / "90-more.conf").write_text(more)
        self.config_file = self.folder / "lighttpd.conf"
        self.error_log = self.folder / "error.log"
        self.log_files = [self.folder / "start.log", self.error_log]
        if os.getuid() == 0:
            for path in (self.folder, self.folder / "uploads"):
                shutil.chown(path, USER, USER)

    def write(self):
        # For a test, not for a site: a port of its own, on the loopback only.
        text = with_paths(
            DEBIAN.read_text(),
            {
                '"/var/www/html"': self.root,
                '"/var/cache/lighttpd/uploads"': self.folder / "uploads",
                '"/var/log/lighttpd/error.log"': self.error_log,
                '"/run/lighttpd.pid"': self.folder / "lighttpd.pid",
                '"/etc/lighttpd/conf-enabled/*.conf"': self.enabled / "*.conf",
            },
        )
        text = re.sub(r"^include_shell .*use-ipv6.*$", 'server.bind = "127.0.0.1"', text, flags=re.MULTILINE)
        text = re.sub(r"^server\.port .*$", f"server.port = {self.port}", text, flags=re.MULTILINE)
        # As that user from the start: who changes to it loses the signal that ends it with the test.
        text = re.sub(r"^server\.(user|group)name.*$", "", text, flags=re.MULTILINE)
        self.config_file.write_text(text)

    def command(self):
        return ["lighttpd", "-D", "-f", str(self.config_file)]

    def test(self):
        """What `lighttpd -tt` says of the configuration."""
        return subprocess.run(
            ["lighttpd", "-tt", "-f", str(self.config_file)], capture_output=True, text=True, timeout=60
        )


class LighttpdSite(CheckSite):
    """The authorizer door: a CheckSite with lighttpd in nginx's place."""

    def __init__(self, more="", edit=lambda text: text, **config):
        self.more, self.edit = more, edit
        super().__init__(**config)

    def make_front(self, *_):
        paths = {'"/run/php/php-fpm.sock"': self.php.socket}
        example = "gatehouse-authorizer.conf"
        return Lighttpd(self.gatehouse, example, "authorizer", self.root, paths, self.more, self.edit)


class LighttpdGatewaySite(Site):
    """The gateway door over gatehouse's socket."""

    def __init__(self, more="", **config):
        super().__init__(nginx={"more": more}, **config)
        self.root = self.gatehouse.root

    def make_front(self, more):
        return self.make_lighttpd("gateway", more)

    def make_lighttpd(self, part, more, edit=lambda text: text):
        nothing = self.gatehouse.folder / "none"
        return Lighttpd(self.gatehouse, "gatehouse-gateway.conf", part, nothing, more=more, edit=edit)


class LighttpdSpawnedSite(LighttpdGatewaySite):
    """The gateway door of processes that lighttpd starts and ends."""

    def start_gatehouse(self):
        folder = self.gatehouse.folder
        # A place where lighttpd's user may run it, whoever owns the tree that it was built in.
        self.program = folder / "gatehouse"
        shutil.copy(BINARY, self.program)
        if os.getuid() == 0:
            for path in (folder / "db", *(folder / "db").iterdir()):
                shutil.chown(path, USER, USER)

    def make_front(self, more):
        def edit(text):
            printed = {
                f'"{pathlib.Path(BINARY).resolve()}"': self.program,
                '"/run/lighttpd/gatehouse.socket"': self.gatehouse.folder / "lighttpd" / "spawned.sock",
            }
            return with_paths(text, printed)

        return self.make_lighttpd("spawned", more, edit)

    def close(self):
        try:
            self.nginx.stop()
            wait_until(lambda: self.processes() == [], "what lighttpd started has ended with it")
        finally:
            self.gatehouse.remove()

    def processes(self):
        """The pids of what runs our program now."""
        return processes_of(self.program)
