"""Conditions: text in, verdicts out. The language is described in `docs/conditions.md`.

A condition is compiled once to closures, when the file is loaded, and judged at every run. Judging and explaining are
apart, as most verdicts are never explained.
"""

from collections.abc import Mapping

from daemon.engine.build import Builder
from daemon.engine.condition_error import ConditionError
from daemon.engine.count import CountOf
from daemon.engine.dimensions import require_boolean
from daemon.engine.expression import Node, Why, stands
from daemon.engine.operands import operands
from daemon.engine.scope import OtherCheck, Scope
from daemon.engine.syntax import parse
from daemon.engine.view import ABSENT, Memory, View
from daemon.model.explanation import Operand
from daemon.model.rule import Verdict

__all__ = ["ABSENT", "Condition", "ConditionError", "Memory", "OtherCheck", "Scope", "View", "compile_condition"]


def compile_condition(text: str, scope: Scope) -> "Condition":
    """Compile a condition for one check.

    Raises:
        ConditionError: with the position, what was found and how to write it.
    """
    tree = parse(text)
    builder = Builder(text, scope)
    node = builder.build(tree)
    require_boolean(text, node)
    if not builder.names_something:
        known = ", ".join(scope.samples)
        raise ConditionError(
            "the condition names no sample",
            text=text,
            position=node.start,
            hint=f"name one of {known}" if known else "",
        )
    return Condition(text, node, builder)


class Condition:
    """A compiled condition: pure and immutable.

    Attributes:
        text: the operator's words.
        others: names of the other checks that it looks at.
        windows: by check and sample, the seconds of the past that it looks back on.
        unchanged: checks and samples whose present value's first run it asks for.
        rings: how many count_of it has: the length of its memory.
        needs_window: whether its verdict rests on more than one run.
        fits_all: whether it is the same for every check with these samples: it knows of none by name.
    """

    __slots__ = (
        "_counts",
        "_node",
        "_value",
        "fits_all",
        "needs_window",
        "others",
        "rings",
        "text",
        "unchanged",
        "windows",
    )

    def __init__(self, text: str, node: Node, builder: Builder) -> None:
        self.text = text
        self.others: frozenset[str] = frozenset(builder.others)
        self.windows: Mapping[tuple[str, str], float] = builder.windows
        self.unchanged: frozenset[tuple[str, str]] = frozenset(builder.unchanged)
        self.rings = len(builder.counts)
        self.needs_window = bool(self.windows or self.unchanged or any(count.most > 1 for count in builder.counts))
        self.fits_all = not (builder.names_a_check or self.windows or self.unchanged or builder.counts)
        self._counts: tuple[CountOf, ...] = tuple(builder.counts)
        self._node = node
        self._value = node.value

    @property
    def node(self) -> Node:
        """Its parts, for who looks into them (`daemon.engine.ranges`)."""
        return self._node

    def judge(self, view: View) -> Verdict:
        """What it says of one subject at one run. If it has `rings`, `view.memory` must come from `record`."""
        value = self._value(view)
        if value is None or (view.blind is not None and not stands(self._node, view)):
            return Verdict.UNKNOWN
        return Verdict.BREACHED if value else Verdict.CLEAR

    def because(self, view: View) -> str:
        """The operands that made the verdict so, in order of the text; for UNKNOWN what was missing, and why."""
        node = self._node
        if node.value(view) is None:
            return _missing(node.whys(view)) or "nothing is known"
        if not stands(node, view):
            return f"this run says nothing of it: {view.blind}"
        return "; ".join(dict.fromkeys(node.because(view)))

    def operands(self, view: View) -> tuple[Operand, ...]:
        """What it looks at, with its values, in order of the text; `view` as for `judge`."""
        return operands(self._node, view)

    def record(self, view: View, memory: Memory) -> Memory:
        """The rings of count_of with this run in them; free where there is none.

        Args:
            view: what will be judged. Its `memory` is not looked at.
            memory: what the last run's `record` gave; () or another condition's rings start anew.
        """
        if not self._counts:
            return ()
        before = view.memory
        rings: list[tuple[str, ...]] = []
        if len(memory) != len(self._counts):
            memory = ((),) * len(self._counts)
        for count, ring in zip(self._counts, memory, strict=True):
            view.memory = tuple(rings)  # a count_of inside another comes before it
            rings.append(count.append(view, ring))
        view.memory = before
        return tuple(rings)


def _missing(whys: list[Why]) -> str:
    """Sentences of what was missing; what is missing for one reason stands together."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in whys:
        names = by_reason.setdefault(reason, [])
        if name not in names:
            names.append(name)
    return "; ".join(
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {_word(names)}: {reason}"
        for reason, names in by_reason.items()
    )


def _word(names: list[str]) -> str:
    return "unknown" if names[0].startswith(("has(", "count_of(")) else "missing"
