"""What may be compared, added, multiplied: refusals say how to write it."""

from collections.abc import Sequence

from daemon.engine.condition_error import ConditionError
from daemon.engine.expression import Listing, Literal, Node
from daemon.engine.values import PER_SECOND, is_number, named, read_literal, with_unit
from daemon.model.check import Dimension


def require_boolean(text: str, node: Node) -> None:
    """Refuse what is no condition."""
    if isinstance(node, Listing):
        raise stray_list(text, node)
    if node.dimension is Dimension.BOOLEAN:
        return
    example = '"…"' if node.dimension is Dimension.STRING else with_unit("1", node.dimension)
    raise ConditionError(
        f"{node.text} is {named(node.dimension)}, and a condition is true or false",
        text=text,
        position=node.start,
        hint=f"compare it, such as {node.text} == {example}",
    )


def require_number(text: str, node: Node, what: str) -> None:
    """Refuse what is no number; `what` says what needs one."""
    if isinstance(node, Listing):
        raise stray_list(text, node)
    if not is_number(node.dimension):
        raise ConditionError(
            f"{node.text} is {named(node.dimension)}, and {what} takes numbers", text=text, position=node.start
        )


def stray_list(text: str, node: Node) -> ConditionError:
    """A list where none belongs."""
    return ConditionError(
        "a list stands only on the right of in and not in, or on the left of contains",
        text=text,
        position=node.start,
        hint=f"write x in {node.text}",
    )


def check_comparison(text: str, symbol: str, left: Node, right: Node, position: int) -> None:
    """Refuse operands that cannot be compared so."""
    if symbol in ("in", "not in"):
        _check_membership(text, symbol, left, right)
        return
    if symbol == "contains":
        _check_membership(text, symbol, right, left)
        return
    for node in (left, right):
        if isinstance(node, Listing):
            raise stray_list(text, node)
    require_equal(text, left, right, "compared")
    if symbol not in ("==", "!=") and not is_number(left.dimension):
        raise ConditionError(
            f"{symbol} compares numbers, and {left.text} is {named(left.dimension)}",
            text=text,
            position=position,
            hint="write == or !=" if left.dimension is Dimension.BOOLEAN else "write ==, !=, in or contains",
        )


def _check_membership(text: str, symbol: str, item: Node, whole: Node) -> None:
    if isinstance(item, Listing):
        raise stray_list(text, item)
    if isinstance(whole, Listing):
        for literal in whole.items:
            require_equal(text, item, literal, "compared")
        return
    side = "left" if symbol == "contains" else "right"
    if whole.dimension is not Dimension.STRING:
        raise ConditionError(
            f"{symbol} needs a list or a string on its {side}, and {whole.text} is {named(whole.dimension)}",
            text=text,
            position=whole.start,
            hint=f"write [{whole.text}]" if whole.is_constant else "",
        )
    require_equal(text, item, whole, "compared")


def require_equal(text: str, left: Node, right: Node, done: str) -> None:
    """Refuse two operands of different dimensions; `done` is what only equal ones can be."""
    if left.dimension is right.dimension:
        return
    for node, literal in ((left, right), (right, left)):
        hint = _rewritten(literal, node.dimension) if literal.is_constant and not node.is_constant else ""
        if hint:
            message = f"{node.text} is {named(node.dimension)}"
            raise ConditionError(message, text=text, position=literal.start, hint=f"write {hint}")
    found = f"{left.text} is {named(left.dimension)} and {right.text} is {named(right.dimension)}"
    raise ConditionError(f"{found}; only equal ones are {done}", text=text, position=right.start)


def _rewritten(literal: Node, dimension: Dimension) -> str:
    """A literal as it would be written in another dimension, where that is plain."""
    if not isinstance(literal, Literal) or literal.dimension is dimension:
        return ""
    word = literal.constant if isinstance(literal.constant, str) else literal.text
    if dimension is Dimension.STRING:
        return f'"{word}"'
    if dimension is Dimension.BOOLEAN:
        return {"1": "true", "0": "false", "true": "true", "false": "false"}.get(word, "true or false")
    if isinstance(literal.constant, bool):
        return with_unit("1" if literal.constant else "0", dimension)
    try:
        value, own = read_literal(word.removeprefix("-"))
    except (ValueError, IndexError):
        return ""
    if own is dimension:
        return word  # a number in quotes
    if own is Dimension.NONE:
        return with_unit(word, dimension)
    if PER_SECOND.get(dimension) is own:
        return word.rpartition("/")[0]
    if PER_SECOND.get(own) is dimension:
        return f"{word}/s"
    return f"{value:g}" if dimension is Dimension.NONE else ""


def sum_dimension(text: str, operands: Sequence[Node]) -> Dimension:
    """The dimension of a sum: that of every operand."""
    for node in operands:
        require_number(text, node, "arithmetic")
        require_equal(text, operands[0], node, "added or subtracted")
    return operands[0].dimension


def product_dimension(text: str, operands: Sequence[Node], symbols: Sequence[str]) -> Dimension:
    """The dimension of a product: `a / b` of one dimension is a plain number; a plain number changes no dimension."""
    require_number(text, operands[0], "arithmetic")
    dimension = operands[0].dimension
    for symbol, node in zip(symbols, operands[1:], strict=True):
        require_number(text, node, "arithmetic")
        if symbol == "/" and node.dimension is dimension:
            dimension = Dimension.NONE
        elif node.dimension is Dimension.NONE:
            continue
        elif symbol == "*" and dimension is Dimension.NONE:
            dimension = node.dimension
        else:
            done = "multiplied by" if symbol == "*" else "divided by"
            before = text[operands[0].start : node.start].rstrip().removesuffix(symbol).rstrip()
            allowed = "a plain number" if symbol == "*" else f"a plain number or by {named(dimension)}"
            if symbol == "/" and dimension is Dimension.NONE:
                allowed = "a plain number"
            raise ConditionError(
                f"{before} is {named(dimension)} and cannot be {done} {node.text}, which is {named(node.dimension)}; "
                f"only by {allowed}",
                text=text,
                position=node.start,
            )
    return dimension
