"""The stage: one temporary folder, three services that somebody runs, and a heald that watches them."""

import asyncio
import contextlib
import ctypes
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
SERVICES = {"store": None, "api": "store", "worker": None}  # and what each needs
PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOP_SECONDS = 15.0
_libc = ctypes.CDLL(None, use_errno=True)


class StageError(Exception):
    """The demo cannot go on, for a reason that is not the fault it plays."""


class Stage(ABC):
    """Where everything is, and how to ask it; what runs the services says how to start and break them."""

    runner: str  # what runs the services, in a word or two
    rules: Path  # what heald is told
    services_within = 30.0  # seconds until all services answer

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.marks = folder / "marks"  # where services write down their starts and find what they are doomed to
        self.marks.mkdir()
        self.log = folder / "heald.log"
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.children: list[asyncio.subprocess.Process] = []

    # ---- the services, as whoever runs them has them --------------------------------------------------------------

    @abstractmethod
    async def start_services(self) -> None:
        """Start what runs the services, and all of them. Raises StageError."""

    @abstractmethod
    async def stop_services(self) -> None:
        """End what `start` has not started, and what a crash could leave."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """What heald's rules ask for, besides the URLs of the services."""

    @abstractmethod
    async def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process of a service."""

    @abstractmethod
    async def mend(self, name: str) -> None:
        """Start a service that has ended, as people would."""

    @abstractmethod
    def invitation(self) -> Sequence[str]:
        """How people break the services themselves, a command a line."""

    # ---- asking the services --------------------------------------------------------------------------------------

    def starts(self, name: str) -> list[int]:
        """The pid of each start of a service, as it wrote them down itself."""
        try:
            lines = (self.marks / f"{name}.starts").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [int(line.split()[1]) for line in lines]

    def doom(self, name: str, *, is_doomed: bool) -> None:
        """Whether a service dies at once after every start from now on."""
        mark = self.marks / f"{name}.doomed"
        mark.touch() if is_doomed else mark.unlink()

    def command(self, name: str, *, python: str, program: Path) -> list[str]:
        """The argv of a service."""
        needed = SERVICES[name]
        upstream = [f"{self.urls[needed]}/health"] if needed else []
        return [python, str(program), name, str(self.ports[name]), str(self.marks), *upstream]

    async def ask(self, name: str, path: str, method: str = "GET") -> int | None:
        """The status that a service answers with; None if it does not answer."""
        return await asyncio.to_thread(_status, f"{self.urls[name]}{path}", method)

    async def is_well(self) -> bool:
        """Whether every service answers that it is."""
        return [await self.ask(name, "/health") for name in SERVICES] == [200] * len(SERVICES)

    # ---- asking heald ---------------------------------------------------------------------------------------------

    async def heald(self, *arguments: str) -> Any:
        """What a command of heald says as JSON."""
        return json.loads(await self.run("heald", *arguments, "--state-dir", str(self.state), "--json"))

    async def incidents(self) -> list[dict[str, Any]]:
        """Every incident, oldest first."""
        found: list[dict[str, Any]] = await self.heald("incidents", "--all", "--limit", "1000")
        return sorted(found, key=lambda incident: incident["opened_at"])

    async def metric(self, name: str) -> float:
        """The sum of a metric over all its labels, from heald's page."""
        address = (await self.heald("status"))["listen"]
        page = await asyncio.to_thread(_page, f"http://{address}/metrics")
        lines = [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    async def is_watching(self) -> bool:
        """Whether heald has begun, and sees every service up."""
        try:
            status = await self.heald("status")
        except StageError:
            return False
        return status["ready"] is None and {check["state"] for check in status["checks"]} == {"up"}

    # ---- running programs -----------------------------------------------------------------------------------------

    async def run(self, program: str, *arguments: str) -> str:
        """What a short program of the environment prints."""
        child = await asyncio.create_subprocess_exec(
            PROGRAMS / program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise StageError(f"{program} {' '.join(arguments)} failed: {(err or out).decode(errors='replace').strip()}")
        return out.decode()

    async def start(self, program: str, *arguments: str, log: Path) -> None:
        """Start a program that stays, in a session of its own: Ctrl-C is for the conductor, who ends all in order."""
        urls = {f"DEMO_{name.upper()}": url for name, url in self.urls.items()}
        with log.open("ab") as output:
            child = await asyncio.create_subprocess_exec(
                PROGRAMS / program,
                *arguments,
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **urls, **self.environment()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.children.append(child)

    async def start_heald(self) -> None:
        """Start heald, and wait until it watches. Raises StageError."""
        listen = ("--listen", "127.0.0.1:0", "--state-dir", str(self.state))
        await self.start("heald", "run", "--config", str(self.rules), *listen, log=self.log)
        await self.until(self.is_watching, "heald does not watch", 30)

    async def until(self, is_so: Callable[[], Any], what: str, seconds: float) -> None:
        """Wait until a condition holds.

        Raises:
            StageError: it does not within `seconds`, or a program ended meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not await is_so():
            ended = [child for child in self.children if child.returncode is not None]
            if ended or time.monotonic() > deadline:
                reason = "a program ended" if ended else f"waited {seconds:.0f} s"
                raise StageError(f"{what}: {reason}; the end of the logs:\n{self._last_words()}")
            await asyncio.sleep(0.25)

    def _last_words(self) -> str:
        lines = [line for log in sorted(self.folder.glob("*.log")) for line in log.read_text().splitlines()[-8:]]
        return "\n".join(lines)

    async def stop(self) -> None:
        """End what was started, the newest first: heald, then what runs the services."""
        for child in reversed(self.children):
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        await self.stop_services()


@contextlib.asynccontextmanager
async def set_up(kind: type[Stage]) -> AsyncIterator[Stage]:
    """A stage with everything running and well; in the end nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="heald-demo-"))
    stage = kind(folder)
    try:
        await stage.start_services()
        await stage.until(stage.is_well, "the services do not answer", stage.services_within)
        await stage.start_heald()
        yield stage
    finally:
        await asyncio.shield(stage.stop())
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Free loopback ports outside the kernel's own range: in it, a client could be given the port of a dead service."""
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        lowest = 32768
    found: list[int] = []
    for port in random.sample(range(10240, max(lowest, 11264)), 1000):
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise StageError(f"this host has no {count} free ports on 127.0.0.1")


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _status(url: str, method: str) -> int | None:
    host = url.removeprefix("http://").split("/")[0]
    connection = http.client.HTTPConnection(host, timeout=1)
    try:
        connection.request(method, url.removeprefix(f"http://{host}"))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # heald's own page on loopback
        return str(response.read().decode())
