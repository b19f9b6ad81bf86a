"""A coroutine that had to wait, seen to its end in bounds of time, at a third of what `asyncio.timeout` costs."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


class Rest:
    """The rest of a coroutine whose first step was taken by somebody."""

    __slots__ = ("_is_over", "_task", "_waits_for", "_working")

    def __init__(self, working: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._working = working
        self._waits_for = waits_for
        self._is_over = False

    async def within(self, seconds: float) -> None:
        """Go on to its end, as under `asyncio.timeout`. Raises TimeoutError where that did not come in time."""
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101  # runs are tasks
        asked = task.cancelling()
        timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        try:
            await self._steps()
        except asyncio.CancelledError as error:
            if self._is_over and task.uncancel() <= asked:
                raise TimeoutError from error
            raise
        except BaseException:
            if self._is_over:
                task.uncancel()
            raise
        else:
            if self._is_over:
                task.uncancel()
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._is_over = True
        self._task.cancel()

    @types.coroutine
    def _steps(self) -> Generator[Any, Any, None]:
        while True:
            try:
                told = yield self._waits_for
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the coroutine's to take
                step = partial(self._working.throw, error)
            else:
                step = partial(self._working.send, told)
            try:
                self._waits_for = step()
            except StopIteration:
                return
