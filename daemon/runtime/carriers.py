"""Who carries runs out: one task, one run after the other, until it meets one that waits for something.

Most runs of many checks never wait, and a task for each, with its first step, its end and who is told of it, costs a
tenth of a run. A run that waits has the task that met it for itself, and another goes on with the next. A task whose
run has ended goes on with what waits, or stands by until it is called.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Protocol

from daemon.logs import log
from daemon.model.check import Check
from daemon.protocols import Clock
from daemon.runtime.drive import rest_in
from daemon.runtime.tasks import drain
from daemon.runtime.timetable import Slot

AT_ONCE = 4  # runs that begin in one step of the loop, which then sees to all else; each step costs 8 µs
CLAIM_PATIENCE = 0.02  # seconds that runs wait for a claim; more than most disks take, less than anybody misses
_MOST_IDLE = 100  # tasks that stand by: as many as runs wait for an answer at once; each has 3 KB
_CANCEL_GRACE = 2.0  # seconds cancelled runs may take to end; a plug-in that ignores it is closed before (`look`)


class Decisions(Protocol):
    """What runs that are due give way to."""

    def is_deciding(self) -> bool:
        """Whether anything is on its way to a claim."""
        ...

    @property
    def claiming(self) -> "asyncio.Future[Any] | None":
        """The newest claim, while it is being committed."""
        ...


class Carriers:
    """Runs that wait for a place and those in flight.

    While something is decided they begin one by one, and while a claim is being committed none does, for a moment: the
    thread that commits it would have to wrest the interpreter from them at each statement.
    `on_lag` hears how many seconds after its due time each run began, `on_end` of each that ended, and whether it was
    cancelled; `on_failure` of a bug of ours.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        start_run: Callable[[Check], Coroutine[Any, Any, None]],
        concurrency: int,
        decisions: Decisions | None,
        on_lag: Callable[[float], None],
        on_end: Callable[[Slot, bool], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.concurrency = concurrency  # most runs in flight
        self.in_flight = 0  # runs that have begun and not ended
        self.waiting: deque[Slot] = deque()  # their runs wait for a place
        self.is_at_rest = True  # nothing begins
        self._clock = clock
        self._start_run = start_run
        self._decisions = decisions
        self._waited_for: asyncio.Future[Any] | None = None  # the newest claim that no run began beside
        self._on_lag = on_lag
        self._on_end = on_end
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self._current: asyncio.Task[None] | None = None  # of these the one that begins more
        self._idle: list[tuple[asyncio.Task[None], asyncio.Future[None]]] = []  # those that stand by for a call

    def drop_unwanted(self) -> None:
        """Forget what waits and is not wanted any more: a reload removed it."""
        self.waiting = deque(slot for slot in self.waiting if slot.wanted is not None)

    def begin(self) -> None:
        """Have what waits begin, in order, while there are places."""
        if self._current is not None or not self._may_begin():
            return
        while self._idle:
            task, called = self._idle.pop()
            if not called.done():  # else it was cancelled
                self._current = task
                called.set_result(None)
                return
        self._current = task = asyncio.get_running_loop().create_task(self._carry(), context=Context())  # of no run
        self._tasks.add(task)
        task.add_done_callback(self._put_down)

    def _may_begin(self) -> bool:
        return bool(self.waiting) and self.in_flight < self.concurrency and not self.is_at_rest

    async def _carry(self) -> None:
        """Begin a few, and more with the loop's next step: all at once would be ready at once, and all else wait."""
        carrier = asyncio.current_task()
        try:
            while carrier is not None and not carrier.cancelling():
                while self._current is carrier and self._may_begin():
                    if (claim := self._claim()) is not None:
                        await asyncio.wait({claim}, timeout=CLAIM_PATIENCE)
                    now = self._clock.steady()
                    is_one = claim is None and self._decisions is not None and self._decisions.is_deciding()
                    for _ in range(1 if is_one else AT_ONCE):  # after a claim a few: the next may have come already
                        if not self._may_begin() or not await self._carry_out(carrier, self.waiting.popleft(), now):
                            break
                    else:
                        await asyncio.sleep(0)
                    if carrier.cancelling():
                        return
                if self.is_at_rest or len(self._idle) >= _MOST_IDLE:
                    return
                await self._stand_by(carrier)
        except Exception as error:  # noqa: BLE001  # a bug of ours
            self._on_failure(error)

    async def _stand_by(self, carrier: asyncio.Task[None]) -> None:
        """Wait for a call to begin more."""
        if self._current is carrier:
            self._current = None
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append((carrier, called))
        await called

    def _claim(self) -> "asyncio.Future[Any] | None":
        """The claim to wait for, each once and for a moment at most: a disk that is slow stops no run."""
        claim = self._decisions.claiming if self._decisions else None
        if claim is None or claim is self._waited_for:
            return None
        self._waited_for = claim
        return claim

    async def _carry_out(self, carrier: asyncio.Task[None], slot: Slot, now: float) -> bool:
        """One run; true if it never waited, and did not cancel its task, so that the next can follow at once."""
        if slot.check is None or slot.wanted is None:
            return True
        is_through = is_cancelled = False
        slot.ran_for, slot.wanted = slot.wanted, None
        slot.is_running = True
        self.in_flight += 1
        self._on_lag(now - slot.ran_for)
        run, context = self._start_run(slot.check), copy_context()  # what a run sets in its context is its own
        try:
            waits_for = context.run(run.send, None)
            self._current = None
            self.begin()
            await rest_in(context, run, waits_for)
        except StopIteration:  # it never had to wait
            is_cancelled = carrier.cancelling() > 0
            is_through = not is_cancelled
        except asyncio.CancelledError:
            is_cancelled = True
        finally:
            self.in_flight -= 1
            slot.is_running = False
        if self._current is None and not carrier.cancelling():
            self._current = carrier  # it goes on with what waits
        self._on_end(slot, is_cancelled)
        return is_through

    def _put_down(self, task: asyncio.Task[None]) -> None:
        """A task has ended."""
        self._tasks.discard(task)
        if self._current is task:
            self._current = None
            self.begin()

    async def drain(self, grace: float) -> None:
        """Begin nothing more; let runs in flight end within `grace` seconds, then cancel them."""
        self.is_at_rest = True
        for task, _ in self._idle:
            task.cancel()
        await drain(self._tasks, grace=grace, cancelled=_CANCEL_GRACE)
        if self._tasks:
            log.error("runs_left", f"{len(self._tasks)} runs ignore their cancellation and are left behind.")
