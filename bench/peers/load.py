"""Much to do: ten thousand checks, and twice what can be done."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError

from bench.peers.heald import Heald, count, rules
from bench.peers.plan import Plan
from bench.peers.processes import cpu_seconds, memory
from bench.peers.report import Figure
from bench.peers.stalls import stalls
from bench.peers.targets import nginx

MANY = 10_000
OFFERED = 2000  # checks, at an interval that makes the load
MEASURED = 10.0  # seconds
WARM = 3.0  # seconds after a reload
RESULTS = ("ok", "blind", "timeout", "skipped")


def asked_profile() -> Path | None:
    """Where the profile of this run is wanted."""
    wanted = os.environ.get("BENCH_PROFILE_TO")
    return Path(wanted) if wanted else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """What heald did in a stretch of time."""

    began: float  # CLOCK_MONOTONIC
    ended: float
    looks: int  # that nginx saw
    cpu: float  # seconds

    @property
    def rate(self) -> float:
        """Looks a second."""
        return self.looks / (self.ended - self.began)


def stretch(daemon: Heald, plan: Plan, seconds: float) -> Stretch:
    """Let it run, and count."""
    before, used, began = plan.nginx.seen(), cpu_seconds(daemon.pids), time.monotonic()
    time.sleep(seconds)
    after, used, ended = plan.nginx.seen(), cpu_seconds(daemon.pids) - used, time.monotonic()
    return Stretch(began=began, ended=ended, looks=after.accepts - before.accepts, cpu=used)


def many(folder: Path) -> list[Figure]:
    """10 000 TCP checks every 10 s, one rule each."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=MANY, every=10.0, nginx=server)
        with Heald(folder, rules(plan), profile=asked_profile()).running() as daemon:
            time.sleep(plan.every + WARM)
            daemon.mark()
            seen = stretch(daemon, plan, 2 * plan.every)
            held = memory(daemon.pids)
            print(f"  ready after {daemon.started_in:.1f} s; {_runs(daemon)}")
    due = plan.checks / plan.every
    return [
        Figure(name="10 000 checks every 10 s: share of the due done", value=seen.rate / due, least=0.99),
        Figure(name="10 000 checks: cores used", value=seen.cpu / (seen.ended - seen.began), most=1.0),
        Figure(name="10 000 checks: CPU of one", value=seen.cpu / max(1, seen.looks) * 1e6, unit="µs"),
        Figure(name="10 000 checks: memory (RSS)", value=held.resident / 1e6, unit="MB", most=150.0),
    ]


def _runs(daemon: Heald) -> str:
    try:
        page, took = daemon.metrics()
    except HTTPError as error:
        return f"its metrics page, asked for at the end, answers {error.code}"
    return f"runs until the end { ({result: ended(page, result) for result in RESULTS}) }, a scrape takes {took:.1f} s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What came of one load."""

    seen: Stretch
    good: float  # looks a second that nginx saw and heald could use
    counted: float  # skips, as a share of the runs that were due and did not end

    def said(self, plan: Plan) -> str:
        """In a line."""
        cores = self.seen.cpu / (self.seen.ended - self.seen.began)
        return f"  offered {plan.checks / plan.every:.0f} a second: {self.good:.0f} done well, {cores:.2f} cores"


def offered(daemon: Heald, plan: Plan) -> Offer:
    """Have it look at this interval from now on, and count what it does."""
    daemon.rules.write_text(rules(plan))
    daemon.reload()
    time.sleep(WARM)
    asked, before = time.monotonic(), daemon.metrics()[0]
    daemon.mark()
    seen = stretch(daemon, plan, MEASURED)
    took, after = time.monotonic() - asked, daemon.metrics()[0]
    runs = {result: ended(after, result) - ended(before, result) for result in RESULTS}
    done = sum(runs.values()) - runs["skipped"]
    left = plan.checks / plan.every * took - done
    up = count(after, "heald_check_up") / plan.checks
    offer = Offer(
        seen=seen, good=seen.rate * up * runs["ok"] / max(1.0, done), counted=runs["skipped"] / max(1.0, left)
    )
    print(f"{offer.said(plan)}; runs {runs}, {up:.3f} of the targets seen up", flush=True)
    return offer


def ended(page: str, result: str) -> float:
    """Runs of all checks with this result."""
    return count(page, "heald_check_runs_total", result=result)


def overload(folder: Path) -> list[Figure]:
    """Offered twice what it can do, which is what it can do with all of one core."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=OFFERED, every=8.0, nginx=server)
        heald = Heald(folder, rules(plan), inside=True, profile=asked_profile())
        with heald.running() as daemon:
            time.sleep(plan.every)
            calm = stretch(daemon, plan, plan.every)
            able = calm.looks / calm.cpu
            plans = {share: replace(plan, every=OFFERED / (share * able)) for share in (0.8, 1.0, 1.2, 2.0)}
            offers = {share: offered(daemon, plan) for share, plan in plans.items()}
    twice, best = offers[2.0], max(offer.good for offer in offers.values())
    quiet = stalls(heald.noted(), (twice.seen.began, twice.seen.ended))
    print(f"  the loop's longest stall {quiet.longest * 1000:.0f} ms, {quiet.longest_own * 1000:.0f} ms of it its own")
    return [
        Figure(name="best goodput", value=best, unit="looks/s"),
        Figure(name="offered twice: goodput, share of the best", value=twice.good / best, least=0.8),
        Figure(name="offered twice: lag of the loop, p99", value=quiet.late_99 * 1000, unit="ms", most=250.0),
        Figure(name="offered twice: skips, share of the due that did not run", value=twice.counted, least=0.9),
    ]
