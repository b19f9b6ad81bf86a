"""How long heald's loop stood still, from the ticks that were noted inside (`inside.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.peers.heald import Noted
from bench.peers.report import percentile


@dataclass(frozen=True, kw_only=True, slots=True)
class Stalls:
    """Seconds, over all ticks of one stretch."""

    longest: float  # as a clock on the wall sees it, with what the host took for others
    longest_own: float  # no more of it than heald had CPU in: what it did to itself
    late_99: float  # of a hundred ticks, 99 were not later


def stalls(noted: Noted, *stretches: tuple[float, float]) -> Stalls:
    """Of these stretches of CLOCK_MONOTONIC."""
    ticks: Sequence[tuple[float, float, float]] = [
        tick for began, ended in stretches for tick in noted.between(began, ended)
    ]
    if not ticks:
        raise ValueError("the loop did not tick once: what was measured is not known")
    return Stalls(
        longest=max(late for _, late, _ in ticks),
        longest_own=max(min(late, cpu) for _, late, cpu in ticks),
        late_99=percentile((late for _, late, _ in ticks), 0.99),
    )
