"""The daemon's own judging and healing in a world made of words: no network, no real service, no waiting.

Time goes from instant to instant. At one instant: events, then ends of effects, then timers, then runs in the order
of the file, then proposals. Runs take no time unless the world says so. The store is a real one, used in line.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from daemon.config.setup import Setup
from daemon.engine.guards import Proposal
from daemon.errors import StoreError
from daemon.metrics import Metrics
from daemon.model.check import Check, Run
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import Attempt, AttemptState, Outcome, Plan
from daemon.runtime.assembly import Assembly
from daemon.runtime.board import Board
from daemon.runtime.executor import BEGIN_WITHIN
from daemon.runtime.situation import NOTHING, Found
from daemon.store.memory import Memory, open_in_memory
from daemon.store.store import Store
from daemon.store.worker import at_once
from daemon.testing.simulated_clock import SimulatedClock
from daemon.testing.simulated_timetable import Flight, SimulatedTimetable
from daemon.testing.world import Effect, See, Slow

__all__ = ["Effect", "See", "SimulatedClock", "Simulation", "Slow"]
T = TypeVar("T")


class Simulation:
    """One world. Times are seconds since its start; `see` and `effect` say what happens in it.

    `directory` is the state directory, with the store in it; with `memory` the store is there instead, and without a
    directory nobody can pause. `board` makes the board of each daemon's life.
    """

    def __init__(
        self,
        setup: Setup,
        directory: Path | None,
        *,
        see: See,
        effect: Callable[[Attempt], Effect],
        start: datetime,
        memory: Memory | None = None,
        board: Callable[[], Board] = Board,
    ) -> None:
        self.clock = SimulatedClock(start)
        self.setup = setup
        self._zero = self.clock.steady()
        self._directory = directory
        self._memory = memory
        self._board = board
        self._see = see
        self._effect = effect
        self._events: list[tuple[float, int, Callable[[], None], bool]] = []
        self._count = itertools.count()
        self.found: Callable[[Proposal], Found] = lambda _: NOTHING  # what managers and units say before an effect
        self._runner = asyncio.Runner()  # its loop is made when first asked
        self.store: Store
        self.assembly: Assembly
        self._start(setup)

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of something that may wait for a real manager or remediation."""
        return self._runner.run(work)

    def close(self) -> None:
        """Let go of the store."""
        at_once(self.store.close() if self._memory is None else self.store.abandon())
        self._runner.close()

    # ---- what the scheduler is to the daemon --------------------------------------------------------------------

    def due(self, name: str, at: float | None = None) -> None:
        """Run a check at once, or also at that steady time."""
        self.timetable.due(name, at)

    # ---- events -------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the start, whatever the clocks say."""
        return self.clock.steady() - self._zero

    def at(self, seconds: float, event: Callable[[], None], *, is_of_host: bool = False) -> None:
        """Let something happen at that time, before everything else of that instant.

        While heald is down, what is of the host happens all the same, and all else as soon as it is up.
        """
        heapq.heappush(self._events, (seconds, next(self._count), event, is_of_host))

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
        at_once(self.store.abandon())

    def reload(self, setup: Setup) -> None:
        """Swap the configuration."""
        self.setup = setup
        self.assembly.replace(setup)
        self.timetable.replace(setup.checks, self.assembly.pipeline.interval)
        self._slow_looks[:] = [run for run in self._slow_looks if run.check in setup.checks]

    def _start(self, setup: Setup) -> None:
        missed = [it for it in sorted(self._events) if it[3] and it[0] + self._zero < self.clock.steady()]
        self._events = sorted(it for it in self._events if it not in missed)
        for _, _, event, _ in missed:
            event()
        self.timetable = SimulatedTimetable(self.clock, setup.checks)
        self._effects: list[tuple[float, int, str, Effect]] = []
        self._slow_looks: list[Run] = []  # second looks under way
        self._looking: list[tuple[float, int, Proposal]] = []  # proposals in their second look
        self.store = self._open()
        self.assembly = Assembly(
            setup,
            store=self.store,
            clock=self.clock,
            metrics=Metrics(version="simulated"),
            node="node",
            pause_file=self._directory / "pause" if self._directory else None,
            board=self._board(),
        )
        self.assembly.aftercare.timetable = self.timetable
        at_once(self.assembly.restore())

    def _open(self) -> Store:
        if self._memory is not None:
            return open_in_memory(self._memory, self.clock)
        if self._directory is None:
            raise ValueError("a simulation needs a directory or a memory for its store")
        return at_once(Store.open(self._directory, self.clock, threaded=False))

    # ---- time ---------------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let time pass until so many seconds after the start, that instant included."""
        while (instant := self._next()) <= until + self._zero:  # steady: elsewhere than there it would be rounded
            self.clock.move(max(self.clock.steady(), instant))
            self._instant()
        self.clock.move(max(self.clock.steady(), until + self._zero))

    def _next(self) -> float:
        steady = self.timetable.next_time()
        if self._effects and self._effects[0][0] < steady:
            steady = self._effects[0][0]
        for run in self._slow_looks:
            steady = min(steady, run.ended)
        if self._looking:
            steady = min(steady, self._looking[0][0])
        return min(steady, self._events[0][0] + self._zero) if self._events else steady

    def _instant(self) -> None:
        while self._events and self._events[0][0] + self._zero <= self.clock.steady():
            heapq.heappop(self._events)[2]()
        self.assembly.circumstances.watch_clock()  # the janitor's part
        self.assembly.circumstances.watch_pause()
        self.assembly.tick()
        steady = self.clock.steady()
        while self._effects and self._effects[0][0] <= steady:
            self._end(*heapq.heappop(self._effects)[2:])
        self.timetable.ring(steady)
        self._run_checks(steady)
        self.assembly.runs.flush()
        while self._looking and self._looking[0][0] <= steady:
            self._looked(heapq.heappop(self._looking)[2])
        healing = self.assembly.healing
        for proposal in [it for it in healing.drain() if healing.weigh(it)]:
            self._look_again(proposal)
            self.assembly.runs.flush()
        self._ask_people()
        self.assembly.runs.flush()

    def _run_checks(self, steady: float) -> None:
        wanted = self.timetable.wanted(steady)
        for name, check in self.setup.checks.items():
            is_followed = False
            if self.timetable.flights or self._slow_looks:
                is_followed = self._end_runs(check, steady)
            if self.timetable.begins(name, steady, is_extra=is_followed or name in wanted):
                run = self._run(check)
                if run.ended > steady:
                    self.timetable.flights[name] = Flight(run=run)
                else:
                    self._take(check, run)

    def _end_runs(self, check: Check, steady: float) -> bool:
        """End what of a check takes time and is over now; true if a run is to follow at once."""
        for run in [it for it in self._slow_looks if it.check == check.name and it.ended <= steady]:
            self._slow_looks.remove(run)
            self.assembly.runs.take(run)
        flight = self.timetable.flights.get(check.name)
        if flight is None or flight.run.ended > steady:
            return False
        del self.timetable.flights[check.name]
        self._take(check, flight.run)
        return flight.is_followed

    def _take(self, check: Check, run: Run) -> None:
        self.assembly.runs.take(run)
        self.timetable.ended(check.name, self.assembly.pipeline.interval(check))

    def _run(self, check: Check, *, is_look: bool = False) -> Run:
        seen, now, takes, is_late = self._see(check.name, is_look), self.clock.steady(), 0.0, False
        if isinstance(seen, Slow):
            takes, is_late = min(seen.takes, check.timeout), seen.takes > check.timeout
            seen = f"check type {check.type} did not end within {check.timeout:g}s" if is_late else seen.seen
        readings, error = ((), seen) if isinstance(seen, str) else (tuple(seen), None)
        return Run(
            check=check.name,
            began=now,
            ended=now + takes,
            readings=readings,
            error=error,
            timed_out=is_late,
            is_look=is_look,
            at=None if takes else self.clock.stamp(),
        )

    # ---- what the executor is to the daemon ---------------------------------------------------------------------

    def _look_again(self, proposal: Proposal) -> None:
        setup = self.setup
        services = setup.upstream.get(proposal.service or "", ())
        upstream = [check for check in setup.checks.values() if check.service in services] if services else []
        runs = [self._run(check, is_look=True) for check in [*upstream, setup.checks[proposal.check]]]
        last = max(run.ended for run in runs)
        for run in runs:
            if run.ended > self.clock.steady():
                self._slow_looks.append(run)
            else:
                self.assembly.runs.take(run)
        if last > self.clock.steady():
            heapq.heappush(self._looking, (last, next(self._count), proposal))
        else:
            self._looked(proposal)

    def _looked(self, proposal: Proposal) -> None:
        attempt = self.assembly.healing.after_look(proposal, found=self.found(proposal))
        if attempt is None:
            return
        if attempt.would:
            self.assembly.aftercare.would(attempt)
            return
        rows = [row for row in self.assembly.board.take_rows() if getattr(row, "id", None) != attempt.id]
        healing = self.assembly.healing
        try:
            hold = at_once(self.store.claim(attempt, rows, lambda counted: healing.claims.permits(proposal, counted)))
        except StoreError as error:
            hold = Hold(reason=HoldReason.STORE_UNAVAILABLE, sentence=str(error))
        if hold is not None:
            healing.claims.take_back(proposal, attempt, hold)
            self.store.submit(*rows, *self.assembly.board.take_rows())
            return
        healing.claims.committed(attempt)
        self._begin(attempt, self._effect(attempt))

    def _begin(self, attempt: Attempt, effect: Effect) -> None:
        takes, left = effect.takes, attempt.timeout - effect.begins
        if effect.begins > BEGIN_WITHIN or left <= 0:
            takes, effect = 0.0, replace(effect, state=AttemptState.LAPSED, permanent=False, then=lambda: None)
        elif takes > left:
            takes, effect = left, replace(effect, state=AttemptState.FAILED, permanent=False)
        ends = self.clock.steady() + effect.begins + takes
        heapq.heappush(self._effects, (ends, next(self._count), attempt.id, effect))

    def _ask_people(self) -> None:
        asking, self.assembly.healing.to_ask = self.assembly.healing.to_ask, {}
        for proposal in asking.values():
            summary = f"{proposal.step.remediation} {proposal.resource}"
            self.assembly.approvals.ask(proposal, Plan(summary=summary))

    def _end(self, attempt_id: str, effect: Effect) -> None:
        outcome = Outcome(summary=f"simulated: {effect.state}")
        self.assembly.aftercare.finish(attempt_id, effect.state, outcome, permanent=effect.permanent)
        effect.then()
