"""What a scenario may name: checks, samples, rules, remediations and resources of the rules that it tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.config.document import Node, Place
from daemon.config.linking import Linking
from daemon.config.setup import Setup
from daemon.config.wording import found
from daemon.engine.condition_error import did_you_mean
from daemon.errors import RemediationError
from daemon.model.check import Check, SampleSpec
from daemon.model.units import format_duration
from daemon.runtime.bindings import Bindings
from daemon.testing.scenario.model import is_same_resource

NODE = "node"


class Names:
    """Of all configurations that a scenario has, one after the other."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        self._setups = setups
        self._resources: dict[frozenset[tuple[str, frozenset[str]]], list[str]] = {}  # by subjects, as many have none
        self._bindings = [Bindings(setup, NODE) for setup in setups]
        self.checks: dict[str, Check] = {}
        self.rules: dict[str, set[str]] = {}  # the checks of each
        self.services = list(dict.fromkeys(name for setup in setups for name in setup.services))
        for setup in setups:
            self.checks.update(setup.checks)
            for rule in setup.rules:
                self.rules.setdefault(rule.name, set()).update(rule.checks)
        self.done = list(dict.fromkeys(step.remediation for it in setups for rule in it.rules for step in rule.steps))

    def samples(self, check: Check) -> Mapping[str, SampleSpec]:
        """The samples that a check may yield."""
        kind = self._setups[0].types.checks[check.type]
        return kind.samples_of(check.options)  # type: ignore[arg-type]  # its type's Options, which the model cannot name

    def resources(self, subjects: Mapping[str, Iterable[str]]) -> list[str]:
        """Everything that a step could touch, given the subjects that checks find."""
        key = frozenset((check, frozenset(names)) for check, names in subjects.items())
        if key not in self._resources:
            self._resources[key] = self._touched(subjects)
        return self._resources[key]

    def _touched(self, subjects: Mapping[str, Iterable[str]]) -> list[str]:
        found: dict[str, None] = {}
        for setup, bindings in zip(self._setups, self._bindings, strict=True):
            for rule in setup.rules:
                for step in rule.steps:
                    for check in rule.checks:
                        for subject in subjects.get(check, ()) if setup.checks[check].discovers else ("",):
                            try:
                                found[bindings.resource(step, setup.checks[check], subject)] = None
                            except RemediationError:  # not for this subject: it is said when it is proposed
                                continue
        return list(found)


@dataclass(kw_only=True, slots=True)
class Scene:
    """One scenario while it is read."""

    linking: Linking
    names: Names | None = None  # None: the rules cannot be used, so nothing that is named can be judged
    times: list[tuple[float, Place, str]] = field(default_factory=list)  # every time that is named, and where
    subjects: dict[str, set[str]] = field(default_factory=dict)  # by check, as far as they are named
    resources: list[str] = field(default_factory=list)

    def add(self, place: Place, path: str, text: str) -> None:
        """Note a problem."""
        self.linking.add(place, path, text)

    def items(self, node: Node | None, path: str, example: str) -> list[tuple[Node, str]]:
        """The parts of a list with their paths; nothing if there is none, which is reported unless it is not there."""
        if node is None:
            return []
        if not isinstance(node.value, list) or not node.value:
            said = f"found {found(node, is_secret=False)}; expected a list such as [{example}]"
            self.add(node.key if node.value is None else node.place, path, said)
        return [(item, f"{path}[{at}]") for at, item in enumerate(node.items)]

    def entries(self, node: Node | None, path: str, example: str) -> Mapping[str, Node]:
        """The parts of a mapping; nothing if there is none, which is reported unless it is not there."""
        if node is None:
            return {}
        if not isinstance(node.value, dict) or not node.value:
            said = f"found {found(node, is_secret=False)}; expected a mapping such as {example}"
            self.add(node.key if node.value is None else node.place, path, said)
        return node.entries

    def check(self, node: Node, path: str, name: str) -> Check | None:
        """A check by its name; None if it is not known, which is reported where the rules can be used."""
        if self.names is not None and name not in self.names.checks:
            self.linking.unknown(node.key, path, "check", name, self.names.checks)
        return self.names.checks.get(name) if self.names is not None else None

    def known(self, node: Node | None, path: str, what: str, known: Iterable[str] | None) -> None:
        """Report a name that stands for nothing; None: nobody knows what there is."""
        names = list(known or ())
        if node is not None and known is not None and node.text not in names:
            self.linking.unknown(node.place, path, what, node.text, names)

    def resource(self, node: Node | None, path: str) -> None:
        """Report a resource that no step of the rules touches."""
        if node is None or self.names is None or any(is_same_resource(it, node.text) for it in self.resources):
            return
        short = [it.removesuffix(f"@{NODE}") for it in self.resources]
        near = did_you_mean(node.text, short)
        listed = f"they touch {', '.join(short)}" if short else "there are none"
        self.add(
            node.place, path, f"no step of the rules touches {node.text}; {listed}" + (f"; {near}" if near else "")
        )

    def refuse_later(self, lasts: float) -> None:
        """Report every time that is after the end."""
        for seconds, place, path in self.times:
            if seconds > lasts:
                said = f"{format_duration(seconds)} is after the scenario's end, as it lasts {format_duration(lasts)}"
                self.add(place, path, f"{said}; make lasts longer or this sooner")
