"""Advice on limits that nothing ever reaches: another one, or a cooldown, always holds before."""

import math
from collections.abc import Iterable, Sequence

from daemon.config.advice import Notes
from daemon.config.document import Node, join
from daemon.errors import RemediationError
from daemon.model.rule import Limit, Rule
from daemon.model.target import Target
from daemon.model.units import format_duration


def lint_limits(notes: Notes) -> None:
    """The limits that the file itself writes; defaults are nobody's mistake."""
    for rule in notes.setup.rules:
        node = notes.node("rules", rule.name, "limit")
        if node is not None:
            _rule_limits(notes, rule, node)
    for name, service in notes.setup.services.items():
        node = notes.node("services", name, "limit")
        if node is not None and service.limit is not None:
            _service_limits(notes, name, service.limit, node)


def most(limit: Limit, window: float) -> int:
    """The most attempts that a limit permits in any window of so many seconds."""
    return limit.count * math.ceil(window / limit.window)


def _rule_limits(notes: Notes, rule: Rule, node: Node) -> None:
    resources = _resources(notes, rule)
    cooldown = min((step.cooldown[0] for step in rule.steps), default=0.0)
    for at, limit in enumerate(rule.limit):
        others = [it for place, it in enumerate(rule.limit) if place != at]
        why = _shadow(limit, others, "beside it") or _shadow(limit, notes.setup.settings.budget, "of the budget")
        if why is None and resources is not None and len(resources) == 1:
            (resource,) = resources
            why = _shadow(limit, notes.setup.limit_of(resource), f"of {resource}")
        if why is None and resources is not None and len(resources) == 1 and _is_spaced(limit, cooldown):
            why = f"the cooldown of {format_duration(cooldown)} lets fewer begin in so short a time"
        if why is not None:
            path = f"{join('rules', rule.name)}.limit[{at}]"
            notes.add("loose-limit", node.items[at].place, path, f"{limit} is never reached: {why}")


def _shadow(limit: Limit, others: Iterable[Limit], where: str) -> str | None:
    """The limit that always holds before, in words."""
    for other in others:
        if most(other, limit.window) < limit.count:
            few, window = most(other, limit.window), format_duration(limit.window)
            return f"{other} {where} permits at most {few} in {window}"
    return None


def _is_spaced(limit: Limit, cooldown: float) -> bool:
    """Whether attempts on one resource, at least a cooldown apart, can never fill a limit.

    When the next may begin, the last ended a cooldown ago, the one before it two, and so on; what ended a whole window
    ago counts no more. Settle and verify make it longer still, but what fails at once has neither.
    """
    return cooldown > 0 and limit.count > math.ceil(limit.window / cooldown) - 1


def _service_limits(notes: Notes, name: str, limits: Sequence[Limit], node: Node) -> None:
    acting = _acting(notes, notes.setup.managers[name].resource)
    for at, limit in enumerate(limits):
        path = f"{join('services', name)}.limit[{at}]"
        others = [it for place, it in enumerate(limits) if place != at]
        why = _shadow(limit, others, "beside it") or _shadow(limit, notes.setup.settings.budget, "of the budget")
        if why is not None:
            notes.add("loose-limit", node.items[at].place, path, f"{limit} is never reached: {why}")
        elif acting is not None and _permitted(acting, limit.window) < limit.count:
            few, window = _permitted(acting, limit.window), format_duration(limit.window)
            rules = ", ".join(rule.name for rule in acting)
            by = f"the limits of {rules} permit at most {few} in {window}" if acting else "no step touches this service"
            notes.add("loose-service-limit", node.items[at].place, path, f"{limit} is never reached: {by}")


def _permitted(rules: Iterable[Rule], window: float) -> int:
    """The most attempts that rules permit together in a window."""
    return sum(min(most(limit, window) for limit in rule.limit) for rule in rules)


def _acting(notes: Notes, resource: str) -> list[Rule] | None:
    """The rules with a step that touches a resource; None if that is known only once subjects are discovered."""
    found = []
    for rule in notes.setup.rules:
        touched = _resources(notes, rule)
        if touched is None:
            return None
        if resource in touched:
            found.append(rule)
    return found


def _resources(notes: Notes, rule: Rule) -> set[str] | None:
    """What a rule's steps touch; None if that depends on what a check discovers, or cannot be told."""
    setup = notes.setup
    found: set[str] = set()
    for name in rule.checks if rule.steps else ():
        check = setup.checks[name]
        if check.discovers:
            return None
        service = setup.services.get(check.service or "")
        target = Target(node="", check=name, service=service, managers=setup.managers)
        try:
            found |= {setup.types.remediations[it.remediation].resource(it.options, target) for it in rule.steps}
        except RemediationError:
            return None
    return found
