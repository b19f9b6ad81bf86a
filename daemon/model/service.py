"""Services: what is kept alive, by whom it is run, and what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.model.rule import Limit


class ServiceState(StrEnum):
    """What a service manager says of a service."""

    RUNNING = "running"
    STOPPED = "stopped"  # not running, and its manager leaves it so
    FAILED = "failed"  # its manager gave it up
    BUSY = "busy"  # its manager is acting on it now: starting, stopping, about to restart it
    UNKNOWN = "unknown"  # its manager cannot tell, or knows no such service; not: could not be asked


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceStatus:
    """A manager's answer about a service."""

    state: ServiceState
    detail: str  # the manager's own word for it, e.g. BACKOFF
    by_operator: bool = False  # a person stopped it, as far as the manager can tell: it is to be left alone
    stopped_for: float | None = None  # seconds since it was stopped, where the manager knows


@dataclass(frozen=True, kw_only=True, slots=True)
class RunBy:
    """Who runs a service: a manager's name and its validated Options."""

    manager: str
    options: object = field(repr=False)  # they may hold a secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service as the operator configured it."""

    name: str
    depends_on: tuple[str, ...] = ()  # services that must be well for this one to be
    run_by: RunBy | None = None
    limit: tuple[Limit, ...] | None = None  # most attempts on its resource; None: the default
    runbook: str | None = None  # URL for people
    min_healthy: float | None = None  # members that must stay healthy while one is acted on; None: it has no members
    min_healthy_percent: bool = False  # whether that is a share of the members
    conflicts: tuple[str, ...] = ()  # files or units that hold acting on it
    labels: Mapping[str, str] = field(default_factory=dict)
