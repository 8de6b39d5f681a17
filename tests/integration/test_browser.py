"""A real browser signs in and out through the demo. With GATEHOUSE_SCREENSHOT=1 it also takes docs/screenshot.png."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from harness import BINARY, LONG, TREE, clean_environment, free_port


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
    profile = tempfile.mkdtemp(prefix="gh-chromium-", dir="/tmp")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=900,900",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    os.environ.setdefault("HOME", profile)
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


def until(browser, condition):
    return WebDriverWait(browser, LONG).until(condition)


def sign_in(browser, name, password):
    browser.find_element(By.NAME, "username").clear()
    browser.find_element(By.NAME, "username").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.NAME, "password").submit()


def test_sign_in_read_the_greeting_sign_out(browser, demo):
    url = demo["url"]
    browser.get(url + "?from=a-link")
    assert "/auth/login" in browser.current_url, "anonymous: the login page"
    # What password managers look for.
    assert browser.find_element(By.NAME, "username").get_attribute("autocomplete") == "username"
    assert browser.find_element(By.NAME, "password").get_attribute("autocomplete") == "current-password"
    assert browser.find_element(By.NAME, "password").get_attribute("type") == "password"

    sign_in(browser, demo["user"], "not the password at all")
    until(
        browser,
        lambda b: b.find_elements(By.NAME, "password")
        and b.find_element(By.NAME, "password").get_attribute("value") == "",
    )
    assert not browser.find_elements(By.ID, "logout")

    sign_in(browser, demo["user"], demo["password"])
    until(browser, lambda b: b.find_elements(By.ID, "logout"))
    assert browser.current_url == url + "?from=a-link", "back where the link led"
    page = browser.find_element(By.TAG_NAME, "body").text
    assert "Hello, Demo User!" in page and "demo@example.org" in page
    assert browser.find_element(By.ID, "user").text == "demo"

    [cookie] = [cookie for cookie in browser.get_cookies() if cookie["name"] == "session"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    assert "session=" not in browser.execute_script("return document.cookie")

    if os.environ.get("GATEHOUSE_SCREENSHOT"):
        browser.save_screenshot(str(TREE / "docs" / "screenshot.png"))

    browser.find_element(By.ID, "logout").click()
    until(browser, lambda b: b.find_elements(By.NAME, "password"))
    browser.get(url)
    assert "/auth/login" in browser.current_url, "closed again"
    browser.back()
    assert "Hello, Demo User!" not in browser.find_element(By.TAG_NAME, "body").text, "the page was not kept"


def test_the_login_page_keeps_its_own_rules(browser, demo):
    """Its Content-Security-Policy may forbid nothing that the page itself needs."""
    browser.get(demo["url"])
    severe = [
        entry
        for entry in browser.get_log("browser")
        if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
    ]
    assert severe == []
