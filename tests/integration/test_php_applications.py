"""A browser walks through two of Debian's PHP applications: relayed by gatehouse to php-fpm, and run by nginx, which
asks gatehouse before. The same walk over both.

Icinga Web takes its user from REMOTE_USER and has no login. DokuWiki has users, a login and cookies of its own, and
takes the name of a page from PATH_INFO.
"""

import pathlib
import random
import re
import struct
import zlib

import pytest

from browser import Browser
from php_applications import DOORS, WIKI_PASSWORD, WIKI_USER
from visitor import PASSWORD

ICINGA = "/icingaweb2"
WIKI = "/dokuwiki/doku.php"


@pytest.fixture(scope="module", params=DOORS)
def site(request):
    made = DOORS[request.param]()
    made.gatehouse.add_user("bob", roles="staff")
    yield made
    made.close()


@pytest.fixture
def walker(site):
    made = Walker(site)
    yield made
    made.browser.close()


class Walker:
    """Somebody with a browser of their own."""

    def __init__(self, site):
        self.site = site
        self.browser = Browser()

    def open(self, target):
        self.browser.open(self.site.url + target)

    def is_at_the_login(self):
        # Neither application's form for a login has a field of this name.
        return self.browser.has("input[name=username]") and self.browser.has("input[name=password]")

    def sign_in(self, name):
        """At Gatehouse, whose form is in the place of the page that was asked for."""
        assert self.is_at_the_login(), self.browser.text
        self.browser.type("input[name=username]", name)
        self.browser.type("input[name=password]", PASSWORD)
        self.browser.press_enter()
        self.browser.until("!document.querySelector('input[name=username]')", "the page behind the login")

    def sign_out(self, then):
        """At Gatehouse, with such a form as a page of the site may have."""
        form = f"<form id=leave method=post action=/auth/logout><input type=hidden name=rd value={then}></form>"
        self.browser.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{form}'); leave.submit()")
        self.browser.until("document.querySelector('input[name=username]')", "outside")

    def log_in_at_the_wiki(self):
        self.browser.type("#dw__login input[name=u]", WIKI_USER)
        self.browser.type("#dw__login input[name=p]", WIKI_PASSWORD)
        self.browser.press_enter()
        self.browser.until("document.querySelector('.action.logout')", "the wiki's own login")

    def see(self, text):
        self.browser.until(f"document.body.innerText.includes({text!r})", f"the page says {text!r}")

    def cookies_of(self, target):
        """The names of the application's own, which are sent to that address."""
        return {cookie["name"] for cookie in self.browser.cookies(self.site.url + target)} - {"session"}

    def failures(self):
        """What the browser could not load. It asks for the wiki's manifest without cookies, and for an icon that no
        site here has."""
        known = ("manifest.php", "/favicon.ico")
        return [text for level, text in self.browser.log if level == "error" and not any(one in text for one in known)]


# ── Icinga Web: REMOTE_USER ─────────────────────────────────────────────────────────────────────────────────────────


def icinga_user(browser):
    return browser.evaluate("document.querySelector('.user-nav-item > a').lastChild.textContent")


def test_icinga_web_takes_the_user_of_gatehouse_and_has_no_login_of_its_own(site, walker):
    browser = walker.browser
    walker.open(f"{ICINGA}/dashboard/new-dashlet?url=about")
    walker.sign_in("alice")
    assert browser.address == f"{site.url}{ICINGA}/dashboard/new-dashlet?url=about", "back where the link led"
    assert icinga_user(browser) == "alice"

    # Its form has a token that belongs to its own session cookie; its JavaScript sends it.
    browser.type("input[name=dashlet]", "What this is")
    browser.type("input[name=pane]", "Made by alice")
    browser.press("input[name=btn_submit]")
    walker.see("Dashlet created")
    walker.open(ICINGA)
    browser.until("location.pathname.endsWith('/dashboard')", "its first page")
    walker.see("Made by alice")
    walker.see("What this is")
    saved = site.applications.folder / "icingaweb2" / "dashboards" / "alice" / "dashboard.ini"
    assert "What this is" in saved.read_text()

    # It decides by that name itself: alice may, by roles.ini.
    walker.open(f"{ICINGA}/announcements/new")
    assert browser.has("textarea[name=message]")
    assert walker.failures() == []


def test_the_next_user_in_the_same_browser_is_the_next_user_of_icinga_web(site, walker):
    browser = walker.browser
    walker.open(f"{ICINGA}/dashboard")
    walker.sign_in("alice")
    assert icinga_user(browser) == "alice"
    own = walker.cookies_of(ICINGA + "/")
    assert "Icingaweb2" in own, "its own session"
    walker.sign_out(then=f"{ICINGA}/dashboard")
    assert own <= walker.cookies_of(ICINGA + "/"), "which stays when alice is gone"
    walker.open(f"{ICINGA}/account")
    walker.sign_in("bob")
    assert icinga_user(browser) == "bob"
    walker.open(f"{ICINGA}/announcements/new")
    assert "No permission for application/announcements" in browser.text
    assert not browser.has("textarea[name=message]")


# ── DokuWiki: users, forms and uploads of its own ───────────────────────────────────────────────────────────────────


def test_the_wiki_keeps_its_own_login_its_pages_and_what_is_uploaded(site, walker, tmp_path):
    browser, data = walker.browser, site.applications.folder / "wiki-data"
    walker.open("/dokuwiki/")
    walker.sign_in("alice")
    assert browser.address == f"{site.url}{WIKI}/start", "index.php, doku.php, and the name of the page in PATH_INFO"
    assert browser.has(".action.login") and not browser.has(".action.logout"), "alice is nobody to the wiki"
    walker.open(f"{WIKI}/start?do=login")
    walker.log_in_at_the_wiki()
    walker.see("Wiki Walker")

    walker.open(f"{WIKI}/tour/first?do=edit")
    browser.type("#wiki__text", "By way of [[tour:second|another page]].\n\nÄ line & <more>.\n")
    browser.press("#edbtn__save")
    browser.until("document.querySelector('.page a.wikilink2')", "the page with its link")
    assert browser.address == f"{site.url}{WIKI}/tour/first"
    walker.see("Ä line & <more>.")
    assert "Ä line & <more>." in (data / "pages" / "tour" / "first.txt").read_text()

    browser.press(".page a.wikilink2")
    browser.until("location.pathname.endsWith('/tour/second')", "the page that the link leads to")
    walker.see("This topic does not exist yet")

    picture = tmp_path / "picture.png"
    picture.write_bytes(random_png(600))
    assert picture.stat().st_size > 1_000_000
    walker.open(f"{WIKI}/tour/first?do=media&ns=tour&tab_files=upload")
    browser.choose_file("#mediamanager__uploader input[type=file]", picture)
    browser.press("#mediamanager__upload_button")
    browser.until("document.querySelector('.qq-upload-success')", "the wiki says that it has the picture")
    assert (site.applications.media / "tour" / "picture.png").read_bytes() == picture.read_bytes()
    walker.open("/dokuwiki/lib/exe/fetch.php/tour/picture.png")
    assert browser.evaluate("document.images[0].naturalWidth") == 600
    assert walker.failures() == []


def test_who_signs_out_at_gatehouse_is_outside_of_the_wiki_whose_own_login_lasts(site, walker):
    browser = walker.browser
    walker.open(f"{WIKI}/start?do=login")
    walker.sign_in("bob")
    walker.log_in_at_the_wiki()
    own = walker.cookies_of(WIKI)
    assert "DokuWiki" in own, "its own session"
    walker.sign_out(then=f"{WIKI}/start")
    for target in ("/dokuwiki/", f"{WIKI}/start", f"{WIKI}/start?do=edit", "/dokuwiki/lib/exe/fetch.php/wiki/none.png"):
        walker.open(target)
        assert walker.is_at_the_login(), target
    walker.open(f"{WIKI}/start")
    assert own <= walker.cookies_of(WIKI)
    # The application's own login is the application's: whoever comes next with this browser is still logged in there.
    walker.sign_in("alice")
    assert browser.has(".action.logout")
    walker.see("Wiki Walker")


def random_png(width):
    """A picture that does not shrink: width × width pixels of three random bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    noise = random.Random(7)
    lines = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(width))
    head = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 0)) + chunk(b"IEND", b"")


def logged_in_at_the_wiki(site):
    """A visitor without a screen, signed in as alice and logged in as the wiki's own user."""
    visitor = site.signed_in()
    fields = {"do": "login", "id": "start", "sectok": "", "u": WIKI_USER, "p": WIKI_PASSWORD}
    answer = visitor.post(f"{WIKI}/start", data=fields)
    assert answer.status_code in (200, 302), answer.text
    return visitor


def test_a_form_with_a_file_is_taken_by_the_wiki(site):
    """multipart/form-data, which php-fpm takes apart by itself; the token in it is the wiki's."""
    walker = logged_in_at_the_wiki(site)
    manager = "/dokuwiki/lib/exe/mediamanager.php"
    page = walker.navigate(f"{manager}?ns=form")
    token = re.search(r'name="sectok" value="(\w+)"', page.text)[1]
    picture = random_png(300)
    fields = {"sectok": token, "ns": "form", "mediaid": "sent.png"}

    def send(fields):
        return walker.post(f"{manager}?ns=form", data=fields, files={"upload": ("a name.png", picture, "image/png")})

    stored = site.applications.media / "form" / "sent.png"
    send({**fields, "sectok": "0" * 32})
    assert not stored.exists(), "without its token it takes nothing"
    answer = send(fields)
    assert answer.status_code in (200, 302), answer.text
    assert stored.read_bytes() == picture


def test_ranges_and_conditional_requests_are_answered_by_the_wiki_itself(site):
    walker = site.signed_in()
    picture = random_png(200)
    file = site.applications.media / "kept.png"
    file.write_bytes(picture)
    target = "/dokuwiki/lib/exe/fetch.php/kept.png"
    whole = walker.fetch(target)
    assert (whole.status_code, whole.content) == (200, picture)
    part = walker.fetch(target, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, picture[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(picture)}"
    same = walker.fetch(target, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    head = walker.fetch(target, method="HEAD")
    assert (head.status_code, head.headers["Content-Type"], head.content) == (200, "image/png", b"")


# ── what a visitor says about himself ───────────────────────────────────────────────────────────────────────────────

FORGERIES = {
    "nothing": {},
    "an identity header": {"Remote-User": "bob"},
    "an identity header in CGI's spelling": {"REMOTE_USER": "bob", "Redirect-Remote-User": "bob"},
    "Basic": {"Authorization": "Basic Ym9iOng="},
    "the wiki's user by Basic": {"Authorization": "Basic d2Fsa2VyOmEgcGFzc3dvcmQgb2YgdGhlIHdpa2k="},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_a_visitor_calls_himself_changes_nothing(site, forgery):
    headers = FORGERIES[forgery]
    stranger, alice = site.visitor(), site.signed_in()
    for target in (f"{ICINGA}/account", f"{WIKI}/start", "/dokuwiki/lib/exe/ajax.php?call=suggestions&q=a"):
        assert stranger.fetch(target, headers=headers).status_code == 401
    page = alice.fetch(f"{ICINGA}/dashboard", headers=headers)
    assert page.status_code == 200
    assert re.findall(r'user-nav-item">\s*<a[^>]*><i[^>]*></i>([^<]*)</a>', page.text) == ["alice"]
    page = alice.fetch(f"{WIKI}/start", headers=headers)
    assert page.status_code == 200 and "Wiki Walker" not in page.text


FILES = {
    "/icingaweb2/img/icinga-logo.svg": "/usr/share/icingaweb2/public/img/icinga-logo.svg",
    "/icingaweb2/font/ifont.woff2": "/usr/share/icingaweb2/public/font/ifont.woff2",
    "/dokuwiki/lib/images/error.png": "/usr/share/dokuwiki/lib/images/error.png",
    "/dokuwiki/lib/tpl/dokuwiki/images/logo.png": "/var/lib/dokuwiki/lib/tpl/dokuwiki/images/logo.png",
}


@pytest.mark.parametrize("target", FILES)
def test_nginx_serves_the_pictures_and_fonts_of_the_packages(site, target):
    answer = site.signed_in().fetch(target)
    assert (answer.status_code, answer.content) == (200, pathlib.Path(FILES[target]).read_bytes())


@pytest.mark.parametrize("path", ["bin/wantedpages.php", "inc/init.php", "vendor/autoload.php", "install.php"])
def test_what_is_no_page_of_the_wiki_is_closed_to_everybody(site, path):
    assert site.signed_in().fetch(f"/dokuwiki/{path}").status_code == 403
    assert site.visitor().fetch(f"/dokuwiki/{path}").status_code == 403
