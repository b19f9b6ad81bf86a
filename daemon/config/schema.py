"""The keys of rules.yaml that are not a plug-in's, with their defaults (`docs/judgement.md`)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, WithJsonSchema, create_model

from daemon.model.address import parse_address
from daemon.model.rule import Limit
from daemon.model.units import format_duration, parse_duration
from daemon.plugin import DURATION_PATTERN, Duration, OptionsModel, Size

_LONGEST = 10 * 365 * 86400.0  # seconds; a longer wait is a mistake, and no clock is that steady
_SHORTEST_INTERVAL = 0.01  # seconds: the scheduler would do nothing else
_MOST_ATTEMPTS = 1_000_000_000  # more than any window will ever see
_LIMIT = re.compile(r"([0-9]{1,7})/(\S+)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def _wait(seconds: float) -> float:
    if not seconds <= _LONGEST:
        raise ValueError(f"a duration is at most ten years ({format_duration(_LONGEST)})")
    return seconds


def _interval(seconds: float) -> float:
    if seconds < _SHORTEST_INTERVAL:
        least = format_duration(_SHORTEST_INTERVAL)
        raise ValueError(f"{format_duration(seconds)} is no interval; write {least} or more, such as 30s")
    return seconds


def parse_limit(text: Any) -> Limit:
    """A limit such as `3/1h`. Raises ValueError with what is allowed."""
    found = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        shown = f"{text!r} is" if isinstance(text, str | int | float) else "this is"
        raise ValueError(f"{shown} not a limit; write COUNT/WINDOW such as 3/1h (0/1h never acts)")
    window = _wait(parse_duration(found[2]))
    if window <= 0:
        raise ValueError(f"the window of {text!r} is empty; write one such as 3/1h")
    if int(found[1]) > _MOST_ATTEMPTS:
        raise ValueError(f"{text!r} allows more than {_MOST_ATTEMPTS} attempts, which is no limit; write 3/1h")
    return Limit(count=int(found[1]), window=window)


def _limits(limits: list[Limit]) -> list[Limit]:
    """Refuse none at all. One that a stricter one beside it makes needless is valid: it is kept all the same."""
    if not limits:
        raise ValueError("an empty list is no limit; write [3/1h], or leave it out for the default")
    return limits


def _cooldown(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a cooldown is a duration such as 5m, or a range such as 1m..30m")
    least, dots, most = value.partition("..")
    first = _wait(parse_duration(least))
    last = _wait(parse_duration(most)) if dots else first
    if last < first:
        raise ValueError(f"the range {value} is upside down; write {most}..{least}")
    if dots and first == 0:
        raise ValueError(f"the range {value} begins at 0s, which stays 0s however often it doubles; write 1s..{most}")
    return first, last


def _listen(value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError("this is no address; write HOST:PORT such as 127.0.0.1:9797")
    return str(parse_address(str(value)))


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError(f"{value!r} is not a URL; write one such as https://wiki.example/runbooks/api")
    return value


def _condition(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a condition is a text such as up == 0; put it in quotes if YAML takes it for something else")
    return value


Wait = Annotated[Duration, AfterValidator(_wait)]
"""A duration that may be 0s."""
Interval = Annotated[Duration, AfterValidator(_wait), AfterValidator(_interval)]
"""A duration that may not be 0s."""
Limits = Annotated[
    list[
        Annotated[
            InstanceOf[Limit],
            BeforeValidator(parse_limit),
            WithJsonSchema(
                {
                    "type": "string",
                    "title": "limit",
                    "pattern": rf"^[0-9]{{1,7}}/{DURATION_PATTERN}$",
                    "examples": ["3/1h"],
                }
            ),
        ]
    ],
    AfterValidator(_limits),
]
"""Most attempts in each window, all at once."""
Cooldown = Annotated[
    tuple[float, float],
    BeforeValidator(_cooldown),
    WithJsonSchema(
        {
            "type": "string",
            "title": "duration, or a range such as 1m..30m",
            "pattern": rf"^{DURATION_PATTERN}(\.\.{DURATION_PATTERN})?$",
        }
    ),
]
"""Least and most quiet time after an attempt, in seconds."""
ConditionText = Annotated[
    str, BeforeValidator(_condition), WithJsonSchema({"type": "string", "title": "condition", "minLength": 1})
]
"""A condition, which is compiled once the checks are known."""
Url = Annotated[
    str, AfterValidator(_url), WithJsonSchema({"type": "string", "title": "URL", "pattern": f"^{_URL.pattern}$"})
]
"""An address for people."""
Labels = dict[str, str]
"""Free words by free names."""


def _only(model: type[OptionsModel], *names: str) -> type[OptionsModel]:
    """Some fields of a model, as a model of their own."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in model.model_fields.items() if name in names
    }
    return create_model(f"{model.__name__}Defaults", __base__=OptionsModel, **fields)


class HistoryKeys(OptionsModel):
    """`settings.history`."""

    for_: Interval = Field(default=7 * 86400.0, alias="for", description="How long run history is kept.")
    size: Size = Field(default=256 * 2.0**20, ge=2.0**20, description="Most bytes of run history.")


class SettingsKeys(OptionsModel):
    """`settings`."""

    mode: Literal["observe", "act"] = Field(default="observe", description="Whether heald may act at all.")
    allow: list[str] = Field(default=[], description="Remediations that may act; nothing else ever does.")
    budget: Limits = Field(default=[Limit(count=20, window=3600.0)], description="Limits of all remediations together.")
    self_test: list[str] = Field(
        default=[], description="Checks that tell whether it is heald itself that is cut off: acting is held meanwhile."
    )
    startup_grace: Wait = Field(default=60.0, description="No acting so soon after start; 0s switches it off.")
    shutdown_grace: Wait = Field(default=20.0, description="How long running attempts may take when heald stops.")
    escalate_after: Wait = Field(default=600.0, description="Held longer than this, people are told.")
    concurrency: int = Field(default=512, ge=1, le=100_000, description="Most runs in flight.")
    history: HistoryKeys = Field(default=HistoryKeys(), description="How much run history is kept.")
    listen: Annotated[str, BeforeValidator(_listen), WithJsonSchema({"type": "string", "title": "address"})] = Field(
        default="127.0.0.1:9797", description="HOST:PORT of metrics and health pages."
    )


class ServiceKeys(OptionsModel):
    """A service."""

    depends_on: list[str] = Field(default=[], description="Services that must be well for this one to be.")
    run_by: Any = Field(default=None, description="Who runs it: one manager and its options.")
    limit: Limits | None = Field(
        default=None, description="Most attempts on it, by whichever rule; without it [3/1h, 6/1d]."
    )
    runbook: Url | None = Field(default=None, description="URL for people.")
    labels: Labels = Field(default={}, description="Free words for selection.")


class ConnectionKeys(OptionsModel):
    """What every connection has besides its kind."""

    optional: bool = Field(
        default=False, description="Whether a secret of it may be missing: what uses it is then blind, and says so."
    )


class CheckKeys(OptionsModel):
    """What every check has besides its type."""

    service: str | None = Field(default=None, description="The service it looks at.")
    every: Interval = Field(default=30.0, description="Time between runs.")
    timeout: Interval | None = Field(
        default=None, description="How long a run may take; without it the lesser of 10s and every."
    )
    retry_every: Interval | None = Field(
        default=None, description="Time between runs while pending or verifying; without it a third of every."
    )
    vanish_after: Interval | None = Field(
        default=None,
        description="How long a discovered subject may be absent; without it ten times every, at least 5m.",
    )
    max_subjects: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most subjects of a run that discovers them; without it 1000."
    )
    labels: Labels = Field(default={}, description="Free words for selection.")


class RuleKeys(OptionsModel):
    """A rule."""

    check: str | None = Field(default=None, description="The check that it judges.")
    checks: Any = Field(default=None, description="Several checks: a list, or {labels: {NAME: VALUE}}.")
    when: ConditionText = Field(description="A condition such as up == 0.")
    clear_when: ConditionText | None = Field(
        default=None, description="A condition that replaces not breached for leaving."
    )
    for_: Wait | None = Field(
        default=None, alias="for", description="Breached for so long before it fires; without it twice every."
    )
    clear_for: Wait = Field(default=0.0, description="Clear for so long before it resolves.")
    severity: Literal["P0", "P1", "P2", "P3"] = Field(default="P2", description="P0 now to P3 within a day.")
    steps: Any = Field(default=None, description="What is tried, one after the other.")
    limit: Limits | None = Field(default=None, description="Most attempts of this rule; without it [3/1h, 6/1d].")
    relapse: Wait | None = Field(
        default=None, description="After closing, the ladder goes on for so long; without it 10m."
    )
    escalate_after: Wait | None = Field(
        default=None, description="Held longer than this, people are told; without it as in settings."
    )
    runbook: Url | None = Field(default=None, description="URL for people.")
    summary: str | None = Field(default=None, min_length=1, description="A sentence for people.")


class SelectionKeys(OptionsModel):
    """`checks` of a rule, by labels."""

    labels: Labels = Field(min_length=1, description="Labels that a check must have, all of them.")


class StepKeys(OptionsModel):
    """What every step has besides its remediation."""

    tries: int = Field(default=1, ge=1, description="Attempts before the next step.")
    cooldown: Cooldown = Field(default=(60.0, 60.0), description="Quiet time after an attempt, or a range of it.")
    settle: Wait = Field(default=10.0, description="Start grace in which nothing is judged.")
    verify: Interval = Field(default=60.0, description="It must be clear so soon after settle.")
    timeout: Interval = Field(default=120.0, description="How long the effect may take.")
    approval: bool | None = Field(default=None, description="Whether a person must agree first.")


CheckDefaults = _only(CheckKeys, "every", "timeout", "retry_every", "vanish_after", "max_subjects", "labels")
"""`defaults.checks`: what a check has that does not say it itself."""
RuleDefaults = _only(RuleKeys, "for_", "clear_for", "severity", "limit", "relapse", "escalate_after", "runbook")
"""`defaults.rules`: as `defaults.checks`."""


class DefaultsKeys(OptionsModel):
    """`defaults`; its parts are read one by one."""

    checks: Any = Field(default=None, description="Keys of every check that does not say them itself.")
    rules: Any = Field(default=None, description="Keys of every rule that does not say them itself.")
    steps: Any = Field(default=None, description="Keys of every step that does not say them itself.")


class IncludedKeys(OptionsModel):
    """A file that another one includes; its parts are read one by one."""

    version: int = Field(description="The format of this file; write version: 1.")
    connections: Any = Field(default=None, description="Clients that checks and managers share, by name.")
    services: Any = Field(default=None, description="What is kept alive, by name.")
    checks: Any = Field(default=None, description="What is looked at, by name.")
    rules: Any = Field(default=None, description="When something is wrong and what is done, by name.")


class FileKeys(OptionsModel):
    """The file as a whole; its parts are read one by one."""

    version: int = Field(description="The format of this file; write version: 1.")
    include: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description="Files that belong to this one, from its folder on, such as rules.d/*.yaml; a glob may match none.",
    )
    settings: Any = Field(default=None, description="Of the whole daemon.")
    defaults: Any = Field(default=None, description="Keys of checks, rules and steps that do not say them themselves.")
    connections: Any = Field(default=None, description="Clients that checks and managers share, by name.")
    services: Any = Field(default=None, description="What is kept alive, by name.")
    checks: Any = Field(default=None, description="What is looked at, by name.")
    rules: Any = Field(default=None, description="When something is wrong and what is done, by name.")
