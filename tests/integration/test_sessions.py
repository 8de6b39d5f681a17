"""The life of a session, seen from outside. Time is moved by editing the rows beside the running daemon."""

import concurrent.futures
import hashlib
import time

import pytest

import harness
from fastcgi import get
from visitor import is_removal, session_cookies, set_cookies

DAY = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def site():
    """The standard one with a grace that does not run out while a test looks at something else."""
    made = harness.Site(session={"rotation_grace": "1h"})
    yield made
    made.close()


def session_id(token):
    return hashlib.sha256(token.encode()).hexdigest()


def now():
    return int(time.time() * 1000)


def row_of(site, token):
    rows = site.gatehouse.query("SELECT * FROM user_session WHERE id = ?", session_id(token))
    return rows[0] if rows else None


def make_idle(site, token):
    site.gatehouse.query("UPDATE user_session SET active_expires = ? WHERE id = ?", now() - 1000, session_id(token))


def with_token(site, token):
    visitor = site.visitor()
    visitor.token = token
    return visitor


def ask(site, token, path="/show", **more):
    """One request with that cookie and no memory, so that a new cookie does not replace it."""
    return with_token(site, token).fetch(path, **more)


def new_token(answer):
    [line] = session_cookies(answer)
    return line.split(";")[0].partition("=")[2]


# ── rows and states ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_row_holds_a_digest_and_the_configured_periods(site, alice):
    row = row_of(site, alice.token)
    assert row["user_id"] == site.alice_id
    assert row["active_expires"] - row["created_at"] == DAY
    assert row["idle_expires"] - row["active_expires"] == 14 * DAY
    assert abs(now() - row["created_at"]) < 60_000
    assert row["parent"] is None and row["family"] and row["address"] == "127.0.0.1"
    assert alice.token not in str(site.gatehouse.query("SELECT * FROM user_session"))


def test_an_active_session_sets_no_cookie(alice):
    assert session_cookies(alice.fetch("/show")) == []


def test_a_dead_session_is_refused_and_its_cookie_expired(site, alice):
    site.gatehouse.query(
        "UPDATE user_session SET active_expires = ?, idle_expires = ? WHERE id = ?",
        now() - 2000,
        now() - 1000,
        session_id(alice.token),
    )
    answer = alice.fetch("/show")
    assert answer.status_code == 401
    assert is_removal(session_cookies(answer)[0])


def test_idle_expires_alone_decides_death(site, alice):
    site.gatehouse.query("UPDATE user_session SET idle_expires = ? WHERE id = ?", now() - 1000, session_id(alice.token))
    assert alice.fetch("/show").status_code == 401


def test_past_the_absolute_lifetime_it_is_dead(site, alice):
    site.gatehouse.query(
        "UPDATE user_session SET created_at = ? WHERE id = ?", now() - 91 * DAY, session_id(alice.token)
    )
    answer = alice.fetch("/show")
    assert answer.status_code == 401 and is_removal(session_cookies(answer)[0])


def test_an_unknown_token_is_refused_and_its_cookie_expired(site):
    answer = ask(site, "a" * 40)
    assert answer.status_code == 401 and is_removal(session_cookies(answer)[0])


def test_a_row_that_another_program_deleted_is_refused_at_once(site, alice):
    assert alice.fetch("/show").status_code == 200
    site.gatehouse.query("DELETE FROM user_session WHERE id = ?", session_id(alice.token))
    assert alice.fetch("/show").status_code == 401


def test_a_row_whose_user_is_gone_is_no_session(site):
    site.gatehouse.add_user("shortlived")
    visitor = site.signed_in("shortlived")
    site.gatehouse.query("DELETE FROM user WHERE username = 'shortlived'")
    assert visitor.fetch("/show").status_code == 401


def test_expiries_in_seconds_are_no_session_and_leave_the_cookie(site, alice):
    site.gatehouse.query(
        "UPDATE user_session SET active_expires = ?, idle_expires = ? WHERE id = ?",
        now() // 1000 + 86400,
        now() // 1000 + 1_000_000,
        session_id(alice.token),
    )
    answer = alice.fetch("/show")
    assert answer.status_code == 401 and session_cookies(answer) == []


def test_expiries_of_another_programs_periods_are_valid(site, alice):
    site.gatehouse.query(
        "UPDATE user_session SET active_expires = ?, idle_expires = ? WHERE id = ?",
        now() + 200 * DAY,
        now() + 300 * DAY,
        session_id(alice.token),
    )
    assert alice.fetch("/show").status_code == 200


def test_a_change_of_the_user_counts_with_the_next_request(site):
    site.gatehouse.add_user("promoted", roles="staff")
    visitor = site.signed_in("promoted")
    assert visitor.fetch("/admin/x").status_code == 403
    site.gatehouse.query("UPDATE user SET roles = 'staff,admin', name = 'Changed' WHERE username = 'promoted'")
    env = visitor.show("/admin/x")["env"]
    assert env["HTTP_REMOTE_NAME"] == "Changed"


# ── cookies that are none ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "a" * 39,
        "a" * 41,
        "A" * 40,
        "a" * 39 + "-",
        "a" * 39 + "%00",
        "../" + "a" * 37,
        "ä" * 20,
        "' OR 1=1 --",
        '"',
        "a" * 4000,
        "deleted",
        "null",
        "0",
    ],
)
def test_a_malformed_cookie_is_none_and_is_left_alone(site, value):
    answer = site.raw_get("/show", b"Cookie: session=" + value.encode())
    assert answer.status == 401
    assert answer.headers.get_all("Set-Cookie") is None


def test_two_different_values_are_no_session_in_either_order(site, alice):
    token, other = alice.token, site.signed_in().token
    for lines in (
        [f"Cookie: session={token}; session={other}"],
        [f"Cookie: session={other}; session={token}"],
        [f"Cookie: session={token}; session=x"],
        [f"Cookie: session=x; session={token}"],
        [f"Cookie: session={token}; session="],
        [f"Cookie: session={token}", f"Cookie: session={other}"],
        [f"Cookie: session={'b' * 40}", f"Cookie: session={token}"],
    ):
        answer = site.raw_get("/show", *lines)
        assert answer.status == 401, lines
        assert answer.headers.get_all("Set-Cookie") is None, lines
    assert alice.fetch("/show").status_code == 200


def test_the_cookie_is_found_among_others_and_in_a_second_line(site, alice):
    for lines in (
        [f"Cookie: a=1; session={alice.token}; b=2"],
        ["Cookie: a=1", f"Cookie: session={alice.token}"],
        [f"Cookie: session={alice.token}; session={alice.token}"],
        [f"Cookie: a; =b; ;;  session = {alice.token} ;"],
        [f'Cookie: session="{alice.token}"'],
    ):
        assert site.raw_get("/show", *lines).status == 200, lines


def test_a_very_large_cookie_header_is_no_500(site):
    with site.fastcgi() as connection:
        answer = connection.request(get("/show", ("HTTP_COOKIE", "; ".join(f"c{n}=x" for n in range(5000)))))
    assert answer.status in (401, 431)


# ── renewal ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_idle_session_gets_a_successor(site, alice):
    old, before = alice.token, row_of(site, alice.token)
    make_idle(site, old)
    answer = alice.fetch("/show")
    assert answer.status_code == 200 and answer.json()["env"]["REMOTE_USER"] == "alice"
    new = new_token(answer)
    assert new != old and alice.token == new
    row = row_of(site, new)
    assert row_of(site, old) is None
    assert (
        row["family"] == before["family"]
        and row["created_at"] == before["created_at"]
        and row["parent"] == session_id(old)
    )
    assert row["active_expires"] >= now() + DAY - 60_000
    again = alice.fetch("/show")
    assert again.status_code == 200 and session_cookies(again) == []
    assert again.json()["env"]["GATEHOUSE_SESSION_STATE"] == "active"
    assert row_of(site, new)["parent"] is None


def test_the_old_cookie_answers_with_the_same_successor_within_the_grace(site, alice):
    old = alice.token
    make_idle(site, old)
    first = new_token(ask(site, old))
    for _ in range(3):
        answer = ask(site, old)
        assert answer.status_code == 200 and new_token(answer) == first
    assert ask(site, first).status_code == 200  # presents the successor: the grace begins
    answer = ask(site, old)
    assert answer.status_code == 200 and new_token(answer) == first


def test_without_presentation_the_old_cookie_keeps_answering(site, alice):
    # The answer that carried the successor was lost: nobody may be locked out by that, however long it takes.
    old = alice.token
    make_idle(site, old)
    successor = new_token(ask(site, old))
    site.gatehouse.query("UPDATE rotated_session SET rotated_at = ? WHERE id = ?", now() - 3 * DAY, session_id(old))
    assert new_token(ask(site, old)) == successor


def test_reuse_after_the_grace_ends_the_whole_family(site, alice):
    old = alice.token
    make_idle(site, old)
    new = new_token(ask(site, old))
    assert ask(site, new).status_code == 200
    assert site.gatehouse.query("SELECT successor_seen_at FROM rotated_session WHERE id = ?", session_id(old))[0][
        "successor_seen_at"
    ]
    site.gatehouse.query(
        "UPDATE rotated_session SET successor_seen_at = ? WHERE id = ?", now() - 2 * 3600 * 1000, session_id(old)
    )
    answer = ask(site, old)
    assert answer.status_code == 401
    answer = ask(site, new)
    assert answer.status_code == 401 and is_removal(session_cookies(answer)[0])
    assert row_of(site, new) is None


def test_an_old_cookie_past_its_own_end_is_dead(site, alice):
    old = alice.token
    make_idle(site, old)
    new = new_token(ask(site, old))
    site.gatehouse.query("UPDATE rotated_session SET idle_expires = ? WHERE id = ?", now() - 1000, session_id(old))
    assert ask(site, old).status_code == 401
    assert ask(site, new).status_code == 200


def test_a_chain_of_rotations_leads_to_the_live_end(site, alice):
    tokens = [alice.token]
    for _ in range(4):
        make_idle(site, tokens[-1])
        tokens.append(new_token(ask(site, tokens[-1])))
        assert ask(site, tokens[-1]).status_code == 200
    for token in tokens[:-1]:
        answer = ask(site, token)
        assert answer.status_code == 200 and new_token(answer) == tokens[-1]


def test_a_renewal_that_meets_a_logout_ends_logged_out(site):
    site.gatehouse.add_user("racer")
    for _ in range(15):
        visitor = site.signed_in("racer")
        old = visitor.token
        user = row_of(site, old)["user_id"]
        make_idle(site, old)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pages = [pool.submit(ask, site, old, "/greet") for _ in range(4)]
            out = pool.submit(with_token(site, old).sign_out)
            pages += [pool.submit(ask, site, old, "/greet") for _ in range(3)]
            assert out.result().status_code == 303
            tokens = {old} | {
                new_token(page.result())
                for page in pages
                if page.result().status_code == 200 and session_cookies(page.result())
            }
        assert site.gatehouse.query("SELECT id FROM user_session WHERE user_id = ?", user) == []
        for token in tokens:
            assert ask(site, token).status_code == 401


def test_a_refused_request_renews_nothing(site, alice):
    make_idle(site, alice.token)
    before = row_of(site, alice.token)
    for path in ("/admin/x", "/closed/x"):
        answer = ask(site, alice.token, path)
        assert answer.status_code == 403 and session_cookies(answer) == []
    assert row_of(site, alice.token) == before


def test_a_foreign_origin_hides_the_session_and_leaves_it_alone(site, alice):
    make_idle(site, alice.token)
    before = row_of(site, alice.token)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = ask(site, alice.token, method="POST", data=b"x", headers=headers)
        assert answer.status_code == 401 and session_cookies(answer) == [], headers
        public = ask(site, alice.token, "/public/x", method="POST", data=b"x", headers=headers)
        assert "REMOTE_USER" not in public.json()["env"] and session_cookies(public) == []
    assert row_of(site, alice.token) == before


def test_programs_without_origin_may_post_to_pages(alice):
    assert alice.fetch("/show", method="POST", data=b"x").json()["env"]["REMOTE_USER"] == "alice"
    assert alice.fetch("/show", method="POST", data=b"x", headers={"Origin": alice.url}).status_code == 200


def test_a_foreign_origin_is_no_matter_for_reading(alice):
    assert alice.fetch("/show", headers={"Origin": "https://evil.example"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/status?404", "/status?500", "/status?304", "/redirect?https://example.org/", "/cookies", "/silent"]
)
def test_the_renewed_cookie_is_added_whatever_the_status(site, alice, path):
    make_idle(site, alice.token)
    answer = alice.fetch(path)
    assert len(session_cookies(answer)) == 1, answer.status_code
    if path == "/cookies":
        assert len(set_cookies(answer)) == 3
    assert alice.fetch("/show").status_code == 200


def test_a_public_page_renews_too(site, alice):
    make_idle(site, alice.token)
    answer = alice.fetch("/public/x")
    assert answer.json()["env"]["REMOTE_USER"] == "alice" and len(session_cookies(answer)) == 1


def test_an_answer_that_sets_our_cookie_is_not_for_caches(site, alice):
    make_idle(site, alice.token)
    answer = alice.fetch("/greet")
    assert session_cookies(answer) and "no-store" in answer.headers.get("Cache-Control", "")


def test_extend_moves_the_expiries_of_the_same_id(new_site):
    site = new_site(session={"renewal": "extend"})
    visitor = site.signed_in()
    token = visitor.token
    make_idle(site, token)
    answer = visitor.fetch("/show")
    assert answer.status_code == 200 and new_token(answer) == token
    row = row_of(site, token)
    assert row["active_expires"] >= now() + DAY - 60_000
    assert site.gatehouse.query("SELECT * FROM rotated_session") == []
    again = visitor.fetch("/show")
    assert session_cookies(again) == []


def test_beyond_max_per_user_the_oldest_ends(new_site):
    site = new_site(session={"max_per_user": 2})
    first, second, third = (site.signed_in() for _ in range(3))
    assert [v.fetch("/show").status_code for v in (first, second, third)] == [401, 200, 200]


# ── the session endpoint ────────────────────────────────────────────────────────────────────────────────────────────


def test_session_tells_user_and_session_but_never_the_token(site, alice):
    answer = alice.fetch("/auth/session")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert "no-store" in answer.headers["Cache-Control"]
    told = answer.json()
    assert set(told) == {"user", "session"}
    assert told["user"]["username"] == "alice" and told["user"]["id"] == site.alice_id
    assert alice.token not in answer.text and session_id(alice.token) not in answer.text
    assert "argon2" not in answer.text


def test_session_does_not_extend(site, alice):
    make_idle(site, alice.token)
    before = row_of(site, alice.token)
    answer = alice.fetch("/auth/session")
    assert answer.status_code == 200 and session_cookies(answer) == []
    assert row_of(site, alice.token) == before


def test_session_of_nobody_is_401(visitor):
    assert visitor.fetch("/auth/session").status_code == 401


def test_session_is_only_read(alice):
    answer = alice.post("/auth/session")
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"]
