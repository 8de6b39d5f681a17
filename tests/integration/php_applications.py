"""Two PHP applications of Debian that nobody here wrote, behind both doors as conf/examples has them.

Icinga Web knows its users by REMOTE_USER; DokuWiki has users, a login and a cookie of its own, and its pages' names in
PATH_INFO. Their programs are Debian's; their configuration and data are in a folder of their own below /tmp.
"""

import hashlib
import os
import pathlib
import shutil
import tempfile

from check_site import CheckSite, PhpFpm
from harness import USER, Site
from programs import EXAMPLES

WIKI_USER, WIKI_PASSWORD = "walker", "a password of the wiki"

ICINGA = {
    # Where no database is, what somebody prefers is kept in their session.
    "config.ini": '[global]\nconfig_backend = "none"\n[logging]\nlog = "php"\nlevel = "ERROR"\n',
    "authentication.ini": '[gatehouse]\nbackend = "external"\n',
    "roles.ini": '[announcers]\nusers = "alice"\npermissions = "application/announcements"\n',
}
# Whoever has logged in may write and upload, everybody else reads.
WIKI = {
    "local.php": """<?php
$conf['title'] = 'A wiki';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['userewrite'] = 2;
$conf['useslash'] = 1;
$conf['disableactions'] = 'register';
$conf['savedir'] = '{folder}/wiki-data';
""",
    "users.auth.php": "{user}:{hash}:Wiki Walker:walker@example.org:user\n",
    "acl.auth.php": "*\t@ALL\t1\n*\t@user\t8\n",
}
WIKI_DATA = ("attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages", "tmp")


class PhpApplications:
    """Configuration and data of both, and a php-fpm with Debian's php.ini and extensions."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gh-apps-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.media = self.folder / "wiki-data" / "media"
        self.write()
        for folder, _, _ in os.walk(self.folder):
            if os.getuid() == 0 and folder != str(self.folder):
                shutil.chown(folder, USER, USER)
        lines = (
            f"php_admin_value[session.save_path] = {self.folder}/sessions\n"
            f"php_admin_value[upload_tmp_dir] = {self.folder}/uploads\n"
            f"php_admin_value[auto_prepend_file] = {self.folder}/before.php\n"
        )
        self.php = PhpFpm(self.folder, workers=6, lines=lines, system_ini=True)

    def write(self):
        for name in ("sessions", "uploads", *(f"wiki-data/{name}" for name in WIKI_DATA)):
            (self.folder / name).mkdir(parents=True)
        values = {"folder": self.folder, "user": WIKI_USER, "hash": hashlib.md5(WIKI_PASSWORD.encode()).hexdigest()}
        for folder, files in {"icingaweb2": ICINGA, "wiki": WIKI}.items():
            (self.folder / folder).mkdir()
            for name, text in files.items():
                for key, value in values.items():
                    text = text.replace(f"{{{key}}}", str(value))
                (self.folder / folder / name).write_text(text)
        # Where Debian's DokuWiki looks for its configuration unless somebody has said so before.
        (self.folder / "before.php").write_text(f"<?php define('DOKU_CONF', '{self.folder}/wiki/');\n")

    def here(self, example):
        """An example with our paths in the place of the system's."""
        text = (EXAMPLES / example).read_text()
        text = text.replace("unix:/run/php/php-fpm.sock", self.php.address)
        text = text.replace("/etc/icingaweb2", f"{self.folder}/icingaweb2")
        assert "/run/" not in text and "/etc/" not in text, text
        return text

    def remove(self):
        self.php.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class RelayedApplications(Site):
    """The gateway door: nginx hands over every script, gatehouse relays it to php-fpm."""

    def __init__(self):
        self.applications = PhpApplications()
        try:
            self.applications.php.start()
            super().__init__(nginx={"edit": self.edit}, written=self.applications.here("php.yaml"))
        except BaseException:
            self.applications.remove()
            raise

    def edit(self, text):
        assert text.count("location / {\n") == 1
        return text.replace("location / {\n", "location / {\n" + self.applications.here("php.nginx"))

    def logs(self):
        return {**super().logs(), "php-fpm": self.applications.php.log()}

    def close(self):
        try:
            super().close()
        finally:
            self.applications.remove()


class CheckedApplications(CheckSite):
    """The check door: nginx runs php-fpm, and asks gatehouse before."""

    def __init__(self):
        self.applications = PhpApplications()
        try:
            written = self.applications.here("php.yaml")
            super().__init__(servers=[self.applications.here("php-check.nginx")], written=written)
        except BaseException:
            self.applications.remove()
            raise

    def make_php(self):
        return self.applications.php

    def close(self):
        try:
            super().close()
        finally:
            self.applications.remove()


DOORS = {"relay": RelayedApplications, "check": CheckedApplications}
