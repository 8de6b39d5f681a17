"""The pages of a site whose web server serves them by itself, and what a visitor's target leads to there: the path that
is decided is the path that is served. Web servers read a few targets differently; each reading is named."""

import json

import door_table
from check_site import SHOW

PAGES = {
    **{path.strip("/"): SHOW for path in door_table.PAGES.values()},
    **{f"{folder}/page.html": f"a page of {folder}" for folder in ("public", "app", "admin", "closed")},
    "public/100% of a #1 {b} ä.html": "a special page",
    "public/a?b.html": "a questionable page",
    "public/folder/index.html": "a public index",
    "app/hidden/index.html": "a hidden index",
    "app/secret.php": SHOW,
    "admin/index.php": SHOW,
    "exact/100%.html": "an exact page",
    "exact/100%25.html": "another page",
}
ROUTES = [
    {"path": "/app/hidden/index.html", "access": "deny"},
    {"path": "/app/secret.php", "access": "authenticated", "require": {"roles": ["admin"]}},
    {"path": "/exact/100%.html", "access": "public"},
    *door_table.routes(),
]


def send(site, target, *lines, signed_in=False, server=1, method="GET"):
    """What a program gets, with the site's `token` or without. `server` listens on 127.0.0.N."""
    cookie = [f"Cookie: session={site.token}"] if signed_in else []
    return site.raw_get(target, "Accept: */*", *cookie, *lines, method=method, address=f"127.0.0.{server}")


# ── who comes with what ─────────────────────────────────────────────────────────────────────────────────────────────

# Whatever the routes say: an open page, with and without a session, and a closed one.
CASES = [("/public/show.php", False), ("/public/show.php", True), ("/app/show.php", True)]
# Names that no visitor may say to an application.
OWNED = [
    *("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"),
    *("X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State", "Proxy", "Authorization"),
    "Redirect-Status",
]
# A page of every decision, with and without a session, and what is right.
DECIDED = [
    ("/public/page.html", False, 200),
    ("/app/page.html", False, 401),
    ("/app/page.html", True, 200),
    ("/admin/page.html", False, 401),
    ("/admin/page.html", True, 403),
    ("/closed/page.html", True, 403),
]
# What web servers and Gatehouse tell each other: of a visitor it moves no decision.
OPEN = "/public/show.php"
INTERNAL = {
    "X-Original-URI": OPEN,
    "X-Original-Method": "GET",
    "X-Original-Proto": "https",
    "X-Original-URL": OPEN,
    "X-Rewrite-URL": OPEN,
    "X-Forwarded-Uri": OPEN,
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.9",
    "X-Forwarded-Prefix": "/public",
    "X-Gatehouse-Path": OPEN,
    "X-Gatehouse-Method": "GET",
    "X-Gatehouse-Cookies": "0",
    "X-Gatehouse-User": "alice",
    "Gatehouse-Path": OPEN,
    "Gatehouse-Method": "GET",
    "Gatehouse-Cookies": "0",
    "Gatehouse-Mount": "1",
    "Script-Name": "/auth/login",
    "Path-Info": OPEN,
    "Request-Uri": OPEN,
    "Request-Method": "GET",
    "Document-Uri": OPEN,
    "X-Accel-Redirect": OPEN,
    "Variable-Remote-User": "alice",
    "Remote-User": "alice",
    "Remote-Groups": "admin",
    "Connection": "X-Original-Method",
    "Upgrade": "websocket",
    "Content-Type": "text/html",
    "Range": "bytes=0-0",
    "If-None-Match": '"x"',
}


def address_of_who_says_another(site):
    """What Gatehouse notes of a visitor who signs in and names an address that is not his own; and the visitor."""
    visitor = site.visitor()
    visitor.http.headers.update(
        {"X-Forwarded-For": "192.0.2.9", "X-Real-IP": "192.0.2.9", "Forwarded": "for=192.0.2.9"}
    )
    assert visitor.sign_in("alice").status_code == 303
    [row] = site.gatehouse.query("SELECT address FROM user_session ORDER BY created_at DESC LIMIT 1")
    return row["address"], visitor


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────

PUBLIC, APP = "a page of public", "a page of app"
OPEN_SCRIPT, APP_SCRIPT = (OPEN, ""), ("/app/show.php", "")
# Target → what nobody and what alice gets: a status, the text of the page, or SCRIPT_NAME and PATH_INFO of the script.
TARGETS = {
    "/public/page.html": (PUBLIC, PUBLIC),
    "/public//page.html": (PUBLIC, PUBLIC),
    "/public/./page.html": (PUBLIC, PUBLIC),
    "//public/page.html": (PUBLIC, PUBLIC),
    "/%70ublic/%70age.html": (PUBLIC, PUBLIC),
    "/publi%63/page.htm%6C": (PUBLIC, PUBLIC),
    "/admin/../public/page.html": (PUBLIC, PUBLIC),
    "/admin/%2e%2e/public/page.html": (PUBLIC, PUBLIC),
    "/admin/..%2fpublic/page.html": (PUBLIC, PUBLIC),
    "/public/page.html?/admin/page.html": (PUBLIC, PUBLIC),
    "/public/100%25%20of%20a%20%231%20%7Bb%7D%20%C3%A4.html": ("a special page", "a special page"),
    "/app/page.html": (401, APP),
    "//app/page.html": (401, APP),
    "/./app/page.html": (401, APP),
    "/%61pp/page.html": (401, APP),
    "/public/../app/page.html": (401, APP),
    "/public/%2e%2e/app/page.html": (401, APP),
    "/public/%2E./app/page.html": (401, APP),
    "/public;/../app/page.html": (401, APP),
    "/public/page.html/../../app/page.html": (401, APP),
    "/app/page.html?/public/page.html": (401, APP),
    "/admin/page.html": (401, 403),
    "//admin/page.html": (401, 403),
    "///admin///page.html": (401, 403),
    "/admin/./page.html": (401, 403),
    "/%61dmin/page.html": (401, 403),
    "/public/../admin/page.html": (401, 403),
    "/public/%2e%2e/admin/page.html": (401, 403),
    "/app/../public/../admin/page.html": (401, 403),
    "/auth/login/../../admin/page.html": (401, 403),
    "/admin/page.html?x=/public/": (401, 403),
    "/admin/": (401, 403),
    "/admin": (401, 403),
    # Odd ones, which two programs may read differently.
    "/public/..;/admin/page.html": (403, 403),
    "/public/..%3b/admin/page.html": (403, 403),
    "/public/..\\admin/page.html": (403, 403),
    "/public/%5c../admin/page.html": (403, 403),
    "/public/..%5cadmin/page.html": (403, 403),
    "/public/%0a": (403, 403),
    "/public/%0d%0aX-Original-URI:%20/public/page.html": (403, 403),
    "/admin/%0d%0aX-Original-URI:%20/public/page.html": (403, 403),
    "/public/%0d%0aX-Forwarded-Uri:%20/public/page.html": (403, 403),
    "/admin/%0d%0aX-Forwarded-Uri:%20/public/page.html": (403, 403),
    "/admin/page.html%0d%0a%0d%0aGET%20/auth/check/public/page.html%20HTTP/1.1": (403, 403),
    "/public/page.html%09": (403, 403),
    "/public/%7f": (403, 403),
    # The web server refuses by itself.
    "/public/%": (400, 400),
    "/public/%zz": (400, 400),
    "/public/%u002e": (400, 400),
    # Never decoded twice, never folded, no pattern: names of files that are not there, below rules that say so.
    "/public/%252e%252e/admin/page.html": (404, 404),
    "/public/%252fpage.html": (404, 404),
    "/public/page.html%20": (404, 404),
    "/public/%20page.html": (404, 404),
    "/public/page.html%3f": (404, 404),
    "/public/p*.html": (404, 404),
    "/public/pag%3f.html": (404, 404),
    "/public/%5bp%5dage.html": (404, 404),
    "/public/{path}": (404, 404),
    "/adm*n/page.html": (403, 403),
    "/PUBLIC/page.html": (403, 403),
    "/%c0%ae%c0%ae/app/page.html": (403, 403),
    "/exact/100%25.html": ("an exact page", "an exact page"),
    "/exact/100%2525.html": (403, 403),
    # The index page is decided too.
    "/public/folder/": ("a public index", "a public index"),
    "/app/hidden/index.html": (403, 403),
    "/elsewhere/page.html": (403, 403),
    # The script that is decided is the one that runs.
    "/public/show.php": (OPEN_SCRIPT, OPEN_SCRIPT),
    "/public/show.php/a/b": ((OPEN, "/a/b"), (OPEN, "/a/b")),
    "/public/show.php/admin/show.php": ((OPEN, "/admin/show.php"), (OPEN, "/admin/show.php")),
    "/public/show.php/%252e%252e/admin/show.php": ((OPEN, "/%2e%2e/admin/show.php"), (OPEN, "/%2e%2e/admin/show.php")),
    "/public//show.php//x": ((OPEN, "/x"), (OPEN, "/x")),
    "/admin/show.php/../../public/show.php": (OPEN_SCRIPT, OPEN_SCRIPT),
    "/public/show.php/../../app/show.php": (401, APP_SCRIPT),
    "/app/show.php?/public/": (401, APP_SCRIPT),
    "/app/show.php/public/show.php": (401, ("/app/show.php", "/public/show.php")),
    "/public/page.html/x.php": (403, 403),
    "/public/missing.php": (404, 404),
    "/public/missing": (404, 404),
    "/public/show.php%0a": (403, 403),
    # And its rule binds, however it is called.
    "/app/secret.php": (401, 403),
    "/app/secret.php/": (401, 403),
    "/app/secret.php/x/y": (401, 403),
    "/app//secret.php/x": (401, 403),
}
# What a web server reads, or decides, in a way of its own.
TARGETS_OF = {
    "nginx": {
        # It decodes them and goes on; the login does not promise to lead back to what two programs read differently.
        "/public/..%2fapp/page.html": (400, APP),
        "/public%2f..%2fapp/page.html": (400, APP),
        "/public/..%2fadmin/page.html": (400, 403),
        "/public/%2e%2e%2fadmin/page.html": (400, 403),
        "/auth/login%2f..%2f..%2fadmin/page.html": (400, 403),
        # It refuses by itself.
        "/../admin/page.html": (400, 400),
        "/public/../../admin/page.html": (400, 400),
        "/public/page.html%00": (400, 400),
        "/public/%00/../admin/page.html": (400, 400),
        # It cuts a fragment off.
        "/public/page.html#/admin/page.html": (PUBLIC, PUBLIC),
        "/public/page.html/": (404, 404),
        "/public/a%3Fb.html": ("a questionable page", "a questionable page"),
        # The first server answers for every name.
        "http://evil.example/admin/page.html": (401, 403),
        "http://evil.example/public/page.html": (PUBLIC, PUBLIC),
        # It asks about the folder, and about the index page as well.
        "/app/hidden/": (401, 403),
        "/app/hidden": (401, 301),
        "/public/show.php/..%2f..%2fapp/show.php": (400, APP_SCRIPT),
        "/public/show.php%00.html": (400, 400),
        "/public/show.php/a%20b%3F": ((OPEN, "/a b?"), (OPEN, "/a b?")),
        "/app/show.php/": (401, ("/app/show.php", "/")),
    },
    "caddy": {
        "/public/..%2fapp/page.html": (401, APP),
        "/public%2f..%2fapp/page.html": (401, APP),
        "/public/..%2fadmin/page.html": (401, 403),
        "/public/%2e%2e%2fadmin/page.html": (401, 403),
        "/auth/login%2f..%2f..%2fadmin/page.html": (401, 403),
        "/../admin/page.html": (401, 403),
        "/public/../../admin/page.html": (401, 403),
        "/public/page.html%00": (403, 403),
        "/public/%00/../admin/page.html": (403, 403),
        "/public/page.html#/admin/page.html": (404, 404),
        # It redirects to the file, and its try_files takes a '?' in a name for the beginning of a query.
        "/public/page.html/": (308, 308),
        "/public/a%3Fb.html": (404, 404),
        # It has no site of that name and says nothing.
        "http://evil.example/admin/page.html": ("", ""),
        "http://evil.example/public/page.html": ("", ""),
        # It asks about the index page only.
        "/app/hidden/": (403, 403),
        "/app/hidden": (401, 308),
        "/public/show.php/..%2f..%2fapp/show.php": (401, APP_SCRIPT),
        "/public/show.php%00.html": (403, 403),
        # Its try_files takes the last '/' off, escapes a '?' and leaves that in.
        "/app/show.php/": (401, APP_SCRIPT),
        "/public/show.php/a%20b%3F": ((OPEN, "/a b\\?"), (OPEN, "/a b\\?")),
    },
    "apache": {
        # It knows no path with an escaped slash or zero byte.
        "/admin/..%2fpublic/page.html": (404, 404),
        "/public/..%2fapp/page.html": (404, 404),
        "/public%2f..%2fapp/page.html": (404, 404),
        "/public/..%2fadmin/page.html": (404, 404),
        "/public/%2e%2e%2fadmin/page.html": (404, 404),
        "/auth/login%2f..%2f..%2fadmin/page.html": (404, 404),
        "/public/show.php/..%2f..%2fapp/show.php": (404, 404),
        "/public/page.html%00": (404, 404),
        # What was asked for is decided, too, and cannot be read.
        "/public/%00/../admin/page.html": (403, 403),
        "/public/show.php%00.html": (404, 404),
        # It refuses by itself.
        "/../admin/page.html": (400, 400),
        "/public/../../admin/page.html": (400, 400),
        "/public/page.html#/admin/page.html": (400, 400),
        "/public/page.html/": (404, 404),
        "/public/page.html/x.php": (404, 404),
        "/public/a%3Fb.html": ("a questionable page", "a questionable page"),
        # Which host's routes are meant, the target's or those of the Host line, is not guessed.
        "http://evil.example/admin/page.html": (403, 403),
        "http://evil.example/public/page.html": (403, 403),
        # It asks about the folder, and about the index page as well.
        "/app/hidden/": (401, 403),
        "/app/hidden": (401, 301),
        "/public/show.php/a%20b%3F": ((OPEN, "/a b?"), (OPEN, "/a b?")),
        "/app/show.php/": (401, ("/app/show.php", "/")),
    },
    "lighttpd": {
        # It serves what it decodes, but the visitor's path is decided as well.
        "/admin/..%2fpublic/page.html": (403, 403),
        "/public/..%2fapp/page.html": (403, 403),
        "/public%2f..%2fapp/page.html": (403, 403),
        "/public/..%2fadmin/page.html": (403, 403),
        "/public/%2e%2e%2fadmin/page.html": (403, 403),
        "/auth/login%2f..%2f..%2fadmin/page.html": (403, 403),
        "/public/show.php/..%2f..%2fapp/show.php": (403, 403),
        "/../admin/page.html": (403, 403),
        "/public/../../admin/page.html": (403, 403),
        "/public/page.html#/admin/page.html": (403, 403),
        # It does not refuse these by itself, or it does.
        "/public/%": (403, 403),
        "/public/%zz": (403, 403),
        "/public/%u002e": (403, 403),
        "/public/%0a": (400, 400),
        "/public/%7f": (400, 400),
        "/public/page.html%09": (400, 400),
        "/public/page.html%00": (400, 400),
        "/public/%00/../admin/page.html": (400, 400),
        "/public/show.php%0a": (400, 400),
        "/public/show.php%00.html": (400, 400),
        "/%c0%ae%c0%ae/app/page.html": (400, 400),
        "/public/%0d%0aX-Original-URI:%20/public/page.html": (400, 400),
        "/admin/%0d%0aX-Original-URI:%20/public/page.html": (400, 400),
        "/public/%0d%0aX-Forwarded-Uri:%20/public/page.html": (400, 400),
        "/admin/%0d%0aX-Forwarded-Uri:%20/public/page.html": (400, 400),
        "/admin/page.html%0d%0a%0d%0aGET%20/auth/check/public/page.html%20HTTP/1.1": (400, 400),
        "http://evil.example/admin/page.html": (400, 400),
        "http://evil.example/public/page.html": (400, 400),
        # A file is sent for what lies below it, too.
        "/public/page.html/": (PUBLIC, PUBLIC),
        "/public/page.html/x.php": (PUBLIC, PUBLIC),
        "/public/a%3Fb.html": ("a questionable page", "a questionable page"),
        # It asks about the folder only, and says nowhere which index page it will take.
        "/app/hidden/": (401, "a hidden index"),
        "/app/hidden": (401, 301),
        "/public/show.php/a%20b%3F": ((OPEN, "/a b?"), (OPEN, "/a b?")),
        "/app/show.php/": (401, ("/app/show.php", "/")),
    },
}


_AMBIGUOUS = [
    "/public/..;/admin/page.html",
    "/public/..%3b/admin/page.html",
    "/public/..\\admin/page.html",
    "/public/%5c../admin/page.html",
    "/public/..%5cadmin/page.html",
    "/public/%0a",
    "/public/%0d%0aX-Original-URI:%20/public/page.html",
    "/admin/%0d%0aX-Original-URI:%20/public/page.html",
    "/public/%0d%0aX-Forwarded-Uri:%20/public/page.html",
    "/admin/%0d%0aX-Forwarded-Uri:%20/public/page.html",
    "/admin/page.html%0d%0a%0d%0aGET%20/auth/check/public/page.html%20HTTP/1.1",
    "/public/page.html%09",
    "/public/%7f",
    "/public/show.php%0a",
    "http://evil.example/admin/page.html",
]
TARGETS_OF["apache with mod_fcgid"] = {
    **TARGETS_OF["apache"],
    # The login that is shown in the place of a refusal reads the visitor's target once more, as any page of ours.
    **dict.fromkeys(
        [*_AMBIGUOUS, "/public/%00/../admin/page.html"]
        + [f"http://evil.example/{folder}/page.html" for folder in ("admin", "public")],
        (400, 400),
    ),
    # It cannot know that the index page was refused, and not the folder.
    "/app/hidden/": (401, 401),
}


def targets_of(server):
    """The table for that web server."""
    return {**TARGETS, **TARGETS_OF[server]}


def served(site, target):
    """What nobody and what alice gets."""
    return tuple(_served(send(site, target, signed_in=signed_in)) for signed_in in (False, True))


def _served(answer):
    if answer.status != 200:
        return answer.status
    if answer.headers["Content-Type"] != "application/json":
        return answer.body.decode()
    env = json.loads(answer.body)["env"]
    return env["SCRIPT_NAME"], env.get("PATH_INFO", "")
