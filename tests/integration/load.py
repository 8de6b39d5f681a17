"""Requests while a test breaks something. `Load`: at a steady rate, whatever becomes of them, straight to the socket: an
answer that takes long holds up no other one. `Visitors`: through a web server, the next one when the last is answered;
`NumberedVisitors`: each request with a number of its own, and what became of it. `Crowd`: hundreds who send and read a
few bytes at a time.

Each runs in threads of its own, beside the test that breaks what is to be broken.
"""

import asyncio
import http.client
import itertools
import selectors
import threading
import time

import fastcgi
import harness

CLIENTS = 8


class Connection:
    """A kept-alive FastCGI connection, read and written by coroutines."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, socket):
        return cls(*await asyncio.open_unix_connection(str(socket)))

    async def request(self, params):
        self.writer.write(fastcgi.request(params, keep=True))
        await self.writer.drain()
        out = b""
        while True:
            header = await self.reader.readexactly(8)
            content = await self.reader.readexactly(int.from_bytes(header[4:6], "big"))
            await self.reader.readexactly(header[6])
            if header[1] == fastcgi.STDOUT:
                out += content
            elif header[1] == fastcgi.END:
                return fastcgi.FastCgiAnswer(out, b"", True, content[4])


class Load:
    """`ask(number)` gives (params, done): what to send, and who is told (answer or None, sent, answered) afterwards."""

    def __init__(self, socket, rate, ask):
        self.socket, self.rate, self.ask = socket, rate, ask
        self.failures = []
        self._idle = []
        self._is_over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, error, *_):
        self._is_over = True
        self._thread.join()
        assert error or self.failures == []

    async def _run(self):
        begin, asked, number = time.monotonic(), set(), 0
        while not self._is_over:
            await asyncio.sleep(begin + number / self.rate - time.monotonic())
            task = asyncio.create_task(self._one(number))
            asked.add(task)
            task.add_done_callback(asked.discard)
            number += 1
        if asked:
            await asyncio.wait(asked, timeout=harness.LONG)
        for connection in self._idle:
            connection.writer.close()

    async def _one(self, number):
        try:
            params, done = self.ask(number)
            sent = time.monotonic()
            answer = await self._answer(params)
            done(answer, sent, time.monotonic())
        except Exception as error:  # a test that fails here must say so where somebody reads it
            self.failures.append(repr(error))

    async def _answer(self, params):
        """None if the connection ended without an answer."""
        connection = None
        try:
            connection = self._idle.pop() if self._idle else await Connection.open(self.socket)
            answer = await connection.request(params)
            self._idle.append(connection)
            return answer
        except (OSError, asyncio.IncompleteReadError):
            if connection is not None:
                connection.writer.close()
            return None


class Visitors:
    """Clients that ask again as soon as they are answered, over kept connections to nginx, and note what was wrong.
    `requests`: (method, path, the body that is expected or None) in turn."""

    REQUESTS = (
        ("GET", "/greet", b"Hello, alice\n"),
        ("GET", "/auth/session", None),
        ("POST", "/echo", b"an upload"),
        ("GET", "/open/greet", None),
    )

    def __init__(self, site, token, requests=REQUESTS):
        self.site, self.token, self.requests = site, token, requests
        self.done = 0
        self.wrong = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(harness.LONG)
            assert not thread.is_alive(), "a request was never answered"

    def wait_for_more(self, count=20 * CLIENTS):
        """Returns when so many more answers have come."""
        target = self.done + count
        harness.wait_until(lambda: self.done >= target or self.wrong, "the load goes on")

    UPLOAD = b"an upload"

    def _head(self, connection, method, path, **headers):
        """Sends a request. Returns the answer, whose body is still to be read."""
        connection.request(method, path, body=self.UPLOAD if method == "POST" else None, headers=headers)
        return connection.getresponse()

    def _wrong_with(self, connection, method, path, expected):
        """Asks. Returns what was wrong, or None."""
        answer = self._head(connection, method, path, Cookie=f"session={self.token}")
        body = answer.read()
        return None if answer.status == 200 and expected in (None, body) else (method, path, answer.status, body)

    def _ask(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.nginx.port, timeout=harness.LONG)
        for method, path, expected in itertools.islice(itertools.cycle(self.requests), number, None):
            if self._end.is_set():
                break
            try:
                told = self._wrong_with(connection, method, path, expected)
            except (OSError, http.client.HTTPException) as error:
                told = (method, path, repr(error))
                connection.close()
            with self._lock:
                self.done += 1
                if told:
                    self.wrong.append(told)
        connection.close()


class NumberedVisitors(Visitors):
    """Each request has a number of its own, which its script notes. `answers`: number → (status, whether the answer was
    whole). What is right besides 200 is 502 and 503; whoever is told that comes again a little later."""

    def __init__(self, site, path):
        super().__init__(site, "", [("GET", path, None), ("POST", path, None)])
        self.answers = {}
        self._numbers = itertools.count(1)

    def wait_for_more(self, count=20 * CLIENTS, answered=None):
        """Returns when so many more answers have come, of that kind if one is given."""
        target = self._count(answered) + count
        harness.wait_until(lambda: self._count(answered) >= target or self.wrong, "the load goes on", 10 * harness.LONG)

    def _count(self, answered):
        with self._lock:
            return len(self.answers) if answered is None else list(self.answers.values()).count(answered)

    def _wrong_with(self, connection, method, path, expected):
        number = next(self._numbers)
        answer = self._head(connection, method, f"{path}?number={number}")
        try:
            body, is_whole = answer.read(), True
        except http.client.IncompleteRead as error:
            body, is_whole = error.partial, False
            connection.close()
        with self._lock:
            self.answers[number] = answer.status, is_whole
        if answer.status in (502, 503) and is_whole:
            time.sleep(0.02)
            return None
        expected = f"{number} {len(self.UPLOAD) if method == 'POST' else 0}\n".encode()
        is_right = answer.status == 200 and (body == expected or not is_whole)
        return None if is_right else (method, number, answer.status, body)


class Slow:
    """A visitor over FastCGI, straight on the socket, who has sent `at_once` bytes of his request. As long as he is slow
    he never comes to the end of it, and reads no more than a little."""

    PIECE, LAST, MOST_READ = 64, 100, 16 * 1024

    def __init__(self, socket, request, at_once):
        self.connection = fastcgi.FastCgi(socket)
        self.connection.send(request[:at_once])
        self.unsent, self.received, self.is_over = memoryview(request)[at_once:], bytearray(), False

    def wait_for_the_first_byte(self):
        self.received += self.connection.socket.recv(1)

    def answer(self):
        """Requires is_over."""
        return fastcgi.whole_answer(self.received)

    def wants(self, is_slow):
        """The selectors' events that he waits for now."""
        sends = len(self.unsent) > (self.LAST if is_slow else 0)
        reads = not is_slow or len(self.received) < self.MOST_READ
        return (selectors.EVENT_WRITE if sends else 0) | (selectors.EVENT_READ if reads else 0)

    def move(self, events, is_slow):
        if events & selectors.EVENT_WRITE:
            size = min(self.PIECE, len(self.unsent) - self.LAST) if is_slow else len(self.unsent)
            self.unsent = self.unsent[self.connection.socket.send(self.unsent[:size]) :]
        if events & selectors.EVENT_READ:
            data = self.connection.socket.recv(self.PIECE if is_slow else 1 << 18)
            self.received += data
            self.is_over = not data


class Crowd:
    """Many who are slow, all in one thread, until they are told to hurry."""

    PAUSE = 0.1  # seconds between two pieces

    def __init__(self, everybody):
        self.everybody = everybody
        self.failures = []
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for one in everybody:
            one.connection.socket.setblocking(False)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.hurry()

    def hurry(self):
        """Everybody sends and reads the rest. Returns when all is done."""
        self._hurry.set()
        self._thread.join(10 * harness.LONG)
        assert not self._thread.is_alive(), f"{sum(not one.is_over for one in self.everybody)} were never answered"

    def _run(self):
        left = set(self.everybody)
        while left:
            is_slow = not self._hurry.is_set()
            with selectors.DefaultSelector() as selector:
                for one in left:
                    if one.wants(is_slow):
                        selector.register(one.connection.socket, one.wants(is_slow), one)
                for key, events in selector.select(self.PAUSE):
                    self._move(key.data, events, is_slow)
            left = {one for one in left if not one.is_over}
            self._hurry.wait(self.PAUSE)

    def _move(self, one, events, is_slow):
        try:
            one.move(events, is_slow)
        except OSError as error:
            self.failures.append(repr(error))
            one.is_over = True
