"""The times of a check, against each other: what contradicts itself, and what can have no effect."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from daemon.config.document import Node, Place, join
from daemon.config.linking import Linking
from daemon.config.schema import CheckKeys
from daemon.model.units import format_duration
from daemon.protocols import CheckType

_OF_DISCOVERED = ("vanish_after", "max_subjects")


class _Pair(NamedTuple):
    """A time that must fit `every`."""

    key: str
    is_wrong: Callable[[float, float], bool]  # of the time and every
    is_said: str  # how it is wrong
    why: str  # it may not be
    bound: str


_PAIRS = (
    _Pair("retry_every", lambda time, every: time > every, "longer", ", and is to be sooner", "at most"),
    _Pair("vanish_after", lambda time, every: time < every, "shorter", ", the time between two looks", "at least"),
)


def times_fit(
    linking: Linking, node: Node, path: str, keys: CheckKeys, wrong: Collection[str], kind: CheckType
) -> bool:
    """Refuse times that contradict each other, and settings at the check that have no effect."""
    is_good = True
    for place, at, said in (*_contradictions(linking, node, path, keys, wrong, kind), *_idle(node, path, kind)):
        linking.add(place, at, said)
        is_good = False
    return is_good


def _idle(node: Node, path: str, kind: CheckType) -> Iterator[tuple[Place, str, str]]:
    if not kind.discovers:
        idle = f"has no effect, as {kind.name} has one subject and discovers none; leave it out"
        for key in _OF_DISCOVERED:
            if key in node.entries:
                yield node.entries[key].key, join(path, key), f"{key} {idle}"


def _contradictions(
    linking: Linking, node: Node, path: str, keys: CheckKeys, wrong: Collection[str], kind: CheckType
) -> Iterator[tuple[Place, str, str]]:
    own, defaults = node.entries, linking.defaults.get("checks", {})
    every = format_duration(keys.every)
    for pair in _PAIRS:
        time = getattr(keys, pair.key)
        if time is None or "every" in wrong or not pair.is_wrong(time, keys.every):
            continue
        more = f"{format_duration(time)} is {pair.is_said} than every ({every}{_origin(linking, own, defaults)})"
        sentence = f"{more}{pair.why}; write {pair.bound} {every}"
        if pair.key in own:
            if pair.key in _OF_DISCOVERED and not kind.discovers:
                continue  # said already: it has no effect
            yield own[pair.key].place, join(path, pair.key), sentence
        elif "every" in defaults and "every" not in own:  # of every check the same, and so said once
            yield defaults[pair.key].place, join("defaults.checks", pair.key), sentence
        elif kind.discovers or pair.key not in _OF_DISCOVERED:
            where = linking.reader.report.shown(defaults[pair.key].key)
            said = f"{pair.key}, by default {format_duration(time)} ({where}), is {pair.is_said} than every ({every})"
            place, at = (own["every"].place, join(path, "every")) if "every" in own else (node.key, path)
            yield place, at, f"{said}{pair.why}; write another every or {pair.key} here"


def _origin(linking: Linking, own: Mapping[str, Node], defaults: Mapping[str, Node]) -> str:
    """Where `every` comes from, if not from the check."""
    if "every" in own or "every" not in defaults:
        return ""
    return f", by default, {linking.reader.report.shown(defaults['every'].key)}"
