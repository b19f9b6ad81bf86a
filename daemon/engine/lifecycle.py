"""The lifecycle of rule x check x subject: one judged run moves it by at most one state."""

from dataclasses import dataclass

from daemon.model.incident import IncidentState
from daemon.model.quick import replace
from daemon.model.rule import Verdict
from daemon.model.track import Track

_LONGEST_GAP = 3  # intervals between two runs over which time still counts (docs/judgement.md, lifecycle)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The seconds of one rule for one check."""

    every: float
    for_seconds: float
    clear_for: float


def word(verdict: Verdict, clears: Verdict | None) -> Verdict:
    """What a run says of an open incident: BREACHED, CLEAR, or UNKNOWN where the state stays.

    `clears` is the verdict of `clear_when` (BREACHED: it is true), None if the rule has none. It counts only where
    `when` does not hold; while neither holds, the state stays.
    """
    if verdict is not Verdict.CLEAR or clears is None:
        return verdict
    return Verdict.CLEAR if clears is Verdict.BREACHED else Verdict.UNKNOWN


def counted_time(last: Verdict | None, last_at: float, now: Verdict, at: float, every: float) -> float:
    """Seconds that count between two consecutive runs: of the same known verdict, at most three `every` apart."""
    if now is Verdict.UNKNOWN or now is not last or at - last_at > _LONGEST_GAP * every:
        return 0.0
    return at - last_at


def advance(track: Track, verdict: Verdict, clears: Verdict | None, at: float, timing: Timing) -> Track:
    """The track after a run that ended at `at` (steady seconds); RESOLVED in its state closes the incident."""
    state = track.state
    if state is IncidentState.INACTIVE:
        if verdict is not Verdict.BREACHED:
            return track
        first = IncidentState.PENDING if timing.for_seconds > 0 else IncidentState.FIRING
        return replace(track, state=first, counted=0.0, last=verdict, last_at=at)
    said = verdict if state is IncidentState.PENDING else word(verdict, clears)
    counted = track.counted + counted_time(track.last, track.last_at, said, at, timing.every)
    new = _next(state, said, counted, timing)
    return replace(track, state=new, counted=counted if new is state else 0.0, last=said, last_at=at)


def _next(state: IncidentState, said: Verdict, counted: float, timing: Timing) -> IncidentState:
    match state, said:
        case IncidentState.PENDING, Verdict.BREACHED if counted >= timing.for_seconds:
            return IncidentState.FIRING
        case IncidentState.PENDING, Verdict.CLEAR:
            return IncidentState.INACTIVE
        case IncidentState.FIRING, Verdict.CLEAR:
            return IncidentState.RECOVERING if timing.clear_for > 0 else IncidentState.RESOLVED
        case IncidentState.RECOVERING, Verdict.BREACHED:
            return IncidentState.FIRING
        case IncidentState.RECOVERING, Verdict.CLEAR if counted >= timing.clear_for:
            return IncidentState.RESOLVED
    return state


def passed_over(track: Track) -> Track:
    """The track after a run that judged nothing: no time counts across it."""
    return track if track.last is None else replace(track, last=None)


def absent(track: Track, at: float, vanish_after: float) -> Track:
    """The track after a run that could look and did not find its subject; VANISHED closes the incident."""
    since = at if track.missing_since is None else track.missing_since
    gone = at - since >= vanish_after
    return replace(
        track,
        missing_since=since,
        last=Verdict.UNKNOWN,
        last_at=at,
        state=IncidentState.VANISHED if gone else track.state,
    )
