"""gitweb, a large CGI program in Perl that nobody here wrote, behind nginx and Gatehouse as conf/examples has it.

Its pages are held against the same program run by hand, so that what is compared is what passes through us and not what
gitweb is like. Its links are followed, with its parameters in the query (`?p=a.git;a=tree`) and in the path
(`/a.git/tree`).
"""

import gzip
import html
import io
import re
import subprocess
import tarfile
import urllib.parse

import pytest

from harness import clean_environment
from programs import Workshop

PROJECT = "my project.git"
# A name with everything in it that means something in a path, in a query or in HTML.
STRANGE = "50% a+b & ü;=?#.txt"
PICTURE = bytes(range(256)) * 20
PROGRAM = "int main(void) { return 0; }\n"


def by_ada(date):
    """git's environment for a commit of that date."""
    who = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": date}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


@pytest.fixture(scope="module")
def workshop():
    with Workshop() as made:
        folder = made.folder / "work"
        made.run("git", "init", "-q", "-b", "main", folder)
        for number, files in enumerate(
            [
                {"main.c": "int main;\n", "docs/read me.txt": "<hello> & good bye\n"},
                {"main.c": PROGRAM, STRANGE: "strange\n", "picture.png": PICTURE},
            ]
        ):
            for name, content in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
            # Long ago, so that a page says the same age in a minute.
            date = f"{1_500_000_000 + number} +0000"
            made.run("git", "add", ".", cwd=folder)
            made.run("git", "commit", "-q", "-m", f"change {number}", cwd=folder, **by_ada(date))
        made.run("git", "tag", "v1", cwd=folder)
        (made.folder / "git").mkdir()
        made.run("git", "clone", "-q", "--bare", folder, made.folder / "git" / PROJECT)
        yield made


@pytest.fixture(scope="module")
def site(workshop):
    made = workshop.git_site()
    yield made
    made.close()


def configure(workshop, in_path):
    (workshop.folder / "gitweb.conf").write_text(
        f"""
$projectroot = "{workshop.folder}/git";
$git_temp = "{workshop.folder}";
@stylesheets = ("/gitweb/static/gitweb.css");
$javascript = "/gitweb/static/gitweb.js";
$logo = "/gitweb/static/git-logo.png";
$favicon = "/gitweb/static/git-favicon.png";
$feature{{"pathinfo"}}{{"default"}} = [{in_path}];
$feature{{"blame"}}{{"default"}} = [1];
$feature{{"grep"}}{{"default"}} = [1];
$feature{{"pickaxe"}}{{"default"}} = [1];
$feature{{"snapshot"}}{{"default"}} = ["tgz"];
"""
    )


@pytest.fixture(params=[0, 1], ids=["in the query", "in the path"])
def style(workshop, request):
    configure(workshop, request.param)


@pytest.fixture
def plain(workshop):
    configure(workshop, 0)


def quoted(text):
    return urllib.parse.quote(text, safe="")


def query(**parameters):
    return "/gitweb?" + ";".join(f"{name}={quoted(value)}" for name, value in parameters.items())


def in_path(*segments):
    return "/gitweb/" + "/".join(urllib.parse.quote(segment, safe="/:") for segment in segments)


HEAD = {"p": PROJECT, "hb": "HEAD"}
PAGES = {
    "project list": "/gitweb/",
    "project list without a slash": "/gitweb",
    "project index": query(a="project_index"),
    "summary": query(p=PROJECT, a="summary"),
    "log": query(p=PROJECT, a="log"),
    "tree": query(**HEAD, a="tree"),
    "tree below": query(**HEAD, a="tree", f="docs"),
    "blob": query(**HEAD, a="blob", f="main.c"),
    "blob of a strange name": query(**HEAD, a="blob", f=STRANGE),
    "plain blob": query(**HEAD, a="blob_plain", f="docs/read me.txt"),
    "plain blob of a strange name": query(**HEAD, a="blob_plain", f=STRANGE),
    "picture": query(**HEAD, a="blob_plain", f="picture.png"),
    "blame": query(**HEAD, a="blame", f="main.c"),
    "history": query(**HEAD, a="history", f="main.c"),
    "commit": query(p=PROJECT, a="commit", h="v1"),
    "commitdiff": query(p=PROJECT, a="commitdiff", h="HEAD"),
    "patch": query(p=PROJECT, a="patch", h="HEAD"),
    "search": query(p=PROJECT, a="search", s="change", st="commit"),
    "grep": query(p=PROJECT, a="search", s="main", st="grep"),
    "atom": query(p=PROJECT, a="atom"),
    "snapshot": query(p=PROJECT, a="snapshot", h="HEAD", sf="tgz"),
    "summary by path": in_path(PROJECT),
    "tree by path": in_path(PROJECT, "tree", "HEAD:/docs"),
    "blob by path": in_path(PROJECT, "blob", "HEAD:/docs/read me.txt"),
    "plain blob of a strange name by path": in_path(PROJECT, "blob_plain", f"HEAD:/{STRANGE}"),
    "diff by path": in_path(PROJECT, "commitdiff", "v1"),
}
REFUSED = {
    "no such project": (404, query(p="none.git", a="summary")),
    "no such file": (404, query(**HEAD, a="blob", f="none")),
    "no such action": (400, query(p=PROJECT, a="nonsense")),
}


def by_hand(workshop, site, target):
    """What gitweb says to that request, run as RFC 3875 has it, with nobody between: status, type and body."""
    path, _, after = target.partition("?")
    run = subprocess.run(
        ["/usr/share/gitweb/gitweb.cgi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
        env=clean_environment(
            GATEWAY_INTERFACE="CGI/1.1",
            GITWEB_CONFIG=f"{workshop.folder}/gitweb.conf",
            SERVER_PROTOCOL="HTTP/1.1",
            SERVER_NAME="example.org",  # as in conf/nginx/gatehouse.conf
            SERVER_PORT=str(site.nginx.port),
            HTTP_HOST=site.host,
            REQUEST_METHOD="GET",
            REQUEST_URI=target,
            QUERY_STRING=after,
            SCRIPT_NAME="/gitweb",
            **({"PATH_INFO": urllib.parse.unquote(path[len("/gitweb") :])} if path != "/gitweb" else {}),
        ),
    )
    head, _, body = run.stdout.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.decode().splitlines())
    return int(fields.get("status", "200").split()[0]), fields["content-type"], body


def without_times(body):
    """Two runs of one feed differ in the second that it is from."""
    return re.sub(rb"<(updated|lastBuildDate|pubDate)>[^<]*<", b"", body)


@pytest.mark.parametrize("page", [*PAGES, *REFUSED])
def test_a_page_is_what_gitweb_says_when_it_is_run_by_hand(workshop, site, alice, plain, page):
    expected, target = REFUSED.get(page) or (200, PAGES[page])
    status, content_type, body = by_hand(workshop, site, target)
    answer = alice.fetch(target)
    assert (answer.status_code, answer.headers["Content-Type"].lower()) == (status, content_type)
    assert without_times(answer.content) == without_times(body)
    assert status == expected


def test_the_pages_hold_what_the_repository_holds(site, alice, plain):
    def text(page):
        return html.unescape(re.sub(r"<[^>]*>", "", alice.fetch(PAGES[page]).text)).replace("\xa0", " ")

    assert PROJECT in text("project list")
    assert "change 1" in text("summary") and "Ada" in text("summary")
    assert STRANGE in text("tree") and "read me.txt" in text("tree below")
    assert PROGRAM.strip() in text("blob")
    assert "-int main;" in text("commitdiff") and "+" + PROGRAM.strip() in text("commitdiff")
    assert alice.fetch(PAGES["plain blob of a strange name by path"]).content == b"strange\n"
    assert alice.fetch(PAGES["picture"]).content == PICTURE
    assert "<title>" in alice.fetch(PAGES["atom"]).text


def test_a_snapshot_is_an_archive_that_can_be_unpacked(alice, plain):
    answer = alice.fetch(PAGES["snapshot"])
    assert answer.headers["Content-Type"].startswith("application/x-gzip")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.content))) as archive:
        files = {name.partition("/")[2]: archive.extractfile(name) for name in archive.getnames()}
        assert files["picture.png"].read() == PICTURE
        assert files["main.c"].read() == PROGRAM.encode()
        assert files[STRANGE].read() == b"strange\n"


def links(site, target, answer):
    """The targets on this site that a page leads to, in the order they stand there."""
    if not answer.headers["Content-Type"].startswith(("text/html", "application/xhtml+xml")):
        return []
    base = re.search(r'<base href="([^"]*)"', answer.text)
    base = urllib.parse.urljoin(site.url + target, html.unescape(base[1]) if base else "")
    written = re.findall(r'(?:href|src)="([^"]*)"', answer.text)
    found = [urllib.parse.urljoin(base, html.unescape(link)) for link in written]
    return [link.partition("#")[0][len(site.url) :] for link in found if link.startswith(site.url + "/")]


def test_every_link_of_the_first_pages_leads_somewhere(site, alice, style):
    """From the list of projects to the project, its directory and its last change, and to all that these lead to."""
    seen = {}

    def follow(target):
        if target not in seen:
            seen[target] = alice.fetch(target)
            assert seen[target].status_code == 200, f"{target}: {seen[target].status_code} {seen[target].text[-500:]}"
        return links(site, target, seen[target])

    def the(pattern, targets):
        return next(target for target in targets if re.search(pattern, urllib.parse.unquote_plus(target)))

    listed = follow("/gitweb/")
    summary = follow(the(r"my project\.git(;a=summary)?$", listed))
    tree = follow(the(r"[/=]tree\b", summary))
    diff = follow(the(r"[/=]commitdiff\b", summary))
    for target in [*listed, *summary, *tree, *diff]:
        follow(target)
    assert len(seen) > 30
    kinds = {"tree", "blob", "commit", "commitdiff", "log", "shortlog", "atom", "rss", "snapshot", "history", "blame"}
    assert {kind for kind in kinds if any(re.search(rf"[/=]{kind}\b", target) for target in seen)} == kinds
    assert {target for target in seen if target.startswith("/gitweb/static/")} == {
        f"/gitweb/static/{name}" for name in ("gitweb.css", "gitweb.js", "git-logo.png", "git-favicon.png")
    }


def test_without_a_session_no_page_and_gitweb_is_never_started(workshop, site, alice, plain):
    started = len(workshop.starts())
    for target in PAGES.values():
        assert site.visitor().fetch(target).status_code == 401
    answer = site.visitor().navigate(PAGES["blob"])
    # A visitor with a browser comes back to where they wanted to go.
    assert answer.status_code == 302
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)["rd"]
    assert back == [PAGES["blob"]]
    assert workshop.starts()[started:] == []
    assert alice.fetch(back[0]).status_code == 200
    assert [start["user"] for start in workshop.starts()[started:]] == ["alice"]
