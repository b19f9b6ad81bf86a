"""A rule's `steps`: what is tried, one after the other, and whether it can be done at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from daemon.config.document import Node, join
from daemon.config.link_checks import Checks
from daemon.config.link_services import Services
from daemon.config.linking import Linking
from daemon.config.schema import StepKeys
from daemon.config.secrets import has_reference
from daemon.config.shapes import Shape, below, fields_of, is_secret
from daemon.config.wording import found
from daemon.engine.condition import Condition
from daemon.errors import HealdError
from daemon.model.rule import Step
from daemon.model.service import Service
from daemon.model.target import Target

_MASK = "**********"


def link_steps(
    linking: Linking,
    node: Node | None,
    path: str,
    names: Sequence[str],
    checks: Checks,
    services: Services,
    compiled: Callable[[Node, str], Mapping[str, Condition]],
) -> tuple[Step, ...] | None:
    """Link the steps of a rule on the named checks; None if something is wrong with one, which is reported.

    `compiled` gives a condition for each of the checks, and reports what is wrong with it.
    """
    if node is None:
        return ()
    if not isinstance(node.value, list) or not node.value:
        said = f"found {found(node, is_secret=False)}; expected a list such as [restart: {{}}]"
        linking.add(node.key, path, f"{said}, or leave it out")
        return None
    steps: list[Step | None] = []
    for at, item in enumerate(node.items):
        step = _step(linking, item, f"{path}[{at}]", compiled)
        steps.append(step)
        if step is not None:
            where = item.entries[step.remediation]
            _try_resources(linking, step, where, join(f"{path}[{at}]", step.remediation), names, checks, services)
    return None if None in steps else tuple(step for step in steps if step is not None)


def _step(
    linking: Linking, node: Node, path: str, compiled: Callable[[Node, str], Mapping[str, Condition]]
) -> Step | None:
    if not isinstance(node.value, dict):
        example = node.text if node.text in linking.types.remediations else "restart"
        said = f"found {found(node, is_secret=False)}; expected a mapping such as {example}: {{}}"
        linking.add(node.place, path, said)
        return None
    chosen = linking.plugin_key(node, path, "remediations", "remediation", StepKeys)
    others = [key for key in node.entries if key not in fields_of(StepKeys)]
    read = linking.reader.keys(StepKeys, node, path, omit=others, defaults=linking.defaults.get("steps"))
    only_if = _only_if(linking, node, path, compiled) if "only_if" not in read.wrong else None
    if chosen is None:
        return None
    name, options_node = chosen
    kind = linking.types.remediations[name]
    options = linking.options(kind.options, options_node, join(path, name))
    keys = read.good
    if keys is None or options is None:
        return None
    return Step(
        remediation=name,
        options=options,
        key=step_key(name, options, options_node),
        tries=keys.tries,
        cooldown=keys.cooldown,
        settle=keys.settle,
        verify=keys.verify,
        timeout=keys.timeout,
        # What a remediation asks is waived by name only, at the step: no default does it for all.
        approval=keys.approval if keys.approval or "approval" in node.entries else None,
        only_if=only_if,
        asks=kind.asks,
    )


def _only_if(
    linking: Linking, node: Node, path: str, compiled: Callable[[Node, str], Mapping[str, Condition]]
) -> Mapping[str, Condition] | None:
    written = node.entries.get("only_if")
    if written is None:
        return None
    conditions = compiled(written, join(path, "only_if"))
    if any(it.rings for it in conditions.values()):
        said = (
            "count_of is for when and clear_when, which are judged at every run; a step is asked only when its turn is"
        )
        linking.add(written.place, join(path, "only_if"), said)
    return conditions


def step_key(remediation: str, options: BaseModel, node: Node) -> str:
    """A step's content as canonical JSON: its identity across edits, and in the store.

    Options that stand for their defaults are left out. References stand as they are written, secrets are masked.
    """
    dumped: dict[str, Any] = options.model_dump(mode="json", by_alias=True, exclude_defaults=True, fallback=str)
    for key, child in node.entries.items():
        shapes = below([(type(options), ())], key)
        written = _written(child, shapes)
        if written is not None and key in dumped:
            dumped[key] = written
    return f"{remediation} {json.dumps(dumped, sort_keys=True, ensure_ascii=False, separators=(',', ':'))}"


def _written(node: Node, shapes: list[Shape]) -> Any:
    """An option as the file has it, if it holds a reference or a secret; else None."""
    shown, has_any = _masked(node, shapes)
    return shown if has_any else None


def _masked(node: Node, shapes: list[Shape]) -> tuple[Any, bool]:
    if isinstance(node.value, dict):
        pairs = {key: _masked(child, below(shapes, key)) for key, child in node.value.items()}
        return {key: shown for key, (shown, _) in pairs.items()}, any(has for _, has in pairs.values())
    if isinstance(node.value, list):
        items = [_masked(child, below(shapes, at)) for at, child in enumerate(node.value)]
        return [shown for shown, _ in items], any(has for _, has in items)
    if has_reference(node.text):
        return node.text, True
    return (_MASK, True) if is_secret(shapes) else (node.value, False)


def _try_resources(
    linking: Linking, step: Step, node: Node, path: str, names: Sequence[str], checks: Checks, services: Services
) -> None:
    """Ask what the step would touch for each check: what cannot be told now never can."""
    resource: Callable[[Any, Target], str] = linking.types.remediations[step.remediation].resource
    for name in names:
        own = checks.services.get(name, "")
        is_broken = own in services.named and own not in services.services
        service = Service(name=own) if is_broken else services.services.get(own)
        if service is None and name in checks.services:
            continue  # there is no such service, which is reported
        target = Target(node=linking.node, check=name, service=service, managers=services.targets)
        try:
            resource(step.options, target)
        except HealdError as error:
            said = linking.reader.without_secrets(str(error), node)
            linking.add(node.key, path, f"this step could never act: {said}")
            return
        except Exception as error:  # noqa: BLE001  # a plug-in's own fault is an error of the step, not of the loader
            linking.add(node.key, path, f"{step.remediation} cannot say what it would touch: {type(error).__name__}")
            return
