"""Rules: when something is wrong, and what may be done about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from daemon.model.units import format_duration


class Severity(StrEnum):
    """P0 (now) to P3 (within a day), as the runbooks say it; a lower number is more severe."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Verdict(StrEnum):
    """What a condition says of one run."""

    BREACHED = "BREACHED"
    CLEAR = "CLEAR"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """At most `count` attempts in any window of `window` seconds; count 0 never acts."""

    count: int
    window: float  # seconds

    def __str__(self) -> str:
        return f"{self.count}/{format_duration(self.window)}"


DEFAULT_LIMIT = (Limit(count=3, window=3600.0), Limit(count=6, window=86400.0))
"""Of a rule, and of a resource, where the file says nothing."""


class Condition(Protocol):
    """A compiled condition: pure, and cheap enough to judge every run (`daemon.engine.condition`)."""

    @property
    def text(self) -> str:
        """The operator's words."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One rung of a rule's ladder."""

    remediation: str  # the plug-in's name
    options: object = field(repr=False)  # the plug-in's validated Options, which may hold a secret
    key: str  # the step's content (remediation and options as canonical JSON): its identity across edits
    tries: int = 1  # attempts before the next step
    cooldown: tuple[float, float] = (60.0, 60.0)  # seconds, first and most; doubles with each try between the two
    settle: float = 10.0  # seconds after the effect in which runs judge nothing
    verify: float = 60.0  # seconds after settle by which it must be clear
    timeout: float = 120.0  # seconds the effect may take
    approval: bool | None = None  # a person must agree first; None: if the plug-in asks
    only_if: Mapping[str, Condition] | None = None  # by check: what must hold as well for this step to be for it
    asks: bool = False  # the plug-in itself asks for approval, unless the operator waives it by name

    @property
    def needs_approval(self) -> bool:
        """Whether a person must agree to each attempt."""
        return self.asks if self.approval is None else self.approval


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule as the operator configured it."""

    name: str
    order: int  # its place in the file; the first comes first where all else is equal
    checks: tuple[str, ...]  # names of the checks it judges, in the file's order
    when: Mapping[str, Condition]  # by check: the condition compiled against that check's samples
    for_seconds: Mapping[str, float]  # by check: breached for this long before it fires
    clear_when: Mapping[str, Condition] | None = None  # by check: replaces "not breached" for leaving FIRING
    clear_for: float = 0.0  # seconds clear before it resolves
    severity: Severity = Severity.P2
    steps: tuple[Step, ...] = ()
    limit: tuple[Limit, ...] = DEFAULT_LIMIT
    relapse: float = 600.0  # seconds after closing in which the ladder goes on where it was
    escalate_after: float = 600.0  # seconds of being held after which people are told
    runbook: str | None = None
    summary: str | None = None  # a sentence for people
