"""FastCGI by hand: requests that a web server would never send are sent with this."""

import json
import socket

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    9,
    10,
    11,
)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3


def get(target="/", *more, method="GET", cookie=None, host="127.0.0.1"):
    """The parameters of a request as nginx with our snippet sends them, as a list: order and doubles count."""
    path, _, query = target.partition("?")
    params = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "test"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_NAME", "test"),
        ("SERVER_ADDR", "127.0.0.1"),
        ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "4711"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_METHOD", method),
        ("REQUEST_URI", target),
        ("QUERY_STRING", query),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("HTTP_HOST", host),
    ]
    if cookie is not None:
        params.append(("HTTP_COOKIE", f"session={cookie}"))
    return params + list(more)


def encode_pairs(pairs):
    def size(length):
        return bytes([length]) if length < 128 else (length | 0x80000000).to_bytes(4, "big")

    out = b""
    for name, value in pairs:
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode()
        out += size(len(name)) + size(len(value)) + name + value
    return out


def decode_pairs(data):
    """As a dictionary; of whole pairs."""
    pairs, at = {}, 0

    def size():
        nonlocal at
        width = 4 if data[at] & 0x80 else 1
        at += width
        return int.from_bytes(data[at - width : at], "big") & 0x7FFFFFFF

    while at < len(data):
        name, value = size(), size()
        pairs[data[at : at + name].decode()] = data[at + name : at + name + value].decode()
        at += name + value
    return pairs


def record(kind, content=b"", request_id=1, padding=0, version=1):
    return (
        bytes([version, kind])
        + request_id.to_bytes(2, "big")
        + len(content).to_bytes(2, "big")
        + bytes([padding, 0])
        + content
        + b"\0" * padding
    )


def stream(kind, data, request_id=1):
    """Records of a stream, its empty end included."""
    pieces = [data[at : at + 65535] for at in range(0, len(data), 65535)]
    return b"".join(record(kind, piece, request_id) for piece in pieces) + record(kind, b"", request_id)


def request(params, body=b"", keep=False, role=RESPONDER, request_id=1):
    """Every record of a request."""
    return (
        record(BEGIN, bytes([0, role, 1 if keep else 0, 0, 0, 0, 0, 0]), request_id)
        + stream(PARAMS, encode_pairs(params), request_id)
        + stream(STDIN, body, request_id)
    )


class FastCgiAnswer:
    def __init__(self, stdout, stderr, ended, protocol_status):
        self.stderr, self.ended, self.protocol_status = stderr, ended, protocol_status
        head, _, self.body = stdout.partition(b"\r\n\r\n")
        self.head = head
        lines = head.decode("latin-1").split("\r\n") if head else []
        self.first_line = lines[0] if lines else ""
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        status = self.header("Status")
        self.status = int(status.split()[0]) if status else None

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all_headers(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)


def whole_answer(data):
    """The answer in all the bytes that came over a connection which was kept for no other."""
    pieces, at = {STDOUT: [], STDERR: [], END: []}, 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 6], "big")
        pieces[data[at + 1]].append(bytes(data[at + 8 : at + 8 + size]))
        at += 8 + size + data[at + 6]
    end = b"".join(pieces[END])
    ended = at == len(data) and len(end) == 8
    return FastCgiAnswer(b"".join(pieces[STDOUT]), b"".join(pieces[STDERR]), ended, end[4] if ended else None)


class FastCgi:
    """One FastCGI connection to the daemon's socket."""

    def __init__(self, path, timeout=20.0):
        if isinstance(path, tuple):
            self.socket = socket.create_connection(path, timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(path))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _exactly(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"closed with {len(self.buffer)} of {count} bytes")
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def read_record(self):
        """Returns (type, request id, content); ConnectionError if the connection ends."""
        header = self._exactly(8)
        assert header[0] == 1, header
        content = self._exactly(int.from_bytes(header[4:6], "big"))
        self._exactly(header[6])
        return header[1], int.from_bytes(header[2:4], "big"), content

    def is_closed(self):
        """True if the other side closes without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def send_request(self, params, body=b"", keep=False, role=RESPONDER, request_id=1):
        self.send(request(params, body, keep, role, request_id))

    def read_answer(self, request_id=1):
        """Reads to END_REQUEST, or to the end of the connection (then `ended` is False)."""
        out, error = b"", b""
        while True:
            try:
                kind, got_id, content = self.read_record()
            except ConnectionError:
                return FastCgiAnswer(out, error, False, None)
            assert got_id == request_id, (got_id, kind)
            if kind == STDOUT:
                out += content
            elif kind == STDERR:
                error += content
            elif kind == END:
                return FastCgiAnswer(out, error, True, content[4])
            else:
                raise AssertionError(f"unexpected record type {kind}")

    def request(self, params, body=b"", keep=False, role=RESPONDER, request_id=1):
        self.send_request(params, body, keep, role, request_id)
        return self.read_answer(request_id)
