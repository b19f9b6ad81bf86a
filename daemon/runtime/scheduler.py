"""When runs begin: one heap for all checks and timers, one wake-up of the loop for all that is due together.

A task per check that sleeps would cost a wake-up each and fall behind first; here a turn pops what is due, and it is
carried out (`carriers`). The loop's timer calls the turns, no task awaits them, which saves a step of a task at each.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, Never

from daemon.logs import log
from daemon.model.check import Check
from daemon.protocols import Clock
from daemon.runtime.carriers import Carriers, Decisions
from daemon.runtime.timetable import TIMER, Entry, Slot, Timer, aligned, next_due, phase, why_waiting

LONGEST_SLEEP = 5.0  # seconds: a suspended host stops the loop's clock, not the steady one; and `progress` must move
_SHORTEST_SLEEP = 1e-6  # seconds: less may not move a clock's floating point at all


class Scheduler:
    """Starts every check's runs in time, each check at most once at a time.

    `start_run` does one whole run; an exception out of it is a bug of ours and ends `run`. `interval` is asked after
    each run how many seconds lie between a check's runs now. `coalesce` is the most seconds a run or a timer may be
    late to begin together with others. With `spread` the first runs lie over one interval, else they are due at once.
    They give way to `decisions`.
    `on_lag` hears how many seconds after its due time each run began, `on_skip` of every one that was due in vain.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        start_run: Callable[[Check], Coroutine[Any, Any, None]],
        interval: Callable[[Check], float],
        concurrency: int,
        coalesce: float = 0.2,
        spread: bool = True,
        decisions: Decisions | None = None,
        on_lag: Callable[[float], None],
        on_skip: Callable[[Check, str], None],
    ) -> None:
        self.progress = 0  # moves with every turn, at least once in LONGEST_SLEEP: the watchdog reads it
        self._clock = clock
        self._interval = interval
        self._coalesce = coalesce
        self._spread = spread
        self._on_skip = on_skip
        self._heap: list[Entry] = []
        self._serial = 0  # of entries: unique, so that nothing behind it is compared
        self._slots: dict[str, Slot] = {}
        self._leaving: dict[str, Slot] = {}  # removed, but their last run has not ended
        self._fresh: list[Slot] = []  # their runs came due in this turn
        self._carriers = Carriers(
            clock=clock,
            start_run=start_run,
            concurrency=concurrency,
            decisions=decisions,
            on_lag=on_lag,
            on_end=self._ended,
            on_failure=self._fail,
        )
        self._loop: asyncio.AbstractEventLoop | None = None  # None: nothing is started
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0  # steady seconds
        self._failed: asyncio.Future[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many runs have begun and not ended."""
        return self._carriers.in_flight

    def set_concurrency(self, most: int) -> None:
        """Say how many runs may be in flight; what is due beyond waits for a place."""
        self._carriers.concurrency = most

    # ---- the timetable ------------------------------------------------------------------------------------------

    def replace(self, checks: Mapping[str, Check]) -> None:
        """Go on with these checks, in this order. What keeps its name keeps its phase, and a run in flight ends."""
        now = self._clock.steady()
        former = {**self._leaving, **self._slots}
        self._slots = {}
        for order, (name, check) in enumerate(checks.items()):
            slot = former.pop(name, None) or Slot(name)
            slot.order = order
            if slot.check is not check and self._place(slot, check, now):
                self._enter(slot)
            self._slots[name] = slot
        for slot in former.values():
            slot.check = slot.wanted = slot.again = None
            slot.entry = 0
        self._leaving = {name: slot for name, slot in former.items() if slot.is_running}
        self._fresh = [slot for slot in self._fresh if slot.wanted is not None]
        self._carriers.drop_unwanted()
        self._heap = [entry for entry in self._heap if isinstance(entry[3], Timer) or entry[3].entry == entry[2]]
        heapify(self._heap)

    def _place(self, slot: Slot, check: Check, now: float) -> bool:
        """Find the next due time of a new or an edited check; false if it is the one that it had."""
        before, slot.check = slot.check, check
        if before is None or (slot.ran_for is None and before.every != check.every):
            slot.set_interval(check.every, self._coalesce)
            slot.due = now + check.every * phase(slot.name) if self._spread else now
        elif slot.ran_for is not None and (before.every, before.retry_every) != (check.every, check.retry_every):
            slot.set_interval(self._interval(check), self._coalesce)
            slot.due = next_due(slot.ran_for, slot.interval, now)
        else:
            return False
        return True

    def due(self, name: str, at: float | None = None) -> None:
        """Run a check at once or, beside its regular runs, at a time (steady seconds); unknown names are ignored.

        A run in flight is followed by another as soon as it ends, since it began too early to count.
        """
        now = self._clock.steady()
        when = now if at is None else at
        callback = partial(self._want_named, name, when)
        self._push(when if when <= now else aligned(when, self._coalesce), TIMER, Timer(callback))

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back at a time (steady seconds), before the runs of the same instant. An exception ends `run`."""
        timer = Timer(callback)
        self._push(aligned(when, self._coalesce), TIMER, timer)
        return timer

    def _enter(self, slot: Slot) -> None:
        self._push(aligned(slot.due, slot.grid), slot.order, slot)
        slot.entry = self._serial

    def _push(self, time: float, order: int, item: Timer | Slot) -> None:
        self._serial += 1
        heappush(self._heap, (time, order, self._serial, item))
        if self._alarm is not None and time < self._alarm_at:
            self._arm(self._clock.steady())

    # ---- turns --------------------------------------------------------------------------------------------------

    async def run(self) -> Never:
        """The standing task. Cancelled, nothing is started any more; runs in flight go on (`drain`)."""
        self._loop = asyncio.get_running_loop()
        failed = self._failed = self._loop.create_future()
        self._carriers.is_at_rest = False
        self._arm(self._clock.steady())
        try:
            await failed
        finally:
            self._rest()
        raise RuntimeError("the scheduler ended")  # nothing but an exception ends the wait

    def _rest(self) -> None:
        self._loop = None
        self._carriers.is_at_rest = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _arm(self, now: float) -> None:
        """Have the loop call the next turn."""
        if self._loop is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        delay = min(self._heap[0][0] - now, LONGEST_SLEEP) if self._heap else LONGEST_SLEEP
        delay = max(delay, _SHORTEST_SLEEP) if delay > 0 else 0.0
        self._alarm_at = now + delay
        self._alarm = self._loop.call_at(self._loop.time() + delay, self._turn)

    def _turn(self) -> None:
        """Start all that is due."""
        self._alarm = None
        self.progress += 1
        now = self._clock.steady()
        due: list[Entry] = []
        while self._heap and self._heap[0][0] <= now:  # what is entered from here on is for the next turn
            due.append(heappop(self._heap))
        try:
            for _, _, serial, item in due:
                if isinstance(item, Timer):
                    if not item.is_cancelled:
                        item.callback()
                elif item.entry == serial:
                    self._come_due(item, now)
            self._begin()
        except Exception as error:  # noqa: BLE001  # a bug of ours: carried to `run`, which raises it
            self._fail(error)
        else:
            self._arm(self._clock.steady())

    def _come_due(self, slot: Slot, now: float) -> None:
        """A regular run is due. However many were missed, by a stall or a suspended host, it is one."""
        due = slot.due
        slot.due = next_due(due, slot.interval, now)
        self._enter(slot)
        if slot.is_running:
            self._skip(slot, "its last run has not ended")
        elif slot.wanted is None:
            self._want(slot, due)
        elif slot.turn != self.progress:
            self._skip(slot, why_waiting(self.in_flight, self._carriers.concurrency))

    def _skip(self, slot: Slot, why: str) -> None:
        if slot.check is not None:
            self._on_skip(slot.check, why)

    def _want_named(self, name: str, due: float) -> None:
        slot = self._slots.get(name)
        if slot is None:  # a reload removed it
            return
        if slot.is_running:
            slot.again = due
        elif slot.wanted is None:
            self._want(slot, due)

    def _want(self, slot: Slot, due: float) -> None:
        slot.wanted = due
        slot.turn = self.progress
        self._fresh.append(slot)

    # ---- runs ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Have what waits begin, in order of due time and then of the file."""
        if len(self._fresh) > 1:
            self._fresh.sort(key=Slot.rank)
        self._carriers.waiting += self._fresh
        self._fresh.clear()
        self._carriers.begin()

    def _ended(self, slot: Slot, is_cancelled: bool) -> None:
        if is_cancelled and self._loop is not None:
            self._skip(slot, "its run was cancelled from inside")
        self._follow(slot)

    def _follow(self, slot: Slot) -> None:
        """See what comes after a run."""
        if slot.check is None:
            self._leaving.pop(slot.name, None)
        else:
            interval = self._interval(slot.check)
            if interval != slot.interval and slot.ran_for is not None:
                slot.set_interval(interval, self._coalesce)
                slot.due = next_due(slot.ran_for, interval, self._clock.steady())
                self._enter(slot)
            if slot.again is not None:
                self._want(slot, slot.again)
                slot.again = None
        if self._fresh:
            self._begin()
        elif self._carriers.waiting:
            self._carriers.begin()

    def _fail(self, error: Exception) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)
            self._rest()
        else:
            log.error("scheduler_failed", f"A run failed by a bug of heald: {error!r}.", exc_info=error)

    async def drain(self, grace: float) -> None:
        """Start nothing more; let runs in flight end within `grace` seconds, then cancel them."""
        self._rest()
        await self._carriers.drain(grace)
