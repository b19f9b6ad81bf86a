"""CPU per check, side by side: every peer watches the same targets, one after the other, three rounds."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import heald, monit, prometheus
from bench.peers.plan import Peer, Plan
from bench.peers.processes import cpu_seconds, memory, wait_until
from bench.peers.report import Figure
from bench.peers.targets import Nginx, nginx

ROUNDS = 3
CHECKS, EVERY = 1000, 10.0
WARM = 4.0  # seconds that each peer runs before it is measured
MEASURED = 10.0  # seconds; a whole number of intervals, so that whatever is done once in each is done as often
KEEP_ALIVE = "keep_alive"  # the option of heald's http check that keeps a connection for the next run


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One peer in one round."""

    micros: float  # of CPU, per check that nginx saw
    done: float  # share of the checks that were due
    resident: int  # bytes
    proportional: int  # bytes
    connections: float  # per check


def measured(peer: Peer, plan: Plan, folder: Path) -> Sample:
    """Start a peer, let it run warm, and count what it uses for what nginx sees of it."""
    folder.mkdir(parents=True)
    before_any = plan.nginx.seen()
    with peer.start(plan, folder) as pids:
        wait_until(lambda: plan.nginx.seen() != before_any, within=60, what=f"{peer.NAME} looks")
        time.sleep(WARM)
        before, used, began = plan.nginx.seen(), cpu_seconds(pids), time.monotonic()
        time.sleep(MEASURED)
        after, used, took = plan.nginx.seen(), cpu_seconds(pids) - used, time.monotonic() - began
        held = memory(pids)
    accepts, requests = after.accepts - before.accepts, after.requests - before.requests
    looked = requests if plan.kind == "http" else accepts
    if not looked:
        raise RuntimeError(f"{peer.NAME} did not look at all; its files are in {folder}")
    return Sample(
        micros=used / looked * 1e6,
        done=looked / (plan.checks / plan.every * took),
        resident=held.resident,
        proportional=held.proportional,
        connections=accepts / looked,
    )


def rounds(contestants: Mapping[str, tuple[Peer, Plan]], folder: Path) -> dict[str, list[Sample]]:
    """Every contestant once in each round, so that what else the machine does falls on all of them."""
    found: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(ROUNDS):
        for name, (peer, plan) in contestants.items():
            sample = measured(peer, plan, folder / f"{number}-{name.split()[0]}-{plan.kind}-{len(plan.options)}")
            print(f"  round {number + 1}, {name}: {sample.micros:.0f} µs, {sample.done:.3f} of the due", flush=True)
            found[name].append(sample)
    return found


def median(samples: Sequence[Sample]) -> float:
    """Of the microseconds."""
    return statistics.median(sample.micros for sample in samples)


def figures(kind: str, found: Mapping[str, Sequence[Sample]], targets: Mapping[str, float]) -> list[Figure]:
    """What each used, and heald's ratio to those that `targets` names: contestant's name, most times."""
    rows = []
    for name, samples in found.items():
        rows.append(Figure(name=f"{kind}: {name}, CPU of one check", value=median(samples), unit="µs"))
        rows.append(Figure(name=f"{kind}: {name}, memory (PSS)", value=samples[-1].proportional / 1e6, unit="MB"))
        done = statistics.median(sample.done for sample in samples)
        rows.append(Figure(name=f"{kind}: {name}, share of the due done", value=done))
    for name, most in targets.items():
        ratio = median(found[heald.NAME]) / median(found[name])
        rows.append(Figure(name=f"{kind}: heald to {name}", value=ratio, most=most))
    return rows


def tcp(folder: Path) -> list[Figure]:
    """CPU per TCP check, 1 000 every 10 s, one rule each."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="tcp", checks=CHECKS, every=EVERY, nginx=server)
        found = rounds({peer.NAME: (peer, plan) for peer in (heald, prometheus, monit)}, folder)
    return figures("tcp", found, {prometheus.NAME: 1 / 6, monit.NAME: 4.0})


def http(folder: Path) -> list[Figure]:
    """CPU per HTTP check with a new connection, and with one that is kept where heald can."""
    with nginx(folder / "nginx") as server:
        plan = Plan(kind="http", checks=CHECKS, every=EVERY, nginx=server)
        contestants: dict[str, tuple[Peer, Plan]] = {peer.NAME: (peer, plan) for peer in (heald, prometheus, monit)}
        kept = keeping(server)
        if kept is not None:
            contestants[_KEPT] = (heald, kept)
        found = rounds(contestants, folder)
    rows = figures("http", found, {prometheus.NAME: 1 / 3})
    ratio = median(found[_KEPT]) / median(found[monit.NAME]) if kept is not None else float("nan")
    rows.append(Figure(name=f"http: {_KEPT} to {monit.NAME}", value=ratio, most=2.0))
    if kept is not None:
        connections = found[_KEPT][-1].connections
        rows.append(Figure(name=f"http: {_KEPT}, connections of one check", value=connections, most=0.1))
    else:
        print(f"  heald's http check has no option {KEEP_ALIVE}: a kept connection is not measured")
    return rows


_KEPT = f"{heald.NAME} with kept connections"


def keeping(server: Nginx) -> Plan | None:
    """The plan with connections that are kept; None if heald has no such option."""
    from checks.http import Options

    if KEEP_ALIVE not in Options.model_fields:
        return None
    return Plan(kind="http", checks=CHECKS, every=EVERY, nginx=server, options={KEEP_ALIVE: "true"})
