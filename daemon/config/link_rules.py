"""`rules`: when something is wrong, and what is done about it."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from daemon.config.breath import breathe
from daemon.config.document import Node, join, place_in
from daemon.config.link_checks import Checks
from daemon.config.link_services import Services
from daemon.config.link_steps import link_steps
from daemon.config.linking import Linking
from daemon.config.schema import RuleKeys, SelectionKeys
from daemon.config.wording import found
from daemon.engine.condition import Condition, ConditionError, Scope, compile_condition
from daemon.engine.syntax import parse
from daemon.model.rule import Rule, Severity, Step
from daemon.model.settings import Settings

_WITHOUT_STEPS = {
    "limit": "there is nothing to limit",
    "relapse": "there is no ladder to go on with",
    "escalate_after": "nothing is held",
}
_FOR_INTERVALS = 2  # of the check (docs/judgement.md, defaults)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def link_rules(linking: Linking, checks: Checks, services: Services, settings: Settings) -> tuple[Rule, ...]:
    """Link every rule; what is wrong is reported."""
    nodes = linking.section("rules", "rule", "{api-down: {check: api, when: up == 0}}")
    rules = []
    for order, (name, node) in enumerate(nodes.items()):
        breathe()
        path = join("rules", name)
        linking.check_name(node, path, name, "rule")
        rule = _Rule(linking, name, node, path, checks, services).link(order, settings)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


class _Rule:
    """One rule while it is linked."""

    def __init__(self, linking: Linking, name: str, node: Node, path: str, checks: Checks, services: Services) -> None:
        self._linking = linking
        self._name = name
        self._node = node
        self._path = path
        self._checks = checks
        self._services = services

    def link(self, order: int, settings: Settings) -> Rule | None:
        """The rule; None if something of it is wrong."""
        linking, node, path = self._linking, self._node, self._path
        if not linking.reader.is_mapping(node, path):
            return None
        read = linking.reader.keys(
            RuleKeys, node, path, omit=["checks", "steps"], defaults=linking.defaults.get("rules")
        )
        names = self._names()
        steps = self._steps(names)
        self._refuse_idle(steps is not None and not steps)
        when, clear_when = self._conditions(read.wrong, names)
        keys = read.good
        if keys is None or steps is None or any(name not in self._checks.checks for name in names) or not when:
            return None
        every = {name: self._checks.checks[name].every for name in names}
        given: dict[str, Any] = {
            "limit": tuple(keys.limit) if keys.limit is not None else None,
            "relapse": keys.relapse,
            "escalate_after": settings.escalate_after if keys.escalate_after is None else keys.escalate_after,
        }
        return Rule(
            name=self._name,
            order=order,
            checks=tuple(names),
            when=when,
            for_seconds={name: every[name] * _FOR_INTERVALS if keys.for_ is None else keys.for_ for name in names},
            clear_when=clear_when,
            clear_for=keys.clear_for,
            severity=Severity(keys.severity),
            steps=steps,
            runbook=keys.runbook,
            summary=keys.summary,
            **{key: value for key, value in given.items() if value is not None},
        )

    def _steps(self, names: Sequence[str]) -> tuple[Step, ...] | None:
        node, path = self._node.entries.get("steps"), join(self._path, "steps")
        return link_steps(
            self._linking, node, path, names, self._checks, self._services, lambda it, at: self._compile(it, at, names)
        )

    def _conditions(
        self, wrong: Collection[str], names: Sequence[str]
    ) -> tuple[Mapping[str, Condition], Mapping[str, Condition] | None]:
        entries = self._node.entries
        has_when = "when" in entries and "when" not in wrong
        when = self._compile(entries["when"], join(self._path, "when"), names) if has_when else {}
        if "clear_when" not in entries or "clear_when" in wrong:
            return when, None
        if when and entries["clear_when"].text.split() == entries["when"].text.split():
            said = "clear_when is the same as when, so that the incident could never resolve; leave it out"
            self._linking.add(entries["clear_when"].place, join(self._path, "clear_when"), said)
        return when, self._compile(entries["clear_when"], join(self._path, "clear_when"), names)

    def _names(self) -> Sequence[str]:
        """The checks that it judges, in the file's order; nothing if that is reported."""
        one, several = self._node.entries.get("check"), self._node.entries.get("checks")
        linking, path, named = self._linking, self._path, self._checks.named
        if one is not None and several is not None:
            linking.add(several.key, join(path, "checks"), "check and checks are both here; write one of them")
            return ()
        if several is not None:
            return self._several(several, join(path, "checks"))
        if one is None:
            said = "the rule names no check; write check: NAME, checks: [NAME, ...] or checks: {labels: {NAME: VALUE}}"
            linking.add(self._node.key, path, said)
            return ()
        if not isinstance(one.value, str):
            return ()  # reported with the other keys
        if one.text not in named:
            linking.unknown(one.place, join(path, "check"), "check", one.text, named)
            return ()
        return (one.text,)

    def _several(self, node: Node, path: str) -> Sequence[str]:
        linking, named = self._linking, self._checks.named
        if isinstance(node.value, dict):
            return self._selected(node, path)
        if not isinstance(node.value, list) or not node.value:
            said = f"found {found(node, is_secret=False)}; expected a list of checks, or {{labels: {{NAME: VALUE}}}}"
            linking.add(node.key if node.value is None else node.place, path, said)
            return ()
        for at, item in enumerate(node.items):
            if not isinstance(item.value, str):
                said = f"found {found(item, is_secret=False)}; expected the name of a check"
                linking.add(item.place, f"{path}[{at}]", said)
                return ()
        good = linking.names(node, path, "check", named)
        return [name for name in named if name in good] if len(good) == len(node.items) else ()

    def _selected(self, node: Node, path: str) -> Sequence[str]:
        selection = self._linking.reader.keys(SelectionKeys, node, path).good
        if selection is None:
            return ()
        wanted = selection.labels.items()
        every = self._checks.labels
        names = [name for name in self._checks.named if wanted <= dict(every.get(name, {})).items()]
        if not names:
            labels = sorted({f"{key}: {value}" for of_one in every.values() for key, value in of_one.items()})
            has = f"checks have {', '.join(labels)}" if labels else "no check has labels"
            self._linking.add(node.entries["labels"].key, join(path, "labels"), f"no check has all these labels; {has}")
        return names

    def _refuse_idle(self, has_no_steps: bool) -> None:
        for key, why in _WITHOUT_STEPS.items():
            if has_no_steps and key in self._node.entries:
                said = f"{key} has no effect on a rule without steps, as {why}; leave it out"
                self._linking.add(self._node.entries[key].key, join(self._path, key), said)

    def _compile(self, node: Node, path: str, names: Sequence[str]) -> Mapping[str, Condition]:
        """The condition for each check. If the samples of one that it names are unknown, only grammar counts."""
        text, unclear = node.text, self._checks.unclear
        compiled: dict[str, Condition] = {}
        words = set(_WORD.findall(text))
        clear = [name for name in names if name not in unclear and not words & unclear]
        try:
            for name in clear:
                breathe()
                compiled[name] = self._compile_for(name, text)
            if not clear:
                parse(text)
        except ConditionError as error:
            self._linking.add(place_in(self._linking.reader.report, node, error.position), path, str(error))
        return compiled

    def _compile_for(self, name: str, text: str) -> Condition:
        """The condition for one check; checks of one kind share those that say nothing else of it: 2 KB each."""
        scope, shared = self._checks.scopes[name], self._checks.shared
        key = (text, scope.type, id(scope.samples))  # which the scopes keep
        if (known := shared.get(key)) is not None:
            return known
        others = self._checks.scopes
        made = compile_condition(text, Scope(check=name, type=scope.type, samples=scope.samples, others=others))
        if made.fits_all:
            shared[key] = made
        return made
