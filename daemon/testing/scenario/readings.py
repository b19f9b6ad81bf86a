"""`readings` of a scenario, and what effects make of them: what checks see."""

from collections.abc import Mapping, Sequence

from daemon.config.document import Node, join
from daemon.config.scenario_schema import LookKeys, StageKeys
from daemon.config.wording import found
from daemon.engine.samples import read_sample
from daemon.engine.values import named
from daemon.model.check import Check, Dimension, Reading, Sample, SampleSpec
from daemon.model.units import format_duration
from daemon.testing.scenario.model import Sight, Stage
from daemon.testing.scenario.names import Scene

_SEEN = ("samples", "subjects", "unknown")


def read_readings(scene: Scene, node: Node | None, path: str) -> dict[str, Sequence[Stage]]:
    """What each check sees, by name; what is wrong is reported."""
    example = "{api_health: [{from: 0s, samples: {up: 1}}]}"
    read: dict[str, Sequence[Stage]] = {}
    for name, child in scene.entries(node, path, example).items():
        at = join(path, name)
        check = scene.check(child, at, name)
        stages: list[Stage] = []
        before: float | None = None
        for item, place in scene.items(child, at, "{from: 0s, samples: {up: 1}}"):
            keys = scene.linking.reader.keys(StageKeys, item, place, omit=["look", *_SEEN[:2]]).model
            stage = _stage(scene, item, place, check, keys) if keys is not None else None
            if keys is not None and before is not None and keys.from_ <= before:
                said = f"{format_duration(keys.from_)} is not after {format_duration(before)}, the time before it"
                scene.add(item.entries["from"].place, f"{place}.from", f"{said}; the times of a check ascend")
            before = keys.from_ if keys is not None else before
            stages += [stage] if stage is not None else []
        read[name] = stages
    return read


def _stage(scene: Scene, node: Node, path: str, check: Check | None, keys: StageKeys) -> Stage | None:
    scene.times.append((keys.from_, node.entries["from"].place, f"{path}.from"))
    sight = _sight(scene, node, path, check, keys)
    look: Sight | None = None
    if "look" in node.entries:
        child, at = node.entries["look"], f"{path}.look"
        look_keys = scene.linking.reader.keys(LookKeys, child, at, omit=_SEEN[:2]).model
        look = _sight(scene, child, at, check, look_keys) if look_keys is not None else None
    return Stage(at=keys.from_, sight=sight, look=look) if sight is not None else None


def _sight(scene: Scene, node: Node, path: str, check: Check | None, keys: LookKeys) -> Sight | None:
    if not isinstance(node.value, dict):
        return None  # reported with its keys
    said = [key for key in _SEEN if key in node.entries]
    if len(said) != 1:
        if said:
            text = f"{' and '.join(said)} are both here; write one of them"
            scene.add(node.entries[said[1]].key, join(path, said[1]), text)
        else:
            scene.add(node.place, path, "nothing says what is seen; write samples, subjects or unknown")
        return None
    if said == ["unknown"]:  # an empty one is reported with the keys
        return Sight(seen=keys.unknown, takes=keys.takes) if keys.unknown else None
    if check is None:
        return None
    readings = _readings(scene, node.entries[said[0]], join(path, said[0]), check, said[0])
    return Sight(seen=readings, takes=keys.takes) if readings is not None else None


def read_change(scene: Scene, node: Node, path: str, name: str) -> Sight | None:
    """What an effect makes a check see: samples by name, or `subjects`."""
    check = scene.check(node, path, name)
    entries = scene.entries(node, path, "{up: 1}")
    if check is None or not entries:
        return None
    if "subjects" not in entries:
        readings = _readings(scene, node, path, check, "samples")
    elif len(entries) > 1:
        other = next(it for it in entries if it != "subjects")
        said = f"{other} and subjects are both here; write samples, or subjects alone"
        scene.add(entries[other].key, join(path, other), said)
        return None
    else:
        readings = _readings(scene, entries["subjects"], join(path, "subjects"), check, "subjects")
    return Sight(seen=readings) if readings is not None else None


def _readings(scene: Scene, node: Node, path: str, check: Check, said: str) -> Sequence[Reading] | None:
    wanted = "subjects" if check.discovers else "samples"
    if said != wanted:
        why = "finds its subjects itself" if check.discovers else "has one subject and names none"
        example = "subjects: {NAME: {up: 1}}" if check.discovers else "samples: {up: 1}"
        scene.add(node.key, path, f"{check.name} is of the type {check.type}, which {why}; write {example}")
        return None
    if not isinstance(node.value, dict):
        scene.add(node.place, path, f"found {found(node, is_secret=False)}; expected a mapping such as {{}}")
        return None
    if said == "samples":
        return (Reading(samples=_samples(scene, node, path, check)),)
    scene.subjects.setdefault(check.name, set()).update(node.entries)
    readings = []
    for subject, child in node.entries.items():
        at = join(path, subject)
        if scene.linking.reader.is_mapping(child, at):
            readings.append(Reading(subject=subject, samples=_samples(scene, child, at, check)))
    return tuple(readings)


def _samples(scene: Scene, node: Node, path: str, check: Check) -> Mapping[str, Sample]:
    specs = scene.names.samples(check) if scene.names is not None else {}
    samples: dict[str, Sample] = {}
    for name, child in node.entries.items():
        at = join(path, name)
        if name not in specs:
            scene.linking.unknown(child.key, at, f"sample of {check.name}", name, specs)
            continue
        try:
            samples[name] = _sample(specs[name], child)
        except ValueError as error:
            scene.add(child.place, at, str(error))
    return samples


def _sample(spec: SampleSpec, node: Node) -> Sample:
    """A sample's value; a bare number is in the sample's own unit. Raises ValueError."""
    is_word = spec.dimension in (Dimension.STRING, Dimension.BOOLEAN)
    kind = {Dimension.STRING: str, Dimension.BOOLEAN: bool}.get(spec.dimension, (int, float, str))
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if not isinstance(node.value, kind) or (isinstance(node.value, bool) and spec.dimension is not Dimension.BOOLEAN):
        hint = f'; write "{node.text}"' if spec.dimension is Dimension.STRING and is_number else ""
        raise ValueError(f"found {found(node, is_secret=False)}, and {spec.name} is {named(spec.dimension)}{hint}")
    if isinstance(node.value, str | bool) and is_word:
        return node.value
    return read_sample(spec, node.text)
