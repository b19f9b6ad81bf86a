"""What is counted: plain numbers, added to and read on the loop."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from daemon.model.check import Reading
from daemon.model.incident import Incident
from daemon.model.rule import Limit, Rule
from daemon.model.settings import Mode

# Seconds. The usual buckets of Prometheus' client libraries for a request; a run seldom may take more than 10 s.
RUN_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Seconds. From one coalesced start (200 ms) to intervals lost.
LAG_BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Seconds. From the fastest rule (1 s checks, no `for`) to an hour: what is healed later was healed by people.
INCIDENT_BOUNDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class RunResult(StrEnum):
    """How one due run of a check ended, as the label `result` says it."""

    OK = "ok"  # we could look, however sick the target is
    BLIND = "blind"  # we could not look: CheckError, a bug, rubbish
    TIMEOUT = "timeout"  # it did not end within its time-out: blind too
    SKIPPED = "skipped"  # it was due, but its last run had not ended or too many runs were in flight


class Distribution:
    """A histogram's numbers. Not thread-safe: observed and read on the loop."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds  # upper, inclusive, rising
        self.counts = [0] * (len(bounds) + 1)  # by bucket, the last is what lies above all
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as the exposition wants them."""
        rows: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip((*self.bounds, math.inf), self.counts, strict=True):
            count += more
            rows.append(("+Inf" if bound == math.inf else str(bound), count))
        return rows


class CheckMetrics:
    """The numbers of one check, bound once (`Metrics.check`)."""

    __slots__ = ("durations", "is_blind", "runs")

    def __init__(self) -> None:
        self.runs = dict.fromkeys(RunResult, 0)
        self.durations = Distribution(RUN_BOUNDS)
        self.is_blind = False

    def observe(self, result: RunResult, seconds: float) -> None:
        """Count one ended run that took `seconds`; a second look is a run too."""
        self.runs[result] += 1
        self.durations.observe(seconds)
        self.is_blind = result is not RunResult.OK

    def skipped(self) -> None:
        """Count a run that was due and did not begin."""
        self.runs[RunResult.SKIPPED] += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What lives in memory already. Each is called on the loop at every scrape: quick, and without side effects."""

    readings: Callable[[], Iterable[tuple[str, Iterable[Reading]]]]  # of each check's newest run, if it was not blind
    incidents: Callable[[], Iterable[Incident]]  # the open ones
    handed_over: Callable[[], int]  # how much people were told of that is not over
    rules: Callable[[], Iterable[Rule]]
    budgets: Callable[[], Iterable[tuple[str, Limit, int]]]  # resource ("all": the budget), limit, attempts left
    mode: Callable[[], Mode]
    is_paused: Callable[[], bool]
    is_store_writable: Callable[[], bool]
    store_writes: Callable[[], Mapping[str, int]]  # transactions by result: ok, error
