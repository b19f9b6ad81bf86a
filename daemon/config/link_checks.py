"""`checks`: what is looked at, how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from daemon.config.breath import breathe
from daemon.config.document import Node, join
from daemon.config.link_services import Services, labels_of
from daemon.config.linking import Linking
from daemon.config.schema import CheckKeys
from daemon.config.shapes import fields_of
from daemon.config.times import times_fit
from daemon.engine.condition import Condition, OtherCheck
from daemon.engine.functions import EXAMPLES
from daemon.engine.syntax import KEYWORDS
from daemon.model.check import Check, SampleSpec
from daemon.protocols import CheckType

_LONGEST_TIMEOUT = 10.0  # seconds, where none is given (docs/judgement.md, defaults)
_VANISH_INTERVALS = 10
_LEAST_VANISH = 300.0  # seconds
_MOST_SUBJECTS = 1000


@dataclass(slots=True, kw_only=True)
class Checks:
    """The checks of a file, as far as they could be linked."""

    named: Mapping[str, Node]  # every one that the file names, in its order
    checks: dict[str, Check] = field(default_factory=dict)  # those without a problem of their own
    scopes: dict[str, OtherCheck] = field(default_factory=dict)  # as conditions see them, as far as that is known
    services: dict[str, str] = field(default_factory=dict)  # what every named check looks at, if a service
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)  # of every named check, inherited ones too
    shared: dict[tuple[str, str, int], Condition] = field(default_factory=dict)  # by text, type, id of the samples
    unclear: frozenset[str] = frozenset()  # those of which so much is wrong that no condition on them can be judged


def link_checks(linking: Linking, services: Services) -> Checks:
    """Link every check; what is wrong is reported."""
    nodes = linking.section("checks", "check", "{web: {tcp: {host: localhost, port: 80}}}")
    linked = Checks(named=nodes)
    for name, node in nodes.items():
        breathe()
        _Check(linking, name, node, linked).link(services)
    linked.unclear = frozenset(nodes) - frozenset(linked.scopes)
    return linked


class _Check:
    """One check while it is linked."""

    def __init__(self, linking: Linking, name: str, node: Node, linked: Checks) -> None:
        self._linking = linking
        self._name = name
        self._node = node
        self._path = join("checks", name)
        self._linked = linked

    def link(self, services: Services) -> None:
        """Put it among the linked ones; what is wrong is reported."""
        linking, node, path = self._linking, self._node, self._path
        is_good = _check_name(linking, node, path, self._name)
        if not linking.reader.is_mapping(node, path):
            return
        others = [key for key in node.entries if key not in fields_of(CheckKeys)]
        read = linking.reader.keys(CheckKeys, node, path, omit=others, defaults=linking.defaults.get("checks"))
        keys = read.model or CheckKeys()
        self._linked.labels[self._name] = labels = self._labels(keys, services)
        is_good = self._has_service(keys, services) and is_good and not read.wrong
        chosen = linking.plugin_key(node, path, "checks", "check type", CheckKeys)
        if chosen is None:
            return
        kind = linking.types.checks[chosen[0]]
        is_good = times_fit(linking, node, path, keys, read.wrong, kind) and is_good
        options = linking.options(kind.options, chosen[1], join(path, kind.name))
        if options is not None:
            self._see(kind, kind.samples_of(options), keys)
            if is_good:
                self._linked.checks[self._name] = _made(self._name, kind, options, keys, labels)
        elif not hasattr(kind.module, "samples"):
            self._see(kind, kind.samples, keys)

    def _see(self, kind: CheckType, samples: Mapping[str, SampleSpec], keys: CheckKeys) -> None:
        self._linked.scopes[self._name] = OtherCheck(
            type=kind.name, samples=samples, discovers=kind.discovers, every=keys.every
        )

    def _labels(self, keys: CheckKeys, services: Services) -> Mapping[str, str]:
        """Its own, then its service's, then the default ones: of one name the nearest counts."""
        layers = (self._linking.defaults.get("checks", {}), self._node.entries)
        default, own = (labels_of(layer["labels"]) if "labels" in layer else {} for layer in layers)
        return {**default, **services.labels.get(keys.service or "", {}), **own}

    def _has_service(self, keys: CheckKeys, services: Services) -> bool:
        if keys.service is None:
            return True
        self._linked.services[self._name] = keys.service
        if keys.service not in services.named:
            place = self._node.entries["service"].place
            path = join(self._path, "service")
            self._linking.unknown(place, path, "service", keys.service, services.named)
        return keys.service in services.named


def _check_name(linking: Linking, node: Node, path: str, name: str) -> bool:
    """Conditions name checks, so their names are identifiers."""
    if name in KEYWORDS or name in EXAMPLES:
        word = "keyword" if name in KEYWORDS else "function"
        linking.add(node.key, path, f"{name} is a {word} of conditions and cannot name a check; write {name}_check")
        return False
    if not (name.isascii() and name.isidentifier()) or len(name) > 100:
        said = (
            f"{name!r} cannot be the name of a check; write letters, digits and _, no digit first, such as api_health"
        )
        linking.add(node.key, path, said)
        return False
    return True


def _made(name: str, kind: CheckType, options: BaseModel, keys: CheckKeys, labels: Mapping[str, str]) -> Check:
    return Check(
        name=name,
        type=kind.name,
        options=options,
        every=keys.every,
        timeout=keys.timeout or min(_LONGEST_TIMEOUT, keys.every),
        retry_every=keys.retry_every or keys.every / 3,
        vanish_after=keys.vanish_after or max(_LEAST_VANISH, _VANISH_INTERVALS * keys.every),
        max_subjects=keys.max_subjects or _MOST_SUBJECTS,
        service=keys.service,
        labels=labels,
        discovers=kind.discovers,
    )
