"""Whether what was expected holds, and if not, what happened instead."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from daemon.config.scenario_schema import ExpectKeys
from daemon.model.incident import Incident, IncidentState
from daemon.model.units import format_duration
from daemon.testing.scenario.model import Expectation, is_same_resource
from daemon.testing.scenario.timeline import Key, Made, Timeline

T = TypeVar("T")
_OVER = (IncidentState.RESOLVED, IncidentState.VANISHED, IncidentState.WITHDRAWN)
_MOST_NAMED = 5  # of what happened instead that a sentence names


def why_not(expectation: Expectation, timeline: Timeline, lasts: float) -> str | None:
    """Why an expectation does not hold; None if it does."""
    keys = expectation.keys
    first, last = min(expectation.first, lasts), min(expectation.last, lasts)
    if keys.attempt is not None:
        return _attempts(keys, timeline, first, last)
    if keys.incidents is not None:
        return _open(keys, timeline, last if keys.at is not None else lasts)
    if keys.opened is not None:
        return _opened(keys, timeline, first, last)
    return _incident(keys, timeline, first, last)


# ---- attempts -------------------------------------------------------------------------------------------------------


def _attempts(keys: ExpectKeys, timeline: Timeline, first: float, last: float) -> str | None:
    asked = [it for it in timeline.attempts(would=keys.would) if it.attempt.remediation == keys.attempt]
    then = [it for it in asked if first <= it.at <= last]
    found = [it for it in then if _is_meant(keys, it)]
    wanted = 0 if keys.never else keys.count
    if len(found) == wanted or (wanted is None and found):
        return None
    expected = "none" if wanted == 0 else "at least one" if wanted is None else str(wanted)
    said = f"expected {expected}, and there were {len(found) or 'none'}"
    if found:
        return f"{said}: {_listed(found)}"
    if then:
        return f"{said} such as this, only {_listed(then)}"
    return f"{said} then, only {_listed(asked)}" if asked else said


def _is_meant(keys: ExpectKeys, made: Made) -> bool:
    row = made.attempt
    is_outcome = keys.outcome in (None, str(row.state)) or (keys.outcome == "permanent" and row.permanent)
    return (
        (keys.resource is None or is_same_resource(row.resource, keys.resource))
        and keys.rule in (None, row.rule)
        and is_outcome
        and keys.verified in (None, str(row.verification) if row.verification is not None else "")
    )


def _listed(made: Sequence[Made]) -> str:
    shown = [_shown(it) for it in made[:_MOST_NAMED]]
    return ", ".join(shown) + (f" and {len(made) - _MOST_NAMED} more" if len(made) > _MOST_NAMED else "")


def _shown(made: Made) -> str:
    row = made.attempt
    found = f" and {row.verification}" if row.verification is not None else ""
    return f"{row.resource} at {format_duration(made.at)} ({row.state}{found})"


# ---- incidents ------------------------------------------------------------------------------------------------------


def _keys(keys: ExpectKeys, found: Iterable[Key]) -> list[Key]:
    """The rule x check x subject that are meant."""
    rule = keys.incident or keys.rule
    return [
        key
        for key in found
        if rule in (None, key[0]) and keys.check in (None, key[1]) and keys.subject in (None, key[2])
    ]


def _in_force(versions: Sequence[tuple[float, T]], first: float, last: float) -> list[T]:
    """What held at the first moment, and all that came after it up to the last."""
    before = [it for at, it in versions if at <= first]
    return before[-1:] + [it for at, it in versions if first < at <= last]


def _open(keys: ExpectKeys, timeline: Timeline, at: float) -> str | None:
    found = [
        incident
        for key in _keys(keys, timeline.incidents)
        for incident in _in_force(timeline.incidents[key], at, at)
        if incident.state.is_open
    ]
    if len(found) == keys.incidents:
        return None
    shown = ", ".join(f"{it.rule} on {it.check} {it.subject}".strip() + f" ({it.state})" for it in found)
    return f"expected {keys.incidents} to be open, and there were {len(found)}" + (f": {shown}" if shown else "")


def _opened(keys: ExpectKeys, timeline: Timeline, first: float, last: float) -> str | None:
    times: list[float] = []
    for key in _keys(keys, timeline.incidents):
        seen: set[str] = set()
        for at, incident in timeline.incidents[key]:
            if incident.id not in seen and (first <= at <= last):
                times.append(at)
            seen.add(incident.id)
    if len(times) == keys.opened:
        return None
    shown = ", ".join(format_duration(at) for at in sorted(times)[:_MOST_NAMED])
    return f"expected {keys.opened} to be opened, and there were {len(times)}" + (f": at {shown}" if shown else "")


def _incident(keys: ExpectKeys, timeline: Timeline, first: float, last: float) -> str | None:
    """A state, a hold or a handing over; of several incidents one is enough, but all must be inactive."""
    if keys.hold is None and keys.handed_over is None and keys.state is not None:
        found, is_so = _state(keys, timeline, first, last)
    else:
        found, is_so = _facets(keys, timeline, first, last)
    if is_so is not keys.never:
        return None
    if keys.never:
        return "expected never, and it was so"
    return f"it was not so: {found}"


def _state(keys: ExpectKeys, timeline: Timeline, first: float, last: float) -> tuple[str, bool]:
    states = timeline.states()
    found = [
        (key, _in_force([(-1.0, IncidentState.INACTIVE), *states[key]], first, last)) for key in _keys(keys, states)
    ]
    if keys.state is IncidentState.INACTIVE:
        is_so = all(any(it is keys.state or it in _OVER for it in seen) for _, seen in found)
    else:
        is_so = any(keys.state in seen for _, seen in found)
    shown = [f"{' '.join(key[1:]).strip()} was {', '.join(dict.fromkeys(seen))}" for key, seen in found[:_MOST_NAMED]]
    return "; ".join(shown) or "it was inactive all the time", is_so


def _facets(keys: ExpectKeys, timeline: Timeline, first: float, last: float) -> tuple[str, bool]:
    is_meant = _facet(keys)
    seen: list[Incident] = []
    for key in _keys(keys, timeline.incidents):
        seen += _in_force(timeline.incidents[key], first, last)
    if keys.hold is not None and keys.state is None and keys.handed_over is None:  # what is recorded holds then
        meant = set(_keys(keys, timeline.incidents))
        if any(
            first <= at <= last and row.reason is keys.hold and timeline.keys.get(row.incident) in meant
            for at, row in timeline.holds
        ):
            return "", True
    shown = [_facts(it) for it in seen if it.closed is None][-_MOST_NAMED:]
    return "; ".join(dict.fromkeys(shown)) or "no incident was open", any(is_meant(it) for it in seen)


def _facet(keys: ExpectKeys) -> Callable[[Incident], bool]:
    is_bare = keys.hold is None and keys.handed_over is None and keys.state is None
    return lambda it: (
        (not is_bare or it.state.is_open)
        and keys.state in (None, it.state)
        and keys.hold in (None, it.hold)
        and keys.handed_over in (None, it.handed_over)
    )


def _facts(it: Incident) -> str:
    held = f"held by {it.hold}" if it.hold is not None else "held by nothing"
    told = f", handed over for {it.handed_over}" if it.handed_over is not None else ""
    return f"{it.rule} was {it.state}, {held}{told}"
