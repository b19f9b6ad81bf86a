"""Attempts: what was done about an incident, how it ended and whether it helped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.model.moment import Stamp
from daemon.model.quick import quick


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a remediation did, in a sentence and in facts."""

    summary: str  # e.g. "restarted supervisor program web"
    details: Mapping[str, object] = field(default_factory=dict)  # JSON values: exit code, stderr, counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a remediation would do."""

    summary: str  # a sentence with counts, as an infinitive: "restart service web (systemd:web.service@node), ..."
    facts: Mapping[str, object] = field(default_factory=dict)  # JSON values that it rests on: an approval is for these


class AttemptState(StrEnum):
    """Where an attempt's effect stands."""

    RUNNING = "running"  # claimed: the effect may have begun
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LAPSED = "lapsed"  # claimed, but too late to begin: nothing was done
    LOST = "lost"  # found running at start-up: nobody knows
    WOULD = "would"  # observe mode: nothing was done


class Verification(StrEnum):
    """What the same condition said after the attempt."""

    EFFECTIVE = "effective"
    INEFFECTIVE = "ineffective"
    UNVERIFIED = "unverified"


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt, as the store keeps it: the row that limits are counted from."""

    id: str  # sortable by time, unique
    rule: str
    resource: str  # what was touched: the key of all limits
    ladder: str  # the ladder's own resource (its first step's)
    remediation: str
    step: str  # the step's key
    try_number: int  # 1 for the first of its step
    incidents: tuple[str, ...]  # ids of the incidents it was made for, the proposing one first
    sick: tuple[str, ...] = ()  # what could become worse by it and was sick at the claim (`daemon.runtime.harm`)
    claimed: Stamp
    timeout: float  # seconds; while it runs or is lost it counts as ending at claim + timeout
    settle: float  # seconds
    verify: float  # seconds
    cooldown: float  # seconds of least quiet time after verification
    state: AttemptState = AttemptState.RUNNING
    permanent: bool = False  # failed, and trying again cannot help
    ended: Stamp | None = None  # end of the effect
    summary: str = ""  # what was done or why it failed
    details: Mapping[str, object] = field(default_factory=dict)
    verification: Verification | None = None
    released: Stamp | None = None  # end of verification: the resource is free, the cooldown begins
    would: bool = False  # observe mode
    void: bool = False  # a would-be attempt whose count was reset by going to act mode
