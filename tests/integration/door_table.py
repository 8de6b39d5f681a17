"""The table of decisions: who comes × what the route of the page says. One rule gives what every door must do of it; a
door is a site with `url`, `gatehouse` and `guests` whose pages tell, as JSON {"env": {…}}, what their script saw."""

import dataclasses
import hashlib
import secrets
import string
import time
import urllib.parse

from visitor import NAVIGATION, Form, Visitor, is_removal, session_cookies

HOUR = 3600 * 1000

PAGES = {
    "public": "/public/show.php",
    "authenticated": "/app/show.php",
    "role": "/staff/show.php",
    "another role": "/admin/show.php",
    "deny": "/closed/show.php",
    "unmatched": "/elsewhere/show.php",
}
RULES = [
    {"path": "/public/**", "access": "public"},
    {"path": "/app/**", "access": "authenticated"},
    {"path": "/staff/**", "access": "authenticated", "require": {"roles": ["staff"]}},
    {"path": "/admin/**", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/closed/**", "access": "deny"},
]
# Every user has the role of /staff and not the one of /admin.
USER = {"name": "Alice Example", "email": "alice@example.org", "roles": "staff,ops"}
VISITORS = ["anonymous", "valid", "idle", "dead", "revoked", "disabled", "foreign"]


def routes(**more):
    return [{**rule, **(more if rule["access"] != "deny" else {})} for rule in RULES]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a visitor got. `user` and `state` are what the script saw, `cookie` what became of the session's."""

    decision: str  # let in | asked to sign in | refused
    user: str | None = None
    state: str | None = None
    cookie: str = "untouched"  # untouched | renewed | removed


def wanted(visitor, page):
    """The rule, for doors that hand our cookies to the visitor."""
    signed_in = visitor in ("valid", "idle")
    if page in ("deny", "unmatched") or (page == "another role" and signed_in):
        decision = "refused"
    elif page == "public" or signed_in:
        decision = "let in"
    else:
        decision = "asked to sign in"
    seen = signed_in and decision == "let in"
    cookie = "untouched"
    if visitor in ("dead", "revoked", "disabled"):
        cookie = "removed"
    if visitor == "idle" and decision == "let in":
        cookie = "renewed"
    return Outcome(decision, "alice" if seen else None, "active" if seen else None, cookie)


# ── visitors ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Guests:
    """Makes the visitors of the table, with sessions that are there already."""

    def __init__(self, gatehouse):
        self.gatehouse = gatehouse
        rows = gatehouse.query("SELECT id FROM user WHERE username = 'alice'")
        self.alice = rows[0]["id"] if rows else gatehouse.add_user("alice", **USER)
        robin, dora = gatehouse.add_user("robin", **USER), gatehouse.add_user("dora", **USER)
        self._tokens = {
            "anonymous": None,
            "valid": self.session(self.alice),
            "dead": self.session(self.alice, active=-2 * HOUR, idle=-HOUR),
            "revoked": self.session(robin),
            "disabled": self.session(dora),
            "foreign": self.session(self.alice),
        }
        gatehouse.run("session", "revoke", "--user", "robin", check=0)
        # `user disable` would end the sessions too, and then they were the ones before.
        gatehouse.query("UPDATE user SET disabled = 1 WHERE id = ?", dora)

    def session(self, user_id, active=HOUR, idle=2 * HOUR):
        """A session's row; its end as active and as idle, from now. Returns the token."""
        token = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(40))
        now = int(time.time() * 1000)
        row = (row_id(token), user_id, now + active, now + idle, now - 3 * HOUR, secrets.token_hex(16), now - 3 * HOUR)
        self.gatehouse.query(
            "INSERT INTO user_session (id, user_id, active_expires, idle_expires, created_at, family, last_used_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *row,
        )
        return token

    def token(self, visitor):
        return self.session(self.alice, active=-HOUR, idle=HOUR) if visitor == "idle" else self._tokens[visitor]


def row_id(token):
    return hashlib.sha256(token.encode()).hexdigest()


# ── what they get ───────────────────────────────────────────────────────────────────────────────────────────────────

PROGRAM = {"Accept": "*/*"}
KINDS = {"a program": PROGRAM, "a browser": NAVIGATION}


def outcomes(site, visitor):
    """Sends the visitor to every page, as a program and as a browser. Returns (page, kind) → Outcome."""
    # A browser's POST from another site is no navigation: only a program's makes sense.
    kinds = ["a program"] if visitor == "foreign" else list(KINDS)
    return {(page, kind): outcome(site, visitor, page, kind) for page in PAGES for kind in kinds}


def outcome(site, visitor, page, kind):
    path, token = PAGES[page], site.guests.token(visitor)
    answer = ask(site, visitor, path, kind, token)
    decision, env = read(answer, path)
    return Outcome(
        decision, env.get("REMOTE_USER"), env.get("GATEHOUSE_SESSION_STATE"), cookie(site.gatehouse, answer, token)
    )


def ask(site, visitor, path, kind, token):
    person = Visitor(site.url)
    person.token = token
    headers = dict(KINDS[kind])
    if visitor == "foreign":
        return person.request("POST", path, {**headers, "Origin": "https://evil.example"}, data=b"x")
    return person.request("GET", path, headers)


def read(answer, path):
    """The decision, and the variables of the script if it ran."""
    if answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json"):
        return "let in", answer.json()["env"]
    if answer.status_code == 403:
        return "refused", {}
    assert answer.status_code == 401 or return_path(answer) == path, f"{answer.status_code} {answer.text}"
    return "asked to sign in", {}


def return_path(answer):
    """Where the login leads back to, whether the visitor was sent to it or shown it."""
    if answer.status_code == 200:
        return Form(answer.text).fields.get("rd")
    login = urllib.parse.urlsplit(answer.headers.get("Location", ""))
    assert answer.status_code == 302 and login.path == "/auth/login", f"{answer.status_code} {answer.text}"
    rd = urllib.parse.parse_qs(login.query)["rd"][0]
    return urllib.parse.urlsplit(rd).path


def cookie(gatehouse, answer, token):
    lines = session_cookies(answer)
    if not lines:
        return "untouched"
    assert len(lines) == 1, lines
    if is_removal(lines[0]):
        return "removed"
    new = lines[0].split(";")[0].partition("=")[2]
    rows = gatehouse.query("SELECT id FROM user_session WHERE id IN (?, ?)", row_id(token), row_id(new))
    assert new != token and [row["id"] for row in rows] == [row_id(new)], "the successor takes the place of the old one"
    return "renewed"
