"""A real Caddy that asks the forward door before it serves: files, php-fpm; or that relays to the gateway door over FastCGI.
Its configuration are the worked examples of conf/caddy; the first imports what `gatehouse snippet caddy` prints for the
site's own gatehouse.yaml."""

import os
import shutil
import subprocess

from check_site import CheckSite
from harness import TREE, USER, FrontServer, clean_environment, with_paths

SITE = (TREE / "conf" / "caddy" / "Caddyfile").read_text()
RELAYING_SITE = (TREE / "conf" / "caddy" / "gateway.Caddyfile").read_text()
# For a test, not for a site: no API on a port of its own, no certificates, the loopback only.
OPTIONS = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n\tgrace_period 1s\n}\n\n"


class Caddy(FrontServer):
    """A Caddy in front of a CheckSite. `edit` changes the worked example; `host` is whose site it is, "" everybody's."""

    as_user = True  # as it runs in a service; the socket's group is what lets it ask

    def __init__(self, site, edit=lambda text: text, host="127.0.0.1"):
        self.host = host
        self.folder = site.gatehouse.folder / "caddy"
        self.folder.mkdir()
        self.config_file = self.folder / "Caddyfile"
        self.snippet = self.folder / "gatehouse.caddy"
        self.site = self.site_of(site, edit)
        self.log_files = [self.folder / "caddy.log"]
        if os.getuid() == 0:
            shutil.chown(self.folder, USER, USER)

    def site_of(self, site, edit):
        self.snippet.write_text(site.gatehouse.run("snippet", "caddy", check=0).stdout)
        return with_paths(edit(SITE), {"/srv/www": site.root, "unix//run/php/php-fpm.sock": f"unix/{site.php.socket}"})

    def write(self):
        site = self.site.replace("app.example.org", f"http://{self.host}:{self.port}")
        self.config_file.write_text(OPTIONS + site)

    def command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(self.config_file)]

    def is_ready(self):
        return "serving initial configuration" in self.log()

    def environment(self):
        """Where it keeps what it remembers from one start to the next."""
        folders = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        return clean_environment(**{name: str(self.folder / "own") for name in folders})

    def run(self, *arguments):
        """Runs one of its commands to the end."""
        return subprocess.run(
            ["caddy", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=self.environment(),
        )


class CaddySite(CheckSite):
    """A CheckSite with Caddy in nginx's place."""

    def __init__(self, edit=lambda text: text, **more):
        self.edit = edit
        super().__init__(**more)

    def make_front(self, *_):
        return Caddy(self, self.edit)


class CaddyRelay(Caddy):
    """A Caddy that asks nobody and relays to the gateway door over FastCGI."""

    def site_of(self, site, edit):
        paths = {
            "/usr/lib/cgi-bin": site.gatehouse.root,
            "unix//run/gatehouse/gatehouse.sock": f"unix/{site.gatehouse.socket}",
        }
        return with_paths(edit(RELAYING_SITE), paths)
