"""What listens in the gateway's place and says what the gateway says to nobody: a broken one, or something else.

`python3 impostor.py NAME` answers on a listening descriptor 0, as mod_fcgid and lighttpd start a program. It imports
nothing of the harness, so that it runs as another user from a folder of its own.
"""

import contextlib
import socket
import sys
import threading

import fastcgi


def end_request(request_id, protocol_status=0):
    return fastcgi.record(fastcgi.END, bytes([0, 0, 0, 0, protocol_status, 0, 0, 0]), request_id)


# Name → what is said over FastCGI (of the request's id), and over HTTP, before the connection is closed.
ANSWERS = {
    "closes": (lambda _: b"", b""),
    "answers nothing": (end_request, b""),
    "says that it is overloaded": (lambda request_id: end_request(request_id, 2), b""),
    "answers garbage": (lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\1\6\0\1\0\0\0\0garbage\r\n\r\n"),
}


class Impostor:
    """Answers on listeners, given as (socket, is it HTTP), until it is closed."""

    def __init__(self, listeners, answer):
        self.over_fastcgi, self.over_http = answer
        self.listeners = listeners
        self.asked = 0
        self.threads = [threading.Thread(target=self._accept, args=each, daemon=True) for each in listeners]
        for thread in self.threads:
            thread.start()

    def _accept(self, listener, is_http):
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = listener.accept()
                self.asked += 1
                answer = self._answer_http if is_http else self._answer_fastcgi
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def _answer_http(self, connection):
        with connection, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            connection.sendall(self.over_http)

    def _answer_fastcgi(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reader:
            role = None
            while True:
                header = reader.read(8)
                if len(header) < 8:
                    return
                content = reader.read(int.from_bytes(header[4:6], "big"))
                reader.read(header[6])
                if header[1] == fastcgi.BEGIN:
                    role = int.from_bytes(content[:2], "big")
                is_last = fastcgi.PARAMS if role == fastcgi.AUTHORIZER else fastcgi.STDIN
                if header[1] == is_last and not content:
                    break
            connection.sendall(self.over_fastcgi(int.from_bytes(header[2:4], "big")))

    def close(self):
        for listener, _ in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()


if __name__ == "__main__":
    one = Impostor([(socket.socket(fileno=0), False)], ANSWERS[sys.argv[1]])
    one.threads[0].join()
