"""Every door decides alike, and tells its script the same: the gateway door (nginx, a CGI script) and the check door
(nginx, php-fpm) over FastCGI and over HTTP. Behind Caddy, too, a script is told the same (test_check_caddy has its
decisions)."""

import contextlib
import json
from unittest.mock import ANY

import pytest

from caddy import CaddySite
from check_site import SHOW, TRANSPORTS, CheckSite
from door_table import PAGES, VISITORS, Guests, outcomes, wanted
from gateway_site import ROUTES, GatewaySite

CHECK_DOORS = [f"check over {over}" for over in TRANSPORTS]


def open_door(name):
    if name == "gateway":
        return GatewaySite()
    config = {"pages": {path.strip("/"): SHOW for path in PAGES.values()}, "routes": ROUTES}
    if name == "forward":
        return CaddySite(**config)
    return CheckSite(over=name.removeprefix("check over "), **config)


@pytest.fixture(scope="module")
def doors():
    """Opens each door when it is first asked for."""
    opened = {}
    with contextlib.ExitStack() as stack:

        def door(name):
            if name not in opened:
                opened[name] = stack.enter_context(contextlib.closing(open_door(name)))
                opened[name].guests = Guests(opened[name].gatehouse)
            return opened[name]

        yield door


# ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("name", ["gateway", *CHECK_DOORS])
def test_decisions_are_those_of_the_table(doors, name, visitor):
    got = outcomes(doors(name), visitor)
    assert got == {cell: wanted(visitor, page=cell[0]) for cell in got}


# ── what the script is told ─────────────────────────────────────────────────────────────────────────────────────────

# Of a process, not of a request.
PROCESS = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "GATE", "USER", "HOME"}
# Variable → what php-fpm has, what a script of the gateway door has. Nothing else differs; None: not there.
OF_PHP_FPM = {
    # Its own, and how it reads a query.
    "FCGI_ROLE": ("RESPONDER", None),
    "PHP_SELF": ("/PAGE/extra/in fo", None),
    "REQUEST_TIME": (ANY, None),
    "REQUEST_TIME_FLOAT": (ANY, None),
    "argc": (2, None),
    "argv": (["a=1&b=%2Fx", "y"], None),
    # A header's own name is sent beside the variable.
    "HTTP_CONTENT_LENGTH": ("7", None),
    "HTTP_CONTENT_TYPE": ("application/x-www-form-urlencoded", None),
}
OF_NGINX = {
    "SERVER_SOFTWARE": ("nginx", "Gatehouse"),
    "DOCUMENT_URI": ("/PAGE/extra/in fo", None),
    # php-fpm sets it where a script asks for it only.
    "PATH_TRANSLATED": (None, "ROOT/extra/in fo"),
    # Of several php-fpm keeps the last.
    "HTTP_X_OF_THE_VISITOR": ("two", "one, two"),
    # The web server cannot cut the session out of it.
    "HTTP_COOKIE": ("theme=dark; lang=de; session=TOKEN", "theme=dark; lang=de"),
    # In the check door nobody names it: nginx has no way to set a word of its own for those who are signed in only.
    "AUTH_TYPE": (None, "Gatehouse"),
}
OF_CADDY = {
    "SERVER_SOFTWARE": ("Caddy", "Gatehouse"),
    "DOCUMENT_URI": ("/PAGE", None),
    "REMOTE_HOST": ("127.0.0.1", None),
    "REMOTE_IDENT": ("", None),
    # Host is the server's name, and nobody tells its address.
    "SERVER_NAME": ("127.0.0.1", "example.org"),
    "SERVER_ADDR": (None, "127.0.0.1"),
    "REDIRECT_STATUS": (None, "200"),
    "HTTP_CONNECTION": (None, "close"),
    # As to every application that it asks.
    "HTTP_X_FORWARDED_FOR": ("127.0.0.1", None),
    "HTTP_X_FORWARDED_HOST": ("127.0.0.1:PORT", None),
    "HTTP_X_FORWARDED_PROTO": ("http", None),
    # The door's own headers are left in the request, for applications that read headers.
    "HTTP_X_GATEHOUSE_USER": ("alice", None),
    "HTTP_X_GATEHOUSE_USER_ID": ("ID", None),
    "HTTP_X_GATEHOUSE_SESSION_STATE": ("active", None),
    # Caddy joins lines as it joins those of any header, and cannot cut the session out.
    "HTTP_COOKIE": ("theme=dark, lang=de; session=TOKEN", "theme=dark; lang=de"),
    "AUTH_TYPE": ("", "Gatehouse"),
}
# For nobody these are others, or none.
OF_NGINX_FOR_NOBODY = {"HTTP_COOKIE": None, "AUTH_TYPE": None}
OF_CADDY_FOR_NOBODY = {
    "HTTP_COOKIE": ("theme=dark, lang=de", "theme=dark; lang=de"),
    # What is not there elsewhere is empty.
    "AUTH_TYPE": ("", None),
    "REMOTE_USER": ("", None),
    "GATEHOUSE_USER_ID": ("", None),
    "GATEHOUSE_SESSION_STATE": ("", None),
    "HTTP_X_GATEHOUSE_USER": ("", None),
    "HTTP_X_GATEHOUSE_USER_ID": ("", None),
    "HTTP_X_GATEHOUSE_SESSION_STATE": ("", None),
}


def differences_of(door, visitor):
    is_caddy = door == "forward"
    all_of_them = {**OF_PHP_FPM, **(OF_CADDY if is_caddy else OF_NGINX)}
    if visitor == "anonymous":
        all_of_them.update(OF_CADDY_FOR_NOBODY if is_caddy else OF_NGINX_FOR_NOBODY)
    return {variable: both for variable, both in all_of_them.items() if both is not None}


def told(site, page, token):
    """The variables of the script behind a POST with headers of every kind, without what is another one in each site."""
    body = b"a=b&c=d"
    lines = [
        f"POST /{page}/extra/in%20fo?a=1&b=%2Fx+y HTTP/1.1",
        f"Host: {site.host}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        "Content-Type: application/x-www-form-urlencoded",
        "Cookie: theme=dark",
        f"Cookie: lang=de; session={token}" if token else "Cookie: lang=de",
        f"Origin: {site.url}",
        "User-Agent: a test",
        "Accept: text/html, */*;q=0.1",
        "X-Of-The-Visitor: one",
        "X-Of-The-Visitor: two",
        "X-Empty:",
        "Proxy: http://evil.example",
        "Authorization: Basic ZXZpbDpwdw==",
        "Remote-User: evil",
    ]
    answer = site.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    assert answer.status == 200, answer.body
    own = {str(site.root): "ROOT", f":{site.nginx.port}": ":PORT", page: "PAGE"}
    if token:
        own |= {token: "TOKEN", site.alice_id: "ID"}
    env = json.loads(answer.body)["env"]
    assert int(env.pop("REMOTE_PORT")) > 0 and int(env.pop("SERVER_PORT")) == site.nginx.port
    env["SERVER_SOFTWARE"] = env["SERVER_SOFTWARE"].partition("/")[0]
    return {name: replaced(value, own) for name, value in env.items() if name not in PROCESS}


def replaced(value, names):
    if isinstance(value, str):
        for name, word in names.items():
            value = value.replace(name, word)
    return value


@pytest.mark.parametrize("page, visitor", [("app/show.php", "valid"), ("public/show.php", "anonymous")])
@pytest.mark.parametrize("name", [*CHECK_DOORS, "forward"])
def test_php_fpm_is_told_what_a_script_of_the_gateway_door_is_told(doors, name, page, visitor):
    php, cgi = (told(site, page, site.guests.token(visitor)) for site in (doors(name), doors("gateway")))
    differences = {each: (php.get(each), cgi.get(each)) for each in {*php, *cgi} if php.get(each) != cgi.get(each)}
    assert differences == differences_of(name, visitor)
    identity = {
        "REMOTE_USER": "alice",
        "GATEHOUSE_USER_ID": "ID",
        "GATEHOUSE_SESSION_STATE": "active",
        "HTTP_REMOTE_USER": "alice",
        "HTTP_REMOTE_NAME": "Alice Example",
        "HTTP_REMOTE_EMAIL": "alice@example.org",
        "HTTP_REMOTE_GROUPS": "staff,ops",
    }
    if visitor == "anonymous":
        identity = dict.fromkeys(identity, "")
    assert {variable: php.get(variable, "") for variable in identity} == identity
