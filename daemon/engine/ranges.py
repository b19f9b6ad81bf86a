"""Whether a condition can be true, or false, at all: sound, and silent where it does not know.

Only comparisons of one sample with literals are understood, and `and`, `or`, `not` of them; all else may be anything.
So what is said to be impossible is; what is impossible for other reasons is not found.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from daemon.engine.count import CountOf
from daemon.engine.expression import Arithmetic, Comparison, Listing, Literal, Minus, Node
from daemon.engine.logic import Junction, Not
from daemon.engine.observations import Observations
from daemon.engine.references import Own, Reference
from daemon.engine.view import View
from daemon.model.check import Dimension

_NOTHING = View("", "", {}, None, 0.0, Observations())  # all that a constant looks at
_MOST_CASES = 500  # of one condition; where there are more, nothing is said
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==", "in": "not in", "not in": "in"}


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers from `low` to `high`."""

    low: float = -math.inf
    high: float = math.inf
    has_low: bool = True
    has_high: bool = True

    def meet(self, other: "Span") -> "Span | None":
        """The numbers in both; None if there are none."""
        low, is_open = max((self.low, not self.has_low), (other.low, not other.has_low))
        high, has_high = min((self.high, self.has_high), (other.high, other.has_high))
        if low > high or (low == high and (is_open or not has_high)):
            return None
        return Span(low, high, not is_open, has_high)


@dataclass(frozen=True, slots=True)
class Words:
    """These values, or all but these."""

    values: frozenset[object]
    is_all_but: bool = False

    def meet(self, other: "Words") -> "Words | None":
        """The values in both; None if there are none."""
        if self.is_all_but and other.is_all_but:
            return Words(self.values | other.values, is_all_but=True)
        if self.is_all_but:
            return other.meet(self)
        kept = self.values - other.values if other.is_all_but else self.values & other.values
        return Words(kept) if kept else None


Allowed = tuple[Span, ...] | Words
"""What a sample may be."""
Key = tuple[str, str, str, str | None]
"""One sample: Own or Other, check, sample, subject if one is named."""
Case = dict[Key, Allowed]
"""By sample, what it may be: one way for a condition to come true."""
Domain = Callable[[Reference], Allowed | None]
"""What a sample may be at all; None: anything."""


class _TooManyCases(Exception):  # noqa: N818  # no error: the search gives up
    pass


def never(wanted: Sequence[tuple[Node, bool]], domain: Domain) -> tuple[str, ...] | None:
    """Why no run can give all of these conditions these values: the samples, or parts, that rule it out; else None."""
    search = _Search(domain)
    try:
        cases = search.every(search.cases(node, value) for node, value in wanted)
    except _TooManyCases:
        return None
    return None if cases else tuple(search.blame)


class _Search:
    """One search for cases; `blame` is what ruled some out."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self.blame: dict[str, None] = {}

    def cases(self, node: Node, wanted: bool) -> list[Case]:
        """The ways for a boolean to be as wanted; none if it cannot be."""
        if isinstance(node, Not):
            return self.cases(node.children[0], not wanted)
        if isinstance(node, Junction):
            sides = (self.cases(side, wanted) for side in node.children)
            return self.any(sides) if node.is_or is wanted else self.every(sides)
        if isinstance(node, CountOf):  # it counts other runs as well: only a condition that none can meet rules it out
            return [{}] if self.cases(node.children[0], wanted) else []
        if isinstance(node, Comparison):
            return self._comparison(node, wanted)
        if isinstance(node, Literal):
            return self._constant(node.constant is wanted, node)
        if isinstance(node, Reference):
            return self._limited(node, Words(frozenset({wanted})))
        return [{}]

    def any(self, sides: Iterable[list[Case]]) -> list[Case]:
        """The cases of all sides."""
        return _bounded([case for side in sides for case in side])

    def every(self, sides: Iterable[list[Case]]) -> list[Case]:
        """The cases in which each of the sides has one of its own."""
        found: list[Case] = [{}]
        for side in sides:
            pairs = (self._both(one, other) for one in found for other in side)
            found = _bounded([case for case in pairs if case is not None])
        return found

    def _both(self, one: Case, other: Case) -> Case | None:
        both = dict(one)
        for key, allowed in other.items():
            met = _meet(both[key], allowed) if key in both else allowed
            if met is None:
                self.blame[_shown(key)] = None
                return None
            both[key] = met
        return both

    def _constant(self, holds: bool, node: Node) -> list[Case]:
        if not holds:
            self.blame[node.text] = None
        return [{}] if holds else []

    def _comparison(self, node: Comparison, wanted: bool) -> list[Case]:
        left, right, symbol = *node.children, node.symbol
        if _is_fixed(left) and _is_fixed(right):
            value = node.value(_NOTHING)
            return self._constant(value is wanted, node) if value is not None else [{}]
        if isinstance(right, Reference) and _is_fixed(left) and symbol in _FLIPPED:
            left, right, symbol = right, left, _FLIPPED[symbol]
        if not isinstance(left, Reference) or not _is_fixed(right) or symbol not in _OPPOSITE:
            return [{}]
        allowed = _allowed(symbol if wanted else _OPPOSITE[symbol], left, right)
        return [{}] if allowed is None else self._limited(left, allowed)

    def _limited(self, node: Reference, allowed: Allowed) -> list[Case]:
        at_all = self._domain(node)
        met = allowed if at_all is None else _meet(at_all, allowed)
        check = "" if isinstance(node, Own) else node.check  # conditions that fit all checks name the first of them
        key = (type(node).__name__, check, node.sample, getattr(node, "subject", None))
        if met is None:
            self.blame[_shown(key)] = None
            return []
        return [{key: met}]


def _bounded(cases: list[Case]) -> list[Case]:
    if len(cases) > _MOST_CASES:
        raise _TooManyCases
    return cases


def _shown(key: Key) -> str:
    kind, check, sample, _ = key
    return sample if kind == "Own" else f"{check}.{sample}"


def _is_fixed(node: Node) -> bool:
    """Whether a part has the same value in every run."""
    if isinstance(node, Literal | Listing):
        return True
    return isinstance(node, Arithmetic | Minus) and all(_is_fixed(child) for child in node.children)


def _allowed(symbol: str, sample: Reference, right: Node) -> Allowed | None:
    """What a sample may be where it compares so with a constant."""
    if isinstance(right, Listing):
        values = list(right.constants)
    else:
        value = right.value(_NOTHING)
        if value is None:
            return None
        values = [value]
    if sample.dimension in (Dimension.STRING, Dimension.BOOLEAN):
        return Words(frozenset(values), is_all_but=symbol in ("!=", "not in"))
    numbers = sorted(float(value) for value in values)
    match symbol:
        case "==" | "in":
            return points(*numbers)
        case "!=" | "not in":
            edges = [-math.inf, *numbers, math.inf]
            return tuple(Span(low, high, False, False) for low, high in pairwise(edges))
        case "<" | "<=":
            return (Span(high=numbers[0], has_high=symbol == "<="),)
    return (Span(low=numbers[0], has_low=symbol == ">="),)


def points(*numbers: float) -> tuple[Span, ...]:
    """Just these numbers."""
    return tuple(Span(number, number) for number in numbers)


def _meet(one: Allowed, other: Allowed) -> Allowed | None:
    if isinstance(one, Words) or isinstance(other, Words):
        return one.meet(other) if isinstance(one, Words) and isinstance(other, Words) else None
    found = tuple(met for a in one for b in other if (met := a.meet(b)) is not None)
    return found or None
