"""Tasks that end only with the daemon (law 11), and the end of those that do not."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Never


async def standing(work: Coroutine[Any, Any, Never]) -> None:
    """Do what never ends. Raises RuntimeError if it does, even cleanly: its task group then ends them all."""
    await work
    raise RuntimeError("a standing task ended")


async def drain(tasks: set[asyncio.Task[None]], *, grace: float, cancelled: float) -> None:
    """Let tasks end within `grace` seconds, then cancel them; who ends leaves the set by a callback of its own."""
    if tasks:
        await asyncio.wait(tasks, timeout=grace)
    for task in list(tasks):
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=cancelled)
