"""When checks run in a simulated world: what the scheduler is to the daemon. Times are steady seconds."""

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.model.check import Check, Run
from daemon.protocols import Clock
from daemon.runtime.timetable import next_due


@dataclass(kw_only=True, slots=True)
class Flight:
    """A run that takes time."""

    run: Run
    is_followed: bool = False  # another run is to begin as soon as it ends, since it began too early to count


class SimulatedTimetable:
    """Checks by name with the times of their runs; timers; all of one daemon's life."""

    def __init__(self, clock: Clock, checks: Mapping[str, Check]) -> None:
        self.flights: dict[str, Flight] = {}
        self._clock = clock
        self._checks = checks
        self._count = itertools.count()
        self.next_run = dict.fromkeys(checks, clock.steady())  # by check: its next regular run
        self._intervals = {name: check.every for name, check in checks.items()}
        self._ran_at: dict[str, float] = {}  # by check: when its newest run began
        self._looks: list[tuple[float, str]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def due(self, name: str, at: float | None = None) -> None:
        """Run a check at once, or also at that time."""
        heapq.heappush(self._looks, (self._clock.steady() if at is None else at, name))

    def call_at(self, when: float, callback: Callable[[], None]) -> object:
        """Call back at that time."""
        heapq.heappush(self._timers, (when, next(self._count), callback))
        return callback

    def next_time(self) -> float:
        """The next instant at which something is due; infinite if there is none."""
        time = min(self.next_run.values(), default=float("inf"))
        if self._looks and self._looks[0][0] < time:
            time = self._looks[0][0]
        if self._timers and self._timers[0][0] < time:
            time = self._timers[0][0]
        for flight in self.flights.values():
            time = min(time, flight.run.ended)
        return time

    def ring(self, steady: float) -> None:
        """Call every timer that is due."""
        while self._timers and self._timers[0][0] <= steady:
            heapq.heappop(self._timers)[2]()

    def wanted(self, steady: float) -> set[str]:
        """The checks that somebody asked to run by now, beside their regular runs."""
        names: set[str] = set()
        while self._looks and self._looks[0][0] <= steady:
            names.add(heapq.heappop(self._looks)[1])
        return names

    def begins(self, name: str, steady: float, *, is_extra: bool) -> bool:
        """Whether a run of a check begins now; what is due while one is in flight does not."""
        is_regular = self.next_run[name] <= steady
        if is_regular:
            self.next_run[name] = steady + self._intervals[name]
        flight = self.flights.get(name)
        if flight is not None:
            flight.is_followed = flight.is_followed or is_extra
            return False
        if is_regular or is_extra:
            self._ran_at[name] = steady
        return is_regular or is_extra

    def ended(self, name: str, interval: float) -> None:
        """A run ended; a new interval begins with the run that brought it."""
        if interval != self._intervals[name]:
            self._intervals[name] = interval
            self.next_run[name] = next_due(self._ran_at[name], interval, self._clock.steady())

    def replace(self, checks: Mapping[str, Check], interval: Callable[[Check], float]) -> None:
        """Go on with these checks, as the scheduler does; what keeps its name keeps its phase."""
        now, before = self._clock.steady(), self._checks
        self._checks = checks
        for gone in before.keys() - checks.keys():
            for kept in (self.flights, self._ran_at, self.next_run, self._intervals):
                kept.pop(gone, None)
        self.next_run = {name: self.next_run.get(name, now) for name in checks}
        for name, check in checks.items():
            old = before.get(name)
            if old is None or (name not in self._ran_at and old.every != check.every):
                self._intervals[name], self.next_run[name] = check.every, now
            elif name in self._ran_at and (old.every, old.retry_every) != (check.every, check.retry_every):
                self._intervals[name] = interval(check)
                self.next_run[name] = next_due(self._ran_at[name], self._intervals[name], now)
