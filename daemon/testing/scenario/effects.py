"""`effects` of a scenario: what attempts do in its world."""

from collections.abc import Sequence

from daemon.config.document import Node, join
from daemon.config.scenario_schema import EffectKeys
from daemon.model.remediation import AttemptState
from daemon.testing.scenario.model import Deed, Sight
from daemon.testing.scenario.names import Scene
from daemon.testing.scenario.readings import read_change

EXAMPLE = "{remediation: restart, then: {api_health: {up: 1}}}"
_TAKES = 1.0  # seconds that an effect takes where nothing is said


def read_changes(scene: Scene, node: Node | None, path: str) -> None:
    """Learn which subjects effects bring, before resources are known; what is wrong is reported when they are read."""
    for item in node.items if node is not None else ():
        for name, change in item.entries["then"].entries.items() if "then" in item.entries else ():
            if "subjects" in change.entries:
                scene.subjects.setdefault(name, set()).update(change.entries["subjects"].entries)


def read_effects(scene: Scene, node: Node | None, path: str) -> Sequence[Deed]:
    """What attempts do, in the file's order; what is wrong is reported."""
    deeds: list[Deed] = []
    seen: dict[tuple[str, str | None, int | None], str] = {}
    for item, at in scene.items(node, path, EXAMPLE):
        read = scene.linking.reader.keys(EffectKeys, item, at, omit=["then"])
        then = _then(scene, item.entries.get("then"), f"{at}.then")
        _names(scene, item, at)
        keys = read.good
        if keys is None:
            continue
        named = (keys.remediation, keys.resource, keys.nth)
        if named in seen:
            scene.add(item.place, at, f"this never happens, as {seen[named]} is of the same attempts; leave one out")
        seen.setdefault(named, at)
        if keys.outcome == "hangs" and keys.takes is not None:
            said = "takes has no effect on what hangs: it is ended at the step's timeout; leave it out"
            scene.add(item.entries["takes"].key, f"{at}.takes", said)
        deeds.append(_deed(keys, then))
    return deeds


def _names(scene: Scene, node: Node, path: str) -> None:
    known = scene.names.done if scene.names is not None else None
    remediation = node.entries.get("remediation")
    scene.known(remediation, f"{path}.remediation", "step with the remediation", known)
    scene.resource(node.entries.get("resource"), f"{path}.resource")


def _then(scene: Scene, node: Node | None, path: str) -> dict[str, Sight]:
    changes: dict[str, Sight] = {}
    for name, child in scene.entries(node, path, "{api_health: {up: 1}}").items():
        sight = read_change(scene, child, join(path, name), name)
        if sight is not None:
            changes[name] = sight
    return changes


def _deed(keys: EffectKeys, then: dict[str, Sight]) -> Deed:
    takes = _TAKES if keys.takes is None else keys.takes
    return Deed(
        remediation=keys.remediation,
        resource=keys.resource,
        nth=keys.nth,
        begins=keys.begins,
        takes=float("inf") if keys.outcome == "hangs" else takes,
        state=AttemptState.SUCCEEDED if keys.outcome == "succeeded" else AttemptState.FAILED,
        permanent=keys.outcome == "permanent",
        then=then,
    )
