"""What comes of a run where a reload falls into it."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from daemon.metrics import Metrics, RunResult
from daemon.model.check import Check, Run
from daemon.model.masks import MASK, Masks
from daemon.model.moment import Stamp
from daemon.runtime.runs import Runs, Skips
from daemon.testing.simulated_clock import SimulatedClock

CHECK = Check(name="a", type="fake", options=None, every=10.0, timeout=5.0, retry_every=2.0, vanish_after=300.0)
AT = Stamp(wall=0.0, boot="", boottime=0.0, host="", synchronised=True)


def with_secret(word: str) -> SimpleNamespace:
    types = SimpleNamespace(checks={"fake": None})
    return SimpleNamespace(checks={"a": CHECK}, types=types, secret_variables=frozenset(), masks=Masks([word]))


@pytest.mark.parametrize("verb", ["start", "look_and_judge"])
async def test_a_secret_that_a_reload_has_replaced_is_masked_in_a_run_that_began_before(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(*_: object, **__: object) -> Run:
        runs.replace(with_secret("new word"))
        return Run(check="a", began=0.0, ended=1.0, error="it said old word", at=AT)

    monkeypatch.setattr("daemon.runtime.runs.look", look)
    taken: list[Run] = []
    runs = Runs(
        with_secret("old word"),
        pipeline=SimpleNamespace(take=taken.append),
        healing=SimpleNamespace(has_proposals=False),
        board=SimpleNamespace(take_rows=list),
        store=None,
        metrics=Metrics(version=""),
        clock=SimpleNamespace(steady=asyncio.get_running_loop().time),
        node="",
        connections=None,
    )
    await getattr(runs, verb)(CHECK)
    assert [run.error for run in taken] == [f"it said {MASK}"]


def test_skipped_runs_are_counted_and_each_reason_is_said_once_in_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    clock, metrics = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), Metrics(version="")
    skips = Skips(metrics, clock)
    for why in ("its last run has not ended", "its last run has not begun", "its last run has not ended"):
        skips.note(CHECK, why)
    clock.move(clock.steady() + 601)
    skips.note(CHECK, "its last run has not ended")
    others = "Others are counted, and not said for 10m."
    assert [record.getMessage() for record in caplog.records] == [
        f"Check a was due and is skipped: its last run has not ended. {others}",
        f"Check a was due and is skipped: its last run has not begun. {others}",
        f"Check a was due and is skipped: its last run has not ended. {others}",
    ]
    assert metrics.check("a").runs[RunResult.SKIPPED] == 4
