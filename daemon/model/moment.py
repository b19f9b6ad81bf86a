"""When something happened, in a way that survives restarts, reboots and clock jumps."""

from dataclasses import dataclass

from daemon.model.quick import quick


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """One moment as every row of the store keeps it (`docs/judgement.md`, counting)."""

    wall: float  # seconds since the epoch by the wall clock, which may jump
    boot: str  # the kernel's boot id
    boottime: float  # CLOCK_BOOTTIME, seconds since that boot: the steady clock
    host: str  # the node's name
    synchronised: bool  # whether the kernel called its wall clock synchronised


def age(row: Stamp, now: Stamp) -> float:
    """Seconds that have passed since `row`, never more than can be proven (`docs/judgement.md`, counting).

    Between rows of one boot only BOOTTIME measures. A row of an earlier boot of this host is as old as this boot, or
    as its wall age if that is more and the clock was right then and is now. A row of another host has its wall age, if
    both clocks were right, and 0 otherwise.
    """
    clocks_right = row.synchronised and now.synchronised
    wall_age = now.wall - row.wall
    if row.host != now.host:
        return max(0.0, wall_age) if clocks_right else 0.0
    if row.boot == now.boot:
        return now.boottime - row.boottime
    return max(now.boottime, wall_age) if clocks_right else now.boottime
