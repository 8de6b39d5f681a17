"""Starting, stopping, reloading; sockets of our own and sockets that somebody passes on."""

import contextlib
import grp
import os
import pathlib
import signal
import socket
import stat
import subprocess

import pytest

import harness
from fastcgi import FastCgi, get
from harness import BINARY, accepts, clean_environment, die_with_the_test, listening, wait_until


@pytest.fixture
def ready(gatehouse):
    """Migrated, with alice, not started."""
    gatehouse.run("db", "migrate", check=0)
    gatehouse.add_user("alice")
    return gatehouse


def status(where, target="/public/x", **more):
    with FastCgi(where) as connection:
        return connection.request(get(target, **more)).status


def token_of(gatehouse):
    answer = gatehouse.post_login("alice")
    assert answer.status == 303, answer.body
    [line] = [line for line in answer.all_headers("Set-Cookie") if line.startswith("session=")]
    return line.split(";")[0].partition("=")[2]


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_ends_with_0_and_leaves_nothing(ready, number):
    ready.start()
    kept = FastCgi(ready.socket)
    assert kept.request(get("/public/x"), keep=True).status == 200
    ready.process.send_signal(number)
    assert ready.process.wait(harness.LONG) == 0
    ready.process = None
    assert kept.is_closed()
    with pytest.raises(OSError):
        FastCgi(ready.socket)


def test_term_lets_a_running_script_finish(ready):
    ready.config["downstreams"]["scripts"]["cgi"]["timeout"] = "60s"
    ready.write_config()
    os.mkfifo(ready.folder / "gate")
    ready.start()
    connection = FastCgi(ready.socket)
    connection.send_request(get("/wait", cookie=token_of(ready)), keep=True)
    wait_until(lambda: list(ready.folder.glob("gate.started.*")), "the script runs")
    ready.process.send_signal(signal.SIGTERM)

    def is_refused():
        with contextlib.suppress(OSError):
            with FastCgi(ready.socket) as late:
                late.request(get("/public/x"))
                return False
        return True

    wait_until(is_refused, "nobody new is let in")
    assert ready.process.poll() is None, "it waits for the script"
    with open(ready.folder / "gate", "w") as pipe:
        pipe.write("\n")
        pipe.flush()
        answer = connection.read_answer()
    assert answer.status == 200 and answer.body == b"through" and answer.ended
    assert ready.process.wait(harness.LONG) == 0
    ready.process = None


def test_a_restart_keeps_sessions(ready):
    ready.start()
    token = token_of(ready)
    ready.restart()
    assert status(ready.socket, "/show", cookie=token) == 200


def test_a_killed_daemon_starts_again_over_its_dead_socket(ready):
    ready.start()
    ready.process.kill()
    ready.process.wait()
    assert ready.socket.exists()
    ready.start()
    assert status(ready.socket) == 200


# ── reloading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hup_swaps_a_good_configuration(ready):
    ready.start()
    token = token_of(ready)
    kept = FastCgi(ready.socket)
    assert kept.request(get("/new/x"), keep=True).status == 401
    ready.config["routes"].insert(0, {"path": "/new/**", "access": "public", "downstream": "show"})
    ready.write_config()
    ready.process.send_signal(signal.SIGHUP)
    wait_until(lambda: status(ready.socket, "/new/x") == 200, "the new route counts")
    assert kept.request(get("/new/x"), keep=True).status == 200, "connections outlive the reload"
    assert status(ready.socket, "/show", cookie=token) == 200, "so do sessions"


def test_hup_with_a_bad_configuration_changes_nothing_and_says_why(ready):
    ready.start()
    ready.config["routes"].insert(0, {"path": "/new/**", "access": "everybody", "downstream": "show"})
    ready.config["nonsense"] = 1
    ready.write_config()
    ready.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nonsense" in ready.log() and "everybody" in ready.log(), "both problems are in the log")
    assert ready.process.poll() is None
    assert status(ready.socket, "/new/x") == 401
    assert status(ready.socket) == 200


def test_hup_reports_what_needs_a_restart_and_leaves_it_alone(ready):
    ready.start()
    before = ready.log()
    ready.config["socket"] = {"mode": "0600", "group": ""}
    ready.config["routes"].insert(0, {"path": "/new/**", "access": "public", "downstream": "show"})
    ready.write_config()
    ready.process.send_signal(signal.SIGHUP)
    wait_until(lambda: status(ready.socket, "/new/x") == 200, "the rest counts")
    assert "socket" in ready.log()[len(before) :] and "restart" in ready.log()[len(before) :]
    assert stat.S_IMODE(ready.socket.stat().st_mode) == 0o660


# ── our own sockets ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["0660", "0600", "0666"])
def test_the_socket_has_the_configured_mode_whatever_the_umask(ready, mode):
    ready.config["socket"]["mode"] = mode
    ready.write_config()
    for umask in (0o000, 0o077):
        ready.start(umask=umask)
        assert oct(stat.S_IMODE(ready.socket.stat().st_mode)) == oct(int(mode, 8))
        if os.getuid() == 0:
            assert ready.socket.stat().st_gid == grp.getgrnam("www-data").gr_gid
        ready.stop()


def test_a_live_socket_is_never_stolen(ready):
    ready.start()
    second = subprocess.run(
        [BINARY, "-c", str(ready.config_file), "serve"],
        capture_output=True,
        text=True,
        timeout=harness.LONG,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
    )
    assert second.returncode == 1
    assert str(ready.socket) in second.stderr
    assert status(ready.socket) == 200


def test_a_file_that_is_no_socket_is_never_removed(ready):
    ready.socket.write_text("precious")
    result = subprocess.run(
        [BINARY, "-c", str(ready.config_file), "serve"],
        capture_output=True,
        text=True,
        timeout=harness.LONG,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 1 and ready.socket.read_text() == "precious"


def test_several_sockets_of_both_kinds(ready):
    port = harness.free_port()
    second = ready.folder / "second.sock"
    ready.config["listen"] = [f"unix:{ready.socket}", f"unix:{second}", f"tcp:127.0.0.1:{port}"]
    ready.write_config()
    ready.start()
    assert [status(where) for where in (ready.socket, second, ("127.0.0.1", port))] == [200, 200, 200]


# ── sockets that are passed on ──────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def passed_on(gatehouse, listeners, **environment):
    gatehouse.start_passed_on(listeners, **environment)
    try:
        yield
    finally:
        gatehouse.stop()


def test_sockets_of_systemd_replace_the_configured_ones(ready):
    ready.config["downstreams"]["scripts"]["cgi"]["env"] = {}
    ready.write_config()
    first, second = ready.folder / "first", ready.folder / "second"
    with listening(first) as one, listening(second) as two, passed_on(
        ready, [one, two], LISTEN_FDNAMES="fastcgi:another"
    ):
        assert status(first) == 200 and status(second) == 200
        assert not ready.socket.exists(), "of a kind that was passed on none is made"
        with FastCgi(first) as connection:
            seen = connection.request(get("/public/x")).json()
        assert not [name for name in seen["env"] if name.startswith("LISTEN_")]
        assert seen["fds"] == [0, 1, 2]


def test_sockets_for_another_process_are_left_alone(ready):
    path = ready.folder / "first"
    with listening(path) as one, passed_on(ready, [one], LISTEN_PID="other"):
        wait_until(lambda: ready.socket.exists() and ready.answers(), "it makes its own")
        assert status(ready.socket) == 200


def test_requests_that_wait_in_the_passed_socket_are_served(ready):
    # The socket is there before the daemon is: whoever came early is served, as after a restart.
    path = ready.folder / "first"
    with listening(path) as one:
        early = [FastCgi(path) for _ in range(20)]
        for connection in early:
            connection.send_request(get("/public/x"))
        with passed_on(ready, [one]):
            assert [connection.read_answer().status for connection in early] == [200] * 20


def test_a_listening_descriptor_0_is_served(ready):
    path = ready.folder / "zero"
    with listening(path) as listener:
        ready.start(arguments=("serve",), wait=False, stdin=listener)
        assert status(path) == 200
        assert not ready.socket.exists()
        ready.stop()


def test_who_spawned_it_may_say_term_twice(ready):
    # mod_fcgid does, a second apart; a request that would have been done by the KILL was cut off by the second.
    ready.config["downstreams"]["scripts"]["cgi"]["timeout"] = "60s"
    ready.write_config()
    os.mkfifo(ready.folder / "gate")
    path = ready.folder / "zero"
    with listening(path) as listener:
        ready.start(arguments=("serve",), wait=False, stdin=listener)
        ready.socket = path
        connection = FastCgi(path)
        connection.send_request(get("/wait", cookie=token_of(ready)))
        wait_until(lambda: list(ready.folder.glob("gate.started.*")), "the script runs")
        ready.process.send_signal(signal.SIGTERM)
        wait_until(lambda: " draining" in ready.log(), "it drains")
        ready.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not pending(ready.process.pid, signal.SIGTERM), "it has taken the second")
        with open(ready.folder / "gate", "w") as pipe:
            pipe.write("\n")
            pipe.flush()
            answer = connection.read_answer()
        assert answer.status == 200 and answer.body == b"through" and answer.ended
        assert ready.process.wait(harness.LONG) == 0
        ready.process = None


def pending(pid, number):
    """True if the signal waits to be taken; false, too, for a process that is gone."""
    with contextlib.suppress(FileNotFoundError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("ShdPnd:"):
                return bool(int(line.split()[1], 16) & 1 << (number - 1))
    return False


def test_without_a_command_a_listening_descriptor_0_is_served_too(ready):
    # spawn-fcgi and lighttpd start a program without arguments; the configuration is named by the environment.
    path = ready.folder / "zero"
    with listening(path) as listener:
        with open(ready.log_file, "ab") as log:
            ready.process = subprocess.Popen(
                [BINARY],
                stdin=listener,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_the_test,
                cwd="/",
                env=clean_environment(GATEHOUSE_CONFIG=str(ready.config_file)),
            )
        assert status(path) == 200
        assert not ready.socket.exists(), "a spawned process binds nothing itself"
        ready.stop()


def test_spawn_fcgi_runs_it(ready):
    path = ready.folder / "spawned"
    with open(ready.log_file, "ab") as log:
        ready.process = subprocess.Popen(
            ["spawn-fcgi", "-n", "-M", "0660", "-s", str(path), "--", BINARY],
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_the_test,
            cwd="/",
            env=clean_environment(GATEHOUSE_CONFIG=str(ready.config_file)),
        )
    wait_until(lambda: accepts(path), "spawn-fcgi listens")
    assert status(path) == 200
    ready.stop()


def test_readiness_is_told_to_systemd(ready):
    address = ready.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(address))
        notify.settimeout(harness.LONG)
        ready.start(wait=False, env=clean_environment(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="500000"))

        def heard(word):
            while True:
                message = notify.recv(4096).decode()
                if word in message.splitlines():
                    return True

        assert heard("READY=1")
        assert status(ready.socket) == 200, "ready means that the listeners are bound"
        assert heard("WATCHDOG=1")
        ready.process.send_signal(signal.SIGTERM)
        assert heard("STOPPING=1")
        assert ready.process.wait(harness.LONG) == 0
        ready.process = None


def test_a_bad_configuration_does_not_start(ready):
    ready.config["routes"][0]["access"] = "everybody"
    ready.write_config()
    result = ready.run("serve")
    assert result.returncode == 78 and "routes[0].access" in result.stderr
    assert "everybody" in ready.config_file.read_text(), "the file is nobody's but the administrator's"
