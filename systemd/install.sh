#!/bin/sh
# install.sh install|uninstall [--keep]: heald as a service of this host, as root or with sudo.
#
# install    a virtual environment of its own under PREFIX/lib/heald, the command PREFIX/bin/heald, the unit, its user,
#            the polkit rule, and /etc/heald/rules.yaml that watches just this host in observe mode; then starts it.
#            A second install upgrades. What an operator edited is kept: the new one is laid beside it as NAME.new.
#            A service that was disabled stays so. What fails leaves things as they were.
# uninstall  removes all of it, the rules and what heald remembers too. --keep leaves what belongs to the operator:
#            /etc/heald, /var/lib/heald, the polkit rule, drop-ins of the unit, and the user.
#
# PREFIX is /usr/local, or where heald is installed. PYTHON names the Python to use, 3.11 or newer; the system's own
# unless told.
set -eu
umask 022 # the service is another user than who installs
cd "$(dirname "$0")/.."
etc=/etc/heald
drop_ins=/etc/systemd/system/heald.service.d
polkit=/etc/polkit-1/rules.d
seal=$etc/.shipped # what was laid by the last install, to tell what an operator edited since
made=$etc/.made    # folders that were not there before
user=$etc/.user    # is there if the user heald was not there before
where=$etc/.prefix # where the last install put the program

say() { echo "heald: $*"; }
fail() { echo "heald: $*" >&2; exit 1; }

what=${1:-}
keep=${2:-}
case "$what $keep" in
  "install " | "uninstall " | "uninstall --keep") ;;
  *) sed -n '2,13s/^# \{0,1\}//p' systemd/install.sh >&2; exit 2 ;;
esac
if [ "$what" = install ]; then
  [ -x .venv/bin/python ] || fail "call it as: make install"
  python=.venv/bin/python
  . tests/lab/index.sh
fi
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || fail "be root or install sudo"
  exec sudo -- env PATH="$PATH" ${PREFIX:+PREFIX="$PREFIX"} ${PYTHON:+PYTHON="$PYTHON"} \
    ${UV_DEFAULT_INDEX:+UV_DEFAULT_INDEX="$UV_DEFAULT_INDEX"} sh systemd/install.sh "$@"
fi

asked=${PREFIX:-}
asked=${asked%/}
prefix=$(cat "$where" 2>/dev/null || true)
prefix=${prefix:-${asked:-/usr/local}}
[ "${asked:-$prefix}" = "$prefix" ] ||
  fail "it is installed under $prefix; to have it under $asked, call make uninstall ARGS=--keep first"
case $prefix in
  *[!A-Za-z0-9/._-]* | */ | [!/]*) fail "PREFIX has to be an absolute path of letters, digits and ._-, not $prefix" ;;
esac
lib=$prefix/lib/heald
share=$prefix/share/doc/heald
case $prefix in
  /usr | /usr/local) units=$prefix/lib/systemd/system ;;
  *) units=/etc/systemd/system ;; # systemd looks nowhere else (systemd.unit(5))
esac
has_systemd() { [ -d /run/systemd/system ]; }

# ---- uninstall ---------------------------------------------------------------------------------------------------

of_the_user() { # processes of the user heald, who cannot be removed while there are any
  if getent passwd heald >/dev/null; then
    find /proc -maxdepth 1 -user heald -name '[0-9]*' -printf '%f ' 2>/dev/null || true
  fi
}

is_packaged() { # FOLDER: whether it is a package's by now; polkit's is, where polkit came after heald
  dpkg -S "$1" >/dev/null 2>&1 || rpm -qf "$1" >/dev/null 2>&1
}

uninstall() {
  if has_systemd; then
    systemctl disable --now --quiet heald.service 2>/dev/null || true
    systemctl stop heald.service 2>/dev/null || true # one that is masked cannot be disabled
    [ "$keep" = --keep ] || systemctl unmask --quiet heald.service 2>/dev/null || true
  fi
  [ "$keep" = --keep ] || [ -z "$(of_the_user)" ] ||
    fail "stopped, but not uninstalled: the user heald has processes that have to end first: $(of_the_user)"
  folders=$(tac "$made" 2>/dev/null || true)
  rm -f "$units/heald.service" "$prefix/lib/sysusers.d/heald.conf" "$prefix/bin/heald" "$where"
  rm -f "$polkit/50-heald.rules.new"
  rm -rf "$lib" "$share" /run/heald
  if [ "$keep" = --keep ]; then
    say "uninstalled; kept are $etc, /var/lib/heald, $polkit/50-heald.rules and the user heald"
  else
    rm -f "$polkit/50-heald.rules"
    if [ -e "$user" ]; then
      if getent passwd heald >/dev/null; then userdel heald; fi
      if getent group heald >/dev/null; then groupdel heald; fi
    fi
    rm -rf "$etc" /var/lib/heald "$drop_ins"
    if getent passwd heald >/dev/null; then
      say "uninstalled; left is the user heald, who was there before"
    else
      say "uninstalled; nothing of it is left"
    fi
  fi
  for folder in $folders; do
    is_packaged "$folder" || rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true
  done
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
  setpriv --reuid=heald --regid=heald --clear-groups -- "$new/bin/heald" --version >/dev/null ||
    fail "the user heald cannot run what is in $lib"
  still_reads
  rm -rf "$lib/venv.old"
  [ ! -e "$lib/venv" ] || mv "$lib/venv" "$lib/venv.old"
  mv "$new" "$lib/venv"
  rm -rf "$lib/venv.old"
}

is_edited() { # SEALED FILE: by an operator, since the last install laid it
  [ -e "$2" ] && ! cmp -s "$1" "$2"
}

still_reads() { # fails if the version in use takes the rules, and the new one would not take those that will be there
  if [ -z "$upgrades" ] || ! validated "$lib/venv/bin/heald" "$etc/rules.yaml" >/dev/null; then return; fi
  cp -R "$etc" "$work/etc"
  is_edited "$seal/rules.yaml" "$etc/rules.yaml" || placed systemd/host-rules.yaml >"$work/etc/rules.yaml"
  said=$(validated "$new/bin/heald" "$work/etc/rules.yaml") && return
  echo "$said" | sed "s#$work/etc#$etc#g" >&2
  fail "the new version does not take $etc/rules.yaml, which the one in use does"
}

validated() { # HEALD FILE: by this version, with the variables of the service that runs, which its rules may name
  pid=0
  if has_systemd; then pid=$(systemctl show --property MainPID --value heald.service); fi
  "$new/bin/python" -I -c '
import os, sys
pid, command = sys.argv[1], sys.argv[2:]
text = open(f"/proc/{pid}/environ", "rb").read() if pid != "0" else b""
theirs = dict(entry.split(b"=", 1) for entry in text.split(b"\0") if b"=" in entry)
os.execve(command[0], command, {**os.environb, **theirs})
' "$pid" "$1" validate "$2" 2>&1
}

documents() {
  folder "$share/examples"
  folder "$share/drop-ins"
  install -m 0644 README.md CHANGELOG.md LICENSE "$share/"
  rm -rf "$share/docs"
  cp -R docs "$share/docs"
  chmod -R a+rX "$share/docs" # whatever umask the checkout was made with
  sed "s#schema=docs/#schema=$share/docs/#" rules.yaml >"$share/examples/ecap.yaml"
  install -m 0644 systemd/drop-ins/*.conf "$share/drop-ins/"
}

start() {
  systemctl daemon-reload
  if [ -n "$upgrades" ] && ! systemctl is-enabled --quiet heald.service 2>/dev/null; then
    systemctl try-restart heald.service 2>/dev/null || true
    say "upgraded; heald.service is $(systemctl is-enabled heald.service || true), and was left so"
    return
  fi
  systemctl enable --quiet heald.service
  if ! systemctl restart heald.service 2>/dev/null; then
    life=$(systemctl show --property InvocationID --value heald.service)
    journalctl --quiet --no-pager --output cat "_SYSTEMD_INVOCATION_ID=$life" >&2
    fail "installed, but it does not start; see above, and: systemctl status heald"
  fi
  shown=heald
  [ "$(command -v heald)" = "$prefix/bin/heald" ] || shown=$prefix/bin/heald
  say "installed and running. See: $shown status"
}

ended() { # STATUS: what to do about an install that did not come to its end
  rm -rf "$work" "$lib/venv.new"
  if [ "$1" = 0 ] || [ -n "$laid" ]; then return; fi
  if [ -n "$upgrades" ]; then
    [ -e "$lib/venv" ] || mv "$lib/venv.old" "$lib/venv"
    fail "not upgraded; see above"
  elif (keep=$kept && uninstall >/dev/null 2>&1); then
    fail "not installed, and what was laid is removed again; see above"
  fi
  fail "not installed; see above, and remove what was laid with: make uninstall"
}

install_all() {
  upgrades= laid= kept=
  [ ! -e "$lib/venv" ] || upgrades=yes
  # Rules and memory that were there before are not this install's to remove.
  if [ -e "$etc" ] || [ -e /var/lib/heald ]; then kept=--keep; fi
  work=$(mktemp -d)
  trap 'ended $?' EXIT
  trap 'exit 130' INT TERM HUP
  [ -d "$etc" ] || { mkdir "$etc" && echo "$etc" >"$made"; }
  folder "$seal"
  getent passwd heald >/dev/null || : >"$user"
  folder "$prefix/lib/sysusers.d"
  echo "$prefix" >"$where"
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
  laid=yes
  if has_systemd; then
    start
  else
    say "installed. systemd does not run here: start it with $prefix/bin/heald run"
  fi
  say "rules: $etc/rules.yaml, then: systemctl reload heald. Units that it may heal: $polkit/50-heald.rules"
}

if [ "$what" = install ]; then install_all; else uninstall; fi
