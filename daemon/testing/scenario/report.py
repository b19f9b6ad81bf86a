"""What did not hold, in words: the expectation, why, and the timeline around it."""

from collections.abc import Sequence

from daemon.testing.scenario.model import Expectation
from daemon.testing.scenario.run import Failure, Result
from daemon.testing.scenario.timeline import Line

_BEFORE, _AFTER, _MOST = 4, 3, 24  # lines of the timeline around an expectation, and in all


def failed(failure: Failure, result: Result) -> list[str]:
    """What did not hold, why, and the timeline around it; each a line."""
    it = failure.expectation
    place = f"{result.scenario.file}:{it.place.line}:{it.place.column}"
    return [f"  {place}: {it.text}", f"    {failure.why}", *_around(it, result)]


def _around(it: Expectation, result: Result) -> list[str]:
    """The timeline around the time of an expectation, with a mark where that is."""
    first, last = (min(moment, result.scenario.lasts) for moment in (it.first, it.last))
    lines = result.timeline.lines()
    before = [line for line in lines if line.at < first]
    within = [line for line in lines if first <= line.at <= last]
    after = [line for line in lines if line.at > last]
    shown = [f"      {line}" for line in before[-_BEFORE:]]
    shown += _within(within)
    shown += [f"      {line}" for line in after[:_AFTER]]
    return shown or ["      nothing happened"]


def _within(lines: Sequence[Line]) -> list[str]:
    marked = [f"    > {line}" for line in lines]
    if len(marked) <= _MOST:
        return marked or ["    >             (nothing then)"]
    half = _MOST // 2
    left = f"    >             ({len(marked) - 2 * half} more lines: --show has all)"
    return [*marked[:half], left, *marked[-half:]]
