"""What must hold whenever an attempt is claimed: one function for each property, and the list of them.

Times are seconds since the world's start, whatever the clocks say.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.model.approval import EXPIRES
from daemon.model.incident import Incident, IncidentState
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict
from daemon.runtime.board import Board
from tests.runtime.model_scene import Rule
from tests.runtime.properties_broken import ROUNDING, require
from tests.runtime.properties_scene import GATEWAY

if TYPE_CHECKING:
    from tests.runtime.properties_witness import Witness

JUMP_HOLD = 60.0
SLOWEST_LOOK = 10.0  # seconds: the longest that any check here may take


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An attempt whose effect may begin now."""

    attempt: Attempt
    incident: Incident  # the one that proposed it
    rule: Rule | None
    now: float
    board: Board
    seen: "Witness"

    @property
    def service(self) -> str:
        return self.seen.service(self.incident.check)

    @property
    def scope(self) -> dict[str, str]:
        return self.seen.scope(self.incident)


# ---- what it is for ---------------------------------------------------------------------------------------------


def is_named(it: Claim) -> None:
    """Nothing is touched that was not named."""
    steps = it.rule.steps if it.rule else ()
    require(any(f"{step.name} {step.service}" == it.attempt.step for step in steps), "named", it.attempt)
    require(it.seen.scene.config.is_act, "mode", it.attempt)
    require(it.attempt.remediation in it.seen.scene.config.allow, "not allowed", it.attempt)


def fires(it: Claim) -> None:
    """Something is done only about what fires."""
    is_known = it.incident.id in it.seen.fired
    require(is_known and it.incident.state is IncidentState.FIRING, "fired", it.attempt, it.incident)


def was_looked_at_again(it: Claim) -> None:
    """The newest second look is of just now, and found it breached."""
    found = it.seen.looked.get(it.incident.check)
    require(found is not None, "a guess", it.attempt)
    at, run = found
    require(it.now - at <= SLOWEST_LOOK, "a guess", it.attempt, run)
    require(it.seen.verdict(run, it.incident.subject) is Verdict.BREACHED, "a guess", it.attempt, run)


def is_recorded(it: Claim) -> None:
    """The store has it, before anything is done."""
    require(it.seen.is_stored(it.attempt.id), "recorded", it.attempt)


# ---- people -----------------------------------------------------------------------------------------------------


def nobody_objects(it: Claim) -> None:
    """No pause, no maintenance, no silence with --hold; nothing that a person stopped."""
    require(not it.seen.paused, "all is paused", it.attempt)
    for wish in it.seen.wishes.values():
        if wish.holds and it.now < wish.until - ROUNDING:
            require(not wish.covers(it.scope), str(wish.kind), it.attempt, wish)


def is_agreed_to(it: Claim) -> None:
    """A step that needs approval has one, given for it, and used by nothing else."""
    if it.attempt.remediation != "run":
        return
    granted, mine = it.seen.granted, it.attempt
    for place, (asked, given) in enumerate(granted):
        is_step = (given.rule, given.ladder, given.step) == (mine.rule, mine.ladder, mine.step)
        is_alive = given.incident in it.board.incidents and it.now - asked < EXPIRES
        if is_step and given.resource == mine.resource and is_alive:
            del granted[place]
            return
    require(False, "approval", mine, granted)


# ---- the world --------------------------------------------------------------------------------------------------


def its_manager_is_idle(it: Claim) -> None:
    """Its own manager neither acts on it, nor was it stopped by a person; nothing at work must not be disturbed."""
    said = it.seen.managers.get(it.attempt.resource)
    require(said is None, f"manager {said}", it.attempt)


def upstream_is_well(it: Claim) -> None:
    sick = [name for name in it.seen.upstream(it.service) if it.seen.is_sick(name)]
    require(not sick, "upstream", it.attempt, sick)


def clock_stands_still(it: Claim) -> None:
    require(it.now >= it.seen.jumped + JUMP_HOLD - ROUNDING, "clock jumped", it.attempt, it.seen.jumped)


def network_is_well(it: Claim) -> None:
    if it.seen.scene.has_self_test:
        require(it.seen.up(GATEWAY) == 1, "self test", it.attempt)


def is_no_storm(it: Claim) -> None:
    """Not while many are sick, nor `quiet` after the last that was seen of it."""
    settings = it.seen.scene.storm
    if settings is None:
        return
    require(not (it.seen.is_storm() and it.seen.was_storm), "storm", it.attempt)
    if it.seen.storm_seen is not None:
        require(it.now >= it.seen.storm_seen + settings.quiet - ROUNDING, "storm", it.attempt, it.seen.storm_seen)


def enough_stay_healthy(it: Claim) -> None:
    """Whatever becomes of the member that is acted on."""
    least = it.seen.scene.min_healthy
    if least is not None and it.service == "pool":
        members = it.seen.members("pool")
        staying = [name for name, is_up in members.items() if is_up and name != it.incident.subject]
        require(len(staying) >= least, "min_healthy", it.attempt, members)


def grace_is_over(it: Claim) -> None:
    """`startup_grace` from the start, and 5 m after the host's boot, or until every rule's checks were clear."""
    require(it.now >= it.seen.grace_until - ROUNDING or not it.seen.not_clear_yet, "startup grace", it.attempt)


# ---- how often --------------------------------------------------------------------------------------------------


def is_alone(it: Claim) -> None:
    """One attempt per resource at a time, and its cooldown between two."""
    mine = it.attempt
    for deed in it.seen.deeds:
        if deed.attempt.resource == mine.resource:
            quiet = deed.ends + (deed.attempt.settle if deed.settles else 0.0)
            require(it.now >= quiet - ROUNDING, "one at a time", mine, deed)
    for other in it.board.attempts.values():
        if other.resource == mine.resource and other.id != mine.id and not other.would:
            require(other.released is not None, "one at a time", mine, other)
            rested = it.now - it.seen.released.get(other.id, it.now)
            require(rested >= other.cooldown - ROUNDING, "cooldown", mine, other)


def is_within_limits(it: Claim) -> None:
    """With this one, no window has more effects in it than a limit in force permits.

    Windows that end now are enough: every effect was a claim once. One touches a window if it ends in it or after it.
    """
    mine, scene = it.attempt, it.seen.scene
    limits = (
        ("limit of rule", it.rule.limit if it.rule else (), [d for d in it.seen.deeds if d.attempt.rule == mine.rule]),
        (
            "limit of resource",
            scene.limit_of(mine.resource),
            [d for d in it.seen.deeds if d.attempt.resource == mine.resource],
        ),
        ("budget", scene.config.budget, it.seen.deeds),
    )
    for name, found, deeds in limits:
        for count, window in found:
            inside = [deed for deed in deeds if deed.ends > it.now - window + ROUNDING]
            require(len(inside) < count, name, f"{count}/{window}", mine, inside)


PROPERTIES = (
    is_named, fires, was_looked_at_again, is_recorded,
    nobody_objects, is_agreed_to,
    its_manager_is_idle, upstream_is_well, clock_stands_still, network_is_well, is_no_storm, enough_stay_healthy,
    grace_is_over,
    is_alone, is_within_limits,
)  # fmt: skip
