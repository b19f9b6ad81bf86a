#!/bin/bash
# systemd-down.sh DIR: powers off the systemd that systemd-up.sh DIR booted, and removes DIR.
set -u
D=$1
[ -d "$D" ] || exit 0
inner=$(cat "$D/pid" 2>/dev/null)
outer=$(cat "$D/nspawn.pid" 2>/dev/null)
[ -z "$inner" ] || nsenter -t "$inner" -a systemctl --no-wall -ff poweroff 2>/dev/null
for _ in $(seq 50); do [ -n "$outer" ] && [ -e "/proc/$outer" ] || break; sleep 0.1; done
# A killed nspawn, or a manager that never came up: the inner PID namespace ends with its PID 1.
for pid in $inner $outer; do
  grep -qs '^systemd' "/proc/$pid/comm" && kill -9 "$pid" && sleep 0.3
done
[ -f "$D/cgroups" ] && while read -r group; do find "$group" -depth -type d -exec rmdir {} \; ; done <"$D/cgroups"
mount | grep " $D/" || rm -rf "$D"
