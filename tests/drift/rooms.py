"""Fails when a room of src/ includes another that it may not, or a foreign library outside its adapter.

The table is that of docs/decisions/0001; a room that is new must be added to both.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"

ROOMS = {
    "http": set(),
    "auth": {"http"},
    "middleware": {"auth", "http"},
    "net": {"http"},
    "policy": {"auth", "http"},
    "store": {"auth"},
    "fastcgi": {"http", "net"},
    "httpd": {"http", "net"},
    "cgi": {"http", "net"},
    "ops": {"http"},
    "config": {"auth", "http", "policy"},
    "relay": {"http", "net", "cgi", "fastcgi"},
    "gateway": {"auth", "http", "policy", "cgi", "fastcgi", "relay", "net", "ops"},
    "app": {"http", "auth", "net", "policy", "store", "fastcgi", "httpd", "cgi", "relay", "ops", "config", "gateway"},
}

# A foreign header → the rooms that may include it.
FOREIGN = {
    "yaml-cpp/": {"config"},
    "sqlite3.h": {"store", "app"},  # app prints its version
    "mysql": {"store"},
    "cppconn/": {"store"},
    "cppconn/": {"store"},
    "mariadb/": {"store"},
    "argon2.h": {"auth"},
    "utf8proc.h": {"auth"},
    "openssl/": {"auth", "gateway", "app"},
    "boost/": {"net", "fastcgi", "httpd", "cgi", "relay", "app"},
    "fcgi": {"middleware"},
    "spdlog/": {"ops"},
    "CLI/": {"app"},
    "kainjow/": {"gateway"},
    "systemd/": {"app"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def problems_of(path):
    room = path.relative_to(SOURCES).parts[0]
    if path.parent == SOURCES:
        room = "app"
    if room not in ROOMS:
        yield f"{path}: the room {room} is not in the table"
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        target = found.group(1)
        first = target.split("/")[0]
        if first in ROOMS and first != room and first not in ROOMS[room]:
            yield f"{path}:{number}: {room} may not include {target}"
        for foreign, rooms in FOREIGN.items():
            if target.startswith(foreign) and first not in ROOMS and room not in rooms:
                yield f"{path}:{number}: {room} may not include <{target}>"


def main():
    files = sorted(p for p in SOURCES.rglob("*") if p.suffix in {".cpp", ".hpp"})
    problems = [problem for path in files for problem in problems_of(path)]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
