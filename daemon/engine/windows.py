"""Functions over what was seen before: `avg min max sum delta rate trend time_until`.

A window of length w is (now - w, now], and never reaches behind `View.floor`.
"""

import operator
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

from daemon.engine.expression import Node, Why
from daemon.engine.references import Reference
from daemon.engine.values import LARGEST, Value
from daemon.engine.view import View
from daemon.model.check import Dimension
from daemon.model.units import format_duration


class Points(NamedTuple):
    """The known samples in a window, oldest first."""

    times: Sequence[float]  # steady seconds
    values: Sequence[float]

    @property
    def span(self) -> float:
        """Seconds from the oldest to the newest."""
        return self.times[-1] - self.times[0]


_NONE = Points(array("d"), array("d"))


def mean(points: Points) -> float | None:
    """The arithmetic mean."""
    return sum(points.values) / len(points.values)


def lowest(points: Points) -> float | None:
    """The least value."""
    return min(points.values)


def highest(points: Points) -> float | None:
    """The greatest value."""
    return max(points.values)


def total(points: Points) -> float | None:
    """The sum."""
    return sum(points.values)


def difference(points: Points) -> float | None:
    """Newest minus oldest."""
    return points.values[-1] - points.values[0]


def increase_rate(points: Points) -> float | None:
    """Increase per second. A decrease is a counter that started again at 0, so its new value is all new."""
    if not points.span:
        return None
    pairs = zip(points.values, points.values[1:], strict=False)
    return sum(after - before if after >= before else after for before, after in pairs) / points.span


class Line(NamedTuple):
    """A straight line: through (time, value) with a slope per second."""

    time: float
    value: float
    slope: float


def least_squares(points: Points) -> Line | None:
    """The line with the least sum of squared distances; None if all points are at one instant.

    Times and values are taken relative to their means first, as sums of squared boot times would lose the digits
    that matter.
    """
    count = len(points.times)
    time, value = sum(points.times) / count, sum(points.values) / count
    times = [at - time for at in points.times]
    spread = sum(map(operator.mul, times, times))
    if not spread:
        return None
    slope = sum(map(operator.mul, times, [number - value for number in points.values])) / spread
    return Line(time, value, slope)


def slope(points: Points) -> float | None:
    """Least-squares slope per second."""
    line = least_squares(points)
    return line.slope if line else None


def reaches(points: Points, target: float, now: float) -> float | None:
    """Seconds from now until the trend reaches the target; None if it never does.

    0 if the newest value is at the target, or past it in the trend's direction: it went by the target within the
    window. A value that was beyond the target all the time and goes on from there moves away from it.
    """
    newest = points.values[-1]
    if newest == target:
        return 0.0
    line = least_squares(points)
    if line is None or not line.slope:
        return None
    is_rising = line.slope > 0
    if (newest > target) is is_rising:
        nearest = min(points.values) if is_rising else max(points.values)
        has_passed = nearest <= target if is_rising else nearest >= target
        return 0.0 if has_passed else None
    return max(0.0, line.time + (target - line.value) / line.slope - now)


class Aggregate(NamedTuple):
    """What a window function computes, and from how much."""

    compute: Callable[[Points], float | None]
    fewest: int = 1  # known samples it needs
    needs_span: bool = False  # whether they must span half of the window
    is_per_second: bool = False  # whether its value is a change per second


AGGREGATES = {
    "avg": Aggregate(mean),
    "min": Aggregate(lowest),
    "max": Aggregate(highest),
    "sum": Aggregate(total),
    "delta": Aggregate(difference, 2, needs_span=True),
    "rate": Aggregate(increase_rate, 2, needs_span=True, is_per_second=True),
    "trend": Aggregate(slope, 3, needs_span=True, is_per_second=True),
}
_TREND = AGGREGATES["trend"]


class Window(Node):
    """A sample over the last `length` seconds."""

    def __init__(
        self,
        text: str,
        start: int,
        end: int,
        reference: Reference,
        length: float,
        aggregate: Aggregate,
        unit: Dimension,
    ) -> None:
        super().__init__(text, start, end, unit, self.compute)
        self.adopt([reference])
        self.reference = reference
        self.length = length
        self._aggregate = aggregate

    @property
    def fewest(self) -> int:
        """How many known samples it needs."""
        return self._aggregate.fewest

    def compute(self, view: View) -> Value:
        """The value, or None if the window holds too little."""
        points = self.points(view)
        if len(points.times) < self._aggregate.fewest or self._is_short(points, view):
            return None
        return finite(self._aggregate.compute(points))

    def points(self, view: View) -> Points:
        """The known samples in the window."""
        series = self.reference.series(view)
        return Points(*series.between(max(view.now - self.length, view.floor), view.now)) if series else _NONE

    def _is_short(self, points: Points, view: View) -> bool:
        return self._aggregate.needs_span and not view.lenient and points.span < self.length / 2

    def whys(self, view: View) -> list[Why]:
        """Why the window holds too little."""
        observed = self.reference.observed(view)
        if isinstance(observed, str):
            return [(self.text, observed)]
        points = self.points(view)
        found, fewest = len(points.times), self._aggregate.fewest
        where = f"in the last {format_duration(self.length)}"
        if view.floor > view.now - self.length:
            where += " since the attempt settled"
        if found < fewest:
            needed = f"known sample{'s' if found != 1 else ''} {where}, and it needs {fewest}"
            return [(self.text, f"there {'is' if found == 1 else 'are'} {found or 'no'} {needed}")]
        if self._is_short(points, view):
            half = format_duration(self.length / 2)
            return [(self.text, f"the samples {where} span {format_duration(points.span)}, and it needs {half}")]
        return [(self.text, self.why_none(points, view))]

    def why_none(self, points: Points, view: View) -> str:
        """Why enough samples have no result."""
        return "the result is no finite number" if points.span else "all its samples are of one instant"


class TimeUntil(Window):
    """Seconds until a sample's trend reaches a target."""

    def __init__(self, text: str, start: int, end: int, reference: Reference, target: Node, length: float) -> None:
        super().__init__(text, start, end, reference, length, _TREND, Dimension.SECONDS)
        self.adopt([reference, target])
        self._target = target

    def compute(self, view: View) -> Value:
        """Seconds, or None if the window holds too little or the trend moves away."""
        points, target = self.points(view), self._target.value(view)
        if target is None or len(points.times) < _TREND.fewest or self._is_short(points, view):
            return None
        return finite(reaches(points, float(target), view.now))

    def whys(self, view: View) -> list[Why]:
        """What is missing of the target, or else why there is no trend towards it."""
        if self._target.value(view) is None:
            return self._target.whys(view)
        return super().whys(view)

    def why_none(self, points: Points, view: View) -> str:
        """Why the trend reaches no target."""
        if slope(points):
            return f"the trend moves away from {self._target.text}"
        return f"there is no trend, so it never reaches {self._target.text}"


def finite(number: float | None) -> float | None:
    """None in place of what is no finite number."""
    return number if number is not None and -LARGEST <= number <= LARGEST else None
