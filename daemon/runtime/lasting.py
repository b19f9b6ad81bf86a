"""What lives as long as the daemon or its configuration, and the garbage collector, which need not look through it."""

import contextlib
import gc
import time
from collections.abc import Iterator

# For gc.set_threshold; Python has 700, 10, 10. Twenty runs that wait for an answer hold 700 objects, which would be
# looked through a moment before they are gone. With 10 the middle generation would be 5 ms of work; and all of them are
# looked through five times as seldom.
_THRESHOLDS = (7_000, 2, 25)
_ALL = 2  # the generation of a collection that looks through all
_SETTLED = 10.0  # seconds after the start: many checks have run, and what is kept of each is there


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """What is made here is not looked through by the collector any more, neither meanwhile nor later.

    It would take 150 ms to find nothing in 5 000 checks, with the loop standing still. None of a configuration is in a
    circle, so that an old one is freed without the collector.
    """
    gc.collect()  # what is garbage now would never be found
    gc.disable()
    try:
        yield
        gc.freeze()  # not after an error, of which nothing lasts
    finally:
        gc.enable()


class Settling:
    """A callback of the collector: what is there once heald has settled is not looked through again.

    What is kept of 5 000 checks takes it 50 ms, every few seconds, to find next to nothing. What is looked through no
    more and comes into a circle later is never found; so this is done ever more seldom, each time after three times
    as long as before. And only right after a collection of all: what is garbage by then is gone, where a lesser one
    leaves in the oldest generation what would be kept for good. Without one nothing there costs anything.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._wait = _SETTLED

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """The collector begins or ends a collection."""
        if phase == "stop" and info["generation"] == _ALL and time.monotonic() - self._began >= self._wait:
            gc.freeze()
            self._wait = 3 * (time.monotonic() - self._began)


def settle() -> None:
    """Have it so in this process from now on, and collect more seldom."""
    gc.set_threshold(*_THRESHOLDS)
    gc.callbacks.append(Settling())
