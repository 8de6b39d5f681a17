"""The whole family: every web server × door, each with the pages of the table in C, Perl, PHP and Python, and what the
table in the README says of it.

A web server that asks runs the pages by itself: PHP in php-fpm, the others as CGI programs. In the gateway door
Gatehouse runs all of them as CGI programs, PHP by php-cgi.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable

from apache import AccessCheckerSite, ApacheFcgidSite, ApacheGatewaySite, AuthorizerSite
from caddy import CaddyRelay, CaddySite
from cgi_servers import ApacheAtTheRoot, CgiSite, NginxFcgiwrap, SpawnedFcgi, become_user
from check_site import CheckSite
from door_table import PAGES, VISITORS, wanted
from gateway_site import ROUTES
from haproxy import HAProxySite
from harness import USER, Site
from languages import SUFFIXES, write_program
from lighttpd import LighttpdGatewaySite, LighttpdSite, LighttpdSpawnedSite

CGI_SUFFIXES = [suffix for language, suffix in SUFFIXES.items() if language != "PHP"]


def paths(page):
    """Language → the path of that page."""
    stem = PAGES[page].removesuffix(".php")
    return {language: stem + suffix for language, suffix in SUFFIXES.items()}


def write_pages(root):
    for path in PAGES.values():
        for language in SUFFIXES:
            write_program(language, root / path.strip("/").removesuffix(".php"))


def write_cgi_pages(gatehouse):
    """The same where every page is a CGI program: the first line says who runs it."""
    write_pages(gatehouse.root)
    for file in gatehouse.root.rglob("*.php"):
        file.write_text("#!/usr/bin/php-cgi\n" + file.read_text())


# ── sites ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Asked:
    """Of a CheckSite: pages in every language, and a fcgiwrap for the web servers that cannot run CGI programs."""

    fcgiwrap = None

    def __init__(self, **more):
        super().__init__(pages={}, routes=ROUTES, **more)

    def write_pages(self, pages):
        write_pages(self.root)

    def run_cgi_programs(self):
        """Starts the fcgiwrap and returns its socket."""
        folder = self.gatehouse.folder / "fcgiwrap"
        folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(folder, USER, USER)
        command = ["/usr/sbin/fcgiwrap", "-f"]
        self.fcgiwrap = SpawnedFcgi(folder / "socket", folder / "log", command, 2, become_user)
        return self.fcgiwrap.socket

    def close(self):
        try:
            if self.fcgiwrap is not None:
                self.fcgiwrap.stop()
        finally:
            super().close()


class AskingNginx(Asked, CheckSite):
    def make_front(self, servers, http_lines):
        suffixes = "|".join(suffix.strip(".") for suffix in CGI_SUFFIXES)
        run = f"include gatehouse-application.conf; fastcgi_pass unix:{self.run_cgi_programs()};"
        return super().make_front([f"location ~ \\.({suffixes})$ {{ {run} }}"], http_lines)


class AskingCaddy(Asked, CaddySite):
    def __init__(self):
        super().__init__(edit=self.add_cgi)

    def add_cgi(self, text):
        """The worked example's lines for php-fpm, again for the programs that fcgiwrap runs."""
        block = text[text.index("\tphp_fastcgi ") : text.index("\tfile_server")]
        ours = "\t\tsplit " + " ".join(CGI_SUFFIXES) + "\n"
        variables = "".join(line + "\n" for line in block.splitlines() if "\tenv " in line)
        matcher = "\t@cgi path " + " ".join("*" + suffix for suffix in CGI_SUFFIXES) + "\n"
        relay = f"\treverse_proxy @cgi unix/{self.run_cgi_programs()} {{\n\t\ttransport fastcgi {{\n"
        return text.replace("\tfile_server", f"{matcher}{relay}{ours}{variables}\t\t}}\n\t}}\n\tfile_server")


class AskingLighttpd(Asked, LighttpdSite):
    pass


class AskingApache(Asked, AuthorizerSite):
    """By mod_authnz_fcgi."""


class AskingApacheFcgid(Asked, AccessCheckerSite):
    """By mod_fcgid."""


class CaddyGateway(Site):
    """Caddy asks nobody and relays over FastCGI."""

    def make_front(self):
        self.root = self.gatehouse.root
        return CaddyRelay(self)


def gateway(kind):
    """The gateway door: Gatehouse runs the pages."""
    return lambda: kind(prepare=write_cgi_pages, routes=ROUTES)


def cgi(server):
    """The cgi door: a process of Gatehouse a request, which runs the page."""

    def open_site():
        site = CgiSite(server, routes=ROUTES)
        write_cgi_pages(site.gatehouse)
        return site

    return open_site


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Door:
    server: str
    how: str  # as the README names it
    open: Callable
    # What becomes of an idle session that is let in: a new cookie, or only a later end.
    renews: bool = True
    # Where a browser that has to sign in is: sent to the login, or shown it in the page's place.
    sign_in: str = "302"
    # A public page is served to who has no session without a cookie of ours: a dead one's stays.
    keeps_dead_cookie_on_public_pages: bool = False

    def wanted(self, visitor, page):
        """The rule of this door: what the visitor gets, and what becomes of the cookie."""
        outcome = wanted(visitor, page)
        is_for_nobody = outcome.decision == "let in" and outcome.user is None
        if self.keeps_dead_cookie_on_public_pages and is_for_nobody:
            return dataclasses.replace(outcome, cookie="untouched")
        if self.renews or outcome.decision != "let in":
            return outcome
        return dataclasses.replace(outcome, cookie="untouched")

    def status(self, outcome, kind):
        if outcome.decision == "let in":
            return 200
        if outcome.decision == "refused":
            return 403
        return int(self.sign_in) if kind == "a browser" else 401


DOORS = {
    "nginx fastcgi_pass": Door("nginx", "`fastcgi_pass` (gateway)", gateway(Site)),
    "nginx check, FastCGI": Door(
        "nginx", "`auth_request` over FastCGI (check)", lambda: AskingNginx(over="fastcgi"), sign_in="200"
    ),
    "nginx check, HTTP": Door(
        "nginx", "`auth_request` over HTTP (check)", lambda: AskingNginx(over="http"), sign_in="200"
    ),
    "nginx fcgiwrap": Door("nginx", "fcgiwrap (cgi)", cgi(NginxFcgiwrap)),
    "Apache mod_proxy_fcgi": Door("Apache", "mod_proxy_fcgi (gateway)", gateway(ApacheGatewaySite)),
    "Apache mod_fcgid": Door("Apache", "mod_fcgid, `FcgidWrapper` (gateway)", gateway(ApacheFcgidSite)),
    "Apache mod_authnz_fcgi": Door(
        "Apache", "mod_authnz_fcgi (authorizer)", AskingApache, keeps_dead_cookie_on_public_pages=True
    ),
    "Apache access checker": Door(
        "Apache", "mod_fcgid, `FcgidAccessChecker` (authorizer)", AskingApacheFcgid, sign_in="200"
    ),
    "Apache mod_cgid": Door("Apache", "mod_cgid (cgi)", cgi(ApacheAtTheRoot)),
    "lighttpd responder": Door("lighttpd", "`fastcgi.server` (gateway)", gateway(LighttpdGatewaySite)),
    "lighttpd bin-path": Door("lighttpd", "`bin-path` (gateway)", gateway(LighttpdSpawnedSite)),
    "lighttpd authorizer": Door("lighttpd", '`"mode" => "authorizer"`', AskingLighttpd, renews=False),
    "Caddy fastcgi": Door("Caddy", "`transport fastcgi` (gateway)", gateway(CaddyGateway)),
    "Caddy forward": Door("Caddy", "`forward_auth` over HTTP (forward)", AskingCaddy),
    "HAProxy": Door("HAProxy", "`fcgi-app` (gateway)", gateway(HAProxySite)),
}

# Visitors who get the same in every door stand in one column.
COLUMNS = {
    "Nobody": ["anonymous"],
    "Valid": ["valid"],
    "Idle": ["idle"],
    "Dead, revoked, disabled": ["dead", "revoked", "disabled"],
    "Foreign origin": ["foreign"],
}


def cell(door, visitor):
    """In words, what the visitor gets of a page for those who are signed in."""
    outcome = door.wanted(visitor, "authenticated")
    kinds = ["a program"] if visitor == "foreign" else ["a browser", "a program"]
    statuses = list(dict.fromkeys(str(door.status(outcome, kind)) for kind in kinds))
    # The login in the page's place is no page.
    words = [" / ".join(statuses).replace("200 / 401", "200 login / 401")]
    if outcome.user:
        words.append(f"`{outcome.user}`")
    if visitor == "idle":
        words.append("new cookie" if outcome.cookie == "renewed" else "extended")
    if outcome.cookie == "removed":
        words.append("cookie removed")
    return ", ".join(words)


def readme_table():
    """The table as it stands in the README."""
    lines = [["Server", "Door", *COLUMNS], ["-"] * (2 + len(COLUMNS))]
    for door in DOORS.values():
        cells = []
        for visitors in COLUMNS.values():
            [one] = {cell(door, visitor) for visitor in visitors}
            cells.append(one)
        lines.append([door.server, door.how, *cells])
    assert sorted(sum(COLUMNS.values(), [])) == sorted(VISITORS)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(readme_table(), end="")
