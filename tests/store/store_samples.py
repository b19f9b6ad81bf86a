"""Rows and clocks for the tests of the store."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from daemon.model.incident import HoldReason, Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Severity
from daemon.model.track import HistoryRow, HoldRecord, Ladder, Track

START = Stamp(wall=1_800_000_000.0, boot="boot-1", boottime=5000.0, host="node", synchronised=True)


class HandClock:
    """A clock that stands until a test moves it."""

    def __init__(self, at: Stamp = START) -> None:
        self.at = at

    def steady(self) -> float:
        return self.at.boottime

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at.wall, UTC)

    def stamp(self) -> Stamp:
        return self.at

    def pass_by(self, seconds: float) -> None:
        self.at = later(self.at, seconds)

    def reboot(self, *, down: float = 60.0, boot: str = "boot-2", synchronised: bool = True) -> None:
        self.at = replace(self.at, wall=self.at.wall + down, boottime=0.0, boot=boot, synchronised=synchronised)


def later(stamp: Stamp, seconds: float) -> Stamp:
    return replace(stamp, wall=stamp.wall + seconds, boottime=stamp.boottime + seconds)


def incident(number: int = 1, **changes: object) -> Incident:
    whole = Incident(
        id=f"INC-20270115-080000-{number:04d}",
        rule="api-down",
        check="api_health",
        subject="",
        service="api",
        severity=Severity.P1,
        state=IncidentState.FIRING,
        opened=START,
        because="up is 0",
    )
    return replace(whole, **changes)


def attempt(number: int = 1, **changes: object) -> Attempt:
    whole = Attempt(
        id=f"{number:013d}-abcdef",
        rule="api-down",
        resource="supervisor:/run/s.sock/api@node",
        ladder="supervisor:/run/s.sock/api@node",
        remediation="restart",
        step='{"restart":{}}',
        try_number=1,
        incidents=("INC-20270115-080000-0001",),
        claimed=START,
        timeout=120.0,
        settle=10.0,
        verify=60.0,
        cooldown=60.0,
    )
    return replace(whole, **changes)


def over(made: Attempt, at: Stamp = START) -> Attempt:
    return replace(made, state=AttemptState.SUCCEEDED, ended=at, released=at)


def transition(number: int = 1, **changes: object) -> Transition:
    whole = Transition(
        rule="api-down",
        check="api_health",
        subject="",
        incident=f"INC-20270115-080000-{number:04d}",
        old=IncidentState.PENDING,
        new=IncidentState.FIRING,
        at=START,
        because="up is 0",
    )
    return replace(whole, **changes)


def hold(number: int = 1, **changes: object) -> HoldRecord:
    whole = HoldRecord(
        rule="api-down",
        resource="supervisor:/run/s.sock/api@node",
        incident=f"INC-20270115-080000-{number:04d}",
        remediation="restart",
        reason=HoldReason.COOLDOWN,
        sentence="the cooldown of the last attempt runs for 40s more",
        at=START,
    )
    return replace(whole, **changes)


def track(**changes: object) -> Track:
    whole = Track(rule="api-down", check="api_health", subject="", state=IncidentState.PENDING, counted=12.5)
    return replace(whole, **changes)


def ladder(**changes: object) -> Ladder:
    return replace(Ladder(rule="api-down", resource="supervisor:/run/s.sock/api@node"), **changes)


def history_row(check: str = "api_health", at: Stamp = START, **samples: float | str | bool) -> HistoryRow:
    return HistoryRow(check=check, subject="", at=at, ok=True, samples=samples or {"up": 1.0, "latency_seconds": 0.25})


def within(seconds: float) -> float:
    return time.monotonic() + seconds
