"""Rules with `hosts` where one server of a web server answers for every name: the name that chooses the file is the name
that is decided, however the visitor writes it."""

import pytest

from caddy import Caddy, CaddySite
from check_site import TRANSPORTS, CheckSite

ADMIN, PUBLIC = "admin.example.org", "public.example.org"
SECRET, EVERYBODYS = "the secret page", "everybody's page"
ROUTES = [
    {"path": "/secret/**", "hosts": [ADMIN], "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/secret/**", "access": "public"},
    {"path": "/**", "access": "deny"},
]
# One folder for each name, also for spellings that a web server leaves as they are; and what lies where there is none.
PAGES = {
    **{f"{host}/secret/page.html": SECRET for host in (ADMIN, "ADMIN.Example.ORG", f"{ADMIN}.")},
    **{f"{host}/secret/page.html": EVERYBODYS for host in (PUBLIC, "elsewhere.example.org", "example.org")},
    "secret/page.html": EVERYBODYS,
}


class HostsCaddySite(CaddySite):
    def make_front(self, *_):
        below = f'root * /srv/www\n\troot /secret/* "{self.root}/{{host}}"\n'
        return Caddy(self, lambda text: text.replace("root * /srv/www\n", below), host="")


def open_site(front):
    config = {"pages": PAGES, "routes": ROUTES}
    if front == "caddy":
        return HostsCaddySite(**config)
    line = 'location ^~ /secret/ { root "{folder}/../www/$host"; }'
    return CheckSite(over=front.removeprefix("nginx over "), servers=[line], **config)


@pytest.fixture(scope="module", params=["caddy", *(f"nginx over {over}" for over in TRANSPORTS)])
def site(request):
    made = open_site(request.param)
    made.gatehouse.add_user("chief", roles="admin")
    made.tokens = ["", made.signed_in().token, made.signed_in("chief").token]
    made.front = request.param.partition(" ")[0]
    yield made
    made.close()


# What nobody, alice and the admin get of a request that is read as one for that host, and of others.
ADMINS = (401, 403, SECRET)
ANYBODYS = (EVERYBODYS,) * 3
UNREADABLE = (403,) * 3
NO_REQUEST = (400,) * 3

PAGE = "/secret/page.html"
# What the request line names (if anything) and what stands below it → what is right.
REQUESTS = {
    ("", f"Host: {ADMIN}"): ADMINS,
    ("", f"Host: {PUBLIC}"): ANYBODYS,
    ("", "Host: elsewhere.example.org"): ANYBODYS,
    ("", f"Host: {ADMIN}:8443"): ADMINS,
    ("", f"Host: {ADMIN}:"): ADMINS,
    ("", f"Host: {ADMIN}:99999"): ADMINS,
    ("", "Host: ADMIN.Example.ORG"): ADMINS,
    ("", f"Host: {ADMIN}."): ADMINS,
    ("", f"Host: {ADMIN}.:80"): ADMINS,
    ("", f"Host: {PUBLIC}, {ADMIN}"): NO_REQUEST,
    ("", f"Host: {ADMIN}/x"): NO_REQUEST,
    ("", "Host: %61dmin.example.org"): UNREADABLE,
    ("", f"Host: {PUBLIC}\r\nHost: {ADMIN}"): NO_REQUEST,
    ("", f"Host: {ADMIN}\r\nX-Forwarded-Host: {PUBLIC}\r\nForwarded: host={PUBLIC}"): ADMINS,
    ("", f"Host: {PUBLIC}\r\nX-Forwarded-Host: {ADMIN}\r\nForwarded: host={ADMIN}"): ANYBODYS,
    ("", "No-Host: HTTP/1.1"): NO_REQUEST,
    ("", "No-Host: HTTP/1.0"): ANYBODYS,
    # The request line goes before Host (RFC 9112 section 3.2.2).
    (f"http://{ADMIN}", f"Host: {PUBLIC}"): ADMINS,
    (f"http://{ADMIN}", "Host: a:b:c"): ADMINS,
    (f"http://{ADMIN}", "No-Host: HTTP/1.0"): ADMINS,
    (f"http://{ADMIN}:80", f"Host: {PUBLIC}"): ADMINS,
    (f"http://{ADMIN}.", f"Host: {PUBLIC}"): ADMINS,
    ("http://ADMIN.Example.ORG", f"Host: {PUBLIC}"): ADMINS,
    (f"http://{ADMIN}:x", f"Host: {PUBLIC}"): NO_REQUEST,
    (f"http://{PUBLIC}", f"Host: {ADMIN}"): ANYBODYS,
}
# What the two read differently.
REQUESTS_OF = {
    "nginx": {
        # It takes what stands before the colon, and hands no more on.
        ("", f"Host: {ADMIN}:x"): ADMINS,
        ("", f"Host: {ADMIN}.."): NO_REQUEST,
        ("", f"Host: \t{ADMIN}\t"): NO_REQUEST,
        ("", f"Host: {PUBLIC}@{ADMIN}"): UNREADABLE,
        ("", "Host:"): NO_REQUEST,
        (f"http://{PUBLIC}@{ADMIN}", f"Host: {PUBLIC}"): NO_REQUEST,
    },
    "caddy": {
        ("", f"Host: {ADMIN}:x"): UNREADABLE,
        ("", f"Host: {ADMIN}.."): UNREADABLE,
        ("", f"Host: \t{ADMIN}\t"): ADMINS,
        ("", f"Host: {PUBLIC}@{ADMIN}"): NO_REQUEST,
        ("", "Host:"): ANYBODYS,
        (f"http://{PUBLIC}@{ADMIN}", f"Host: {PUBLIC}"): ADMINS,
    },
}


def got(site, authority, lines):
    """What nobody, alice and the admin get: the text of the page that is served, or the status."""
    version = "HTTP/1.0" if lines.endswith("1.0") else "HTTP/1.1"

    def ask(token):
        head = [
            f"GET {authority}{PAGE} {version}",
            lines,
            "Accept: */*",
            "Connection: close",
            f"Cookie: session={token}",
        ]
        answer = site.raw("\r\n".join(head).encode() + b"\r\n\r\n")
        return answer.body.decode() if answer.status == 200 else answer.status

    return tuple(ask(token) for token in site.tokens)


@pytest.mark.parametrize("asked", {**REQUESTS, **REQUESTS_OF["nginx"]}, ids=" ".join)
def test_the_host_that_is_served_is_the_one_that_is_decided(site, asked):
    assert got(site, *asked) == {**REQUESTS, **REQUESTS_OF[site.front]}[asked]
