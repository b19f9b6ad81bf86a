"""Sentences: why nothing is done about something, or what is. Pure; the first that applies is the answer."""

from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.engine.proof import wall_of
from daemon.engine.verification import Watch, is_before_verify
from daemon.model.explanation import GuardAnswer, NextStep
from daemon.model.incident import Hold, IncidentState
from daemon.model.moment import Stamp
from daemon.model.rule import Rule, Verdict
from daemon.model.track import Ladder, Track
from daemon.model.units import rough_duration

_DAY = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What an answer rests on."""

    rule: Rule
    check: str
    track: Track
    verdict: Verdict | None  # None: the check has not run
    because: str
    blind: str | None  # why the newest run could not look
    needed: float  # seconds that must count: `for`, `clear_for`, or a root's settle
    root: str | None = None  # the upstream service whose settle that is, once nothing mutes an incident any more
    ladder: Ladder | None
    watch: Watch | None  # the ladder's attempt under way
    is_looking: bool  # its second look is under way
    came_back: bool = False  # it is a relapse that nothing was tried for: its tries were spent before
    impossible: str | None  # why the next step cannot be done at all
    next: NextStep | None
    observes: bool  # observe mode
    now: float  # steady seconds
    wall: float  # the same moment, seconds since the epoch


def clock_time(wall: float, now: float) -> str:
    """A moment as people read it in a sentence: `12:03:05Z`, with its date if that is not today."""
    at, today = datetime.fromtimestamp(wall, UTC), datetime.fromtimestamp(now, UTC)
    return f"{at:%H:%M:%S}Z" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M:%S}Z"


def lasting(hold: Hold, now: Stamp) -> str:
    """A hold in words that stay true: what holds, and until which moment where that is known."""
    until = wall_of(hold.until, now)
    return f"{hold.sentence}, until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S}Z" if until else hold.sentence


def said(answer: GuardAnswer, now: float) -> str:
    """A guard that holds, in words: its name, its sentence, until when."""
    if answer.hold is None:
        return f"{answer.reason} lets pass"
    until = f", until {clock_time(answer.until, now)}" if answer.until is not None else ""
    return f"{answer.reason}: {answer.hold.sentence}{until}"


def answer(it: Situation) -> str:
    """One sentence."""
    if it.verdict is None:
        return f"check {it.check} has not run yet, so nothing is known"
    if it.track.state is IncidentState.FIRING:
        return _firing(it)
    if it.blind is not None and it.verdict is Verdict.UNKNOWN:
        return f"heald is blind, and heals nothing on a guess: {it.check} could not look: {it.blind}"
    if it.track.state is IncidentState.PENDING:
        counted, needed = rough_duration(it.track.counted), rough_duration(it.needed)
        then = f"; then {_coming(it)}" if it.next else ""
        return f"it is breached, but not for long enough yet: {counted} of {needed} count{then}"
    if it.track.state is IncidentState.RECOVERING:
        return _recovering(it)
    return _inactive(it)


def _recovering(it: Situation) -> str:
    closing = f"{rough_duration(it.track.counted)} of {rough_duration(it.needed)} count towards closing it"
    if it.watch is None:
        return f"it is clear again, so nothing is done: {closing}"
    attempt = it.watch.attempt
    if attempt.would or is_before_verify(it.watch, it.now):
        return f"{under_way(it.watch, it.now, it.wall, observes=it.observes)}; it is clear again: {closing}"
    done = f"{attempt.remediation} of {attempt.resource} was done and is being verified"  # its deadline stands still
    return f"{done}: it is clear again, and {closing}"


def _inactive(it: Situation) -> str:
    if it.verdict is Verdict.UNKNOWN:
        return f"nobody knows whether it is breached, and heald heals nothing on a guess: {it.because}"
    if it.verdict is Verdict.BREACHED:
        return f"it is breached since the newest run, and the next one decides: {it.because}"
    then = f"; if it fired, {_coming(it)}" if it.next else ""
    return f"it is not breached, so nothing is done: {it.because}{then}"


def _coming(it: Situation) -> str:
    """What would come of the next step."""
    if it.next is None or not it.next.is_left:
        relapse = rough_duration(it.rule.relapse)
        return f"it would be for people: every try was made or ruled out, until it has stayed closed for {relapse}"
    what = f"{it.next.remediation} of {it.next.resource}"
    held = it.next.held
    return f"{what} would be held by {said(held[0], it.wall)}" if held else f"{what} would be done"


def _firing(it: Situation) -> str:
    if not it.rule.steps:
        return "the rule has no steps: it only tells people"
    if it.watch is not None:
        return under_way(it.watch, it.now, it.wall, observes=it.observes)
    if it.impossible is not None:
        return f"its next step cannot be done: {it.impossible}"
    if (it.ladder is not None and it.ladder.exhausted) or it.next is None or not it.next.is_left:
        last = f"`heald retry {it.track.incident}` begins anew"
        before = (
            f" before it came back, less than {rough_duration(it.rule.relapse)} after it closed" if it.came_back else ""
        )
        return f"every try of every step was made or ruled out{before} and it is not well: it is for people now; {last}"
    if it.blind is not None or it.verdict is Verdict.UNKNOWN:
        why = f"{it.check} could not look: {it.blind}" if it.blind else it.because
        return f"heald is blind now, and heals nothing on a guess: {why}"
    if it.verdict is Verdict.CLEAR:
        return "it is neither breached nor what clear_when asks for, so it stays open and nothing is done"
    if it.is_looking:
        return f"heald looks again right now, before {it.next.remediation} of {it.next.resource}"
    held = it.next.held
    if held:
        return f"{it.next.remediation} of {it.next.resource} is held by {said(held[0], it.wall)}"
    if it.track.muted:
        return counts_anew(it.track, it.needed, it.root)
    return f"no guard holds: {it.next.remediation} of {it.next.resource} comes next, once a second look confirms it"


def counts_anew(track: Track, needed: float, root: str | None) -> str:
    """Why one that was held by planned work or a sick upstream is not proposed yet; `root`: its settle decides."""
    counted = f"{rough_duration(track.counted)} of {rough_duration(needed)}"
    over = "what held it (planned work, or what it depends on) is over"
    return f"{over}, and " + (
        f"time counts anew: {counted}, the settle of {root}" if root else f"`for` counts anew: {counted}"
    )


def under_way(watch: Watch, now: float, wall: float, *, observes: bool) -> str:
    """How far an attempt has come; `now` in steady seconds, and the same moment by the wall clock."""
    attempt = watch.attempt
    what = f"{attempt.remediation} of {attempt.resource}"
    if attempt.would:
        until = clock_time(wall + watch.deadline - now, wall)
        why = "observe mode" if observes else f"{attempt.remediation} is not in settings.allow"
        return f"{why}: {what} would have been done, and counts as under way until {until}"
    if watch.settled is None:
        return f"{what} is under way, try {attempt.try_number}"
    if now < watch.settled:
        return f"{what} was done and settles until {clock_time(wall + watch.settled - now, wall)}"
    return f"{what} was done and is verified until {clock_time(wall + watch.deadline - now, wall)}"
