"""A real nginx that asks the check door before it serves: static files, php-fpm. Its configuration is what
`gatehouse snippet nginx` prints for the site's own gatehouse.yaml."""

import os
import pathlib
import signal
import subprocess

from cgi_servers import USER, stop_process
from harness import Gatehouse, Nginx, accepts, clean_environment, die_with_the_test, wait_until
from visitor import PASSWORD, Visitor

PHP_FPM = next(iter(sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))), None)
SHOW = "<?php header('Content-Type: application/json'); echo json_encode(['server' => $_SERVER, 'post' => file_get_contents('php://input')]);"

LOCATIONS = """
root "{root}";
location / {{ try_files $uri $uri/ =404; }}
location /app/ {{ index index.php; }}
location ~ \\.php(/|$) {{
    fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
    include application.conf;
    fastcgi_param PATH_INFO $fastcgi_path_info;
    fastcgi_pass "unix:{php}";
}}
"""


class PhpFpm:
    """A real php-fpm with one worker."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder / "php.sock"
        self.process = None

    def start(self):
        owner = f"user = {USER}\ngroup = {USER}" if os.getuid() == 0 else ""
        config = self.folder / "php-fpm.conf"
        config.write_text(
            f"[global]\nerror_log = {self.folder}/php-fpm.log\ndaemonize = no\n"
            f"[www]\n{owner}\nlisten = {self.socket}\nlisten.mode = 0666\npm = static\npm.max_children = 2\n"
        )
        self.process = subprocess.Popen(
            [str(PHP_FPM), "-n", "-F", "-y", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )
        wait_until(lambda: accepts(self.socket), "php-fpm listens")
        return self

    def log(self):
        log = self.folder / "php-fpm.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self):
        stop_process(self.process, signal.SIGTERM)


class CheckedNginx(Nginx):
    """The site block is ours, the include files are printed by gatehouse."""

    def __init__(self, gatehouse, locations, http_lines=""):
        super().__init__(gatehouse, http_lines=http_lines)
        for part in ("server", "application"):
            text = gatehouse.run("snippet", "nginx", "--part", part, check=0).stdout
            (self.folder / f"{part}.conf").write_text(text)
        self.site = f"server {{\nlisten 80;\ninclude server.conf;\n{locations}\n}}\n"


class CheckSite:
    def __init__(self, http_lines="", **config):
        self.gatehouse = Gatehouse(**config)
        folder = self.gatehouse.folder
        self.root = folder / "www"
        try:
            for path, text in {
                "page.html": "a page",
                "public/page.html": "a public page",
                "admin/page.html": "an admin's page",
                "closed/page.html": "a closed page",
                "app/index.php": SHOW,
                "app/show.php": SHOW,
                "public/show.php": SHOW,
                "admin/index.php": SHOW,
            }.items():
                file = self.root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            self.gatehouse.run("db", "migrate", check=0)
            self.alice_id = self.gatehouse.add_user(
                "alice", name="Alice Example", email="alice@example.org", roles="staff,ops"
            )
            self.gatehouse.start()
            self.php = PhpFpm(folder).start()
            locations = LOCATIONS.format(root=self.root, php=self.php.socket)
            self.nginx = CheckedNginx(self.gatehouse, locations, http_lines).start()
        except BaseException:
            self.gatehouse.remove()
            raise

    @property
    def url(self):
        return self.nginx.url

    def visitor(self):
        return Visitor(self.url)

    def signed_in(self, name="alice"):
        visitor = self.visitor()
        answer = visitor.sign_in(name, PASSWORD)
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        return visitor

    def logs(self):
        return {"gatehouse": self.gatehouse.log(), "nginx": self.nginx.log(), "php-fpm": self.php.log()}

    def close(self):
        try:
            self.nginx.stop()
            self.php.stop()
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()
