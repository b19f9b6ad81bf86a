"""Long work in a thread that takes turns with the loop, where two that want the interpreter would wrestle for it.

Python gives the interpreter to who asks for it after a while, and the loop loses it at every call of the system: while
a thread works, each connect, send and receive costs the loop half a millisecond, and where others want the processor
much more. So the thread works only while the loop waits for it, a few milliseconds; then the loop goes on.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from daemon.config.breath import breathing

T = TypeVar("T")

TURN = 0.004  # seconds that the work may keep the loop
_ROUNDS = 3  # of the loop between two turns: who waits for a timer is woken in the third, and not two turns later
_PATIENCE = 0.02  # seconds of the loop for a turn that does not end: the work waits for a disk, and the loop goes on
_LOOK = 0.01  # seconds between two looks whether it goes on
_AT_ONCE = 100  # parts of a configuration that are freed without a break


class _Turns(Generic[T]):
    """One piece of work."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._ends = 0.0  # of the thread's turn, in seconds of the performance counter
        self._granted, self._over = threading.Semaphore(0), threading.Semaphore(0)
        self._is_alone = False  # nobody waits for it any more
        self._has_ended = False

    async def run(self) -> T:
        """Have it done in a thread."""
        working = asyncio.get_running_loop().run_in_executor(None, self._in_thread)
        try:
            while not self._has_ended:
                self._granted.release()
                is_over = self._over.acquire(timeout=_PATIENCE)
                while not is_over:
                    await asyncio.sleep(_LOOK)
                    is_over = self._over.acquire(blocking=False)
                for _ in range(_ROUNDS):
                    await asyncio.sleep(0)
            return await working
        finally:
            self._is_alone = True
            self._granted.release()
            working.cancel()  # where it was not begun

    def _in_thread(self) -> T:
        self._wait()
        try:
            with breathing(self._pause):
                return self._work()
        finally:
            self._has_ended = True
            self._over.release()

    def _pause(self) -> None:
        if time.perf_counter() >= self._ends and not self._is_alone:
            self._over.release()
            self._wait()

    def _wait(self) -> None:
        self._granted.acquire()
        self._ends = time.perf_counter() + TURN


async def in_turns(work: Callable[[], T]) -> T:
    """What `work` returns or raises; it calls `breathe` often. Cancelled, the work goes on to its end unheard."""
    return await _Turns(work).run()


async def let_go(parts: list[object]) -> None:
    """Free what is held by this list alone, some at a time: a whole configuration at once would take 20 ms and more."""
    while parts:
        del parts[-_AT_ONCE:]
        await asyncio.sleep(0)
