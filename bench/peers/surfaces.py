"""What an operator waits for and a host carries: memory, start, validate, reload, the metrics page."""

import time
from pathlib import Path

from bench.peers.heald import Heald, rules, validate
from bench.peers.load import asked_profile
from bench.peers.plan import Plan
from bench.peers.processes import memory
from bench.peers.report import Figure
from bench.peers.stalls import Stalls, stalls
from bench.peers.targets import nginx

FEW, MANY = 50, 5000
SERIES = 100_000
AGAIN = 3  # scrapes, and reloads
BREATH = 1.0  # seconds between two of them


def idle(folder: Path) -> list[Figure]:
    """Memory with 50 checks, half http, half tcp, every 10 s."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="mixed", checks=FEW, every=10.0, nginx=server)
        with Heald(folder, rules(plan)).running() as daemon:
            time.sleep(1.5 * plan.every)
            held = memory(daemon.pids)
    return [
        Figure(name="50 checks: memory (RSS)", value=held.resident / 1e6, unit="MB", most=60.0),
        Figure(name="50 checks: memory (PSS)", value=held.proportional / 1e6, unit="MB"),
    ]


def start(folder: Path) -> list[Figure]:
    """Start, validate and reload with 5 000 checks and rules."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=MANY, every=30.0, nginx=server)
        heald = Heald(folder, rules(plan), inside=True, profile=asked_profile())
        checked, checked_with = validate(heald.rules)
        reloads = []
        with heald.running() as daemon:
            time.sleep(BREATH)
            daemon.mark()
            for number in range(AGAIN):
                edited = f"r{number}: {{check: c{number}, when: up == 0 or latency_seconds > 3s}}"
                text = heald.rules.read_text()
                heald.rules.write_text(text.replace(f"r{number}: {{check: c{number}, when: up == 0}}", edited))
                assert edited in heald.rules.read_text(), "one rule is edited"
                reloads.append(daemon.reload())
                time.sleep(BREATH)
    quiet = stalls(heald.noted(), *reloads)
    return [
        Figure(name="5 000 checks and rules: start to READY", value=heald.started_in, unit="s", most=8.0),
        Figure(name="5 000 checks and rules: start to READY, CPU", value=heald.started_with, unit="s"),
        Figure(name="5 000 checks and rules: heald validate", value=checked, unit="s", most=6.0),
        Figure(name="5 000 checks and rules: heald validate, CPU", value=checked_with, unit="s"),
        Figure(name="a reload of them: takes", value=max(end - begin for begin, end in reloads), unit="s"),
        *_of("a reload of them", quiet),
    ]


def page(folder: Path) -> list[Figure]:
    """The metrics page with 100 000 series."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=MANY, every=10.0, nginx=server)
        heald = Heald(folder, rules(plan), inside=True, profile=asked_profile())
        scrapes, took, series = [], [], 0
        with heald.running() as daemon:
            time.sleep(plan.every + BREATH)
            daemon.mark()
            for _ in range(AGAIN):
                began = time.monotonic()
                text, seconds = daemon.metrics()
                scrapes.append((began, began + seconds))
                took.append(seconds)
                series = sum(not line.startswith("#") for line in text.splitlines())
                time.sleep(BREATH)
            calm = time.monotonic()
            time.sleep(5 * BREATH)
            calm_ended = time.monotonic()
    noted = heald.noted()
    without = stalls(noted, (calm, calm_ended))
    return [
        Figure(name="the metrics page: series", value=series, least=SERIES),
        Figure(name="a scrape of them: takes", value=max(took), unit="s", most=2.0),
        *_of("a scrape of them", stalls(noted, *scrapes)),
        Figure(name="without a scrape: longest stall of its own", value=without.longest_own * 1000, unit="ms"),
    ]


def _of(what: str, quiet: Stalls) -> list[Figure]:
    """The loop's longest stall meanwhile: of its own doing, which is what is meant, and as the wall's clock saw it."""
    return [
        Figure(name=f"{what}: longest stall of its own", value=quiet.longest_own * 1000, unit="ms", most=50.0),
        Figure(name=f"{what}: longest stall by the wall", value=quiet.longest * 1000, unit="ms"),
    ]
