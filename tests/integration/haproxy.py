"""A real HAProxy that relays to the gateway door over FastCGI. Its configuration is the worked example of conf/haproxy."""

import contextlib
import os
import socket
import struct
import subprocess
import threading

from fastcgi import BEGIN, END, GET_VALUES
from harness import TREE, FrontServer, Site

SITE = (TREE / "conf" / "haproxy" / "gatehouse.cfg").read_text()
# For a test, not for a site: in the foreground, with its log where the test finds it.
GLOBAL = """
global
    log stderr local0
    stats timeout 30s
defaults
    log global
    option httplog
    timeout client 60s

"""
OPTIONS = "    option keep-conn\n"


class HAProxy(FrontServer):
    """An HAProxy in front of the FastCGI socket at `path`. `options` are the application's, in the example's place."""

    def __init__(self, gatehouse, path, options=OPTIONS):
        self.folder = gatehouse.folder / "haproxy"
        self.folder.mkdir()
        self.config_file = self.folder / "haproxy.cfg"
        self.log_files = [self.folder / "haproxy.log"]
        assert all(SITE.count(text) == 1 for text in ("unix@/gatehouse.sock proto", "bind :80\n", OPTIONS))
        self.site = SITE.replace("unix@/gatehouse.sock proto", f"unix@{path} proto").replace(OPTIONS, options)

    def write(self):
        self.config_file.write_text(GLOBAL + self.site.replace("bind :80\n", f"bind 127.0.0.1:{self.port}\n"))

    def command(self):
        return ["haproxy", "-db", "-f", str(self.config_file)]

    def test(self):
        """What `haproxy -c` says of the configuration."""
        return subprocess.run(
            ["haproxy", "-c", "-f", str(self.config_file)], capture_output=True, text=True, timeout=60
        )


class HAProxySite(Site):
    """The gateway door behind HAProxy. With `tapped` it notes the records in between."""

    def __init__(self, options=OPTIONS, tapped=False, **more):
        self.tap = None
        super().__init__(nginx={"options": options, "tapped": tapped}, **more)
        self.root = self.gatehouse.root

    def make_front(self, options, tapped):
        path = self.gatehouse.socket
        if tapped:
            path = self.gatehouse.folder / "tap.sock"
            self.tap = Tap(path, self.gatehouse.socket)
        return HAProxy(self.gatehouse, path, options)


class Tap:
    """A relay between two unix sockets that notes the FastCGI records which pass."""

    def __init__(self, path, target):
        self.target = str(target)
        self.records = []  # of a connection's number, a type, a request id
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        os.chmod(path, 0o666)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def ids(self):
        """The request ids that were begun."""
        return [request_id for _, kind, request_id in self.records if kind == BEGIN]

    def connections(self):
        return len({number for number, _, _ in self.records})

    def questions(self):
        return sum(kind == GET_VALUES for _, kind, _ in self.records)

    def most_at_once(self):
        """The most requests that were open on one connection."""
        opened, most = {}, 0
        for number, kind, request_id in self.records:
            ids = opened.setdefault(number, set())
            if kind == BEGIN:
                ids.add(request_id)
            elif kind == END:
                ids.discard(request_id)
            most = max(most, len(ids))
        return most

    def _accept(self):
        for number in range(1_000_000):
            try:
                client = self._listener.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
            except OSError:
                return
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(number, *pair), daemon=True).start()

    def _relay(self, number, source, sink):
        rest = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                rest += data
                while len(rest) >= 8:
                    _, kind, request_id, length, padding, _ = struct.unpack(">BBHHBB", rest[:8])
                    if len(rest) < 8 + length + padding:
                        break
                    self.records.append((number, kind, request_id))
                    rest = rest[8 + length + padding :]
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
