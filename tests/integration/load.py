"""Requests at a steady rate, whatever becomes of them: an answer that takes long holds up no other one.

It runs in a thread of its own, beside the test that breaks what is to be broken.
"""

import asyncio
import threading
import time

import fastcgi
import harness


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
