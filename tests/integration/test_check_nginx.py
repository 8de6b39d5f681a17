"""The check door behind a real nginx: auth_request over FastCGI and over HTTP, with the configuration that gatehouse
prints."""

import http.client
import http.server
import json
import socket
import ssl
import subprocess
import threading

import pytest

from check_site import TRANSPORTS, CheckSite
from test_sessions import make_idle, new_token, row_of
from visitor import NAVIGATION, is_removal, session_cookies


@pytest.fixture(scope="module", params=TRANSPORTS)
def over(request):
    return request.param


@pytest.fixture(scope="module")
def site(over):
    made = CheckSite(over)
    yield made
    made.close()


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nginx_takes_the_printed_configuration(site):
    done = subprocess.run(
        ["nginx", "-t", "-p", f"{site.nginx.folder}/", "-c", str(site.nginx.folder / "nginx.conf")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "warn" not in done.stderr, done.stderr


def test_a_visitor_is_asked_to_sign_in_and_comes_back_to_the_page(site):
    visitor = site.visitor()
    form = visitor.login_form("/page.html?x=1&y=%2F")
    assert form.fields["rd"] == "/page.html?x=1&y=%2F"
    answer = visitor.sign_in("alice", rd=form.fields["rd"])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html?x=1&y=%2F")
    assert visitor.navigate("/page.html").text == "a page"
    assert visitor.sign_out().status_code == 303
    assert visitor.fetch("/page.html").status_code == 401


@pytest.mark.parametrize(
    "path, anonymous, signed_in",
    [
        ("/page.html", 401, 200),
        ("/public/page.html", 200, 200),
        ("/admin/page.html", 401, 403),
        ("/closed/page.html", 403, 403),
        ("/app/show.php", 401, 200),
        ("/app/", 401, 200),
        ("/admin/", 401, 403),
        ("/missing", 401, 404),
    ],
)
def test_routes_decide(site, path, anonymous, signed_in):
    assert site.visitor().fetch(path).status_code == anonymous
    assert site.signed_in().fetch(path).status_code == signed_in


def test_without_a_login_of_ours_401_stays_401(track, over):
    site = track(CheckSite(over, login={"enabled": False}))
    for path, right in (("/page.html", 401), ("/public/page.html", 200), ("/closed/page.html", 403)):
        assert site.visitor().navigate(path).status_code == right


def test_a_program_without_a_session_gets_401_and_no_form(site):
    answer = site.visitor().fetch("/page.html")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "cookies, right",
    [
        (["a=1", "session={alice}"], 200),
        (["session={alice}", "session={alice}"], 200),
        (["session={alice}", "session={other}"], 401),
        (["session={other}; session={alice}"], 401),
    ],
)
def test_several_cookies_are_read_as_in_every_door(site, cookies, right):
    tokens = {"alice": site.signed_in().token, "other": site.signed_in().token}
    lines = ["Cookie: " + line.format(**tokens) for line in cookies]
    assert site.raw_get("/page.html", *lines).status == right


def test_nginx_keeps_its_connections_over_http(track):
    site = track(CheckSite("http"))

    def connections():
        return sum(target.startswith("socket:") for target in site.gatehouse.descriptors())

    before = connections()
    for _ in range(20):
        assert site.visitor().fetch("/page.html").status_code == 401  # a check and a login
        assert site.visitor().fetch("/auth/session").status_code == 401
    assert connections() == before + 1


# ── what php-fpm receives ───────────────────────────────────────────────────────────────────────────────────────────


def test_php_sees_the_user_and_the_request(site):
    seen = site.signed_in().fetch("/app/show.php?a=1", method="POST", data=b"a body").json()
    server = seen["env"]
    assert seen["post"] == "a body"
    expected = {
        "REMOTE_USER": "alice",
        "GATEHOUSE_USER_ID": site.alice_id,
        "GATEHOUSE_SESSION_STATE": "active",
        "HTTP_REMOTE_USER": "alice",
        "HTTP_REMOTE_NAME": "Alice Example",
        "HTTP_REMOTE_EMAIL": "alice@example.org",
        "HTTP_REMOTE_GROUPS": "staff,ops",
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "a=1",
        "SCRIPT_NAME": "/app/show.php",
    }
    assert {name: server.get(name) for name in expected} == expected


def test_an_upload_reaches_php_whole_where_its_location_allows_it(site):
    visitor, body = site.signed_in(), b"0123456789abcdef" * 100_000
    assert visitor.fetch("/page.html", method="POST", data=body).status_code == 413
    assert site.visitor().fetch("/app/show.php", method="POST", data=body).status_code == 401
    assert visitor.fetch("/app/show.php", method="POST", data=body).json()["post"] == body.decode()
    pieces = (body[at : at + 65_521] for at in range(0, len(body), 65_521))
    assert visitor.fetch("/app/show.php", method="PUT", data=pieces).json()["post"] == body.decode()


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/page.html", "/app/show.php", "/missing"])
def test_an_idle_session_is_rotated_and_its_cookie_delivered(site, path):
    visitor = site.signed_in()
    old = visitor.token
    make_idle(site, old)
    answer = visitor.fetch(path)
    assert row_of(site, old) is None
    assert row_of(site, new_token(answer))


def test_a_refused_request_renews_nothing(site):
    visitor = site.signed_in()
    make_idle(site, visitor.token)
    assert visitor.fetch("/admin/page.html").status_code == 403
    assert row_of(site, visitor.token)


def test_a_dead_session_is_asked_to_sign_in(site):
    visitor = site.signed_in()
    site.gatehouse.query("UPDATE user_session SET idle_expires = 1e12")
    answer = visitor.navigate("/page.html")
    assert answer.status_code == 200 and "password" in answer.text
    assert [is_removal(line) for line in session_cookies(answer)] == [True]


def test_a_foreign_post_is_refused_and_touches_no_cookie(site):
    visitor = site.signed_in()
    answer = visitor.fetch("/app/show.php", method="POST", data=b"x", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 401 and session_cookies(answer) == []
    own = visitor.fetch("/app/show.php", method="POST", data=b"x", headers={"Origin": site.url})
    assert own.status_code == 200


def test_a_disabled_user_is_out_at_once(site):
    site.gatehouse.add_user("dora")
    visitor = site.signed_in("dora")
    assert visitor.fetch("/page.html").status_code == 200
    site.gatehouse.run("user", "disable", "dora", check=0)
    assert visitor.fetch("/page.html").status_code == 401


# ── what a site may say above the include ───────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def rewriting(over):
    lines = """
        rewrite ^/old/(.*)$ /admin/$1;
        rewrite ^/open/(.*)$ /public/$1;
        rewrite ^/last/(.*)$ /public/$1 last;
        {include}
        listen "unix:{folder}/nginx.sock";
    """
    made = CheckSite(over, servers=[lines])
    yield made
    made.close()


@pytest.mark.parametrize(
    "path, anonymous, signed_in",
    [
        ("/old/page.html", 401, 403),
        ("/open/page.html", 200, 200),
        ("/open/../old/page.html", 401, 403),
        # nginx goes past our lines: no path is known, and nobody is let in.
        ("/last/page.html", 403, 403),
    ],
)
def test_a_rewritten_path_is_the_one_that_is_decided(rewriting, path, anonymous, signed_in):
    token = rewriting.signed_in().token
    assert rewriting.raw_get(path).status == anonymous
    assert rewriting.raw_get(path, f"Cookie: session={token}").status == signed_in


def test_a_path_that_is_rewritten_below_the_include_is_decided_as_the_visitors(track, over):
    site = track(CheckSite(over, servers=["rewrite ^/(.*)$ /app/show.php?page=$1 last;"]))
    for path, anonymous, signed_in in (("/page.html", 401, 200), ("/closed/x", 403, 403), ("/admin/", 401, 403)):
        assert site.visitor().fetch(path).status_code == anonymous, path
        assert site.signed_in().fetch(path).status_code == signed_in, path
    assert site.signed_in().fetch("/x").json()["env"]["QUERY_STRING"] == "page=x"
    assert site.visitor().fetch("/auth/session").json()["error"] == "unauthorized"


@pytest.mark.parametrize("path", ["/page.html", "/app/show.php", "/missing"])
def test_no_cache_may_keep_a_page_that_carries_a_renewed_cookie(site, path):
    visitor = site.signed_in()
    assert "no-store" not in visitor.fetch(path).headers.get("Cache-Control", "")
    make_idle(site, visitor.token)
    answer = visitor.fetch(path)
    assert new_token(answer) and "no-store" in answer.headers["Cache-Control"]


def test_a_visitor_who_comes_through_a_unix_socket_has_no_address(rewriting):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(rewriting.nginx.folder / "nginx.sock"))
        connection.sendall(b"GET /public/page.html HTTP/1.0\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.fixture(scope="module")
def encrypted(over, tmp_path_factory):
    """A site whose server speaks TLS on a unix socket too."""
    folder = tmp_path_factory.mktemp("certificate")
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run([*make, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    lines = f"""
        listen "unix:{{folder}}/tls.sock" ssl;
        ssl_certificate "{folder}/cert";
        ssl_certificate_key "{folder}/key";
    """
    made = CheckSite(over, servers=[lines])
    yield made
    made.close()


def over_tls(site, *lines):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(str(site.nginx.folder / "tls.sock"))
        with context.wrap_socket(plain) as connection:
            connection.sendall("\r\n".join([*lines, "Host: example.org", "Content-Length: 0", "", ""]).encode())
            response = http.client.HTTPResponse(connection)
            response.begin()
            response.body = response.read()
            return response


@pytest.mark.parametrize("origin, right", [("https://example.org", 200), ("http://example.org", 401)])
def test_over_tls_our_own_origin_is_https(encrypted, origin, right):
    cookie = f"Cookie: session={encrypted.signed_in().token}"
    answer = over_tls(encrypted, "POST /app/show.php HTTP/1.0", cookie, f"Origin: {origin}")
    assert answer.status == right
    if right == 200:
        env = json.loads(answer.body)["env"]
        assert (env["HTTPS"], env["REQUEST_SCHEME"], env["REMOTE_USER"]) == ("on", "https", "alice")
    answer = over_tls(encrypted, "POST /auth/logout HTTP/1.0", cookie, f"Origin: {origin}")
    assert answer.status == (303 if right == 200 else 403)


# ── what else a site may say ────────────────────────────────────────────────────────────────────────────────────────

# Lines that are usual in a server block and reach into the subrequest, where a 200 in the place of a refusal would let
# everybody in.
DISTURBING = {
    "errors intercepted": "{module}_intercept_errors on;",
    "a page for 403": "{module}_intercept_errors on; error_page 403 =200 /public/page.html;",
    "an application for 401": "{module}_intercept_errors on; error_page 401 403 = /public/show.php;",
    "a page for what is down": "error_page 500 502 503 504 =200 /public/page.html;",
    "an application for everything": "error_page 400 401 403 404 500 502 503 504 = /public/show.php;",
    "pages for pages": "recursive_error_pages on; error_page 503 =200 /public/page.html;",
    "headers": "proxy_set_header X-Original-URI /public/page.html; proxy_set_header X-Forwarded-Uri /public/page.html;",
    "parameters": "fastcgi_param GATEHOUSE_PATH /public/page.html;",
    "a body": "proxy_set_body 'GET /auth/session HTTP/1.1\\r\\nHost: q\\r\\n\\r\\n';",
    "a body of the visitor's": "proxy_set_body $request_uri;",
    "a front controller": "if (!-e $request_filename) {{ rewrite ^ /app/index.php last; }}",
    "a cache": """
        {module}_cache all;
        {module}_cache_key $request_uri;
        {module}_cache_valid any 1m;
        {module}_ignore_headers Cache-Control Expires Set-Cookie Vary;
    """,
}


@pytest.fixture(scope="module")
def disturbed(over):
    """A site whose servers have one of them each."""
    module = "proxy" if over == "http" else "fastcgi"
    servers = [lines.format(module=module) for lines in DISTURBING.values()]
    made = CheckSite(over, servers=servers, http_lines=f"{module}_cache_path cache keys_zone=all:1m;")
    yield made
    made.close()


def assert_closed(site, lines):
    """Nobody gets a page that is not everybody's, whatever stands in its place."""
    address = f"127.0.0.{1 + list(DISTURBING).index(lines)}"
    pages = {
        "/page.html": b"a page",
        "/closed/page.html": b"a closed page",
        "/app/show.php": b'"SCRIPT_NAME":"\\/app\\/show.php"',
    }
    for path, text in pages.items():
        for accept in ("*/*", NAVIGATION["Accept"]):
            answer = site.raw_get(path, f"Accept: {accept}", address=address)
            assert text not in answer.body, (path, accept)


@pytest.mark.parametrize("lines", DISTURBING)
def test_a_line_of_the_sites_own_lets_nobody_in(disturbed, lines):
    token = disturbed.signed_in().token
    address = f"127.0.0.{1 + list(DISTURBING).index(lines)}"
    assert disturbed.raw_get("/page.html", f"Cookie: session={token}", address=address).body == b"a page"
    assert b"alice" in disturbed.raw_get("/auth/session", f"Cookie: session={token}", address=address).body
    assert_closed(disturbed, lines)
    assert disturbed.raw_get("/auth/session", address=address).status == 401


def test_no_line_of_the_sites_own_lets_anybody_in_when_gatehouse_is_down(disturbed):
    disturbed.gatehouse.stop()
    try:
        for lines in DISTURBING:
            assert_closed(disturbed, lines)
    finally:
        disturbed.gatehouse.start()


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ([], 2, "server is required"),
        (["iis"], 2, "allowed: nginx, apache, caddy, lighttpd"),
        (["lighttpd", "--part", "server"], 2, "--part of lighttpd: authorizer, gateway, spawned"),
        (["lighttpd", "--over", "http"], 2, "over fastcgi only"),
        (["nginx", "--over", "smtp"], 2, "--over"),
        (["nginx", "--part", "page"], 2, "--part"),
        (["caddy", "--over", "fastcgi"], 2, "over http only"),
        (["caddy", "--part", "server"], 2, "--part"),
        (["nginx", "--over", "http"], 1, "listen_http"),
        (["nginx", "--part", "http"], 1, "listen_http"),
        (["caddy"], 1, "listen_http"),
    ],
)
def test_the_command_says_what_it_lacks(gatehouse, arguments, code, said):
    done = gatehouse.run("snippet", *arguments, check=code)
    # What a shell redirected to the place of a working file must not be taken for one.
    # A shell has emptied the file by then, and an empty one would open the site.
    assert said in done.stderr and done.stdout.startswith("gatehouse_snippet_failed; # ")


def test_a_configuration_with_problems_prints_nothing_that_a_web_server_takes(gatehouse):
    gatehouse.config["nope"] = 1
    gatehouse.write_config()
    for server in ("nginx", "apache", "lighttpd", "caddy"):
        done = gatehouse.run("snippet", server, check=78)
        assert done.stdout == "gatehouse_snippet_failed; # the configuration has problems\n"
        assert "nope" in done.stderr


@pytest.mark.parametrize(
    "listen, arguments, address",
    [
        ({"listen": ["unix:/run/f", "unix:/run/g"], "listen_http": ["unix:/run/h"]}, [], 'fastcgi_pass "unix:/run/f"'),
        ({"listen": ["tcp:127.0.0.1:9000"]}, [], 'fastcgi_pass "127.0.0.1:9000"'),
        ({"listen": [], "listen_http": ["unix:/run/h"]}, [], "proxy_pass http://gatehouse_http"),
        ({"listen_http": ["tcp:[::1]:80", "unix:/run/h"]}, ["--part", "http"], 'server "unix:/run/h"'),
        (
            {"listen_http": ["tcp:[::1]:80"], "trusted_proxies": ["::1"]},
            ["--part", "http"],
            'server "[::1]:80"',
        ),
    ],
)
def test_the_command_chooses_where_to_ask(gatehouse, listen, arguments, address):
    gatehouse.config.update(listen)
    gatehouse.write_config()
    assert address in gatehouse.run("snippet", "nginx", *arguments, check=0).stdout


def test_over_tcp_it_has_to_be_believed(gatehouse):
    gatehouse.config["listen_http"] = ["tcp:127.0.0.1:9101"]
    gatehouse.write_config()
    for arguments in (["nginx", "--over", "http"], ["caddy"]):
        assert "trusted_proxies" in gatehouse.run("snippet", *arguments, check=1).stderr


# ── an application that nginx asks by HTTP ──────────────────────────────────────────────────────────────────────────


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the headers that it was sent."""

    def do_GET(self):
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def application():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("underscores", ["off", "on"])
@pytest.mark.parametrize("headers", ["remote", {"X-User": "user.username", "X_Mail": "user.email"}])
def test_a_proxied_application_sees_the_user_and_no_spelling_of_a_visitors(
    track, over, application, headers, underscores
):
    asks = f"proxy_pass http://127.0.0.1:{application};"
    # With the printed part, and without a word about headers.
    lines = f"location ^~ /public/ {{ include gatehouse-proxy.conf; {asks} }}\nlocation ^~ /app/ {{ {asks} }}"
    site = track(
        CheckSite(over, f"underscores_in_headers {underscores};", servers=(lines,), identity={"headers": headers})
    )
    ours = {"remote-user": "alice", "remote-email": "alice@example.org"}
    if headers != "remote":
        ours = {"x-user": "alice", "x_mail": "alice@example.org"}
    spoofed = [*ours, "Remote-User", "Remote_User", "Proxy", "Authorization", "X-Gatehouse-User", "X-Gatehouse-User-Id"]
    spoofed += ["X_Gatehouse-User", "x_gatehouse_session_state", "X-Gatehouse_User_Id"]
    spoofed += ["Remote_Groups"] if headers == "remote" else ["X-Mail", "X_User"]
    evil = {name: "evil" for name in spoofed}
    nobody, alice = site.visitor(), site.signed_in()
    for path in ("/public/x", "/app/x"):
        seen = alice.fetch(path, headers=evil).json()
        assert "evil" not in [value for _, value in seen], path
        assert {name: [v for n, v in seen if n == name] for name in ours} == {name: [v] for name, v in ours.items()}
        assert ["x-gatehouse-user-id", site.alice_id] in seen
    seen = nobody.fetch("/public/x", headers=evil).json()
    assert "evil" not in [value for _, value in seen]
    assert not {name for name, _ in seen} & {*ours, "x-gatehouse-user", "remote-user"}
    assert nobody.fetch("/app/x", headers=evil).status_code == 401


def test_with_a_login_page_elsewhere_a_program_still_gets_401(track, over):
    site = track(CheckSite(over, login={"url": "https://login.example/"}))
    assert site.visitor().fetch("/page.html").status_code == 401
    answer = site.visitor().navigate("/page.html")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("https://login.example/?rd=http%3A%2F%2F127.0.0.1")
