"""Steps a coroutine inside the task that waits for it, and can walk away from one that does not want to end.

Why not a task of its own: a run of a check is a task already. A second one with its waiter and its timer makes 12 µs a
run out of 5, as much as judging it costs, and 144 000 runs a day are few. Awaiting the coroutine directly would be as
cheap, but could not be left: whoever awaits, waits until it ends. So it is stepped here as `asyncio.Task` does it, but
what it waits for stands behind a gate, which time can open too, unless it is a plain future, which ends when it is
cancelled. One that never waits needs none of this.
"""

import asyncio
import inspect
import types
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import Context
from typing import Any

from daemon.deadlines import deadline
from daemon.logs import log
from daemon.protocols import Clock

_LAST_WORD = 0.25  # seconds for one whose own time-out rings along with ours, as the loop was late
_CLOSE_TRIES = 3  # GeneratorExits: one for the coroutine, one for a clean-up of its own that waits, one to spare


class Drive:
    """One coroutine on its way: `step`, and `rest` if that did not end it.

    Within it, `asyncio.current_task()` is the caller's task, and cancelling that task cancels the coroutine.
    """

    __slots__ = (
        "_cancelling",
        "_clock",
        "_coroutine",
        "_deadlines",
        "_gate",
        "_grace",
        "_has_last_word",
        "_has_lost_patience",
        "_must_cancel",
        "_task",
        "_waits_for",
        "ended",
        "is_late",
        "is_stubborn",
        "longest_step",
        "value",
    )

    def __init__(self, coroutine: Coroutine[Any, Any, Any], clock: Clock) -> None:
        self.value: Any = None  # what it returned
        self.ended = 0.0  # end of its newest step, steady seconds
        self.longest_step = 0.0  # seconds for which nothing else could run
        self.is_late = False  # its time was over before it ended
        self.is_stubborn = False  # it ignored its cancellation, and was closed
        self._coroutine = coroutine
        self._clock = clock
        self._must_cancel = False
        self._task: asyncio.Task[Any] | None = None

    def step(self, began: float) -> bool:
        """Run it, from now (steady seconds) to where it next waits; true if it ended. Raises what it raises."""
        try:
            if self._must_cancel:
                self._must_cancel = False
                self._waits_for = self._coroutine.throw(asyncio.CancelledError())
            else:
                self._waits_for = self._coroutine.send(None)
        except StopIteration as end:
            self.value = end.value
            return True
        except GeneratorExit as error:  # from here it would look as if the calling task itself were being closed
            raise RuntimeError("it raised GeneratorExit") from error
        finally:
            self.ended = ended = self._clock.steady()
            if ended - began > self.longest_step:
                self.longest_step = ended - began
        return False

    async def rest(self, within: float, grace: float) -> None:
        """Run it to its end, at most `within` seconds; cancelled then, it may clean up for `grace` seconds.

        One that was late, whatever came of it, is `is_late` and raises nothing; not so one that is ending just then, by
        a time-out of its own, and ends at once. Otherwise it raises what the coroutine raises, and CancelledError if it
        had to be closed because it ignored that the calling task was cancelled.
        """
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._has_lost_patience = self._has_last_word = False
        self._gate: asyncio.Future[None] | None = None
        self._grace = grace
        self._deadlines = [deadline(max(0.0, within), self._expire)]
        try:
            while await self._until_ready():
                if self.step(self._clock.steady()):
                    return
            self.is_stubborn = True
            self.end()
            if self.is_cancelled:
                raise asyncio.CancelledError
        except KeyboardInterrupt:
            raise
        except BaseException:
            if not self.is_late or self.is_cancelled:
                raise
        finally:
            for each in self._deadlines:
                each.cancel()

    @property
    def is_cancelled(self) -> bool:
        """Whether the calling task was cancelled, and the coroutine did not take that back as its own time-out."""
        return self._task is not None and self._task.cancelling() > self._cancelling

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left: neither itself nor what it waited for."""
        return inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CLOSED and self._waits_for.done()

    def end(self) -> bool:
        """Close it by force; true if nothing of it is left.

        GeneratorExit passes where a cancellation is caught. What still waits in spite of it stays where it is: nobody
        steps it any more, so it does nothing.
        """
        self._waits_for.cancel()  # so that what it waits for cleans up: descriptors, timers, tasks
        for _ in range(_CLOSE_TRIES):
            try:
                self._coroutine.close()
            except BaseException as error:  # noqa: BLE001  # a plug-in's answer to GeneratorExit; `is_over` tells if it went
                log.debug("close_refused", f"A plug-in answered being closed by {type(error).__name__}.")
            else:
                break
        return self.is_over

    # ---- waiting ------------------------------------------------------------------------------------------------

    def _until_ready(self) -> Awaitable[bool]:
        """Wait until it can be stepped; false if there is no more patience with it."""
        self._gate = None
        if type(self._waits_for) is asyncio.Future and self._waits_for._asyncio_future_blocking:
            return self._until_done()
        return self._until_open()

    async def _until_open(self) -> bool:
        loop = asyncio.get_running_loop()
        self._attend(loop)
        while not self._waits_for.done():
            if self._has_lost_patience:
                return False
            self._gate = loop.create_future()
            try:
                await self._gate
            except (
                asyncio.CancelledError
            ):  # of the calling task, by anybody, a time-out of the coroutine's own included
                self._cancel()
                self._deadlines.append(deadline(self._grace, self._lose_patience))
        return True

    @types.coroutine
    def _until_done(self) -> Generator["asyncio.Future[Any]", None, bool]:
        """As `_until_ready`, for a plain future: cancelled, it is done at once, so no gate is needed."""
        if self._has_lost_patience and not self._waits_for.done():
            return False
        try:
            yield self._waits_for  # handed on to the calling task, as the coroutine gave it
        except BaseException as error:
            if not self._waits_for.done():
                raise  # of neither: the calling task is closed
            if isinstance(error, asyncio.CancelledError) and self.is_cancelled:
                self._must_cancel = True
                self._deadlines.append(deadline(self._grace, self._lose_patience))
        return not (self._has_lost_patience and self._waits_for.cancelled())

    def _attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the gate opened by what it waits for. The flag is asyncio's protocol between a future and its task."""
        if self._waits_for is None:  # a bare yield: once around the loop
            self._waits_for = loop.create_future()
            loop.call_soon(_finish, self._waits_for)
        elif getattr(self._waits_for, "_asyncio_future_blocking", False) and self._waits_for is not self._task:
            self._waits_for._asyncio_future_blocking = False
        else:
            strange, self._waits_for = self._waits_for, loop.create_future()
            self.end()
            raise RuntimeError(f"it waits for {strange!r}, which asyncio cannot wait for here")
        self._waits_for.add_done_callback(self._open)

    def _open(self, waited_for: asyncio.Future[Any]) -> None:
        if not waited_for.cancelled():
            waited_for.exception()  # seen, even if the coroutine is closed before it can be told
        _finish(self._gate)

    def _cancel(self) -> None:
        if not self._waits_for.cancel():  # it is done already, so the coroutine is told at its next step
            self._must_cancel = True

    def _expire(self) -> None:
        if self.is_cancelled and not self._has_last_word:  # it is told already, and may know what it could not see
            self._has_last_word = True
            self._deadlines.append(deadline(min(_LAST_WORD, self._grace), self._expire))
            return
        self.is_late = True
        self._cancel()
        self._deadlines.append(deadline(self._grace, self._lose_patience))

    def _lose_patience(self) -> None:
        if self.is_late or self.is_cancelled:
            self._has_lost_patience = True
            if self._gate is None:
                self._waits_for.cancel()
            _finish(self._gate)


@types.coroutine
def rest_in(context: Context, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that waits for something, to its end, each of its steps in this context."""
    while True:
        error: BaseException | None = None
        try:
            yield waits_for
        except BaseException as told:  # noqa: BLE001  # whatever it is, it is the coroutine's to take
            error = told
        try:
            waits_for = context.run(coroutine.send, None) if error is None else context.run(coroutine.throw, error)
        except StopIteration:
            return


def _finish(gate: asyncio.Future[None] | None) -> None:
    if gate is not None and not gate.done():
        gate.set_result(None)


def coroutine_of(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """What a plug-in gave us to wait for, as a coroutine."""
    if isinstance(awaitable, types.CoroutineType):
        return awaitable

    async def awaited() -> Any:
        return await awaitable

    return awaited()


async def driven(work: Awaitable[Any], clock: Clock, *, within: float, grace: float) -> Drive:
    """Run what a plug-in does for at most `within` seconds and `grace` to clean up. Raises what it raises."""
    drive, began = Drive(coroutine_of(work), clock), clock.steady()
    if not drive.step(began):
        await drive.rest(within - (drive.ended - began), grace)
    return drive
