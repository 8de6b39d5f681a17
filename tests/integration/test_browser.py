"""A real browser signs in and out through the demo. With GATEHOUSE_SCREENSHOT=1 it also takes docs/screenshot.png."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest

from browser import Browser
from harness import BINARY, TREE, clean_environment, free_port


@pytest.fixture
def demo():
    folder = tempfile.mkdtemp(prefix="gh-browser-", dir="/tmp")
    os.chmod(folder, 0o755)  # as /tmp itself, so that www-data gets to it
    environment = clean_environment(GATEHOUSE_DEMO_DIR=f"{folder}/state", GATEHOUSE_BINARY=BINARY, HOME=folder)

    def run(*arguments):
        return subprocess.run(
            [str(TREE / "scripts" / "demo"), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            cwd="/",
        )

    started = run("--detach", "--port", str(free_port()))
    assert started.returncode == 0, started.stderr
    yield dict(re.findall(r"^(\w+): (.+)$", started.stdout, re.MULTILINE))
    assert run("--stop").returncode == 0
    shutil.rmtree(folder)


@pytest.fixture
def browser():
    made = Browser()
    yield made
    made.close()


def sign_in(browser, name, password):
    browser.type("input[name=username]", name)
    browser.type("input[name=password]", password)
    browser.press_enter()


def test_sign_in_read_the_greeting_sign_out(browser, demo):
    url = demo["url"]
    browser.open(url + "?from=a-link")
    assert "/auth/login" in browser.address, "anonymous: the login page"
    # What password managers look for.
    assert browser.attribute("input[name=username]", "autocomplete") == "username"
    assert browser.attribute("input[name=password]", "autocomplete") == "current-password"
    assert browser.attribute("input[name=password]", "type") == "password"

    sign_in(browser, demo["user"], "not the password at all")
    browser.until(
        "document.querySelector('input[name=password]').value == ''"
        " && document.querySelector('input[name=username]').value",
        "the form is shown again, with the name that was typed",
    )
    assert not browser.has("#logout")

    sign_in(browser, demo["user"], demo["password"])
    browser.until("document.querySelector('#logout')", "the script's page")
    assert browser.address == url + "?from=a-link", "back where the link led"
    assert "Hello, Demo User!" in browser.text and "demo@example.org" in browser.text
    assert browser.evaluate("document.querySelector('#user').textContent") == "demo"

    [cookie] = [cookie for cookie in browser.cookies() if cookie["name"] == "session"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    assert "session=" not in browser.evaluate("document.cookie")

    if os.environ.get("GATEHOUSE_SCREENSHOT"):
        browser.screenshot(TREE / "docs" / "screenshot.png")

    browser.click("#logout")
    browser.until("document.querySelector('input[name=password]')", "the login page")
    browser.open(url)
    assert "/auth/login" in browser.address, "closed again"
    browser.evaluate("window.stays = true")
    browser.back()
    browser.until("!window.stays", "the page before")
    assert "Hello, Demo User!" not in browser.text, "the script's page was not kept"


def test_the_login_page_keeps_its_own_rules(browser, demo):
    """Its Content-Security-Policy may forbid nothing that the page itself needs."""
    browser.open(demo["url"])
    assert (
        browser.evaluate("getComputedStyle(document.querySelector('form button, form input[type=submit]')).cursor")
        == "pointer"
    )
    errors = [text for level, text in browser.log if level == "error" and "favicon" not in text]
    assert errors == []
