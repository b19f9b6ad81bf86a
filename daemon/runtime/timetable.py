"""What the scheduler's heap holds, and the arithmetic of due times. Times are steady seconds."""

import hashlib
import math
from collections.abc import Callable

from daemon.model.check import Check

TIMER = -1  # a timer's order among what is due at one instant: before all checks, and as they were set
_LATE_SHARE = 0.2  # of its interval: the most that a run may be late for the sake of beginning with others


class Timer:
    """A call at a time, which can be called off."""

    __slots__ = ("callback", "is_cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        """Call it off; nothing happens if it was called already."""
        self.is_cancelled = True


class Slot:
    """One check's place in the timetable."""

    __slots__ = (
        "again",
        "check",
        "due",
        "entry",
        "grid",
        "interval",
        "is_running",
        "name",
        "order",
        "ran_for",
        "turn",
        "wanted",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.check: Check | None = None  # None: not placed yet, or removed
        self.order = 0  # its place in the file
        self.due = 0.0  # when its next regular run is due
        self.interval = 0.0  # seconds between regular runs, as last asked
        self.grid = 0.0  # its runs begin at multiples of this, for the sake of beginning with others; 0: when due
        self.entry = 0  # serial of its valid entry in the heap; others are void
        self.ran_for: float | None = None  # when the newest run that began was due
        self.is_running = False
        self.wanted: float | None = None  # a run is to begin as soon as it may, since it was due then
        self.turn = 0  # in which that came up
        self.again: float | None = None  # another run is to follow the one in flight, since it was due then

    def rank(self) -> tuple[float, int]:
        """Which of two runs begins first: the one due earlier, then the one that stands first in the file."""
        return (self.wanted or 0.0, self.order)

    def set_interval(self, interval: float, coalesce: float) -> None:
        """Halve the grid until a run is late by a small share of its interval at most: grids of all fit together."""
        self.interval, self.grid = interval, coalesce
        while self.grid > self.interval * _LATE_SHARE:
            self.grid /= 2


Entry = tuple[float, int, int, Timer | Slot]
"""When it is to be taken up, its order at that instant, a serial, what it is."""


def aligned(due: float, grid: float) -> float:
    """The first multiple of `grid` that is not before `due`; `due` itself if there is no grid."""
    if not grid:
        return due
    multiple = math.ceil(due / grid) * grid
    return multiple if multiple >= due else multiple + grid


def next_due(base: float, interval: float, now: float) -> float:
    """The first of base + 1, 2, 3... intervals that is still to come: no drift, and no burst after a stall."""
    due = base + interval
    if due <= now:
        due = base + interval * (math.floor((now - base) / interval) + 1)
    return due if due > now else due + interval


def phase(name: str) -> float:
    """Where in its interval a check's first run lies, 0 to 1: the same at every start, for it follows from the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2.0**64


def why_waiting(in_flight: int, most: int) -> str:
    """Why a run has not begun when its check is due again, in a sentence."""
    if in_flight >= most:
        return f"its last run has not begun: {most} are in flight, the most that may be"
    return "its last run has not begun: more is due than this host can do"
