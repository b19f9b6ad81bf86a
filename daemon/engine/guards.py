"""Every no has a name: the guards between a proposal and an act, in their one order.

A guard is a pure function of the proposal and the facts; it returns a Hold or lets pass. The first that holds is the
decision.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.engine.counting import age, tightest, used
from daemon.engine.lifecycle import Timing
from daemon.engine.verification import Watch, is_before_verify
from daemon.model.incident import Hold, HoldReason
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit, Rule, Step
from daemon.model.settings import Mode, Settings
from daemon.model.track import Ladder
from daemon.model.units import rough_duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A step that a ladder would take now, for the incident that breached."""

    rule: Rule
    ladder: Ladder
    index: int  # of the step in the rule
    step: Step
    resource: str  # of this step
    incident: str  # the proposing incident's id
    check: str
    subject: str
    service: str | None
    timing: Timing
    firing_since: float  # steady seconds; the oldest goes first
    run_began: float  # of the deciding run, steady seconds
    run_ended: float
    limit: tuple[Limit, ...]  # of the resource
    would: bool  # observe mode, or the remediation is not allowed: nothing will be done


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What guards may look at. Times are steady seconds."""

    now: Stamp
    settings: Settings
    shutting_down: bool = False
    store_why: str | None = None  # why the store cannot be written
    paused_why: str | None = None  # who paused, and why
    grace_until: float = 0.0  # of the startup grace; 0 when it is over
    jumped_until: float = 0.0  # acting is held until then after a clock jump
    readings_from: float = 0.0  # the last clock jump or resume: runs that began before it decide nothing
    self_test_why: str | None = None  # what says that heald's own network is broken
    attempts: Sequence[Attempt] = ()  # every one that a limit or cooldown could still count
    watches: Mapping[str, Watch] = field(default_factory=dict)  # attempts under way, by resource
    would_watches: Mapping[str, Watch] = field(default_factory=dict)  # would-be attempts under way, by resource
    reserved: Mapping[str, str] = field(default_factory=dict)  # resources in their second look: the rule that proposed
    manager_busy: str | None = None  # what the resource's own manager is doing to it
    upstream_sick: Mapping[str, str] = field(default_factory=dict)  # by service: which upstream is sick and why


Guard = Callable[[Proposal, Facts], Hold | None]


def _shutting_down(_: Proposal, facts: Facts) -> Hold | None:
    return Hold(reason=HoldReason.SHUTTING_DOWN, sentence="heald is stopping") if facts.shutting_down else None


def _store_unavailable(_: Proposal, facts: Facts) -> Hold | None:
    if facts.store_why is None:
        return None
    sentence = f"the store cannot be written, so nothing could be recorded before it is done: {facts.store_why}"
    return Hold(reason=HoldReason.STORE_UNAVAILABLE, sentence=sentence)


def _paused(_: Proposal, facts: Facts) -> Hold | None:
    if facts.paused_why is None:
        return None
    return Hold(reason=HoldReason.PAUSED, sentence=f"acting is paused: {facts.paused_why}; `heald resume` ends it")


def _startup_grace(_: Proposal, facts: Facts) -> Hold | None:
    left = facts.grace_until - facts.now.boottime
    if left <= 0:
        return None
    sentence = f"heald or its host started too recently: {rough_duration(left)} left, or until every check was clear"
    return Hold(reason=HoldReason.STARTUP_GRACE, sentence=sentence, until=facts.grace_until)


def _clock_jumped(_: Proposal, facts: Facts) -> Hold | None:
    left = facts.jumped_until - facts.now.boottime
    if left <= 0:
        return None
    sentence = f"the wall clock jumped: held for another {rough_duration(left)}"
    return Hold(reason=HoldReason.CLOCK_JUMPED, sentence=sentence, until=facts.jumped_until)


def _stale_reading(proposal: Proposal, facts: Facts) -> Hold | None:
    old = facts.now.boottime - proposal.run_ended
    if old > 3 * proposal.timing.every:
        sentence = f"the deciding run is {rough_duration(old)} old, more than three intervals"
    elif proposal.run_began < facts.readings_from:
        sentence = "the deciding run began before the last clock jump or resume"
    else:
        return None
    return Hold(reason=HoldReason.STALE_READING, sentence=sentence)


def _self_test(_: Proposal, facts: Facts) -> Hold | None:
    if facts.self_test_why is None:
        return None
    sentence = f"it may be heald's own host or network that is broken: {facts.self_test_why}"
    return Hold(reason=HoldReason.SELF_TEST, sentence=sentence)


def _flapping(proposal: Proposal, _: Facts) -> Hold | None:
    if not proposal.ladder.flapping:
        return None
    quiet = rough_duration(proposal.rule.relapse)
    sentence = (
        f"three second looks in a row found it clear; held until it stays closed for {quiet},"
        f" or `heald retry {proposal.incident}`"
    )
    return Hold(reason=HoldReason.FLAPPING, sentence=sentence)


def _upstream(proposal: Proposal, facts: Facts) -> Hold | None:
    sick = facts.upstream_sick.get(proposal.service or "")
    if sick is None:
        return None
    return Hold(reason=HoldReason.UPSTREAM, sentence=f"{proposal.service} depends on {sick}")


def _watch(proposal: Proposal, facts: Facts) -> Watch | None:
    found = facts.watches.get(proposal.resource)
    return facts.would_watches.get(proposal.resource) if found is None and proposal.would else found


def _resource_busy(proposal: Proposal, facts: Facts) -> Hold | None:
    watch = _watch(proposal, facts)
    sentence, until = None, None
    if watch is not None and not is_before_verify(watch, facts.now.boottime):
        sentence = f"{proposal.resource} is being verified after {watch.attempt.remediation} by rule {watch.rule.name}"
        until = watch.deadline
    elif watch is None and proposal.resource in facts.reserved:
        sentence = f"rule {facts.reserved[proposal.resource]} is about to act on {proposal.resource}"
    elif watch is None and facts.manager_busy:
        sentence = f"its own manager is acting on it: {facts.manager_busy}"
    return Hold(reason=HoldReason.RESOURCE_BUSY, sentence=sentence, until=until) if sentence else None


def _settling(proposal: Proposal, facts: Facts) -> Hold | None:
    watch = _watch(proposal, facts)
    if watch is None or not is_before_verify(watch, facts.now.boottime):
        return None
    doing = "is under way on" if watch.settled is None else "was done, and settles, on"
    sentence = f"{watch.attempt.remediation} by rule {watch.rule.name} {doing} {proposal.resource}"
    return Hold(reason=HoldReason.SETTLING, sentence=sentence, until=watch.settled)


def _cooldown(proposal: Proposal, facts: Facts) -> Hold | None:
    left = [
        rest
        for attempt in _counted(proposal, facts)
        if attempt.resource == proposal.resource
        and attempt.released is not None
        and (rest := attempt.cooldown - age(attempt.released, facts.now)) > 0
    ]
    if not left:
        return None
    sentence = f"{proposal.resource} was touched last too recently: {rough_duration(max(left))} of cooldown left"
    return Hold(reason=HoldReason.COOLDOWN, sentence=sentence, until=facts.now.boottime + max(left))


def _counted(proposal: Proposal, facts: Facts) -> list[Attempt]:
    """The attempts that count for this proposal: would-be attempts hold only would-be attempts."""
    return [attempt for attempt in facts.attempts if not attempt.void and (proposal.would or not attempt.would)]


def _limit(
    reason: HoldReason, what: str, attempts: list[Attempt], limits: Iterable[Limit], facts: Facts
) -> Hold | None:
    held = tightest(attempts, limits, facts.now)
    if held is None:
        return None
    limit, left = held
    if limit.count == 0:
        return Hold(reason=reason, sentence=f"{what} has the limit {limit}: it never acts")
    sentence = (
        f"{what} has used {used(attempts, limit, facts.now)} of {limit}; the next may begin in {rough_duration(left)}"
    )
    return Hold(reason=reason, sentence=sentence, until=facts.now.boottime + left)


def _limit_rule(proposal: Proposal, facts: Facts) -> Hold | None:
    mine = [attempt for attempt in _counted(proposal, facts) if attempt.rule == proposal.rule.name]
    return _limit(HoldReason.LIMIT_RULE, f"rule {proposal.rule.name}", mine, proposal.rule.limit, facts)


def _limit_resource(proposal: Proposal, facts: Facts) -> Hold | None:
    mine = [attempt for attempt in _counted(proposal, facts) if attempt.resource == proposal.resource]
    return _limit(HoldReason.LIMIT_RESOURCE, proposal.resource, mine, proposal.limit, facts)


def _budget(proposal: Proposal, facts: Facts) -> Hold | None:
    return _limit(HoldReason.BUDGET, "heald", _counted(proposal, facts), facts.settings.budget, facts)


def _mode(_: Proposal, facts: Facts) -> Hold | None:
    if facts.settings.mode is Mode.ACT:
        return None
    return Hold(reason=HoldReason.MODE, sentence="observe mode: heald decides everything and does nothing")


def _not_allowed(proposal: Proposal, facts: Facts) -> Hold | None:
    name = proposal.step.remediation
    if name in facts.settings.allow:
        return None
    return Hold(reason=HoldReason.NOT_ALLOWED, sentence=f"{name} is not in settings.allow, so it never acts")


def _approval(proposal: Proposal, _: Facts) -> Hold | None:
    if not (proposal.step.approval or proposal.step.asks):
        return None
    sentence = f"{proposal.step.remediation} on {proposal.resource} needs a person to agree; this version cannot ask"
    return Hold(reason=HoldReason.APPROVAL, sentence=sentence)


GUARDS: tuple[tuple[HoldReason, Guard], ...] = (
    (HoldReason.SHUTTING_DOWN, _shutting_down),
    (HoldReason.STORE_UNAVAILABLE, _store_unavailable),
    (HoldReason.PAUSED, _paused),
    (HoldReason.STARTUP_GRACE, _startup_grace),
    (HoldReason.CLOCK_JUMPED, _clock_jumped),
    (HoldReason.STALE_READING, _stale_reading),
    (HoldReason.SELF_TEST, _self_test),
    (HoldReason.FLAPPING, _flapping),
    (HoldReason.UPSTREAM, _upstream),
    (HoldReason.RESOURCE_BUSY, _resource_busy),
    (HoldReason.SETTLING, _settling),
    (HoldReason.COOLDOWN, _cooldown),
    (HoldReason.LIMIT_RULE, _limit_rule),
    (HoldReason.LIMIT_RESOURCE, _limit_resource),
    (HoldReason.BUDGET, _budget),
    (HoldReason.MODE, _mode),
    (HoldReason.NOT_ALLOWED, _not_allowed),
    (HoldReason.APPROVAL, _approval),
)
"""The one order of the guards (docs/judgement.md, guards)."""

LIMITS = frozenset({HoldReason.LIMIT_RULE, HoldReason.LIMIT_RESOURCE, HoldReason.BUDGET})
HANDED_OVER_AT_ONCE = LIMITS | {HoldReason.NOT_ALLOWED, HoldReason.APPROVAL}
"""Holds that only people can end soon: they are told at once."""
NOT_ESCALATED = frozenset({HoldReason.MODE, HoldReason.PAUSED, HoldReason.UPSTREAM})
"""Holds whose time does not count towards `escalate_after`: people wanted them, or were not told yet."""
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
