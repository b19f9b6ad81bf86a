"""`or`, `and`, `not`, by Kleene's three-valued logic."""

from collections.abc import Iterable, Sequence

from daemon.engine.expression import Judge, Node
from daemon.engine.values import Value
from daemon.engine.view import View
from daemon.model.check import Dimension


class Not(Node):
    """The opposite; of UNKNOWN: UNKNOWN."""

    def __init__(self, text: str, start: int, child: Node) -> None:
        get = child.value

        def value(view: View) -> Value:
            found = get(view)
            return None if found is None else not found

        super().__init__(text, start, child.end, Dimension.BOOLEAN, value)
        self.adopt([child])

    def because(self, view: View) -> list[str]:
        """Why the child is what it is."""
        return self.children[0].because(view)

    def is_decided(self, view: View) -> bool:
        """As the child."""
        return self.children[0].is_decided(view)


class Junction(Node):
    """`or` and `and` of two or more sides, by Kleene: the deciding value wins over UNKNOWN, UNKNOWN over the other."""

    def __init__(self, text: str, sides: Sequence[Node], *, is_or: bool) -> None:
        values = [side.value for side in sides]
        value = _pair(values[0], values[1], deciding=is_or) if len(sides) == 2 else _many(values, deciding=is_or)
        super().__init__(text, sides[0].start, sides[-1].end, Dimension.BOOLEAN, value)
        self.adopt(sides)
        self.is_or = is_or

    def _deciding(self, view: View) -> list[Node]:
        """The sides that made it so: where all agree all of them, as it took them all."""
        verdict = self.value(view)
        return [side for side in self.children if side.value(view) is verdict]

    def because(self, view: View) -> list[str]:
        """For a true `or` the true sides, for a false `and` the false sides, else all."""
        return [line for side in self._deciding(view) for line in side.because(view)]

    def is_decided(self, view: View) -> bool:
        """Whether one of the sides that made it so is."""
        return any(side.is_decided(view) for side in self._deciding(view))


def _pair(left: Judge, right: Judge, *, deciding: bool) -> Judge:
    def value(view: View) -> Value:
        one = left(view)
        if one is deciding:
            return deciding
        other = right(view)
        if other is deciding:
            return deciding
        return None if one is None or other is None else not deciding

    return value


def _many(sides: Iterable[Judge], *, deciding: bool) -> Judge:
    each = tuple(sides)

    def value(view: View) -> Value:
        result: Value = not deciding
        for side in each:
            found = side(view)
            if found is deciding:
                return deciding
            if found is None:
                result = None
        return result

    return value
