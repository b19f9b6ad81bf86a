"""heald itself, as `heald run` in the foreground."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.plan import Plan
from bench.peers.processes import alive, child
from bench.peers.targets import free_ports

NAME = "heald"
CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = Path(sys.executable).with_name("heald")
READY_WITHIN = 180.0  # seconds


def rules(plan: Plan) -> str:
    """A file of checks, each with one rule."""
    form = "http: {{url: 'http://127.0.0.1:{}/', expect_status: [200]{}}}"
    if plan.kind == "tcp":
        form = "tcp: {{host: 127.0.0.1, port: {}{}}}"
    more = "".join(f", {name}: {value}" for name, value in plan.options.items())
    every = f"{plan.every * 1000:.0f}ms"
    checks = (f"  c{it}: {{{form.format(plan.nginx.port_of(it), more)}, every: {every}}}\n" for it in plan.numbers)
    judged = (f"  r{it}: {{check: c{it}, when: up == 0}}\n" for it in plan.numbers)
    return "version: 1\nchecks:\n" + "".join(checks) + "rules:\n" + "".join(judged)


@dataclass(kw_only=True)
class Noted:
    """What `inside` wrote."""

    ticks: list[tuple[float, float, float]] = field(default_factory=list)  # moment, late, CPU meanwhile
    claims: dict[str, float] = field(default_factory=dict)  # seconds, by rule

    def between(self, began: float, ended: float) -> list[tuple[float, float, float]]:
        """Ticks of a stretch of CLOCK_MONOTONIC, with those that were held up at its end."""
        return [tick for tick in self.ticks if tick[0] >= began and tick[0] - tick[1] <= ended]


class Heald:
    """One daemon on a folder of its own."""

    def __init__(self, folder: Path, text: str, *, inside: bool = False, profile: Path | None = None) -> None:
        self.folder = folder
        self.rules = folder / "rules.yaml"
        self.rules.write_text(text)
        self.log = folder / "log"
        self.started_in = 0.0  # seconds from the start of the process to READY=1
        self._notes = folder / "inside.json"
        self._inside = inside or profile is not None
        self._profile = profile
        (self._port,) = free_ports(1)

    @contextlib.contextmanager
    def running(self) -> Iterator["Heald"]:
        """It runs and is ready."""
        told = self.folder / "notify"
        told.unlink(missing_ok=True)
        command = [sys.executable, "-m", "bench.peers.inside"] if self._inside else [str(COMMAND)]
        words: list[str | Path] = [
            "run",
            "--config",
            self.rules,
            "--state-dir",
            self.folder / "state",
            "--listen",
            self.address,
        ]
        env = {"NOTIFY_SOCKET": str(told), "BENCH_INSIDE": str(self._notes), "PYTHONPATH": str(CHECKOUT)}
        if self._profile is not None:
            env["BENCH_PROFILE"] = str(self._profile)
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as self._ear:
            self._ear.bind(str(told))
            began = time.monotonic()
            with child([*command, *words], log=self.log, env=env) as self._process:
                self.wait_ready()
                self.started_in = time.monotonic() - began
                yield self

    @property
    def address(self) -> str:
        """Of its pages."""
        return f"127.0.0.1:{self._port}"

    @property
    def pids(self) -> Sequence[int]:
        """The roots of its tree."""
        return [self._process.pid]

    def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Until it says READY=1 once more."""
        self._ear.settimeout(0.5)
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            alive(self._process, self.log)
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self._ear.recv(4096).split(b"\n"):
                    return
        raise TimeoutError(f"heald is not ready within {within:g} s")

    def reload(self) -> tuple[float, float]:
        """Have it read its file again; when that began and ended (CLOCK_MONOTONIC)."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGHUP)
        self.wait_ready()
        return began, time.monotonic()

    def mark(self) -> None:
        """What is measured begins; so does the profile, if one is asked for."""
        if self._profile is not None:
            self._process.send_signal(signal.SIGUSR1)

    def metrics(self) -> str:
        """Its metrics page."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def noted(self) -> Noted:
        """What was noted inside; once it has ended."""
        found = json.loads(self._notes.read_text())
        return Noted(ticks=[(at, late, cpu) for at, late, cpu in found["ticks"]], claims=found["claims"])


def validate(rules_file: Path) -> float:
    """Seconds that `heald validate` takes."""
    began = time.monotonic()
    subprocess.run([COMMAND, "validate", rules_file], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.monotonic() - began


def count(metrics: str, name: str, **labels: str) -> float:
    """The sum of the series of a name with these labels."""
    total = 0.0
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    for line in metrics.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(it in line for it in wanted):
            total += float(line.rsplit(" ", 1)[1])
    return total


@contextlib.contextmanager
def start(plan: Plan, folder: Path) -> Iterator[Sequence[int]]:
    """Run it as its peers are run: with nothing noted inside."""
    profile = os.environ.get("BENCH_PROFILE_TO")
    with Heald(folder, rules(plan), profile=Path(profile) if profile else None).running() as daemon:
        daemon.mark()
        yield daemon.pids
