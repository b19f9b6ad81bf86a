"""The functions of conditions: which there are, what they take, and what they become."""

from collections.abc import Sequence

from daemon.engine.condition_error import ConditionError, did_you_mean
from daemon.engine.count import Age, CountOf, Has, Unchanged
from daemon.engine.dimensions import require_boolean, require_equal, require_number
from daemon.engine.expression import Arithmetic, Literal, Node
from daemon.engine.references import Reference
from daemon.engine.values import PER_SECOND, is_per_second, named
from daemon.engine.windows import AGGREGATES, TimeUntil, Window
from daemon.model.check import Dimension

EXAMPLES = {
    "has": "has(x)",
    **{name: f"{name}(x, 5m)" for name in AGGREGATES},
    "time_until": "time_until(x, 100%, 6h)",
    "unchanged": "unchanged(x)",
    "age": "age()",
    "count_of": "count_of(up == 0, 3, 5)",
    "percent": "percent(a, b)",
}
_TAKES = {
    "has": 1,
    **dict.fromkeys(AGGREGATES, 2),
    "time_until": 3,
    "unchanged": 1,
    "age": 0,
    "count_of": 3,
    "percent": 2,
}
MOST_RUNS = 1000
"""The most runs that a count_of looks back on: its ring is kept in the store."""


class Call:
    """One call in a condition's text."""

    def __init__(self, text: str, name: str, place: tuple[int, int], arguments: Sequence[Node]) -> None:
        self._text = text
        self._name = name
        self._place = place
        self._arguments = arguments

    def build(self) -> Node:
        """What it becomes. Raises ConditionError."""
        name, found = self._name, len(self._arguments)
        if name not in _TAKES:
            hint = did_you_mean(name, _TAKES) or f"functions are {', '.join(_TAKES)}"
            raise self._error(f"there is no function {name}", None, hint)
        if found != _TAKES[name]:
            takes = f"{_TAKES[name] or 'no'} argument{'s' if _TAKES[name] != 1 else ''}"
            raise self._error(f"{name} takes {takes}, and here are {found}", None, f"write {EXAMPLES[name]}")
        if name in AGGREGATES:
            return self._window()
        make = {
            "has": lambda: Has(self._text, *self._place, self._sample()),
            "unchanged": lambda: Unchanged(self._text, *self._place, self._sample()),
            "age": lambda: Age(self._text, *self._place),
            "time_until": self._time_until,
            "count_of": self._count_of,
            "percent": self._percent,
        }
        return make[name]()

    def _error(self, message: str, node: Node | None, hint: str) -> ConditionError:
        position = node.start if node else self._place[0]
        return ConditionError(message, text=self._text, position=position, hint=hint)

    def _sample(self) -> Reference:
        node = self._arguments[0]
        if not isinstance(node, Reference):
            raise self._error(
                f"{self._name} looks at a sample, and {node.text} is none", node, f"write {EXAMPLES[self._name]}"
            )
        return node

    def _number_sample(self) -> Reference:
        sample = self._sample()
        require_number(self._text, sample, self._name)
        return sample

    def _length(self, node: Node) -> float:
        """The length of a window in seconds."""
        if isinstance(node, Literal) and node.dimension is Dimension.SECONDS:
            length = float(node.constant)
            if length > 0:
                return length
            raise self._error("a window has a length", node, f"write {EXAMPLES[self._name]}")
        hint = f"write {EXAMPLES[self._name]}"
        if isinstance(node, Literal) and node.dimension is Dimension.NONE:
            hint = f"write {node.text}s or {node.text}m"
        raise self._error(f"the window of {self._name} is a duration, and {node.text} is none", node, hint)

    def _window(self) -> Node:
        sample, aggregate = self._number_sample(), AGGREGATES[self._name]
        length, unit = self._length(self._arguments[1]), sample.dimension
        if aggregate.is_per_second:
            if is_per_second(unit):
                message = f"{sample.text} is {named(unit)} already, and {self._name} would be per second once more"
                raise self._error(message, sample, "write delta, avg, min or max")
            unit = PER_SECOND[unit]
        return Window(self._text, *self._place, sample, length, aggregate, unit)

    def _time_until(self) -> Node:
        sample, target = self._number_sample(), self._arguments[1]
        require_number(self._text, target, self._name)
        require_equal(self._text, sample, target, "compared")
        return TimeUntil(self._text, *self._place, sample, target, self._length(self._arguments[2]))

    def _count_of(self) -> Node:
        condition, least, most = self._arguments
        require_boolean(self._text, condition)
        counts = []
        for node in (least, most):
            if not isinstance(node, Literal) or node.dimension is not Dimension.NONE:
                raise self._error(f"count_of counts runs, and {node.text} is no number of them", node, "write 3")
            count = float(node.constant)
            if count != int(count) or not 1 <= count <= MOST_RUNS:
                message = f"count_of counts whole runs, 1 to {MOST_RUNS}, and here are {node.text}"
                raise self._error(message, node, f"write {EXAMPLES['count_of']}")
            counts.append(int(count))
        if counts[0] > counts[1]:
            message = f"{counts[0]} of the last {counts[1]} runs cannot be"
            raise self._error(message, least, f"write count_of(…, {counts[1]}, {counts[0]})")
        return CountOf(self._text, *self._place, condition, counts[0], counts[1])

    def _percent(self) -> Node:
        part, whole = self._arguments
        for node in (part, whole):
            require_number(self._text, node, self._name)
        require_equal(self._text, part, whole, "taken as a share of each other")
        hundred = Literal(self._text, *self._place, Dimension.NONE, 100.0)
        return Arithmetic(self._text, self._place, [hundred, part, whole], "*/", Dimension.PERCENT)
