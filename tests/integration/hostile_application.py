"""A FastCGI application that lies, floods, hangs and breaks off: what it does is the last segment of the path that it is
asked for, a name of BEHAVIOURS. Each connection has a thread, within the test's own process."""

import contextlib
import dataclasses
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable

from fastcgi import BEGIN, END, GET_VALUES, PARAMS, STDERR, STDIN, STDOUT, UNKNOWN_TYPE, decode_pairs, record, stream
from harness import LONG
from impostor import end_request

HEAD = b"Content-Type: text/plain\r\n\r\n"
PAGE = b"a page\n"
BEGINNING = b"the beginning\n"  # of a page that is never whole
BEGUN = record(STDOUT, HEAD + BEGINNING)
WHOLE = stream(STDOUT, HEAD + PAGE) + end_request(1)
BROKEN = "broken off"  # what a visitor has seen of it is not a whole answer


def announced(length, body):
    return record(STDOUT, f"Content-Length: {length}\r\n".encode() + HEAD + body)


def says(data):
    """Sends it and closes."""
    return lambda link: link.send(data)


def says_and_stays(data):
    """Sends it and waits for the next request."""

    def behave(link):
        link.send(data)
        link.stays = True

    return behave


def floods(first, again):
    """Sends the second without end."""

    def behave(link):
        block = again * (1 + 60_000 // len(again))
        link.send(first)
        while True:
            link.send(block)

    return behave


def trickles(first, again):
    """A record every twentieth of a second, well within the timeout."""

    def behave(link):
        link.send(first)
        while True:
            link.send(again)
            time.sleep(0.05)

    return behave


def resets(first):
    def behave(link):
        link.send(first)
        link.reset()

    return behave


def says_byte_by_byte(link):
    for byte in WHOLE:
        link.send(bytes([byte]))


@dataclasses.dataclass(frozen=True)
class Behaviour:
    behave: Callable
    seen: object  # by the visitor: a status, or BROKEN
    reason: str = ""  # in the log
    reads: bool = True  # the request's body, before it does anything
    is_kept: bool = False  # its connection may serve another request
    lasts: bool = False  # for the timeout: whoever else is slow was not meant to be


def table():
    eight = bytes(8)
    lies = {
        "version 2": record(STDOUT, b"x", version=2),
        "another id": record(STDOUT, b"x", request_id=2),
        "id 0": record(STDOUT, b"x", request_id=0),
        "end of another request": end_request(2),
        "a management record": record(GET_VALUES, b"", request_id=0),
        "unknown type": record(UNKNOWN_TYPE, eight, request_id=0),
        "a type that nobody knows": record(99, b"x"),
        "begins a request": record(BEGIN, bytes([0, 1, 0, 0, 0, 0, 0, 0])),
        "params": record(PARAMS, b"x"),
        "stdin": record(STDIN, b"x"),
        "end that is too short": record(END, bytes(7)),
        "speaks http": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "stdout after its end": record(STDOUT) + record(STDOUT, b"x"),
    }
    behaviours = {
        "well": Behaviour(says_and_stays(WHOLE), 200, is_kept=True),
        # ── it says no, or nothing
        "closes": Behaviour(says(b""), 502, "the connection was closed"),
        "closes in the header": Behaviour(says(record(STDOUT, b"Status: 200\r\n")), 502, "the connection was closed"),
        "closes in a record": Behaviour(says(WHOLE[:20]), 502, "a record was cut"),
        "ends without an answer": Behaviour(says_and_stays(end_request(1)), 502, "without an answer", is_kept=True),
        "overloaded": Behaviour(says_and_stays(end_request(1, 2)), 503, "overloaded", is_kept=True),
        "one request a connection": Behaviour(
            says_and_stays(end_request(1, 1)), 503, "one request a connection", is_kept=True
        ),
        "unknown role": Behaviour(says_and_stays(end_request(1, 3)), 502, "no responder", is_kept=True),
        # ── it says something that is no answer
        "malformed header": Behaviour(says_and_stays(record(STDOUT, b"hello\r\n\r\n")), 502, "malformed"),
        "header without an end": Behaviour(floods(b"", record(STDOUT, b"X-Line: again\r\n")), 502, "too long"),
        "length that is no number": Behaviour(
            says(announced("5, 5", b"12345") + end_request(1)), 502, "content-length"
        ),
        # ── it never comes to its end
        "hangs": Behaviour(says_and_stays(b""), 504, "silent", lasts=True),
        "hangs in a record": Behaviour(says_and_stays(WHOLE[:20]), 504, "silent", lasts=True),
        "reads nothing": Behaviour(says_and_stays(b""), 504, "silent", reads=False, lasts=True),
        "header that trickles": Behaviour(trickles(b"", record(STDOUT, b"x")), 504, "silent", lasts=True),
        "floods the log": Behaviour(floods(b"", record(STDERR, b"a line\n")), 504, "silent", lasts=True),
        "floods with empty records": Behaviour(floods(b"", record(STDERR)), 504, "silent", lasts=True),
        "floods with padding": Behaviour(floods(b"", record(STDERR, padding=255)), 504, "silent", lasts=True),
        # ── it has begun, and does not end
        "closes in the body": Behaviour(says(BEGUN), BROKEN, "the connection was closed"),
        "is shorter than it says": Behaviour(says(announced(99, PAGE) + end_request(1)), BROKEN, "Content-Length"),
        "hangs in the body": Behaviour(says_and_stays(BEGUN), BROKEN, "silent", lasts=True),
        "floods the log in the body": Behaviour(floods(BEGUN, record(STDERR, b"x" * 99)), BROKEN, "silent", lasts=True),
        # ── it is odd, and the page is whole
        "byte by byte": Behaviour(says_byte_by_byte, 200),
        "is longer than it says": Behaviour(says(announced(len(PAGE), PAGE + b"more") + end_request(1)), 200),
        "is endless beyond what it says": Behaviour(
            floods(announced(len(PAGE), PAGE), record(STDOUT, b"more")), 200, lasts=True
        ),
        "does not end what is whole": Behaviour(says_and_stays(announced(len(PAGE), PAGE)), 200, lasts=True),
        "closes what is whole": Behaviour(says(announced(len(PAGE), PAGE)), 200),
        "closes after its end": Behaviour(says(WHOLE), 200),
        "goes on after its end": Behaviour(says(WHOLE + BEGUN), 200),
        "does not read the body": Behaviour(says(WHOLE), 200, reads=False),
        "pads": Behaviour(
            says(
                record(STDOUT, HEAD + PAGE, padding=255) + record(STDOUT, padding=255) + record(END, eight, padding=255)
            ),
            200,
        ),
    }
    for name, lie in lies.items():
        behaviours[name] = Behaviour(says_and_stays(lie), 502, "broke off")
        behaviours[f"{name} in the body"] = Behaviour(says_and_stays(BEGUN + lie), BROKEN, "broke off")
    return {name.replace(" ", "-").replace(",", ""): each for name, each in behaviours.items()}


BEHAVIOURS = table()
# What only TCP knows.
RESETS = {
    "resets": Behaviour(resets(b""), 502, "broke off"),
    "resets-in-the-body": Behaviour(resets(BEGUN), BROKEN, "broke off"),
}
ALL = BEHAVIOURS | RESETS


class Link:
    """One connection, in the hands of a behaviour. Every call raises OSError when the other side has gone."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(2 * LONG)
        self.reader = connection.makefile("rb")
        self.stays = True

    def read_record(self):
        """Returns (type, content); None at the end of the connection."""
        header = self.reader.read(8)
        if len(header) < 8:
            return None
        content = self.reader.read(int.from_bytes(header[4:6], "big"))
        self.reader.read(header[6])
        return header[1], content

    def read_to_end_of(self, kind):
        """Returns the bytes of the stream; None if the connection ended before."""
        pieces = []
        while (read := self.read_record()) is not None:
            if read == (kind, b""):
                return b"".join(pieces)
            if read[0] == kind:
                pieces.append(read[1])
        return None

    def send(self, data):
        self.connection.sendall(data)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class HostileApplication:
    """Listens on the unix socket and on a port of the loopback, until it is closed."""

    def __init__(self, path):
        self.path = path
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o666)  # whoever gatehouse runs as
        on_port = socket.create_server(("127.0.0.1", 0))
        self.port = on_port.getsockname()[1]
        self.listeners = [listener, on_port]
        self.asked = 0
        self._connections = set()
        self._count = itertools.count(1)
        for each in self.listeners:
            each.listen(256)
            threading.Thread(target=self._accept, args=(each,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = listener.accept()
                self._connections.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            link = Link(connection)
            with link.reader:
                while link.stays and (params := link.read_to_end_of(PARAMS)) is not None:
                    link.stays = False
                    self._behave(link, ALL[decode_pairs(params)["REQUEST_URI"].rpartition("/")[2]])
        self._connections.discard(connection)

    def _behave(self, link, behaviour):
        self.asked = next(self._count)
        if not behaviour.reads or link.read_to_end_of(STDIN) is not None:
            behaviour.behave(link)

    def is_idle(self):
        """True if every connection is closed."""
        return not self._connections

    def close(self):
        for each in self.listeners:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            each.close()
        for each in list(self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
