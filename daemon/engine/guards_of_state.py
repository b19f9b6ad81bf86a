"""The guards that ask how heald, its host and the resource are."""

from collections.abc import Iterable

from daemon.engine.counting import age, tightest, used
from daemon.engine.facts import Facts, Proposal
from daemon.engine.verification import Watch, is_before_verify
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit, Verdict
from daemon.model.units import rough_duration


def shutting_down(_: Proposal, facts: Facts) -> Hold | None:
    """heald is stopping."""
    return Hold(reason=HoldReason.SHUTTING_DOWN, sentence="heald is stopping") if facts.shutting_down else None


def store_unavailable(_: Proposal, facts: Facts) -> Hold | None:
    """What would be done could not be recorded first."""
    if facts.store_why is None:
        return None
    sentence = f"the store cannot be written, so nothing could be recorded before it is done: {facts.store_why}"
    return Hold(reason=HoldReason.STORE_UNAVAILABLE, sentence=sentence)


def startup_grace(_: object, facts: Facts) -> Hold | None:
    """heald or its host started too recently."""
    if facts.grace_until <= facts.now.boottime:
        return None
    sentence = "heald or its host started too recently (over sooner once every check that a rule uses was clear)"
    return Hold(reason=HoldReason.STARTUP_GRACE, sentence=sentence, until=facts.grace_until)


def clock_jumped(_: object, facts: Facts) -> Hold | None:
    """The wall clock jumped less than a minute ago."""
    if facts.jumped_until <= facts.now.boottime:
        return None
    sentence = "the wall clock jumped, and has to go on steadily for a minute"
    return Hold(reason=HoldReason.CLOCK_JUMPED, sentence=sentence, until=facts.jumped_until)


def stale_reading(proposal: Proposal, facts: Facts) -> Hold | None:
    """The deciding run is too old to act on."""
    old = facts.now.boottime - proposal.run_ended
    if old > 3 * proposal.timing.every:
        sentence = f"the deciding run is {rough_duration(old)} old, more than three intervals"
    elif proposal.run_began < facts.readings_from:
        sentence = "the deciding run began before the last clock jump or resume"
    else:
        return None
    return Hold(reason=HoldReason.STALE_READING, sentence=sentence)


def self_test(_: object, facts: Facts) -> Hold | None:
    """heald's own network looks broken."""
    if facts.self_test_why is None:
        return None
    why = f"it may be heald's own host or network that is broken: {facts.self_test_why}"
    sentence = f"{why}; held until every check of settings.self_test is up"
    return Hold(reason=HoldReason.SELF_TEST, sentence=sentence)


def only_if(proposal: Proposal, _: Facts) -> Hold | None:
    """No step that is left is for what is wrong now, or whether the next one is cannot be told."""
    if proposal.fit.verdict is Verdict.BREACHED:
        return None
    name, because = proposal.step.remediation, proposal.fit.because
    if proposal.fit.verdict is Verdict.CLEAR:
        sentence = f"no step that is left is for this: the only_if of {name} does not hold: {because}"
    else:
        sentence = f"whether {name} is for this cannot be told, since its only_if is unknown: {because}"
    return Hold(reason=HoldReason.ONLY_IF, sentence=sentence)


def worse(proposal: Proposal, _: Facts) -> Hold | None:
    """After the last attempt something else became sick."""
    if not proposal.ladder.worse:
        return None
    return Hold(reason=HoldReason.WORSE, sentence=f"{proposal.ladder.worse}; {_quiet(proposal)}")


def _quiet(proposal: Proposal) -> str:
    """What ends a hold that lasts until it was quiet; without an open incident there is nothing to retry."""
    retry = f", or `heald retry {proposal.incident}`" if proposal.incident else ""
    return f"held until it stays closed for {rough_duration(proposal.rule.relapse)}{retry}"


def flapping(proposal: Proposal, facts: Facts) -> Hold | None:
    """Three clear second looks in a row, or too many changes (Icinga 2: weighted share over 20 runs, 25 / 30 %)."""
    if proposal.ladder.flapping:
        sentence = f"three second looks in a row found it clear; {_quiet(proposal)}"
    elif facts.flap_percent is not None:
        sentence = f"it changed in {facts.flap_percent:.0f}% of its last 20 runs: held until that is below 25%"
    else:
        return None
    return Hold(reason=HoldReason.FLAPPING, sentence=sentence)


def upstream(proposal: Proposal, facts: Facts) -> Hold | None:
    """A service that this one depends on is sick: the root is healed, not the dependant."""
    sick = facts.upstream_sick.get(proposal.service or "")
    if sick is None:
        return None
    return Hold(reason=HoldReason.UPSTREAM, sentence=f"{proposal.service} depends on {sick}")


def _watch(proposal: Proposal, facts: Facts) -> Watch | None:
    found = facts.watches.get(proposal.resource)
    return facts.would_watches.get(proposal.resource) if found is None and proposal.would else found


def resource_busy(proposal: Proposal, facts: Facts) -> Hold | None:
    """Somebody acts on the resource, is about to, or verifies what was done."""
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


def settling(proposal: Proposal, facts: Facts) -> Hold | None:
    """An attempt on the resource is under way, or settles."""
    watch = _watch(proposal, facts)
    if watch is None or not is_before_verify(watch, facts.now.boottime):
        return None
    doing = "is under way on" if watch.settled is None else "was done, and settles, on"
    sentence = f"{watch.attempt.remediation} by rule {watch.rule.name} {doing} {proposal.resource}"
    return Hold(reason=HoldReason.SETTLING, sentence=sentence, until=watch.settled)


def cooldown(proposal: Proposal, facts: Facts) -> Hold | None:
    """The resource was touched too recently."""
    left = [
        rest
        for attempt in facts.attempts
        if attempt.resource == proposal.resource
        and attempt.released is not None
        and _counts(attempt, proposal)
        and (rest := attempt.cooldown - age(attempt.released, facts.now)) > 0
    ]
    if not left:
        return None
    sentence = f"{proposal.resource} was touched too recently, and has its cooldown"
    return Hold(reason=HoldReason.COOLDOWN, sentence=sentence, until=facts.now.boottime + max(left))


def _counts(attempt: Attempt, proposal: Proposal) -> bool:
    """Whether an attempt counts for this proposal: would-be attempts hold only would-be attempts."""
    return not attempt.void and (proposal.would or not attempt.would)


def _has_room(limits: Iterable[Limit], facts: Facts) -> bool:
    """Whether no limit can hold, whichever attempts count: there are fewer in all."""
    return all(len(facts.attempts) < limit.count for limit in limits)


def _limit(
    reason: HoldReason, what: str, attempts: list[Attempt], limits: Iterable[Limit], facts: Facts
) -> Hold | None:
    held = tightest(attempts, limits, facts.now)
    if held is None:
        return None
    limit, left = held
    if limit.count == 0:
        return Hold(reason=reason, sentence=f"{what} has the limit {limit}: it never acts")
    sentence = f"{what} has used {used(attempts, limit, facts.now)} of {limit}"
    return Hold(reason=reason, sentence=sentence, until=facts.now.boottime + left)


def limit_rule(proposal: Proposal, facts: Facts) -> Hold | None:
    """The rule has used up a limit."""
    if _has_room(proposal.rule.limit, facts):
        return None
    name = proposal.rule.name
    mine = [attempt for attempt in facts.attempts if attempt.rule == name and _counts(attempt, proposal)]
    return _limit(HoldReason.LIMIT_RULE, f"rule {proposal.rule.name}", mine, proposal.rule.limit, facts)


def limit_resource(proposal: Proposal, facts: Facts) -> Hold | None:
    """The resource has used up a limit."""
    if _has_room(proposal.limit, facts):
        return None
    name = proposal.resource
    mine = [attempt for attempt in facts.attempts if attempt.resource == name and _counts(attempt, proposal)]
    return _limit(HoldReason.LIMIT_RESOURCE, proposal.resource, mine, proposal.limit, facts)


def budget(proposal: Proposal, facts: Facts) -> Hold | None:
    """All attempts together have used up the budget."""
    if _has_room(facts.settings.budget, facts):
        return None
    counted = [attempt for attempt in facts.attempts if _counts(attempt, proposal)]
    return _limit(HoldReason.BUDGET, "heald", counted, facts.settings.budget, facts)


def storm(_: object, facts: Facts) -> Hold | None:
    """Many services are sick at once, which is not many faults."""
    return facts.storm


def min_healthy(_: Proposal, facts: Facts) -> Hold | None:
    """Too few members of the service would stay healthy."""
    if facts.min_healthy_why is None:
        return None
    return Hold(reason=HoldReason.MIN_HEALTHY, sentence=facts.min_healthy_why)
