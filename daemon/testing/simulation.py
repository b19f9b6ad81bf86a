"""The daemon's own judging and healing in a world made of words: no network, no real service, no waiting.

Time goes from instant to instant. At one instant: events, then ends of effects, then timers, then runs in the order
of the file, then proposals. Runs take no time. The store is a real one, used in line.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from daemon.config.setup import Setup
from daemon.engine.guards import Proposal
from daemon.errors import StoreError
from daemon.metrics import Metrics
from daemon.model.check import Check, Reading, Run
from daemon.model.incident import Hold, HoldReason
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState, Outcome, Plan
from daemon.runtime.assembly import Assembly
from daemon.runtime.situation import NOTHING, Found
from daemon.store.store import Store

T = TypeVar("T")

See = Callable[[str, bool], Sequence[Reading] | str]
"""What a check (by name; true: a second look) sees now: its readings, or why it is blind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What an attempt does in this world."""

    takes: float = 1.0  # seconds
    state: AttemptState = AttemptState.SUCCEEDED
    permanent: bool = False
    then: Callable[[], None] = lambda: None  # called at its end, never for one that a crash killed


class SimulatedClock:
    """A clock that only the simulation moves. `wall_offset` is what the wall clock is off by, in seconds."""

    def __init__(self, start: datetime, *, boottime: float = 100_000.0) -> None:
        self._start = start.timestamp()
        self._steady = boottime
        self._first = boottime
        self.wall_offset = 0.0
        self.boot = 1
        self.synchronised = True

    def steady(self) -> float:
        """Seconds since boot."""
        return self._steady

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(self.stamp().wall, UTC)

    def stamp(self) -> Stamp:
        """This moment as rows keep it."""
        return Stamp(
            wall=self._start + self._steady - self._first + self.wall_offset,
            boot=f"boot-{self.boot}",
            boottime=self._steady,
            host="node",
            synchronised=self.synchronised,
        )

    def move(self, steady: float) -> None:
        """Go on to a later instant."""
        self._steady = steady

    def reboot(self, down: float) -> None:
        """Boot anew after `down` seconds: the steady clock starts at 0."""
        self._start += self._steady - self._first + down
        self._steady = self._first = 0.0
        self.boot += 1


class Simulation:
    """One world. Times are seconds since its start; `see` and `effect` say what happens in it."""

    def __init__(
        self, setup: Setup, directory: Path, *, see: See, effect: Callable[[Attempt], Effect], start: datetime
    ) -> None:
        self.clock = SimulatedClock(start)
        self.setup = setup
        self._due: dict[str, float]
        self._zero = self.clock.steady()
        self._directory = directory
        self._see = see
        self._effect = effect
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self.found: Callable[[Proposal], Found] = lambda _: NOTHING  # what managers and units say before an effect
        self._runner = asyncio.Runner()  # for the store's verbs, which are coroutines and wait for nothing here
        self.store: Store
        self.assembly: Assembly
        self._start(setup)

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of one of the store's verbs."""
        return self._runner.run(work)

    def close(self) -> None:
        """Let go of the store."""
        self.ask(self.store.close())
        self._runner.close()

    # ---- what the scheduler is to the daemon --------------------------------------------------------------------

    def due(self, name: str, at: float | None = None) -> None:
        """Run a check at once, or also at that steady time."""
        heapq.heappush(self._looks, (self.clock.steady() if at is None else at, name))

    def call_at(self, when: float, callback: Callable[[], None]) -> object:
        """Call back at that steady time."""
        heapq.heappush(self._timers, (when, next(self._count), callback))
        return callback

    # ---- events -------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the start, whatever the clocks say."""
        return self.clock.steady() - self._zero

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen at that time, before everything else of that instant."""
        heapq.heappush(self._events, (seconds, next(self._count), event))

    def crash(self, down: float = 0.0) -> None:
        """kill -9, and start again `down` seconds later: memory is gone, effects under way are lost."""
        self._die()
        self.clock.move(self.clock.steady() + down)
        self._start(self.setup)

    def reboot(self, down: float = 60.0, *, clock: float = 0.0, synchronised: bool = True) -> None:
        """The host goes down; its wall clock comes up so many seconds off."""
        self._die()
        elapsed = self.now + down
        self.clock.reboot(down)
        self.clock.wall_offset += clock
        self.clock.synchronised = synchronised
        self._zero = -elapsed
        self._start(self.setup)

    def _die(self) -> None:
        self.store.submit(*self.assembly.board.take_measured())  # the last batch was written just before
        self.ask(self.store.abandon())

    def reload(self, setup: Setup) -> None:
        """Swap the configuration."""
        self.setup = setup
        self.assembly.replace(setup)
        self._due = {name: self._due.get(name, self.clock.steady()) for name in setup.checks}

    def _start(self, setup: Setup) -> None:
        self._due = dict.fromkeys(setup.checks, self.clock.steady())  # by check: its next regular run, steady seconds
        self._intervals = {name: check.every for name, check in setup.checks.items()}
        self._looks: list[tuple[float, str]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._effects: list[tuple[float, int, str, Effect]] = []
        self.store = self.ask(Store.open(self._directory, self.clock, threaded=False))
        self.assembly = Assembly(
            setup,
            store=self.store,
            clock=self.clock,
            metrics=Metrics(version="simulated"),
            node="node",
            pause_file=self._directory / "pause",
        )
        self.assembly.aftercare.timetable = self
        self.ask(self.assembly.restore())

    # ---- time ---------------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let time pass until so many seconds after the start, that instant included."""
        while (instant := self._next()) is not None and instant <= until:
            self.clock.move(max(self.clock.steady(), instant + self._zero))
            self._instant()
        self.clock.move(until + self._zero)

    def _next(self) -> float | None:
        queues: list[list[Any]] = [self._looks, self._timers, self._effects]
        found = [queue[0][0] - self._zero for queue in queues if queue]
        found += [at - self._zero for at in self._due.values()]
        found += [self._events[0][0]] if self._events else []
        return min(found, default=None)

    def _instant(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()
        self.assembly.circumstances.watch_clock()  # the janitor's part
        self.assembly.circumstances.watch_pause()
        self.assembly.orders.tick()
        self.assembly.approvals.tick()
        self.assembly.storm.tick()
        steady = self.clock.steady()
        while self._effects and self._effects[0][0] <= steady:
            self._end(*heapq.heappop(self._effects)[2:])
        while self._timers and self._timers[0][0] <= steady:
            heapq.heappop(self._timers)[2]()
        self._run_checks(steady)
        self.assembly.runs.flush()
        healing = self.assembly.healing
        for proposal in [it for it in healing.drain() if healing.weigh(it)]:
            self._heal(proposal)
            self.assembly.runs.flush()
        self._ask_people()
        self.assembly.runs.flush()

    def _run_checks(self, steady: float) -> None:
        extra: set[str] = set()
        while self._looks and self._looks[0][0] <= steady:
            extra.add(heapq.heappop(self._looks)[1])
        for name, check in list(self.setup.checks.items()):
            is_regular = self._due[name] <= steady
            if is_regular or name in extra:
                self.assembly.runs.take(self._run(check))
                self._plan(check, steady, is_regular=is_regular)

    def _plan(self, check: Check, steady: float, *, is_regular: bool) -> None:
        """Find a check's next regular run as the scheduler does: a new interval begins with the run that brought it."""
        interval = self.assembly.pipeline.interval(check)
        if is_regular or interval != self._intervals.get(check.name):
            self._due[check.name] = steady + interval
        self._intervals[check.name] = interval

    def _run(self, check: Check, *, is_look: bool = False) -> Run:
        seen, now = self._see(check.name, is_look), self.clock.steady()
        readings, error = ((), seen) if isinstance(seen, str) else (tuple(seen), None)
        return Run(check=check.name, began=now, ended=now, readings=readings, error=error, is_look=is_look)

    # ---- what the executor is to the daemon ---------------------------------------------------------------------

    def _heal(self, proposal: Proposal) -> None:
        setup = self.setup
        services = setup.upstream.get(proposal.service or "", ())
        upstream = [check for check in setup.checks.values() if check.service in services]
        for check in [*upstream, setup.checks[proposal.check]]:
            self.assembly.runs.take(self._run(check, is_look=True))
        attempt = self.assembly.healing.after_look(proposal, found=self.found(proposal))
        if attempt is None:
            return
        if attempt.would:
            self.assembly.aftercare.would(attempt)
            return
        rows = [row for row in self.assembly.board.take_rows() if getattr(row, "id", None) != attempt.id]
        healing = self.assembly.healing
        try:
            hold = self.ask(self.store.claim(attempt, rows, lambda counted: healing.claims.permits(proposal, counted)))
        except StoreError as error:
            hold = Hold(reason=HoldReason.STORE_UNAVAILABLE, sentence=str(error))
        if hold is not None:
            healing.claims.take_back(proposal, attempt, hold)
            return
        effect = self._effect(attempt)
        takes = min(effect.takes, attempt.timeout)
        if effect.takes > attempt.timeout:
            effect = replace(effect, state=AttemptState.FAILED, permanent=False)
        heapq.heappush(self._effects, (self.clock.steady() + takes, next(self._count), attempt.id, effect))

    def _ask_people(self) -> None:
        asking, self.assembly.healing.to_ask = self.assembly.healing.to_ask, {}
        for proposal in asking.values():
            summary = f"{proposal.step.remediation} {proposal.resource}"
            self.assembly.approvals.ask(proposal, Plan(summary=summary))

    def _end(self, attempt_id: str, effect: Effect) -> None:
        outcome = Outcome(summary=f"simulated: {effect.state}")
        self.assembly.aftercare.finish(attempt_id, effect.state, outcome, permanent=effect.permanent)
        effect.then()
