"""A real nginx that asks the check door before it serves: static files, php-fpm. Its site is the one that we ship
(conf/nginx/gatehouse-check.conf); what that includes is printed by `gatehouse snippet nginx` for the site's own
gatehouse.yaml, over FastCGI or over HTTP."""

import os
import pathlib
import signal
import subprocess

from harness import (
    USER,
    Gatehouse,
    Nginx,
    Site,
    accepts,
    clean_environment,
    die_with_the_test,
    stop_process,
    wait_until,
)

TRANSPORTS = ["fastcgi", "http"]

PHP_FPM = next(iter(sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))), None)
SHOW = "<?php header('Content-Type: application/json'); echo json_encode(['env' => $_SERVER, 'post' => file_get_contents('php://input')]);"

# What lies below the site's root.
PAGES = {
    "page.html": "a page",
    "public/page.html": "a public page",
    "admin/page.html": "an admin's page",
    "closed/page.html": "a closed page",
    "app/index.php": SHOW,
    "app/show.php": SHOW,
    "public/show.php": SHOW,
    "admin/index.php": SHOW,
}


class PhpFpm:
    """A real php-fpm, on a unix socket or on a port of the loopback, set up as Debian's php.ini-production has it: no
    warning is shown, each is logged. `lines` are further ones of the pool's. `system_ini`: with Debian's own php.ini and
    the extensions that are installed. It may be started again."""

    def __init__(self, folder, workers=2, port=None, lines="", system_ini=False):
        self.folder = folder
        self.workers, self.lines = workers, lines
        self.options = [] if system_ini else ["-n"]
        self.socket = ("127.0.0.1", port) if port else folder / "php.sock"
        self.address = f"tcp:127.0.0.1:{port}" if port else f"unix:{self.socket}"
        self.process = None

    def start(self):
        owner = f"user = {USER}\ngroup = {USER}" if os.getuid() == 0 else ""
        config = self.folder / "php-fpm.conf"
        config.write_text(
            f"[global]\nerror_log = {self.folder}/php-fpm.log\ndaemonize = no\n"
            f"[www]\n{owner}\nlisten = {self.address.partition(':')[2]}\nlisten.mode = 0666\n"
            f"pm = static\npm.max_children = {self.workers}\ncatch_workers_output = yes\n"
            f"php_flag[display_errors] = off\nphp_flag[log_errors] = on\n{self.lines}\n"
        )
        self.process = subprocess.Popen(
            [str(PHP_FPM), *self.options, "-F", "-y", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )
        wait_until(lambda: accepts(self.socket) or self.process.poll() is not None, "php-fpm listens")
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        log = self.folder / "php-fpm.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self):
        stop_process(self.process, signal.SIGTERM)


class CheckedNginx(Nginx):
    """As many of the shipped server as there are `servers`, each with further lines of its own."""

    def __init__(self, gatehouse, servers, http_lines, paths):
        super().__init__(gatehouse, http_lines, shipped="gatehouse-check.conf", paths=paths)
        self.http_lines += "\ninclude http.conf;"
        self.print_part(gatehouse, "http.conf", "--part", "http")
        for part in ("application", "proxy"):
            self.print_part(gatehouse, f"gatehouse-{part}.conf", "--part", part)
        for over in TRANSPORTS:
            self.print_part(gatehouse, f"over-{over}.conf", "--over", over)
        include = "include gatehouse-server.conf;"
        assert include in self.site
        blocks = []
        for number, (over, lines) in enumerate(servers, start=1):
            lines = lines if "{include}" in lines else "{include}" + lines
            ours = lines.replace("{include}", f"include over-{over}.conf;\n").replace("{folder}", str(self.folder))
            blocks.append(self.site.replace("listen 80;", f"listen 127.0.0.{number}:80;").replace(include, ours))
        self.site = "".join(blocks)

    def print_part(self, gatehouse, file, *options):
        (self.folder / file).write_text(gatehouse.run("snippet", "nginx", *options, check=0).stdout)


class CheckSite(Site):
    """Gatehouse's check door, nginx and php-fpm, with one user: alice.

    `servers` holds further lines for one server each ({folder} in them is nginx's; {include} is where the printed part
    goes, the first line if it is not there): the first listens on 127.0.0.1, the
    next on 127.0.0.2, … `over` is how they ask, all or each of them.
    """

    def __init__(self, over="fastcgi", http_lines="", servers=("",), pages=PAGES, **config):
        self.over = over
        self.gatehouse = Gatehouse(**config)
        folder = self.gatehouse.folder
        self.add_listeners(self.gatehouse.config)
        self.gatehouse.write_config()
        self.root = folder / "www"
        self.php = self.make_php()
        try:
            self.write_pages(pages)
            self.gatehouse.run("db", "migrate", check=0)
            self.alice_id = self.gatehouse.add_user(
                "alice", name="Alice Example", email="alice@example.org", roles="staff,ops"
            )
            self.start_gatehouse()
            self.php.start()
            self.nginx = self.make_front(servers, http_lines).start()
        except BaseException:
            self.php.stop()
            self.gatehouse.remove()
            raise

    def make_php(self):
        return PhpFpm(self.gatehouse.folder)

    def add_listeners(self, config):
        config.setdefault("listen_http", [f"unix:{self.gatehouse.folder}/http.sock"])

    def make_front(self, servers, http_lines):
        """Makes the web server: nginx, unless a class of one's own puts another one in its place."""
        ways = [self.over] * len(servers) if isinstance(self.over, str) else self.over
        paths = {"/srv/www": self.root, "unix:/run/php/php-fpm.sock": f"unix:{self.php.socket}"}
        return CheckedNginx(self.gatehouse, list(zip(ways, servers, strict=True)), http_lines, paths)

    def write_pages(self, pages):
        for path, text in pages.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def logs(self):
        return {**super().logs(), "php-fpm": self.php.log()}

    def close(self):
        try:
            self.nginx.stop()
            self.php.stop()
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()
