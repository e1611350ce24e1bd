# shellcheck shell=bash
# What the scripts share: words, paths, the unprivileged user, the choice of a server, ports.
# Sourced, never run. Progress goes to standard error; standard output is for results.
#
# Settings, all optional:
#   PG=14..18          the Postgres major to fetch and use (18)
#   PG_CONFIG=FILE     use this server instead of a fetched one
#   APIKEY_STATE=DIR   what is not cargo's: fetched servers, the cluster of `make run` (.state; in
#                      /var/lib where that is closed to the unprivileged user)
#   APIKEY_USER=NAME   as root: the unprivileged user that runs Postgres and the shim (apikey-dev)
set -euo pipefail
umask 022 # what root makes, the unprivileged user has to read

# Debian has servers, and the tools that make users, where only administrators look for programs.
for directory in /usr/sbin /sbin; do
  [[ :$PATH: == *:$directory:* ]] || PATH=$PATH:$directory
done
unset directory

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# Root's Postgres runs as an unprivileged user, who cannot enter every checkout. The state of one in
# root's home, say, is elsewhere: where nobody but root can make a directory before us, and each
# checkout has one of its own.
state_of_checkout() {
  if [ "$(id -u)" -ne 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$ROOT"; then
    echo "$ROOT/.state"
  else
    echo "/var/lib/apikey-dev${ROOT//\//-}"
  fi
}

STATE=$(realpath -m -- "${APIKEY_STATE:-$(state_of_checkout)}")
TARGET=$(realpath -m -- "${CARGO_TARGET_DIR:-$ROOT/target}")
export APIKEY_STATE=$STATE CARGO_TARGET_DIR=$TARGET

# libpq's own variables (PGHOST, PGPORT, PGSERVICE …) would send our psql to somebody's real server.
for variable in ${!PG@}; do
  if [[ $variable =~ ^PG[A-Z]+$ ]]; then unset "$variable"; fi
done
unset variable

say() { printf '%s\n' "$*" >&2; }

# die WHAT-IS-WRONG WHAT-TO-DO: the only way that these scripts give up.
die() {
  printf '\n' >&2
  printf '%s\n' "$@" >&2
  exit 1
}

have() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || return 1
  done
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Runs a command as an administrator: as it is for root, by sudo otherwise, asking for a password
# only of somebody who is there to type it. Fails when there is no way.
as_admin() {
  if is_root; then
    "$@"
  elif ! have sudo; then
    return 1
  elif [ -t 0 ]; then
    sudo -- "$@"
  else
    sudo -n -- "$@"
  fi
}

can_be_admin() { as_admin true 2>/dev/null; }

# A build tool of the user's that is not on the PATH of this shell, as just after rustup's
# installer.
use_home_cargo() {
  local bin=${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}/bin
  if [ -x "$bin/cargo" ] && ! rust_is_ready && PATH="$bin:$PATH" rust_is_ready; then
    PATH="$bin:$PATH"
  fi
}

# cargo_release SUBCOMMAND…: one profile for everything, so that what is tested is what ships.
# CI refuses a Cargo.lock that lags behind; at a developer's desk cargo brings it up to date.
cargo_release() {
  local subcommand=$1 locked=()
  [ -z "${CI:-}" ] || locked=(--locked)
  shift
  (cd "$ROOT" && exec cargo "$subcommand" --release "${locked[@]}" "$@")
}

die_of_cargo() {
  die "cargo could not build it (its own words are above)." \
    "If it could not download something, see to the network or its proxy; if the code did not compile, please report it."
}

rust_wanted() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml"; }

# Each is run, not looked for: rustup's proxies are there before any toolchain is.
rust_is_new_enough() {
  local version
  have cargo rustc && version=$(rustc --version 2>/dev/null | cut -d' ' -f2) &&
    version_at_least "$version" "$(rust_wanted)"
}

# pgrx formats the bindings that it makes, and fails without rustfmt.
rust_is_ready() { rust_is_new_enough && rustfmt --version >/dev/null 2>&1; }

version_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# --- The unprivileged user. Postgres refuses to run as root, and the shim has no reason to.

# AS_SERVER_USER is a prefix for commands. An array rather than a function, so that `… &` gives the
# pid of the command itself. The environment is emptied: no setting of the caller's reaches a
# server.
AS_SERVER_USER=()

use_server_user() {
  local user=${APIKEY_USER:-apikey-dev} environment=(env -i --chdir=/ "PATH=$PATH" HOME=/ LC_ALL=C)
  AS_SERVER_USER=("${environment[@]}")
  is_root || return 0
  if ! id -u "$user" >/dev/null 2>&1; then
    say "Creating the unprivileged system user $user, because Postgres does not run as root ..."
    useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$user" ||
      die "The user $user could not be created." \
        "Name an unprivileged user that exists: APIKEY_USER=NAME."
  fi
  [ "$(id -u "$user")" -ne 0 ] ||
    die "APIKEY_USER=$user is root, and Postgres does not run as root." "Name an unprivileged user: APIKEY_USER=NAME."
  AS_SERVER_USER=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups "${environment[@]}")
}

# Creates a directory that everybody can enter, and makes sure that the server's user really can.
make_reachable() {
  mkdir -p -- "$1" 2>/dev/null ||
    die "The directory $1 cannot be created." "Set APIKEY_STATE to a directory that you may write, such as /var/tmp/apikey."
  "${AS_SERVER_USER[@]}" test -x "$1" ||
    die "The user ${APIKEY_USER:-apikey-dev}, who runs Postgres here because you are root, cannot enter $1: a directory above it is closed." \
      "Set APIKEY_STATE to a directory that everybody can enter, such as /var/tmp/apikey."
}

# --- The server to build for and to run.

# Said before anything is installed for a server that cannot be had.
require_known_machine() {
  if [ "$(uname -sm)" != "Linux x86_64" ] || ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then
    die "Ready-made Postgres trees exist for Linux on x86_64 with glibc only." \
      "Install Postgres with its server headers yourself, and name it: PG_CONFIG=/path/to/pg_config."
  fi
}

# Sets and exports PG_CONFIG and PG_MAJOR: the server of PG_CONFIG=, else a fetched one of the major
# PG=.
choose_server() {
  if [ -z "${PG_CONFIG:-}" ]; then
    PG_CONFIG=$("$ROOT/scripts/postgres" "${PG:-18}")
  fi
  if [ ! -x "$PG_CONFIG" ] || [ -d "$PG_CONFIG" ]; then
    die "PG_CONFIG=$PG_CONFIG is not a program." \
      "Give the path of your server's pg_config, or leave PG_CONFIG out to have a server fetched."
  fi
  PG_CONFIG=$(realpath -s -- "$PG_CONFIG")
  PG_MAJOR=$("$PG_CONFIG" --version | sed -nE 's/^PostgreSQL ([0-9]+).*/\1/p')
  [[ $PG_MAJOR =~ ^1[4-8]$ ]] ||
    die "$PG_CONFIG is of $("$PG_CONFIG" --version), and apikey supports Postgres 14 to 18." "Name another with PG_CONFIG=."
  [ "${PG:-$PG_MAJOR}" = "$PG_MAJOR" ] ||
    die "PG=$PG and PG_CONFIG=$PG_CONFIG (Postgres $PG_MAJOR) contradict each other." "Leave one of them out."
  export PG_CONFIG PG_MAJOR
}

require_headers() {
  [ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] ||
    die "$PG_CONFIG has no server headers, and the extension is compiled against them." \
      "On Debian and Ubuntu: sudo apt-get install postgresql-server-dev-$PG_MAJOR"
}

# --- Ports on the loopback.

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that nobody listens on, from below the range that the kernel gives to outgoing connections.
free_port() {
  local port _
  for _ in {1..100}; do
    port=$((20000 + $(od -An -N4 -tu4 /dev/urandom) % 10000))
    if ! port_taken "$port"; then
      echo "$port"
      return
    fi
  done
  die "No free port was found on 127.0.0.1." "See what listens there: ss -ltn"
}

# wait_until SECONDS COMMAND…
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}
