"""Every door decides alike, and tells its script the same: the gateway door (nginx, a CGI script) and the check door
(nginx, php-fpm) over FastCGI and over HTTP."""

import contextlib
import json
import shutil
from unittest.mock import ANY

import pytest

import door_table
import harness
from check_site import SHOW, TRANSPORTS, CheckSite
from door_table import PAGES, VISITORS, Guests, outcomes, wanted

CHECK_DOORS = [f"check over {over}" for over in TRANSPORTS]
ROUTES = door_table.routes(downstream="scripts")


class GatewaySite(harness.Site):
    """The pages are run by gatehouse: copies of the CGI script `show`."""

    def __init__(self):
        super().__init__(prepare=self.copy_pages, routes=ROUTES)
        self.root = self.gatehouse.root

    @staticmethod
    def copy_pages(gatehouse):
        for path in PAGES.values():
            script = gatehouse.root / path.strip("/")
            script.parent.mkdir(exist_ok=True)
            shutil.copy(gatehouse.root / "show", script)


def open_door(name):
    if name == "gateway":
        return GatewaySite()
    pages = {path.strip("/"): SHOW for path in PAGES.values()}
    over = name.removeprefix("check over ")
    return CheckSite(over, pages=pages, routes=ROUTES)


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
# Variable → what php-fpm behind nginx has, what a script of the gateway door has. Nothing else differs; None: not there.
DIFFERENCES = {
    # php-fpm's own, and how it reads a query.
    "FCGI_ROLE": ("RESPONDER", None),
    "PHP_SELF": ("/PAGE/extra/in fo", None),
    "REQUEST_TIME": (ANY, None),
    "REQUEST_TIME_FLOAT": (ANY, None),
    "argc": (2, None),
    "argv": (["a=1&b=%2Fx", "y"], None),
    # nginx's own.
    "SERVER_SOFTWARE": ("nginx/VERSION", "Gatehouse"),
    "DOCUMENT_URI": ("/PAGE/extra/in fo", None),
    # php-fpm sets it where a script asks for it only.
    "PATH_TRANSLATED": (None, "ROOT/extra/in fo"),
    # nginx sends a header's own name beside the variable, and php-fpm keeps the last of several.
    "HTTP_CONTENT_LENGTH": ("7", None),
    "HTTP_CONTENT_TYPE": ("application/x-www-form-urlencoded", None),
    "HTTP_X_OF_THE_VISITOR": ("two", "one, two"),
    # The web server cannot cut the session out of it.
    "HTTP_COOKIE": ("theme=dark; lang=de; session=TOKEN", "theme=dark; lang=de"),
    # In the check door nobody names it: nginx has no way to set a word of its own for those who are signed in only.
    "AUTH_TYPE": (None, "Gatehouse"),
}


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
    own[answer.headers["Server"].removeprefix("nginx/")] = "VERSION"
    env = json.loads(answer.body)["env"]
    assert int(env.pop("REMOTE_PORT")) > 0 and int(env.pop("SERVER_PORT")) == site.nginx.port
    return {name: replaced(value, own) for name, value in env.items() if name not in PROCESS}


def replaced(value, names):
    if isinstance(value, str):
        for name, word in names.items():
            value = value.replace(name, word)
    return value


@pytest.mark.parametrize("page, visitor", [("app/show.php", "valid"), ("public/show.php", "anonymous")])
@pytest.mark.parametrize("name", CHECK_DOORS)
def test_php_fpm_is_told_what_a_script_of_the_gateway_door_is_told(doors, name, page, visitor):
    php, cgi = (told(site, page, site.guests.token(visitor)) for site in (doors(name), doors("gateway")))
    differences = {name: (php.get(name), cgi.get(name)) for name in {*php, *cgi} if php.get(name) != cgi.get(name)}
    expected = dict(DIFFERENCES)
    if visitor == "anonymous":
        del expected["AUTH_TYPE"], expected["HTTP_COOKIE"]
    assert differences == expected
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
        identity = {name: "" if name.startswith("HTTP_") else None for name in identity}
    assert {name: php.get(name) for name in identity} == identity
