"""A linked configuration as the pipeline needs it: by check, every rule that judges it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from daemon.config.breath import breathe
from daemon.config.setup import Setup
from daemon.engine.condition import Condition, View
from daemon.engine.facts import FITS, Fit
from daemon.engine.lifecycle import Timing
from daemon.engine.observations import Needs, Observations
from daemon.errors import RemediationError
from daemon.model.check import Check
from daemon.model.rule import DEFAULT_LIMIT, Limit, Rule, Severity, Step
from daemon.model.target import Target

"""Most attempts on a resource whose service names no limit (docs/judgement.md, defaults)."""


PRESSING = (Severity.P0, Severity.P1)
"""Of rules that make their service sick for those that depend on it."""


def compiled(rule: Rule, check: str) -> tuple[Condition, Condition | None]:
    """A rule's conditions for one check, as what they are: the model knows them only as a protocol."""
    when, clear_when = rule.when[check], rule.clear_when[check] if rule.clear_when else None
    if not isinstance(when, Condition) or not isinstance(clear_when, Condition | None):
        raise TypeError(f"rule {rule.name} was not compiled")
    return when, clear_when


def conditions_of(rule: Rule, check: str) -> Iterator[Condition]:
    """Every condition of a rule for one check: its own and those of its steps."""
    yield from (it for it in compiled(rule, check) if it is not None)
    for step in rule.steps:
        if (only_if := only_if_of(step, check)) is not None:
            yield only_if


def only_if_of(step: Step, check: str) -> Condition | None:
    """A step's own condition for one check."""
    condition = step.only_if[check] if step.only_if else None
    if not isinstance(condition, Condition | None):
        raise TypeError(f"step {step.remediation} was not compiled")
    return condition


def fit_of(step: Step, view: View) -> Fit:
    """Whether a step is for what a run found."""
    condition = only_if_of(step, view.check)
    return FITS if condition is None else Fit(condition.judge(view), condition.because(view))


@dataclass(kw_only=True, slots=True)
class Binding:
    """One rule for one check."""

    rule: Rule
    check: Check
    when: Condition
    clear_when: Condition | None
    rings: int  # how many of a track's memories are `when`'s; the rest are `clear_when`'s
    timing: Timing
    upstream: tuple[str, ...]  # services that the check's service needs, nearest first
    key: tuple[str, str, str] | None  # of its only track, where there is one at most and a run needs no memory
    ladders: dict[str, str | None] = field(default_factory=dict)  # by subject: the first step's resource, if known


class Bindings:
    """The rules of one configuration, by check, and what their steps would touch."""

    def __init__(self, setup: Setup, node: str) -> None:
        self.setup = setup
        self._node = node
        self._limits = setup.limits()
        self.by_check: dict[str, list[Binding]] = {name: [] for name in setup.checks}
        self.rules = {rule.name: rule for rule in setup.rules}
        for rule in setup.rules:
            breathe()
            for name in rule.checks:
                self.by_check[name].append(self._bind(rule, setup.checks[name]))
        self.pairs = frozenset((rule.name, check) for rule in setup.rules for check in rule.checks)
        looks_back = {name: Needs(check.every, {}, frozenset()) for name, check in setup.checks.items()}
        looks_back |= self._needs(setup.rules, looks_back)
        self.needs: Mapping[str, Needs] = looks_back  # by check, what its conditions look back on
        self.roots = frozenset(name for needed in setup.upstream.values() for name in needed)
        checks_of: dict[str, list[str]] = {service: [] for service in setup.services}
        for check in setup.checks.values():
            if check.service in checks_of:
                checks_of[check.service].append(check.name)
        self.checks_of = {service: tuple(names) for service, names in checks_of.items()}

    def _bind(self, rule: Rule, check: Check) -> Binding:
        when, clear_when = compiled(rule, check.name)
        is_plain = not when.rings and clear_when is None and not check.discovers
        return Binding(
            rule=rule,
            check=check,
            when=when,
            clear_when=clear_when,
            rings=when.rings,
            timing=Timing(every=check.every, for_seconds=rule.for_seconds[check.name], clear_for=rule.clear_for),
            upstream=self.setup.upstream.get(check.service or "", ()),
            key=(rule.name, check.name, "") if is_plain else None,
        )

    def declare(self, observations: Observations, copies: Iterable[Rule] = ()) -> None:
        """Say which samples of which checks conditions look back on, and how far.

        `copies` are the rules of attempts under way, as they were at the claim: their conditions look back too.
        """
        observations.declare_all({**self.needs, **self._needs(copies, self.needs)})

    def _needs(self, rules: Iterable[Rule], known: Mapping[str, Needs]) -> dict[str, Needs]:
        """What these rules add to what is known, by the checks that they look at."""
        keep: dict[str, dict[str, float]] = {}
        unchanged: dict[str, set[str]] = {}
        pairs = ((rule, check) for rule in rules for check in rule.checks)
        for condition in (it for rule, check in pairs for it in conditions_of(rule, check)):
            breathe()
            for (check, sample), seconds in condition.windows.items():
                lengths = keep.setdefault(check, dict(known[check].keep) if check in known else {})
                lengths[sample] = max(seconds, lengths.get(sample, 0.0))
            for check, sample in condition.unchanged:
                unchanged.setdefault(check, set()).add(sample)
        return {
            name: needs._replace(
                keep=keep.get(name, needs.keep), unchanged=needs.unchanged.union(unchanged.get(name, ()))
            )
            for name, needs in known.items()
            if name in keep or name in unchanged
        }

    def parts(self) -> list[object]:
        """Most of what it consists of: who holds this can free it bit by bit once nobody else needs it any more."""
        bound = [binding for bindings in self.by_check.values() for binding in bindings]
        return [*self.needs.values(), *self.setup.checks.values(), *self.setup.rules, *bound]

    def target(self, check: Check, subject: str) -> Target:
        """What an incident of this check and subject is about."""
        service = self.setup.services.get(check.service) if check.service else None
        return Target(node=self._node, check=check.name, subject=subject, service=service, managers=self.setup.managers)

    def resource(self, step: Step, check: Check, subject: str) -> str:
        """What a step would touch. Raises RemediationError."""
        return self.setup.types.remediations[step.remediation].resource(step.options, self.target(check, subject))

    def ladder_resource(self, binding: Binding, subject: str) -> str | None:
        """The resource of the rule's first step, by which its ladder is known; None where there is no ladder."""
        if subject not in binding.ladders:
            steps = binding.rule.steps
            try:
                found = self.resource(steps[0], binding.check, subject) if steps else None
            except RemediationError:
                found = None  # the loader tries every resource; what fails only now is said when the step is proposed
            binding.ladders[subject] = found
        return binding.ladders[subject]

    def limit_of(self, resource: str) -> tuple[Limit, ...]:
        """The limits of a resource: those of the service that its manager runs, else the default."""
        return self._limits.get(resource, DEFAULT_LIMIT)

    @cached_property
    def longest_window(self) -> float:
        """The longest window of any limit, in seconds."""
        limits = [*self.setup.settings.budget, *DEFAULT_LIMIT]
        limits += [limit for rule in self.setup.rules for limit in rule.limit]
        limits += [limit for service in self.setup.services.values() for limit in service.limit or ()]
        return max(limit.window for limit in limits)

    @cached_property
    def _services_of(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for service, manager in self.setup.managers.items():
            found[manager.resource] = (*found.get(manager.resource, ()), service)
        return found

    def acted_on(self, resource: str, service: str | None) -> tuple[str, ...]:
        """The services that a resource is of; one that no manager has is taken for the check's own service."""
        return self._services_of.get(resource, (service,) if service else ())

    def conflicts(self, services: Iterable[str | None]) -> list[str]:
        """Files and units that hold acting on these services while they are there or at work."""
        found = [*self.setup.settings.conflicts]
        for name in services:
            service = self.setup.services.get(name or "")  # none: a reload may have removed it
            found += service.conflicts if service is not None else ()
        return found

    def root_settle(self, service: str) -> float:
        """The longest settle of the steps on a service, by default 10 s: what its dependants wait at least."""
        steps = [
            step.settle
            for check in self.checks_of.get(service, ())
            for binding in self.by_check[check]
            for step in binding.rule.steps
        ]
        return max(steps, default=10.0)

    def followed_by(self, setup: Setup) -> "Bindings":
        """Those of the next configuration. A check that is still the same is so as an object: nobody has to compare."""
        checks = dict(setup.checks)
        for name, check in checks.items():
            breathe()
            if (before := self.setup.checks.get(name)) == check:
                checks[name] = before
        return Bindings(replace(setup, checks=checks), self._node)

    def pressing(self, check: str) -> list[Binding]:
        """The rules on a check that are severe enough to make its service sick: P0 and P1."""
        return [binding for binding in self.by_check[check] if binding.rule.severity in PRESSING]
