"""What systemd does for gatehouse, without systemd: makes the sockets of the units in systemd/, passes them on by their
names, listens to what it is told, and starts the next process on the same sockets. And the system call filter of the
unit, for a process that is about to become the program."""

import contextlib
import ctypes
import functools
import os
import select
import socket
import struct
import subprocess
import time

import harness
from harness import TREE

UNITS = TREE / "systemd"


def lines_of(unit):
    """(key, value) of every line of a unit file, in order; comments and sections left out."""
    lines = [line.strip() for line in (UNITS / unit).read_text().splitlines()]
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


class ServiceManager:
    """Holds the sockets of the given units for a gatehouse. `places`: the unit's own address → where it is here;
    `watchdog`: seconds; `restrict` is called in the process before it becomes the program."""

    def __init__(self, gatehouse, units, places, watchdog=0.0, restrict=lambda: None):
        self.gatehouse, self.restrict = gatehouse, restrict
        self.names, self.sockets = [], []
        for unit in units:
            values = dict(lines_of(unit))
            place = places[values["ListenStream"]]
            self.names.append(values["FileDescriptorName"])
            self.sockets.append(self._listen(place, int(values["Backlog"])))
        self.address = gatehouse.folder / "notify"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.address))
        self.watchdog = watchdog
        self.told = []

    @staticmethod
    def _listen(place, backlog):
        listener = socket.socket(socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX)
        listener.bind(place if isinstance(place, tuple) else str(place))
        if not isinstance(place, tuple):
            os.chmod(place, 0o666)
        listener.listen(backlog)
        return listener

    def start(self):
        """Starts the program and returns when it is ready."""
        environment = {"NOTIFY_SOCKET": str(self.address), "LISTEN_FDNAMES": ":".join(self.names)}
        if self.watchdog:
            environment["WATCHDOG_USEC"] = str(int(self.watchdog * 1_000_000))
        self.gatehouse.start_passed_on(self.sockets, self.restrict, **environment)
        self.wait_for("READY=1")
        return self

    def restart(self):
        """As `systemctl restart` does: the next one starts when the last one has ended."""
        self.gatehouse.stop()
        self.wait_for("STOPPING=1")
        self.start()

    def hear(self, seconds):
        """The lines of the next message; none if there is no message for so long."""
        if not select.select([self.notify], [], [], seconds)[0]:
            return []
        lines = self.notify.recv(4096).decode().splitlines()
        self.told += lines
        return lines

    def wait_for(self, line):
        end = time.monotonic() + harness.LONG
        while line not in self.hear(max(0.0, end - time.monotonic())):
            assert time.monotonic() < end, f"{line} was never said, but {self.told}"

    def close(self):
        try:
            self.gatehouse.stop()
        finally:
            for one in [*self.sockets, self.notify]:
                one.close()


# ── threads that stand still ────────────────────────────────────────────────────────────────────────────────────────

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long] * 4
_libc.ptrace.restype = ctypes.c_long
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17


@contextlib.contextmanager
def stopped(threads):
    """Holds threads of another process still, and only these. They go on afterwards."""
    for thread in threads:
        for request in (_SEIZE, _INTERRUPT):
            assert _libc.ptrace(request, thread, 0, 0) == 0, os.strerror(ctypes.get_errno())
    for thread in threads:
        os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        for thread in threads:
            _libc.ptrace(_DETACH, thread, 0, 0)


def threads_in(pid, *calls):
    """The threads of a process that wait in one of these system calls."""
    numbers = {call_numbers()[call] for call in calls if call in call_numbers()}
    found = []
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/syscall") as file:
            number = file.read().split()[0]
            if number.lstrip("-").isdigit() and int(number) in numbers:
                found.append(thread)
    return found


@functools.cache
def call_numbers():
    """Name → number of every system call of this machine."""
    source = "#include <sys/syscall.h>\n"
    text = subprocess.run(["cpp", "-dM"], input=source, capture_output=True, text=True, check=True).stdout
    pairs = [line.split()[1:] for line in text.splitlines() if line.startswith("#define __NR_")]
    return {pair[0].removeprefix("__NR_"): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


# ── the filter ──────────────────────────────────────────────────────────────────────────────────────────────────────


def calls_of(group):
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", group, "--no-pager"], capture_output=True, text=True, check=True
    ).stdout
    found = set()
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if line.startswith(" ") and name:
            found |= calls_of(name) if name.startswith("@") else {name}
    return found


def allowed_calls(unit):
    """What the SystemCallFilter lines of a unit leave, as systemd reads them: a list, then what is taken from it."""
    allowed = set()
    for value in (value for key, value in lines_of(unit) if key == "SystemCallFilter"):
        groups = value.lstrip("~").split()
        calls = set().union(*(calls_of(group) if group.startswith("@") else {group} for group in groups))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 16, 32


def filter_of(unit, no_writable_code=False):
    """The unit's SystemCallFilter, RestrictAddressFamilies=AF_UNIX and RestrictSUIDSGID, and MemoryDenyWriteExecute, for
    the kernel."""
    numbers = call_numbers()
    code = [(_LOAD, 0, 0, _NUMBER)]

    def when(number, instructions):
        code.extend([(_JUMP_EQUAL, 0, len(instructions), number), *instructions])

    unix_only = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    when(numbers["socket"], unix_only)
    if ("RestrictSUIDSGID", "yes") in lines_of(unit):
        # As systemd 252 does, which cannot look into its arguments.
        when(numbers["openat2"], [(_RETURN, 0, 0, _ERRNO | ENOSYS)])
    if no_writable_code:
        writable, executable = 2, 4
        deny, allow = (_RETURN, 0, 0, _ERRNO | EPERM), (_RETURN, 0, 0, _ALLOW)
        protection = (_LOAD, 0, 0, _THIRD_ARGUMENT)
        when(numbers["mmap"], [protection, (_JUMP_SET, 0, 2, executable), (_JUMP_SET, 0, 1, writable), deny, allow])
        when(numbers["mprotect"], [protection, (_JUMP_SET, 0, 1, executable), deny, allow])
    for call in sorted(allowed_calls(unit) & set(numbers)):
        when(numbers[call], [(_RETURN, 0, 0, _ALLOW)])
    code.append((_RETURN, 0, 0, _ERRNO | EPERM))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def apply(program):
    """For a process about to start: NoNewPrivileges and the filter hold for it and for everything that it starts."""
    _libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    assert _libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    holder = ctypes.create_string_buffer(filter_program, len(filter_program))
    assert _libc.prctl(22, 2, ctypes.addressof(holder), 0, 0) == 0, os.strerror(ctypes.get_errno())  # PR_SET_SECCOMP
