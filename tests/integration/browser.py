"""A headless Chromium, driven over two pipes: no driver program, no port, no name to resolve."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile

from harness import LONG, clean_environment, die_with_the_test, wait_until

# Chromium reads commands from descriptor 3 and writes answers to 4. Both pipes are moved out of the way first: one may
# have the other's number.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 100)
os.dup2(int(sys.argv[2]), 101)
os.dup2(100, 3)
os.dup2(101, 4)
os.closerange(5, 200)
os.execv(sys.argv[3], sys.argv[3:])
"""
ARGUMENTS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=900,900",
]


class Browser:
    """One page of one browser with a profile of its own."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="gh-chromium-", dir="/tmp")
        self.log = []  # what its console says, as (level, text)
        self.number = 0
        self.buffer = b""
        theirs_in, self.commands = os.pipe()
        self.answers, theirs_out = os.pipe()
        chromium = ["/usr/bin/chromium", *ARGUMENTS, f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), *chromium],
            pass_fds=[theirs_in, theirs_out],
            env=clean_environment(HOME=self.profile),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        try:
            page = wait_until(self._page, "the browser has a page")
            self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _page(self):
        targets = self.call("Target.getTargets")["targetInfos"]
        return next((target["targetId"] for target in targets if target["type"] == "page"), None)

    def _next_message(self):
        while b"\0" not in self.buffer:
            assert select.select([self.answers], [], [], 3 * LONG)[0], "the browser says nothing more"
            data = os.read(self.answers, 65536)
            assert data, "the browser has gone"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def _send(self, method, params, session):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        return self.number

    def call(self, method, **params):
        """One command of the DevTools protocol; returns its result."""
        number = self._send(method, params, self.session)
        while True:
            answer = self._next_message()
            # "Leave this page?" of a page with a form half filled in: until that is answered, nothing else is.
            if answer.get("method") == "Page.javascriptDialogOpening":
                self._send("Page.handleJavaScriptDialog", {"accept": True}, answer.get("sessionId"))
            if answer.get("method") == "Log.entryAdded":
                entry = answer["params"]["entry"]
                self.log.append((entry["level"], f"{entry['text']} {entry.get('url', '')}"))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def evaluate(self, script):
        """The value of an expression in the page; None while one page gives way to the next."""
        with contextlib.suppress(AssertionError):
            return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")
        return None

    def until(self, script, what=None):
        """Waits until the expression is true in a page that has loaded."""
        wait_until(lambda: self.evaluate(f"document.readyState == 'complete' && !!({script})"), what or script, LONG)

    def open(self, url):
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, result
        self.until("true", f"{url} has loaded")

    @property
    def address(self):
        return self.evaluate("location.href")

    @property
    def text(self):
        return self.evaluate("document.body.innerText")

    def has(self, selector):
        return self.evaluate(f"!!document.querySelector({json.dumps(selector)})")

    def attribute(self, selector, name):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).getAttribute({json.dumps(name)})")

    def type(self, selector, text):
        """Replaces what is in a field, as a keyboard does."""
        self.evaluate(
            f"(() => {{ const f = document.querySelector({json.dumps(selector)}); f.focus(); f.select() }})()"
        )
        self.call("Input.insertText", text=text)

    def press_enter(self):
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    def click(self, selector):
        """Presses the mouse in the middle of an element."""
        box = self.evaluate(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, selector):
        """Presses an element wherever it is, also in a page that still moves."""
        assert self.has(selector), f"no {selector} in {self.text}"
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def choose_file(self, selector, file):
        """Puts a file into a form's field, as the dialogue does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        field = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=field, files=[str(file)])

    def back(self):
        self.evaluate("history.back()")

    def cookies(self, *urls):
        """Those that it would send to the addresses, or to the page's own."""
        return self.call("Network.getCookies", **({"urls": urls} if urls else {}))["cookies"]

    def screenshot(self, file):
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        with contextlib.suppress(AssertionError, OSError):
            self.session = None
            self.call("Browser.close")
        os.close(self.commands)
        os.close(self.answers)
        try:
            self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
