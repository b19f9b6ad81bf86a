"""One pass over checks without a daemon: look once and judge once, by the daemon's own code, and remember nothing.

What it comes to is a level as monitoring plug-ins have it; the worst wins: critical, warning, unknown, ok.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from daemon.config.setup import Setup
from daemon.engine.observations import Observations
from daemon.model.check import Check, Reading, Run, Sample
from daemon.model.rule import Severity, Verdict
from daemon.protocols import Clock
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.connections import Connections
from daemon.runtime.judging import Subject, judge, subjects, view_of
from daemon.runtime.look import look
from daemon.runtime.runs import masked_run
from daemon.runtime.toolbox import Toolbox

NOT_JUDGED = "needs more than one run: not judged"
_LAST_WORDS = 1.0  # seconds that a check which ran out of time has to end, before it is left behind


class Level(StrEnum):
    """How bad it is; `exit_code` is that of the Monitoring Plugins Development Guidelines."""

    OK = "ok"
    UNKNOWN = "unknown"  # we could not look, or what is asked for is missing
    WARNING = "warning"  # a P2 or P3 rule is breached
    CRITICAL = "critical"  # a P0 or P1 rule is breached, or a check that no rule judges is down

    @property
    def exit_code(self) -> int:
        """0 ok, 1 warning, 2 critical, 3 unknown."""
        return {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}[self.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one rule, or the lack of any, says of one subject of one check."""

    check: str
    subject: str
    rule: str | None  # None: no rule has judged this check, so its `up` does
    severity: Severity | None
    verdict: Verdict
    because: str
    needs_window: bool  # the condition looks back: here its windows saw this one run
    level: Level


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """What one pass saw and found, in the file's order."""

    runs: tuple[Run, ...]  # of the checks that were asked for
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst of all."""
        order = list(Level)
        return max((finding.level for finding in self.findings), key=order.index, default=Level.OK)


def run_once(setup: Setup, names: Collection[str], *, clock: Clock, node: str) -> Pass:
    """`look_once` in a loop of its own, which a check that ignores its cancellation cannot keep from ending."""
    loop = asyncio.new_event_loop()
    try:
        seen = loop.run_until_complete(look_once(setup, names, clock=clock, node=node))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
        return seen
    finally:
        loop.close()


async def look_once(setup: Setup, names: Collection[str], *, clock: Clock, node: str) -> Pass:
    """Run the named checks, and those that their rules also look at, once and together; judge the named ones."""
    bindings = Bindings(setup, node)
    observations = Observations()
    bindings.declare(observations)
    wanted = {name: setup.checks[name] for name in setup.checks if name in names}
    others = {other for name in wanted for binding in bindings.by_check[name] for other in _others(binding)}
    connections = Connections(types=setup.types.connections, configured=setup.connections)
    together = asyncio.Semaphore(setup.settings.concurrency)

    async def start(check: Check) -> Run:
        async with together:
            toolbox = Toolbox(
                node=node,
                clock=clock,
                timeout=check.timeout,
                connections=connections,
                withhold=setup.secret_variables,
            )
            run = await look(check, setup.types.checks[check.type], toolbox, clock)
            return masked_run(run, setup.masks) if setup.masks else run

    runs = await asyncio.gather(
        *(start(check) for name, check in setup.checks.items() if name in wanted or name in others)
    )
    await connections.close()
    for run in runs:
        observations.record(run)
    asked = tuple(run for run in runs if run.check in wanted)
    findings = [finding for run in asked for finding in _judge(bindings.by_check[run.check], run, observations)]
    return Pass(runs=asked, findings=tuple(findings))


def _others(binding: Binding) -> frozenset[str]:
    return binding.when.others


def _judge(bindings: list[Binding], run: Run, observations: Observations) -> list[Finding]:
    findings = []
    for binding in bindings:
        seen = list(subjects(binding, run, observations, set()))
        if not seen and run.error is not None:  # it finds its subjects when it looks, and could not look
            seen = [Subject("", {}, run.error)]
        findings += [_finding(binding, run, subject, observations) for subject in seen]
    if all(finding.verdict is Verdict.UNKNOWN and finding.level is Level.OK for finding in findings):
        findings += _without_rule(run)  # no rule has judged it: there is none, or all need more than one run
    return findings


def _finding(binding: Binding, run: Run, subject: Subject, observations: Observations) -> Finding:
    rule, when = binding.rule, binding.when
    judged = judge(when, None, view_of(run, subject, observations, None, lenient=False), ())
    because = when.because(judged.view)
    level = Level.OK
    if judged.verdict is Verdict.BREACHED:
        because = _with_detail(because, subject.samples)
        level = Level.CRITICAL if rule.severity in (Severity.P0, Severity.P1) else Level.WARNING
    elif judged.verdict is Verdict.UNKNOWN and when.needs_window and subject.blind is None:
        because = f"{NOT_JUDGED} ({because})"
    elif judged.verdict is Verdict.UNKNOWN:
        level = Level.UNKNOWN
    return Finding(
        check=run.check,
        subject=subject.name,
        rule=rule.name,
        severity=rule.severity,
        verdict=judged.verdict,
        because=because,
        needs_window=when.needs_window,
        level=level,
    )


def _without_rule(run: Run) -> Iterable[Finding]:
    """A check that no rule has judged is judged by its `up` alone."""
    for reading in run.readings if run.error is None else [Reading(samples={})]:
        up = reading.samples.get("up")
        verdict = Verdict.UNKNOWN if up is None else Verdict.BREACHED if up == 0 else Verdict.CLEAR
        level = {Verdict.UNKNOWN: Level.UNKNOWN, Verdict.BREACHED: Level.CRITICAL, Verdict.CLEAR: Level.OK}[verdict]
        up = int(up) if isinstance(up, float) and up.is_integer() else up
        because = (run.error or "it yields no up") if up is None else f"up = {up}"
        yield Finding(
            check=run.check,
            subject=reading.subject,
            rule=None,
            severity=None,
            verdict=verdict,
            because=_with_detail(because, reading.samples) if verdict is Verdict.BREACHED else because,
            needs_window=False,
            level=level,
        )


def _with_detail(because: str, samples: Mapping[str, Sample]) -> str:
    """What the check itself says of what is wrong goes with the operands."""
    detail = samples.get("detail")
    return f"{because} ({detail})" if detail else because
