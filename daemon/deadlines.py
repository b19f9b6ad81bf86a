"""Deadlines of runs that wait: hardly any is ever met, since what a run waits for comes long before.

A timer of asyncio's takes longer to set and to call off than most answers take to read: it has a context, its place is
in a heap that compares in Python, and once called off it lies there until it is due. Here one timer stands for all of a
loop's deadlines, and one that is called off costs nothing more.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from math import inf
from types import TracebackType

_SWEPT_FROM = 200  # entries; fewer are not worth a look for those that are void


class Deadline:
    """A call at a time, which can be called off."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call  # None: it was made, or called off

    def cancel(self) -> None:
        """Call it off; nothing happens if it was made already."""
        self.call = None


class _Deadlines:
    """The deadlines of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._heap: list[tuple[float, int, Deadline]] = []  # the loop's time, a serial as tie-break
        self._serial = 0
        self._sweep_at = _SWEPT_FROM  # entries at which void ones are taken out
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf

    def add(self, seconds: float, call: Callable[[], None]) -> Deadline:
        """As `deadline`."""
        at = self.loop.time() + seconds
        deadline = Deadline(call)
        self._serial = serial = self._serial + 1
        heappush(self._heap, (at, serial, deadline))
        if at < self._alarm_at:
            self._arm(at)
        if serial >= self._sweep_at:
            self._sweep()
        return deadline

    def _arm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self.loop.call_at(at, self._ring, context=Context())  # that of no run

    def _ring(self) -> None:
        """Make the calls that are due. The alarm may have been set for one that is void by now.

        What one of them asks for waits for a turn of the loop, however soon it is due.
        """
        due, self._alarm_at, self._alarm = max(self._alarm_at, self.loop.time()), inf, None
        heap, newest = self._heap, self._serial
        try:
            while heap and (heap[0][2].call is None or (heap[0][0] <= due and heap[0][1] <= newest)):
                ended = heappop(heap)[2]
                call, ended.call = ended.call, None
                if call is not None:
                    call()
        finally:  # should one raise, the loop says so, and the others are made at once
            if heap and heap[0][0] < self._alarm_at:
                self._arm(heap[0][0])

    def _sweep(self) -> None:
        self._heap[:] = [entry for entry in self._heap if entry[2].call is not None]
        heapify(self._heap)
        self._sweep_at = self._serial + max(_SWEPT_FROM, len(self._heap))


_newest: list[_Deadlines] = []  # one at most: that of the loop that asked last, which in the daemon is the only one


def deadline(seconds: float, call: Callable[[], None]) -> Deadline:
    """Have this called in so many seconds of the running loop's time, unless it is called off."""
    loop = asyncio.get_running_loop()
    deadlines = _newest[0] if _newest else None
    if deadlines is None or deadlines.loop is not loop:
        deadlines = _Deadlines(loop)
        _newest[:] = [deadlines]  # another loop's go on: that loop's alarm holds them
    return deadlines.add(seconds, call)


class Within:
    """A block that may take so many seconds: then its task is cancelled, and TimeoutError raised.

    As `asyncio.timeout`, at a third of its cost.
    """

    __slots__ = ("_cancelling", "_deadline", "_is_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be given so many seconds")
        self._task = task
        self._cancelling = task.cancelling()
        self._is_over = False
        self._deadline = deadline(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        # Cancelled by others too, as it ends or before, it stays cancelled.
        if self._is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._is_over = True
        self._task.cancel()
