"""Requests while a test breaks something. `Load`: at a steady rate, whatever becomes of them, straight to the socket: an
answer that takes long holds up no other one. `Visitors`: through a web server, the next one when the last is answered.

Each runs in threads of its own, beside the test that breaks what is to be broken.
"""

import asyncio
import http.client
import itertools
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

    def _ask(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.nginx.port, timeout=harness.LONG)
        for method, path, expected in itertools.islice(itertools.cycle(self.requests), number, None):
            if self._end.is_set():
                break
            try:
                connection.request(
                    method,
                    path,
                    body=b"an upload" if method == "POST" else None,
                    headers={"Cookie": f"session={self.token}"},
                )
                answer = connection.getresponse()
                body = answer.read()
                told = (
                    None if answer.status == 200 and expected in (None, body) else (method, path, answer.status, body)
                )
            except (OSError, http.client.HTTPException) as error:
                told = (method, path, repr(error))
                connection.close()
            with self._lock:
                self.done += 1
                if told:
                    self.wrong.append(told)
        connection.close()
