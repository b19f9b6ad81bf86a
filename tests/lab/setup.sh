#!/bin/sh
# setup.sh: the locked environment in .venv, from nothing but a Python of 3.11 or newer.
# Leaves nothing outside the checkout (an apt package for pip apart, where Python came without it). Does nothing, in a
# few milliseconds and without the network, if the environment is what the lock says already.
set -eu
cd "$(dirname "$0")/../.."
checkout=$(pwd -P)
ready=.venv/.ready

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

# What the environment was made from. A checkout that was moved needs a new one: its programs name their folder.
wanted() {
  echo "$checkout ${PYTHON:-}"
  cat pyproject.toml requirements-dev.lock requirements-uv.lock tests/lab/setup.sh tests/lab/index.sh | cksum
}
is_ready() { [ -x .venv/bin/python ] && [ "$(cat "$ready" 2>/dev/null)" = "$(wanted)" ] && .venv/bin/python -c ''; }
is_ready && exit 0

mkdir -p build
exec 9>build/setup.lock
flock 9 # two makes at once: the second finds the work done
is_ready && exit 0

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=
for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if path=$(command -v "$name") && new_enough "$path"; then python=$path; break; fi
done

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi; }
apt_install() { # PACKAGE...
  command -v apt-get >/dev/null || return 1
  say "installing $* with apt-get"
  as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@"' sh "$@" </dev/null >build/apt.log 2>&1
}

if [ -z "$python" ]; then
  if ! command -v python3 >/dev/null && apt_install python3 && new_enough python3; then
    python=$(command -v python3)
  else
    found=$(python3 -V 2>/dev/null || echo "no python3")
    fail "heald needs Python 3.11 or newer and found ${PYTHON:+that PYTHON=$PYTHON is not; and }$found." \
      "Install one (Debian 12 or Ubuntu 24.04 and newer have it) or name it: make PYTHON=/path/to/python3 setup." \
      "None is downloaded: uv could, but from a place that not every network reaches."
  fi
fi

# uv: the one that is there, else one of our own in .uv, with the hashes of its lock. `--target` is allowed where the
# system's Python is externally managed (PEP 668), for it touches none of it.
uv=
if uv --version >/dev/null 2>&1; then
  uv=uv
else
  export PATH="$checkout/.uv/bin:$PATH" PYTHONPATH=
  if ! .uv/bin/uv --version >/dev/null 2>&1; then
    pip() { "$python" -m pip "$@"; }
    if ! pip --version >/dev/null 2>&1; then
      apt_install python3-pip && pip --version >/dev/null 2>&1 ||
        fail "there is neither uv nor pip for $python: install one of them and call make again." \
          "$(tail -n 3 build/apt.log 2>/dev/null)"
    fi
    say "fetching uv into .uv"
    rm -rf .uv
    PIP_ROOT_USER_ACTION=ignore pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
      --target .uv -r requirements-uv.lock ||
      fail "could not fetch uv; see above. A package index that pip can reach is needed."
  fi
  uv=.uv/bin/uv
fi
. tests/lab/index.sh

version() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null; }
usable() { # it works, its programs name this folder, and it is of the Python that was asked for, if one was
  new_enough .venv/bin/python && grep -qF "$checkout/.venv" .venv/bin/activate 2>/dev/null &&
    { [ -z "${PYTHON:-}" ] || [ "$(version .venv/bin/python)" = "$(version "$python")" ]; }
}
if ! usable; then
  rm -rf .venv
  "$uv" venv --quiet --python "$python" .venv
fi
say "bringing .venv to what requirements-dev.lock says"
rm -f "$ready"
# Compiled here, as an installation is: where PYTHONDONTWRITEBYTECODE is set, every heald that a test starts would do so.
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements-dev.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
wanted >"$ready"
