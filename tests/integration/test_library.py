"""Gatehouse::auth as a C++ author has it: installed into a folder, with the example built on that and nothing else.

The program that CMake built runs as a FastCGI server, the one that pkg-config's flags built as a CGI program under
fcgiwrap, both behind a real nginx beside the gatehouse whose database they share.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from cgi_servers import SpawnedFcgi
from fastcgi import FastCgi, get, request
from harness import BINARY, TREE, Site
from visitor import is_removal, session_cookies

BUILD = pathlib.Path(BINARY).resolve().parent
NAME = "__Host-session"  # the library's default, as it is gatehouse's
DOORS = ["fastcgi", "cgi"]


class Installed:
    """The built tree, installed into a folder below /tmp, and the two programs that were built on it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-lib-", dir="/tmp"))
        os.chmod(self.folder, 0o755)  # nginx's workers have to get to the sockets
        self.prefix = self.folder / "prefix"
        self.run("cmake", "--install", BUILD, "--prefix", self.prefix)
        self.example = self.prefix / "share/doc/gatehouse/examples/greet"

    def run(self, *command, cwd=None):
        # What was compiled in another such folder counts: the next run is quicker.
        environment = {**os.environ, "CCACHE_BASEDIR": str(self.folder), "CCACHE_NOHASHDIR": "1"}
        environment["PKG_CONFIG_PATH"] = str(self.prefix / "lib/pkgconfig")
        command = [str(part) for part in command]
        result = subprocess.run(
            command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True, timeout=200
        )
        assert result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def compile(self, source, *arguments):
        """Compiles with every warning, the library's own headers included."""
        strict = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
        return self.run("ccache", "g++", *strict, *self.flags("--cflags"), "-c", source, *arguments)

    def flags(self, what):
        return self.run("pkg-config", what, "gatehouse-auth").split()

    def build_by_cmake(self):
        build = self.folder / "by-cmake"
        launcher = "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
        options = [f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", launcher]
        self.run("cmake", "-G", "Ninja", "-S", self.example, "-B", build, *options)
        self.run("cmake", "--build", build)
        return build / "greet"

    def build_by_pkg_config(self):
        (self.folder / "by-pkg-config").mkdir()
        made = self.folder / "by-pkg-config/greet.o"
        program = made.with_suffix("")
        self.compile(self.example / "greet.cpp", "-o", made)
        self.run("g++", made, *self.flags("--libs"), "-o", program)
        return program


@pytest.fixture(scope="module")
def installed():
    made = Installed()
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def programs(installed):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        by_cmake, by_pkg_config = pool.submit(installed.build_by_cmake), pool.submit(installed.build_by_pkg_config)
        return {"fastcgi": by_cmake.result(), "cgi": by_pkg_config.result()}


LOCATION = """
location /{door}/greet {{
    fastcgi_split_path_info ^(/{door}/greet)(/.*)?$;
    include /etc/nginx/fastcgi_params;
    fastcgi_param SCRIPT_FILENAME {program};
    fastcgi_param PATH_INFO $fastcgi_path_info;
    fastcgi_pass unix:{socket};
}}
"""


class GreetSite(Site):
    """A gatehouse as it is without a section `session`, and the example beside it through two doors."""

    def __init__(self, folder, programs):
        self.sockets = {door: folder / f"{door}.sock" for door in DOORS}
        locations = [LOCATION.format(door=d, program=programs[d], socket=self.sockets[d]) for d in DOORS]
        cookie = {"name": NAME, "secure": True}
        super().__init__(nginx={"server_lines": "".join(locations)}, session={"cookie": cookie})
        commands = {"fastcgi": [programs["fastcgi"]], "cgi": ["/usr/sbin/fcgiwrap", "-f"]}
        database = {"GREET_DATABASE": str(self.gatehouse.database)}
        self.spawned = []
        try:
            for door in DOORS:
                log = folder / f"{door}.log"
                self.spawned.append(SpawnedFcgi(self.sockets[door], log, commands[door], **database))
        except BaseException:
            self.close()
            raise

    def sign_in(self, name="alice"):
        """Signs in at gatehouse and returns the token."""
        answer = self.gatehouse.post_login(name)
        assert answer.status == 303, answer.body
        [line] = [line for line in answer.all_headers("Set-Cookie") if line.startswith(NAME)]
        return token_of(line)

    def ask(self, door, token=None, path="", method="GET", cookie=None, **more):
        headers = more.pop("headers", {})
        if token or cookie:
            headers = {"Cookie": cookie or f"{NAME}={token}", **headers}
        return self.visitor().request(method, f"/{door}/greet{path}", headers=headers, **more)

    def log_out(self, door, token, origin=..., **more):
        headers = {} if origin is None else {"Origin": self.url if origin is ... else origin}
        return self.ask(door, token, "/logout", "POST", headers=headers, **more)

    def is_alive(self, token):
        """What gatehouse itself says of the session."""
        with FastCgi(self.gatehouse.socket) as connection:
            status = connection.request(get("/auth/session", ("HTTP_COOKIE", f"{NAME}={token}"))).status
        assert status in (200, 401), status
        return status == 200

    def logs(self):
        return {**super().logs(), **{str(spawned.socket): spawned.log() for spawned in self.spawned}}

    def close(self):
        for spawned in self.spawned:
            spawned.stop()
        super().close()


@pytest.fixture(scope="module")
def site(installed, programs):
    made = GreetSite(installed.folder, programs)
    yield made
    made.close()


def token_of(line):
    return line.split(";")[0].removeprefix(f"{NAME}=")


def our_cookies(answer):
    return session_cookies(answer, NAME)


# ── what is installed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_installed_header_compiles_alone(installed):
    include = installed.prefix / "include"
    headers = sorted(path.relative_to(include) for path in include.rglob("*.hpp"))
    assert len(headers) > 20
    work = installed.folder / "headers"
    work.mkdir()

    def compile_alone(header):
        source = work / f"{str(header).replace('/', '_')}.cpp"
        source.write_text(f"#include <{header}>\n#include <{header}>\n")
        installed.compile(source, "-o", source.with_suffix(".o"))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_alone, headers))


def test_nothing_but_public_headers_is_installed(installed):
    folders = {path.name for path in (installed.prefix / "include").iterdir()}
    assert folders == {"gatehouse"}
    rooms = {path.name for path in (installed.prefix / "include/gatehouse").iterdir()}
    assert rooms == {"auth", "http", "middleware", "store"}


def test_our_own_compile_flags_stay_ours(installed, programs):
    [command] = json.loads((programs["fastcgi"].parent / "compile_commands.json").read_text())
    for flags in (command["command"].split(), installed.flags("--cflags"), installed.flags("--libs")):
        ours = [flag for flag in flags if flag.startswith(("-W", "-f", "-D_", "-g")) or "sanitize" in flag]
        assert not ours, flags


def test_a_program_on_sqlite_loads_no_mysql_client(installed, programs):
    assert "mysql" not in installed.run("ldd", programs["fastcgi"])


def test_the_package_is_found_by_its_version_only(installed):
    work = installed.folder / "version"
    work.mkdir()
    for version, is_fitting in (("0.1", True), ("0.2", False), ("1.0", False)):
        script = f"cmake_minimum_required(VERSION 3.25)\nproject(a CXX)\nfind_package(Gatehouse {version} CONFIG)\n"
        check = "if(Gatehouse_FOUND AND TARGET Gatehouse::auth)\nmessage(STATUS IS-FOUND)\nendif()\n"
        (work / "CMakeLists.txt").write_text(script + check)
        out = installed.run(
            "cmake", "-G", "Ninja", "-S", work, "-B", work / "b", f"-DCMAKE_PREFIX_PATH={installed.prefix}"
        )
        assert ("IS-FOUND" in out) == is_fitting, (version, out)


def test_the_units_start_the_installed_program(installed):
    units = installed.prefix / "lib/systemd/system"
    assert {path.name for path in units.iterdir()} == {path.name for path in (TREE / "systemd").iterdir()}
    service = (units / "gatehouse.service").read_text()
    [start] = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    program = start.removeprefix("ExecStart=").split()[0]
    assert program == str(installed.prefix / "bin/gatehouse")
    assert "gatehouse" in installed.run(program, "version")
    assert (installed.prefix / "share/doc/gatehouse/conf/gatehouse.yaml").is_file()


def test_the_example_is_short_and_uses_what_it_is_to_show(installed):
    text = (installed.example / "greet.cpp").read_text()
    assert len(text.splitlines()) < 60
    assert "auth.handle_request(context).validate_user()" in text and "handle_logout_requests(auth)" in text


# ── the example, as a FastCGI server and as a CGI program ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("door", DOORS)
def test_a_visitor_signed_in_at_gatehouse_is_greeted(site, door):
    answer = site.ask(door, site.sign_in())
    assert answer.status_code == 200 and "Hello, alice" in answer.text
    assert f'action="/{door}/greet/logout"' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert not our_cookies(answer)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("cookie", ["", f"{NAME}=short", f"{NAME}=a; {NAME}=b", f"session={'a' * 40}"])
def test_nobody_is_401_and_keeps_the_cookies_there_are(site, door, cookie):
    answer = site.ask(door, cookie=cookie)
    assert answer.status_code == 401 and "Hello" not in answer.text
    assert not our_cookies(answer)


@pytest.mark.parametrize("door", DOORS)
def test_a_dead_session_is_401_and_its_cookie_removed(site, door):
    token = site.sign_in()
    site.gatehouse.query("UPDATE user_session SET active_expires = created_at - 2, idle_expires = created_at - 1")
    answer = site.ask(door, token)
    assert answer.status_code == 401
    [line] = our_cookies(answer)
    assert is_removal(line, NAME)


@pytest.mark.parametrize("door", DOORS)
def test_an_idle_session_is_renewed_with_a_cookie_that_gatehouse_knows(site, door):
    token = site.sign_in()
    site.gatehouse.query("UPDATE user_session SET active_expires = created_at - 1")
    answer = site.ask(door, token)
    assert answer.status_code == 200 and "Hello, alice" in answer.text
    [line] = our_cookies(answer)
    assert "Secure" in line and "HttpOnly" in line and "SameSite=Lax" in line and "Path=/" in line
    assert token_of(line) != token and site.is_alive(token_of(line))
    assert not our_cookies(site.ask(door, token_of(line)))


@pytest.mark.parametrize("door", DOORS)
def test_logout_deletes_the_rows_and_removes_the_cookie(site, door):
    site.gatehouse.run("session", "revoke", "--all", check=0)
    token = site.sign_in()
    answer = site.log_out(door, token, data={"rd": "/bye?x=1"})
    assert answer.status_code == 303 and answer.headers["Location"] == "/bye?x=1"
    [line] = our_cookies(answer)
    assert is_removal(line, NAME)
    assert site.gatehouse.query("SELECT id FROM user_session") == []
    assert not site.is_alive(token)


@pytest.mark.parametrize("door", DOORS)
def test_logout_answers_json_to_a_program_and_may_end_every_session(site, door):
    token, other = site.sign_in(), site.sign_in()
    headers = {"Origin": site.url, "Accept": "application/json"}
    answer = site.ask(door, token, "/logout?all=1", "POST", headers=headers)
    assert answer.status_code == 200 and answer.json() == {}
    assert not site.is_alive(token) and not site.is_alive(other)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_logout_by_another_method_is_405_and_ends_nothing(site, door, method):
    token = site.sign_in()
    answer = site.ask(door, token, "/logout", method, headers={"Origin": site.url})
    assert answer.status_code == 405 and answer.headers["Allow"] == "POST"
    assert not our_cookies(answer) and site.is_alive(token)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1", None])
def test_logout_from_elsewhere_is_403_and_ends_nothing(site, door, origin):
    token = site.sign_in()
    answer = site.log_out(door, token, origin=origin)
    assert answer.status_code == 403
    assert not our_cookies(answer) and site.is_alive(token)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "body, status",
    [("rd=" + "x" * 65536, 413), ("rd=%zz", 400), ("rd=/a&rd=/b", 400)],
    ids=["too long", "bad escape", "doubled"],
)
def test_a_form_that_cannot_be_read_ends_nothing(site, door, body, status):
    token = site.sign_in()
    form = {"Origin": site.url, "Content-Type": "application/x-www-form-urlencoded"}
    answer = site.ask(door, token, "/logout", "POST", headers=form, data=body)
    assert answer.status_code == status
    assert not our_cookies(answer) and site.is_alive(token)


@pytest.mark.parametrize("door", DOORS)
def test_a_body_that_the_program_does_not_read_is_no_harm(site, door):
    token = site.sign_in()
    answer = site.ask(door, token, method="POST", headers={"Origin": site.url}, data=b"x" * 900_000)
    assert answer.status_code == 200 and "Hello, alice" in answer.text


@pytest.mark.parametrize("door", DOORS)
def test_the_name_in_the_page_is_text(site, door):
    site.gatehouse.add_user("mallory")
    try:
        token = site.sign_in("mallory")
        site.gatehouse.query("UPDATE user SET username = ? WHERE username = 'mallory'", "<script>\"'&")
        assert "Hello, &lt;script&gt;&quot;&#39;&amp;<" in site.ask(door, token).text
    finally:
        site.gatehouse.query("DELETE FROM user_session WHERE user_id = (SELECT id FROM user WHERE username <> 'alice')")
        site.gatehouse.query("DELETE FROM user_key WHERE user_id = (SELECT id FROM user WHERE username <> 'alice')")
        site.gatehouse.query("DELETE FROM user WHERE username <> 'alice'")


@pytest.mark.parametrize("door", DOORS)
def test_without_the_store_it_is_503_and_the_cookie_stays(site, door):
    token = site.sign_in()
    database = site.gatehouse.database
    away = database.with_suffix(".away")
    database.rename(away)
    try:
        for answer in (site.ask(door, token), site.log_out(door, token)):
            assert answer.status_code == 503
            assert not our_cookies(answer)
    finally:
        away.rename(database)
    assert site.ask(door, token).status_code == 200


def test_the_fastcgi_program_serves_on_after_a_request_that_was_cut_off(site):
    token = site.sign_in()
    with FastCgi(site.sockets["fastcgi"]) as connection:
        whole = request(get("/greet", ("HTTP_COOKIE", f"{NAME}={token}")))
        connection.send(whole[:-36])  # without the ends of STDIN and PARAMS, and 20 bytes of the cookie
        connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.read_answer()
    assert not answer.ended and answer.head == b""
    assert site.ask("fastcgi", token).status_code == 200
