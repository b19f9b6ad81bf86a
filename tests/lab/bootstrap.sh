#!/bin/bash
# bootstrap.sh [PACKAGE]...: installs the Debian or Ubuntu packages that the tests use, or only those that are named, as
# root or with sudo. No service is started, now or at the next boot. If all of them are there, it costs one look at the
# package database.
set -euo pipefail

packages=(
  busybox-static  # images for containers, made without a registry
  ca-certificates # TLS to a package index; tests make certificates of their own
  docker.io       # a real Docker engine
  iproute2        # `ip`: a network without a route
  iptables        # what a Docker engine needs for its networks
  libfaketime     # a wall clock that jumps
  nginx-light     # a real web server to check over HTTP
  mount           # a full disk
  postgresql      # a real database, started by the tests as another user than root
  prometheus      # promtool judges the metrics page
  polkitd         # who may have systemd act: a rule that names units
  redis-server    # a real Redis
  systemd         # systemd-analyze judges the unit file
  systemd-container # systemd-nspawn: a real systemd in a container
  util-linux      # unshare and setpriv: a network and mounts of their own, a user who may not write
)
[ $# = 0 ] || packages=("$@")

wanted=$(printf '%s\n' "${packages[@]}" | sort -u)
find_missing() { # a package that dpkg does not know prints nothing
  comm -23 <(echo "$wanted") <({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null ||
    true; } | sed -n 's/^installed //p' | sort -u)
}
if ! command -v dpkg-query >/dev/null; then
  echo "bootstrap.sh: this is no Debian or Ubuntu; install what these packages hold: ${packages[*]}" >&2
  exit 1
fi
missing=$(find_missing)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "bootstrap.sh: be root or install sudo, to install:" $missing >&2; exit 1; }
  exec sudo -- bash "$0" "$@"
fi
exec 9>/run/lock/heald-bootstrap
flock 9
missing=$(find_missing) # another bootstrap may have ended meanwhile
[ -n "$missing" ] || exit 0

log=$(mktemp)
policy=/usr/sbin/policy-rc.d # asked by every package whether it may start its service
saved=
if [ -e "$policy" ] || [ -L "$policy" ]; then
  saved=$policy.before-bootstrap
  mv -f "$policy" "$saved"
fi
restore() {
  status=$?
  if [ -n "$saved" ]; then mv -f "$saved" "$policy"; else rm -f "$policy"; fi
  if [ $status != 0 ]; then
    echo "bootstrap.sh: could not install:" $missing >&2
    tail -n 40 "$log" >&2
  fi
  rm -f "$log"
  exit $status
}
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt() {
  apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" \
    </dev/null >>"$log" 2>&1
}
units() { ls /lib/systemd/system 2>/dev/null | sort || true; }
echo "bootstrap.sh: installing" $missing >&2
units_before=$(units)
apt update
# shellcheck disable=SC2086 # a list of words
apt install $missing
command -v docker >/dev/null || apt install docker-cli # Debian 13 and newer have it apart from the engine
# Debian enables what it installs: take that back for what came with this run.
for unit in $(comm -13 <(echo "$units_before") <(units) | grep -E '\.(service|socket|timer)$'); do
  case $unit in
    *@* | systemd-* | dbus* | polkit*) ;;
    *) find /etc/systemd/system -path '*.wants/*' -type l -name "$unit" -delete ;;
  esac
done
