"""The keys of rules.yaml that are not a plug-in's, with their defaults (`docs/judgement.md`)."""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from daemon.config.values import (
    ConditionText,
    Conflicts,
    Cooldown,
    Cron,
    Interval,
    Labels,
    Limits,
    Listen,
    Members,
    Url,
    Wait,
    Zone,
)
from daemon.model.rule import Limit
from daemon.plugin import OptionsModel, Percent, Size


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


class StormKeys(OptionsModel):
    """`settings.storm`."""

    share: Percent = Field(gt=0, le=100, description="Share of the services without a sick upstream.")
    quiet: Wait = Field(default=600.0, description="Time without a storm before acting again.")


class SettingsKeys(OptionsModel):
    """`settings`."""

    mode: Literal["observe", "act"] = Field(default="observe", description="Whether heald may act at all.")
    allow: list[str] = Field(default=[], description="Remediations that may act; nothing else ever does.")
    budget: Limits = Field(default=[Limit(count=20, window=3600.0)], description="Limits of all remediations together.")
    storm: StormKeys | None = Field(
        default=None, description="Many sick at once is not many faults: then nothing is done. Off unless set."
    )
    conflicts: Conflicts = Field(
        default=[], description="Files (absolute paths) and systemd units that hold all acting while they are there."
    )
    self_test: list[str] = Field(
        default=[], description="Checks that tell whether it is heald itself that is cut off: acting is held meanwhile."
    )
    startup_grace: Wait = Field(default=60.0, description="No acting so soon after start; 0s switches it off.")
    shutdown_grace: Wait = Field(default=20.0, description="How long running attempts may take when heald stops.")
    escalate_after: Wait = Field(default=600.0, description="Held longer than this, people are told.")
    concurrency: int = Field(default=512, ge=1, le=100_000, description="Most runs in flight.")
    history: HistoryKeys = Field(default=HistoryKeys(), description="How much run history is kept.")
    listen: Listen = Field(default="127.0.0.1:9797", description="HOST:PORT of metrics and health pages.")
    uvloop: bool = Field(default=False, description="Run on uvloop (the extra `fast`) from the next start on.")


class ServiceKeys(OptionsModel):
    """A service."""

    depends_on: list[str] = Field(default=[], description="Services that must be well for this one to be.")
    run_by: Any = Field(default=None, description="Who runs it: one manager and its options.")
    limit: Limits | None = Field(
        default=None, description="Most attempts on it, by whichever rule; without it [3/1h, 6/1d]."
    )
    runbook: Url | None = Field(default=None, description="URL for people.")
    min_healthy: Members | None = Field(
        default=None,
        description="Members (subjects of its checks) that must stay healthy while one is acted on: 2, or 51%. "
        "Those for which another attempt is under way do not count as healthy.",
    )
    conflicts: Conflicts = Field(
        default=[], description="Files and systemd units that hold acting on it while they are there or at work."
    )
    labels: Labels = Field(default={}, description="Free words for selection.")


class MaintenanceKeys(OptionsModel):
    """A maintenance window: what it covers is neither acted on nor told, and judged anew after."""

    cron: Cron = Field(description='When it begins, as crontab has it: "0 3 * * SUN".')
    lasts: Interval = Field(description="How long it is open.")
    zone: Zone = Field(default="UTC", description="Time zone in which cron is read, such as Europe/Berlin.")
    services: list[str] = Field(default=[], description="Services that it covers.")
    checks: list[str] = Field(default=[], description="Checks that it covers.")
    rules: list[str] = Field(default=[], description="Rules that it covers.")
    labels: Labels = Field(default={}, description="Labels that what it covers has, all of them.")
    all: bool = Field(default=False, description="Whether it covers everything.")


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
    only_if: ConditionText | None = Field(
        default=None, description="A condition that must hold as well; else this step is passed over."
    )


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
    maintenance: Any = Field(default=None, description="Windows of planned work, by name.")
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
    maintenance: Any = Field(default=None, description="Windows of planned work, by name.")
    rules: Any = Field(default=None, description="When something is wrong and what is done, by name.")
