"""One sick service in virtual time, with the daemon's own assembly; check, remediation and manager are the test's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.config.load import load
from daemon.config.setup import Setup
from daemon.metrics import Metrics
from daemon.model.incident import HoldReason, Incident
from daemon.model.remediation import Attempt
from daemon.plugin import Outcome, Reading, ServiceState, ServiceStatus
from daemon.runtime.assembly import Assembly
from daemon.store.store import Store
from daemon.testing.virtual import VirtualClock, run_virtual

RULES = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s, budget: [20/1h]}
services:
  shop: {run_by: {command: {start: ["true"], stop: ["true"]}}, limit: [50/1h]}
checks:
  shop: {service: shop, tcp: {host: h, port: 1}, every: 10s}
rules:
  down:
    check: shop
    when: up == 0
    for: 0s
    limit: [50/1h]
    steps: [{restart: {}, tries: 3, cooldown: 0s, settle: 0s, verify: 5s, timeout: 20s}]
"""
DOWN, UP = ([Reading(samples={"up": value})] for value in (0.0, 1.0))


class Faked:
    """A plug-in's type, but for what the test replaces."""

    def __init__(self, real: Any, **replaced: Callable[..., Any]) -> None:
        self._real = real
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Shop:
    """`look`, `act` and `status` are what the plug-ins do; `went` counts effects that came to their end."""

    def __init__(self, clock: VirtualClock, folder: Path, rules: str = RULES) -> None:
        self.clock = clock
        self.file = folder / "rules.yaml"
        self.state = folder / "state"
        self.went = 0
        self.looks = 0
        self.look: Callable[[int], Awaitable[Sequence[Reading]]] = self.is_down
        self.act: Callable[..., Awaitable[Any]] = self.heal
        self.status: Callable[..., Awaitable[Any]] = self.runs
        self.setup = self.read(rules)

    def read(self, rules: str) -> Setup:
        """A configuration with the test's plug-ins in it."""
        self.file.write_text(rules)
        setup = load(self.file, node="node")
        kinds = replace(
            setup.types,
            checks={**setup.types.checks, "tcp": Faked(setup.types.checks["tcp"], check=self._look)},
            remediations={
                **setup.types.remediations,
                "restart": Faked(setup.types.remediations["restart"], act=lambda *_: self.act()),
            },
        )
        managers = {name: Faked(manager, status=lambda _: self.status()) for name, manager in setup.managers.items()}
        return replace(setup, types=kinds, managers=managers)

    async def _look(self, *_: object) -> Sequence[Reading]:
        self.looks += 1
        return await self.look(self.looks)

    async def is_down(self, _: int) -> Sequence[Reading]:
        """It is down, whatever is done."""
        return DOWN

    async def heal(self) -> Outcome:
        """The effect is over at once."""
        self.went += 1
        return Outcome(summary="restarted")

    async def runs(self) -> ServiceStatus:
        """The manager finds it running."""
        return ServiceStatus(state=ServiceState.RUNNING, detail="running")

    async def open(self, *, history_every: float = 60.0) -> "Shop":
        """Open store and assembly; `history_every` is how long history waits for its batch, in seconds."""
        self.store = await Store.open(self.state, self.clock, threaded=False, history_every=history_every)
        self.metrics = Metrics(version="0")
        self.assembly = Assembly(
            self.setup,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            node="node",
            coalesce=0.0,
            spread=False,
        )
        await self.assembly.restore()
        return self

    async def live(self, seconds: float) -> None:
        """Let the daemon's standing tasks run for so long; they must not end by themselves."""
        try:
            async with asyncio.timeout(seconds):
                await self.assembly.run()
        except TimeoutError:
            return

    async def incident(self) -> Incident:
        """The only incident."""
        (found,) = await self.store.incidents(limit=10, closed=True)
        return found

    async def attempts(self) -> list[Attempt]:
        """What the store keeps of the attempts, oldest first."""
        incidents = await self.store.incidents(limit=100, closed=True)
        found = await self.store.attempts_of([it.id for it in incidents])
        return sorted({it.id: it for mine in found.values() for it in mine}.values(), key=lambda it: it.id)

    async def holds(self) -> list[HoldReason]:
        """The reasons that were recorded, oldest first."""
        return [it.reason for it in await self.store.holds_of((await self.incident()).id)]

    def tries(self) -> int:
        """Tries spent, as the ladder has it."""
        (ladder,) = self.assembly.board.ladders.values()
        return sum(ladder.tries.values())


def in_a_shop(
    folder: Path, story: Callable[[Shop], Awaitable[None]], rules: str = RULES, *, history_every: float = 60.0
) -> None:
    """Tell a story in virtual time."""

    async def scenario(clock: VirtualClock) -> None:
        shop = await Shop(clock, folder, rules).open(history_every=history_every)
        await story(shop)
        await shop.store.close()

    run_virtual(scenario, lasts=7200.0)
