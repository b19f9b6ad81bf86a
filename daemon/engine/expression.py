"""The parts of a compiled condition: each a closure for judging, and methods that explain it when somebody asks.

A closure takes a `View` and returns the value, or None where it is missing (UNKNOWN where it is a boolean).
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from daemon.engine.values import LARGEST, Value, exact, human
from daemon.engine.view import ABSENT, View
from daemon.model.check import Dimension

Judge = Callable[[View], Value]
Why = tuple[str, str]
"""What was missing, and why."""

_NEGATED = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "in": "not in",
    "not in": "in",
    "contains": "does not contain",
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {  # the types were checked when the condition was compiled
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
    "contains": operator.contains,
}


class Node:
    """One part of a condition: where it stands, what it measures and how it is judged."""

    is_constant = False
    is_foreign = False  # it looks at other checks or at age(), so it is known in a blind run
    is_own = False  # it looks at the rule's own check
    children: Sequence["Node"] = ()

    def __init__(self, text: str, start: int, end: int, dimension: Dimension, value: Judge) -> None:
        self.start = start
        self.end = end
        self.text = re.sub(r"\s*\n\s*", " ", text[start:end])
        self.dimension = dimension
        self.value = value

    def adopt(self, children: Sequence["Node"]) -> None:
        """Take children, and whether they look at other checks."""
        self.children = children
        self.is_foreign = any(child.is_foreign for child in children)
        self.is_own = any(child.is_own for child in children)

    def shown(self, view: View) -> str:
        """The part with its value: `latency_seconds = 7.2s`."""
        return f"{self.text} = {human(self.value(view), self.dimension)}"

    def because(self, view: View) -> list[str]:
        """For a boolean whose value is known: the operands that made it so, in order of the text."""
        return [self.shown(view)]

    def whys(self, view: View) -> list[Why]:
        """For a value that is missing: what was missing, in order of the text, and why."""
        return [why for child in self.children if child.value(view) is None for why in child.whys(view)]

    def is_decided(self, view: View) -> bool:
        """For a boolean whose value is known in a blind run: whether other checks or age() made it so."""
        return self.is_foreign


def stands(node: Node, view: View) -> bool:
    """Whether a boolean whose value is known is a verdict: in a blind run only if other checks or age() made it so."""
    return view.blind is None or (view.blind != ABSENT and node.is_decided(view))


class Literal(Node):
    """A number, string or boolean as it stands in the text."""

    is_constant = True

    def __init__(self, text: str, start: int, end: int, dimension: Dimension, constant: float | str | bool) -> None:
        super().__init__(text, start, end, dimension, lambda view: constant)
        self.constant = constant

    def shown(self, view: View) -> str:
        """Literals are shown as they were written."""
        return self.text


class Listing(Node):
    """A list of literals of one kind."""

    is_constant = True

    def __init__(self, text: str, start: int, end: int, items: Sequence[Literal]) -> None:
        super().__init__(text, start, end, items[0].dimension, lambda view: None)
        self.items = items
        self.constants = frozenset(item.constant for item in items)

    def shown(self, view: View) -> str:
        """Literals are shown as they were written."""
        return self.text


class Minus(Node):
    """A number with its sign turned."""

    def __init__(self, text: str, start: int, child: Node) -> None:
        get = child.value

        def value(view: View) -> Value:
            number = get(view)
            return None if number is None else -number  # type: ignore[operator]  # a number, as its dimension says

        super().__init__(text, start, child.end, child.dimension, value)
        self.adopt([child])


class Arithmetic(Node):
    """Operands of `+ -` or of `* /`, taken from left to right. What is no finite number is missing.

    Flat, as a long sum must not nest as deep as it is long.
    """

    def __init__(
        self, text: str, place: tuple[int, int], operands: Sequence[Node], symbols: Sequence[str], dimension: Dimension
    ) -> None:
        value = _arithmetic([operand.value for operand in operands], symbols)
        super().__init__(text, *place, dimension, value)
        self.adopt(operands)
        self.symbols = symbols

    def whys(self, view: View) -> list[Why]:
        """What was missing below, or why there is no result."""
        below = super().whys(view)
        if below:
            return below
        for symbol, child in zip(self.symbols, self.children[1:], strict=True):
            if symbol == "/" and child.value(view) == 0:
                return [(self.text, f"{child.text} is 0, and nothing is divided by 0")]
        return [(self.text, "the result is too large a number")]


def _arithmetic(operands: Sequence[Judge], symbols: Sequence[str]) -> Judge:
    compute = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    first = operands[0]
    rest = [(compute[symbol], symbol == "/", operand) for symbol, operand in zip(symbols, operands[1:], strict=True)]

    def value(view: View) -> Value:
        result = first(view)
        for step, divides, operand in rest:
            other = operand(view)
            if result is None or other is None or (divides and other == 0):
                return None
            result = step(result, other)
            if not -LARGEST <= result <= LARGEST:
                return None
        return result

    return value


class Comparison(Node):
    """Two operands and what they are compared by."""

    def __init__(self, text: str, symbol: str, left: Node, right: Node) -> None:
        super().__init__(text, left.start, right.end, Dimension.BOOLEAN, _comparison(symbol, left, right))
        self.adopt([left, right])
        self.symbol = symbol

    def because(self, view: View) -> list[str]:
        """A true statement: `latency_seconds = 7.2s > 5s`, or where that does not hold `latency_seconds = 2s <= 5s`."""
        symbol = self.symbol if self.value(view) else _NEGATED[self.symbol]
        left, right = self.children
        shown = [child.shown(view) for child in self.children]
        if symbol == "==" and right.is_constant and not left.is_constant:
            return [shown[0]]
        one, other = left.value(view), right.value(view)
        if one != other and human(one, left.dimension) == human(other, right.dimension):
            for place, (child, value) in enumerate(((left, one), (right, other))):
                if isinstance(value, float) and not child.is_constant:
                    shown[place] = f"{child.text} = {exact(value, child.dimension)}"
        return [f"{shown[0]} {symbol} {shown[1]}"]

    def whys(self, view: View) -> list[Why]:
        """The missing operands."""
        operands = [child for child in self.children if not isinstance(child, Listing) and child.value(view) is None]
        return [why for child in operands for why in child.whys(view)]


def _comparison(symbol: str, left: Node, right: Node) -> Judge:
    compare = _COMPARE[symbol]
    one, other = left.value, right.value
    if isinstance(right, Literal | Listing):
        fixed = right.constants if isinstance(right, Listing) else right.constant

        def value(view: View) -> Value:
            found = one(view)
            return None if found is None else compare(found, fixed)

    elif isinstance(left, Listing):
        constants = left.constants

        def value(view: View) -> Value:
            found = other(view)
            return None if found is None else compare(constants, found)

    else:

        def value(view: View) -> Value:
            first = one(view)
            second = other(view)
            return None if first is None or second is None else compare(first, second)

    return value
