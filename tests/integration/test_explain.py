"""gatehouse explain: what it says of a request is what the check door does with it."""

import json

import pytest

from fastcgi import FastCgi, get

ROUTES = [
    {"path": "/public/**", "access": "public"},
    {"path": "/secret/**", "hosts": ["admin.example.org"], "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/form", "methods": ["POST"], "access": "authenticated"},
    {"path": "/form", "access": "public"},
    {"path": "/admin.php", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/closed/**", "access": "deny"},
    {"path": "/app/**", "access": "authenticated", "require": {"roles": ["staff"], "email": ["*@example.org"]}},
    {"path": "/admin.php/**", "access": "public"},
]


@pytest.fixture
def site(gatehouse):
    gatehouse.config["routes"] = ROUTES
    gatehouse.write_config()
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice", email="alice@example.org", name="Alice", roles="staff")
    gatehouse.add_user("root", email="root@example.org", roles="admin")
    gatehouse.add_user("bob", email="bob@elsewhere.example", roles="staff")
    gatehouse.start()
    yield gatehouse
    gatehouse.stop()


def explained(site, method, url, user=None):
    options = ["--user", user] if user else []
    return json.loads(site.run("explain", method, url, "--json", *options, check=0).stdout)


def cookie_of(site, user):
    lines = site.post_login(user).all_headers("Set-Cookie")
    return next(line.split(";")[0] for line in lines if line.startswith("session="))


def checked(site, method, url, cookie):
    """The status that the check door has for it."""
    host, path = url.removeprefix("https://").split("/", 1) if url.startswith("https://") else ("x", url[1:])
    params = get(
        "/auth/check",
        ("SCRIPT_NAME", "/auth/check"),
        ("REQUEST_URI", "/" + path),
        ("GATEHOUSE_METHOD", method),
        ("HTTP_HOST", host),
        *([("HTTP_COOKIE", cookie)] if cookie else []),
    )
    with FastCgi(site.socket) as connection:
        return int(connection.request(params).status)


CASES = [
    ("GET", "/public/x", 1),
    ("GET", "/app/x", 7),
    ("GET", "/app/%2e%2e/closed/x?app", 6),
    ("GET", "//app//x", 7),
    ("GET", "https://admin.example.org/secret/x", 2),
    ("GET", "https://other.example.org/secret/x", None),
    ("GET", "/form", 4),
    ("POST", "/form", 3),
    ("GET", "/admin.php/x", 8),
    ("GET", "/nowhere", None),
]


def test_it_says_what_the_check_door_does(site):
    for user in (None, "alice", "root", "bob"):
        cookie = cookie_of(site, user) if user else None
        for method, url, number in CASES:
            said = explained(site, method, url, user)
            assert said["status"] == checked(site, method, url, cookie), (user, method, url)
            assert (said["route"] or {}).get("number") == number, (user, method, url)
            assert (said["decision"] == "allowed") == (said["status"] == 200)
            assert said["decision"] == "allowed" or said["reason"]


def test_it_names_the_rule_of_the_script_that_would_run(site):
    said = explained(site, "GET", "/admin.php/x", "alice")
    assert [rule["number"] for rule in said["script_routes"]] == [5]
    assert said["status"] == 403


def test_it_shows_what_would_be_injected(site):
    said = explained(site, "GET", "/app/x", "alice")
    expected = {"REMOTE_USER": "alice", "Remote-User": "alice", "Remote-Name": "Alice", "Remote-Groups": "staff"}
    assert {name: said["injected"].get(name) for name in expected} == expected
    nobody = explained(site, "GET", "/public/x")
    assert nobody["injected"] == {name: "" for name in ("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups")}
    assert explained(site, "GET", "/closed/x", "alice")["injected"] == {}


def test_a_disabled_user_is_nobody(site):
    site.run("user", "disable", "alice", check=0)
    said = explained(site, "GET", "/public/x", "alice")
    assert said["decision"] == "allowed" and "REMOTE_USER" not in said["injected"]
    assert explained(site, "GET", "/app/x", "alice")["status"] == 401
    assert said["user"]["disabled"] is True


def test_endpoints_and_what_nobody_serves(site):
    assert explained(site, "GET", "/auth/login")["decision"] == "endpoint"
    assert explained(site, "GET", "/auth/nothing")["status"] == 404
    for method in ("TRACE", "CONNECT"):
        assert explained(site, method, "/public/x")["decision"] == "denied", method
    for url in ("/a%00b", "/a%2fb", "/..", "relative", "/a%zz", "ftp://x/y", "https://u@x/y"):
        said = explained(site, "GET", url)
        assert (said["decision"], said["status"]) == ("denied", 400), url
    assert explained(site, "", "/public/x")["status"] == 400


def test_as_text_it_says_the_same(site):
    text = site.run("explain", "GET", "/app/x", "--user", "bob", check=0).stdout
    assert "route" in text and "7: /app/**" in text
    assert "denied, 403: the user does not meet the route's requirements" in text


def test_who_is_not_there_and_a_store_that_is_not_there_are_said(site):
    unknown = site.run("explain", "GET", "/app/x", "--user", "nobody", check=1)
    assert "nobody" in unknown.stderr and unknown.stdout == ""
    site.stop()
    site.database.rename(site.folder / "away")
    assert site.run("explain", "GET", "/app/x", "--user", "alice").returncode == 69
    assert site.run("explain", "GET", "/app/x", check=0).stdout, "without a user no store is asked"
