"""The event loop that the daemon runs on: asyncio's own, or uvloop where the operator says so and it is installed."""

import asyncio
import importlib
import importlib.util
from collections.abc import Callable

from daemon.logs import log

_UVLOOP = "uvloop"


def loop_factory(*, uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None is asyncio's own. A library that is not there keeps nobody from being watched."""
    if not uvloop:
        return None
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(_UVLOOP).new_event_loop
    except ImportError as error:
        log.error(
            "no_uvloop",
            f"settings.uvloop is true and uvloop cannot be imported ({error}): heald runs on asyncio's own loop. "
            "The extra `fast` brings it.",
        )
        return None
    return factory


def loop_name() -> str:
    """The library whose loop is running: asyncio or uvloop."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def say_if_another(*, uvloop: bool) -> None:
    """Say that a loop is not changed by a reload, if the file that was read wants another than the one that runs."""
    if uvloop != (loop_name() == _UVLOOP) and importlib.util.find_spec(_UVLOOP) is not None:
        log.warning("needs_start", "settings.uvloop was changed; that takes effect when heald is started again.")
