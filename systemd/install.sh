#!/bin/sh
# install.sh install|uninstall [--keep]: heald as a service of this host, as root or with sudo.
#
# install    a virtual environment of its own under PREFIX/lib/heald, the command PREFIX/bin/heald, the unit, its user,
#            the polkit rule, and /etc/heald/rules.yaml that watches just this host in observe mode; then starts it.
#            A second install upgrades. What an operator edited is kept: the new one is laid beside it as NAME.new.
# uninstall  removes all of it, the rules and what heald remembers too. --keep leaves what belongs to the operator:
#            /etc/heald, /var/lib/heald, the polkit rule, drop-ins of the unit, and the user.
#
# PREFIX is /usr/local. PYTHON names the Python to use, 3.11 or newer; the system's own unless told.
set -eu
umask 022 # the service is another user than who installs
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
lib=$prefix/lib/heald
share=$prefix/share/doc/heald
etc=/etc/heald
units=$prefix/lib/systemd/system
drop_ins=/etc/systemd/system/heald.service.d
polkit=/etc/polkit-1/rules.d
seal=$etc/.shipped # what was laid by the last install, to tell what an operator edited since
made=$etc/.made    # folders that were not there before

say() { echo "heald: $*"; }
fail() { echo "heald: $*" >&2; exit 1; }

what=${1:-}
keep=${2:-}
case "$what $keep" in
  "install " | "uninstall " | "uninstall --keep") ;;
  *) sed -n '2,11s/^# \{0,1\}//p' systemd/install.sh >&2; exit 2 ;;
esac
if [ "$what" = install ]; then
  [ -x .venv/bin/python ] || fail "call it as: make install"
  python=.venv/bin/python
  . tests/lab/index.sh
fi
if [ "$(id -u)" != 0 ]; then
  exec sudo -- env PATH="$PATH" PREFIX="$prefix" ${PYTHON:+PYTHON="$PYTHON"} \
    ${UV_DEFAULT_INDEX:+UV_DEFAULT_INDEX="$UV_DEFAULT_INDEX"} sh systemd/install.sh "$@"
fi
has_systemd() { [ -d /run/systemd/system ]; }

# ---- uninstall ---------------------------------------------------------------------------------------------------

uninstall() {
  if has_systemd; then
    systemctl disable --now --quiet heald.service 2>/dev/null || true
  fi
  folders=$(tac "$made" 2>/dev/null || true)
  rm -f "$units/heald.service" "$prefix/lib/sysusers.d/heald.conf" "$prefix/bin/heald" "$polkit/50-heald.rules.new"
  rm -rf "$lib" "$share" /run/heald
  if [ "$keep" = --keep ]; then
    say "uninstalled; kept are $etc, /var/lib/heald, $polkit/50-heald.rules and the user heald"
  else
    rm -f "$polkit/50-heald.rules"
    rm -rf "$etc" /var/lib/heald "$drop_ins"
    if getent passwd heald >/dev/null; then userdel heald; fi
    if getent group heald >/dev/null; then groupdel heald; fi
    say "uninstalled; nothing of it is left"
  fi
  for folder in $folders; do rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true; done
  if has_systemd; then
    systemctl daemon-reload
    systemctl reset-failed heald.service 2>/dev/null || true
  fi
}

# ---- install -----------------------------------------------------------------------------------------------------

folder() { # PATH: makes it, and notes what was not there, for uninstall
  if [ -d "$1" ]; then return; fi
  folder "$(dirname "$1")"
  mkdir "$1"
  echo "$1" >>"$made"
}

placed() { # FILE: its text, with our PREFIX
  sed "s#/usr/local/#$prefix/#g" "$1"
}

lay() { # SOURCE TARGET MODE: puts a file that operators edit where it is not yet, or not edited; else beside it
  sealed=$seal/$(basename "$2")
  if [ ! -e "$2" ] || { [ -e "$sealed" ] && cmp -s "$2" "$sealed"; }; then
    install -m "$3" "$1" "$2"
    rm -f "$2.new"
  elif cmp -s "$1" "$2" || { [ -e "$sealed" ] && cmp -s "$1" "$sealed"; }; then
    : # edited by an operator, and nothing new to tell
  else
    install -m "$3" "$1" "$2.new"
    say "$2 was edited and is kept; the new one is $2.new"
  fi
  install -m 0644 "$1" "$sealed"
}

serves() { # PYTHON: whether it is new enough, and the service's user may run it, who has no way into /root
  setpriv --reuid=heald --regid=heald --clear-groups -- "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    2>/dev/null
}

find_python() {
  for found in ${PYTHON:-/usr/bin/python3 /usr/local/bin/python3 .venv/bin/python}; do
    found=$(readlink -f "$(command -v "$found")") || continue
    if serves "$found"; then echo "$found"; return; fi
  done
  fail "${PYTHON:-no Python here} is not 3.11 or newer, or the user heald may not run it; name one: PYTHON=/path/to/it"
}

environment() { # the virtual environment, built beside the one in use and then swapped
  new=$lib/venv.new
  rm -rf "$new"
  say "building $lib/venv"
  # uv and the locked packages are where `make setup` put them, so that an install needs nothing that it has not.
  uv=uv
  uv --version >/dev/null 2>&1 || uv=.uv/bin/uv
  python=$(find_python)
  "$uv" build --quiet --wheel --no-build-isolation --python .venv/bin/python --out-dir "$work" . ||
    fail "the package could not be built; see above"
  "$uv" venv --quiet --relocatable --python "$python" "$new"
  "$uv" pip sync --quiet --python "$new/bin/python" --require-hashes requirements.lock
  "$uv" pip install --quiet --python "$new/bin/python" --no-deps "$work"/heald-*.whl
  "$new/bin/python" -m compileall -q -j 0 "$new/lib" >/dev/null 2>&1 || true
  "$new/bin/heald" --version >/dev/null
  rm -rf "$lib/venv.old"
  [ ! -e "$lib/venv" ] || mv "$lib/venv" "$lib/venv.old"
  mv "$new" "$lib/venv"
  rm -rf "$lib/venv.old"
}

documents() {
  folder "$share/examples"
  folder "$share/drop-ins"
  install -m 0644 README.md CHANGELOG.md LICENSE "$share/"
  rm -rf "$share/docs"
  cp -R docs "$share/docs"
  install -m 0644 rules.yaml "$share/examples/ecap.yaml"
  install -m 0644 systemd/drop-ins/*.conf "$share/drop-ins/"
}

start() {
  systemctl daemon-reload
  systemctl enable --quiet heald.service
  if ! systemctl restart heald.service 2>/dev/null; then
    life=$(systemctl show --property InvocationID --value heald.service)
    journalctl --quiet --no-pager --output cat "_SYSTEMD_INVOCATION_ID=$life" >&2
    fail "installed, but it does not start; see above, and: systemctl status heald"
  fi
}

install_all() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  [ -d "$etc" ] || { mkdir "$etc" && echo "$etc" >"$made"; }
  folder "$seal"
  folder "$prefix/lib/sysusers.d"
  install -m 0644 systemd/heald.sysusers "$prefix/lib/sysusers.d/heald.conf"
  systemd-sysusers "$prefix/lib/sysusers.d/heald.conf"
  folder "$lib"
  environment
  folder "$prefix/bin"
  ln -sfn "$lib/venv/bin/heald" "$prefix/bin/heald"
  folder "$units"
  placed systemd/heald.service >"$units/heald.service"
  documents
  folder "$etc/rules.d"
  placed systemd/host-rules.yaml >"$work/rules.yaml"
  lay "$work/rules.yaml" "$etc/rules.yaml" 0640
  chgrp heald "$etc" "$etc/rules.d" "$etc"/rules.yaml*
  chmod 0750 "$etc" "$etc/rules.d"
  folder "$polkit"
  lay systemd/50-heald.rules "$polkit/50-heald.rules" 0644
  if has_systemd; then
    start
    say "installed and running. See: heald status"
  else
    say "installed. systemd does not run here: start it with $prefix/bin/heald run"
  fi
  say "rules: $etc/rules.yaml, then: systemctl reload heald. Units that it may heal: $polkit/50-heald.rules"
}

if [ "$what" = install ]; then install_all; else uninstall; fi
