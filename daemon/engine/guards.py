"""Every no has a name: the guards between a proposal and an act, in their one order.

A guard is a pure function of the proposal and the facts; it returns a Hold or lets pass. The first that holds is the
decision. What each asks stands in `guards_of_state` and `guards_of_people`.
"""

from daemon.engine import guards_of_people as people
from daemon.engine import guards_of_state as state
from daemon.engine.facts import Facts, Guard, Proposal
from daemon.model.incident import Hold, HoldReason

__all__ = ["GUARDS", "Facts", "Guard", "Proposal", "decide", "holds", "over_limit"]

GUARDS: tuple[tuple[HoldReason, Guard], ...] = (
    (HoldReason.SHUTTING_DOWN, state.shutting_down),
    (HoldReason.STORE_UNAVAILABLE, state.store_unavailable),
    (HoldReason.PAUSED, people.paused),
    (HoldReason.STARTUP_GRACE, state.startup_grace),
    (HoldReason.CLOCK_JUMPED, state.clock_jumped),
    (HoldReason.STALE_READING, state.stale_reading),
    (HoldReason.SELF_TEST, state.self_test),
    (HoldReason.MAINTENANCE, people.maintenance),
    (HoldReason.SILENCED, people.silenced),
    (HoldReason.STOPPED_BY_OPERATOR, people.stopped_by_operator),
    (HoldReason.FLAPPING, state.flapping),
    (HoldReason.WORSE, state.worse),
    (HoldReason.UPSTREAM, state.upstream),
    (HoldReason.STORM, state.storm),
    (HoldReason.MIN_HEALTHY, state.min_healthy),
    (HoldReason.ONLY_IF, state.only_if),
    (HoldReason.RESOURCE_BUSY, state.resource_busy),
    (HoldReason.SETTLING, state.settling),
    (HoldReason.COOLDOWN, state.cooldown),
    (HoldReason.LIMIT_RULE, state.limit_rule),
    (HoldReason.LIMIT_RESOURCE, state.limit_resource),
    (HoldReason.BUDGET, state.budget),
    (HoldReason.CONFLICT, people.conflict),
    (HoldReason.MODE, people.mode),
    (HoldReason.NOT_ALLOWED, people.not_allowed),
    (HoldReason.APPROVAL, people.approval),
)
"""The one order of the guards (docs/judgement.md, guards)."""

LIMITS = frozenset({HoldReason.LIMIT_RULE, HoldReason.LIMIT_RESOURCE, HoldReason.BUDGET})
_FOR_PEOPLE = frozenset({HoldReason.FLAPPING, HoldReason.WORSE, HoldReason.NOT_ALLOWED, HoldReason.APPROVAL})
HANDED_OVER_AT_ONCE = LIMITS | _FOR_PEOPLE
"""Holds that only people can end soon: they are told at once; of `flapping` once, and not of each relapse."""
_WANTED = frozenset({HoldReason.MODE, HoldReason.PAUSED, HoldReason.MAINTENANCE, HoldReason.SILENCED})
SAID_ONCE = frozenset({HoldReason.STORM, HoldReason.SELF_TEST})
"""Holds of which people are told once, by an incident of their own for all that they hold."""
NOT_ESCALATED = _WANTED | SAID_ONCE | {HoldReason.UPSTREAM}
"""Holds whose time does not count towards `escalate_after`: people wanted them, know of them, or were not told yet."""
_ONLY_WOULD = (HoldReason.MODE, HoldReason.NOT_ALLOWED)


def holds(proposal: Proposal, facts: Facts) -> list[Hold]:
    """Every guard that holds, in order."""
    return [hold for _, guard in GUARDS if (hold := guard(proposal, facts)) is not None]


def decide(proposal: Proposal, facts: Facts) -> tuple[Hold | None, bool]:
    """The first hold, and whether the proposal goes on: a would-be attempt is held and still made on paper."""
    for place, (reason, guard) in enumerate(GUARDS):
        hold = guard(proposal, facts)
        if hold is None:
            continue
        if reason not in _ONLY_WOULD:
            return hold, False
        later = (other(proposal, facts) for name, other in GUARDS[place + 1 :] if name not in _ONLY_WOULD)
        return hold, not any(later)
    return None, True


def over_limit(proposal: Proposal, facts: Facts) -> Hold | None:
    """The limits and the cooldown alone: what the claim asks again of the store's own rows."""
    for reason, guard in GUARDS:
        if (reason in LIMITS or reason is HoldReason.COOLDOWN) and (hold := guard(proposal, facts)) is not None:
            return hold
    return None
