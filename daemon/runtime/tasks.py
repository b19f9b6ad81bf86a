"""Standing tasks: those that end only with the daemon (law 11)."""

from collections.abc import Coroutine
from typing import Any, Never


async def standing(work: Coroutine[Any, Any, Never]) -> None:
    """Do what never ends. Raises RuntimeError if it does, even cleanly: its task group then ends them all."""
    await work
    raise RuntimeError("a standing task ended")
