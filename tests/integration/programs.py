"""What the tests of real programs share: a folder for their data, and a note of every start of a program."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import TREE, Site, clean_environment
from visitor import PASSWORD

EXAMPLES = TREE / "conf" / "examples"


class Workshop:
    """A folder below /tmp for repositories, cookie files and notes; gone in the end."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-programs-", dir="/tmp"))
        os.chmod(self.folder, 0o755)  # as /tmp itself, so that www-data gets to it
        self._notes = self.folder / "starts"
        self._notes.touch()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def git_site(self, edit_nginx=lambda text: text):
        """A site with conf/examples/git.yaml and git.nginx as they are shipped, but for the paths."""
        written = (EXAMPLES / "git.yaml").read_text().replace("/srv/git", f"{self.folder}/git")
        for program in ("/usr/lib/git-core/git-http-backend", "/usr/share/gitweb/gitweb.cgi"):
            assert f"program: {program}\n" in written
            written = written.replace(program, self.watched(program))
        assert "/etc/gitweb.conf" in written
        written = written.replace("/etc/gitweb.conf", f"{self.folder}/gitweb.conf")
        inside = (EXAMPLES / "git.nginx").read_text()

        def edit(text):
            assert text.count("location / {\n") == 1
            return edit_nginx(text.replace("location / {\n", "location / {\n" + inside))

        # Relative to nginx's own folder.
        body = "$http_transfer_encoding|$http_content_length|$request_length"
        line = f"$request_method|$uri|$status|{body}|$http_user_agent"
        log = f"log_format uploads '{line}'; access_log uploads.log uploads;"
        return Site(nginx={"edit": edit, "http_lines": log}, written=written)

    def watched(self, program):
        """A program to configure in that one's place: it notes that it was started, and becomes that one.

        The note is written before anything else happens, so that no note means no start.
        """
        wrapper = self.folder / f"watched-{pathlib.Path(program).name}"
        note = '"$REQUEST_METHOD" "$PATH_INFO" "${REMOTE_USER-}" "${CONTENT_LENGTH-}" "${HTTP_CONTENT_ENCODING-}"'
        wrapper.write_text(
            f"#!/bin/sh\nprintf '%s|%s|%s|%s|%s\\n' {note} >>'{self._notes}' || exit 1\nexec '{program}'\n"
        )
        wrapper.chmod(0o755)
        return str(wrapper)

    def requests(self, site):
        """Every request on a git_site that nginx has logged so far, as dictionaries.

        A client may have its answer before the line is there.
        """
        names = ("method", "path", "status", "transfer_encoding", "length", "received", "agent")
        lines = (site.nginx.folder / "uploads.log").read_text().splitlines()
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines]

    def starts(self):
        """Every start so far, as dictionaries."""
        names = ("method", "path_info", "user", "length", "encoding")
        return [dict(zip(names, line.split("|"), strict=True)) for line in self._notes.read_text().splitlines()]

    def sign_in(self, url, username, password=PASSWORD):
        """Signs in with conf/examples/sign-in, as its user does. Returns the cookie file."""
        file = self.folder / f"cookies-{username}-{len(list(self.folder.iterdir()))}"
        self.run(EXAMPLES / "sign-in", url, username, file, stdin=password + "\n")
        return file

    def run(self, *command, check=0, cwd=None, stdin="", **environment):
        """Runs a client to its end, in an environment of its own. With `check`, its exit code must be that."""
        result = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            cwd=cwd or self.folder,
            env=clean_environment(HOME=str(self.folder), LC_ALL="C.UTF-8", **environment),
        )
        if check is not None:
            assert result.returncode == check, f"{command}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result
