"""The main job: who is not signed in gets the login page, who is gets the script, and the script knows the name."""

import re
import urllib.parse

import pytest

from visitor import PASSWORD, is_removal, session_cookies


def login_target(answer):
    """The rd of a redirect to the login page."""
    location = urllib.parse.urlsplit(answer.headers["Location"])
    assert location.path == "/auth/login", answer.headers["Location"]
    return urllib.parse.parse_qs(location.query, keep_blank_values=True)["rd"][0]


# ── without a session ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_navigation_goes_to_the_login_page_with_path_and_query(visitor):
    answer = visitor.navigate("/show/x%20y?a=1&b=%2F")
    assert answer.status_code == 302
    assert login_target(answer) == "/show/x%20y?a=1&b=%2F"
    assert "no-store" in answer.headers["Cache-Control"]
    assert not session_cookies(answer)


def test_a_head_navigation_goes_there_too(visitor):
    answer = visitor.request("HEAD", "/show", headers={"Accept": "text/html"})
    assert answer.status_code == 302 and login_target(answer) == "/show"


@pytest.mark.parametrize(
    "method, headers",
    [
        ("GET", {"Accept": "*/*"}),
        ("GET", {"Accept": "application/json"}),
        ("GET", {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}),
        ("GET", {}),
        ("POST", {"Accept": "text/html"}),
        ("PROPFIND", {"Accept": "text/html"}),
    ],
)
def test_anything_else_gets_401(visitor, method, headers):
    answer = visitor.request(method, "/show", headers=headers)
    assert answer.status_code == 401
    assert "Location" not in answer.headers
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_program_gets_a_small_json_body(visitor):
    answer = visitor.fetch("/show", headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"].startswith("application/json")
    assert isinstance(answer.json(), dict) and len(answer.content) < 1000


def test_the_script_does_not_run_for_nobody(site, visitor):
    marker = site.gatehouse.root / "marker"
    script = site.gatehouse.root / "leaves-a-mark"
    script.write_text(f"#!/bin/sh\n: >{marker}\nprintf 'Content-Type: text/plain\\n\\nran'\n")
    script.chmod(0o755)
    visitor.navigate("/leaves-a-mark")
    visitor.fetch("/leaves-a-mark", method="POST", data="x=1")
    assert not marker.exists()
    assert site.signed_in().fetch("/leaves-a-mark").text == "ran"
    assert marker.exists()


def test_a_denied_route_is_403_for_everybody_without_a_redirect(site, visitor):
    assert visitor.navigate("/closed/x").status_code == 403
    assert site.signed_in().navigate("/closed/x").status_code == 403


def test_a_path_without_route_is_denied(new_site):
    site = new_site(routes=[{"path": "/only/**", "access": "public", "downstream": "show"}])
    assert site.visitor().navigate("/other").status_code == 403
    assert site.visitor().navigate("/only/x").status_code == 200


# ── signing in ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sign_in_leads_back_and_the_script_greets_by_name(visitor):
    wanted = login_target(visitor.navigate("/greet?a=1"))
    answer = visitor.sign_in("alice", rd=wanted)
    assert answer.status_code == 303 and answer.headers["Location"] == "/greet?a=1"
    page = visitor.navigate("/greet?a=1")
    assert page.status_code == 200 and page.text == "Hello, alice\n"


def test_the_session_cookie_is_hidden_from_scripts_of_the_page_and_lasts(visitor):
    [line] = session_cookies(visitor.sign_in("alice"))
    value, _, attributes = line.partition(";")
    assert re.fullmatch(r"session=[a-z0-9]{40}", value)
    names = [part.strip().lower() for part in attributes.split(";")]
    assert "httponly" in names and "path=/" in names and "samesite=lax" in names
    assert any(name.startswith("expires=") for name in names)
    assert "secure" not in names and not any(name.startswith("domain") for name in names)


def test_without_remember_the_cookie_ends_with_the_browser(new_site):
    site = new_site(login={"remember": False})
    [line] = session_cookies(site.visitor().sign_in("alice"))
    assert "expires" not in line.lower() and "max-age" not in line.lower()


def test_the_script_sees_the_identity(site, alice):
    env = alice.show()["env"]
    assert env["REMOTE_USER"] == "alice"
    assert env["AUTH_TYPE"] == "Gatehouse"
    assert env["GATEHOUSE_USER_ID"] == site.alice_id
    assert env["GATEHOUSE_SESSION_STATE"] == "active"
    assert env["HTTP_REMOTE_USER"] == "alice"
    assert env["HTTP_REMOTE_NAME"] == "Alice Example"
    assert env["HTTP_REMOTE_EMAIL"] == "alice@example.org"
    assert [role.strip() for role in env["HTTP_REMOTE_GROUPS"].split(",")] == ["staff", "ops"]


def test_a_public_page_knows_who_is_signed_in_and_who_is_not(visitor, alice):
    assert alice.show("/public/x")["env"]["REMOTE_USER"] == "alice"
    env = visitor.show("/public/x")["env"]
    assert "REMOTE_USER" not in env and "AUTH_TYPE" not in env and "GATEHOUSE_USER_ID" not in env
    assert (
        env["HTTP_REMOTE_USER"]
        == env["HTTP_REMOTE_NAME"]
        == env["HTTP_REMOTE_EMAIL"]
        == env["HTTP_REMOTE_GROUPS"]
        == ""
    )


def test_names_outside_ascii_reach_the_script_as_utf8(site):
    site.gatehouse.add_user("zoë", name="Zoë Łukasz 東京")
    env = site.signed_in("zoë").show()["env"]
    assert env["REMOTE_USER"] == "zoë" and env["HTTP_REMOTE_NAME"] == "Zoë Łukasz 東京"


def test_the_session_cookie_is_hidden_from_the_script_and_others_are_not(alice):
    alice.http.cookies.set("theirs", "kept")
    env = alice.show()["env"]
    assert env["HTTP_COOKIE"] == "theirs=kept"
    assert alice.token not in str(env)


def test_without_other_cookies_there_is_no_cookie_variable(alice):
    seen = alice.show(headers={"Cookie": f"session={alice.token}"})["env"]
    assert "HTTP_COOKIE" not in seen


def test_a_role_that_is_missing_is_403_and_not_a_login_page(site, alice):
    answer = alice.navigate("/admin/x")
    assert answer.status_code == 403 and "Location" not in answer.headers and not session_cookies(answer)
    site.gatehouse.add_user("root-of-all", roles="admin")
    assert site.signed_in("root-of-all").show("/admin/x")["env"]["REMOTE_USER"] == "root-of-all"


# ── not signing in ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_password_gets_401_and_the_form_again(visitor):
    answer = visitor.sign_in("alice", "wrong wrong wrong wrong", rd="/greet")
    assert answer.status_code == 401
    assert not session_cookies(answer)
    for field in ("username", "password", "csrf", "rd"):
        assert f'name="{field}"' in answer.text
    assert "wrong wrong" not in answer.text
    assert visitor.fetch("/show").status_code == 401


def test_an_unknown_name_looks_like_a_wrong_password(visitor):
    def page(name):
        answer = visitor.sign_in(name, "wrong wrong wrong wrong")
        text = re.sub(r'name="csrf"[^>]*', "", answer.text).replace(name, "NAME")
        return answer.status_code, re.sub(r"\b[0-9a-f]{16}\b", "ID", text)

    assert page("alice") == page("nobody-of-that-name")


@pytest.mark.parametrize(
    "name, password",
    [
        ("alice", ""),
        ("", PASSWORD),
        ("", ""),
        ("alice", PASSWORD + " "),
        ("alice", PASSWORD.upper()),
        ("ALICE ", PASSWORD),
        ("alice", PASSWORD[:-1]),
        ("alice\0", PASSWORD),
        ("alice", PASSWORD + "\0"),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ],
)
def test_neighbours_of_the_right_password_do_not_fit(visitor, name, password):
    answer = visitor.sign_in(name, password)
    assert answer.status_code in (400, 401) and not session_cookies(answer)


def test_what_was_typed_is_escaped_in_the_page(visitor):
    for text in ('"><svg onload=alert(1)>', "';alert(1)//", "&lt;b&gt;"):
        answer = visitor.sign_in(text, "wrong wrong wrong wrong", rd="/" + text)
        assert (
            "<svg" not in answer.text
            and text not in answer.text.replace("&#39;", "'").replace("&#x27;", "'").split("<form")[0]
        )
        assert '"><svg' not in answer.text


def test_a_password_of_4097_bytes_is_refused_and_one_of_1024_works(site):
    long = "ä" * 512
    site.gatehouse.add_user("longwinded", password=long)
    assert site.visitor().sign_in("longwinded", long).status_code == 303
    assert site.visitor().sign_in("longwinded", long[:-1] + "b").status_code == 401
    assert site.visitor().sign_in("longwinded", "x" * 4097).status_code in (400, 401)


def test_a_huge_form_is_refused(visitor):
    form = visitor.login_form()
    answer = visitor.post("/auth/login", data={**form.fields, "username": "alice", "password": "x" * 1_000_000})
    assert answer.status_code in (400, 413) and not session_cookies(answer)


@pytest.mark.parametrize("change", [{"csrf": None}, {"csrf": ""}, {"csrf": "x" * 43}, {"csrf": "a" * 64}])
def test_without_the_csrf_field_there_is_403_and_a_fresh_form(visitor, change):
    answer = visitor.sign_in("alice", PASSWORD, **change)
    assert answer.status_code == 403
    assert not session_cookies(answer)
    assert re.search(r'name="csrf"', answer.text)
    assert visitor.sign_in("alice", PASSWORD).status_code == 303


def test_the_csrf_field_of_another_visitor_does_not_fit(site):
    mallory, victim = site.visitor(), site.visitor()
    stolen = mallory.login_form().fields["csrf"]
    answer = victim.post("/auth/login", data={"username": "alice", "password": PASSWORD, "rd": "/", "csrf": stolen})
    assert answer.status_code == 403 and not session_cookies(answer)
    victim.login_form()
    answer = victim.post("/auth/login", data={"username": "alice", "password": PASSWORD, "rd": "/", "csrf": stolen})
    assert answer.status_code == 403 and not session_cookies(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "gibberish"},
        {"Origin": "http://127.0.0.1"},  # our host on another port
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": None},
    ],
)
def test_a_login_from_another_origin_is_refused(visitor, headers):
    answer = visitor.sign_in("alice", PASSWORD, headers=headers)
    assert answer.status_code == 403 and not session_cookies(answer)
    assert visitor.fetch("/show").status_code == 401


def test_a_login_over_https_instead_of_http_is_another_origin(site, visitor):
    answer = visitor.sign_in("alice", PASSWORD, headers={"Origin": site.url.replace("http:", "https:")})
    assert answer.status_code == 403


def test_without_origin_sec_fetch_site_decides(visitor):
    assert visitor.sign_in("alice", headers={"Origin": None, "Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_an_allowed_origin_may_sign_in(new_site):
    site = new_site(csrf={"allowed_origins": ["https://portal.example.org"]})
    assert site.visitor().sign_in("alice", headers={"Origin": "https://portal.example.org"}).status_code == 303
    assert site.visitor().sign_in("alice", headers={"Origin": "https://other.example.org"}).status_code == 403


def test_credentials_in_the_address_sign_nobody_in(visitor):
    answer = visitor.navigate(f"/auth/login?username=alice&password={urllib.parse.quote(PASSWORD)}")
    assert answer.status_code == 200 and not session_cookies(answer)
    assert PASSWORD not in answer.text


def test_a_doubled_field_is_refused(visitor):
    form = visitor.login_form()
    body = urllib.parse.urlencode(
        [("username", "bob"), *form.fields.items(), ("username", "alice"), ("password", PASSWORD)]
    )
    answer = visitor.post("/auth/login", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (400, 401, 403) and not session_cookies(answer)


def test_other_methods_at_login_are_405(visitor):
    answer = visitor.request("DELETE", "/auth/login", headers={"Origin": visitor.url})
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["Allow"].split(",")} >= {"GET", "POST"}


def test_guessing_is_slowed_down_the_same_for_every_name(new_site):
    site = new_site(login={"throttle": {"enabled": True}})
    pages = {}
    for name in ("alice", "nobody-of-that-name"):
        visitor, codes = site.visitor(), []
        while not codes or codes[-1] == 401:
            answer = visitor.sign_in(name, "wrong wrong wrong wrong")
            codes.append(answer.status_code)
            assert len(codes) < 100, "nobody slows this down"
        assert codes[-1] == 429 and not session_cookies(answer)
        pages[name] = len(codes), answer.headers.get("Retry-After") is not None
    assert pages["alice"] == pages["nobody-of-that-name"]
    assert site.visitor().sign_in("alice").status_code == 429, "the right password does not tell either"
    site.gatehouse.add_user("bob")
    assert site.visitor().sign_in("bob").status_code == 303, "others are not locked out"


# ── sessions and logins ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_login_has_a_token_of_its_own(site):
    assert len({site.signed_in().token for _ in range(5)}) == 5


def test_signing_in_again_ends_the_session_that_was_presented(site):
    visitor = site.signed_in()
    old = visitor.token
    assert visitor.sign_in("alice").status_code == 303
    assert visitor.token != old
    assert visitor.fetch("/show").status_code == 200
    other = site.visitor()
    other.token = old
    assert other.fetch("/show").status_code == 401


def test_a_token_that_was_never_issued_is_not_adopted(site):
    visitor = site.visitor()
    visitor.token = "a" * 40
    assert visitor.sign_in("alice").status_code == 303
    assert visitor.token != "a" * 40
    other = site.visitor()
    other.token = "a" * 40
    assert other.fetch("/show").status_code == 401


def test_a_token_in_other_places_counts_nothing(site, alice):
    token, visitor = alice.token, site.visitor()
    for attempt in (
        visitor.fetch(f"/show?session={token}"),
        visitor.fetch("/show", headers={"Authorization": f"Bearer {token}"}),
        visitor.fetch("/show", headers={"X-Session": token}),
        visitor.fetch("/show", headers={"Cookie": f"SESSION={token}"}),
        visitor.fetch("/show", headers={"Cookie": f"__Host-session={token}"}),
        visitor.fetch("/show", headers={"Cookie": f"session={token.upper()}"}),
        visitor.fetch("/show", headers={"Cookie": f"session={token}x"}),
        visitor.fetch("/show", headers={"Cookie": f"session=%{ord(token[0]):02x}{token[1:]}"}),
    ):
        assert attempt.status_code == 401


def test_a_disabled_user_is_out_at_once_and_stays_out(site):
    site.gatehouse.add_user("leaver")
    visitor = site.signed_in("leaver")
    site.gatehouse.run("user", "disable", "leaver", check=0)
    answer = visitor.fetch("/show")
    assert answer.status_code == 401 and is_removal(session_cookies(answer)[0])
    assert site.visitor().sign_in("leaver").status_code == 401
    site.gatehouse.run("user", "enable", "leaver", check=0)
    assert site.visitor().sign_in("leaver").status_code == 303


def test_neither_password_nor_token_is_in_the_log(site, alice):
    site.visitor().sign_in("alice", "a password nobody has")
    alice.show()
    log = site.gatehouse.log()
    assert log, "the daemon logs at debug here"
    assert alice.token not in log and PASSWORD not in log and "a password nobody has" not in log
