"""A day of the daemon's own code in virtual time; only the targets are words."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.config.load import load
from daemon.metrics import Metrics
from daemon.plugin import Outcome, Reading
from daemon.protocols import CheckContext
from daemon.runtime.assembly import Assembly
from daemon.store.store import Store
from daemon.testing.virtual import VirtualClock

DAY = 86400.0
WHEN = "up == 0 or latency_seconds > 5s"


class Words:
    """A check type whose targets are up, but for one that is down from the given second on, until it is restarted."""

    def __init__(self, real: Any, down_at: float) -> None:
        self._real = real
        self.down_at = down_at
        self.restarted = 0
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def check(self, options: Any, context: CheckContext) -> Sequence[Reading]:
        self.runs += 1
        is_down = options.port == 8 and not self.restarted and context.clock.steady() >= self.down_at
        return [Reading(samples={"up": 0.0 if is_down else 1.0, "latency_seconds": 0.01})]


class Restart:
    """The real remediation, but nothing is done."""

    def __init__(self, real: Any, words: Words) -> None:
        self._real = real
        self._words = words

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def act(self, *_: Any) -> Outcome:
        self._words.restarted += 1
        return Outcome(summary="restarted")


def rules(checks: int) -> str:
    """As many checks, each with a service and a rule that looks back."""
    names = [f"c{number}" for number in range(checks)]
    argv = '["true"]'
    services = "".join(
        f"  {name}: {{run_by: {{command: {{start: {argv}, stop: {argv}, restart: {argv}}}}}}}\n" for name in names
    )
    listed = "".join(
        f"  {name}: {{service: {name}, tcp: {{host: h, port: {n + 1}}}}}\n" for n, name in enumerate(names)
    )
    judged = "".join(
        f"  {name}-down: {{check: {name}, when: '{WHEN}', steps: [{{restart: {{}}}}]}}\n" for name in names
    )
    settings = "settings: {mode: act, allow: [restart]}\n"
    return f"version: 1\n{settings}services:\n{services}checks:\n{listed}rules:\n{judged}"


async def a_day(
    clock: VirtualClock, folder: Path, *, checks: int = 50, seconds: float = DAY
) -> tuple[Words, Assembly, Store]:
    """Run it; the store is still open at the end."""
    (folder / "rules.yaml").write_text(rules(checks))
    setup = load(folder / "rules.yaml", node="node")
    words = Words(setup.types.checks["tcp"], clock.steady() + seconds / 2)
    kinds = replace(
        setup.types,
        checks={**setup.types.checks, "tcp": words},
        remediations={**setup.types.remediations, "restart": Restart(setup.types.remediations["restart"], words)},
    )
    managers = {name: Well(manager) for name, manager in setup.managers.items()}
    setup = replace(setup, types=kinds, managers=managers)
    store = await Store.open(folder / "state", clock, threaded=False)
    assembly = Assembly(
        setup, store=store, clock=clock, metrics=Metrics(version="0"), node="node", coalesce=0.0, spread=False
    )
    await assembly.restore()
    try:
        async with asyncio.timeout(seconds):
            await assembly.run()
    except TimeoutError:
        await assembly.stop()
    return words, assembly, store


class Well:
    """A manager that finds its service running: asking a real one would start a process."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def status(self, _: CheckContext) -> Any:
        from daemon.plugin import ServiceState, ServiceStatus

        return ServiceStatus(state=ServiceState.RUNNING, detail="running")
