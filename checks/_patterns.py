"""An operator's regular expressions, searched for in what comes from outside without holding up the daemon.

Nothing interrupts Python's re, and nothing else runs meanwhile: with a pattern like `(a+)+$` a few dozen letters take
minutes, and the watchdog ends the daemon. The package regex gives up after a time and lets others run. It is imported
with the first pattern that a text could make slow, since it takes 10 MB and 80 ms; the others are left to re.
"""

import asyncio
import functools
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Any

from pydantic import AfterValidator

from daemon.plugin import CheckError

PATIENCE = 0.5  # seconds of CPU that one run may search for
_AT_ONCE = 0.005  # seconds of them on the loop, where the text is short
_SHORT = 16384  # characters; regex looks at its clock every few thousand steps, each of which may cross the whole text
_MOST_BRANCHES = 4  # marks | in a pattern without repeats: it is tried in 16 ways at most
_PLAIN = re.compile(r"(?:[^\\*+?{]|\\[^0-9])*")  # no repeat, and no reference back
_TOKEN = re.compile(
    r"(?P<kept>\\N\{[^}]*\}|\\.|\(\?#[^)]*\)|\{(?:[0-9]+,?|[0-9]*,[0-9]+)\})|(?P<any>\{,\})|(?P<set>\[\^?\]?)",
    re.DOTALL,
)
_OUTSIDE = re.compile(rf"#[^\n]*|{_TOKEN.pattern}", re.DOTALL)  # of sets, in a verbose pattern


def _checked(value: str) -> str:
    try:
        _search_for(value)
    except re.error as error:
        raise ValueError(f"this is not a regular expression: {error}") from error
    return value


Pattern = Annotated[str, AfterValidator(_checked)]
"""A regular expression of Python's re."""


class Search:
    """One run's search for a pattern, in one text or in several."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._finds = _search_for(pattern)
        self._left = PATIENCE

    def finds(self, text: str) -> bool:
        """Whether it is in this text. It may take as long as is left to the run: not for the event loop.

        Raises:
            CheckError: it took too long.
        """
        try:
            return self._within(text, self._left)
        except TimeoutError:
            raise CheckError(
                f"the regular expression was given up after {PATIENCE}s; nested repeats such as (a+)+ can take for ever"
            ) from None

    async def finds_soon(self, text: str) -> bool:
        """As `finds`, for the event loop."""
        if len(text) <= _SHORT or isinstance(self._finds, _Plain):
            try:
                return self._within(text, min(_AT_ONCE, self._left))
            except TimeoutError:
                pass
        return await _in_thread(self._pattern, functools.partial(self.finds, text))

    def _within(self, text: str, seconds: float) -> bool:
        began = time.thread_time()
        try:
            return self._finds(text, seconds)
        finally:
            self._left = max(0.001, self._left - (time.thread_time() - began))


class _Plain:
    """A search whose time no text makes long."""

    def __init__(self, compiled: re.Pattern[str]) -> None:
        self._compiled = compiled

    def __call__(self, text: str, within: float) -> bool:
        return self._compiled.search(text) is not None


@functools.lru_cache(maxsize=1024)
def _search_for(pattern: str) -> Callable[[str, float], bool]:
    """The way to search for a pattern, within so many seconds of CPU. Raises re.error; it raises TimeoutError."""
    known = re.compile(pattern)
    if _PLAIN.fullmatch(pattern) and pattern.count("|") <= _MOST_BRANCHES:
        return _Plain(known)
    import regex  # type: ignore[import-untyped]  # it has no types

    try:
        bounded: Any = regex.compile(_as_regex_reads(pattern, is_verbose=bool(known.flags & re.VERBOSE)))
    except regex.error as error:
        raise re.error(f"{error} (for the package regex)") from error
    return lambda text, within: bounded.search(text, timeout=within) is not None


def _as_regex_reads(pattern: str, *, is_verbose: bool) -> str:
    """The pattern with what means more to regex than to re escaped: braces that are no repeat, brackets in a set."""
    read: list[str] = []
    place, is_in_set = 0, False
    while place < len(pattern):
        token = (_OUTSIDE if is_verbose and not is_in_set else _TOKEN).match(pattern, place)
        text, kind = (token[0], token.lastgroup) if token is not None else (pattern[place], None)
        if is_in_set and not text.startswith("\\"):
            text = text[0]
            read.append("\\[" if text == "[" else text)
            is_in_set = text != "]"
        elif kind == "set":
            read.append(text.replace("]", "\\]"))
            is_in_set = True
        else:
            read.append("{0,}" if kind == "any" else "\\{" if text == "{" else text)
        place += len(text)
    return "".join(read)


_left_alone: set[str] = set()  # patterns that are searched for in a thread for a run that is over


async def _in_thread(pattern: str, search: Callable[[], bool]) -> bool:
    """Search in a thread of its own: searches that overrun would soon fill the pool, and its end waits for them.

    Raises:
        CheckError: it took too long, or still does in an earlier run.
    """
    if pattern in _left_alone:
        raise CheckError("the regular expression is still being searched for in an earlier run's answer")
    found: Future[bool] = Future()
    found.set_running_or_notify_cancel()  # from here on it cannot be cancelled

    def work() -> None:
        try:
            found.set_result(search())
        except BaseException as error:  # noqa: BLE001  # it belongs to the run that waits
            found.set_exception(error)
        finally:
            _left_alone.discard(pattern)

    try:
        threading.Thread(target=work, name="heald-pattern", daemon=True).start()
    except RuntimeError as error:
        raise CheckError(f"no thread to search for the regular expression in: {error}") from error
    try:
        return await asyncio.wrap_future(found)
    except asyncio.CancelledError:
        _left_alone.add(pattern)
        if found.done():  # it ended just now
            _left_alone.discard(pattern)
        raise
