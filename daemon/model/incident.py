"""Incidents: what is wrong, since when, and why nothing is done about it if nothing is."""

from dataclasses import dataclass
from enum import StrEnum

from daemon.model.moment import Stamp
from daemon.model.quick import quick
from daemon.model.rule import Severity

OWN = "heald:"
"""How the names of heald's own rules begin; none of a file can have such a name."""
OWN_RULES = (f"{OWN}blind", f"{OWN}self_test", f"{OWN}storm")
"""Their names: each has incidents that only tell people."""


class IncidentState(StrEnum):
    """The lifecycle of rule x check x subject; the last three close an incident."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    VANISHED = "vanished"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        """Whether an incident in this state is open."""
        return self in (IncidentState.FIRING, IncidentState.RECOVERING)


class HoldReason(StrEnum):
    """Every no has a name; the order of the guards stands in `daemon.engine.guards`."""

    SHUTTING_DOWN = "shutting_down"
    STORE_UNAVAILABLE = "store_unavailable"
    PAUSED = "paused"
    STARTUP_GRACE = "startup_grace"
    CLOCK_JUMPED = "clock_jumped"
    STALE_READING = "stale_reading"
    SELF_TEST = "self_test"
    MAINTENANCE = "maintenance"
    SILENCED = "silenced"
    STOPPED_BY_OPERATOR = "stopped_by_operator"
    FLAPPING = "flapping"
    WORSE = "worse"
    UPSTREAM = "upstream"
    STORM = "storm"
    MIN_HEALTHY = "min_healthy"
    ONLY_IF = "only_if"
    RESOURCE_BUSY = "resource_busy"
    SETTLING = "settling"
    COOLDOWN = "cooldown"
    LIMIT_RULE = "limit_rule"
    LIMIT_RESOURCE = "limit_resource"
    BUDGET = "budget"
    CONFLICT = "conflict"
    MODE = "mode"
    NOT_ALLOWED = "not_allowed"
    APPROVAL = "approval"
    CLEAR_NOW = "clear_now"  # the second look found it clear
    BLIND_NOW = "blind_now"  # the second look could not look
    EXHAUSTED = "exhausted"  # every step was tried; not a guard but the end of the ladder


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A named no: what keeps heald from acting, in words, and until when if that is known."""

    reason: HoldReason
    sentence: str  # for people: says what holds and what would end it
    until: float | None = None  # steady seconds


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One incident, as the store keeps it."""

    id: str  # INC-YYYYMMDD-HHMMSS-xxxx
    rule: str
    check: str
    subject: str
    service: str | None
    severity: Severity
    state: IncidentState
    opened: Stamp
    because: str  # the operands that made the verdict so, when it opened
    closed: Stamp | None = None
    linked_to: str | None = None  # the incident of which this is a relapse
    hold: HoldReason | None = None  # what holds it now
    hold_sentence: str = ""
    handed_over: HoldReason | None = None  # people were told, for this reason
    handed_over_at: Stamp | None = None


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """A change of state, as it is recorded."""

    rule: str
    check: str
    subject: str
    incident: str | None  # its id, None before it opens
    old: IncidentState
    new: IncidentState
    at: Stamp
    because: str
