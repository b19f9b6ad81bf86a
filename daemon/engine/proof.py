"""What every guard says of a proposal, and what every limit still permits: for people who ask why."""

import math
from collections.abc import Sequence

from daemon.engine.counting import free_in, since_end, used
from daemon.engine.guards import GUARDS, Facts, Proposal
from daemon.model.explanation import Allowance, GuardAnswer, Peak
from daemon.model.moment import Stamp, age
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit


def answers(proposal: Proposal, facts: Facts) -> tuple[GuardAnswer, ...]:
    """All guards in their order, those that let pass too."""
    said = []
    for reason, guard in GUARDS:
        hold = guard(proposal, facts)
        until = hold.until if hold is not None else None
        said.append(GuardAnswer(reason=reason, hold=hold, until=wall_of(until, facts.now)))
    return tuple(said)


def wall_of(steady: float | None, now: Stamp) -> float | None:
    """A moment of the steady clock in seconds since the epoch, by the wall clock of now; None if it never comes."""
    return now.wall + steady - now.boottime if steady is not None and math.isfinite(steady) else None


def allowances(proposal: Proposal, facts: Facts) -> tuple[Allowance, ...]:
    """What the limits of the rule and of the resource, and the budget, still permit of such attempts."""
    counted = [it for it in facts.attempts if not it.void and (proposal.would or not it.would)]
    mine = [it for it in counted if it.rule == proposal.rule.name]
    same = [it for it in counted if it.resource == proposal.resource]
    groups: list[tuple[str, tuple[Limit, ...], list[Attempt]]] = [
        (f"rule {proposal.rule.name}", proposal.rule.limit, mine),
        (proposal.resource, proposal.limit, same),
        ("all", facts.settings.budget, counted),
    ]
    return tuple(
        Allowance(of=of, limit=limit, used=used(made, limit, facts.now), free_in=free_in(made, limit, facts.now))
        for of, limits, made in groups
        for limit in limits
    )


def peaks(
    of: str, limits: Sequence[Limit], attempts: Sequence[Attempt], now: Stamp, *, within: float = math.inf
) -> tuple[Peak, ...]:
    """The most attempts that counted at once against each limit: at the claim of one of them, itself included.

    Only claims of the last `within` seconds are asked; those before them count there as they did.
    """
    ages = [(age(it.claimed, now), since_end(it, now)) for it in attempts]
    spans = [(claimed, min(claimed, ended)) for claimed, ended in ages]  # nothing ends before it begins
    return tuple(Peak(of=of, limit=limit, most=_most(spans, limit, within)) for limit in limits)


def _most(spans: Sequence[tuple[float, float]], limit: Limit, within: float) -> int:
    """The most that counted at a claim. `spans` are ages of claims and of ends.

    In one sweep through time, as a report may have thousands of attempts and heald waits for nothing meanwhile.
    """
    claims = sorted((claimed for claimed, _ in spans), reverse=True)
    ends = sorted((ended - limit.window for _, ended in spans), reverse=True)  # ages at which they count no more
    most = over = 0
    for place, claimed in enumerate(claims):
        while over < len(ends) and ends[over] >= claimed:
            over += 1
        is_last = place + 1 == len(claims) or claims[place + 1] < claimed  # of those claimed at one moment
        if is_last and claimed < within:
            most = max(most, place + 1 - over)
    return most
