"""The relay under load: bodies of any length both ways with flat memory, hundreds who are slow beside everybody else, and
a php-fpm that ends and begins again under traffic. With GATEHOUSE_LONG=1 in full measure.

`pytest -s` shows the figures; none is asserted but memory's.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import signal
import statistics
import time

import pytest

from apache import ApacheGatewaySite
from check_site import PhpFpm
from fastcgi import BEGIN, PARAMS, RESPONDER, STDIN, encode_pairs, get, record, request, stream, whole_answer
from harness import LONG, Site, clean_environment, wait_until
from load import Crowd, NumberedVisitors, Slow

IS_LONG = os.environ.get("GATEHOUSE_LONG") == "1"
MIB = 1 << 20
# One body. A sanitizer's build is slow, and its memory says nothing: it keeps what was freed.
SIZE = 1024 * MIB if IS_LONG else 64 * MIB
ALLOWANCE = 4096  # KiB

# What php-fpm runs. Where a script notes something down is the folder MARKS.
SCRIPTS = {
    "page.php": "<?php header('Content-Type: text/plain'); echo 'a page';",
    # Reads as it comes: enable_post_data_reading is off.
    "upload.php": """<?php
        $hash = hash_init('md5');
        $length = hash_update_stream($hash, fopen('php://input', 'rb'));
        echo json_encode(['length' => $length, 'announced' => $_SERVER['CONTENT_LENGTH'], 'hash' => hash_final($hash)]);
    """,
    # No two blocks are the same. `written` is noted when php-fpm has let go of every byte but its last buffer.
    "download.php": """<?php
        header('Content-Type: application/octet-stream');
        set_time_limit(0);
        [$left, $mark] = [(int) $_GET['size'], $_SERVER['MARKS'] . '/' . $_GET['name']];
        if (isset($_GET['announced'])) header("Content-Length: $left");
        $block = random_bytes(min($left, 1 << 20));
        $hash = hash_init('md5');
        for (; $left > 0; $left -= strlen($piece)) {
            $piece = substr($block, 0, $left);
            hash_update($hash, $piece);
            echo $piece;
            $block = substr($block, 4099) . substr($block, 0, 4099);
        }
        file_put_contents("$mark.tmp", hash_final($hash));
        rename("$mark.tmp", "$mark.written");
    """,
    "wait.php": """<?php
        file_put_contents($_SERVER['MARKS'] . '/waiting.' . $_GET['number'], '');
        while (!file_exists($_SERVER['MARKS'] . '/gate')) usleep(10000);
        echo 'through';
    """,
    # A third has said something before it is at its end.
    "count.php": """<?php
        $number = (int) $_GET['number'];
        $note = fn($what) => file_put_contents($_SERVER['MARKS'] . '/numbers', "$number $what\\n", FILE_APPEND);
        $note('begun');
        usleep(1000 * ($number % 4));
        echo "$number ";
        if ($number % 3 == 0) flush();
        usleep(1000 * ($number % 3));
        echo strlen(file_get_contents('php://input')), "\\n";
        $note('ended');
    """,
}


class Relaying:
    """For a gateway site of any web server: what is below /NAME/ goes to the downstream of that name, given as (pool, its
    further keys); pools of php-fpm as name → what PhpFpm is given. Gatehouse's temporary files are in `temporary`."""

    POOLS = {"many": {"workers": 4}}
    DOWNSTREAMS = {"php": ("many", {})}

    def __init__(self, pools=None, downstreams=None, **options):
        self.pools, self.downstreams = pools or self.POOLS, downstreams or self.DOWNSTREAMS
        self.php = {}
        try:
            super().__init__(prepare=self.prepare, **options)
        except BaseException:
            self.stop_pools()
            raise

    def prepare(self, gatehouse):
        self.temporary, self.marks = gatehouse.folder / "temporary", gatehouse.folder / "marks"
        self.temporary.mkdir()
        self.marks.mkdir()
        self.marks.chmod(0o777)
        for name, options in self.pools.items():
            (gatehouse.folder / name).mkdir()
            reads_itself = "php_admin_value[enable_post_data_reading] = off\n"
            options = {**options, "lines": reads_itself + options.get("lines", "")}
            self.php[name] = PhpFpm(gatehouse.folder / name, **options).start()
        routes = []
        for name, (pool, keys) in self.downstreams.items():
            scripts = gatehouse.folder / "www" / name
            scripts.mkdir(parents=True)
            for script, text in SCRIPTS.items():
                (scripts / script).write_text(text)
            own = {"address": self.php[pool].address, "root": str(scripts.parent), "env": {"MARKS": str(self.marks)}}
            gatehouse.config["downstreams"][name] = {"fastcgi": {**own, **keys}}
            routes.append({"path": f"/{name}/**", "access": "public", "downstream": name})
        gatehouse.config["downstreams"]["scripts"]["cgi"]["timeout"] = "60s"
        gatehouse.config["routes"] = routes + gatehouse.config["routes"]
        gatehouse.write_config()

    def start_gatehouse(self):
        self.gatehouse.start(env=clean_environment(TMPDIR=str(self.temporary)))

    def temporary_files(self):
        """The sizes of those that gatehouse has open now, as they are on the disk."""
        sizes = []
        for entry in os.scandir(f"/proc/{self.gatehouse.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(entry.path).startswith(str(self.temporary)):
                    sizes.append(os.stat(entry.path).st_blocks * 512)
        return sizes

    def hash_of(self, name):
        """Of what download.php has sent by that name."""
        mark = self.marks / f"{name}.written"
        wait_until(mark.exists, "the script has written everything")
        return mark.read_text()

    def stop_pools(self):
        for php in self.php.values():
            php.stop()

    def logs(self):
        return {**super().logs(), **{f"php-fpm {name}": php.log() for name, php in self.php.items()}}

    def close(self):
        self.stop_pools()
        super().close()


class RelayingNginx(Relaying, Site):
    """`buffers`: nginx takes in the upload before it asks, and the answer before the visitor does. Else every byte goes
    on as it comes."""

    def __init__(self, buffers=False, **options):
        self.buffers = buffers
        super().__init__(**options)

    def make_front(self):
        def edit(text):
            assert "fastcgi_request_buffering on;" in text and "client_max_body_size 100m;" in text
            text = text.replace("client_max_body_size 100m;", "client_max_body_size 0;")
            return text if self.buffers else text.replace("request_buffering on;", "request_buffering off;")

        return super().make_front(edit=edit, server_lines="" if self.buffers else "fastcgi_buffering off;")


class RelayingApache(Relaying, ApacheGatewaySite):
    def make_front(self, **options):
        front = super().make_front(**options)
        assert "LimitRequestBody 104857600" in front.site
        front.site = front.site.replace("LimitRequestBody 104857600", "LimitRequestBody 0")
        return front


# ── bodies of any length ────────────────────────────────────────────────────────────────────────────────────────────

FRONTS = {
    "nginx buffers": lambda: RelayingNginx(buffers=True),
    "nginx streams": RelayingNginx,
    "Apache": RelayingApache,
}


@pytest.fixture(scope="module", params=FRONTS)
def front(request):
    site = FRONTS[request.param]()
    site.name = request.param
    yield site
    site.close()


@contextlib.contextmanager
def http_connection(site):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.nginx.port, timeout=6 * LONG)) as connection:
        yield connection


def upload(site, size, is_announced):
    """Sends that many bytes. Returns (what the script saw, the hash of what was sent)."""
    block, sent = os.urandom(MIB), hashlib.md5()

    def pieces():
        for number in range(size // MIB):
            piece = block[number:] + block[:number]
            sent.update(piece)
            yield piece

    headers = {"Content-Length": str(size)} if is_announced else {"Transfer-Encoding": "chunked"}
    with http_connection(site) as connection:
        connection.request("POST", "/php/upload.php", pieces(), headers, encode_chunked=not is_announced)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return json.loads(answer.read()), sent.hexdigest()


def download(site, size, is_announced):
    """Returns (how many bytes came, their hash, the hash of what the script sent)."""
    name = f"{size}-{is_announced}"
    path = f"/php/download.php?size={size}&name={name}{'&announced=1' if is_announced else ''}"
    got, count = hashlib.md5(), 0
    with http_connection(site) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        # Apache passes no script's length on: since 2.4.59 it believes none.
        is_told = is_announced and not isinstance(site, RelayingApache)
        assert answer.getheader("Content-Length") == (str(size) if is_told else None)
        while piece := answer.read(1 << 18):
            got.update(piece)
            count += len(piece)
    return count, got.hexdigest(), site.hash_of(name)


def assert_flat(site, what, pass_through):
    """Passes a small body, and a large one: the memory of the first suffices for the second."""
    site.gatehouse.forget_peak_memory()
    pass_through(2 * MIB)
    small = site.gatehouse.peak_memory()
    site.gatehouse.forget_peak_memory()
    begin = time.monotonic()
    pass_through(SIZE)
    seconds, large = time.monotonic() - begin, site.gatehouse.peak_memory()
    print(f"\n{site.name}, {what} of {SIZE // MIB} MiB: {seconds:.1f} s, peak {large} KiB, {small} KiB with 2 MiB")
    if not os.environ.get("GATEHOUSE_SANITIZE"):
        assert large - small < ALLOWANCE, (small, large)
    wait_until(lambda: site.temporary_files() == [], "temporary files are gone")
    assert list(site.temporary.iterdir()) == []


def test_an_upload_arrives_whole_and_memory_stays_flat(front):
    def pass_through(size):
        for is_announced in (True, False):
            seen, sent = upload(front, size, is_announced)
            # Without a length from the visitor it has been counted on the way.
            assert seen == {"length": size, "announced": str(size), "hash": sent}

    assert_flat(front, "two uploads", pass_through)


def test_a_download_arrives_whole_and_memory_stays_flat(front):
    def pass_through(size):
        for is_announced in (True, False):
            count, got, sent = download(front, size, is_announced)
            assert (count, got) == (size, sent)

    assert_flat(front, "two downloads", pass_through)


# ── those who are slow ──────────────────────────────────────────────────────────────────────────────────────────────

HELD = 512 * 1024  # beyond what a socket's buffers and gatehouse's memory hold


@pytest.fixture(scope="module")
def site():
    made = RelayingNginx(
        pools={
            "many": {"workers": 4},
            "alone": {"workers": 1},
            "full": {"workers": 1, "lines": "listen.backlog = 1\n"},
        },
        downstreams={
            # Far fewer than those who are slow.
            "php": ("many", {"max_connections": 8}),
            # They may end all at once.
            "uploads": ("many", {"max_connections": 200}),
            "waits": ("many", {"max_connections": 2}),
            "alone": ("alone", {"answer_buffer": "16MiB"}),
            "tight": ("alone", {"answer_buffer": "1MiB"}),
            "full": ("full", {}),
        },
    )
    yield made
    made.close()


def upload_request(length, path="/uploads/upload.php"):
    """(the bytes up to the body, the body's, the body itself)"""
    body = os.urandom(length)
    params = get(path, ("CONTENT_LENGTH", str(length)), method="POST")
    head = record(BEGIN, bytes([0, RESPONDER, 0, 0, 0, 0, 0, 0])) + stream(PARAMS, encode_pairs(params))
    pieces = [record(STDIN, body[at : at + 1000]) for at in range(0, length, 1000)]
    return head, b"".join(pieces) + record(STDIN), body


def ask_many(site, token, count):
    """Everybody else: kind → how long each of his requests took, all of them answered with 200."""
    asked = {
        "relayed page": (get("/php/page.php", cookie=token), b"a page"),
        "CGI page": (get("/greet", cookie=token), b"Hello, alice\n"),
        "check": (get("/greet", ("SCRIPT_NAME", "/auth/check"), cookie=token), b""),
    }

    def ask(kind):
        params, expected = asked[kind]
        seconds = []
        with site.fastcgi() as connection:
            for _ in range(count):
                begin = time.monotonic()
                answer = connection.request(params, keep=True)
                seconds.append(time.monotonic() - begin)
                assert (answer.status, answer.body) == (200, expected), (kind, answer.head, answer.body)
        return seconds

    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        return dict(zip(asked, pool.map(ask, asked), strict=True))


def tell(when, measured):
    for kind, seconds in measured.items():
        p50, p99 = (statistics.quantiles(seconds, n=100)[part - 1] * 1000 for part in (50, 99))
        print(f"\n{kind}, {when}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", end="")


def test_200_slow_uploads_and_200_slow_downloads_delay_nobody(site):
    token = site.signed_in().token
    count = 3000 if IS_LONG else 150
    tell("alone", ask_many(site, token, count))
    descriptors = len(site.gatehouse.descriptors())

    uploads, downloads = {}, {}
    with contextlib.ExitStack() as stack:
        for number in range(200):
            head, records, body = upload_request(100_000)
            uploads[one := Slow(site.gatehouse.socket, head + records, len(head) + 500)] = body
            stack.callback(one.connection.close)
            asked = request(get(f"/php/download.php?size={HELD}&name=slow-{number}"))
            downloads[one := Slow(site.gatehouse.socket, asked, len(asked))] = f"slow-{number}"
            stack.callback(one.connection.close)
            one.wait_for_the_first_byte()
        # Every answer waits in gatehouse for its visitor, and php-fpm's four workers are free.
        assert all(site.hash_of(name) for name in downloads.values())
        wait_until(lambda: len(site.temporary_files()) >= len(downloads), "all are kept in files")
        crowd = stack.enter_context(Crowd([*uploads, *downloads]))
        tell("beside 400 who are slow", ask_many(site, token, count))
        assert not any(one.is_over for one in crowd.everybody)
        crowd.hurry()
    assert crowd.failures == []

    for one, body in uploads.items():
        answer = one.answer()
        assert answer.status == 200 and answer.ended
        assert answer.json() == {
            "length": len(body),
            "announced": str(len(body)),
            "hash": hashlib.md5(body).hexdigest(),
        }
    for one, name in downloads.items():
        answer = one.answer()
        assert answer.status == 200 and answer.ended and len(answer.body) == HELD
        assert hashlib.md5(answer.body).hexdigest() == site.hash_of(name)
    wait_until(lambda: len(site.gatehouse.descriptors()) <= descriptors, "every connection and file is gone")


def test_a_visitor_who_reads_slowly_holds_no_worker_if_the_answer_can_be_kept(site):
    with site.fastcgi() as slow, site.fastcgi() as other:
        slow.send_request(get(f"/alone/download.php?size={8 * MIB}&name=kept"))
        sent = site.hash_of("kept")  # nobody has read a byte of it
        assert other.request(get("/alone/page.php")).body == b"a page"
        assert sum(site.temporary_files()) > 7 * MIB
        answer = slow.read_answer()
        assert answer.status == 200 and hashlib.md5(answer.body).hexdigest() == sent
    wait_until(lambda: site.temporary_files() == [], "the file is gone")


def test_of_an_answer_that_is_too_large_to_be_kept_the_application_waits_with_the_rest(site):
    with site.fastcgi() as slow, site.fastcgi() as other:
        slow.send_request(get(f"/tight/download.php?size={16 * MIB}&name=tight"))
        wait_until(lambda: sum(site.temporary_files()) > MIB // 2, "half of what can be kept is there")
        other.send_request(get("/alone/page.php"))  # of the one worker
        most = 0
        for _ in range(10):
            most = max(most, sum(site.temporary_files()))
            assert not (site.marks / "tight.written").exists()
            time.sleep(0.02)  # for what must not happen
        # What he reads at last makes room, and no file grows beyond it.
        received = bytearray()
        while data := slow.socket.recv(1 << 16):
            received += data
            most = max(most, sum(site.temporary_files()))
        assert most < 2 * MIB, most
        answer = whole_answer(received)
        assert answer.ended and hashlib.md5(answer.body).hexdigest() == site.hash_of("tight")
        assert other.read_answer().body == b"a page"


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_who_leaves_in_the_middle_leaves_nothing_behind(site, kind):
    descriptors = len(site.gatehouse.descriptors())
    with site.fastcgi() as leaves:
        if kind == "upload":
            head, records, _ = upload_request(4 * MIB)
            leaves.send(head + records[: 2 * MIB])
        else:
            leaves.send_request(get(f"/tight/download.php?size={16 * MIB}&name=left"))
        wait_until(lambda: sum(site.temporary_files()) > MIB // 2, "what is kept is in a file")
    wait_until(lambda: site.temporary_files() == [], "the file is gone")
    wait_until(lambda: len(site.gatehouse.descriptors()) <= descriptors, "every connection is gone")
    assert site.fastcgi().request(get("/alone/page.php")).body == b"a page"


def test_who_leaves_while_the_application_has_no_room_gives_his_place_back(site):
    gate = site.marks / "gate"
    with contextlib.ExitStack() as stack:
        stack.callback(gate.unlink)
        stack.callback(gate.touch)
        waiting = stack.enter_context(site.fastcgi())
        waiting.send_request(get("/full/wait.php?number=first"))
        wait_until((site.marks / "waiting.first").exists, "its only worker waits")
        descriptors = len(site.gatehouse.descriptors())
        crowd = [site.fastcgi() for _ in range(8)]
        for connection in crowd:
            connection.send_request(get("/full/page.php"))
        # A descriptor each to its visitor, and one to php-fpm.
        wait_until(lambda: len(site.gatehouse.descriptors()) >= descriptors + 2 * len(crowd), "everybody waits for it")
        for connection in crowd:
            connection.close()
        wait_until(lambda: len(site.gatehouse.descriptors()) <= descriptors, "nobody waits any more")
        gate.touch()
        assert waiting.read_answer().body == b"through"
    assert site.fastcgi().request(get("/full/page.php")).body == b"a page"


def test_an_upload_under_way_takes_no_connection_of_its_downstream(site):
    with contextlib.ExitStack() as stack:
        uploads = []
        for _ in range(10):
            head, records, body = upload_request(100_000, "/waits/upload.php")
            uploads.append((stack.enter_context(site.fastcgi()), records[-100:], hashlib.md5(body).hexdigest()))
            uploads[-1][0].send(head + records[:-100])
        for _ in range(10):
            assert site.fastcgi().request(get("/waits/page.php")).body == b"a page"
        for connection, last, sent in uploads:
            connection.send(last)
            assert connection.read_answer().json()["hash"] == sent


def test_a_slow_script_delays_no_other_downstream_and_no_check(site):
    token = site.signed_in().token
    gate = site.marks / "gate"
    with contextlib.ExitStack() as stack:
        stack.callback(gate.touch)
        waiting = [stack.enter_context(site.fastcgi()) for _ in range(2)]
        for number, connection in enumerate(waiting):
            connection.send_request(get(f"/waits/wait.php?number={number}"))
        wait_until(lambda: len(list(site.marks.glob("waiting.[01]"))) == 2, "two scripts wait")
        refused = site.fastcgi().request(get("/waits/page.php"))
        assert refused.status == 503 and int(refused.header("Retry-After")) > 0
        ask_many(site, token, 20)
        gate.touch()
        assert [connection.read_answer().body for connection in waiting] == [b"through"] * 2
    assert site.fastcgi().request(get("/waits/page.php")).body == b"a page"


# ── php-fpm ends and begins again ───────────────────────────────────────────────────────────────────────────────────

REQUESTS = 10_000 if IS_LONG else 800
RESTARTS = 10 if IS_LONG else 4


def end_by(number):
    """By a signal to the master."""

    def end(php):
        php.process.send_signal(number)
        php.process.wait(LONG)

    return end


def kill(php):
    """Master and workers, at once."""
    os.killpg(php.process.pid, signal.SIGKILL)
    php.process.wait(LONG)


def reload(php):
    def times_ready():
        return php.log().count("ready to handle connections")

    before = times_ready()
    php.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: times_ready() > before, "php-fpm has begun again")


def restarted_by(end):
    def restart(php, load):
        end(php)
        load.wait_for_more(5, (502, True))
        php.start()

    return restart


WAYS = {
    "TERM": restarted_by(end_by(signal.SIGTERM)),
    "KILL": restarted_by(kill),
    "reload": lambda php, load: reload(php),
    "QUIT": restarted_by(end_by(signal.SIGQUIT)),
}


def noted(site):
    """What the scripts have noted: what → how often each number."""
    counts = {"begun": collections.Counter(), "ended": collections.Counter()}
    for line in (site.marks / "numbers").read_text().splitlines():
        number, what = line.split()
        counts[what][int(number)] += 1
    return counts


@pytest.mark.parametrize("keep", [0, 2], ids=["a connection each", "two connections kept"])
def test_php_fpm_restarts_under_traffic_and_no_request_runs_twice(track, keep):
    # Two workers, besides those who belong to kept connections, and room for two or three who wait: the eight visitors
    # meet a full backlog too, and are tried again.
    site = track(
        RelayingNginx(
            buffers=True,
            pools={"few": {"workers": 2 + keep, "lines": f"listen.backlog = {2 - keep // 2}\n"}},
            downstreams={"php": ("few", {"keep_connections": keep})},
        )
    )
    php = site.php["few"]
    with NumberedVisitors(site, "/php/count.php") as load:
        for way in itertools.islice(itertools.cycle(WAYS), RESTARTS):
            WAYS[way](php, load)
            load.wait_for_more(REQUESTS // RESTARTS // 2, (200, True))
        load.wait_for_more(max(20, REQUESTS - len(load.answers)))
    php.stop()
    assert load.wrong == []

    counts = noted(site)
    begun, ended = counts["begun"], counts["ended"]
    seen = collections.Counter(load.answers.values())
    print(
        f"\n{len(load.answers)} requests, {RESTARTS} restarts: {dict(seen)}; begun: {len(begun)}, ended: {len(ended)}"
    )
    assert [number for number, times in begun.items() if times > 1] == []
    assert set(begun) <= set(load.answers) and set(ended) <= set(begun)
    for number, (status, is_whole) in load.answers.items():
        if (status, is_whole) == (200, True):
            assert (begun[number], ended[number]) == (1, 1), number
    wait_until(lambda: site.temporary_files() == [], "temporary files are gone")
