"""The check door behind a real nginx: auth_request over FastCGI, with the configuration that gatehouse prints."""

import signal
import subprocess

import pytest

from check_site import CheckSite
from test_sessions import make_idle, new_token, row_of
from visitor import is_removal, session_cookies, set_cookies

DAY = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def site():
    made = CheckSite()
    yield made
    made.close()


def with_token(site, token):
    visitor = site.visitor()
    visitor.token = token
    return visitor


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nginx_takes_the_printed_configuration(site):
    done = subprocess.run(
        ["nginx", "-t", "-p", f"{site.nginx.folder}/", "-c", str(site.nginx.folder / "nginx.conf")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "warn" not in done.stderr, done.stderr


def test_a_visitor_is_asked_to_sign_in_and_comes_back_to_the_page(site):
    visitor = site.visitor()
    form = visitor.login_form("/page.html?x=1&y=%2F")
    assert form.fields["rd"] == "/page.html?x=1&y=%2F"
    answer = visitor.sign_in("alice", rd=form.fields["rd"])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html?x=1&y=%2F")
    assert visitor.navigate("/page.html").text == "a page"
    assert visitor.sign_out().status_code == 303
    assert visitor.fetch("/page.html").status_code == 401


@pytest.mark.parametrize(
    "path, anonymous, signed_in",
    [
        ("/page.html", 401, 200),
        ("/public/page.html", 200, 200),
        ("/admin/page.html", 401, 403),
        ("/closed/page.html", 403, 403),
        ("/app/show.php", 401, 200),
        ("/app/", 401, 200),
        ("/admin/", 401, 403),
        ("/missing", 401, 404),
    ],
)
def test_routes_decide(site, path, anonymous, signed_in):
    assert site.visitor().fetch(path).status_code == anonymous
    assert site.signed_in().fetch(path).status_code == signed_in


def test_a_program_without_a_session_gets_401_and_no_form(site):
    answer = site.visitor().fetch("/page.html")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


def test_the_check_endpoint_cannot_be_reached_from_outside(site):
    for path in ("/auth/check", "/auth/check?x", "/auth//check", "/auth/%63heck"):
        assert site.visitor().fetch(path).status_code == 404, path
        assert site.signed_in().fetch(path).status_code == 404, path


# ── what php-fpm receives ───────────────────────────────────────────────────────────────────────────────────────────


def test_php_sees_the_user_and_the_request(site):
    seen = site.signed_in().fetch("/app/show.php?a=1", method="POST", data=b"a body").json()
    server = seen["server"]
    assert seen["post"] == "a body"
    expected = {
        "REMOTE_USER": "alice",
        "GATEHOUSE_USER_ID": site.alice_id,
        "GATEHOUSE_SESSION_STATE": "active",
        "HTTP_REMOTE_USER": "alice",
        "HTTP_REMOTE_NAME": "Alice Example",
        "HTTP_REMOTE_EMAIL": "alice@example.org",
        "HTTP_REMOTE_GROUPS": "staff,ops",
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "a=1",
        "SCRIPT_NAME": "/app/show.php",
    }
    assert {name: server.get(name) for name in expected} == expected


@pytest.mark.parametrize("underscores", ["off", "on"])
@pytest.mark.parametrize("path", ["/public/show.php", "/app/show.php"])
def test_no_spelling_of_an_identity_header_reaches_php(track, underscores, path):
    site = track(CheckSite(http_lines=f"underscores_in_headers {underscores};\nignore_invalid_headers off;"))
    for visitor, user in ((site.visitor(), None), (site.signed_in(), "alice")):
        if user is None and path.startswith("/app"):
            continue
        for header in ("Remote-User", "Remote_User", "remote_user", "REMOTE-USER", "Remote-Groups", "Remote_Groups"):
            server = visitor.fetch(
                path, headers={header: "evil", "Proxy": "evil", "Authorization": "Basic ZXZpbDpwdw=="}
            ).json()["server"]
            assert "evil" not in server.values(), header
            assert server.get("REMOTE_USER") == user
            assert server["HTTP_REMOTE_USER"] == (user or "")
            assert "HTTP_AUTHORIZATION" not in server or server["HTTP_AUTHORIZATION"] == ""
        # Names that PHP makes another one of: nobody passes with them.
        for header in ("Remote.User", "Remote[User", "X.Whatever"):
            assert visitor.fetch(path, headers={header: "evil"}).status_code == 403, header


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin/page.html",
        "/public/%2e%2e/admin/page.html",
        "/public/..%2fadmin/page.html",
        "//admin/page.html",
        "/./admin/page.html",
        "/admin//page.html",
        "/%61dmin/page.html",
        "/public/x/../../admin/page.html",
        "/admin/",
        "/admin/index.php",
        "/admin/index.php/public/",
        "/admin/page.html?/public/",
    ],
)
def test_what_is_decided_is_what_is_served(site, path):
    for visitor in (site.visitor(), site.signed_in()):
        answer = site_raw(site, path, visitor.token)
        assert answer.status in (400, 401, 403), path
        assert b"an admin's page" not in answer.body


def site_raw(site, path, token):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", site.nginx.port, timeout=20)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    if token:
        connection.putheader("Cookie", f"session={token}")
    connection.endheaders()
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/page.html", "/app/show.php", "/missing"])
def test_an_idle_session_is_rotated_and_its_cookie_delivered(site, path):
    visitor = site.signed_in()
    old = visitor.token
    make_idle(site, old)
    answer = visitor.fetch(path)
    assert row_of(site, old) is None
    assert row_of(site, new_token(answer))


def test_a_refused_request_renews_nothing(site):
    visitor = site.signed_in()
    make_idle(site, visitor.token)
    assert visitor.fetch("/admin/page.html").status_code == 403
    assert row_of(site, visitor.token)


def test_a_dead_session_is_asked_to_sign_in(site):
    visitor = site.signed_in()
    site.gatehouse.query("UPDATE user_session SET idle_expires = 1e12")
    answer = visitor.navigate("/page.html")
    assert answer.status_code == 200 and "password" in answer.text
    assert [is_removal(line) for line in session_cookies(answer)] == [True]


def test_a_foreign_post_is_refused_and_touches_no_cookie(site):
    visitor = site.signed_in()
    answer = visitor.fetch("/app/show.php", method="POST", data=b"x", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 401 and session_cookies(answer) == []
    own = visitor.fetch("/app/show.php", method="POST", data=b"x", headers={"Origin": site.url})
    assert own.status_code == 200


def test_a_disabled_user_is_out_at_once(site):
    site.gatehouse.add_user("dora")
    visitor = site.signed_in("dora")
    assert visitor.fetch("/page.html").status_code == 200
    site.gatehouse.run("user", "disable", "dora", check=0)
    assert visitor.fetch("/page.html").status_code == 401


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_gatehouse_down_or_frozen_is_503_and_never_the_page(track):
    site = track(CheckSite())
    visitor = site.signed_in()
    for path in ("/page.html", "/public/page.html", "/app/show.php", "/auth/login"):
        assert visitor.fetch(path).status_code == 200
    site.gatehouse.process.send_signal(signal.SIGSTOP)
    try:
        for path in ("/page.html", "/public/page.html", "/app/show.php"):
            answer = visitor.fetch(path)
            assert (answer.status_code, set_cookies(answer)) == (503, []), path
            assert answer.headers["Retry-After"]
    finally:
        site.gatehouse.process.send_signal(signal.SIGCONT)
    site.gatehouse.stop()
    for path in ("/page.html", "/public/page.html", "/app/show.php", "/auth/login"):
        answer = visitor.fetch(path)
        assert (answer.status_code, set_cookies(answer)) == (503, []), path


def test_a_missing_store_is_503_and_touches_no_cookie(track):
    site = track(CheckSite())
    visitor = site.signed_in()
    site.gatehouse.database.rename(site.gatehouse.folder / "away")
    answer = visitor.fetch("/page.html")
    assert (answer.status_code, set_cookies(answer)) == (503, [])
    (site.gatehouse.folder / "away").rename(site.gatehouse.database)
    assert visitor.fetch("/page.html").text == "a page"
