"""heald itself, as `heald run` in the foreground."""

import contextlib
import gzip
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
from urllib.request import Request

from bench.peers.plan import Plan
from bench.peers.processes import alive, child, cpu_seconds
from bench.peers.targets import free_ports

NAME = "heald"
CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = Path(sys.executable).with_name("heald")
_SCRAPE = {"Accept-Encoding": "gzip", "Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
READY_WITHIN = 180.0  # seconds


def looks(plan: Plan, number: int) -> str:
    """How a check looks: its type and options."""
    port, more = plan.nginx.port_of(number), "".join(f", {name}: {value}" for name, value in plan.options.items())
    if plan.kind == "http" or (plan.kind == "mixed" and number % 2):
        return f"http: {{url: 'http://127.0.0.1:{port}/', expect_status: [200]{more}}}"
    return f"tcp: {{host: 127.0.0.1, port: {port}{more}}}"


def rules(plan: Plan) -> str:
    """A file of checks, each with one rule."""
    checks = "".join(f"  c{number}: {{{looks(plan, number)}}}\n" for number in plan.numbers)
    judged = "".join(f"  r{number}: {{check: c{number}, when: up == 0}}\n" for number in plan.numbers)
    defaults = f"defaults: {{checks: {{every: {plan.every * 1000:.0f}ms}}}}\n"
    settings = ", ".join(f"{name}: {value}" for name, value in plan.settings.items())
    return f"version: 1\nsettings: {{{settings}}}\n{defaults}checks:\n{checks}rules:\n{judged}"


@dataclass(kw_only=True)
class Noted:
    """What `inside` wrote."""

    ticks: list[tuple[float, float, float]] = field(default_factory=list)  # moment, late, CPU meanwhile
    claims: dict[str, tuple[float, float]] = field(default_factory=dict)  # by rule: seconds, and of CPU meanwhile

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
        self.started_with = 0.0  # seconds of CPU until then
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
                self.started_with = cpu_seconds(self.pids)
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

    def metrics(self) -> tuple[str, float]:
        """Its metrics page, asked for as Prometheus does, and how many seconds that took."""
        began = time.monotonic()
        with urllib.request.urlopen(Request(f"http://{self.address}/metrics", headers=_SCRAPE), timeout=60) as answer:
            body = answer.read()
        took = time.monotonic() - began
        return gzip.decompress(body).decode(), took

    def noted(self) -> Noted:
        """What was noted inside; once it has ended."""
        found = json.loads(self._notes.read_text())
        return Noted(**found)


def validate(rules_file: Path) -> tuple[float, float]:
    """Seconds that `heald validate` takes, on the wall and of CPU."""
    began, used = time.monotonic(), os.times()
    subprocess.run([COMMAND, "validate", rules_file], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    took, now = time.monotonic() - began, os.times()
    return took, now.children_user + now.children_system - used.children_user - used.children_system


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
