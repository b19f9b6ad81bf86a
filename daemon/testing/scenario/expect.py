"""`expect` of a scenario: what must hold, as it is written."""

from collections.abc import Collection, Sequence

from daemon.config.document import Node
from daemon.config.scenario_schema import ExpectKeys
from daemon.model.incident import OWN_RULES
from daemon.model.units import format_duration
from daemon.testing.scenario.model import Expectation
from daemon.testing.scenario.names import Scene

EXAMPLE = "{at: end, incidents: 0}"
_TIMES = ("at", "between")
_ALLOWED: dict[str, Collection[str]] = {
    "attempt": (*_TIMES, "attempt", "resource", "outcome", "verified", "would", "rule", "count", "never"),
    "incidents": ("at", "incidents", "rule"),
    "opened": (*_TIMES, "incident", "check", "subject", "opened"),
    "incident": (*_TIMES, "incident", "check", "subject", "state", "hold", "rule", "handed_over", "never"),
    "hold": (*_TIMES, "hold", "rule", "check", "subject", "never"),
}
"""What may stand in an expectation, by the first of these keys that it has."""


def read_expectations(scene: Scene, node: Node | None, path: str, text: str) -> Sequence[Expectation]:
    """The expectations in the file's order; `text` is the whole file. What is wrong is reported."""
    read = []
    for item, at in scene.items(node, path, EXAMPLE):
        keys = scene.linking.reader.keys(ExpectKeys, item, at).good
        if keys is None:
            continue
        _names(scene, item, at)
        if not _has_effect(scene, item, at, keys):
            continue
        first, last = _times(scene, item, at, keys)
        written = " ".join(text[item.span[0] : item.span[1]].split("#")[0].split())
        read.append(Expectation(keys=keys, first=first, last=last, place=item.place, text=written))
    return read


def _times(scene: Scene, node: Node, path: str, keys: ExpectKeys) -> tuple[float, float]:
    """The first and the last moment that count; the end is infinite."""
    if keys.at is not None:
        _note(scene, keys.at, node.entries["at"], f"{path}.at")
        return keys.at, keys.at
    if keys.between is None:
        return 0.0, float("inf")
    first, last = keys.between
    for at, moment in enumerate(keys.between):
        _note(scene, moment, node.entries["between"].items[at], f"{path}.between[{at}]")
    if last < first:
        said = f"{format_duration(last)} is before " + ("the end" if first == float("inf") else format_duration(first))
        scene.add(node.entries["between"].place, f"{path}.between", f"{said}; write the earlier moment first")
    return first, last


def _note(scene: Scene, moment: float, node: Node, path: str) -> None:
    if moment != float("inf"):
        scene.times.append((moment, node.place, path))


def _has_effect(scene: Scene, node: Node, path: str, keys: ExpectKeys) -> bool:
    """Refuse what says nothing, and keys that mean nothing beside the others."""
    what = next((kind for kind in _ALLOWED if kind in node.entries), None)
    if what is None:
        said = f"nothing is expected; write one of {', '.join(_ALLOWED)}"
        scene.add(node.place, path, said)
        return False
    wrong = {
        key: f"{key} has no effect beside {what}; leave it out" for key in node.entries if key not in _ALLOWED[what]
    }
    if keys.at is not None and keys.between is not None:
        wrong["between"] = "at and between are both here; write one of them"
    if keys.never and keys.count is not None:
        wrong["count"] = "never is count: 0 already; write one of them"
    if keys.incident is not None and keys.rule is not None:
        wrong["rule"] = "incident names the rule already; leave rule out"
    for key, said in wrong.items():
        scene.add(node.entries[key].key, f"{path}.{key}", said)
    return not wrong


def _names(scene: Scene, node: Node, path: str) -> None:
    names, entries = scene.names, node.entries
    types = scene.linking.types.remediations
    scene.known(entries.get("attempt"), f"{path}.attempt", "remediation", types)
    incident = entries.get("incident")
    if incident is None or incident.text not in OWN_RULES:
        scene.known(incident, f"{path}.incident", "rule", names.rules if names else None)
    scene.known(entries.get("rule"), f"{path}.rule", "rule", names.rules if names else None)
    scene.known(entries.get("check"), f"{path}.check", "check", names.checks if names else None)
    scene.resource(entries.get("resource"), f"{path}.resource")
    subject = entries.get("subject")
    if subject is not None and names is not None:
        rule = entries.get("incident") or entries.get("rule")
        checks = names.rules.get(rule.text, ()) if rule is not None else names.checks
        known = sorted({it for check in checks for it in scene.subjects.get(check, ())})
        scene.known(subject, f"{path}.subject", "subject", known)
