"""When something happened, in a way that survives restarts, reboots and clock jumps."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """One moment as every row of the store keeps it (`docs/judgement.md`, counting)."""

    wall: float  # seconds since the epoch by the wall clock, which may jump
    boot: str  # the kernel's boot id
    boottime: float  # CLOCK_BOOTTIME, seconds since that boot: the steady clock
    host: str  # the node's name
    synchronised: bool  # whether the kernel called its wall clock synchronised
