"""Signing out: everywhere, at once, and never by accident or at another site's wish."""

import pytest

from visitor import is_removal, session_cookies


def other_with(site, token):
    visitor = site.visitor()
    visitor.token = token
    return visitor


def test_after_logout_the_script_is_closed_and_the_cookie_dead_from_a_second_client(site, alice):
    token = alice.token
    answer = alice.sign_out()
    assert answer.status_code == 303 and answer.headers["Location"] == "/"
    [line] = session_cookies(answer)
    assert is_removal(line)
    names = [part.strip().lower() for part in line.split(";")]
    assert "path=/" in names and "httponly" in names and "samesite=lax" in names
    assert "no-store" in answer.headers["Cache-Control"]
    assert alice.navigate("/show").status_code == 302
    assert other_with(site, token).fetch("/show").status_code == 401


def test_the_row_is_gone_before_the_answer(site, alice):
    before = {row["id"] for row in site.gatehouse.query("SELECT id FROM user_session")}
    other = site.signed_in()
    during = {row["id"] for row in site.gatehouse.query("SELECT id FROM user_session")}
    other.sign_out()
    assert {row["id"] for row in site.gatehouse.query("SELECT id FROM user_session")} == before
    assert len(during) == len(before) + 1
    assert alice.fetch("/show").status_code == 200


def test_where_to_go_afterwards_can_be_asked_for(alice):
    assert alice.sign_out(data={"rd": "/public/bye?x=1"}).headers["Location"] == "/public/bye?x=1"


def test_where_to_go_afterwards_can_be_configured(new_site):
    site = new_site(logout={"redirect": "/public/goodbye"})
    assert site.signed_in().sign_out().headers["Location"] == "/public/goodbye"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_end_nothing(alice, method):
    answer = alice.request(method, "/auth/logout", headers={"Origin": alice.url, "Accept": "text/html"})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert not session_cookies(answer)
    assert alice.fetch("/show").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "not an origin"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": "anything"},
        {"Origin": None, "Sec-Fetch-Site": None},
        {"Origin": None, "Sec-Fetch-Site": None, "Content-Type": "text/plain"},
        {"Origin": None, "Sec-Fetch-Site": None, "Referer": "https://evil.example/"},
    ],
)
def test_a_foreign_or_unknown_origin_is_403_and_still_signed_in(alice, headers):
    answer = alice.sign_out(data={"all": "1"}, headers=headers)
    assert answer.status_code == 403
    assert not session_cookies(answer)
    assert alice.fetch("/show").status_code == 200


def test_two_origins_that_differ_are_400_or_403_and_end_nothing(site, alice):
    answer = site.raw_get(
        "/auth/logout",
        f"Cookie: session={alice.token}",
        f"Origin: {site.url}",
        "Origin: https://evil.example",
        "Content-Length: 0",
        method="POST",
    )
    assert answer.status in (400, 403)
    assert alice.fetch("/show").status_code == 200


def test_without_origin_sec_fetch_site_same_origin_is_enough(alice):
    assert alice.sign_out(headers={"Origin": None, "Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert alice.fetch("/show").status_code == 401


def test_a_program_gets_an_empty_object(site, alice):
    token = alice.token
    answer = alice.sign_out(headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 200 and answer.json() == {}
    assert answer.headers["Content-Type"].startswith("application/json")
    assert is_removal(session_cookies(answer)[0])
    assert other_with(site, token).fetch("/show").status_code == 401


def test_without_a_session_the_answer_is_the_same(visitor):
    answer = visitor.sign_out()
    assert answer.status_code == 303 and answer.headers["Location"] == "/"
    assert visitor.sign_out(headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors"}).json() == {}


def test_a_dead_session_signs_out_like_a_live_one(site, alice):
    token = alice.token
    alice.sign_out()
    answer = other_with(site, token).sign_out()
    assert answer.status_code == 303 and answer.headers["Location"] == "/"


def test_only_this_login_ends_and_with_all_every_one_of_the_user(site):
    site.gatehouse.add_user("bob")
    first, second, third = (site.signed_in("bob") for _ in range(3))
    stranger = site.signed_in("alice")
    first.sign_out()
    assert second.fetch("/show").status_code == 200
    second.sign_out(data={"all": "1"})
    assert second.fetch("/show").status_code == 401
    assert third.fetch("/show").status_code == 401
    assert stranger.fetch("/show").status_code == 200


def test_logout_with_a_rotated_token_ends_its_successor(new_site):
    site = new_site()
    visitor = site.signed_in()
    old = visitor.token
    site.gatehouse.query("UPDATE user_session SET active_expires = created_at - 1")
    assert visitor.fetch("/show").status_code == 200
    new = visitor.token
    assert new != old
    assert other_with(site, old).sign_out().status_code == 303
    assert other_with(site, new).fetch("/show").status_code == 401
    assert other_with(site, old).fetch("/show").status_code == 401
    assert site.gatehouse.query("SELECT * FROM user_session") == []


def test_logout_with_the_successor_ends_the_rotated_token(new_site):
    site = new_site()
    visitor = site.signed_in()
    old = visitor.token
    site.gatehouse.query("UPDATE user_session SET active_expires = created_at - 1")
    assert visitor.fetch("/show").status_code == 200
    assert visitor.sign_out().status_code == 303
    assert other_with(site, old).fetch("/show").status_code == 401


def test_a_body_that_is_too_large_is_refused_and_ends_nothing(alice):
    answer = alice.sign_out(data={"rd": "/" + "x" * 1_000_000})
    assert answer.status_code in (400, 413)
    assert alice.fetch("/show").status_code == 200


def test_the_sign_out_button_of_a_page_behind_works(site, alice):
    # What a browser sends for <form method="post" action="/auth/logout"> without fields: no body, a length of 0.
    answer = alice.post("/auth/logout", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 303
    assert alice.navigate("/show").status_code == 302
