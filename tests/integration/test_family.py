"""Every web server × door × visitor × language: the status, the headers, the cookies, and what the script saw."""

import contextlib

import pytest

from door_table import KINDS, PAGES, VISITORS, Guests, Outcome, ask, cookie, read
from family import DOORS, paths, readme_table
from harness import TREE
from visitor import session_cookies, set_cookies

IDENTITY = {
    "REMOTE_USER": "alice",
    "HTTP_REMOTE_USER": "alice",
    "HTTP_REMOTE_NAME": "Alice Example",
    "HTTP_REMOTE_EMAIL": "alice@example.org",
    "HTTP_REMOTE_GROUPS": "staff,ops",
    "GATEHOUSE_SESSION_STATE": "active",
}


@pytest.fixture(scope="module")
def doors():
    """Opens each door when it is first asked for, and closes it before the next."""
    opened = {}
    with contextlib.ExitStack() as stack:

        def door(name):
            if name not in opened:
                stack.pop_all().close()
                opened.clear()
                site = stack.enter_context(contextlib.closing(DOORS[name].open()))
                site.guests = Guests(site.gatehouse)
                opened[name] = site
            return opened[name]

        yield door


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("name", DOORS)
def test_everybody_gets_what_the_table_says_in_every_language(doors, name, visitor):
    door, site = DOORS[name], doors(name)
    # A browser's POST from another site is no navigation: only a program's makes sense.
    kinds = ["a program"] if visitor == "foreign" else list(KINDS)
    for page in PAGES:
        want = door.wanted(visitor, page)
        for kind in kinds:
            for language, path in paths(page).items():
                where = (name, visitor, page, kind, language)
                token = site.guests.token(visitor)
                answer = ask(site, visitor, path, kind, token)
                decision, env = read(answer, path)
                state = env.get("GATEHOUSE_SESSION_STATE") or None
                user = env.get("REMOTE_USER") or None
                assert Outcome(decision, user, state, cookie(site.gatehouse, answer, token)) == want, where
                assert answer.status_code == door.status(want, kind), where
                assert_clean(answer, where)
                if decision == "let in":
                    assert_told(env, want, site, token, where)


def assert_clean(answer, where):
    """Nothing of what servers say to each other reaches the visitor, and nothing with a session is kept in a cache."""
    said = [name.lower() for name in answer.headers]
    assert not [name for name in said if name.startswith(("variable-", "x-gatehouse-"))], (where, said)
    assert "www-authenticate" not in said, where
    assert len(session_cookies(answer)) <= 1, where
    if set_cookies(answer):
        assert "no-store" in answer.headers["Cache-Control"], where


def assert_told(env, want, site, token, where):
    identity = IDENTITY if want.user else dict.fromkeys(IDENTITY, "")
    assert {name: env.get(name, "") for name in identity} == identity, where
    alice = site.guests.alice if want.user else ""
    assert env.get("GATEHOUSE_USER_ID", "") == alice, where
    # A server that runs the script itself cannot cut the session out of the visitor's cookies.
    assert token is None or [name for name, value in env.items() if token in str(value)] in ([], ["HTTP_COOKIE"]), where


def test_the_readme_has_this_table():
    assert readme_table() in (TREE / "README.md").read_text(), "python3 tests/integration/family.py prints it"
