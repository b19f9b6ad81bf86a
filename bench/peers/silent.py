"""Whether silent targets cost the others their runs, in a whole daemon: with rules, a store and a page of metrics."""

import time
from contextlib import ExitStack
from pathlib import Path

from bench.peers.heald import Heald, count
from bench.peers.report import Figure
from bench.peers.targets import nginx
from bench.silent_targets import EVERY, HEALTHY, NEEDED, SILENT, TIMEOUT, silent_socket

WARM, LASTS = 10.0, 60.0  # seconds; what falls on an edge of them is 0.3 %


def silent(folder: Path) -> list[Figure]:
    """105 TCP checks every second with a rule each, 5 of them of targets that are silent for 5 s each."""
    with nginx(folder / "nginx") as server, ExitStack() as stack:
        ports = [server.port_of(number) for number in range(HEALTHY)]
        ports += [silent_socket(stack) for _ in range(SILENT)]
        with Heald(folder, _rules(ports)).running() as daemon:
            time.sleep(WARM)
            before, began = _done(daemon), time.monotonic()
            time.sleep(LASTS)
            after, ended = _done(daemon), time.monotonic()
    due = (ended - began) / EVERY
    shares = [(late - early) / due for early, late in zip(before, after, strict=True)]
    print(f"  silent ones: {[round(share, 3) for share in shares[HEALTHY:]]} of what is due")
    others = shares[:HEALTHY]
    return [
        Figure(name="5 silent targets of 105: share of the others", value=sum(others) / HEALTHY, least=NEEDED),
        Figure(name="the same: the least of them, of which one run is 0.017", value=min(others)),
    ]


def _rules(ports: list[int]) -> str:
    looks = "".join(f"  c{number}: {{tcp: {{host: 127.0.0.1, port: {port}}}}}\n" for number, port in enumerate(ports))
    judged = "".join(f"  r{number}: {{check: c{number}, when: up == 0}}\n" for number in range(len(ports)))
    defaults = f"defaults: {{checks: {{every: {EVERY:g}s, timeout: {TIMEOUT:g}s}}}}\n"
    return f"version: 1\n{defaults}checks:\n{looks}rules:\n{judged}"


def _done(daemon: Heald) -> list[float]:
    """Runs that ended, by check, whatever they found."""
    page, _ = daemon.metrics()
    names = [f"c{number}" for number in range(HEALTHY + SILENT)]
    results = ("ok", "blind", "timeout")
    return [sum(count(page, "heald_check_runs_total", check=name, result=it) for it in results) for name in names]
