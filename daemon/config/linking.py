"""What the parts of a file share while they are linked: the reader, the plug-ins, and how a plug-in's key is found."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from daemon.config.document import Node, Place, join
from daemon.config.setup import Types
from daemon.config.shapes import fields_of
from daemon.config.validation import Reader
from daemon.config.wording import found
from daemon.engine.condition_error import did_you_mean
from daemon.model.connection import Connection
from daemon.plugin import ConnectionOf

Model = TypeVar("Model", bound=BaseModel)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


@dataclass(kw_only=True, slots=True)
class Connections:
    """The connections of a file, as far as they could be linked."""

    connections: dict[str, Connection] = field(default_factory=dict)  # those without a problem of their own
    kinds: dict[str, str | None] = field(default_factory=dict)  # of every one that the file names; None: not known


@dataclass(frozen=True, kw_only=True, slots=True)
class Linking:
    """What linking needs, whatever the part."""

    reader: Reader
    types: Types
    node: str  # this host's name, for resources that are local
    roots: Sequence[Node]  # of the files, the main one first
    defaults: dict[str, Mapping[str, Node]] = field(default_factory=dict)  # of checks, rules, steps: good ones by key
    connections: Connections = field(default_factory=Connections)  # filled before anything can name one

    def add(self, place: Place, path: str, text: str) -> None:
        """Note a problem."""
        self.reader.report.add(place, path, text)

    def section(self, name: str, what: str, example: str, roots: Sequence[Node] | None = None) -> Mapping[str, Node]:
        """The parts of a section by name, from every file; nothing if it is not there or no mapping.

        Args:
            name: of the section.
            what: one part of it is called.
            example: of the section, for who wrote something else.
            roots: the files that may have it, by default all.
        """
        parts: dict[str, Node] = {}
        for root in self.roots if roots is None else roots:
            node = root.entries.get(name)
            if node is None:
                continue
            if not isinstance(node.value, dict):
                said = f"found {found(node, is_secret=False)}; expected a mapping such as {example}"
                self.add(node.key if node.value is None else node.place, name, f"{said}, or leave it out")
            for key, part in node.entries.items():
                first = parts.setdefault(key, part)
                if first is not part:
                    where = self.reader.report.shown(first.key)
                    said = f"a second {what} named {key}; the first is at {where}, so rename one or leave it out"
                    self.add(part.key, join(name, key), said)
        return parts

    def check_name(self, node: Node, path: str, name: str, what: str) -> None:
        """Report a name that has other signs than letters, digits, _ and -."""
        if not _NAME.fullmatch(name):
            said = f"{name!r} cannot be the name of a {what}; write letters, digits, - and _, at most 100"
            self.add(node.key, path, said)

    def unknown(self, place: Place, path: str, what: str, name: str, known: Collection[str]) -> None:
        """Report a name that stands for nothing."""
        near = did_you_mean(name, known)
        listed = f"there are {', '.join(known)}" if known else "the file has none"
        self.add(place, path, f"there is no {what} {name}; {listed}" + (f"; {near}" if near else ""))

    def names(self, node: Node | None, path: str, what: str, known: Collection[str]) -> list[str]:
        """The names of a list that were already validated as texts: each must be known, and there once."""
        good: list[str] = []
        for place, item in enumerate(node.items if node else ()):
            name, at = item.text, f"{path}[{place}]"
            if name in good:
                self.add(item.place, at, f"{name} is there twice; leave one out")
            elif name not in known:
                self.unknown(item.place, at, what, name, known)
            else:
                good.append(name)
        return good

    def options(self, model: type[Model], node: Node, path: str) -> Model | None:
        """A plug-in's options, and whether the file has the connections that they name; None if that is reported."""
        options = self.reader.options(model, node, path)
        if options is None:
            return None
        is_good = True
        for key, option in fields_of(model).items():
            kind = next((it.kind for it in option.metadata if isinstance(it, ConnectionOf)), None)
            if kind is not None and key in node.entries:
                is_good = self._has_connection(node.entries[key], join(path, key), kind) and is_good
        return options if is_good else None

    def _has_connection(self, node: Node, path: str, kind: str) -> bool:
        """Whether the file has the connection that an option names; of another kind is as bad as none."""
        name, kinds = node.text, self.connections.kinds
        if kinds.get(name, "") in (kind, None):
            return True
        fitting = [it for it, other in kinds.items() if other == kind]
        listed = (
            f"of the kind {kind} there are {', '.join(fitting)}" if fitting else f"the file has none of kind {kind}"
        )
        if name in kinds:
            said = f"the connection {name} is of the kind {kinds[name]}, and this needs {kind}; {listed}"
            near = None
        else:
            said = f"there is no connection {name}; {listed}"
            near = did_you_mean(name, fitting or list(kinds))
        self.add(node.place, path, said + (f"; {near}" if near else ""))
        return False

    def plugin_key(
        self, node: Node, path: str, kind: str, what: str, common: type[BaseModel] | None
    ) -> tuple[str, Node] | None:
        """The one key of a mapping that names a plug-in, with its options; None if that is reported.

        Args:
            kind: the plug-ins' kind, as a field of Types.
            what: what they are called in sentences.
            common: the keys that may stand beside it.
        """
        types: Mapping[str, object] = getattr(self.types, kind)
        shared = list(fields_of(common)) if common else []
        named = [key for key in node.entries if key in types or f"{kind}.{key}" in self.types.unavailable]
        unknown = [key for key in node.entries if key not in named and key not in shared]
        for key in unknown:
            near = did_you_mean(key, [*shared, *types])
            allowed = f"allowed are {', '.join(shared)} and one {what}" if shared else f"allowed is one {what}"
            said = f"the key {key} is not known; {allowed}: {', '.join(types)}" + (f"; {near}" if near else "")
            self.add(node.entries[key].key, join(path, key), said)
        if not named:
            if not unknown:
                self.add(node.key, path, f"there is no {what} here; write one of {', '.join(types)}")
            return None
        for key in named[1:]:
            said = f"a second {what} {key} beside {named[0]}; exactly one is allowed, so leave one out"
            self.add(node.entries[key].key, join(path, key), said)
        why = self.types.unavailable.get(f"{kind}.{named[0]}")
        if why:
            self.add(node.entries[named[0]].key, join(path, named[0]), f"{why}; install it beside heald")
        return None if why or len(named) > 1 or unknown else (named[0], node.entries[named[0]])
