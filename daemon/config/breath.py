"""Where reading a configuration may stop for a moment: a thread that reads it beside a loop must not keep the loop.

Whoever works for long calls `breathe` every few hundred microseconds. At start and in `heald validate` nobody has asked
for a pause, and there is none.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Own(threading.local):
    """What each thread has asked for."""

    pause: Callable[[], None] | None = None


_own = _Own()


@contextmanager
def breathing(pause: Callable[[], None]) -> Iterator[None]:
    """Have `pause` called wherever this thread may stop."""
    _own.pause = pause
    try:
        yield
    finally:
        _own.pause = None


def breathe() -> None:
    """A place to stop: nothing is half done here that somebody else could see."""
    if _own.pause is not None:
        _own.pause()
