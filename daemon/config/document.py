"""A YAML document as a tree of plain values in which every key and value knows its place."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from daemon.config.breath import breathe
from daemon.config.offsets import source_index
from daemon.config.reading import at, whole
from daemon.config.report import Report
from daemon.config.scalars import ScalarError, Value, read_plain
from daemon.config.yaml_errors import explain

DEEPEST = 50
"""Levels of nesting that a file may have; rules need ten."""
MOST_REPEATED = 10_000
"""Nodes that aliases may repeat, all together: an alias bomb has billions."""

_WORD = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_SPECIAL_KEYS = {"<<": "merge keys (<<) are not allowed; write the keys out"}


class Place(NamedTuple):
    """A place in a file, 1-based."""

    line: int
    column: int
    file: int = 0  # the file's place in the order of reading; 0 is the main one


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A value of the file: a scalar, a mapping by key or a list."""

    value: Value | dict[str, "Node"] | list["Node"]
    place: Place  # where the value begins
    key: Place  # where the key that names it begins; in a list and at the top the value's own place
    text: str = ""  # of a scalar: the word as written, whatever it stands for
    style: str | None = None  # of a scalar: None plain, ' " | >
    span: tuple[int, int] = (0, 0)  # 0-based indices of the value in the file's text

    @property
    def entries(self) -> dict[str, "Node"]:
        """A mapping's values by key; nothing if it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list["Node"]:
        """A list's values; nothing if it is no list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True, kw_only=True)
class Document:
    """One file."""

    path: Path
    root: Node
    report: Report  # of this file, and of those that are read with it


def place_in(report: Report, node: Node, offset: int) -> Place:
    """The place of a character of a scalar's value, as exactly as its style allows."""
    (start, end), file = node.span, node.place.file
    index = start + source_index(report.text(file)[start:end], node.style, node.text, offset)
    return Place(*report.place(index, file), file)


class _Loader(yaml.CSafeLoader):
    """Composes nodes without guessing what their words stand for: a tag that is not empty was written in the file."""

    def resolve(self, kind: object, value: object, implicit: object) -> str:
        """No tag."""
        breathe()
        return ""


def parse_document(path: Path, text: str, report: Report | None = None) -> Document:
    """The tree of a text. What single values have wrong is in the document's report.

    Args:
        path: the file.
        text: what stands in it.
        report: of the files that it is read with; by default one of its own.

    Raises:
        ConfigError: it is no YAML document, or nothing that a file of rules may be.
    """
    try:
        top = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        index, said = explain(error, text)
        raise at(path, text, index, said) from None
    except yaml.YAMLError as error:  # the reader's: no text gets here that it cannot read
        raise whole(path, str(error).splitlines()[0]) from None
    if top is None:
        raise whole(path, "the file is empty; it begins with version: 1")
    report = Report() if report is None else report
    walk = _Walk(path, text, report, report.open(path, text))
    return Document(path=path, root=walk.node(top, None, ".", 0), report=report)


@dataclass(slots=True)
class _Walk:
    """From the parser's nodes to ours."""

    path: Path
    text: str
    report: Report
    file: int
    repeated: int = 0
    open: set[int] = field(default_factory=set)  # ids of the collections that we are in
    seen: set[int] | None = None  # ids of all collections; None: the text has no anchor, so nothing can be repeated

    def __post_init__(self) -> None:
        if "&" in self.text:
            self.seen = set()

    def node(self, node: Any, key: Place | None, path: str, depth: int) -> Node:
        breathe()
        mark = node.start_mark
        place = Place(mark.line + 1, mark.column + 1, self.file)
        if self.seen is not None:
            self._count(node)
        if node.tag:
            self.report.add(place, path, f"the tag {_tag(node.tag)} is not allowed; leave it out")
        made = Node(value=None, place=place, key=key or place, style=None, span=(mark.index, node.end_mark.index))
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, made, path)
            return made
        if depth >= DEEPEST:
            raise at(self.path, self.text, mark.index, f"nested deeper than {DEEPEST} levels")
        if self.seen is not None:
            self.open.add(id(node))
        made.value = (
            self._mapping(node, path, depth)
            if isinstance(node, yaml.MappingNode)
            else [
                self.node(item, None, f"{path if path != '.' else ''}[{place}]", depth + 1)
                for place, item in enumerate(node.value)
            ]
        )
        self.open.discard(id(node))
        if self.seen is None:
            node.value = ()  # nobody looks at it again, and all at once at the end it would take long to free
        return made

    def _scalar(self, node: Any, made: Node, path: str) -> None:
        made.text, made.style, made.value = node.value, node.style or None, node.value
        found = _PROPERTIES.match(self.text, *made.span) if self.text[made.span[0] : made.span[0] + 1] in "&!" else None
        if found:  # the parser's place is that of the anchor before the value
            made.span = (found.end(), made.span[1])
            made.place = Place(*self.report.place(found.end(), self.file), self.file)
        if made.style is None:
            try:
                made.value = read_plain(node.value)
            except ScalarError as error:
                self.report.add(made.place, path, str(error))

    def _mapping(self, node: Any, path: str, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in node.value:
            mark = key.start_mark
            place = Place(mark.line + 1, mark.column + 1, self.file)
            if not isinstance(key, yaml.ScalarNode):
                self.report.add(place, path, "a list or a mapping cannot be a key; write a word")
                continue
            name = key.value
            below = join(path, name)
            if key.tag:
                self.report.add(place, below, f"the tag {_tag(key.tag)} is not allowed; leave it out")
            if name in _SPECIAL_KEYS and not key.style:
                self.report.add(place, below, _SPECIAL_KEYS[name])
                continue
            child = self.node(value, place, below, depth + 1)
            if name in entries:
                first = entries[name].key
                said = f"the key {name} is here a second time; it is on line {first.line} already, so leave one out"
                self.report.add(place, below, said)
                continue
            entries[name] = child
        return entries

    def _count(self, node: Any) -> None:
        """Refuse what contains itself, and aliases that repeat too much."""
        if id(node) in self.open:
            raise at(self.path, self.text, node.start_mark.index, "this contains itself by an alias; write it out")
        assert self.seen is not None  # noqa: S101  # the caller asked
        if id(node) in self.seen:
            self.repeated += 1
        self.seen.add(id(node))
        if self.repeated > MOST_REPEATED:
            said = f"aliases repeat more than {MOST_REPEATED} values, this one among them; write them out"
            raise at(self.path, self.text, node.start_mark.index, said)


def join(path: str, key: str) -> str:
    """The path of a key in a mapping."""
    if _WORD(key):
        return key if path == "." else f"{path}.{key}"
    return f'["{key}"]' if path == "." else f'{path}["{key}"]'


def _tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
