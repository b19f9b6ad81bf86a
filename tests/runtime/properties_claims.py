"""What must hold whenever an attempt is claimed: one function for each property, and the list of them.

Times are seconds since the world's start, whatever the clocks say.
"""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from daemon.model.approval import EXPIRES
from daemon.model.check import Run
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict
from daemon.runtime.board import Board
from tests.runtime.model_scene import Rule, Step
from tests.runtime.properties_broken import ROUNDING, require
from tests.runtime.properties_ladders import Climb
from tests.runtime.properties_scene import GATEWAY, SERVICES

if TYPE_CHECKING:
    from tests.runtime.properties_witness import Witness

JUMP_HOLD = 60.0


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

    @property
    def look(self) -> tuple[float, Run]:
        """The newest second look of the incident's check, and when it ended."""
        return self.seen.looked[self.incident.check]

    @property
    def climb(self) -> Climb:
        return self.seen.ladders.climb((self.attempt.rule, self.attempt.ladder))


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
    """The newest second look found it breached."""
    require(it.incident.check in it.seen.looked, "a guess", it.attempt)
    _, run = it.look
    require(it.seen.verdict(run, it.incident.subject) is Verdict.BREACHED, "a guess", it.attempt, run)


def is_fresh(it: Claim) -> None:
    """What decides is no older than three intervals, and began after the last jump of the clock or end of a pause."""
    at, run = it.look
    check = it.seen.scene.check(it.incident.check)
    require(check and it.now - at <= 3 * check.every + ROUNDING, "stale reading", it.attempt, at, run)
    began = at - (run.ended - run.began)
    require(began >= it.seen.resumed - ROUNDING, "stale reading", it.attempt, it.seen.resumed, run)
    require((it.attempt.rule, it.attempt.ladder) not in it.seen.stale, "stale reading", it.attempt, it.seen.resumed)


def is_for_this(it: Claim) -> None:
    """The step's `only_if` holds, and those before it had their tries, or are not for this."""
    _, run = it.look
    place = it.seen.ladders.places[it.attempt.id]
    step = it.rule.steps[place] if it.rule else Step()
    require(it.seen.fits(run, it.incident.subject, step) is Verdict.BREACHED, "only_if", it.attempt, run)
    climb = it.climb
    require(climb.tries[place] < step.tries, "every try was made", it.attempt, climb)
    if climb.is_whole and it.rule:
        require(place >= climb.place, "the next step", it.attempt, climb)
        for passed in range(climb.place, place):
            is_due = climb.tries[passed] < it.rule.steps[passed].tries
            is_passed = it.seen.fits(run, it.incident.subject, it.rule.steps[passed]) is Verdict.CLEAR
            require(is_passed or not is_due, "the next step", it.attempt, climb, run)


def does_it_good(it: Claim) -> None:
    """It neither flaps nor made anything worse."""
    place = (it.attempt.rule, it.incident.check, it.incident.subject)
    require(not it.climb.flaps, "flapping", it.attempt, it.climb)
    require(place not in it.seen.ladders.flapping, "flapping", it.attempt)
    require(not it.climb.worse, "worse", it.attempt, it.climb)


def remembers(it: Claim) -> None:
    """heald is not stopping, knows what was done before, and can write down what it does."""
    require(not it.seen.is_stopping, "shutting down", it.attempt)
    require(not it.seen.is_unreadable, "store", it.attempt)
    require(not it.seen.is_disk_full, "store", it.attempt)


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
    """Whatever becomes of the member that is acted on, and of those that other ladders' attempts are under way for."""
    scene, resource = it.seen.scene, it.attempt.resource
    if scene.min_healthy is None or (resource if resource in SERVICES else it.service) != "pool":
        return
    require("pool" not in it.seen.blind, "min_healthy", it.attempt)
    members, touched = it.seen.members("pool"), {it.incident.subject}
    for deed in it.seen.deeds:
        is_own = (deed.attempt.rule, deed.attempt.ladder) == (it.attempt.rule, it.attempt.ladder)
        if not is_own and it.board.attempts[deed.attempt.id].released is None:
            found = [it.seen.fired.get(name) for name in deed.attempt.incidents if name not in it.seen.left]
            touched |= {member[1] for member in found if member and member[0] == "pool"}
    staying = sum(is_up for name, is_up in members.items() if name not in touched) - len(touched - members.keys())
    least = ceil(scene.min_healthy * len(members) / 100) if scene.min_healthy_percent else scene.min_healthy
    require(staying >= least, "min_healthy", it.attempt, members, touched)


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
    remembers, is_named, fires, was_looked_at_again, is_fresh, is_for_this, does_it_good, is_recorded,
    nobody_objects, is_agreed_to,
    its_manager_is_idle, upstream_is_well, clock_stands_still, network_is_well, is_no_storm, enough_stay_healthy,
    grace_is_over,
    is_alone, is_within_limits,
)  # fmt: skip

H = HoldReason
PROPERTY_OF = {
    H.SHUTTING_DOWN: "shutting down", H.STORE_UNAVAILABLE: "store", H.PAUSED: "pause",
    H.STARTUP_GRACE: "startup grace", H.CLOCK_JUMPED: "clock jumped", H.STALE_READING: "stale reading",
    H.SELF_TEST: "self test", H.MAINTENANCE: "maintenance", H.SILENCED: "silence",
    H.STOPPED_BY_OPERATOR: "manager stopped", H.FLAPPING: "flapping", H.WORSE: "worse", H.UPSTREAM: "upstream",
    H.STORM: "storm", H.MIN_HEALTHY: "min_healthy", H.ONLY_IF: "only_if", H.RESOURCE_BUSY: "manager busy",
    H.SETTLING: "one at a time", H.COOLDOWN: "cooldown", H.LIMIT_RULE: "limit of rule",
    H.LIMIT_RESOURCE: "limit of resource", H.BUDGET: "budget", H.CONFLICT: "manager conflict", H.MODE: "mode",
    H.NOT_ALLOWED: "not allowed", H.APPROVAL: "approval", H.CLEAR_NOW: "a guess", H.BLIND_NOW: "manager unasked",
    H.EXHAUSTED: "every try was made",
}  # fmt: skip
"""The property that says of each hold that no attempt is made under it."""
