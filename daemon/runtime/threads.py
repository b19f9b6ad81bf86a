"""Threads for what cannot be awaited: each call in one of its own, which nobody waits for when heald ends.

A thread cannot be cancelled. In asyncio's own pool of a few, calls that hang on a disk that does not answer take the
places of everything else that works in it, the metrics page and a reload among them, and keep heald from ending. Here
a hung call costs its thread, and a check whose calls pile up is told so.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from daemon.errors import CheckError

P = ParamSpec("P")
T = TypeVar("T")

_SWITCH = 0.0005  # seconds that a thread may keep the interpreter from the loop, which loses it at every socket call
MOST = 16  # calls of one check that may be under way: more than any run makes at once
caller: ContextVar[str | None] = ContextVar("caller", default=None)
"""The check that the current task runs; None: heald itself."""


def take_short_turns() -> None:
    """Have threads give the interpreter back sooner than Python's 5 ms, in all of this process."""
    sys.setswitchinterval(_SWITCH)


class Threads(ThreadPoolExecutor):
    """An executor for `loop.set_default_executor`, which takes no other kind. Nothing of the pool is used."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    def submit(self, call: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> Future[T]:
        """Call it in a thread. Raises CheckError if too many calls of the same check have not come back."""
        name = caller.get()
        if name is not None:
            with self._lock:
                if self._under_way[name] >= MOST:
                    raise CheckError(f"{MOST} calls of earlier runs have not come back from the system")
                self._under_way[name] += 1
        future: Future[T] = Future()

        def run() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    _answer(future, call, *args, **options)
            finally:
                self._came_back(name)

        try:
            threading.Thread(target=run, name=f"heald-{name or 'call'}", daemon=True).start()
        except RuntimeError as error:
            self._came_back(name)
            raise CheckError(f"this host gives heald no more threads: {error}") from error
        return future

    def _came_back(self, name: str | None) -> None:
        if name is not None:
            with self._lock:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    del self._under_way[name]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nobody waits: what still runs ends with the process."""
        Executor.shutdown(self, wait=False, cancel_futures=cancel_futures)


def _answer(future: Future[T], call: Callable[..., T], *args: Any, **options: Any) -> None:
    try:
        found = call(*args, **options)
    except BaseException as error:  # noqa: BLE001  # whatever it is belongs to who called
        future.set_exception(error)
    else:
        future.set_result(found)
