"""What a condition looks at, value by value: for people who ask why."""

from collections.abc import Iterator

from daemon.engine.count import Age, CountOf, Has, Unchanged
from daemon.engine.expression import Listing, Literal, Node
from daemon.engine.references import Reference
from daemon.engine.values import human
from daemon.engine.view import View
from daemon.engine.windows import Window
from daemon.model.explanation import Operand

_WHOLE = (Reference, Window, Age, Unchanged, CountOf, Has)


def operands(node: Node, view: View) -> tuple[Operand, ...]:
    """The samples and functions of a condition with their values, in order of the text, each once.

    `view.memory` must hold the rings of the run that is looked at, as for judging it.
    """
    found: dict[str, Operand] = {}
    for part in _parts(node):
        if part.text not in found:
            found[part.text] = _operand(part, view)
    return tuple(found.values())


def _parts(node: Node) -> Iterator[Node]:
    if isinstance(node, _WHOLE):
        yield node
        if isinstance(node, CountOf):  # what it counts, as it is in this run
            for child in node.children:
                yield from _parts(child)
        return
    if isinstance(node, Literal | Listing):
        return
    for child in node.children:
        yield from _parts(child)


def _operand(node: Node, view: View) -> Operand:
    value = node.value(view)
    whys = "" if value is not None else "; ".join(dict.fromkeys(why for _, why in node.whys(view)))
    said = None if value is None else human(value, node.dimension)
    if not isinstance(node, Window):
        return Operand(text=node.text, value=said, missing=whys)
    points = node.points(view)
    return Operand(
        text=node.text,
        value=said,
        missing=whys,
        window=node.length,
        samples=len(points.times),
        span=points.span if points.times else 0.0,
    )
