"""Tells systemd that heald lives, while it does: the scheduler advances and the store's thread answers."""

import asyncio
from collections.abc import Callable
from typing import Never

from daemon.errors import StoreError
from daemon.logs import log
from daemon.notify_socket import NotifySocket
from daemon.protocols import Clock
from daemon.runtime.scheduler import Scheduler
from daemon.store.store import Store

_UNASKED = 20.0  # seconds between two rounds where systemd does not wait for any: they still say the status


class Watchdog:
    """One standing task. `scheduler` gives the one that runs now; `say` tells the status once a round."""

    def __init__(
        self,
        notify: NotifySocket,
        *,
        store: Store,
        scheduler: Callable[[], Scheduler],
        clock: Clock,
        say: Callable[[], None],
    ) -> None:
        self._notify = notify
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._say = say
        self._was_answered = True

    async def run(self) -> Never:
        """Look, wait, tell. Rounds are so short that two of the slowest are no longer than systemd's patience."""
        pause = (self._notify.watchdog_interval or _UNASKED) / 2
        while True:
            scheduler = self._scheduler()
            before = scheduler.progress
            scheduler.call_at(self._clock.steady(), _turn)  # it has nothing to do for seconds, or stands still: which?
            is_answered = await self._ask_store(pause)
            await asyncio.sleep(pause)
            if is_answered and scheduler.progress != before:
                self._notify.watchdog()
            self._say()

    async def _ask_store(self, within: float) -> bool:
        """Whether the store's thread answers, be it with an error: a full disk is no reason to restart."""
        is_answered = True
        try:
            async with asyncio.timeout(within):
                await self._store.ping()
        except StoreError:
            pass  # an answer
        except TimeoutError:
            is_answered = False
        if is_answered is not self._was_answered:
            self._was_answered = is_answered
            if is_answered:
                log.info("store_answers", "The store's thread answers again.")
            else:
                log.error("store_silent", f"The store's thread has not answered for {within:g}s.")
        return is_answered


def _turn() -> None:
    """Nothing: that the scheduler came to it is what counts."""
