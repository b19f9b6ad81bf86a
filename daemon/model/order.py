"""Standing orders: what people told heald to leave alone, or to keep quiet about, until they end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.model.moment import Stamp


class OrderKind(StrEnum):
    """What an order is for."""

    PAUSE = "pause"  # nothing is done until somebody resumes; the pause of everything is a file, not an order
    SILENCE = "silence"  # people are not told; with `holds`, nothing is done either
    MAINTENANCE = "maintenance"  # planned work: neither told nor done, and what opens meanwhile is counted anew after


Matcher = tuple[str, ...]
"""Field, `=` or `!=`, and a value in which * and ? stand for any text and any character."""
FIELDS = ("rule", "check", "service", "subject", "severity")
"""What a matcher may name; and `label:NAME`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order of a person."""

    id: str  # e.g. silence-3f2a1c
    kind: OrderKind
    matchers: tuple[Matcher, ...]  # all must match; at least one
    holds: bool  # whether acting is held
    who: str
    why: str
    made: Stamp
    lasts: float | None = None  # seconds; None: until somebody ends it
    ended: Stamp | None = None
    ended_by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What an incident is about, as orders and maintenance windows select it."""

    rule: str
    check: str
    service: str | None
    subject: str
    severity: str
    labels: Mapping[str, str] = field(default_factory=dict)  # of the check and of its service


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A maintenance window of the rules file: a cron schedule of starts, each lasting so long."""

    name: str
    cron: str  # five fields, as crontab(5)
    lasts: float  # seconds, by the clock on the wall of no zone: a window across a change of time is as long as any
    zone: str  # IANA name of the time zone in which cron is read
    rules: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # all of them
    is_for_all: bool = False
