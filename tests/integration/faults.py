"""What may become of a gateway, as context managers over a site: while one is open, the site's web server meets the
fault on the sockets that it knows, or in the processes that it starts; afterwards the gateway is there again, well."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess

from harness import BINARY, HERE, LONG, accepts, clean_environment, die_with_the_test, wait_until
from impostor import ANSWERS, Impostor

FAULTY = os.environ.get("GATEHOUSE_FAULTY", str(pathlib.Path(BINARY).parent / "tests/integration/faulty_gateway"))
# Parts that fail in the real doors and pipeline: faulty_gateway.cpp.
WITHIN = [
    "handler throws",
    "handler throws an int",
    "store throws",
    "store throws an int",
    "store stopped",
    "queue full",
]
FAULTS = [*WITHIN, "frozen", "gone", *ANSWERS]


def meet(site, fault):
    return _spawned(site, fault) if hasattr(site, "program") else _served(site, fault)


# ── a gateway that the test starts ──────────────────────────────────────────────────────────────────────────────────


def _served(site, fault):
    if fault == "frozen":
        return _frozen(site.gatehouse)
    if fault == "gone":
        return _gone(site.gatehouse)
    return _impostor(site.gatehouse, fault) if fault in ANSWERS else _broken_within(site.gatehouse, fault)


@contextlib.contextmanager
def _gone(gatehouse):
    gatehouse.process.kill()
    gatehouse.process.wait()
    try:
        yield
    finally:
        gatehouse.start()


def _states(pid):
    stats = [(task / "stat").read_text() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


@contextlib.contextmanager
def _frozen(gatehouse):
    gatehouse.process.send_signal(signal.SIGSTOP)
    try:
        # Until the last thread has noticed it may still answer somebody.
        wait_until(lambda: _states(gatehouse.process.pid) == {"T"}, "every thread stands still")
        yield
    finally:
        gatehouse.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def _broken_within(gatehouse, fault):
    with _gone(gatehouse), open(gatehouse.log_file, "ab") as log:
        process = subprocess.Popen(
            [FAULTY, fault, str(gatehouse.config_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_environment(),
            preexec_fn=die_with_the_test,
        )
        try:
            wait_until(lambda: process.poll() is not None or _is_up(gatehouse), "it listens")
            assert process.poll() is None, gatehouse.log()[-2000:]
            yield
            assert process.poll() is None, "it ended: nobody was told no by it"
        finally:
            process.terminate()
            code = process.wait(LONG)
        assert code == 0, gatehouse.log()[-2000:]


def _addresses(gatehouse):
    """(address, is it HTTP) of every socket of the gateway: a path, or a host and a port."""
    for key in ("listen", "listen_http"):
        texts = gatehouse.config.get(key, [])
        for text in [texts] if isinstance(texts, str) else texts:
            kind, _, where = text.partition(":")
            host, _, port = where.rpartition(":")
            yield (where if kind == "unix" else (host, int(port))), key == "listen_http"


def _is_up(gatehouse):
    return all(accepts(address) for address, _ in _addresses(gatehouse) if isinstance(address, str))


def _listen(address):
    is_path = isinstance(address, str)
    listener = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
    if is_path:
        pathlib.Path(address).unlink(missing_ok=True)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(64)
    if is_path:
        os.chmod(address, 0o666)
    return listener


@contextlib.contextmanager
def _impostor(gatehouse, name):
    with _gone(gatehouse):
        listeners = [(_listen(address), is_http) for address, is_http in _addresses(gatehouse)]
        with contextlib.closing(Impostor(listeners, ANSWERS[name])) as impostor:
            yield
            assert impostor.asked, "nobody asked it"


# ── a gateway that the web server starts ────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _spawned(site, fault):
    """Another program in the place of the one that the web server starts."""
    kept, started = site.program.with_name("well"), site.program.with_name("started")
    started.write_text("")
    started.chmod(0o666)
    site.program.rename(kept)
    try:
        command = _command(site, fault)
        if command:
            script = site.program.with_name("script")
            script.write_text(f"#!/bin/sh\necho started >>{started}\nexec {shlex.join(map(str, command))}\n")
            script.chmod(0o755)
            script.rename(site.program)
        _end_processes(site)
        yield
        assert bool(started.read_text()) == bool(command), "whether the web server has started it"
    finally:
        kept.rename(site.program)
        _end_processes(site)


def _command(site, fault):
    folder = site.program.parent
    if fault == "gone":
        return None
    if fault == "frozen":
        return [_copied("/bin/sleep", folder), "1000"]  # it listens, for its descriptor 0 does, and answers nobody
    if fault in WITHIN:
        return [_copied(FAULTY, folder), fault, site.gatehouse.config_file]
    _copied(HERE / "fastcgi.py", folder)
    return ["/usr/bin/python3", "-B", _copied(HERE / "impostor.py", folder), fault]


def _copied(file, folder):
    """A place where the web server's user may read it, whoever owns the tree."""
    return shutil.copy(file, folder)


def _end_processes(site):
    """The web server starts the next one from the file that is there now."""
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and _is_of(site, entry):
                os.kill(int(entry.name), signal.SIGKILL)


def _is_of(site, entry):
    folder = site.program.parent
    is_impostor = f"{folder}/impostor.py" in (entry / "cmdline").read_text()
    return is_impostor or os.readlink(entry / "exe").startswith(f"{folder}/")
