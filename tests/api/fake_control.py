"""A control that notes what it is told: our own interface, so that a surface can be tested without a daemon."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from daemon.api.wire import (
    HoldingJson,
    ReloadJson,
    StatusJson,
    attempt_to_json,
    budget_to_json,
    check_to_json,
    incident_to_json,
    moment,
)
from daemon.api.wire_explain import explanation_to_json, plan_entry_to_json, would_to_json
from daemon.errors import StoreError
from daemon.model.check import Check, Reading, Run
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
from daemon.model.incident import Hold, HoldReason, Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState, Verification
from daemon.model.rule import Limit, Severity, Verdict
from daemon.model.track import HoldRecord

STAMP = Stamp(wall=1_700_000_000.25, boot="b", boottime=100.0, host="node", synchronised=True)
SECRET = "hunter2-in-an-option"
ATTEMPT = Attempt(
    id="ATT-1",
    rule="api-down",
    resource="supervisor:/run/s.sock/api@node",
    ladder="supervisor:/run/s.sock/api@node",
    remediation="restart",
    step=f'{{"restart": {{"password": "{SECRET}"}}}}',
    try_number=2,
    incidents=("INC-1",),
    claimed=STAMP,
    timeout=120.0,
    settle=10.0,
    verify=60.0,
    cooldown=60.0,
    state=AttemptState.SUCCEEDED,
    summary="restarted\x1b[31m api",
    details={"exit_code": 0, "seconds": float("nan"), "path": Path("/x")},
    verification=Verification.INEFFECTIVE,
)
INCIDENT = Incident(
    id="INC-1",
    rule="api-down",
    check="api_health",
    subject="eu",
    service="api",
    severity=Severity.P1,
    state=IncidentState.FIRING,
    opened=STAMP,
    because="up == 0",
    linked_to="INC-0",
    hold=HoldReason.LIMIT_RULE,
    hold_sentence="3 attempts in 1h are the limit; the next is free at 12:00",
    handed_over=HoldReason.LIMIT_RULE,
    handed_over_at=STAMP,
)
HOLD = HoldRecord(
    rule="api-down",
    resource=ATTEMPT.resource,
    incident="INC-1",
    remediation="restart",
    reason=HoldReason.COOLDOWN,
    sentence="cooling down",
    at=STAMP,
)
CHECK = Check(
    name="api_health",
    type="http",
    options={"password": SECRET},
    every=90.0,
    timeout=5.0,
    retry_every=3.0,
    vanish_after=300.0,
    service="api",
)


NEXT = NextStep(
    remediation="restart",
    resource=ATTEMPT.resource,
    step=1,
    steps=2,
    try_number=2,
    tries=3,
    would=False,
    plan="restart service api, which supervisor calls running",
    guards=(
        GuardAnswer(reason=HoldReason.PAUSED),
        GuardAnswer(reason=HoldReason.FLAPPING),
        GuardAnswer(
            reason=HoldReason.COOLDOWN,
            hold=Hold(reason=HoldReason.COOLDOWN, sentence="40s of cooldown left", until=140.0),
            until=STAMP.wall + 40.0,
        ),
        GuardAnswer(reason=HoldReason.MODE),
    ),
    allowances=(
        Allowance(of="rule api-down", limit=Limit(count=3, window=3600.0), used=3, free_in=720.0),
        Allowance(of="all", limit=Limit(count=0, window=3600.0), used=0, free_in=math.inf),
    ),
)
STANDING = Standing(
    rule="api-down",
    check="api_health",
    subject="eu",
    service="api",
    severity=Severity.P1,
    answer="restart of it is held by cooldown: 40s of cooldown left",
    condition="up == 0 or avg(latency_seconds, 1m) > 5s",
    clear_when="up == 1",
    verdict=Verdict.BREACHED,
    because="up = 0",
    operands=(
        Operand(text="up", value="0"),
        Operand(text="avg(latency_seconds, 1m)", value=None, missing="nothing there", window=60.0, samples=0, span=0.0),
    ),
    ran=STAMP,
    state=IncidentState.FIRING,
    since=STAMP,
    counted=20.0,
    needed=60.0,
    incident="INC-1",
    hold=HoldReason.COOLDOWN,
    hold_sentence="40s of cooldown left",
    handed_over=HoldReason.BUDGET,
    next=NEXT,
)
EXPLANATION = Explanation(
    name="api-down",
    kind="rule",
    answer="rule api-down on api_health eu: restart of it is held by cooldown",
    standings=(STANDING, replace(STANDING, subject="us\x1b[2J", next=None)),
    left_out=7,
    story=IncidentStory(
        incident=INCIDENT,
        transitions=tuple(
            Transition(
                rule="api-down",
                check="api_health",
                subject="eu",
                incident="INC-1",
                old=IncidentState.FIRING,
                new=IncidentState.RECOVERING,
                at=replace(STAMP, wall=STAMP.wall + number),
                because=f"change {number}",
            )
            for number in range(30)
        ),
        holds=(HOLD,),
        attempts=(ATTEMPT,),
    ),
)
PLAN_ENTRY = PlanEntry(
    rule="api-down",
    severity=Severity.P1,
    incident="INC-1",
    check="api_health",
    subject="eu",
    answer="restart of it would be done now",
    next=NEXT,
)
REPORT = WouldReport(
    since=STAMP.wall,
    rows=(
        WouldRow(
            rule="api-down",
            resource=ATTEMPT.resource,
            attempts=(replace(ATTEMPT, would=True, state=AttemptState.WOULD),) * 22,
            peaks=(Peak(of="rule api-down", limit=Limit(count=3, window=3600.0), most=2),),
            holds=((HoldReason.LIMIT_RULE, 4), (HoldReason.MODE, 1)),
            handed_over=(INCIDENT,),
        ),
    ),
    budget=(Peak(of="all", limit=Limit(count=20, window=3600.0), most=2),),
    is_cut=True,
)


class FakeControl:
    """Set `errors` to refuse a reload, `is_hanging` to answer nothing, `is_store_broken` to lose the store."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.errors: list[str] = []
        self.is_paused = False
        self.paused_at = moment(STAMP)
        self.is_hanging = False
        self.is_store_broken = False
        self.has_bug = False
        self.entries = [PLAN_ENTRY]
        self.report = REPORT
        self.end = asyncio.Event()  # set: what hangs goes on
        self.begun = asyncio.Semaphore(0)  # released when a reload begins

    async def reload(self) -> list[str]:
        self.calls.append(("reload",))
        self.begun.release()
        await self._trouble()
        return self.errors

    async def pause(self, *, why: str, who: str) -> None:
        await self._trouble()
        self.calls.append(("pause", why, who))
        self.is_paused = True

    async def resume(self, *, who: str) -> bool:
        await self._trouble()
        self.calls.append(("resume", who))
        was, self.is_paused = self.is_paused, False
        return was

    async def retry(self, incident: str, *, who: str) -> str:
        await self._trouble()
        self.calls.append(("retry", incident, who))
        if incident != "INC-1":
            raise LookupError(f"there is no open incident {incident}")
        return "the ladder of api-down starts anew"

    def status(self) -> Mapping[str, object]:
        if self.has_bug:
            raise KeyError(SECRET)
        ended = Run(
            check="api_health",
            began=1.0,
            ended=2.0,
            readings=(Reading(subject="eu", samples={"up": 0}), Reading(subject="us", samples={"up": 1})),
            at=STAMP,
        )
        blind = Run(check="api_health", began=1.0, ended=2.0, error="no route\x07 here", at=STAMP)
        return dict(
            StatusJson(
                version="1.2.3",
                node="node",
                pid=42,
                mode="act",
                ready="the first runs have not ended",
                paused={"why": "moving house", "who": "ann", "since_at": self.paused_at} if self.is_paused else None,
                store_writable=False,
                config="/etc/heald/rules.yaml",
                state_dir="/var/lib/heald",
                listen="127.0.0.1:9797",
                started_at=moment(STAMP) or "",
                reload=ReloadJson(
                    successful=False, ended_at=moment(STAMP), errors=["rules.yaml:1:2: x: no\n    ax: 1\n     ^"]
                ),
                rules=1,
                checks=[check_to_json(CHECK, ended), check_to_json(CHECK, blind), check_to_json(CHECK, None)],
                holding=[
                    HoldingJson(reason="self_test", sentence="gateway has up 0", until_at=None),
                    HoldingJson(reason="clock_jumped", sentence="it jumped", until_at="2023-11-14T22:14:00.000Z"),
                ],
                open_incidents=1,
                handed_over=1,
                under_way=[attempt_to_json(ATTEMPT)],
                budgets=[
                    budget_to_json("all", Limit(count=20, window=3600.0), 19),
                    budget_to_json("systemd:full@node", Limit(count=3, window=3600.0), 0),
                    budget_to_json("systemd:free@node", Limit(count=3, window=3600.0), 3),
                ],
            )
        )

    async def incidents(self, *, limit: int, closed: bool) -> list[Mapping[str, object]]:
        await self._trouble()
        self.calls.append(("incidents", str(limit), str(closed)))
        return [dict(incident_to_json(INCIDENT, attempts=[ATTEMPT], holds=[HOLD]))][:limit]

    async def explain(self, name: str) -> Mapping[str, object]:
        await self._trouble()
        self.calls.append(("explain", name))
        if name != "api-down":
            raise LookupError(f"there is no rule, service or incident {name}; did you mean api-down?")
        return dict(explanation_to_json(EXPLANATION))

    async def plan(self) -> list[Mapping[str, object]]:
        await self._trouble()
        return [dict(plan_entry_to_json(entry)) for entry in self.entries]

    async def would(self, *, seconds: float) -> Mapping[str, object]:
        await self._trouble()
        self.calls.append(("would", str(seconds)))
        return dict(would_to_json(self.report))

    async def _trouble(self) -> None:
        if self.is_hanging:
            await self.end.wait()
        if self.is_store_broken:
            raise StoreError("the disk is full")
