"""A real Apache in all its ways: the authorizer door by mod_authnz_fcgi and by mod_fcgid's access checker, the gateway
door by mod_proxy_fcgi and by processes of mod_fcgid's. Each site is the worked example of conf/apache, and what that
includes is printed by `gatehouse snippet apache` for the site's own gatehouse.yaml. The modules are those that Debian
enables, and those that the example's own a2enmod line names."""

import contextlib
import os
import pathlib
import re
import shutil
import socket

from cgi_servers import ApacheProcess
from check_site import CheckSite
from harness import BINARY, TREE, USER, Site, processes_of, with_paths

CONF = TREE / "conf" / "apache"
# What Debian enables where Apache is installed.
DEFAULT_MODULES = (
    *("access_compat", "alias", "auth_basic", "authn_core", "authn_file", "authz_core", "authz_host", "authz_user"),
    *("autoindex", "deflate", "dir", "env", "filter", "mime", "mpm_event", "negotiation", "reqtimeout", "setenvif"),
    "status",
)


def with_dependencies(module):
    """As a2enmod enables it: what it depends on first."""
    text = pathlib.Path(f"/etc/apache2/mods-available/{module}.load").read_text()
    depends = re.search(r"^# Depends: (.+)$", text, re.MULTILINE)
    needed = [each for name in (depends[1].split() if depends else []) for each in with_dependencies(name)]
    return [*needed, module]


def enabled_by(example):
    """The modules that Debian has, and those of the example's a2enmod line."""
    line = re.search(r"^#\s+a2enmod (.+)$", example, re.MULTILINE)[1]
    named = [each for module in line.split() for each in with_dependencies(module)]
    return tuple(dict.fromkeys([*DEFAULT_MODULES, *named]))


class ApacheSite(ApacheProcess):
    """The example of conf/apache. `parts`: file that it includes → the part that is printed into it. `more` stands in
    the virtual host before ours, as a site's own lines ({folder} in them is Apache's); `edit` changes what is printed.
    `modules` are further ones.
    """

    def __init__(self, gatehouse, example, parts, paths=None, more="", edit=lambda text: text, modules=()):
        super().__init__(gatehouse)
        shipped = (CONF / example).read_text()
        self.modules = (*enabled_by(shipped), *modules)
        self.site = with_paths(shipped, paths or {})
        last = list(parts)[-1]
        assert self.site.count(f"    Include {last}\n") == 1
        self.site = self.site.replace(
            f"    Include {last}\n", f"{more.replace('{folder}', str(self.folder))}\n    Include {last}\n"
        )
        for file, part in parts.items():
            text = gatehouse.run("snippet", "apache", "--part", part, check=0).stdout
            (self.folder / file).write_text(edit(text))
        # Where mod_fcgid's processes have their sockets.
        (self.folder / "fcgid").mkdir()
        if os.getuid() == 0:
            shutil.chown(self.folder / "fcgid", USER, USER)

    def served(self):
        (self.folder / "site.conf").write_text(self.site.replace("*:80", f"127.0.0.1:{self.port}"))
        return f"""
TypesConfig /etc/mime.types
<IfModule mod_fcgid.c>
    FcgidIPCDir "{self.folder}/fcgid"
    FcgidProcessTableFile "{self.folder}/fcgid/table"
    # A test may break them one after the other.
    FcgidSpawnScoreUpLimit 1000
</IfModule>
Include site.conf
"""


# ── the authorizer door ─────────────────────────────────────────────────────────────────────────────────────────────


class AuthorizerSite(CheckSite):
    """By mod_authnz_fcgi: a CheckSite with Apache in nginx's place."""

    def __init__(self, more="", edit=lambda text: text, modules=(), **config):
        self.options = {"more": more, "edit": edit, "modules": modules}
        super().__init__(**config)

    def add_listeners(self, config):
        self.sockets = list(config["listen"])

    def start_gatehouse(self):
        # Bound and not listened on: the port is ours while Gatehouse is down, too, and given to nobody else.
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.gatehouse.config["listen"] = [*self.sockets, f"tcp:127.0.0.1:{self.port}"]
        self.gatehouse.write_config()
        self.gatehouse.start()

    @property
    def port(self):
        """Where Apache asks Gatehouse."""
        return self.holder.getsockname()[1]

    def close(self):
        with self.holder:
            super().close()

    def make_front(self, *_):
        paths = {'"/srv/www"': self.root, '"proxy:unix:/run/php/php-fpm.sock|fcgi://localhost/"': self.php_handler}
        self.options["more"] = self.options["more"].replace("{root}", str(self.root))
        return self.make_apache(paths)

    @property
    def php_handler(self):
        return f"proxy:unix:{self.php.socket}|fcgi://localhost/"

    def make_apache(self, paths):
        parts = {"gatehouse-provider.conf": "provider", "gatehouse-pages.conf": "authorizer"}
        return ApacheSite(self.gatehouse, "gatehouse-authorizer.conf", parts, paths, **self.options)


class Spawned:
    """For a site whose gatehouse is started by mod_fcgid, as Apache's user, and not by the test."""

    holder = contextlib.ExitStack()  # of no port

    def start_gatehouse(self):
        folder = self.gatehouse.folder
        # A place where Apache's user may run it, whoever owns the tree that it was built in.
        self.program = folder / "gatehouse"
        shutil.copy(BINARY, self.program)
        if os.getuid() == 0:
            for path in (folder, folder / "db", *(folder / "db").iterdir()):
                shutil.chown(path, USER, USER)

    def with_program(self, text):
        """What is printed names the program that printed it."""
        printed = str(pathlib.Path(BINARY).resolve())
        assert printed in text
        return text.replace(printed, str(self.program))

    def processes(self):
        """The pids of what runs our program now."""
        return processes_of(self.program)


class AccessCheckerSite(Spawned, AuthorizerSite):
    """By mod_fcgid."""

    def make_apache(self, paths):
        edit = self.options.pop("edit")
        return ApacheSite(
            self.gatehouse,
            "gatehouse-access-checker.conf",
            {"gatehouse-pages.conf": "access-checker"},
            paths,
            edit=lambda text: edit(self.with_program(text)),
            **self.options,
        )


# ── the gateway door ────────────────────────────────────────────────────────────────────────────────────────────────


class ApacheGatewaySite(Site):
    """By mod_proxy_fcgi, over the gatehouse's unix socket. `prepare` gets the Gatehouse before there is a database."""

    def __init__(self, more="", modules=(), **config):
        super().__init__(nginx={"more": more, "modules": modules}, **config)
        self.root = self.gatehouse.root

    def make_front(self, **options):
        return ApacheSite(self.gatehouse, "gatehouse.conf", {"gatehouse-gateway.conf": "gateway"}, **options)


class ApacheFcgidSite(Spawned, ApacheGatewaySite):
    """By processes that mod_fcgid starts and ends."""

    def make_front(self, **options):
        parts = {"gatehouse-fcgid.conf": "fcgid"}
        return ApacheSite(self.gatehouse, "gatehouse-fcgid.conf", parts, edit=self.with_program, **options)
