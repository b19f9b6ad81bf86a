"""From a part of the file to a pydantic model, with every error at its own place."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from daemon.config.document import Node, Place, join, place_in
from daemon.config.report import Report
from daemon.config.secrets import SecretError, Secrets, has_reference
from daemon.config.shapes import Shape, below, fields_of, is_secret, known_keys
from daemon.config.wording import expected, found, hint, missing_key, other, unknown_key

Model = TypeVar("Model", bound=BaseModel)

_KINDS = ("env", "file", "credential")


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys(Generic[Model]):
    """The keys of one part of the file."""

    model: Model | None  # with the defaults of what is wrong; None if a key that has to be there is not
    wrong: frozenset[str]  # keys that are not as they should be, those that are missing among them

    @property
    def good(self) -> Model | None:
        """The model, if nothing is wrong."""
        return None if self.wrong else self.model


class Reader:
    """Reads parts of files that belong together; what is wrong goes into their report."""

    def __init__(self, report: Report, secrets: Sequence[Secrets]) -> None:
        self.report = report
        self._secrets = secrets  # of each file, in the order of reading
        self._hidden: set[int] = set()  # ids of nodes that are never shown

    def keys(
        self,
        model: type[Model],
        node: Node,
        path: str,
        *,
        omit: Sequence[str] = (),
        defaults: Mapping[str, Node] | None = None,
    ) -> Keys[Model]:
        """Common keys: nothing in them stands for something else.

        `omit` names keys that are read elsewhere, `defaults` has values, known to be good, of keys that are not there.
        Where some are wrong the others are still there, so that what is wrong with those is said at the same time.
        """
        if not self.is_mapping(node, path):
            return Keys(model=None, wrong=frozenset())
        kept = {key: child for key, child in node.entries.items() if key not in omit}
        suspects = [key for key, child in kept.items() if _has_dollar(child)]
        wrong = {key for key in suspects if not self._has_no_reference(kept[key], join(path, key))}
        given = {**defaults, **kept} if defaults else kept
        data = {key: child.plain() for key, child in given.items()}
        try:
            return Keys(model=model.model_validate(data), wrong=frozenset(wrong))
        except ValidationError as error:
            self._say(error, model, node, path)
            wrong |= {str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"]}
        try:
            rest = model.model_validate({key: value for key, value in data.items() if key not in wrong})
        except ValidationError:
            return Keys(model=None, wrong=frozenset(wrong))
        return Keys(model=rest, wrong=frozenset(wrong))

    def options(self, model: type[Model], node: Node, path: str, *, lacks: list[str] | None = None) -> Model | None:
        """A plug-in's options: references in them are resolved, and secrets are SecretStr before anything sees them.

        Args:
            lacks: collects what is not there of secrets that may be missing; None: that is reported like all else.
        """
        if not self.is_mapping(node, path):
            return None
        while True:
            filling = _Filling(self, lacks)
            data = filling.value(node, [(model, ())], path)
            try:
                made = model.model_validate(data)
            except ValidationError as error:
                if self._has_other_values(error, model, node, path):
                    continue
                self._say(error, model, node, path, skip=filling.failed)
                return None
            return None if filling.failed else made

    def _has_other_values(self, error: ValidationError, model: type[Model], node: Node, path: str) -> bool:
        """Whether references in what is refused can stand for something else, which only made-up ones can."""
        refused = [
            _Spot(node, path, [(model, ())]).follow(detail["loc"]).node for detail in error.errors(include_url=False)
        ]
        scalars = [it for spot in refused for it, _ in _scalars(spot, "")]
        return True in [self.secrets_of(it).has_others([it.text]) for it in scalars]  # asked of each

    def is_mapping(self, node: Node, path: str) -> bool:
        """Whether it is a mapping; if not, that is reported."""
        if isinstance(node.value, dict):
            return True
        example = "{}" if node.value is None else "{key: value}"
        shown = found(node, is_secret=id(node) in self._hidden)
        self.report.add(node.place, path, f"found {shown}; expected a mapping such as {example}")
        return False

    def hide(self, node: Node) -> None:
        """Never show this value, nor the part of the file where it stands."""
        self._hidden.add(id(node))
        if not isinstance(node.value, dict | list) and not has_reference(node.text):
            self.report.hide(node.span, node.place.file)

    def secrets_of(self, node: Node) -> Secrets:
        """What resolves the references of the file in which a node stands."""
        return self._secrets[node.place.file]

    def _has_no_reference(self, node: Node, path: str) -> bool:
        bad = [(it, at) for it, at in _scalars(node, path) if any(f"${{{kind}:" in it.text for kind in _KINDS)]
        for it, at in bad:
            said = "${…} stands only in the options of checks, steps and managers, and would be plain text here"
            self.report.add(it.place, at, f"{said}; write the value")
        return not bad

    def _say(
        self, error: ValidationError, model: type[Model], node: Node, path: str, skip: Collection[int] = ()
    ) -> None:
        """Report every error at its place; `skip` are ids of nodes that were reported already."""
        groups: dict[tuple[Place, str], list[tuple[Mapping[str, Any], Node, list[Shape]]]] = {}
        for detail in error.errors(include_url=False):
            spot = _Spot(node, path, [(model, ())]).follow(detail["loc"])
            if detail["type"] == "missing":
                self._missing(detail, spot)
            elif detail["type"] == "extra_forbidden":
                self.report.add(spot.node.key, spot.path, unknown_key(str(detail["loc"][-1]), known_keys(spot.above)))
            elif id(spot.node) not in skip and not (skip and spot.node is node):
                place = spot.node.key if spot.is_key or isinstance(spot.node.value, dict) else spot.node.place
                groups.setdefault((place, spot.path), []).append((detail, spot.node, spot.shapes))
        for (place, at), group in groups.items():
            self.report.add(place, at, self._sentence(group))

    def _missing(self, detail: Mapping[str, Any], spot: "_Spot") -> None:
        key = str(detail["loc"][-1])
        models = [shape for shape, _ in spot.shapes if isinstance(shape, type) and issubclass(shape, BaseModel)]
        field = next((fields_of(model)[key] for model in models if key in fields_of(model)), None)
        self.report.add(spot.node.key, join(spot.path, key), missing_key(key, field.description if field else None))

    def _sentence(self, group: list[tuple[Mapping[str, Any], Node, list[Shape]]]) -> str:
        """One sentence for all that is wrong at one place: a union gives an error for each of its alternatives."""
        _, node, _ = group[0]
        is_hidden = id(node) in self._hidden or has_reference(node.text)
        wanted = [expected(detail, shapes, node) for detail, _, shapes in group]
        sentences = [other(detail) for (detail, _, _), want in zip(group, wanted, strict=True) if want is None]
        if sentences:
            return self.without_secrets("; or: ".join(dict.fromkeys(sentences)), node)
        either = " or ".join(dict.fromkeys(want for want in wanted if want is not None))
        return f"found {found(node, is_secret=is_hidden)}; expected {either}" + hint(node, either, is_secret=is_hidden)

    def without_secrets(self, sentence: str, node: Node) -> str:
        """A plug-in's sentence about options, without the values that references in them stand for."""
        texts = [it.text for it, _ in _scalars(node, "") if has_reference(it.text)]
        clean = self.secrets_of(node).without(sentence, texts)
        if clean is not None:
            return clean
        return f"what {' and '.join(dict.fromkeys(texts))} stands for is refused; look at its value"


class _Filling:
    """The plain values of a part of the file, references resolved and secrets wrapped."""

    def __init__(self, reader: Reader, lacks: list[str] | None) -> None:
        self._reader = reader
        self._lacks = lacks
        self.failed: set[int] = set()  # ids of the nodes whose references could not be resolved

    def value(self, node: Node, shapes: list[Shape], path: str) -> Any:
        """The value of a node. An unknown key's may be a secret whose name was mistyped: it is not shown."""
        if isinstance(node.value, dict):
            for key, child in node.value.items():
                if has_reference(key):
                    said = "a key is plain text, and ${…} in it stands for nothing else; write the key out"
                    self._reader.report.add(child.key, path, said)
            return {key: self.value(child, below(shapes, key), join(path, key)) for key, child in node.value.items()}
        if isinstance(node.value, list):
            return [self.value(it, below(shapes, at), f"{path}[{at}]") for at, it in enumerate(node.value)]
        has_secret = is_secret(shapes)
        if has_secret or not shapes:
            self._reader.hide(node)
        if not isinstance(node.value, str):
            return node.value
        if has_secret:
            self._reader.secrets_of(node).withhold_from_commands(node.value)
        text = self._resolve(node, path) if has_reference(node.value) else node.value
        # A reference in a list is a command's argument, and may be a password all the same.
        if id(node) not in self.failed and (has_secret or (has_reference(node.value) and path.endswith("]"))):
            self._reader.secrets_of(node).guarded.add(text)
        return SecretStr(text) if has_secret else text

    def _resolve(self, node: Node, path: str) -> str:
        reader = self._reader
        try:
            return reader.secrets_of(node).resolve(node.text)
        except SecretError as error:
            self.failed.add(id(node))
            if error.is_missing and self._lacks is not None:
                self._lacks.append(str(error))
                return node.text
            reader.report.add(place_in(reader.report, node, error.offset), path, str(error))
            return node.text


class _Spot:
    """Follows pydantic's location down the file."""

    def __init__(self, node: Node, path: str, shapes: list[Shape]) -> None:
        self.node = node
        self.path = path
        self.shapes = shapes
        self.above: list[Shape] = shapes  # what is allowed one level up
        self.is_key = False  # it is the key that is wrong

    def follow(self, location: Sequence[str | int]) -> "_Spot":
        """As far as the file goes: parts that are not in it (names of alternatives) are skipped."""
        for part in location:
            if part == "[key]":
                self.is_key = True
                continue
            child: Node | None = None
            if isinstance(part, str):
                child, path = self.node.entries.get(part), join(self.path, part)
            elif part < len(self.node.items):
                child, path = self.node.items[part], f"{self.path}[{part}]"
            if child is not None:
                self.node, self.path = child, path
                self.above, self.shapes = self.shapes, below(self.shapes, part)
        return self


def _has_dollar(node: Node) -> bool:
    """Whether there may be a reference in it."""
    if isinstance(node.value, dict):
        return any(map(_has_dollar, node.value.values()))
    return any(map(_has_dollar, node.value)) if isinstance(node.value, list) else "${" in node.text


def _scalars(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    """Every scalar at or under a node, with its path."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from _scalars(child, join(path, key))
    elif isinstance(node.value, list):
        for at, child in enumerate(node.value):
            yield from _scalars(child, f"{path}[{at}]")
    else:
        yield node, path
