"""The guards that ask what people want: pauses, maintenance, silences, their own stops, what they allow."""

from daemon.engine.counting import age
from daemon.engine.facts import Facts, Proposal
from daemon.model.approval import ApprovalState
from daemon.model.incident import Hold, HoldReason
from daemon.model.settings import Mode


def paused(_: Proposal, facts: Facts) -> Hold | None:
    """Acting is paused: all of it, or this service or rule."""
    if facts.paused_why is None:
        return None
    return Hold(reason=HoldReason.PAUSED, sentence=f"acting is paused: {facts.paused_why}; `heald resume` ends it")


def maintenance(_: Proposal, facts: Facts) -> Hold | None:
    """Planned work covers it."""
    return facts.maintenance


def silenced(_: Proposal, facts: Facts) -> Hold | None:
    """A silence that also holds acting covers it."""
    return facts.silenced


def stopped_by_operator(_: Proposal, facts: Facts) -> Hold | None:
    """What a person stopped is left alone until they start it again."""
    if facts.stopped_why is None:
        return None
    sentence = f"a person stopped or never started it, so it is left alone until it is started: {facts.stopped_why}"
    return Hold(reason=HoldReason.STOPPED_BY_OPERATOR, sentence=sentence)


def conflict(_: object, facts: Facts) -> Hold | None:
    """Something goes on that heald must not disturb."""
    if facts.conflict_why is None:
        return None
    return Hold(reason=HoldReason.CONFLICT, sentence=facts.conflict_why)


def mode(proposal: Proposal, facts: Facts) -> Hold | None:
    """Observe mode does nothing."""
    if facts.settings.mode is Mode.ACT:
        return None
    asks = "; in act mode a person would be asked first" if proposal.step.needs_approval else ""
    return Hold(reason=HoldReason.MODE, sentence=f"observe mode: heald decides everything and does nothing{asks}")


def not_allowed(proposal: Proposal, facts: Facts) -> Hold | None:
    """The remediation is not named in `settings.allow`."""
    name = proposal.step.remediation
    if name in facts.settings.allow:
        return None
    return Hold(reason=HoldReason.NOT_ALLOWED, sentence=f"{name} is not in settings.allow, so it never acts")


def approval(proposal: Proposal, facts: Facts) -> Hold | None:
    """A person must agree to this attempt, and has not."""
    if not proposal.step.needs_approval:
        return None
    what, asked = f"{proposal.step.remediation} of {proposal.resource}", facts.approval
    if asked is None:
        asking = "is asked as soon as nothing else holds it" if proposal.incident else "is asked once it fires"
        if proposal.would:
            asking = "would be asked if heald could act on this"
        return Hold(reason=HoldReason.APPROVAL, sentence=f"{what} needs a person to agree, who {asking}")
    left = asked.expires - age(asked.asked, facts.now)
    if asked.state is ApprovalState.APPROVED and left > 0:
        return None
    sentence = f"{what} needs a person to agree: `heald approve {asked.id}`"
    return Hold(reason=HoldReason.APPROVAL, sentence=sentence, until=facts.now.boottime + max(left, 0.0))
