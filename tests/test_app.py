"""The composition root, where a whole daemon cannot be brought to the moment that matters."""

import asyncio
import contextlib

from daemon.app import Daemon


async def test_a_wish_to_reload_outlives_the_building_anew_that_interrupts_it() -> None:
    daemon = Daemon.__new__(Daemon)  # of all its parts only these two are met
    daemon._reload_wanted, begun = asyncio.Event(), asyncio.Event()

    async def reload() -> list[str]:
        begun.set()
        await asyncio.Event().wait()
        return []

    daemon.reload = reload  # type: ignore[method-assign]  # the real one reads a file in a thread
    daemon._reload_wanted.set()
    for _ in range(2):  # the one that was interrupted, and the one that takes its wish up
        begun.clear()
        task = asyncio.create_task(daemon._take_reloads())
        async with asyncio.timeout(5):
            await begun.wait()
        assert not daemon._reload_wanted.is_set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert daemon._reload_wanted.is_set()
