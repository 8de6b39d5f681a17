# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share: packages, builds, processes. Sourced, never run:
#   . "$(dirname -- "$0")/lib.sh"
# Works on a Debian 12 with nothing but git: no curl, no ps, no locale, no init system is assumed.
set -euo pipefail
# What root makes here must be readable for the user that the scripts run as.
umask 022

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
jobs=$(nproc)

build_packages=(g++ cmake ninja-build ccache pkg-config libboost-dev libfcgi-dev libsqlite3-dev libyaml-cpp-dev
  libssl-dev libargon2-dev libutf8proc-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libcli11-dev libkainjow-mustache-dev
  libsystemd-dev libmysqlcppconn-dev libmariadb-dev libgtest-dev libgmock-dev)
clang_packages=(clang-19 libclang-rt-19-dev llvm-19)
lint_packages=(clang-19 clang-format-19 clang-tidy-19)
test_packages=(nginx curl spawn-fcgi apache2 fcgiwrap python3 python3-pytest python3-requests chromium perl
  git gitweb libcgi-pm-perl mercurial libfaketime php-fpm php-cgi caddy openssl mariadb-server python3-pymysql
  libapache2-mod-fcgid libfcgi-perl lighttpd haproxy systemd icingaweb2 dokuwiki)
demo_packages=(nginx curl)
bench_packages=(nginx php-fpm python3 python3-requests)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "${0##*/}: $*"
  exit 1
}

# ── packages ────────────────────────────────────────────────────────────────────────────────────────────────────────

missing_packages() {
  local package installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package; do
    case $'\n'"$installed"$'\n' in
      *$'\n'"installed $package"$'\n'*) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

# Installs without starting any service: a demo must not leave a web server running on port 80. policy-rc.d is Debian's
# way to say so; it is there only while apt-get runs, and an existing one is left alone.
apt_install() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o Acquire::Retries=3 update
  apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold install --no-install-recommends "$@"
)

# ensure_packages NAME...: installs what is missing. Uses no network if nothing is.
ensure_packages() {
  local missing
  # shellcheck disable=SC2207  # package names hold no spaces
  missing=($(missing_packages "$@"))
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || die "these packages are missing; as root run: apt-get install ${missing[*]}"
  say "installing ${#missing[@]} packages: ${missing[*]}"
  apt_install "${missing[@]}" </dev/null >&2 || die "apt-get could not install ${missing[*]}"
}

# The tests run Lucia itself: node 18 or newer, with npm. Debian's npm brings hundreds of packages along: only if there is none.
node_is_there() {
  [[ "$(node --version 2>/dev/null)" =~ ^v([0-9]+)\. ]] && [ "${BASH_REMATCH[1]}" -ge 18 ] && npm --version >/dev/null 2>&1
}
ensure_node() {
  node_is_there || ensure_packages nodejs npm
  node_is_there || die 'node 18 or newer and npm are needed'
}

# ── builds ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# in_tree COMMAND...: runs it in the tree, without stdin and with its output on stderr, the compiler behind ccache.
in_tree() (
  cd -- "$root" || exit
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
  [ -n "${HOME-}" ] || export CCACHE_DIR="$root/build/ccache"
  # A clone of the same source elsewhere finds what this one compiled.
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  "$@" </dev/null >&2
)

# configure PRESET; build PRESET [TARGET...]: into build/PRESET.
configure() { in_tree cmake --preset "$1" || die "preset $1 cannot be configured"; }
build() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  configure "$preset"
  in_tree cmake --build --preset "$preset" -j "$jobs" "${targets[@]}" || die "the build of preset $preset failed"
}

release_binary="$root/build/release/gatehouse"

# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────

# wait_for SECONDS COMMAND...: polls until the command succeeds; 1 if the time is over first.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# process_start PID: when it started, in clock ticks since boot; fails if there is no such process. A pid alone may be
# another process by the time it is used. One that has ended and was not waited for counts as gone.
process_start() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086  # the fields after "(name) ": state, then 18 others, then the start
  set -- ${stat##*) }
  [ "$1" != Z ] && [ "$1" != X ] || return 1
  printf '%s\n' "${20}"
}

# record_process FILE PID / process_runs FILE / process_gone FILE: a process kept in a file as "PID START".
record_process() { printf '%s %s\n' "$2" "$(process_start "$2" || echo gone)" >"$1"; }
process_runs() {
  local pid start
  [ -r "$1" ] && read -r pid start <"$1" && [ "$(process_start "$pid" || echo none)" = "$start" ]
}
process_gone() { ! process_runs "$1"; }

# stop_process FILE: asks the process to end, waits up to 15 s, then kills it and its group; returns when it is gone.
stop_process() {
  local pid
  process_runs "$1" || return 0
  read -r pid _ <"$1"
  kill -TERM "$pid" 2>/dev/null || true
  wait_for 15 process_gone "$1" && return 0
  say "process $pid did not end within 15 s: killed"
  kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
  wait_for 5 process_gone "$1"
}
