"""Explanations, plans and reports as JSON; the rest of the model is in `wire`."""

import math
from typing import TypedDict

from daemon.api.wire import AttemptJson, IncidentJson, attempt_to_json, incident_to_json, moment
from daemon.model.explanation import (
    Allowance,
    Explanation,
    GuardAnswer,
    IncidentStory,
    NextStep,
    Operand,
    Peak,
    PlanEntry,
    Standing,
    WouldReport,
    WouldRow,
)
from daemon.model.incident import Transition


class OperandJson(TypedDict):
    """One thing that a condition looks at."""

    text: str
    value: str | None  # with its unit; null: missing
    missing: str  # why it is
    window_seconds: float | None
    samples: int | None  # known ones in the window
    span_seconds: float | None  # from the oldest of them to the newest


class GuardJson(TypedDict):
    """What one guard says."""

    guard: str
    holds: bool
    sentence: str  # "" where it lets pass
    until_at: str | None


class AllowanceJson(TypedDict):
    """What one limit still permits."""

    of: str  # "rule NAME", the resource, or "all"
    limit: str
    used: int
    remaining: int
    free_in_seconds: float | None  # 0: one more may begin now; null: never


class NextStepJson(TypedDict):
    """What would be done next."""

    remediation: str
    resource: str
    step: int
    steps: int
    try_number: int
    tries: int
    would: bool  # on paper: observe mode, or not allowed
    is_left: bool  # false: every try of every step was made, and this was the last
    plan: str
    guards: list[GuardJson]  # all, in their order
    budget: list[AllowanceJson]


class StandingJson(TypedDict):
    """Where one rule stands with one subject."""

    rule: str
    check: str
    subject: str
    service: str | None
    severity: str
    answer: str
    condition: str
    clear_when: str | None
    verdict: str | None
    because: str
    operands: list[OperandJson]
    ran_at: str | None
    state: str
    since_at: str | None
    counted_seconds: float
    needed_seconds: float
    incident: str | None
    hold: str | None
    hold_sentence: str
    handed_over: str | None
    next: NextStepJson | None


class TransitionJson(TypedDict):
    """One change of state."""

    old: str
    new: str
    because: str
    moved_at: str


class StoryJson(TypedDict):
    """What happened to one incident."""

    incident: IncidentJson
    transitions: list[TransitionJson]


class ExplanationJson(TypedDict):
    """The answer to `heald explain NAME`."""

    name: str
    kind: str
    answer: str
    standings: list[StandingJson]
    left_out: int
    story: StoryJson | None


class PlanEntryJson(TypedDict):
    """What heald would do about one ladder in act mode."""

    rule: str
    severity: str
    incident: str
    check: str
    subject: str
    answer: str
    next: NextStepJson | None


class PeakJson(TypedDict):
    """How far one limit was used."""

    of: str
    limit: str
    most: int


class WouldRowJson(TypedDict):
    """One rule and one resource of a report."""

    rule: str
    resource: str
    attempts: list[AttemptJson]
    limits: list[PeakJson]
    holds: dict[str, int]  # by reason, how often it was recorded
    handed_over: list[IncidentJson]


class WouldReportJson(TypedDict):
    """The answer to `heald report --would`."""

    since_at: str
    rows: list[WouldRowJson]
    budget: list[PeakJson]
    is_cut: bool  # the oldest of that time were too many to read


def explanation_to_json(it: Explanation) -> ExplanationJson:
    """The answer to `heald explain NAME`."""
    return ExplanationJson(
        name=it.name,
        kind=it.kind,
        answer=it.answer,
        standings=[standing_to_json(standing) for standing in it.standings],
        left_out=it.left_out,
        story=story_to_json(it.story) if it.story is not None else None,
    )


def standing_to_json(it: Standing) -> StandingJson:
    """Where one rule stands with one subject."""
    return StandingJson(
        rule=it.rule,
        check=it.check,
        subject=it.subject,
        service=it.service,
        severity=it.severity.value,
        answer=it.answer,
        condition=it.condition,
        clear_when=it.clear_when,
        verdict=it.verdict.value if it.verdict is not None else None,
        because=it.because,
        operands=[_operand(operand) for operand in it.operands],
        ran_at=moment(it.ran),
        state=it.state.value,
        since_at=moment(it.since),
        counted_seconds=it.counted,
        needed_seconds=it.needed,
        incident=it.incident,
        hold=it.hold.value if it.hold is not None else None,
        hold_sentence=it.hold_sentence,
        handed_over=it.handed_over.value if it.handed_over is not None else None,
        next=next_to_json(it.next) if it.next is not None else None,
    )


def next_to_json(it: NextStep) -> NextStepJson:
    """What would be done next."""
    return NextStepJson(
        remediation=it.remediation,
        resource=it.resource,
        step=it.step,
        steps=it.steps,
        try_number=it.try_number,
        tries=it.tries,
        would=it.would,
        is_left=it.is_left,
        plan=it.plan,
        guards=[_guard(answer) for answer in it.guards],
        budget=[_allowance(allowance) for allowance in it.allowances],
    )


def story_to_json(it: IncidentStory) -> StoryJson:
    """What happened to one incident."""
    return StoryJson(
        incident=incident_to_json(it.incident, attempts=it.attempts, holds=it.holds),
        transitions=[_transition(transition) for transition in it.transitions],
    )


def plan_entry_to_json(it: PlanEntry) -> PlanEntryJson:
    """What heald would do about one ladder in act mode."""
    return PlanEntryJson(
        rule=it.rule,
        severity=it.severity.value,
        incident=it.incident,
        check=it.check,
        subject=it.subject,
        answer=it.answer,
        next=next_to_json(it.next) if it.next is not None else None,
    )


def would_to_json(it: WouldReport) -> WouldReportJson:
    """The answer to `heald report --would`."""
    return WouldReportJson(
        since_at=moment(it.since) or "",
        rows=[_row(row) for row in it.rows],
        budget=[_peak(peak) for peak in it.budget],
        is_cut=it.is_cut,
    )


def _operand(it: Operand) -> OperandJson:
    return OperandJson(
        text=it.text,
        value=it.value,
        missing=it.missing,
        window_seconds=it.window,
        samples=it.samples,
        span_seconds=it.span,
    )


def _guard(it: GuardAnswer) -> GuardJson:
    sentence = it.hold.sentence if it.hold is not None else ""
    return GuardJson(guard=it.reason.value, holds=it.hold is not None, sentence=sentence, until_at=moment(it.until))


def _allowance(it: Allowance) -> AllowanceJson:
    return AllowanceJson(
        of=it.of,
        limit=str(it.limit),
        used=it.used,
        remaining=max(0, it.limit.count - it.used),
        free_in_seconds=it.free_in if math.isfinite(it.free_in) else None,
    )


def _transition(it: Transition) -> TransitionJson:
    return TransitionJson(old=it.old.value, new=it.new.value, because=it.because, moved_at=moment(it.at) or "")


def _peak(it: Peak) -> PeakJson:
    return PeakJson(of=it.of, limit=str(it.limit), most=it.most)


def _row(it: WouldRow) -> WouldRowJson:
    return WouldRowJson(
        rule=it.rule,
        resource=it.resource,
        attempts=[attempt_to_json(attempt) for attempt in it.attempts],
        limits=[_peak(peak) for peak in it.peaks],
        holds={reason.value: count for reason, count in it.holds},
        handed_over=[incident_to_json(incident) for incident in it.handed_over],
    )
