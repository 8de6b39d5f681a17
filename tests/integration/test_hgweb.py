"""Mercurial's hgweb, a CGI program in Python that nobody here wrote, behind nginx and Gatehouse.

It decides by REMOTE_USER alone who may read (web.allow_read) and who may push (web.allow_push), so two users who both
have a session get different answers from one URL. hg's own client carries the session in auth.cookiefile.
"""

import pytest

from harness import Site
from programs import Workshop

# Mercurial's own hgweb.cgi, which every site copies and edits. Not read from /usr/share/doc: small images leave it out.
HGWEB_CGI = """#!/usr/bin/python3
config = b"{config}"
from mercurial import demandimport

demandimport.enable()
from mercurial.hgweb import hgweb, wsgicgi

application = hgweb(config)
wsgicgi.launch(application)
"""


class Hg:
    """The hg client of one user, who has signed in, or not at all."""

    def __init__(self, workshop, site, username=None):
        self.workshop, self.site = workshop, site
        self.options = ["--config", "ui.username=Ada <ada@example.org>", "--noninteractive"]
        if username:
            self.options += ["--config", f"auth.cookiefile={workshop.sign_in(site.url, username)}"]

    def __call__(self, *arguments, check=0, cwd=None):
        return self.workshop.run("hg", *self.options, *arguments, check=check, cwd=cwd, HGRCPATH="")

    def commit(self, folder, file, text):
        """Commits the text as that file and returns the changeset's id."""
        (folder / file).write_text(text)
        self("commit", "-A", "-q", "-m", f"{file} is here", cwd=folder)
        return self("log", "-r", ".", "-T", "{node}", cwd=folder).stdout


class Repository:
    """A repository on the server's side; `rules` are lines for the section [web] of its hgrc."""

    def __init__(self, workshop, name, *rules):
        self.workshop, self.folder = workshop, workshop.folder / "hg" / name
        workshop.run("hg", "init", self.folder)
        (self.folder / ".hg" / "hgrc").write_text("\n".join(["[web]", "push_ssl = false", *rules]) + "\n")

    def heads(self):
        return self.workshop.run("hg", "-R", self.folder, "log", "-r", "heads(all())", "-T", "{node}\n").stdout.split()

    def assert_sound(self):
        self.workshop.run("hg", "-R", self.folder, "verify", "-q")


@pytest.fixture(scope="module")
def workshop():
    with Workshop() as made:
        (made.folder / "hg").mkdir()
        (made.folder / "hgweb.config").write_text(f"[paths]\n/ = {made.folder}/hg/*\n")
        program = made.folder / "hgweb.cgi"
        program.write_text(HGWEB_CGI.format(config=f"{made.folder}/hgweb.config"))
        program.chmod(0o755)
        yield made


@pytest.fixture(scope="module")
def site(workshop):
    made = Site(
        downstreams={"hg": {"cgi": {"program": workshop.watched(workshop.folder / "hgweb.cgi")}}},
        routes=[
            {"path": "/hg/**", "access": "authenticated", "downstream": "hg"},
            {"path": "/pub/**", "access": "public", "downstream": "hg"},
        ],
    )
    made.gatehouse.add_user("bob")
    yield made
    made.close()


@pytest.fixture(scope="module")
def alice(workshop, site):
    return Hg(workshop, site, "alice")


@pytest.fixture(scope="module")
def bob(workshop, site):
    return Hg(workshop, site, "bob")


@pytest.fixture(scope="module")
def stranger(workshop, site):
    return Hg(workshop, site)


def cloned(hg, path):
    folder = hg.workshop.folder / f"clone-{len(list(hg.workshop.folder.iterdir()))}"
    hg("clone", "-q", hg.site.url + path, folder)
    return folder


def test_hgweb_lets_alice_push_and_refuses_bob_at_the_same_url(workshop, alice, bob):
    repository = Repository(workshop, "project", "allow_push = alice")
    folder = cloned(alice, "/hg/project")
    first = alice.commit(folder, "readme", "hello\n")
    alice("push", "-q", cwd=folder)
    assert repository.heads() == [first]

    folder = cloned(bob, "/hg/project")
    assert (folder / "readme").read_text() == "hello\n"
    second = bob.commit(folder, "page", "a page\n")
    started = len(workshop.starts())
    assert "authorization" in bob("push", cwd=folder, check=255).stderr
    # It was started for him, and refused him itself.
    assert {start["user"] for start in workshop.starts()[started:]} == {"bob"}
    assert repository.heads() == [first]

    alice("push", "-q", "-R", folder)
    assert repository.heads() == [second]
    repository.assert_sound()


def test_no_header_makes_bob_alice_or_a_stranger_anybody(workshop, site):
    Repository(workshop, "forged", "allow_push = alice")
    forged = {
        "Remote-User": "alice",
        "REMOTE_USER": "alice",
        "Remote.User": "alice",
        "Authorization": "Basic YWxpY2U6eA==",
        "X-Forwarded-User": "alice",
    }
    bob = site.signed_in("bob")
    for visitor, path, user in ((bob, "/hg", "bob"), (bob, "/pub", "bob"), (site.visitor(), "/pub", "")):
        started = len(workshop.starts())
        answer = visitor.fetch(
            f"{path}/forged?cmd=unbundle&heads=666f726365",
            method="POST",
            data=b"HG10UN" + b"\0" * 12,
            headers={**forged, "Content-Type": "application/mercurial-0.1"},
        )
        assert answer.status_code == 401, answer.text
        assert "push not authorized" in answer.reason + answer.text
        assert [start["user"] for start in workshop.starts()[started:]] == [user]


def test_hgweb_shows_a_repository_to_its_readers_alone(workshop, site, alice, bob):
    Repository(workshop, "diary", "allow_read = alice", "allow_push = alice")
    folder = cloned(alice, "/hg/diary")
    alice.commit(folder, "today", "dear diary\n")
    alice("push", "-q", cwd=folder)
    bob("clone", f"{site.url}/hg/diary", workshop.folder / "not-his", check=255)
    seen = {name: site.signed_in(name) for name in ("alice", "bob")}
    assert seen["alice"].fetch("/hg/diary/raw-file/tip/today").text == "dear diary\n"
    refused = seen["bob"].fetch("/hg/diary/raw-file/tip/today")
    assert refused.status_code == 401 and "dear diary" not in refused.text
    # The list of repositories depends on who asks, too.
    assert "diary" in seen["alice"].fetch("/hg/").text and "diary" not in seen["bob"].fetch("/hg/").text


def test_the_pages_of_hgweb(workshop, site, alice):
    Repository(workshop, "pages", "allow_push = alice")
    folder = cloned(alice, "/hg/pages")
    (folder / "a folder").mkdir()
    node = alice.commit(folder, "a folder/50% & more.txt", "found\n")
    alice("push", "-q", cwd=folder)
    visitor = site.signed_in()
    page = visitor.fetch("/hg/pages")
    # hgweb's own reason phrase, which other programs look for.
    assert (page.status_code, page.reason) == (200, "Script output follows")
    for path in ("/shortlog", "/graph", "/file", "/file/tip/a%20folder/", "/rev/tip", "/atom-log", "/help"):
        assert visitor.fetch("/hg/pages" + path).status_code == 200, path
    assert "is here" in visitor.fetch(f"/hg/pages/rev/{node}").text
    assert visitor.fetch("/hg/pages/raw-file/tip/a%20folder/50%25%20%26%20more.txt").content == b"found\n"
    assert visitor.fetch("/hg/pages/static/style-paper.css").headers["Content-Type"].startswith("text/css")
    # A page that the browser has already.
    tag = page.headers["ETag"]
    assert visitor.fetch("/hg/pages", headers={"If-None-Match": tag}).status_code == 304


def test_without_a_session_401_and_hgweb_is_never_started(workshop, site, stranger, alice):
    Repository(workshop, "closed", "allow_push = *")
    started = len(workshop.starts())
    url = f"{site.url}/hg/closed"
    folder = workshop.folder / "outside"
    workshop.run("hg", "init", folder)
    stranger.commit(folder, "file", "text\n")
    for command in (["clone", url, "stolen"], ["id", url], ["push", url]):
        assert "authorization" in stranger(*command, cwd=folder, check=255).stderr
    for target in ("/hg/closed", "/hg/", "/hg/closed?cmd=capabilities"):
        assert site.visitor().fetch(target).status_code == 401
    assert workshop.starts()[started:] == []
    alice("id", url)  # and the note is not blind
    assert workshop.starts()[started:] != []
