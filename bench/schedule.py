"""What a run costs: scheduler, look and virtual loop, without judging; and how late runs begin in real time.

    python bench/schedule.py

Prints µs of CPU a run for plug-ins that never wait and for those that do, in virtual time, and for 24 hours of 50
checks every 30 s; then the lag of 100 checks a second for ten seconds of real time.
"""

import asyncio
import time
from types import SimpleNamespace

from daemon.clock import SystemClock
from daemon.model.check import Check, Dimension, Reading, SampleSpec
from daemon.protocols import Clock
from daemon.runtime.look import Looks
from daemon.runtime.scheduler import Scheduler
from daemon.testing.virtual import VirtualClock, run_virtual

SAMPLES = {
    "up": SampleSpec(name="up", dimension=Dimension.NONE, meaning="Whether it answers."),
    "latency_seconds": SampleSpec(name="latency_seconds", dimension=Dimension.SECONDS, meaning="How long it took."),
    "error": SampleSpec(name="error", dimension=Dimension.STRING, meaning="Why not."),
}


async def prompt(options, context):
    return [Reading(samples={"up": 1.0, "latency_seconds": 0.01, "error": ""})]


async def waiting(options, context):
    await asyncio.sleep(0.01)
    return [Reading(samples={"up": 1.0, "latency_seconds": 0.01, "error": ""})]


def fake(check):
    return SimpleNamespace(name="fake", check=check, samples_of=lambda options: SAMPLES)


def checks(count: int, every: float) -> dict[str, Check]:
    return {
        f"check_{n}": Check(
            name=f"check_{n}",
            type="fake",
            options=None,
            every=every,
            timeout=min(10.0, every),
            retry_every=every / 3,
            vanish_after=300.0,
        )
        for n in range(count)
    }


async def schedule(
    clock: Clock, plugin, *, count: int, every: float, lasts: float, coalesce: float, spread: bool
) -> tuple[int, list[float]]:
    looks, check_type, runs, lags = Looks(), fake(plugin), [], []

    async def start_run(check: Check) -> None:
        run = await looks.look(check, check_type, None, clock)
        if run.error is None:
            runs.append(run.ended)

    scheduler = Scheduler(
        clock=clock,
        start_run=start_run,
        interval=lambda check: check.every,
        concurrency=512,
        coalesce=coalesce,
        spread=spread,
        on_lag=lags.append,
        on_skip=lambda check, why: print("skipped", check.name, why),
    )
    scheduler.replace(checks(count, every))
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(lasts)
    task.cancel()
    await scheduler.drain(1.0)
    return len(runs), lags


def in_virtual_time(name: str, plugin, *, spread: bool, hours: float = 24.0, coalesce: float = 0.0) -> None:
    async def scenario(clock: VirtualClock) -> tuple[int, list[float]]:
        return await schedule(clock, plugin, count=50, every=30.0, lasts=hours * 3600, coalesce=coalesce, spread=spread)

    began = time.process_time()
    count, _ = run_virtual(scenario)
    used = time.process_time() - began
    print(f"virtual time, {name}: {count} runs, {used:.2f} s, {used / count * 1e6:.1f} µs a run")


def in_real_time(name: str, *, coalesce: float, seconds: float = 10.0) -> None:
    async def scenario() -> tuple[int, list[float]]:
        return await schedule(
            SystemClock(), waiting, count=100, every=1.0, lasts=seconds, coalesce=coalesce, spread=True
        )

    began = time.process_time()
    count, lags = asyncio.run(scenario())
    used = time.process_time() - began
    lags.sort()
    middle, late = (lags[int(len(lags) * share)] * 1e3 for share in (0.5, 0.99))
    print(f"real time, {name}: {count} runs, {used / count * 1e6:.0f} µs a run, lag {middle:.1f} ms, p99 {late:.1f} ms")


if __name__ == "__main__":
    in_virtual_time("all due together, plug-in never waits", prompt, spread=False)
    in_virtual_time("phases spread, plug-in never waits", prompt, spread=True)
    in_virtual_time("phases spread, coalesced", prompt, spread=True, coalesce=0.2)
    in_virtual_time("all due together, plug-in waits", waiting, spread=False)
    in_virtual_time("phases spread, plug-in waits", waiting, spread=True)
    in_real_time("each when due", coalesce=0.0)
    in_real_time("coalesced", coalesce=0.2)
