"""What scripts/bench relay runs: a small page of PHP that nginx asks php-fpm for itself, and the same page through the
gateway door. The table is explained there.
"""

import sys

from check import Case, House, browser_request, main

from check_site import PhpFpm
from harness import Nginx

PAGE_OF_PHP = """<?php
$page = str_repeat("<p>The page.</p>\\n", 60);
header('Content-Length: ' . strlen($page));
echo $page;
"""
WORKERS = 4


class Sites(Nginx):
    """The shipped server of the gateway door, and one that asks php-fpm itself, told apart by their names."""

    def __init__(self, house, php, root):
        super().__init__(house)
        self.http_lines = "access_log off; keepalive_requests 10000000;\n"
        self.site += f"""server {{
listen 80;
server_name itself;
location / {{ fastcgi_pass "{php.address}"; include gatehouse_params; fastcgi_param SCRIPT_FILENAME "{root}$uri"; }}
}}
"""


class Stage:
    """Everything that is measured, started; `stack` ends it."""

    def __init__(self, stack, programs):
        self.client = programs / "check_client"
        self.house = House("auto")
        stack.callback(self.house.remove)
        self.root = self.house.folder / "www"
        self.php = PhpFpm(self.house.folder, workers=WORKERS)
        self._write_pages()
        stack.callback(self.php.stop)
        self.php.start()
        self.house.start_with_a_user()
        stack.callback(self.house.stop)
        self.nginx = Sites(self.house, self.php, self.root)
        stack.callback(self.nginx.stop)
        self.nginx.start()
        limit = self._case("nginx asks php-fpm", "itself", "open")
        self.cases = [
            limit,
            self._case("gatehouse relays", "example.org", "open", limit),
            self._case("gatehouse relays, signed in", "example.org", "signed", limit),
            self._case("gatehouse relays, signed in, kept", "example.org", "kept", limit),
        ]

    def _write_pages(self):
        relay = {"address": self.php.address, "root": str(self.root)}
        # Every kept connection has a worker to itself.
        kept = {**relay, "keep_connections": WORKERS // 2}
        self.house.config["downstreams"] = {"php": {"fastcgi": relay}, "kept": {"fastcgi": kept}}
        self.house.config["routes"] = [
            {"path": "/open/**", "access": "public", "downstream": "php"},
            {"path": "/signed/**", "access": "authenticated", "downstream": "php"},
            {"path": "/kept/**", "access": "authenticated", "downstream": "kept"},
        ]
        self.house.write_config()
        for name in ("open", "signed", "kept"):
            (self.root / name).mkdir(parents=True)
            (self.root / name / "page.php").write_text(PAGE_OF_PHP)

    def _case(self, name, host, folder, limit=None):
        file = self.house.folder / f"{host}-{folder}.bytes"
        cookie = None if folder == "open" else self.house.cookie
        file.write_bytes(browser_request(host, cookie, f"{folder}/page.php"))
        server = self.house if limit else None
        return Case(name, ["http", f"tcp:{self.nginx.port}", str(file)], server, limit)

    def logs(self):
        for name, log in (("gatehouse", self.house.log()), ("nginx", self.nginx.log()), ("php-fpm", self.php.log())):
            yield from (f"{name}: {line}" for line in log.splitlines()[-10:])


if __name__ == "__main__":
    sys.exit(main("relay", Stage))
