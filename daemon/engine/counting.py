"""Counting attempts against limits, in time that no clock jump, restart or reboot can bend.

Each row keeps wall time, boot id and CLOCK_BOOTTIME. Within one boot only BOOTTIME measures, so a wall clock set
forward frees nothing and one set back blocks nothing.
"""

from collections.abc import Collection, Iterable, Sequence

from daemon.model.moment import Stamp, age
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Limit

__all__ = ["age", "counts_still", "free_in", "since_end", "steady_of", "tightest", "used"]


def steady_of(row: Stamp, now: Stamp) -> float:
    """Where `row` lies on this boot's steady axis; negative for what happened before this boot."""
    return now.boottime - age(row, now)


def since_end(attempt: Attempt, now: Stamp) -> float:
    """Seconds since an attempt's effect ended; negative while it may still run.

    A running or lost attempt counts as ending at claim + timeout: nobody knows better.
    """
    if attempt.ended is None or attempt.state in (AttemptState.RUNNING, AttemptState.LOST):
        return age(attempt.claimed, now) - attempt.timeout
    return age(attempt.ended, now)


def free_in(attempts: Collection[Attempt], limit: Limit, now: Stamp) -> float:
    """Seconds until `limit` lets one more attempt begin; 0 if it does now, infinite if it never will.

    An attempt counts from its claim until a whole window after its end, so no window of that length, wherever it
    begins, holds more than `count` effects.
    """
    if limit.count == 0:
        return float("inf")
    if len(attempts) < limit.count:  # whatever their ages
        return 0.0
    left = sorted(rest for attempt in attempts if (rest := limit.window - since_end(attempt, now)) > 0)
    return left[len(left) - limit.count] if len(left) >= limit.count else 0.0


def used(attempts: Iterable[Attempt], limit: Limit, now: Stamp) -> int:
    """How many attempts count against `limit` now."""
    return sum(1 for attempt in attempts if since_end(attempt, now) < limit.window)


def tightest(attempts: Sequence[Attempt], limits: Iterable[Limit], now: Stamp) -> tuple[Limit, float] | None:
    """The limit that holds longest, and for how many seconds; None if all let one more attempt begin."""
    held = [(limit, rest) for limit in limits if (rest := free_in(attempts, limit, now)) > 0]
    return max(held, key=lambda pair: pair[1]) if held else None


def counts_still(attempt: Attempt, longest: float, now: Stamp) -> bool:
    """Whether a limit with a window of at most `longest` seconds, or its own cooldown, could still count it."""
    if attempt.released is None or since_end(attempt, now) < longest:
        return True
    return age(attempt.released, now) < attempt.cooldown
