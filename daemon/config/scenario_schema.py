"""The keys of a file of scenarios (`docs/scenarios.md`)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from daemon.config.values import Wait
from daemon.model.incident import HoldReason, IncidentState
from daemon.model.units import format_duration, parse_duration
from daemon.plugin import OptionsModel

END = "end"
_LONGEST_LIFE = 366 * 86400.0  # seconds that a scenario may last: each instant of it is lived through
_LONGEST_SHIFT = 100 * 366 * 86400.0  # seconds


def _moment(value: Any) -> float:
    if value == END:
        return float("inf")
    if not isinstance(value, str):
        raise ValueError("this is no time; write one since the start of the scenario such as 4m, or end")
    return parse_duration(value)


def _shift(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("this is not a shift of the clock; write one such as 2h or -30d")
    seconds = parse_duration(value.removeprefix("-"))
    if seconds > _LONGEST_SHIFT:
        raise ValueError(f"a clock is shifted by at most {format_duration(_LONGEST_SHIFT)}")
    return -seconds if value.startswith("-") else seconds


def _start(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("this is no moment; write one such as 2026-11-22T10:00:00Z") from None
    if at.tzinfo is None:
        raise ValueError(f"{value} has no time zone; write {value}Z for UTC")
    if not 1971 <= at.year <= 9000:
        raise ValueError(f"{value} is no year in which heald runs; write one such as 2026-11-22T10:00:00Z")
    return at.astimezone(UTC)


def _life(seconds: float) -> float:
    if seconds > _LONGEST_LIFE:
        raise ValueError(f"a scenario lasts at most {format_duration(_LONGEST_LIFE)}")
    return seconds


def _time(seconds: float) -> float:
    if seconds > _LONGEST_LIFE and seconds != float("inf"):
        raise ValueError(f"a scenario lasts at most {format_duration(_LONGEST_LIFE)}")
    return seconds


Span = Annotated[Wait, AfterValidator(_life)]
"""Seconds, or a time as seconds since the start."""
Shift = Annotated[float, BeforeValidator(_shift)]
"""Seconds that a wall clock is moved by; it may be negative."""
Moment = Annotated[float, BeforeValidator(_moment), AfterValidator(_time)]
"""Seconds since the start; infinite for `end`."""
Start = Annotated[datetime, BeforeValidator(_start)]
"""When a scenario begins, by the wall clock."""


class FileKeys(OptionsModel):
    """The file as a whole."""

    version: int = Field(description="The format of this file; write version: 1.")
    rules: str | None = Field(default=None, min_length=1, description="The rules file, from the folder of this one.")
    rules_text: str | None = Field(default=None, description="The rules themselves.")
    scenarios: Any = Field(default=None, description="What happens and what is expected, by name.")


class ScenarioKeys(OptionsModel):
    """One scenario; its parts are read one by one."""

    start: Start = Field(default=datetime(2026, 11, 22, 10, tzinfo=UTC), description="When it begins.")
    mode: Literal["observe", "act"] | None = Field(default=None, description="Instead of what the rules say.")
    lasts: Span | None = Field(default=None, description="How long it goes on; else 10m after all that is named.")
    readings: Any = Field(default=None, description="What each check sees, by its name.")
    effects: Any = Field(default=None, description="What attempts do, as a list.")
    events: Any = Field(default=None, description="What happens to heald and its host, as a list.")
    expect: Any = Field(default=None, description="What must hold, as a list.")


class LookKeys(OptionsModel):
    """What one look sees."""

    samples: Any = Field(default=None, description="Samples by name; one that is not named is missing.")
    subjects: Any = Field(default=None, description="Samples by name, by subject.")
    unknown: str | None = Field(default=None, min_length=1, description="Why the check could not look.")
    takes: Span = Field(default=0.0, description="How long a run takes.")


class StageKeys(LookKeys):
    """What a check sees from a time on."""

    from_: Span = Field(alias="from", description="The time from which on it is seen.")
    look: Any = Field(default=None, description="What a second look sees instead.")


class EffectKeys(OptionsModel):
    """What attempts of a remediation do."""

    remediation: str = Field(description="Which remediation.")
    resource: str | None = Field(default=None, min_length=1, description="On which resource; else on any.")
    nth: int | None = Field(default=None, ge=1, description="Which of its attempts; else every.")
    takes: Span | None = Field(default=None, description="How long the effect takes; else 1s.")
    outcome: Literal["succeeded", "failed", "permanent", "hangs"] = Field(
        default="succeeded", description="How the effect ends."
    )
    begins: Span = Field(default=0.0, description="How long after its claim it begins.")
    then: Any = Field(default=None, description="What checks see from its end on, by name.")


class EventKeys(OptionsModel):
    """What every event has."""

    at: Span = Field(description="When it happens.")
    do: str = Field(description="What happens.")


class CrashKeys(EventKeys):
    """kill -9."""

    down: Span = Field(default=0.0, description="How long until heald is started again.")


class ReloadKeys(EventKeys):
    """`heald reload`."""

    rules: str | None = Field(default=None, min_length=1, description="The rules file, from the folder of this file.")


class ResumeKeys(EventKeys):
    """`heald resume`."""

    service: str | None = Field(default=None, min_length=1, description="Of this service alone.")
    rule: str | None = Field(default=None, min_length=1, description="Of this rule alone.")


class PauseKeys(ResumeKeys):
    """`heald pause`."""

    why: str = Field(min_length=1, description="Why.")


class OrderKeys(EventKeys):
    """`heald silence add`, `heald maintenance start`."""

    for_: Span = Field(alias="for", gt=0, description="How long it lasts.")
    service: str | None = Field(default=None, min_length=1, description="The service that it covers.")
    rule: str | None = Field(default=None, min_length=1, description="The rule that it covers.")
    hold: bool = Field(default=False, description="Whether a silence holds acting too.")
    why: str = Field(default="a scenario", min_length=1, description="Why.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.service is None and self.rule is None:
            raise ValueError("nothing is named that it covers; write service or rule")
        return self


class DecisionKeys(EventKeys):
    """`heald approve`."""

    resource: str | None = Field(
        default=None, min_length=1, description="Where several wait: the one on this resource."
    )


class RejectKeys(DecisionKeys):
    """`heald reject`."""

    why: str = Field(default="a scenario", min_length=1, description="Why.")


class ClockKeys(EventKeys):
    """The wall clock jumps."""

    by: Shift = Field(description="How far; -2h is back.")


class RebootKeys(EventKeys):
    """The host boots anew."""

    down: Span = Field(default=60.0, description="How long until it is up, heald with it.")
    clock: Shift = Field(default=0.0, description="How far the wall clock is off when it comes up.")
    synchronised: bool = Field(default=True, description="Whether the kernel calls it right.")


class ExpectKeys(OptionsModel):
    """One expectation."""

    at: Moment | None = Field(default=None, description="The time at which it holds: a time or end.")
    between: list[Moment] | None = Field(
        default=None, min_length=2, max_length=2, description="The first and the last moment."
    )
    attempt: str | None = Field(default=None, description="Attempts of this remediation.")
    resource: str | None = Field(default=None, min_length=1, description="Attempts on this resource.")
    outcome: Literal["succeeded", "failed", "permanent", "lapsed", "lost", "running"] | None = Field(
        default=None, description="How the effect ended; permanent: failed for good."
    )
    verified: Literal["effective", "ineffective", "unverified"] | None = Field(
        default=None, description="What verification found."
    )
    would: bool = Field(default=False, description="Whether would-be attempts are meant instead of real ones.")
    incident: str | None = Field(default=None, description="Incidents of this rule.")
    check: str | None = Field(default=None, description="Incidents of this check.")
    subject: str | None = Field(default=None, description="Incidents of this subject.")
    state: IncidentState | None = Field(default=None, strict=False, description="Their state.")
    hold: HoldReason | None = Field(default=None, strict=False, description="What holds acting.")
    rule: str | None = Field(default=None, description="The rule that is held, or that acts.")
    handed_over: HoldReason | None = Field(default=None, strict=False, description="Why people were told.")
    count: int | None = Field(default=None, ge=0, description="How many attempts, exactly.")
    opened: int | None = Field(default=None, ge=0, description="How many incidents were opened, exactly.")
    incidents: int | None = Field(default=None, ge=0, description="How many incidents are open, exactly.")
    never: bool = Field(default=False, description="Whether it must not be.")
