"""The standing small duties: the clock is watched, old state is dropped, what was only measured is written."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Never

from daemon.errors import StoreError
from daemon.logs import log
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.circumstances import Circumstances
from daemon.store.store import Store

EVERY = 5.0  # seconds between two rounds: a jump of the clock is said within them
_TRIM_EVERY = 60  # rounds between two looks at the history's age and size


class Janitor:
    """Keeps memory and store in bounds."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        circumstances: Circumstances,
        store: Store,
        clock: Clock,
        flush: Callable[[], None],
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._circumstances = circumstances
        self._store = store
        self._clock = clock
        self._flush = flush
        self._rounds = 0

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings

    async def run(self) -> Never:
        """The standing task."""
        while True:
            await asyncio.sleep(EVERY)
            await self.round()

    async def round(self) -> None:
        """Do all duties once."""
        self._rounds += 1
        self._circumstances.watch_clock()
        self._say_pause(self._circumstances.watch_pause())
        self._board.forget(self._clock.stamp(), longest=self._bindings.longest_window, rules=self._bindings.rules)
        self._flush()  # what no run brought: the end of a wait
        measured = self._board.take_measured()
        if measured and self._store.is_writable:
            self._store.submit(*measured)
        if self._rounds % _TRIM_EVERY == 0 and self._store.is_writable:
            with contextlib.suppress(StoreError):  # the store has said it, and tries again; this can wait
                await self._store.trim(longest=self._bindings.longest_window)

    def _say_pause(self, why: str | None) -> None:
        was_said = self._circumstances.is_pause_said
        if why is not None and not was_said:
            log.warning("paused", f"Acting is paused: {why}.")
        elif why is None and was_said:
            log.info("resumed", "Acting is not paused any more.")
        self._circumstances.is_pause_said = why is not None
