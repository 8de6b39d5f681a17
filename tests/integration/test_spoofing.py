"""What a visitor calls himself never reaches a script: not in any spelling, on any route, through nginx or past it."""

import json

import pytest

import harness
from fastcgi import FastCgi, get

EVIL = "evil-7f3a"
OWNED = ["Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"]


@pytest.fixture(scope="module")
def lax():
    """nginx set to pass every header name on, which is the worst that a site may do."""
    made = harness.Site(nginx={"server_lines": "underscores_in_headers on;\nignore_invalid_headers off;"})
    yield made
    made.close()


def spellings(name):
    """Header names that some program may read as this one."""
    under, dot = name.replace("-", "_"), name.replace("-", ".")
    return [
        name,
        name.lower(),
        name.upper(),
        under,
        under.upper(),
        under.lower(),
        dot,
        dot.upper(),
        name.replace("-", "_", 1),
        name.replace("-", "["),
        name.replace("-", "+"),
        name.swapcase(),
    ]


def assert_clean(env, signed_in):
    assert EVIL not in json.dumps(env), {k: v for k, v in env.items() if EVIL in k + v}
    if signed_in:
        assert env["REMOTE_USER"] == env["HTTP_REMOTE_USER"] == "alice"
        assert env["HTTP_REMOTE_NAME"] == "Alice Example"
        assert env["AUTH_TYPE"] == "Gatehouse"
    else:
        assert "REMOTE_USER" not in env and "AUTH_TYPE" not in env and "GATEHOUSE_USER_ID" not in env
        assert env["HTTP_REMOTE_USER"] == ""


def send(site, path, lines, token):
    cookie = [f"Cookie: session={token}"] if token else []
    return site.raw_get(path, "Accept: */*", *cookie, *lines)


CASES = [("/public/x", False), ("/public/x", True), ("/show", True)]


@pytest.mark.parametrize("name", OWNED)
@pytest.mark.parametrize("path, signed_in", CASES)
@pytest.mark.parametrize("kind", ["strict", "lax"])
def test_identity_headers_of_a_visitor_are_gone_in_all_spellings(request, site, kind, path, signed_in, name):
    site = site if kind == "strict" else request.getfixturevalue("lax")
    token = site.signed_in().token if signed_in else None
    for spelling in spellings(name):
        answer = send(site, path, [f"{spelling}: {EVIL}"], token)
        assert answer.status in (200, 400), spelling
        if answer.status == 200:
            assert_clean(json.loads(answer.body)["env"], signed_in)
    # All at once, doubled, before and after each other.
    lines = [f"{spelling}: {EVIL}{number}" for spelling in spellings(name)[:8] for number in range(2)]
    answer = send(site, path, lines, token)
    assert answer.status == 200
    assert_clean(json.loads(answer.body)["env"], signed_in)


@pytest.mark.parametrize("path, signed_in", CASES)
@pytest.mark.parametrize(
    "header", ["Proxy", "proxy", "Authorization", "Redirect-Status", "Redirect_Status", "Gatehouse-User-Id"]
)
def test_headers_that_would_become_dangerous_variables_are_gone(lax, path, signed_in, header):
    token = lax.signed_in().token if signed_in else None
    value = f"Basic {EVIL}" if header == "Authorization" else EVIL
    env = json.loads(send(lax, path, [f"{header}: {value}"], token).body)["env"]
    for name in ("HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_REDIRECT_STATUS", "PHP_VALUE", "PHP_ADMIN_VALUE"):
        assert name not in env
    assert_clean({k: v for k, v in env.items() if k != "HTTP_GATEHOUSE_USER_ID"}, signed_in)


def test_a_basic_header_is_nobodys_name(site, visitor):
    # Base64 of "admin:x". nginx would make REMOTE_USER of it with the distribution's fastcgi_params.
    answer = visitor.fetch("/show", headers={"Authorization": "Basic YWRtaW46eA=="})
    assert answer.status_code == 401
    env = visitor.show("/public/x", headers={"Authorization": "Basic YWRtaW46eA=="})["env"]
    assert "REMOTE_USER" not in env and "admin" not in json.dumps(env)


def test_an_attribute_that_the_user_lacks_cannot_be_filled_in(site):
    site.gatehouse.add_user("plain")
    token = site.signed_in("plain").token
    env = json.loads(
        send(site, "/show", [f"Remote-Email: {EVIL}", f"Remote-Name: {EVIL}", f"Remote-Groups: {EVIL}"], token).body
    )["env"]
    assert EVIL not in json.dumps(env)
    assert env["HTTP_REMOTE_EMAIL"] == "" and env["HTTP_REMOTE_GROUPS"] == ""


def test_other_headers_do_arrive(alice):
    env = alice.show(headers={"X-Of-The-Visitor": "kept", "If-None-Match": "etag"})["env"]
    assert env["HTTP_X_OF_THE_VISITOR"] == "kept" and env["HTTP_IF_NONE_MATCH"] == "etag"


def test_configured_names_are_owned_and_others_are_not(new_site):
    site = new_site(
        identity={"headers": {"X-User": "user.username", "X-Mail": "user.email"}},
        nginx={"server_lines": "underscores_in_headers on;\nignore_invalid_headers off;"},
    )
    token = site.signed_in().token
    for path, cookie in (("/show", token), ("/public/x", None)):
        lines = [f"{name}: {EVIL}" for header in ("X-User", "X-Mail") for name in spellings(header)[:8]]
        answer = send(site, path, [*lines, "Remote-Groups: not ours now"], cookie)
        env = json.loads(answer.body)["env"]
        assert EVIL not in json.dumps(env)
        assert env["HTTP_REMOTE_GROUPS"] == "not ours now"
        assert env["HTTP_X_USER"] == ("alice" if cookie else "")
        assert env["HTTP_X_MAIL"] == ("alice@example.org" if cookie else "")


# ── past nginx: somebody writes FastCGI himself, or another web server has other habits ──────────────────────────────

PARAMETERS = [
    "REMOTE_USER",
    "AUTH_TYPE",
    "REMOTE.USER",
    "REMOTE USER",
    "REMOTE[USER",
    " REMOTE_USER",
    "REMOTE_USER\0x",
    "remote_user",
    "Remote_User",
    "REMOTE-USER",
    "REMOTE_IDENT",
    "HTTP_REMOTE_USER",
    "HTTP_REMOTE.USER",
    "HTTP_REMOTE USER",
    "HTTP_REMOTE[USER",
    "HTTP_REMOTE-USER",
    "HTTP_REMOTE_USER\0x",
    "http_remote_user",
    "Http_Remote_User",
    " HTTP_REMOTE_USER",
    "HTTP_REMOTE_USER ",
    "HTTP_REMOTE_EMAIL",
    "HTTP-REMOTE-USER",
    "HTTP.REMOTE.USER",
    "GATEHOUSE_USER_ID",
    "GATEHOUSE_SESSION_STATE",
    "REDIRECT_REMOTE_USER",
    "HTTP_PROXY",
    "http_proxy",
    "HTTP_AUTHORIZATION",
    "PHP_VALUE",
    "PHP_ADMIN_VALUE",
    "PHP.VALUE",
    "PHP_AUTH_USER",
    "HTTP_REDIRECT_STATUS",
    "REDIRECT_STATUS",
    "Variable-REMOTE_USER",
    "LD_PRELOAD",
    "PATH",
    "BASH_ENV",
    "PERL5OPT",
    "REMOTE_USER=x",
    "HTTP_X=y",
    "SCRIPT_FILENAME",
    "DOCUMENT_ROOT",
    "",
    "GATE",
]


@pytest.mark.parametrize("name", PARAMETERS, ids=repr)
def test_parameters_of_any_spelling_before_and_after_ours_are_not_believed(site, name):
    token = site.signed_in().token
    for path, cookie in (("/show", token), ("/public/x", None)):
        for before in (True, False):
            params = get(path, cookie=cookie)
            evil = (name, EVIL)
            with site.fastcgi() as connection:
                answer = connection.request([evil, *params] if before else [*params, evil])
            assert answer.status in (200, 400), answer.head
            if answer.status == 200:
                assert_clean(answer.json()["env"], cookie is not None)


def test_a_parameter_named_like_ours_signs_nobody_in(site):
    for name in ("REMOTE_USER", "HTTP_REMOTE_USER", "GATEHOUSE_USER_ID", "Variable-REMOTE_USER", "AUTH_TYPE"):
        with site.fastcgi() as connection:
            assert connection.request(get("/show", (name, "alice"))).status == 401


def test_a_script_gets_nothing_of_the_daemons_own_environment(gatehouse):
    gatehouse.run("db", "migrate", check=0)
    gatehouse.start(env=harness.clean_environment(SECRET_OF_THE_DAEMON=EVIL, HTTP_REMOTE_USER=EVIL, REMOTE_USER=EVIL))
    with FastCgi(gatehouse.socket) as connection:
        env = connection.request(get("/public/x")).json()["env"]
    assert EVIL not in json.dumps(env)
