"""What the guards may look at when a proposal is weighed: gathered here, judged in the engine."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from daemon.engine.guards import Facts, Proposal
from daemon.engine.guards_of_people import conflict
from daemon.engine.guards_of_state import clock_jumped, self_test, startup_grace, storm
from daemon.engine.proof import wall_of
from daemon.engine.verification import Member
from daemon.model.approval import Approval
from daemon.model.explanation import GuardAnswer
from daemon.model.incident import Hold, Incident
from daemon.model.order import Scope
from daemon.protocols import Clock
from daemon.runtime.approvals import Approvals
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.board import Board
from daemon.runtime.circumstances import Circumstances
from daemon.runtime.flaps import Flaps
from daemon.runtime.health import Health
from daemon.runtime.orders import Orders, scope_of
from daemon.runtime.storm import Storm

_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a resource's own manager, and other units, said after the second look."""

    busy: str | None = None  # what the manager is doing to it
    stopped: str | None = None  # how it knows that a person stopped the service
    conflict: str | None = None  # a unit that is at work and must not be disturbed
    hold: Hold | None = None  # it could not be asked


NOTHING = Found()


class Situation:
    """Where facts come from."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        health: Health,
        orders: Orders,
        storm: Storm,
        flaps: Flaps,
        approvals: Approvals,
        circumstances: Circumstances,
        clock: Clock,
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._health = health
        self._orders = orders
        self._storm = storm
        self._flaps = flaps
        self._approvals = approvals
        self._circumstances = circumstances
        self._clock = clock

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings

    def facts(self, proposal: Proposal, *, reserved: dict[str, str], found: Found = NOTHING) -> Facts:
        """All of it, now. `reserved` are resources in somebody else's second look, by the rule that proposed."""
        around, scopes, resource = self._circumstances, self._scopes(proposal), proposal.resource
        watches = [watch for watch in self._board.watches.values() if watch.attempt.resource == resource]
        now = self._clock.stamp()  # the one that is claimed with: no jump comes between the guards and the claim
        around.watch_clock(now)
        sick = self._health.sick_upstream(proposal.service)
        return Facts(
            now=now,
            settings=self._bindings.setup.settings,
            shutting_down=around.shutting_down,
            store_why=around.store_why(),
            paused_why=around.watch_pause() or _first(self._orders.paused_why, scopes),
            grace_until=around.grace_until,
            jumped_until=around.jumped_until,
            readings_from=max(around.readings_from, self._orders.over_at(now)),
            self_test_why=self._health.self_test(),
            maintenance=_first(self._orders.maintenance, scopes),
            silenced=_first(self._orders.silenced, scopes),
            stopped_why=found.stopped,
            flap_percent=self._flaps.too_many((proposal.rule.name, proposal.check, proposal.subject)),
            storm=self._storm.hold(proposal.service),
            min_healthy_why=self.too_few(proposal),
            conflict_why=self._conflict(scope.service for scope in scopes) or found.conflict,
            approval=self.approval(proposal),
            attempts=list(self._board.attempts.values()),
            watches={watch.attempt.resource: watch for watch in watches if not watch.attempt.would},
            would_watches={watch.attempt.resource: watch for watch in watches if watch.attempt.would},
            reserved=reserved,
            manager_busy=found.busy,
            upstream_sick={proposal.service: sick} if proposal.service and sick else {},
        )

    def holding(self) -> Iterator[GuardAnswer]:
        """What keeps heald from acting on anything at all now; pauses and the store apart, which are told otherwise."""
        around = self._circumstances
        around.watch_clock()
        facts = Facts(
            now=self._clock.stamp(),
            settings=self._bindings.setup.settings,
            grace_until=around.grace_until,
            jumped_until=around.jumped_until,
            self_test_why=self._health.self_test(),
            storm=self._storm.hold(None) if self._storm.is_on else None,
            conflict_why=self._conflict(()),
        )
        for guard in (startup_grace, clock_jumped, self_test, storm, conflict):
            if (hold := guard(None, facts)) is not None:
                yield GuardAnswer(reason=hold.reason, hold=hold, until=wall_of(hold.until, facts.now))

    def scope(self, binding: Binding, subject: str) -> Scope:
        """What an incident of this rule, check and subject is about."""
        return scope_of(self._bindings, binding.rule.name, binding.check, subject, str(binding.rule.severity))

    def _scopes(self, proposal: Proposal) -> list[Scope]:
        """What the incident is about, and every other service that the step would act on."""
        scope, services = proposal.scope, self._bindings.setup.services
        others = [name for name in self._bindings.acted_on(proposal.resource, scope.service) if name != scope.service]
        return [scope, *(replace(scope, service=name, labels=services[name].labels) for name in others)]

    def is_quiet(self, incident: Incident) -> bool:
        """Whether people want to be left in peace about an incident: a silence or maintenance covers it."""
        scope = self._scope_of(incident)
        return scope is not None and self._orders.is_quiet(scope)

    def is_planned(self, incident: Incident) -> bool:
        """Whether maintenance covers an incident."""
        scope = self._scope_of(incident)
        return scope is not None and self._orders.maintenance(scope) is not None

    def _scope_of(self, incident: Incident) -> Scope | None:
        check = self._bindings.setup.checks.get(incident.check)
        if check is None:
            return None
        return scope_of(self._bindings, incident.rule, check, incident.subject, str(incident.severity))

    def approval(self, proposal: Proposal) -> Approval | None:
        """What was asked of people for this step of this ladder, if something can still come of it."""
        return self._approvals.of(proposal)

    def too_few(self, proposal: Proposal, besides: Iterable[Member] = ()) -> str | None:
        """Why too few members of the service would stay healthy; `besides` are acted on at the same time."""
        for name in self._bindings.acted_on(proposal.resource, proposal.service):
            service = self._bindings.setup.services.get(name)
            if service is None or service.min_healthy is None:  # none: a reload may have removed it
                continue
            checks = self._bindings.checks_of[name]
            others = {subject for check, subject in (*self._acted_on(proposal), *besides) if check in checks}
            acted_on = proposal.subject if proposal.check in checks else ""  # of another service: no member of this one
            if (why := self._health.too_few(service, acted_on, others)) is not None:
                return why
        return None

    def _acted_on(self, proposal: Proposal) -> Iterator[Member]:
        """What other ladders' attempts under way were made for: until they are verified it may become anything."""
        for watch in self._board.watches.values():
            attempt = watch.attempt
            is_own = (attempt.rule, attempt.ladder) == (proposal.rule.name, proposal.ladder.resource)
            if not is_own and (proposal.would or not attempt.would):
                yield from watch.members

    def _conflict(self, services: Iterable[str | None]) -> str | None:
        for path in self._bindings.conflicts(services):
            if not path.startswith("/"):
                continue
            try:
                if Path(path).exists():
                    return f"{path} is there: what made it must not be disturbed"
            except OSError as error:  # a folder that heald may not enter
                return f"it is not known whether {path} is there: {error.strerror}"
        return None


def _first(asked: Callable[[Scope], _Found | None], scopes: Iterable[Scope]) -> _Found | None:
    """What covers the first of some that is covered."""
    return next((found for scope in scopes if (found := asked(scope)) is not None), None)
