"""FastCGI 1.0 to the letter and against it, byte by byte on the real program, as a responder and as an authorizer: the
right answer or the end of the connection, never a wait without an end, and the next web server is served as ever."""

import contextlib
import select
import time

import pytest

import fastcgi
import harness
from door_table import Guests
from fastcgi import (
    ABORT,
    AUTHORIZER,
    BEGIN,
    END,
    GET_VALUES,
    GET_VALUES_RESULT,
    PARAMS,
    RESPONDER,
    STDERR,
    STDIN,
    STDOUT,
    UNKNOWN_TYPE,
    FastCgi,
    decode_pairs,
    encode_pairs,
    get,
    record,
    stream,
)
from harness import wait_until

DATA = 8
CANT_MPX_CONN, UNKNOWN_ROLE = 1, 3
KEEP = 1
BODY = b"a body"
ROLES = {"responder": RESPONDER, "authorizer": AUTHORIZER}
both_roles = pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)


class Door:
    """A gatehouse with a visitor who is signed in, and the two ways to ask about her."""

    def __init__(self):
        self.gatehouse = harness.Gatehouse()
        try:
            self.gatehouse.run("db", "migrate", check=0)
            self.gatehouse.start()
            self.token = Guests(self.gatehouse).token("valid")
            self.connect().request(self.params(RESPONDER, target="/public/x"))  # opens what stays open for scripts
        except BaseException:
            self.gatehouse.remove()
            raise

    def connect(self):
        return FastCgi(self.gatehouse.socket)

    def params(self, role, *more, target=None):
        """What is answered "yes": an endpoint that tells who one is, a page that she may see."""
        return get(target or ("/auth/session" if role == RESPONDER else "/show"), *more, cookie=self.token)

    def whole(self, role, *more, keep=False, **how):
        return begin(role, keep) + arguments(self.params(role, *more, **how)) + end_of_body(role)

    def logs(self):
        return {"gatehouse": self.gatehouse.log()}

    def close(self):
        try:
            self.gatehouse.stop()
        finally:
            self.gatehouse.remove()


def begin(role, keep=False, request_id=1, **how):
    return record(BEGIN, role.to_bytes(2, "big") + bytes([KEEP if keep else 0, 0, 0, 0, 0, 0]), request_id, **how)


def arguments(pairs, request_id=1):
    return stream(PARAMS, encode_pairs(pairs), request_id)


def end_of_body(role, request_id=1):
    """Web servers send an authorizer no STDIN at all."""
    return record(STDIN, b"", request_id) if role == RESPONDER else b""


def is_yes(answer, role):
    if answer.status != 200 or not answer.ended or answer.protocol_status != 0:
        return False
    if role == AUTHORIZER:
        return answer.header("Variable-REMOTE_USER") == "alice"
    return answer.body == BODY or answer.json()["user"]["username"] == "alice"


def assert_yes(answer, role):
    assert is_yes(answer, role), (answer.head, answer.body[:500], answer.ended, answer.protocol_status)


def assert_no(answer):
    """An error in so many words, or no end mark: END_REQUEST alone would let the visitor in on some servers."""
    if answer.ended:
        assert answer.status is not None and answer.status >= 400, (answer.head, answer.protocol_status)
    else:
        assert answer.head == b"", answer.head


def assert_dropped(connection):
    assert_no(answer := connection.read_answer())
    assert not answer.ended and connection.is_closed()


@pytest.fixture(scope="module")
def door():
    made = Door()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def the_next_one_is_served(door):
    """Whatever was sent: the same process answers the next web server, and forgets the last one's connections."""
    pid, threads = door.gatehouse.process.pid, door.gatehouse.threads()
    descriptors = len(door.gatehouse.descriptors())
    yield
    assert door.gatehouse.process.poll() is None and door.gatehouse.process.pid == pid, door.gatehouse.log()[-2000:]
    for role in ROLES.values():
        with door.connect() as connection:
            connection.send(door.whole(role))
            assert_yes(connection.read_answer(), role)
    wait_until(lambda: len(door.gatehouse.descriptors()) <= descriptors, "the connections are closed")
    assert door.gatehouse.threads() == threads


# ── parameters ──────────────────────────────────────────────────────────────────────────────────────────────────────

MOST_OF_A_PAIR = 64 * 1024
MOST_IN_ALL = 256 * 1024


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 255, 256, 16_384, 65_535 - 20, 65_535, MOST_OF_A_PAIR])
@both_roles
def test_a_pair_of_any_length_up_to_64_kib_arrives(door, role, length):
    name = "HTTP_X_LONG" if length < 65_535 else "X"
    value = "v" * (length if length < MOST_OF_A_PAIR else length - len(name))
    with door.connect() as connection:
        connection.send(door.whole(role, (name, value)))
        assert_yes(connection.read_answer(), role)
    if name == "X":
        return  # no header: a script does not see it
    with door.connect() as connection:
        connection.send(door.whole(RESPONDER, (name, value), target="/public/x"))
        assert connection.read_answer().json()["env"][name] == value


@pytest.mark.parametrize("length", [1, 127, 128, 129, 1000, MOST_OF_A_PAIR - 1])
@both_roles
def test_so_does_a_name_of_any_length(door, role, length):
    with door.connect() as connection:
        connection.send(door.whole(role, ("N" * length, "v")))
        assert_yes(connection.read_answer(), role)


@both_roles
def test_lengths_may_be_in_four_bytes_though_one_would_do(door, role):
    four = b"".join(
        (len(name) | 1 << 31).to_bytes(4, "big") + (len(value) | 1 << 31).to_bytes(4, "big") + (name + value).encode()
        for name, value in door.params(role)
    )
    with door.connect() as connection:
        connection.send(begin(role) + stream(PARAMS, four) + end_of_body(role))
        assert_yes(connection.read_answer(), role)


def filled(door, role, total):
    """The parameters of a "yes" and others, `total` bytes of names and values."""
    pairs = door.params(role)
    room = total - sum(len(name) + len(value) for name, value in pairs)
    while room > 0:
        part = min(room, 32_768)
        pairs.append(("P" * min(part, 4), "v" * (part - min(part, 4))))
        room -= part
    return pairs


@pytest.mark.parametrize("total", [65_535, 65_536, 70_000, 200_000, MOST_IN_ALL])
@both_roles
def test_all_together_may_be_256_kib_over_any_number_of_records(door, role, total):
    with door.connect() as connection:
        connection.send(begin(role) + arguments(filled(door, role, total)) + end_of_body(role))
        assert_yes(connection.read_answer(), role)


TOO_MUCH = {
    "one pair": lambda door, role: [*door.params(role), ("X", "v" * MOST_OF_A_PAIR)],
    "one name": lambda door, role: [*door.params(role), ("N" * (MOST_OF_A_PAIR + 1), "")],
    "all together": lambda door, role: filled(door, role, MOST_IN_ALL + 1),
    "five MB": lambda door, role: filled(door, role, 5_000_000),
    "their number": lambda door, role: [*door.params(role), *[(f"P{number}", "") for number in range(1000)]],
}


@pytest.mark.parametrize("pairs", TOO_MUCH.values(), ids=TOO_MUCH)
@both_roles
def test_beyond_the_bounds_there_is_431_and_never_a_yes(door, role, pairs):
    with door.connect() as connection:
        connection.send(begin(role, keep=True) + arguments(pairs(door, role)) + end_of_body(role))
        answer = connection.read_answer()
        assert answer.ended and answer.status == 431
        assert answer.first_line.startswith("Status: ")
        assert connection.is_closed()


CRAFTED = [0x7FFFFFFF, 0x7FFFFFFE, 0xFFFFFFFF, 0x80010001, 0x80040001, 0xFFFFFFFE]


@pytest.mark.parametrize("where", ["the name", "the value", "both"])
@pytest.mark.parametrize("length", CRAFTED, ids=hex)
@both_roles
def test_a_crafted_length_is_refused_before_its_bytes_come(door, role, length, where):
    crafted, short = length.to_bytes(4, "big"), b"\x04"
    lengths = {"the name": crafted + short, "the value": short + crafted, "both": crafted + crafted}[where]
    data = begin(role) + record(PARAMS, encode_pairs(door.params(role)) + lengths + b"NAMEvalue")
    with door.connect() as connection:
        if length < 1 << 31:  # the first byte is a length of its own, 127: what follows may be too short, or too long
            connection.send(data + record(PARAMS) + end_of_body(role))
            assert_no(connection.read_answer())
        else:
            connection.send(data)
            assert connection.read_answer().status == 431
        assert connection.is_closed()


@pytest.mark.parametrize("cut", [1, 2, 6, 11, 200], ids=lambda cut: f"without the last {cut}")
@both_roles
def test_parameters_that_end_within_a_pair_are_no_request(door, role, cut):
    whole = encode_pairs([*door.params(role), ("LAST", "v" * 200)])
    with door.connect() as connection:
        connection.send(begin(role) + stream(PARAMS, whole[:-cut]) + end_of_body(role))
        assert_dropped(connection)


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@both_roles
def test_any_padding_may_follow_any_record(door, role):
    pairs = encode_pairs(door.params(role))
    with door.connect() as connection:
        for padding in range(256):
            records = [(PARAMS, pairs[:100]), (PARAMS, pairs[100:]), (PARAMS, b""), (STDIN, b"")]
            used = records if role == RESPONDER else records[:3]
            data = begin(role, keep=True, padding=padding)
            data += b"".join(record(kind, content, padding=padding) for kind, content in used)
            connection.send(data)
            assert_yes(connection.read_answer(), role)


@both_roles
def test_a_request_may_be_split_at_every_byte(door, role):
    data = door.whole(role)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(door.connect()) for _ in range(1, len(data))]
        for cut, connection in enumerate(connections, start=1):
            connection.send(data[:cut])
        # Who is answered now has been read after all of them.
        for _ in range(4):
            with door.connect() as other:
                other.send(data)
                assert_yes(other.read_answer(), role)
        for cut, connection in enumerate(connections, start=1):
            connection.send(data[cut:])
        for connection in connections:
            assert_yes(connection.read_answer(), role)


@both_roles
def test_parameters_may_come_in_records_of_one_byte(door, role):
    pairs = encode_pairs(door.params(role))
    one_by_one = b"".join(record(PARAMS, pairs[at : at + 1], padding=at % 256) for at in range(len(pairs)))
    with door.connect() as connection:
        connection.send(begin(role) + one_by_one + record(PARAMS) + end_of_body(role))
        assert_yes(connection.read_answer(), role)


@pytest.mark.parametrize("request_id", [1, 2, 255, 256, 65535])
@both_roles
def test_every_id_is_echoed(door, role, request_id):
    with door.connect() as connection:
        connection.send(
            begin(role, request_id=request_id)
            + arguments(door.params(role), request_id)
            + end_of_body(role, request_id)
        )
        assert_yes(connection.read_answer(request_id), role)


# ── management records ──────────────────────────────────────────────────────────────────────────────────────────────

KNOWN = {"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"}
ASKED = {
    "known": [*KNOWN],
    "one": ["FCGI_MPXS_CONNS"],
    "unknown": ["FCGI_NOTHING", "", "fcgi_max_conns"],
    "both, and doubled": ["X", *KNOWN, *KNOWN],
    "none": [],
    "100 names": [f"NAME_{number}" for number in range(100)],
    "3000 names": [*KNOWN, *[f"N{number}" for number in range(3000)]],
}


def pieces_of(door, role):
    """A request in parts, between any two of which something else may come: BEGIN, two of PARAMS, two of STDIN. The
    responder's has a body that is waited for, and comes back."""
    if role == AUTHORIZER:
        pairs = encode_pairs(door.params(role))
        return [begin(role, keep=True), record(PARAMS, pairs[:50]), record(PARAMS, pairs[50:]) + record(PARAMS)]
    pairs = encode_pairs(get("/echo", ("CONTENT_LENGTH", str(len(BODY))), method="POST", cookie=door.token))
    return [
        begin(role, keep=True),
        record(PARAMS, pairs[:50]),
        record(PARAMS, pairs[50:]) + record(PARAMS),
        record(STDIN, BODY[:3]),
        record(STDIN, BODY[3:]) + record(STDIN),
    ]


@pytest.mark.parametrize("names", ASKED.values(), ids=ASKED)
@both_roles
def test_get_values_is_answered_before_within_and_between_requests(door, role, names):
    question = record(GET_VALUES, encode_pairs([(name, "") for name in names]), request_id=0, padding=3)

    def assert_told(connection):
        kind, request_id, content = connection.read_record()
        assert (kind, request_id) == (GET_VALUES_RESULT, 0)
        told = decode_pairs(content)
        assert set(told) == KNOWN & set(names)
        assert told.get("FCGI_MPXS_CONNS", "0") == "0" and all(value.isdigit() for value in told.values())

    with door.connect() as connection:
        for _ in range(2):
            for piece in pieces_of(door, role):
                connection.send(question)
                assert_told(connection)
                connection.send(piece)
            assert_yes(connection.read_answer(), role)


@pytest.mark.parametrize("content", [b"\x05", b"\x05\x00FCGI", b"\xff\xff\xff\xff\x00"], ids=["half", "cut", "crafted"])
def test_get_values_that_cannot_be_read_ends_the_connection(door, content):
    with door.connect() as connection:
        connection.send(record(GET_VALUES, content, request_id=0))
        assert connection.is_closed()


@pytest.mark.parametrize("content", [b"", b"content!", b"c" * 65_535], ids=["nothing", "eight bytes", "much"])
@pytest.mark.parametrize("kind", [GET_VALUES_RESULT, 12, 77, 255])
@both_roles
def test_an_unknown_management_type_is_named_and_skipped(door, role, kind, content):
    unknown = record(kind, content, request_id=0, padding=5)
    with door.connect() as connection:
        for piece in pieces_of(door, role):
            connection.send(unknown)
            got, request_id, told = connection.read_record()
            assert (got, request_id, told[0]) == (UNKNOWN_TYPE, 0, kind)
            connection.send(piece)
        assert_yes(connection.read_answer(), role)


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rest", [False, True], ids=["begin alone", "a whole request"])
@pytest.mark.parametrize("keep", [False, True], ids=["", "kept"])
@pytest.mark.parametrize("role", [0, fastcgi.FILTER, 4, 9, 255, 256, 258, 65535])
def test_an_unknown_role_is_said_to_be_unknown(door, role, keep, rest):
    with door.connect() as connection:
        connection.send(begin(role, keep))
        if rest:
            connection.send(arguments(door.params(RESPONDER)) + record(STDIN))
        kind, request_id, content = connection.read_record()
        assert (kind, request_id, content[4]) == (END, 1, UNKNOWN_ROLE)
        connection.socket.shutdown(1)
        assert connection.is_closed()


def test_an_authorizer_without_stdin_is_answered_a_hundred_times_over_one_connection(door):
    with door.connect() as connection:
        for _ in range(100):
            connection.send(door.whole(AUTHORIZER, keep=True))
            assert_yes(connection.read_answer(), AUTHORIZER)


@pytest.mark.parametrize("when", ["with the request", "after the answer"])
@pytest.mark.parametrize("body", [b"", b"x" * 10, b"x" * 100_000], ids=["empty", "short", "long"])
def test_so_is_one_whose_stdin_comes_all_the_same(door, body, when):
    with door.connect() as connection:
        for _ in range(100 if len(body) < 100 else 5):
            request, late = door.whole(AUTHORIZER, keep=True), stream(STDIN, body)
            connection.send(request + late if when == "with the request" else request)
            assert_yes(connection.read_answer(), AUTHORIZER)
            if when == "after the answer":
                connection.send(late)


@pytest.mark.parametrize(
    "said, status",
    [
        # mod_authnz_fcgi names its two phases, and the role beside them.
        ([("FCGI_ROLE", "AUTHORIZER"), ("FCGI_APACHE_ROLE", "AUTHENTICATOR")], 200),
        ([("FCGI_ROLE", "AUTHORIZER"), ("FCGI_APACHE_ROLE", "AUTHORIZER")], 200),
        # mod_fcgid's hooks begin with a Basic name, which would ride on somebody's cookie.
        ([("FCGI_APACHE_ROLE", "AUTHENTICATOR")], 401),
        ([("FCGI_APACHE_ROLE", "AUTHORIZER")], 401),
        ([("FCGI_APACHE_ROLE", "AUTHORIZER"), ("FCGI_ROLE", "RESPONDER")], 401),
        ([("FCGI_APACHE_ROLE", "ACCESS_CHECKER")], 200),
    ],
)
def test_apaches_hooks_for_basic_authentication_let_nobody_in(door, said, status):
    with door.connect() as connection:
        connection.send(door.whole(AUTHORIZER, *said))
        assert connection.read_answer().status == status
    assert status == 200 or "use FcgidAccessChecker" in door.gatehouse.log()


def test_an_access_checker_is_refused_without_a_word_that_would_stand_beside_apaches_page(door):
    with door.connect() as connection:
        more = [("FCGI_APACHE_ROLE", "ACCESS_CHECKER"), ("HTTP_ACCEPT", "text/html")]
        connection.send(begin(AUTHORIZER) + arguments(get("/show", *more)))
        answer = connection.read_answer()
        assert (answer.status, answer.body) == (401, b"") and answer.head.split(b"\r\n")[1:] == []
    with door.connect() as connection:  # nor where its question cannot be read
        connection.send(begin(AUTHORIZER) + arguments(get("/a%2fb", *more)))
        answer = connection.read_answer()
        assert (answer.status, answer.body) == (403, b"") and answer.header("Content-Security-Policy") is None


# ── several requests at once ────────────────────────────────────────────────────────────────────────────────────────


STAGES = {"after BEGIN": 1, "in PARAMS": 2, "before STDIN": 3, "in STDIN": 4}
# An authorizer is served with the end of its PARAMS.
in_every_stage = pytest.mark.parametrize(
    "role, stage",
    [
        pytest.param(role, stage, id=f"{name}, {where}")
        for name, role in ROLES.items()
        for where, stage in STAGES.items()
        if role == RESPONDER or stage < 3
    ],
)


@in_every_stage
def test_a_second_request_is_refused_and_the_first_unaffected(door, role, stage):
    pieces = pieces_of(door, role)
    with door.connect() as connection:
        connection.send(b"".join(pieces[:stage]))
        for other in (2, 65535):
            for other_role in ROLES.values():
                connection.send(begin(other_role, True, other))
                kind, request_id, content = connection.read_record()
                assert (kind, request_id, content[4]) == (END, other, CANT_MPX_CONN)
                connection.send(arguments(door.params(RESPONDER), other) + record(STDIN, b"x", other))
                connection.send(record(ABORT, b"", other))
        connection.send(b"".join(pieces[stage:]))
        assert_yes(connection.read_answer(), role)
        connection.send(door.whole(role))
        assert_yes(connection.read_answer(), role)


@pytest.mark.parametrize("how", ["at once", "byte by byte"])
@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_requests_behind_a_whole_one_wait_for_its_end_and_are_served_in_turn(door, role, how):
    """HAProxy takes an answer for ended with the last byte that its head announces, before END_REQUEST."""
    ids = [1, 3, 65535, 5, 7]
    data = b"".join(
        begin(role, True, each) + arguments(door.params(role), each) + end_of_body(role, each) for each in ids
    )
    with door.connect() as connection:
        for part in [data] if how == "at once" else [data[i : i + 1] for i in range(len(data))]:
            connection.send(part)
        ended = []
        while len(ended) < len(ids):
            kind, request_id, content = connection.read_record()
            assert request_id == ids[len(ended)], "no two answers are mixed"
            if kind == END:
                assert content[4] == 0
                ended.append(request_id)
        connection.send(door.whole(role))
        assert_yes(connection.read_answer(), role)


def test_without_keep_conn_there_is_no_next_request_to_wait(door):
    slow = begin(RESPONDER) + arguments(get("/hang", cookie=door.token)) + end_of_body(RESPONDER)
    with door.connect() as connection:
        connection.send(slow + begin(RESPONDER, True, 3))
        kind, request_id, content = connection.read_record()
        assert (kind, request_id, content[4]) == (END, 3, CANT_MPX_CONN)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_every_stage
def test_an_abort_ends_the_request_without_an_answer(door, role, stage):
    with door.connect() as connection:
        connection.send(b"".join(pieces_of(door, role)[:stage]) + record(ABORT))
        answer = connection.read_answer()
        assert answer.status is None and answer.body == b""
        if not answer.ended:
            assert connection.is_closed()


def test_an_abort_of_nothing_harms_nobody(door):
    for data in (record(ABORT), record(ABORT, b"", 7), record(ABORT, b"", 0)):
        with door.connect() as connection:
            connection.send(data)
            connection.socket.shutdown(1)
            answer = connection.socket.recv(100)
            assert answer == b"" or answer[1] == UNKNOWN_TYPE


@both_roles
def test_an_abort_of_a_request_that_is_answered_leaves_the_connection_as_it_was(door, role):
    with door.connect() as connection:
        for _ in range(3):
            connection.send(door.whole(role, keep=True))
            assert_yes(connection.read_answer(), role)
            connection.send(record(ABORT))


@pytest.mark.parametrize("way", ["closed", "shut down"])
@both_roles
def test_a_web_server_may_go_at_any_byte(door, role, way):
    data = door.whole(role)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(door.connect()) for _ in range(len(data) + 1)]
        for cut, connection in enumerate(connections):
            connection.send(data[:cut])
            connection.close() if way == "closed" else connection.socket.shutdown(1)
        for cut, connection in enumerate(connections if way == "shut down" else []):
            answer = connection.read_answer()
            # The end of PARAMS makes it a request; one that wants no body may be answered before its end is missed.
            may_be = cut >= len(data) - len(end_of_body(role))
            assert may_be and is_yes(answer, role) or cut < len(data) and not answer.ended and not answer.head, cut


# ── what is no FastCGI ──────────────────────────────────────────────────────────────────────────────────────────────


def broken(role):
    """Name → bytes after which nothing can be right any more, though a "yes" would be whole with what comes behind."""
    open_request = begin(role, keep=True)
    return {
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "zeros": b"\0" * 64,
        "version 0": begin(role, version=0),
        "version 2": begin(role, version=2),
        "version 2 within a request": open_request + record(PARAMS, b"", version=2),
        "id 0": begin(role, request_id=0),
        "a short BEGIN": record(BEGIN, b"short"),
        "a long BEGIN": record(BEGIN, begin(role)[8:] + b"!"),
        "an empty BEGIN": record(BEGIN),
        "BEGIN twice": open_request + begin(role),
        "PARAMS first": record(PARAMS, b"\x01\x01AB"),
        "STDIN first": record(STDIN, b"a body"),
        "empty STDIN first": record(STDIN),
        "STDIN before the end of PARAMS": open_request + record(PARAMS, b"\x01\x01AB") + record(STDIN, b"x"),
        "empty STDIN before the end of PARAMS": open_request + record(PARAMS, b"\x01\x01AB") + record(STDIN),
        "DATA first": record(DATA, b"data"),
        "DATA": open_request + record(DATA, b"data"),
        "the end of DATA": open_request + record(DATA),
        "END_REQUEST": open_request + record(END, bytes(8)),
        "STDOUT": open_request + record(STDOUT, b"Status: 200 OK\r\n\r\n"),
        "STDERR": open_request + record(STDERR, b"an error"),
        "END_REQUEST first": record(END, bytes(8)),
        "GET_VALUES with an id": open_request + record(GET_VALUES, b"", 1),
        "type 0": open_request + record(0, b"", 1),
        "type 77 with an id": open_request + record(77, b"", 1),
        "PARAMS with id 0": open_request + record(PARAMS, b"", 0),
    }


@pytest.mark.parametrize("name", broken(RESPONDER))
@both_roles
def test_a_broken_protocol_ends_the_connection_without_an_answer(door, role, name):
    with door.connect() as connection:
        data, whole = broken(role)[name], door.whole(role, keep=True)
        # The rest of the request that is open, else all of one.
        rest = whole.removeprefix(begin(role, keep=True)) if data.startswith(begin(role, keep=True)) else whole
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be closed already
            connection.send(data + rest)
        assert_dropped(connection)


def test_a_request_behind_the_end_of_parameters_that_were_refused_is_not_served(door):
    # STDIN of the refused one is missing: where it ends nobody knows.
    with door.connect() as connection:
        connection.send(begin(RESPONDER, keep=True) + record(PARAMS, b"\xff\xff\xff\xff\x01") + door.whole(RESPONDER))
        assert connection.read_answer().status == 431
        assert connection.is_closed()


# ── time, memory ────────────────────────────────────────────────────────────────────────────────────────────────────


def stalled(door):
    """Ways to stop in the midst, and the seconds within which the connection must have ended are the program's."""
    responder, pairs = begin(RESPONDER), encode_pairs(door.params(RESPONDER))
    yield from [responder[:10]] * 200
    for role in ROLES.values():
        yield begin(role)
        yield begin(role)[:1]
        yield begin(role) + record(PARAMS, pairs)  # never their end
        yield begin(role) + record(PARAMS, pairs + b"\x04\x7fNAMEv")  # nor the pair's
        yield begin(role) + record(PARAMS, pairs)[:-1]
        yield begin(role) + record(PARAMS, pairs, padding=255)[:-1]
    yield record(GET_VALUES, b"\x0e\x00FCGI", request_id=0)[:-2]
    yield record(77, b"unknown", request_id=0)[:-2]
    yield begin(fastcgi.FILTER) + record(PARAMS, pairs)


def test_stalled_connections_disturb_nobody_and_end_by_themselves(door):
    with contextlib.ExitStack() as stack:
        waiting, idle = [], stack.enter_context(door.connect())
        for data in stalled(door):
            connection = stack.enter_context(door.connect())
            connection.send(data)
            waiting.append(connection)
        busy = stack.enter_context(door.connect())
        answered = 0
        end = time.monotonic() + 3 * harness.LONG
        while waiting:
            for role in ROLES.values():
                busy.send(door.whole(role, keep=True))
                assert_yes(busy.read_answer(), role)
                answered += 1
            assert time.monotonic() < end, f"{len(waiting)} connections are stuck"
            for connection in select.select([each.socket for each in waiting], [], [], 0.05)[0]:
                if not connection.recv(65536):
                    waiting = [each for each in waiting if each.socket is not connection]
        assert answered > 10
        # Nothing at all may be waited for as long as the web server likes.
        idle.send(door.whole(RESPONDER))
        assert_yes(idle.read_answer(), RESPONDER)


def test_abuse_leaves_no_memory_and_no_descriptor_behind(door):
    abuse = [data for role in ROLES.values() for data in broken(role).values()]
    for role in ROLES.values():
        whole = door.whole(role)
        abuse += [whole[: len(whole) * part // 7] for part in range(7)]
        abuse += [begin(role) + arguments(pairs(door, role)) for pairs in TOO_MUCH.values()]
        abuse += [begin(role) + record(PARAMS, length.to_bytes(4, "big") * 2) for length in CRAFTED]
    abuse.append(record(GET_VALUES, encode_pairs([(name, "") for name in ASKED["3000 names"]]), request_id=0))

    def go_through():
        for data in abuse:
            with door.connect() as connection:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.send(data)
                    connection.socket.shutdown(1)
                with contextlib.suppress(ConnectionResetError):
                    while connection.socket.recv(65536):
                        pass

    go_through()
    before, descriptors = door.gatehouse.memory(), len(door.gatehouse.descriptors())
    for _ in range(5):
        go_through()
    wait_until(lambda: len(door.gatehouse.descriptors()) <= descriptors, "the connections are closed")
    # Each time through it is sent some ten megabytes.
    assert door.gatehouse.memory() - before < 20_000, f"{before} KiB before"
