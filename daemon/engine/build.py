"""From a condition's tree to its compiled parts: names found, types checked."""

from collections.abc import Iterator, Sequence

from daemon.engine.condition_error import ConditionError
from daemon.engine.count import Age, CountOf, Unchanged
from daemon.engine.dimensions import (
    check_comparison,
    product_dimension,
    require_boolean,
    require_equal,
    require_number,
    stray_list,
    sum_dimension,
)
from daemon.engine.expression import Arithmetic, Comparison, Listing, Literal, Minus, Node
from daemon.engine.functions import Call
from daemon.engine.grammar import Token, Tree
from daemon.engine.logic import Junction, Not
from daemon.engine.scope import Names, Scope
from daemon.engine.values import read_literal
from daemon.engine.windows import Window
from daemon.model.check import Dimension

Place = tuple[int, int]


class Builder:
    """Builds one condition, and notes what it looks at."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._names = Names(text, scope)
        self._check = scope.check
        self.names_something = False  # a sample, or age()
        self.names_a_check = False  # its own one by its name, or another one
        self.others: set[str] = set()
        self.windows: dict[tuple[str, str], float] = {}
        self.unchanged: set[tuple[str, str]] = set()
        self.counts: list[CountOf] = []

    def build(self, tree: Tree[Token]) -> Node:
        """The whole condition. Raises ConditionError."""
        built: dict[int, Node] = {}
        for branch in _bottom_up(tree):
            nodes = [built[id(child)] for child in branch.children if id(child) in built]
            tokens = [
                child if isinstance(child, Token) else _operator(child)
                for child in branch.children
                if id(child) not in built
            ]
            built[id(branch)] = self._part(branch, tokens, nodes)
        return built[id(tree)]

    def _part(self, tree: Tree[Token], tokens: Sequence[Token], nodes: Sequence[Node]) -> Node:
        place = (tree.meta.start_pos, tree.meta.end_pos)
        kind = str(tree.data)
        if kind == "call":
            return self._call(str(tokens[0]), place, nodes)
        if kind in ("own", "other", "subject"):
            return self._reference(kind, place, tokens)
        if kind in ("number", "string", "true", "false"):
            return self._literal(kind, place, tokens)
        if kind in ("sum", "product"):
            symbols = [str(token) for token in tokens]
            is_sum = kind == "sum"
            unit = sum_dimension(self._text, nodes) if is_sum else product_dimension(self._text, nodes, symbols)
            return Arithmetic(self._text, (nodes[0].start, nodes[-1].end), nodes, symbols, unit)
        return self._compound(kind, place, tokens, nodes)

    def _compound(self, kind: str, place: Place, tokens: Sequence[Token], nodes: Sequence[Node]) -> Node:
        if kind == "comparison":
            return self._comparison(tokens, nodes)
        if kind == "listing":
            return self._listing(place, nodes)
        if kind == "paren":
            nodes[0].start, nodes[0].end = place  # the brackets belong to it where its text is shown
            return nodes[0]
        if kind == "minus":
            return self._minus(place, nodes[0])
        for node in nodes:
            require_boolean(self._text, node)
        if kind == "negate":
            return Not(self._text, place[0], nodes[0])
        return Junction(self._text, nodes, is_or=kind == "either")

    def _literal(self, kind: str, place: Place, tokens: Sequence[Token]) -> Node:
        if kind == "number":
            try:
                number, dimension = read_literal(str(tokens[0]))
            except ValueError as error:
                raise ConditionError(str(error), text=self._text, position=place[0]) from None
            return Literal(self._text, *place, dimension, number)
        if kind == "string":
            return Literal(self._text, *place, Dimension.STRING, str(tokens[0])[1:-1])
        return Literal(self._text, *place, Dimension.BOOLEAN, kind == "true")

    def _reference(self, kind: str, place: Place, tokens: Sequence[Token]) -> Node:
        self.names_something = True
        if kind == "own":
            return self._names.own(place, str(tokens[0]))
        self.names_a_check = True
        subject = str(tokens[1])[1:-1] if kind == "subject" else None
        sample = tokens[-1]
        reference = self._names.other(place, str(tokens[0]), str(sample), sample.start_pos or 0, subject)
        if reference.check != self._check:
            self.others.add(reference.check)
        return reference

    def _minus(self, place: Place, node: Node) -> Node:
        require_number(self._text, node, "a minus sign")
        if isinstance(node, Literal):
            return Literal(self._text, *place, node.dimension, -float(node.constant))
        return Minus(self._text, place[0], node)

    def _listing(self, place: Place, nodes: Sequence[Node]) -> Node:
        if not nodes:
            raise self._error("the list is empty, so nothing is in it", place[0], "write at least one value")
        items = []
        for node in nodes:
            if isinstance(node, Listing):
                raise stray_list(self._text, node)
            if not isinstance(node, Literal):
                raise self._error(
                    f"a list holds literals, and {node.text} is none", node.start, "compare it with == instead"
                )
            require_equal(self._text, nodes[0], node, "in one list")
            items.append(node)
        return Listing(self._text, *place, items)

    def _comparison(self, tokens: Sequence[Token], nodes: Sequence[Node]) -> Node:
        first, *more = tokens
        if more:
            one, two, three = (node.text for node in nodes[:3])
            hint = f"write {one} {first} {two} and {two} {more[0]} {three}"
            raise self._error("comparisons do not chain", more[0].start_pos or 0, hint)
        left, right = nodes
        check_comparison(self._text, str(first), left, right, first.start_pos or 0)
        return Comparison(self._text, str(first), left, right)

    def _call(self, name: str, place: Place, arguments: Sequence[Node]) -> Node:
        node = Call(self._text, name, place, arguments).build()
        if isinstance(node, Age):
            self.names_something = True
        elif isinstance(node, Window):
            key = (node.reference.check, node.reference.sample)
            self.windows[key] = max(node.length, self.windows.get(key, 0.0))
        elif isinstance(node, Unchanged):
            self.unchanged.add((node.reference.check, node.reference.sample))
        elif isinstance(node, CountOf):
            node.index = len(self.counts)
            self.counts.append(node)
        return node

    def _error(self, message: str, position: int, hint: str) -> ConditionError:
        return ConditionError(message, text=self._text, position=position, hint=hint)


def _operator(tree: Tree[Token]) -> Token:
    """An operator of one word or two, as one token."""
    return Token("OPERATOR", " ".join(map(str, tree.children)), start_pos=tree.meta.start_pos)


def _bottom_up(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    """Every branch but operators after its children, in order of the text, without recursion."""
    waiting = [(tree, False)]
    while waiting:
        branch, is_done = waiting.pop()
        if is_done:
            yield branch
            continue
        waiting.append((branch, True))
        trees = [child for child in reversed(branch.children) if isinstance(child, Tree)]
        waiting += [(child, False) for child in trees if child.data != "operator"]
