#!/bin/bash
# systemd-up.sh DIR [OPTION...]: boots a real systemd (PID 1 of a container) on a throw-away overlay of this host's root, in about a
# second, and prints the pid P of the inner systemd. DIR appears inside as /mnt. Root only. Options are systemd-nspawn's.
#
# Reach its files (units, the socket of its D-Bus) through the root of P in /proc, and run commands inside by
# nsenter -t P -a systemctl ...
#
# The inside sees the host's files copy-on-write and shares its network. The bind of / stays inside a private mount
# namespace, read-only: left on the host, an rm -rf DIR would wipe the host.
set -euo pipefail
export D=$1
shift
mkdir -p "$D/root"
for controller in unified systemd; do
  group=/sys/fs/cgroup/$controller/$(basename "$D").$$
  [ -d "/sys/fs/cgroup/$controller" ] || continue
  mkdir -p "$group"
  echo $$ >"$group/cgroup.procs"
  echo "$group" >>"$D/cgroups"
done
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 M=heald$$
setsid unshare -m --propagation private sh -c 'mount --bind / $D/root && mount -o remount,bind,ro $D/root &&
  exec systemd-nspawn -q -b -D $D/root --volatile=overlay -M $M --register=no --keep-unit --console=read-only \
    --bind=$D:/mnt "$@" -- --unit=basic.target' sh "$@" >"$D/console.log" 2>&1 </dev/null &
outer=$!
echo "$outer" >"$D/nspawn.pid"
inner=
for _ in $(seq 400); do
  inner=$(pgrep -x systemd -P "$outer" || true)
  [ -n "$inner" ] && nsenter -t "$inner" -a systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && break
  [ -e "/proc/$outer" ] || break # it could not begin; DIR/console.log says why
  sleep 0.05
done
echo "$inner" >"$D/pid"
echo "$inner"
[ -n "$inner" ]
