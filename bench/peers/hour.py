"""A real hour of `heald run`, after the first minutes in which everything has happened once: does it grow?"""

import time
from pathlib import Path

from bench.peers.heald import Heald, rules
from bench.peers.plan import Plan
from bench.peers.processes import memory
from bench.peers.report import Figure
from bench.peers.targets import nginx

CHECKS, EVERY = 1000, 10.0
WARM, LASTS = 300.0, 3600.0  # seconds
LOOK = 60.0  # seconds between two looks
GROWTH = 1.0  # MB that an allocator may hold back or give out; no growth is meant


def hour(folder: Path) -> list[Figure]:
    """An hour of 1 000 TCP checks every 10 s, five minutes after the start."""
    held = []
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=CHECKS, every=EVERY, nginx=server)
        with Heald(folder, rules(plan)).running() as daemon:
            time.sleep(WARM)
            ended = time.monotonic() + LASTS
            while time.monotonic() < ended:
                held.append(memory(daemon.pids).resident / 1e6)
                time.sleep(LOOK)
    print(f"  memory, MB, every ten minutes: {[round(size, 1) for size in held[::10]]}")
    tenth = len(held) // 10
    growth = max(held[-tenth:]) - max(held[:tenth])
    return [
        Figure(name="an hour of 1 000 checks: memory (RSS)", value=max(held), unit="MB"),
        Figure(name="an hour of 1 000 checks: growth in it", value=growth, unit="MB", most=GROWTH),
    ]
