"""The path that is decided is the path that runs; what two programs could read differently is 400."""

import json
import os

import pytest

from fastcgi import get

# The visitor is nobody: only what lies below /open/ may answer 200.
# target → the statuses that are right, and where 200 is among them the SCRIPT_NAME that must have run.
OPEN, LOGIN, BAD, MISSING = "/open/show", 401, 400, 404
TARGETS = [
    ("/open/show", 200),
    ("/open//show", 200),
    ("/open/./show", 200),
    ("//open/show", 200),
    ("/x/../open/show", 200),
    ("/%6fpen/%73how", 200),
    ("/open/%2e/show", 200),
    ("/show/%2e%2e/open/show", 200),
    ("/show", LOGIN),
    ("//show", LOGIN),
    ("///show", LOGIN),
    ("/./show", LOGIN),
    ("/%73how", LOGIN),
    ("/open/../show", LOGIN),
    ("/open/%2e%2e/show", LOGIN),
    ("/open/%2E%2e/show", LOGIN),
    ("/open/.%2e/show", LOGIN),
    ("/open//../show", LOGIN),
    ("/open/./../show", LOGIN),
    ("/open/show/../../show", LOGIN),
    ("/show?/open/show", LOGIN),
    ("/show?x=/../open/show", LOGIN),
    ("/show/open/show", LOGIN),
    ("/show/", LOGIN),
    ("/open..%2fshow", BAD),
    ("/open%2fshow", BAD),
    ("/open/..%2fshow", BAD),
    ("/open%2F..%2Fshow", BAD),
    ("/open/..%5cshow", BAD),
    ("/open\\..\\show", BAD),
    ("/open/%5c../show", BAD),
    ("/open/..\\show", BAD),
    ("/open/show%00", BAD),
    ("/open/%00/../../show", BAD),
    ("/open/%0a", BAD),
    ("/open/%7f", BAD),
    ("/open/%", BAD),
    ("/open/%z1", BAD),
    ("/open/%2", BAD),
    ("/open/%u002e", BAD),
    ("/open/..;/show", BAD),
    ("/open/..%3b/show", BAD),  # Tomcat and others read ".." here
    ("/../show", BAD),
    ("/open/../../show", BAD),
    ("/%2e%2e/show", BAD),
    ("/open/../../../etc/passwd", BAD),
    # Not decoded a second time: these are odd names below /open, which do not exist.
    ("/open/%252e%252e/show", MISSING),
    ("/open/%252fshow", MISSING),
    ("/open;/../show", LOGIN),
    ("/open/...", MISSING),
    ("/open/SHOW", MISSING),
    ("/open/%c0%ae%c0%ae/show", MISSING),
    ("/open/%ef%bc%8e%ef%bc%8e/show", MISSING),
]


@pytest.fixture(scope="module", autouse=True)
def open_folder(site):
    folder = site.gatehouse.root / "open"
    folder.mkdir()
    (folder / "show").write_bytes((site.gatehouse.root / "show").read_bytes())
    (folder / "show").chmod(0o755)


def check(target, expected, status, body):
    assert status == expected, f"{target}: {status}"
    if status == 200:
        env = json.loads(body)["env"]
        assert env["SCRIPT_NAME"] == OPEN, target
        assert env.get("PATH_INFO", "") == "", target


@pytest.mark.parametrize("target, expected", TARGETS)
def test_through_nginx(site, target, expected):
    answer = site.raw_get(target, "Accept: */*")
    check(target, expected, answer.status, answer.body)


@pytest.mark.parametrize(
    "target, expected",
    TARGETS
    + [
        ("/open/show\0", BAD),
        ("/open/\x01", BAD),
        ("open/show", BAD),
        ("*", BAD),
        ("http://127.0.0.1/open/show", BAD),
        ("/open/sh\u00f6w", BAD),
        ("/open/a b", BAD),
        ("/open/show#x", BAD),
        ("/" + "a" * 20000, BAD),
    ],
)
def test_past_nginx(site, target, expected):
    with site.fastcgi() as connection:
        answer = connection.request(get(target))
    check(target, expected, answer.status, answer.body)


@pytest.mark.parametrize(
    "params, expected",
    [
        ([("SCRIPT_NAME", "/open/show")], LOGIN),
        ([("DOCUMENT_URI", "/open/show"), ("SCRIPT_FILENAME", "/open/show"), ("PATH_INFO", "/open/show")], LOGIN),
        (
            [
                ("HTTP_X_ORIGINAL_URI", "/open/show"),
                ("HTTP_X_FORWARDED_URI", "/open/show"),
                ("HTTP_X_REWRITE_URL", "/open/show"),
            ],
            LOGIN,
        ),
        ([("HTTP_GATEHOUSE_PATH", "/open/show")], LOGIN),
        ([("REQUEST_URI", "/open/show"), ("REQUEST_URI", "/show")], LOGIN),  # of doubled ones the last counts
        ([("REQUEST_URI", "/open/show")], 200),
        ([("GATEHOUSE_PATH", "/open/show")], 200),  # the site says so: it stands behind URL rewriting
        ([("GATEHOUSE_PATH", "/open/../show")], LOGIN),  # decoded already, but normalised
        ([("GATEHOUSE_PATH", "/open/%2e%2e/show")], MISSING),  # never decoded again
        ([("GATEHOUSE_PATH", "/open/show"), ("GATEHOUSE_PATH", "/show")], BAD),
        ([("GATEHOUSE_PATH", "/open/show"), ("GATEHOUSE_PATH", "/open/show")], 200),
        ([("GATEHOUSE_PATH", "open/show")], BAD),
    ],
)
def test_which_parameter_names_the_path(site, params, expected):
    with site.fastcgi() as connection:
        answer = connection.request(get("/show", *params))
    check(params, expected, answer.status, answer.body)


def test_without_any_path_nothing_runs(site):
    for params in ([p for p in get("/show") if p[0] != "REQUEST_URI"], [*get("/open/show"), ("REQUEST_URI", "")]):
        with site.fastcgi() as connection:
            assert connection.request(params).status in (400, 403)


def test_the_target_in_absolute_form_is_the_same_path(site):
    assert site.raw_get(f"http://{site.host}/show").status == 401
    assert site.raw_get(f"http://{site.host}/open/show").status == 200


def test_the_rest_of_the_path_is_path_info_decoded_once(alice, site):
    env = alice.show("/show/a%20b/%C3%A4%25;x?q=%20&-s")["env"]
    assert env["SCRIPT_NAME"] == "/show" and env["PATH_INFO"] == "/a b/ä%;x"
    assert env["PATH_TRANSLATED"] == f"{site.gatehouse.root}/a b/ä%;x"
    assert env["QUERY_STRING"] == "q=%20&-s"
    assert env["SCRIPT_FILENAME"] == f"{site.gatehouse.root}/show"


def test_a_program_downstream_has_the_literal_beginning_of_its_pattern(visitor):
    env = visitor.show("/public/a/b")["env"]
    assert env["SCRIPT_NAME"] == "/public" and env["PATH_INFO"] == "/a/b"
    env = visitor.show("/public")["env"]
    assert env["SCRIPT_NAME"] == "/public" and env.get("PATH_INFO", "") == ""


def test_what_is_no_script_of_the_root_does_not_run(site, alice):
    root = site.gatehouse.root
    outside = site.gatehouse.folder / "outside"
    outside.write_bytes((root / "show").read_bytes())
    outside.chmod(0o755)
    (root / "link").symlink_to(outside)
    (root / "link-folder").symlink_to(site.gatehouse.folder)
    (root / "folder").mkdir(exist_ok=True)
    (root / "data.txt").write_text("secret data")
    os.mkfifo(root / "pipe")
    for path in ("/link", "/link-folder/outside", "/folder", "/folder/", "/data.txt", "/pipe", "/missing", "/"):
        answer = alice.fetch(path)
        assert answer.status_code in (403, 404), path
        assert "secret data" not in answer.text and str(root) not in answer.text


def test_a_missing_script_is_404(alice):
    assert alice.fetch("/there-is-no-such-script").status_code == 404


@pytest.mark.parametrize("target", ["//auth/logout", "/auth/../auth/logout", "/%61uth/logout", "/auth/./logout"])
def test_endpoints_are_met_by_the_decided_path_too(site, target):
    assert site.raw_get(target).status == 405


@pytest.mark.parametrize("target", ["/auth%2flogout", "/auth\\logout", "/auth/logout%00"])
def test_an_endpoint_of_an_ambiguous_path_is_400(site, target):
    assert site.raw_get(target).status == 400
