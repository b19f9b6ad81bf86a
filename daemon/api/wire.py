"""The model as JSON: what the control socket says, and the only place that knows how.

Times are ISO 8601 in UTC and end in `_at`; durations are numbers of seconds and end in `_seconds`. What a plug-in was
configured with (a check's options, a step's key) is never shown: it may hold secrets.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TypedDict

from daemon.model.check import Check, Run
from daemon.model.explanation import GuardAnswer
from daemon.model.incident import Incident
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit
from daemon.model.track import HoldRecord

SOCKET_NAME = "heald.sock"
"""The control socket's name in the runtime directory, else in the state directory."""
NAMED_AT_MOST = 20
"""Subjects of one check that a status names; the rest is counted."""
_DEEPEST = 32  # levels of a plug-in's details; deeper ones are written as text


class AttemptJson(TypedDict):
    """One attempt."""

    id: str
    rule: str
    resource: str  # what was touched
    remediation: str
    try_number: int
    incidents: list[str]
    state: str  # running succeeded failed lapsed lost would
    would: bool  # observe mode: nothing was done
    permanent: bool  # it failed and trying again cannot help
    summary: str
    details: dict[str, object]
    verification: str | None  # effective ineffective unverified; null: not known yet
    claimed_at: str
    ended_at: str | None
    released_at: str | None  # the resource was free again
    timeout_seconds: float
    settle_seconds: float
    verify_seconds: float
    cooldown_seconds: float


class HoldJson(TypedDict):
    """One recorded hold."""

    reason: str
    sentence: str
    remediation: str
    resource: str
    held_at: str


class IncidentJson(TypedDict):
    """One incident with what was done about it."""

    id: str
    rule: str
    check: str
    subject: str
    service: str | None
    severity: str
    state: str
    because: str
    opened_at: str
    closed_at: str | None
    linked_to: str | None  # the incident of which this is a relapse
    hold: str | None  # what holds it now
    hold_sentence: str
    handed_over: str | None  # people were told, for this reason
    handed_over_at: str | None
    attempts: list[AttemptJson]  # oldest first
    holds: list[HoldJson]  # oldest first


class CheckJson(TypedDict):
    """One check as its newest run left it."""

    name: str
    type: str
    service: str | None
    every_seconds: float
    state: str  # up, down (a subject is), blind, waiting (no run yet)
    error: str | None  # why it is blind
    subjects: int  # readings of the newest run
    down: list[str]  # the subjects that are down, NAMED_AT_MOST of them
    ran_at: str | None


class BudgetJson(TypedDict):
    """What one limit still permits."""

    resource: str  # "all" for the budget of all together
    limit: str  # as the operator writes it: 3/1h
    window_seconds: float
    remaining: int


class PauseJson(TypedDict):
    """A pause in force."""

    why: str
    who: str
    since_at: str | None


class ReloadJson(TypedDict):
    """How the newest reload ended."""

    successful: bool
    ended_at: str | None
    errors: list[str]


class HoldingJson(TypedDict):
    """What keeps heald from acting on anything at all."""

    reason: str
    sentence: str
    until_at: str | None  # null: that is not known


class StatusJson(TypedDict):
    """What the daemon is doing now."""

    version: str
    node: str
    pid: int
    mode: str
    ready: str | None  # null: checks run; else why not yet, or no longer
    paused: PauseJson | None
    store_writable: bool
    config: str  # path of the file in use
    state_dir: str
    listen: str | None  # HOST:PORT of metrics and health pages; null: it could not listen
    started_at: str
    reload: ReloadJson
    rules: int
    checks: list[CheckJson]
    holding: list[HoldingJson]  # pauses and a store that takes no writes apart
    open_incidents: int
    handed_over: int  # of those
    under_way: list[AttemptJson]  # attempts from claim to the end of verification
    budgets: list[BudgetJson]


def moment(at: Stamp | datetime | float | None) -> str | None:
    """A moment (a number is seconds since the epoch) as `2026-11-25T02:40:23.125Z`."""
    if at is None:
        return None
    if isinstance(at, Stamp):
        at = at.wall
    if isinstance(at, int | float):
        at = datetime.fromtimestamp(at, UTC)
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def holding_to_json(it: GuardAnswer) -> HoldingJson:
    """What keeps heald from acting on anything at all."""
    sentence = it.hold.sentence if it.hold is not None else ""
    return HoldingJson(reason=it.reason.value, sentence=sentence, until_at=moment(it.until))


def json_value(value: object, depth: int = 0) -> object:
    """Anything as a JSON value: NaN and infinities are null, what JSON does not know is its text (a secret: stars)."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Enum):
        return json_value(value.value, depth)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, datetime | Stamp):
        return moment(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(json_value(str(key))): json_value(inner, depth + 1) for key, inner in value.items()}
    if depth < _DEEPEST and isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [json_value(inner, depth + 1) for inner in value]
    return json_value(str(value))


def attempt_to_json(attempt: Attempt) -> AttemptJson:
    """One attempt, without the step's options."""
    return AttemptJson(
        id=attempt.id,
        rule=attempt.rule,
        resource=attempt.resource,
        remediation=attempt.remediation,
        try_number=attempt.try_number,
        incidents=list(attempt.incidents),
        state=attempt.state.value,
        would=attempt.would,
        permanent=attempt.permanent,
        summary=attempt.summary,
        details={str(key): json_value(value) for key, value in attempt.details.items()},
        verification=attempt.verification.value if attempt.verification else None,
        claimed_at=moment(attempt.claimed) or "",
        ended_at=moment(attempt.ended),
        released_at=moment(attempt.released),
        timeout_seconds=attempt.timeout,
        settle_seconds=attempt.settle,
        verify_seconds=attempt.verify,
        cooldown_seconds=attempt.cooldown,
    )


def hold_to_json(hold: HoldRecord) -> HoldJson:
    """One recorded hold."""
    return HoldJson(
        reason=hold.reason.value,
        sentence=hold.sentence,
        remediation=hold.remediation,
        resource=hold.resource,
        held_at=moment(hold.at) or "",
    )


def incident_to_json(
    incident: Incident, *, attempts: Iterable[Attempt] = (), holds: Iterable[HoldRecord] = ()
) -> IncidentJson:
    """One incident with its attempts and holds, both oldest first."""
    return IncidentJson(
        id=incident.id,
        rule=incident.rule,
        check=incident.check,
        subject=incident.subject,
        service=incident.service,
        severity=incident.severity.value,
        state=incident.state.value,
        because=incident.because,
        opened_at=moment(incident.opened) or "",
        closed_at=moment(incident.closed),
        linked_to=incident.linked_to,
        hold=incident.hold.value if incident.hold else None,
        hold_sentence=incident.hold_sentence,
        handed_over=incident.handed_over.value if incident.handed_over else None,
        handed_over_at=moment(incident.handed_over_at),
        attempts=[attempt_to_json(attempt) for attempt in attempts],
        holds=[hold_to_json(hold) for hold in holds],
    )


def check_to_json(check: Check, run: Run | None) -> CheckJson:
    """One check and its newest run, None before the first."""
    readings = run.readings if run else ()
    down = [reading.subject for reading in readings if reading.samples.get("up") == 0]
    if run is None:
        state = "waiting"
    elif run.error is not None:
        state = "blind"
    else:
        state = "down" if down else "up"
    return CheckJson(
        name=check.name,
        type=check.type,
        service=check.service,
        every_seconds=check.every,
        state=state,
        error=run.error if run else None,
        subjects=len(readings),
        down=down[:NAMED_AT_MOST],
        ran_at=moment(run.at) if run else None,
    )


def budget_to_json(resource: str, limit: Limit, remaining: int) -> BudgetJson:
    """What one limit still permits."""
    return BudgetJson(resource=resource, limit=str(limit), window_seconds=limit.window, remaining=remaining)


def error_to_json(sentence: str, errors: Sequence[str] = ()) -> dict[str, object]:
    """Every refusal: `error` is a sentence for people, `errors` the located ones of a file that was refused."""
    return {"error": sentence, "errors": list(errors)} if errors else {"error": sentence}
