"""A visitor of a site: what a browser does, without a screen."""

import html.parser
import urllib.parse

import requests

PASSWORD = "correct horse battery staple"
NAVIGATION = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


class Form(html.parser.HTMLParser):
    """The first form of a page: its action, method and fields."""

    def __init__(self, page):
        super().__init__()
        self.action = self.method = None
        self.fields = {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action, self.method = attributes.get("action", ""), attributes.get("method", "get").lower()
        elif tag == "input" and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value", "") or ""


class Visitor:
    """A browser without a screen: cookies, and the headers that browsers send by themselves."""

    def __init__(self, url, cookie="session"):
        self.url = url
        self.cookie = cookie
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.clear()

    def request(self, method, path, headers=None, **more):
        more.setdefault("timeout", 20.0)
        return self.http.request(method, self.url + path, headers=headers or {}, allow_redirects=False, **more)

    def navigate(self, path, **headers):
        """What a click on a link does."""
        return self.request("GET", path, headers={**NAVIGATION, **headers})

    def fetch(self, path, headers=None, method="GET", **more):
        """What a program does."""
        return self.request(method, path, headers={"Accept": "*/*", **(headers or {})}, **more)

    def post(self, path, data=None, headers=None, **more):
        """What the submit button of one of our own pages does."""
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", **NAVIGATION}
        own.update(headers or {})
        own = {name: value for name, value in own.items() if value is not None}
        return self.request("POST", path, headers=own, data=data, **more)

    def login_form(self, path="/auth/login"):
        page = self.navigate(path)
        assert page.status_code == 200, f"{page.status_code} {page.text}"
        form = Form(page.text)
        assert form.method == "post" and {"username", "password", "csrf", "rd"} <= set(form.fields), page.text
        return form

    def sign_in(self, username, password=PASSWORD, rd=None, headers=None, **changes):
        """Fetches the form and sends it back. `changes` overrides fields; None leaves one out."""
        path = "/auth/login" + (f"?rd={urllib.parse.quote(rd, safe='')}" if rd is not None else "")
        form = self.login_form(path)
        fields = {**form.fields, "username": username, "password": password, **changes}
        fields = {name: value for name, value in fields.items() if value is not None}
        action = urllib.parse.urljoin(self.url + "/auth/login", form.action)
        assert action.startswith(self.url + "/"), action
        return self.post(action[len(self.url) :], data=fields, headers=headers)

    def sign_out(self, data=None, headers=None, path="/auth/logout"):
        return self.post(path, data=data, headers=headers)

    def show(self, path="/show", **more):
        """What the script at that path saw."""
        answer = self.fetch(path, **more)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    @property
    def token(self):
        return self.http.cookies.get(self.cookie)

    @token.setter
    def token(self, value):
        self.http.cookies.clear()
        if value is not None:
            self.http.cookies.set(self.cookie, value, domain="127.0.0.1", path="/")


def set_cookies(answer):
    """Every Set-Cookie line of an answer, apart; requests joins them."""
    headers = answer.raw.headers if hasattr(answer, "raw") else answer.headers
    return headers.getlist("Set-Cookie") if hasattr(headers, "getlist") else (headers.get_all("Set-Cookie") or [])


def session_cookies(answer, name="session"):
    """The Set-Cookie lines for the session cookie."""
    return [line for line in set_cookies(answer) if line.split("=", 1)[0].strip() == name]


def is_removal(line, name="session"):
    return line.startswith(f"{name}=;") and "1970" in line
