"""scripts/demo as a stranger runs it: it shows itself, minds what is there already, and leaves nothing behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from harness import BINARY, LONG, TREE, clean_environment, free_port, is_alive, wait_until
from visitor import Visitor

DEMO = str(TREE / "scripts" / "demo")


@pytest.fixture
def demo():
    """Runs the script with a state folder of its own; whatever happens, its servers end."""
    folder = tempfile.mkdtemp(prefix="gh-demo-", dir="/tmp")
    os.chmod(folder, 0o755)  # as /tmp itself, so that www-data gets to it
    environment = clean_environment(
        GATEHOUSE_DEMO_DIR=f"{folder}/state", GATEHOUSE_BINARY=BINARY, HOME=os.environ.get("HOME", "/")
    )

    def run(*arguments):
        return subprocess.run(
            [DEMO, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            cwd="/",
        )

    run.environment = environment
    run.state = f"{folder}/state"
    yield run
    run("--stop")
    shutil.rmtree(folder)


def told(text):
    """The lines that PRODUCT promises."""
    return dict(re.findall(r"^(url|user|password|config|binary): (.+)$", text, re.MULTILINE))


def pids(state):
    return [int(open(f"{state}/{name}.process").read().split()[0]) for name in ("nginx", "gatehouse")]


def sign_in_and_out(lines):
    visitor = Visitor(lines["url"].rstrip("/"))
    assert visitor.navigate("/").status_code == 302
    assert visitor.sign_in(lines["user"], lines["password"], rd="/").status_code == 303
    page = visitor.navigate("/")
    assert page.status_code == 200 and "Hello, Demo User!" in page.text and 'action="/auth/logout"' in page.text
    assert visitor.navigate("/public/").status_code == 200
    assert visitor.post("/auth/logout").status_code == 303
    assert visitor.navigate("/").status_code == 302
    assert visitor.navigate("/public/").status_code == 200


def test_detach_and_stop(demo):
    port = free_port()
    started = demo("--detach", "--port", str(port))
    assert started.returncode == 0, started.stderr
    lines = told(started.stdout)
    assert lines["url"] == f"http://127.0.0.1:{port}/" and lines["user"] == "demo"
    assert lines["binary"] == BINARY and os.path.exists(lines["config"])
    sign_in_and_out(lines)
    listed = subprocess.run(
        [lines["binary"], "-c", lines["config"], "user", "list"], capture_output=True, text=True, timeout=60
    )
    assert listed.returncode == 0 and "demo" in listed.stdout

    running = pids(demo.state)
    assert all(is_alive(pid) for pid in running)
    if os.getuid() == 0:
        assert os.stat(f"/proc/{running[1]}").st_uid != 0, "scripts do not run as root"

    second = demo("--detach", "--port", str(free_port()))
    assert second.returncode != 0 and "running" in second.stderr and not told(second.stdout)
    sign_in_and_out(lines)

    stopped = demo("--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not any(is_alive(pid) for pid in running)
    assert not os.path.exists(demo.state)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)
    assert demo("--stop").returncode == 0, "stopping twice is no error"


def test_ctrl_c_ends_it_and_cleans_up(demo):
    port = free_port()
    process = subprocess.Popen(
        [DEMO, "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=demo.environment,
        cwd="/",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("binary: "):
            break
    lines = told(text)
    sign_in_and_out(lines)
    running = pids(demo.state)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    assert process.wait(LONG) != 0
    process.stdout.close()
    wait_until(lambda: not any(is_alive(pid) for pid in running), "both servers have ended")
    assert not os.path.exists(demo.state)


def test_a_port_in_use_is_a_clear_error_and_leaves_nothing(demo):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = demo("--detach", "--port", str(port))
    assert result.returncode == 1 and str(port) in result.stderr and "in use" in result.stderr
    assert not os.path.exists(demo.state)


@pytest.mark.parametrize(
    "arguments", [["--port"], ["--port", "x"], ["--port", "0"], ["--port", "65536"], ["--nonsense"], ["--port", "-1"]]
)
def test_wrong_options_are_refused(demo, arguments):
    result = demo(*arguments)
    assert result.returncode in (1, 2) and result.stderr and not os.path.exists(demo.state)


def test_a_server_that_dies_ends_the_demo(demo):
    process = subprocess.Popen(
        [DEMO, "--port", str(free_port())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=demo.environment,
        cwd="/",
        start_new_session=True,
    )
    for line in process.stdout:
        if line.startswith("binary: "):
            break
    nginx, gatehouse = pids(demo.state)
    os.kill(gatehouse, signal.SIGKILL)
    _, error = process.communicate(timeout=LONG)
    assert process.returncode == 1 and "ended" in error
    wait_until(lambda: not is_alive(nginx), "nginx has ended too")
    assert not os.path.exists(demo.state)


def test_stop_ends_one_that_runs_in_a_terminal_too(demo):
    process = subprocess.Popen(
        [DEMO, "--port", str(free_port())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=demo.environment,
        cwd="/",
        start_new_session=True,
    )
    for line in process.stdout:
        if line.startswith("binary: "):
            break
    assert demo("--stop").returncode == 0
    _, error = process.communicate(timeout=LONG)
    assert process.returncode == 0 and "stopped" in error
    assert not os.path.exists(demo.state)


def test_a_folder_that_is_not_ours_is_never_touched(demo):
    os.mkdir(demo.state)
    precious = f"{demo.state}/precious"
    open(precious, "w").close()
    assert demo("--stop").returncode == 1
    assert demo("--detach", "--port", str(free_port())).returncode == 1
    assert os.path.exists(precious)
    shutil.rmtree(demo.state)


def test_what_a_crashed_demo_left_is_no_obstacle(demo):
    port = free_port()
    assert demo("--detach", "--port", str(port)).returncode == 0
    running = pids(demo.state)
    for pid in running:
        os.killpg(pid, signal.SIGKILL)  # nginx's workers too
    wait_until(lambda: not any(is_alive(pid) for pid in running) and port_is_free(port), "all of it is dead")
    started = demo("--detach", "--port", str(port))
    assert started.returncode == 0, started.stderr
    sign_in_and_out(told(started.stdout))


def port_is_free(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
