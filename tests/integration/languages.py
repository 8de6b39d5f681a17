"""The same small program in C, Perl, PHP and Python: it tells its environment, as JSON {"env": {…}}, and how long its
body was. A web server runs the first three that end in their own suffix as CGI programs, PHP as it runs PHP."""

import shutil
import subprocess

from built_once import built_once
from check_site import SHOW

C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static void tell(const char *text, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; ++i) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\' || c < 0x20) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

int main(void) {
  size_t body = 0;
  while (getchar() != EOF) ++body;
  printf("Content-Type: application/json\r\n\r\n{\"body_length\": %zu, \"env\": {", body);
  const char *separator = "";
  for (char **entry = environ; *entry; ++entry) {
    size_t length = strcspn(*entry, "=");
    char *name = strndup(*entry, length);
    /* What a program sees: of two of one name the first. */
    const char *value = getenv(name);
    if (value == *entry + length + 1) {
      fputs(separator, stdout);
      tell(name, length);
      putchar(':');
      tell(value, strlen(value));
      separator = ",";
    }
    free(name);
  }
  fputs("}}", stdout);
}
"""
PERL = r"""#!/usr/bin/perl
use JSON::PP;
binmode STDOUT;
my $body = do { local $/; <STDIN> };
my %env = map { my $v = $ENV{$_}; utf8::decode($v); $_ => $v } keys %ENV;
print "Content-Type: application/json\r\n\r\n",
    JSON::PP->new->utf8->encode({ env => \%env, body_length => length($body // '') });
"""
PYTHON = r"""#!/usr/bin/python3 -IB
import json, os, sys
body = len(sys.stdin.buffer.read())
sys.stdout.write("Content-Type: application/json\r\n\r\n" + json.dumps({"env": dict(os.environ), "body_length": body}))
"""
# Language → how a file of it ends.
SUFFIXES = {"C": ".cgi", "Perl": ".pl", "PHP": ".php", "Python": ".py"}


def write_program(language, stem):
    """Writes the program to that path with its suffix."""
    path = stem.with_name(stem.name + SUFFIXES[language])
    path.parent.mkdir(parents=True, exist_ok=True)
    if language == "C":
        shutil.copy(_compiled(), path)
    else:
        path.write_text({"Perl": PERL, "PHP": SHOW, "Python": PYTHON}[language])
    path.chmod(0o755)
    return path


def _compiled():
    def compile_it(folder):
        (folder / "tell.c").write_text(C)
        subprocess.run(["cc", "-o", folder / "tell", folder / "tell.c"], check=True, timeout=120)

    return built_once("tell", C.encode(), compile_it) / "tell"
