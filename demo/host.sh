#!/bin/sh
# host.sh [ARGUMENT]...: `make demo-host`, as root or with sudo. Where this host has no Docker, it installs Debian's, and
# has no service of it started.
set -eu
cd "$(dirname "$0")/.."
say() { echo "demo-host: $*" >&2; }

packages=
command -v busybox >/dev/null || packages=busybox-static
command -v dockerd >/dev/null || packages="$packages docker.io"
# shellcheck disable=SC2086 # a list of words
[ -z "$packages" ] || tests/lab/bootstrap.sh $packages

set -- .venv/bin/python -m demo.conductor --host "$@"
[ "$(id -u)" != 0 ] || exec "$@"
say "it starts a Docker engine of its own, which only root can; nothing of it is left in the end"
command -v sudo >/dev/null || { say "be root or install sudo"; exit 1; }
exec sudo -- env PYTHONDONTWRITEBYTECODE=1 "$@" # root leaves no caches in a checkout that is not root's
