#!/bin/sh
# install.sh install|uninstall [--keep]: heald as a service of this host, as root or with sudo.
#
# install    a virtual environment of its own under PREFIX/lib/heald, the command PREFIX/bin/heald, the unit, its user,
#            the polkit rule, and /etc/heald/rules.yaml that watches just this host in observe mode; then starts it.
#            A second install upgrades. What an operator edited is kept: the new one is laid beside it as NAME.new.
# uninstall  removes all of it, the rules and what heald remembers too; --keep leaves /etc/heald and /var/lib/heald.
#
# PREFIX is /usr/local. PYTHON names the Python to use, 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
lib=$prefix/lib/heald
share=$prefix/share/doc/heald
etc=/etc/heald
units=$prefix/lib/systemd/system
polkit=/etc/polkit-1/rules.d
seal=$lib/shipped # what was laid by the last install, to tell what an operator edited since

say() { echo "heald: $*"; }
fail() { echo "heald: $*" >&2; exit 1; }

what=${1:-}
keep=${2:-}
case "$what $keep" in
  "install " | "uninstall " | "uninstall --keep") ;;
  *) sed -n '2,10p' "$0" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then exec sudo -- env PREFIX="$prefix" ${PYTHON:+PYTHON="$PYTHON"} sh "$0" "$@"; fi
has_systemd() { [ -d /run/systemd/system ]; }

# ---- uninstall ---------------------------------------------------------------------------------------------------

uninstall() {
  if has_systemd; then
    systemctl disable --now --quiet heald.service 2>/dev/null || true
  fi
  rm -f "$units/heald.service" "$prefix/lib/sysusers.d/heald.conf" "$prefix/bin/heald" "$polkit/50-heald.rules" \
    "$polkit/50-heald.rules.new"
  rm -rf "$lib" "$share" /etc/systemd/system/heald.service.d /run/heald
  rmdir --ignore-fail-on-non-empty "$units" "$prefix/lib/sysusers.d" 2>/dev/null || true
  if [ "$keep" = --keep ]; then
    say "uninstalled; $etc and /var/lib/heald are kept, and the user they belong to"
  else
    rm -rf "$etc" /var/lib/heald
    if getent passwd heald >/dev/null; then userdel heald; fi
    if getent group heald >/dev/null; then groupdel heald; fi
    say "uninstalled; nothing of it is left"
  fi
  if has_systemd; then
    systemctl daemon-reload
    systemctl reset-failed heald.service 2>/dev/null || true
  fi
}

# ---- install -----------------------------------------------------------------------------------------------------

lay() { # SOURCE TARGET MODE: puts a file that operators edit where it is not yet, or not edited; else beside it
  mkdir -p "$seal"
  sealed=$seal/$(basename "$2")
  if [ ! -e "$2" ] || { [ -e "$sealed" ] && cmp -s "$2" "$sealed"; }; then
    install -D -m "$3" "$1" "$2"
    rm -f "$2.new"
  elif cmp -s "$1" "$2" || { [ -e "$sealed" ] && cmp -s "$1" "$sealed"; }; then
    : # edited by an operator, and nothing new to tell
  else
    install -D -m "$3" "$1" "$2.new"
    say "$2 was edited and is kept; the new one is $2.new"
  fi
  install -m 0644 "$1" "$sealed"
}

environment() { # the virtual environment, built beside the one in use and then swapped
  mkdir -p build "$lib"
  new=$lib/venv.new
  rm -rf "$new"
  say "building $lib/venv"
  # uv and the locked packages are where `make setup` put them, so that an install needs nothing that it has not.
  uv=uv
  uv --version >/dev/null 2>&1 || uv=.uv/bin/uv
  python=${PYTHON:-$(readlink -f .venv/bin/python)}
  . tests/lab/index.sh
  "$uv" build --quiet --wheel --no-build-isolation --python .venv/bin/python --out-dir build/wheel --clear . ||
    fail "the package could not be built; see above"
  "$uv" venv --quiet --relocatable --python "$python" "$new"
  "$uv" pip sync --quiet --python "$new/bin/python" --require-hashes requirements.lock
  "$uv" pip install --quiet --python "$new/bin/python" --no-deps build/wheel/heald-*.whl
  "$new/bin/python" -m compileall -q "$new/lib" >/dev/null 2>&1 || true
  "$new/bin/heald" --version >/dev/null
  rm -rf "$lib/venv.old"
  [ ! -e "$lib/venv" ] || mv "$lib/venv" "$lib/venv.old"
  mv "$new" "$lib/venv"
  rm -rf "$lib/venv.old"
}

install_all() {
  environment
  mkdir -p "$prefix/bin"
  ln -sfn "$lib/venv/bin/heald" "$prefix/bin/heald"
  install -D -m 0644 systemd/heald.sysusers "$prefix/lib/sysusers.d/heald.conf"
  systemd-sysusers "$prefix/lib/sysusers.d/heald.conf"
  mkdir -p "$units"
  sed "s#/usr/local/#$prefix/#g" systemd/heald.service >"$units/heald.service"
  chmod 0644 "$units/heald.service"
  install -d -m 0755 "$share/examples" "$share/drop-ins"
  install -m 0644 README.md CHANGELOG.md LICENSE "$share/"
  install -m 0644 rules.yaml "$share/examples/ecap.yaml"
  install -m 0644 systemd/drop-ins/*.conf "$share/drop-ins/"
  install -d -m 0750 -g heald "$etc" "$etc/rules.d"
  lay systemd/host-rules.yaml "$etc/rules.yaml" 0640
  chgrp heald "$etc"/rules.yaml*
  mkdir -p "$polkit"
  lay systemd/50-heald.rules "$polkit/50-heald.rules" 0644
  "$prefix/bin/heald" validate "$etc/rules.yaml" >/dev/null || fail "$etc/rules.yaml cannot be used; see above"
  if has_systemd; then
    systemctl daemon-reload
    systemctl enable --quiet heald.service
    systemctl restart heald.service || fail "heald does not start: journalctl -u heald"
    say "installed and running. See: heald status"
  else
    say "installed. systemd does not run here: start it with $prefix/bin/heald run"
  fi
  say "rules: $etc/rules.yaml, then: systemctl reload heald. Units that it may heal: $polkit/50-heald.rules"
}

if [ "$what" = install ]; then install_all; else uninstall; fi
