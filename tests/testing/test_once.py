"""One pass over checks without a daemon."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.clock import SystemClock
from daemon.config.load import load
from daemon.config.setup import Setup
from daemon.errors import CheckError
from daemon.model.check import Reading
from daemon.model.rule import Verdict
from daemon.protocols import CheckContext
from daemon.testing.once import Finding, Level, Pass, run_once


class Scripted:
    """A check type of ours that answers as it is told, in the place of `tcp`."""

    name = "tcp"

    def __init__(self, real: Any, *answers: Reading) -> None:
        self.module, self.options, self.samples, self.discovers = (
            real.module,
            real.options,
            real.samples,
            real.discovers,
        )
        self.samples_of = real.samples_of
        self.answers = answers

    async def check(self, options: Any, context: CheckContext) -> Sequence[Reading]:
        return self.answers


class Stubborn(Scripted):
    """Leaves a task behind that ignores its cancellation."""

    async def check(self, options: Any, context: CheckContext) -> Sequence[Reading]:
        self.left = asyncio.create_task(self._stay())
        await asyncio.sleep(0)
        return self.answers

    async def _stay(self) -> None:
        for _ in range(1000):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue


class Blind(Scripted):
    async def check(self, options: Any, context: CheckContext) -> Sequence[Reading]:
        raise CheckError("no route from here")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "version: 1\nchecks:\n  web: {tcp: {host: 127.0.0.1, port: 1}}\n"
        "rules:\n  slow: {check: web, when: latency_seconds > 1s, severity: P2}\n"
    )
    return load(path)


def look(setup: Setup, kind: type[Scripted], *answers: Reading, discovers: bool = False) -> Pass:
    scripted = kind(setup.types.checks["tcp"], *answers)
    checks = {name: replace(check, discovers=discovers) for name, check in setup.checks.items()}
    types = replace(setup.types, checks={"tcp": scripted})
    return run_once(replace(setup, types=types, checks=checks), ["web"], clock=SystemClock(), node="node")


def only(seen: Pass) -> Finding:
    assert len(seen.findings) == 1
    return seen.findings[0]


def test_a_rule_is_judged_by_the_engine(setup: Setup) -> None:
    found = only(look(setup, Scripted, Reading(samples={"up": 1.0, "latency_seconds": 2.0})))
    assert (found.verdict, found.level) == (Verdict.BREACHED, Level.WARNING)
    assert "2s" in found.because
    found = only(look(setup, Scripted, Reading(samples={"up": 1.0, "latency_seconds": 0.5})))
    assert (found.verdict, found.level) == (Verdict.CLEAR, Level.OK)


def test_a_missing_sample_is_unknown_and_not_zero(setup: Setup) -> None:
    found = only(look(setup, Scripted, Reading(samples={"up": 0.0})))
    assert (found.verdict, found.level, found.rule) == (Verdict.UNKNOWN, Level.UNKNOWN, "slow")


def test_a_blind_check_is_unknown_and_says_why(setup: Setup) -> None:
    found = only(look(setup, Blind))
    assert (found.verdict, found.level) == (Verdict.UNKNOWN, Level.UNKNOWN)
    assert "no route from here" in found.because


def test_a_blind_check_that_would_have_found_its_subjects_is_unknown_all_the_same(setup: Setup) -> None:
    seen = look(setup, Blind, discovers=True)
    assert (only(seen).level, seen.level) == (Level.UNKNOWN, Level.UNKNOWN)


def test_without_a_rule_every_subject_is_judged_by_up(setup: Setup) -> None:
    readings = [Reading(subject=name, samples={"up": up}) for name, up in (("a", 1.0), ("b", 0.0))]
    seen = look(replace(setup, rules=()), Scripted, *readings, discovers=True)
    assert [(found.subject, found.level) for found in seen.findings] == [("a", Level.OK), ("b", Level.CRITICAL)]
    assert seen.level is Level.CRITICAL


def test_what_a_check_leaves_behind_does_not_keep_the_pass_from_ending(setup: Setup) -> None:
    began = time.monotonic()
    seen = look(setup, Stubborn, Reading(samples={"up": 1.0, "latency_seconds": 0.5}))
    assert seen.level is Level.OK
    assert time.monotonic() - began < 10


def test_the_worst_level_is_critical_then_warning_then_unknown() -> None:
    def of(*levels: Level) -> Level:
        return Pass(runs=(), findings=tuple(SimpleNamespace(level=level) for level in levels)).level  # type: ignore[misc]  # only the level is looked at

    assert of() is Level.OK
    assert of(Level.OK, Level.UNKNOWN) is Level.UNKNOWN
    assert of(Level.UNKNOWN, Level.WARNING, Level.OK) is Level.WARNING
    assert of(Level.WARNING, Level.CRITICAL, Level.UNKNOWN) is Level.CRITICAL
    assert [level.exit_code for level in Level] == [0, 3, 1, 2]
