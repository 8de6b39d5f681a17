"""git's own client and git-http-backend, strangers to us, with nginx and Gatehouse between them.

The configuration is conf/examples, as shipped. git-http-backend decides by REMOTE_USER: without it a push is refused.
Its program is watched: a small shell script notes the start and becomes git-http-backend, so no note is no start.
"""

import hashlib
import os
import shutil
import socket

import pytest

from harness import LONG, wait_until
from programs import Workshop
from test_sessions import make_idle

MIB = 1024 * 1024
BLOB = 100 * MIB
# KiB that the gateway may grow by while a hundred MiB pass through it.
ALLOWANCE = 8 * 1024
WHO = {name: "Ada" for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")} | {
    name: "ada@example.org" for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
}


class Git:
    """The git client of one user, who has signed in with conf/examples/sign-in or not at all."""

    def __init__(self, workshop, site, username=None):
        self.workshop, self.site = workshop, site
        self.cookies = workshop.sign_in(site.url, username) if username else None

    def __call__(self, *arguments, check=0, cwd=None, **environment):
        settings = ["core.compression=0", "core.bigFileThreshold=1m", "gc.auto=0"]
        if self.cookies:
            settings += [f"http.cookieFile={self.cookies}", "http.saveCookies=true"]
        options = [part for setting in settings for part in ("-c", setting)]
        # Without a terminal git gives up where it would ask for a name and a password.
        environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", **WHO, **environment}
        return self.workshop.run("git", *options, *arguments, check=check, cwd=cwd, **environment)

    def clone(self, path, name, **more):
        """Clones and returns the folder."""
        folder = self.workshop.folder / name
        self("clone", "-q", self.site.url + path, folder, **more)
        return folder

    def commit(self, folder, file, data):
        """Commits the data as that file and returns the commit's id."""
        (folder / file).write_bytes(data)
        self("add", file, cwd=folder)
        self("commit", "-q", "-m", f"{file} is here", cwd=folder)
        return self("rev-parse", "HEAD", cwd=folder).stdout.strip()


class Repository:
    """A bare repository on the server's side, looked at without any gateway."""

    def __init__(self, workshop, path):
        self.workshop, self.folder = workshop, workshop.folder / path
        self.folder.parent.mkdir(exist_ok=True)
        workshop.run("git", "init", "-q", "--bare", "-b", "main", self.folder)
        # A big blob in a pack, uncompressed: it is random. And a log of who pushed.
        for setting in ("receive.unpackLimit=1", "core.compression=0", "core.logAllRefUpdates=always"):
            self.git("config", *setting.split("="))

    def git(self, *arguments, **more):
        return self.workshop.run("git", "-C", self.folder, *arguments, **more).stdout.strip()

    def head(self):
        return self.git("for-each-ref", "--format=%(objectname)", "refs/heads/main")

    def branches(self):
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()

    def assert_sound(self):
        result = self.workshop.run("git", "-C", self.folder, "fsck", "--full", "--strict", "--no-progress")
        assert (result.stdout, result.stderr) == ("", "")


@pytest.fixture(scope="module")
def workshop():
    with Workshop() as made:
        yield made


@pytest.fixture(scope="module")
def site(workshop):
    """nginx passes a push on while it comes, as conf/examples/git.nginx has it."""
    made = workshop.git_site()
    made.gatehouse.add_user("bob", roles="staff")
    yield made
    made.close()


@pytest.fixture(scope="module")
def buffered_site(workshop):
    """nginx takes all of a push before Gatehouse hears of it."""

    def edit(text):
        assert "fastcgi_request_buffering off;" in text
        return text.replace("fastcgi_request_buffering off;", "fastcgi_request_buffering on;")

    made = workshop.git_site(edit)
    yield made
    made.close()


@pytest.fixture(scope="module")
def alice(workshop, site):
    return Git(workshop, site, "alice")


@pytest.fixture(scope="module")
def stranger(workshop, site):
    return Git(workshop, site)


@pytest.fixture(scope="module")
def project(workshop, alice):
    """/git/project.git with one commit, pushed by alice."""
    repository = Repository(workshop, "git/project.git")
    folder = alice.clone("/git/project.git", "first")
    alice.commit(folder, "readme", b"hello\n")
    alice("push", "-q", "origin", "main", cwd=folder)
    return repository


def logged(workshop, site, count, is_wanted):
    """The requests of that kind, once nginx has logged so many."""

    def enough():
        found = [one for one in workshop.requests(site) if is_wanted(one)]
        return found if len(found) >= count else None

    return wait_until(enough, f"nginx logs {count} requests")


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_alice_clones_and_pushes_and_git_knows_that_it_is_she(workshop, alice, project):
    folder = alice.clone("/git/project.git", "work")
    started = len(workshop.starts())
    commit = alice.commit(folder, "page", b"a page\n")
    alice("push", "-q", "origin", "main", cwd=folder)
    assert project.head() == commit
    project.assert_sound()
    assert {start["user"] for start in workshop.starts()[started:]} == {"alice"}
    # git-http-backend makes its committer from REMOTE_USER and REMOTE_ADDR.
    assert project.git("reflog", "-1", "--format=%gn <%ge>", "refs/heads/main") == "alice <alice@http.127.0.0.1>"
    again = alice.clone("/git/project.git", "again")
    assert (again / "page").read_bytes() == b"a page\n"


FORGERIES = {
    "nothing": [],
    "a cookie that was never issued": ["http.extraHeader=Cookie: session=" + "a" * 40],
    "an identity header": ["http.extraHeader=Remote-User: alice"],
    "an identity header in CGI's spelling": ["http.extraHeader=REMOTE_USER: alice"],
    "Basic": ["http.extraHeader=Authorization: Basic YWxpY2U6eA=="],
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_without_a_session_401_and_git_is_never_started(workshop, site, stranger, alice, project, forgery):
    agent = f"who brings {forgery}"
    settings = [part for setting in [f"http.userAgent={agent}", *FORGERIES[forgery]] for part in ("-c", setting)]
    folder = workshop.folder / "first"
    started, head = len(workshop.starts()), project.head()
    url = f"{site.url}/git/project.git"
    for command in (["clone", url, "stolen"], ["ls-remote", url], ["push", url, "HEAD:refs/heads/stolen"]):
        result = stranger(*settings, *command, cwd=folder, check=128)
        assert "terminal prompts disabled" in result.stderr, result.stderr  # what git makes of a 401
    # The uploads that a client makes without asking first.
    visitor = site.visitor()
    for service in ("git-upload-pack", "git-receive-pack"):
        answer = visitor.fetch(
            f"/git/project.git/{service}",
            method="POST",
            data=b"0000",
            headers={"Content-Type": f"application/x-{service}-request", "User-Agent": agent},
        )
        assert answer.status_code == 401
    # nginx may wait for 5 seconds for the rest of a refused body, and logs the request after that, or when we go.
    visitor.http.close()
    answers = logged(workshop, site, 5, lambda one: one["agent"] == agent)
    assert {one["status"] for one in answers} == {"401"}
    assert workshop.starts()[started:] == []
    assert project.head() == head and project.branches() == ["main"]
    alice("ls-remote", url)  # and the note is not blind
    assert workshop.starts()[started:] != []


def test_who_may_push_to_a_public_repository_is_decided_by_git_itself_from_remote_user(workshop, site, stranger, alice):
    repository = Repository(workshop, "git-public/open.git")
    folder = alice.clone("/pub/open.git", "open")
    commit = alice.commit(folder, "readme", b"for everybody\n")
    url = f"{site.url}/pub/open.git"
    started = len(workshop.starts())
    for settings in FORGERIES.values():
        options = [part for setting in settings for part in ("-c", setting)]
        refused = stranger(*options, "push", url, "main", cwd=folder, check=128)
        assert "error: 403" in refused.stderr, refused.stderr
    # It was started, and found no user.
    starts = workshop.starts()[started:]
    assert starts and {start["user"] for start in starts} == {""}
    assert repository.branches() == []
    alice("push", "-q", url, "main", cwd=folder)
    assert repository.head() == commit
    assert (stranger.clone("/pub/open.git", "open-again") / "readme").read_bytes() == b"for everybody\n"


def test_a_pre_receive_hook_decides_by_remote_user_and_groups(workshop, site, alice):
    repository = Repository(workshop, "git/guarded.git")
    hook = repository.folder / "hooks" / "pre-receive"
    hook.write_text(
        '#!/bin/sh\ncase ",$HTTP_REMOTE_GROUPS," in *,ops,*) ;; *) echo "not $REMOTE_USER"; exit 1 ;; esac\n'
    )
    hook.chmod(0o755)
    bob = Git(workshop, site, "bob")
    folder = bob.clone("/git/guarded.git", "guarded")
    commit = bob.commit(folder, "readme", b"bob was here\n")
    refused = bob("push", "origin", "main", cwd=folder, check=1)
    assert "remote: not bob" in refused.stderr and "pre-receive hook declined" in refused.stderr
    assert repository.branches() == []
    alice("push", "-q", "origin", "main", cwd=folder)
    assert repository.head() == commit


def test_git_keeps_the_successor_of_an_idle_session(workshop, site, project):
    alice = Git(workshop, site, "alice")

    def token():
        line = next(line for line in alice.cookies.read_text().splitlines() if "\tsession\t" in line)
        return line.split("\t")[6]

    old = token()
    make_idle(site, old)
    alice.clone("/git/project.git", "renewed")
    successor = token()
    assert len(successor) == 40 and successor != old
    assert alice.cookies.stat().st_mode & 0o777 == 0o600
    alice("ls-remote", f"{site.url}/git/project.git")
    assert token() == successor


def test_sign_in_with_a_wrong_password_leaves_no_cookie_file(workshop, site):
    before = sorted(workshop.folder.iterdir())
    with pytest.raises(AssertionError, match="refused with 401"):
        workshop.sign_in(site.url, "alice", "wrong horse battery staple")
    assert sorted(workshop.folder.iterdir()) == before


# ── what passes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_compressed_request_reaches_git_as_it_is(workshop, alice, project):
    folder = alice.clone("/git/project.git", "busy")
    # Commits that the server has never heard of: the client names them, and compresses what is longer than 1024 bytes.
    for number in range(80):
        alice("commit", "-q", "--allow-empty", "-m", f"mine {number}", cwd=folder)
    other = alice.clone("/git/project.git", "other")
    commit = alice.commit(other, "news", b"news\n")
    alice("push", "-q", "origin", "main", cwd=other)
    started = len(workshop.starts())
    alice("fetch", "-q", "origin", cwd=folder)
    assert "gzip" in {start["encoding"] for start in workshop.starts()[started:]}
    assert alice("rev-parse", "origin/main", cwd=folder).stdout.strip() == commit


def test_the_dumb_protocol_reads_files_of_the_repository(alice, project):
    project.git("update-server-info")
    folder = alice.clone("/git/project.git", "dumb", GIT_SMART_HTTP="0")
    assert alice("rev-parse", "HEAD", cwd=folder).stdout.strip() == project.head()


def test_a_push_that_breaks_off_changes_nothing_and_leaves_no_process(workshop, site, alice, project):
    folder = alice.clone("/git/project.git", "broken")
    commit = alice.commit(folder, "blob", os.urandom(MIB))
    pack = folder / "push.pack"
    with open(pack, "wb") as file:
        revisions = workshop.run("git", "pack-objects", "--revs", "push", cwd=folder, stdin=f"{commit}\n^origin/main\n")
        file.write((folder / f"push-{revisions.stdout.strip()}.pack").read_bytes())
    command = f"{'0' * 40} {commit} refs/heads/broken\0 report-status\n".encode()
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack.read_bytes()[: MIB // 2]
    started = len(workshop.starts())
    token = next(line.split("\t")[6] for line in alice.cookies.read_text().splitlines() if "\tsession\t" in line)
    with socket.create_connection(("127.0.0.1", site.nginx.port), LONG) as connection:
        connection.sendall(
            f"POST /git/project.git/git-receive-pack HTTP/1.1\r\nHost: {site.host}\r\nCookie: session={token}\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + f"{len(body):x}\r\n".encode()
            + body
            + b"\r\n"
        )
        wait_until(lambda: workshop.starts()[started:], "git is started by the first half")
    wait_until(lambda: site.gatehouse.children() == [], "git is gone")
    assert "broken" not in project.branches()
    project.assert_sound()


# ── a hundred MiB ───────────────────────────────────────────────────────────────────────────────────────────────────


def grown(gatehouse, work):
    """By how many KiB the gateway's memory grew at most during the work."""
    gatehouse.forget_peak_memory()
    before = gatehouse.memory()
    work()
    return gatehouse.peak_memory() - before


@pytest.mark.parametrize("which", ["site", "buffered_site"], ids=["streamed", "buffered by nginx"])
def test_a_hundred_mib_pass_both_ways_and_the_gateways_memory_stays_flat(workshop, request, which):
    site = request.getfixturevalue(which)
    alice = Git(workshop, site, "alice")
    # The memory for the password's hash (19 MiB) is free again but still ours: growth could hide in it.
    site.gatehouse.restart()
    repository = Repository(workshop, f"git/{which}.git")
    folder = alice.clone(f"/git/{which}.git", which)
    # Everything has happened once before anything is measured.
    alice.commit(folder, "small", b"small\n")
    alice("push", "-q", "origin", "main", cwd=folder)
    data = os.urandom(BLOB)
    commit = alice.commit(folder, "blob", data)

    started = len(workshop.starts())
    push = grown(site.gatehouse, lambda: alice("push", "-q", "origin", "main", cwd=folder))
    assert repository.head() == commit
    repository.assert_sound()
    upload = logged(workshop, site, 1, lambda one: int(one["received"]) > BLOB)[0]
    assert (upload["method"], upload["status"]) == ("POST", "200")
    assert (upload["transfer_encoding"], upload["length"]) == ("chunked", "-")
    # Streamed, nobody can say how long it will be. Buffered, nginx has counted.
    length = [one for one in workshop.starts()[started:] if one["path_info"].endswith("git-receive-pack")][-1]["length"]
    assert length == "" if which == "site" else int(length) > BLOB
    assert ("a client request body is buffered to a temporary file" in site.nginx.log()) == (which == "buffered_site")

    shutil.rmtree(folder)
    clone = grown(site.gatehouse, lambda: alice.clone(f"/git/{which}.git", f"{which}-again"))
    copy = workshop.folder / f"{which}-again"
    assert hashlib.sha256((copy / "blob").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert alice("rev-parse", "HEAD", cwd=copy).stdout.strip() == commit
    shutil.rmtree(copy)
    shutil.rmtree(repository.folder)
    wait_until(lambda: site.gatehouse.children() == [], "every program has been reaped")
    # pytest -rP shows it.
    print(f"push: +{push} KiB, clone: +{clone} KiB, resident now: {site.gatehouse.memory()} KiB")
    if not os.environ.get("GATEHOUSE_SANITIZE"):  # a sanitizer keeps what was freed
        assert push < ALLOWANCE and clone < ALLOWANCE, (push, clone)
