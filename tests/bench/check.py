"""What scripts/bench check runs: the check door under load, beside what bounds it. The table is explained there.

The bytes that are sent to a door are those of the subrequest that nginx makes with the printed configuration, and a
bare responder's answer is the house's own: both are caught here, so that the two differ in nothing but the work.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from fastcgi import END, STDIN, record  # noqa: E402
from harness import LONG, Gatehouse, Nginx, accepts, clean_environment, die_with_the_test, wait_until  # noqa: E402

OVER = ("fastcgi", "http")
CONNECTIONS = 16
PAGE = "page.html"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}


def browser_request(host, cookie, page=PAGE):
    fields = {"Host": host, **BROWSER, **({"Cookie": f"session={cookie}"} if cookie else {})}
    lines = [f"GET /{page} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


# ── bytes, caught on the wire ───────────────────────────────────────────────────────────────────────────────────────


def ends_request(over, data):
    return data.endswith(record(STDIN) if over == "fastcgi" else b"\r\n\r\n")


def ends_answer(over, data):
    if over == "fastcgi":
        return data[-16:-8] == record(END, bytes(8))[:8]
    head, ends, body = data.partition(b"\r\n\r\n")
    return ends and len(body) >= int(re.search(rb"\r\nContent-Length: (\d+)", head)[1])


def receive(connection, is_whole, what):
    data = b""
    while not is_whole(data):
        piece = connection.recv(65536)
        assert piece, f"{what} ended after {data!r}"
        data += piece
    return data


def catch_subrequest(over, path, port, page_request):
    """What nginx sends to the socket at `path` when it is asked for a page. It gets no answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chmod(path, 0o666)
        listener.listen(1)
        listener.settimeout(LONG)
        with socket.create_connection(("127.0.0.1", port), LONG) as visitor:
            visitor.sendall(page_request)
            with listener.accept()[0] as connection:
                connection.settimeout(LONG)
                return receive(connection, lambda data: ends_request(over, data), "nginx's subrequest")


def kept(over, request):
    """nginx closes every FastCGI connection of a subrequest; whoever keeps them sets FCGI_KEEP_CONN."""
    if over == "http":
        return request
    return request[:10] + b"\1" + request[11:]


def catch_answer(over, path, request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LONG)
        connection.connect(str(path))
        connection.sendall(request)
        answer = receive(connection, lambda data: ends_answer(over, data), "gatehouse's answer")
    assert b" 200 OK\r\n" in answer and b"X-Gatehouse-User: alice\r\n" in answer, answer
    return answer


# ── servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class House(Gatehouse):
    """A gatehouse with one user, one rule and the log of a real site."""

    def __init__(self, threads):
        super().__init__(
            threads=threads,
            routes=[{"path": "/**", "access": "authenticated", "downstream": "show"}],
            session={"cache": {"max_staleness": "1s"}},
            log={"level": "info"},
        )
        self.http_socket = self.folder / "http.sock"
        self.config["listen_http"] = [f"unix:{self.http_socket}"]
        self.write_config()
        self.cookie = None

    def start_with_a_user(self):
        self.run("db", "migrate", check=0)
        self.add_user("alice", name="Alice Example", email="alice@example.org", roles="staff,ops")
        self.start()
        cookies = self.post_login("alice").all_headers("Set-Cookie")
        self.cookie = next(line for line in cookies if line.startswith("session=")).split(";")[0].partition("=")[2]

    def socket_of(self, over):
        return self.socket if over == "fastcgi" else self.http_socket

    def pid(self):
        return self.process.pid


class Responder:
    """The bare limit of a transport."""

    def __init__(self, programs, over, path, answer_file):
        self.path = path
        self.process = subprocess.Popen(
            [programs / f"{over}_responder", path, answer_file],
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )

    def wait_until_it_listens(self):
        wait_until(lambda: accepts(self.path), f"{self.path.name} accepts")

    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait(LONG)


class Sites(Nginx):
    """One nginx whose sites, told apart by their names, serve one file: one to everybody, the others ask first."""

    def __init__(self, house, bare_sockets):
        super().__init__(house)
        self.house, self.bare_sockets = house, bare_sockets
        self.root = self.folder / "www"
        self.root.mkdir()
        (self.root / PAGE).write_text("<p>The page.</p>\n" * 60)
        self.http_lines = "access_log off; keepalive_requests 10000000;\n" + self._upstreams()
        self.site = self._site("open") + "".join(self._doors(over) for over in OVER)

    def _upstreams(self):
        printed = self.house.run("snippet", "nginx", "--part", "http", check=0).stdout
        return f'{printed}upstream bare_http {{ server "unix:{self.bare_sockets["http"]}"; keepalive 16; }}\n'

    def _doors(self, over):
        printed = self.house.run("snippet", "nginx", "--over", over, check=0).stdout
        bare = printed.replace(f"unix:{self.house.socket}", f"unix:{self.bare_sockets[over]}")
        bare = bare.replace("gatehouse_http", "bare_http")
        assert bare != printed
        return self._site(f"gatehouse-{over}", printed) + self._site(f"bare-{over}", bare)

    def _site(self, name, lines=""):
        return f'server {{\nlisten 80;\nserver_name {name};\nroot "{self.root}";\n{lines}\nlocation / {{ }}\n}}\n'


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ── measuring ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Case:
    name: str
    arguments: list  # of check_client, without the seconds
    server: object  # a House or Responder, whose processor time is counted, or None
    limit: "Case" = None
    keeps: bool = True
    rounds: list = dataclasses.field(default_factory=list)

    def run(self, client, seconds):
        before = cpu_seconds(self.server.pid()) if self.server else 0
        result = subprocess.run(
            [client, *self.arguments, str(seconds), str(CONNECTIONS), "kept" if self.keeps else "new"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            preexec_fn=die_with_the_test,
        )
        if result.returncode != 0:
            raise Failed(f"{self.name}: {result.stdout}{result.stderr}")
        figures = json.loads(result.stdout)
        after = cpu_seconds(self.server.pid()) if self.server else 0
        figures["cpu"] = (after - before) / figures["requests"] * 1e6
        return figures

    def median(self, figure):
        return statistics.median(each[figure] for each in self.rounds)

    def part_of(self, other):
        """The median of the rounds' ratios: what disturbs the machine for seconds disturbs both."""
        return statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in zip(self.rounds, other.rounds))


class Failed(Exception):
    pass


class Stage:
    """Everything that is measured, started; `stack` ends it."""

    def __init__(self, stack, programs):
        self.stack, self.programs = stack, programs
        self.client = programs / "check_client"
        self.one, self.auto = (self._start_house(threads) for threads in (1, "auto"))
        self.folder = self.one.folder
        self.bare_sockets = {over: self.folder / f"bare-{over}.sock" for over in OVER}
        self.nginx = Sites(self.one, self.bare_sockets)
        stack.callback(self.nginx.stop)
        self.nginx.start()
        self.asked = {over: self._catch_subrequest(over) for over in OVER}
        self.bare = {over: self._start_responder(over) for over in OVER}
        self.cases = [case for over in OVER for case in self._direct_cases(over)] + self._cases_behind_nginx()

    def _start_house(self, threads):
        house = House(threads)
        self.stack.callback(house.remove)
        house.start_with_a_user()
        self.stack.callback(house.stop)
        return house

    def _catch_subrequest(self, over):
        page_request = browser_request(f"bare-{over}", self.one.cookie)
        return catch_subrequest(over, self.bare_sockets[over], self.nginx.port, page_request)

    def _start_responder(self, over):
        answer = catch_answer(over, self.one.socket_of(over), self.asked[over])
        bare = Responder(self.programs, over, self.bare_sockets[over], self._file(f"{over}.answer", answer))
        self.stack.callback(bare.stop)
        bare.wait_until_it_listens()
        return bare

    def _direct_cases(self, over):
        one, auto, bare = self.one, self.auto, self.bare[over]
        asked = kept(over, self.asked[over])
        request = self._file(f"{over}.request", asked)
        auto_request = self._file(f"{over}.auto", asked.replace(one.cookie.encode(), auto.cookie.encode()))
        limit = Case(f"bare {over}", [over, f"unix:{bare.path}", request], bare)
        cases = [
            limit,
            Case(f"gatehouse {over}, 1 thread", [over, f"unix:{one.socket_of(over)}", request], one, limit),
            Case(f"gatehouse {over}, auto", [over, f"unix:{auto.socket_of(over)}", auto_request], auto, limit),
        ]
        return cases + self._cases_with_new_connections() if over == "fastcgi" else cases

    def _cases_with_new_connections(self):
        bare, request = self.bare["fastcgi"], self._file("single", self.asked["fastcgi"])
        limit = Case("bare fastcgi, new connections", ["fastcgi", f"unix:{bare.path}", request], bare)
        ours = Case(
            "gatehouse fastcgi, new connections", ["fastcgi", f"unix:{self.one.socket}", request], self.one, limit
        )
        limit.keeps = ours.keeps = False
        return [limit, ours]

    def _cases_behind_nginx(self):
        def through(site):
            return ["http", f"tcp:{self.nginx.port}", self._file(site, browser_request(site, self.one.cookie))]

        cases = [Case("nginx, nobody is asked", through("open"), None)]
        for over in OVER:
            limit = Case(f"nginx asks the bare {over}", through(f"bare-{over}"), self.bare[over], cases[0])
            ours = Case(f"nginx asks gatehouse over {over}", through(f"gatehouse-{over}"), self.one, limit)
            cases += [limit, ours]
        return cases

    def _file(self, name, data):
        path = self.folder / f"{name}.bytes"
        path.write_bytes(data)
        return str(path)

    def logs(self):
        for name, log in (("gatehouse", self.one.log()), ("nginx", self.nginx.log())):
            yield from (f"{name}: {line}" for line in log.splitlines()[-10:])


def print_table(cases):
    letters = {id(case): chr(ord("A") + index) for index, case in enumerate(cases)}
    rows = [("", "case", "requests/s", "least-most", "of its limit", "p50 µs", "p99 µs", "CPU µs")]
    for case in cases:
        rates = [each["rate"] for each in case.rounds]
        limit = f"{case.part_of(case.limit):.2f} of {letters[id(case.limit)]}" if case.limit else ""
        rows.append(
            (
                letters[id(case)],
                case.name,
                f"{case.median('rate'):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                limit,
                f"{case.median('p50'):.0f}",
                f"{case.median('p99'):.0f}",
                f"{case.median('cpu'):.1f}" if case.server else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        print(f"| {' | '.join(cells)} |")


def measure(stage, rounds, seconds):
    for case in stage.cases:
        case.run(stage.client, min(seconds, 0.3))  # caches, lazily opened connections
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for case in stage.cases:
            case.rounds.append(case.run(stage.client, seconds))


def describe_machine(rounds, seconds):
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, nginx {nginx} with 1 worker; ", end="")
    print(f"rounds: {rounds}, {seconds:g} s a case; {CONNECTIONS} connections\n")


# ── the whole of it ─────────────────────────────────────────────────────────────────────────────────────────────────

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def everything_ended():
    """An ExitStack whose end no second Ctrl-C disturbs."""
    for number in ENDING:
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    with contextlib.ExitStack() as stack:
        try:
            yield stack
        finally:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)


def main(name, make_stage):
    parser = argparse.ArgumentParser(prog=f"scripts/bench {name}")
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with everything_ended() as stack:
        stage = make_stage(stack, options.programs.resolve())
        try:
            measure(stage, options.rounds, options.seconds)
        except Failed as failure:
            print(failure, *stage.logs(), sep="\n", file=sys.stderr)
            return 1
        describe_machine(options.rounds, options.seconds)
        print_table(stage.cases)
    return 0


if __name__ == "__main__":
    sys.exit(main("check", Stage))
