"""What heald would do now in act mode: `heald plan`."""

import asyncio
from collections.abc import Sequence

from daemon.model.explanation import PLANNED_AT_MOST, PlanEntry
from daemon.model.incident import HoldReason, IncidentState
from daemon.model.rule import Verdict
from daemon.protocols import Clock
from daemon.runtime.answers import said
from daemon.runtime.bindings import Bindings
from daemon.runtime.outlooks import Draft, Outlooks
from daemon.runtime.standing import Outlook, Place, Standings

Pair = tuple[Place, Outlook]


async def plan(bindings: Bindings, standings: Standings, asking: Outlooks, clock: Clock) -> list[PlanEntry]:
    """Of every firing, breached ladder what comes next, in the order in which heald would take them.

    Each is told with what those before it would leave: their attempts count, their resources are taken, and what they
    are for may become anything, so that it does not count as healthy.
    """
    ordered = sorted(_pairs(bindings, standings), key=lambda pair: _turn(*pair))[:PLANNED_AT_MOST]
    outlooks = await asyncio.gather(*(asking.asked(outlook) for _, outlook in ordered))
    made: list[Draft] = []
    entries = []
    for (place, _), asked in zip(ordered, outlooks, strict=True):
        outlook = asking.after(asked, made)
        under_way = standings.under_way(place, acts=True) or standings.counts_anew(place, outlook)
        draft = asking.draft(outlook) if under_way is None else None
        if draft is not None:
            made.append(draft)
        entries.append(_entry(place, outlook, under_way, clock.stamp().wall))
    return entries


def _pairs(bindings: Bindings, standings: Standings) -> Sequence[Pair]:
    """One for each ladder: of the incidents that share it the one that has been firing longest."""
    found: dict[tuple[str, str | None], Pair] = {}
    for place in standings.places(it for mine in bindings.by_check.values() for it in mine):
        binding = place.binding
        is_due = place.track.state is IncidentState.FIRING and place.verdict is Verdict.BREACHED
        if not is_due or not binding.rule.steps:
            continue
        key = (binding.rule.name, bindings.ladder_resource(binding, place.subject))
        pair = (place, standings.outlook(place, acts=True))
        if key not in found or _turn(*pair) < _turn(*found[key]):
            found[key] = pair
    return list(found.values())


def _turn(place: Place, outlook: Outlook) -> tuple[str, float, int]:
    """Highest severity, then oldest firing, then order in the file: as heald takes proposals."""
    since = outlook.proposal.firing_since if outlook.proposal else 0.0
    return place.binding.rule.severity.value, since, place.binding.rule.order


def _entry(place: Place, outlook: Outlook, under_way: str | None, wall: float) -> PlanEntry:
    return PlanEntry(
        rule=place.binding.rule.name,
        severity=place.binding.rule.severity,
        incident=place.track.incident or "",
        check=place.track.check,
        subject=place.subject,
        answer=under_way or _answer(outlook, wall),
        next=outlook.next,
    )


def _answer(outlook: Outlook, wall: float) -> str:
    step = outlook.next
    if outlook.impossible is not None:
        return f"its next step cannot be done: {outlook.impossible}"
    if step is None or not step.is_left:
        return "every try of every step was made or ruled out: it is for people now"
    what = f"{step.remediation} of {step.resource}"
    if not step.held:
        return f"{what} would be done now, once a second look confirms it"
    first, rest = step.held[0], ", ".join(dict.fromkeys(it.reason.value for it in step.held[1:]))
    then = f"held by {rest}" if rest else "done"
    if first.reason is HoldReason.STORM and not rest:
        then += " in its turn, the lowest service first and one at a time"
    if first.reason is HoldReason.APPROVAL and outlook.facts is not None and outlook.facts.approval is None:
        return f"people would be asked now to agree to {what}; once they do it would be {then}"
    after = "once they do" if first.reason is HoldReason.APPROVAL else "after that"  # at its end it is asked anew
    return f"{what} is held by {said(first, wall)}; {after} it would be {then}"
