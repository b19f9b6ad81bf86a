"""CPU per check, side by side: every peer watches targets of the same kind in the same seconds, three rounds."""

import contextlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import heald, monit, prometheus
from bench.peers.plan import Peer, Plan
from bench.peers.processes import cpu_seconds, memory, wait_until
from bench.peers.report import Figure
from bench.peers.targets import nginx

ROUNDS = 3
CHECKS, EVERY = 1000, 10.0
WARM = EVERY  # seconds that each runs before it is measured: every check has then run once
MEASURED = 10.0  # seconds; a whole number of intervals, so that whatever is done once in each is done as often
PEERS: tuple[Peer, ...] = (heald, prometheus, monit)
_KEPT = f"{heald.NAME} with kept connections"
_KEPT_FAST = f"{_KEPT}, on uvloop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One peer in one round."""

    micros: float  # of CPU, per check that nginx saw
    done: float  # share of the checks that were due
    resident: int  # bytes
    proportional: int  # bytes
    connections: float  # per check


class Contestant:
    """A peer that looks at an nginx of its own, like the others', so that what it does can be counted."""

    def __init__(
        self,
        name: str,
        peer: Peer,
        kind: str,
        options: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._peer = peer
        self._kind = kind
        self._options = options or {}
        self._settings = settings or {}

    def start(self, stack: contextlib.ExitStack, folder: Path) -> None:
        """Until the stack is left."""
        folder.mkdir(parents=True)
        server = stack.enter_context(nginx(folder / "nginx"))
        self._plan = Plan(
            kind=self._kind,
            checks=CHECKS,
            every=EVERY,
            nginx=server,
            options=dict(self._options),
            settings=dict(self._settings),
        )
        self._pids = stack.enter_context(self._peer.start(self._plan, folder))

    def wait(self) -> None:
        """Until it looks."""
        wait_until(lambda: self._plan.nginx.seen().accepts, within=60, what=f"{self.name} looks")

    def begin(self) -> None:
        """Count from here on."""
        self._before, self._used, self._began = self._plan.nginx.seen(), cpu_seconds(self._pids), time.monotonic()

    def end(self) -> Sample:
        """What it used for what nginx saw of it."""
        after, used = self._plan.nginx.seen(), cpu_seconds(self._pids) - self._used
        took, held = time.monotonic() - self._began, memory(self._pids)
        accepts, requests = after.accepts - self._before.accepts, after.requests - self._before.requests
        looked = requests if self._kind == "http" else accepts
        if not looked:
            raise RuntimeError(f"{self.name} did not look at all")
        return Sample(
            micros=used / looked * 1e6,
            done=looked / (CHECKS / EVERY * took),
            resident=held.resident,
            proportional=held.proportional,
            connections=accepts / looked,
        )


def rounds(contestants: Sequence[Contestant], folder: Path) -> dict[str, list[Sample]]:
    """Three times: all of them started, run warm and counted in the same seconds, so that what else the machine does
    falls on all of them."""
    found: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for number in range(ROUNDS):
        with contextlib.ExitStack() as stack:
            for place, contestant in enumerate(contestants):
                contestant.start(stack, folder / f"{number}-{place}")
            for contestant in contestants:
                contestant.wait()
            time.sleep(WARM)
            for contestant in contestants:
                contestant.begin()
            time.sleep(MEASURED)
            for contestant in contestants:
                sample = contestant.end()
                found[contestant.name].append(sample)
                said = f"{sample.micros:.0f} µs, {sample.done:.3f} of the due"
                print(f"  round {number + 1}, {contestant.name}: {said}", flush=True)
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
    found = rounds([Contestant(peer.NAME, peer, "tcp") for peer in PEERS], folder)
    return figures("tcp", found, {prometheus.NAME: 1 / 6, monit.NAME: 4.0})


def http(folder: Path) -> list[Figure]:
    """CPU per HTTP check with a new connection, and with one that heald keeps, on either loop."""
    kept = {"keep_alive": "true"}
    contestants = [
        *(Contestant(peer.NAME, peer, "http") for peer in PEERS),
        Contestant(_KEPT, heald, "http", kept),
        Contestant(_KEPT_FAST, heald, "http", kept, {"uvloop": "true"}),
    ]
    found = rounds(contestants, folder)
    rows = figures("http", found, {prometheus.NAME: 1 / 3})
    to_monit = {name: median(found[name]) / median(found[monit.NAME]) for name in (_KEPT, _KEPT_FAST)}
    rows.append(Figure(name=f"http: {_KEPT} to {monit.NAME}", value=to_monit[_KEPT], most=2.0))
    rows.append(Figure(name=f"http: {_KEPT_FAST} to {monit.NAME}", value=to_monit[_KEPT_FAST]))
    connections = found[_KEPT][-1].connections
    rows.append(Figure(name=f"http: {_KEPT}, connections of one check", value=connections, most=0.1))
    return rows
