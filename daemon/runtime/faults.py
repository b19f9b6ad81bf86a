"""What a plug-in raised, as far as heald goes on from it: whose it is, and what to say of it."""

import asyncio
import re

from daemon.logs import masked

_UNREADABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
)  # controls; lone surrogates, which no file takes as UTF-8
_LONGEST = 500  # characters of a sentence about a run or an attempt


def is_ours(error: BaseException) -> bool:
    """Whether it is no plug-in's: somebody asked the task that we run in to end, or the person at the terminal heald.

    A plug-in may raise CancelledError, SystemExit or anything else of its own accord.
    """
    if isinstance(error, asyncio.CancelledError):
        return _is_cancelled()
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def words_of(error: BaseException) -> str:
    """Its text for people: one line, in bounds, with stars for what looks like a secret; empty if it has none."""
    return in_bounds(_text(error))


def in_bounds(text: str) -> str:
    """A plug-in's text for people: one line of bounded length, with stars for what looks like a secret."""
    text = _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(masked(text).split()))
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text


def named(error: BaseException) -> str:
    """Its type and its text, for a bug."""
    text = words_of(error)
    return f"{type(error).__name__}{': ' if text else ''}{text}"


def _is_cancelled() -> bool:
    """Whether somebody asked the task that we run in to end. Without a loop nobody can have."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001  # an exception of a plug-in that cannot even say what it is
        return f"without words, because its own text raises {type(worse).__name__}"
