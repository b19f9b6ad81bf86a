"""The faults: how each is made, when it is over, and how to tell whether it ended as it should.

Judges are the services themselves, which count their starts, and heald's record of what it did; never the conductor.
"""

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demo.composed import Composed
from demo.stage import SERVICES, Stage, StageError

HEALED_WITHIN = 40.0  # seconds; on a busy machine too
QUIET = 3.0  # seconds in which nothing more must happen
LOOK = 1.0  # seconds between two looks at heald's record
Incident = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a fault ended: seconds since it was made, what heald said, and what is not as it should be."""

    detected: float | None
    acted: float | None
    healed: float | None
    restarts: int  # counted by the services
    said: str
    wrong: tuple[str, ...]


class Fault(ABC):
    """One fault of one service."""

    service: str
    title: str
    expected: str  # a sentence for the person who watches
    restarts = 1  # of the service itself, no more and no fewer

    @abstractmethod
    async def make(self, stage: Stage) -> None:
        """Break it."""

    def is_over(self, incident: Incident) -> bool:
        """Whether this incident, the service's own, has come to its end."""
        return incident["closed_at"] is not None

    async def play(self, stage: Stage) -> Ending:
        """Break it, wait for heald, and judge.

        Raises:
            StageError: something other than the fault is broken.
        """
        known = {incident["id"] for incident in await stage.incidents()}
        before = {name: len(stage.starts(name)) for name in SERVICES}
        made = time.time()
        await self.make(stage)
        fresh: list[Incident] = []
        deadline = time.monotonic() + HEALED_WITHIN
        while time.monotonic() < deadline:
            fresh = [incident for incident in await stage.incidents() if incident["id"] not in known]
            own = [incident for incident in fresh if incident["service"] == self.service]
            if own and all(self.is_over(incident) for incident in own):
                break
            await asyncio.sleep(LOOK)
        return await self.judge(stage, made, before, fresh)

    async def judge(self, stage: Stage, made: float, before: dict[str, int], fresh: list[Incident]) -> Ending:
        """Compare what happened with what should have."""
        counted = {name: len(stage.starts(name)) - before[name] for name in SERVICES}
        wanted = {name: self.restarts if name == self.service else 0 for name in SERVICES}
        wrong = [
            f"{name} counted {counted[name]} starts instead of {wanted[name]}"
            for name in SERVICES
            if counted[name] != wanted[name]
        ]
        own = [incident for incident in fresh if incident["service"] == self.service]
        if len(own) != 1:
            return Ending(
                detected=None,
                acted=None,
                healed=None,
                restarts=sum(counted.values()),
                said="nothing" if not own else f"{len(own)} incidents",
                wrong=(*wrong, f"{len(own)} incidents of {self.service} instead of one"),
            )
        incident = own[0]
        if len(incident["attempts"]) != self.restarts:
            wrong.append(f"heald recorded {len(incident['attempts'])} attempts instead of {self.restarts}")
        wrong += await self.complaints(stage, incident, fresh)
        return Ending(
            detected=since(made, incident["opened_at"]),
            acted=since(made, incident["attempts"][0]["claimed_at"]) if incident["attempts"] else None,
            healed=since(made, incident["closed_at"]),
            restarts=sum(counted.values()),
            said=self.said(incident, fresh),
            wrong=tuple(wrong),
        )

    async def complaints(self, stage: Stage, incident: Incident, fresh: list[Incident]) -> list[str]:
        """What is wrong beyond the counts."""
        wrong = [] if incident["state"] == "resolved" else [f"the incident is {incident['state']}, not resolved"]
        if [attempt["verification"] for attempt in incident["attempts"]] != ["effective"]:
            wrong.append("the restart was not found effective")
        if not await stage.is_well():
            wrong.append("not every service is well")
        return wrong

    def said(self, incident: Incident, fresh: list[Incident]) -> str:
        """Heald's own words of it."""
        attempts = incident["attempts"]
        return f"{incident['because']}; {attempts[-1]['summary']}: {attempts[-1]['verification']}" if attempts else ""


class Killed(Fault):
    """The process is gone."""

    service = "api"
    title = "kill -9 the api"
    expected = "heald restarts it"

    async def make(self, stage: Stage) -> None:
        await stage.send(self.service, signal.SIGKILL)


class Frozen(Fault):
    """The process is there and does nothing: the kernel still takes connections for it."""

    service = "worker"
    title = "freeze the worker"
    expected = "it is there and silent; heald restarts it"

    async def make(self, stage: Stage) -> None:
        await stage.send(self.service, signal.SIGSTOP)


class Failing(Fault):
    """The process runs and answers, with nothing but errors."""

    service = "api"
    title = "the api answers 500"
    expected = "running is not enough; heald restarts it"

    async def make(self, stage: Stage) -> None:
        if await stage.ask(self.service, "/spoil", "POST") != 200:
            raise StageError("the api does not let itself be spoiled")


class RootDies(Fault):
    """A service dies that another needs: both are sick, one is the cause."""

    service = "store"
    title = "the store dies, the api needs it"
    expected = "the api fails too and is left alone; heald restarts the store"

    async def make(self, stage: Stage) -> None:
        await self.end(stage)
        deadline = time.monotonic() + 5
        while await stage.ask("api", "/health") != 503:
            if time.monotonic() > deadline:
                raise StageError("the api is well without the store")
            await asyncio.sleep(0.05)

    async def end(self, stage: Stage) -> None:
        """Have the root end."""
        await stage.send(self.service, signal.SIGKILL)

    async def complaints(self, stage: Stage, incident: Incident, fresh: list[Incident]) -> list[str]:
        dependants = [other for other in fresh if other["service"] == "api"]
        wrong = [f"the api was acted on: {other['id']}" for other in dependants if other["attempts"]]
        return wrong + await super().complaints(stage, incident, fresh)

    def said(self, incident: Incident, fresh: list[Incident]) -> str:
        holds = [hold["sentence"] for other in fresh if other["service"] == "api" for hold in other["holds"]]
        return "; ".join([super().said(incident, fresh), *(f"api held: {sentence}" for sentence in holds[:1])])


class RootVanishes(RootDies):
    """Its container is not there any more, as after a `docker rm` of the wrong one."""

    title = "remove the store's container"
    expected = "there is nothing to restart; heald has Compose make it anew"

    async def end(self, stage: Stage) -> None:
        if not isinstance(stage, Composed):
            raise StageError(f"{stage.runner} has no containers to remove")
        await stage.remove(self.service)


class CrashLoop(Fault):
    """It dies at once after each restart: what repeats does not help, and a limit must hold."""

    service = "worker"
    title = "the worker dies after every start"
    expected = "restarts do not help; the limit of 4 in an hour holds and people are told"
    restarts = 3  # with the one of the freeze: the limit

    async def make(self, stage: Stage) -> None:
        stage.doom(self.service, is_doomed=True)
        await stage.send(self.service, signal.SIGKILL)

    def is_over(self, incident: Incident) -> bool:
        return incident["handed_over"] is not None

    async def judge(self, stage: Stage, made: float, before: dict[str, int], fresh: list[Incident]) -> Ending:
        await asyncio.sleep(QUIET)  # time for one restart more, if the limit did not hold
        return await super().judge(stage, made, before, await self._newest(stage, fresh))

    async def complaints(self, stage: Stage, incident: Incident, fresh: list[Incident]) -> list[str]:
        """The limit held and people were told; then the people come, and heald must see that."""
        wrong = []
        if incident["handed_over"] != "limit_resource":
            wrong.append(f"handed over because of {incident['handed_over']}, not because of the limit")
        if "effective" in [attempt["verification"] for attempt in incident["attempts"]]:
            wrong.append("a restart was found effective")
        stage.doom(self.service, is_doomed=False)
        await stage.mend(self.service)
        deadline = time.monotonic() + HEALED_WITHIN
        while (mended := (await self._newest(stage, [incident]))[0])["state"] != "resolved":
            if time.monotonic() > deadline:
                wrong.append("people mended it, and the incident is still open")
                break
            await asyncio.sleep(LOOK)
        incident.update(mended)
        return wrong

    async def _newest(self, stage: Stage, fresh: list[Incident]) -> list[Incident]:
        wanted = {incident["id"] for incident in fresh}
        return [incident for incident in await stage.incidents() if incident["id"] in wanted]

    def said(self, incident: Incident, fresh: list[Incident]) -> str:
        holds = [hold["sentence"] for hold in incident["holds"] if hold["reason"] == incident["handed_over"]]
        return "; ".join([incident["because"], f"handed to people: {holds[-1] if holds else incident['handed_over']}"])


FAULTS: tuple[Fault, ...] = (Killed(), Frozen(), Failing(), RootDies(), CrashLoop())
FAULTS_OF_CONTAINERS: tuple[Fault, ...] = (*FAULTS[:-1], RootVanishes(), FAULTS[-1])


async def discrepancies(stage: Stage) -> list[str]:
    """Where the services' own count, heald's record and heald's metrics differ, and what else is amiss in the end.

    The first start of each service was that of whoever runs it, and one of the worker's was the people's.
    """
    starts = sum(len(stage.starts(name)) for name in SERVICES) - len(SERVICES) - 1
    recorded = {attempt["id"] for incident in await stage.incidents() for attempt in incident["attempts"]}
    measured = await stage.metric("heald_attempts_total")
    wrong = []
    if not starts == len(recorded) == measured:
        wrong.append(f"services counted {starts} restarts, heald recorded {len(recorded)} and measured {measured:.0f}")
    if not await stage.is_well():
        wrong.append("not every service is well in the end")
    return wrong


def since(made: float, at: str | None) -> float | None:
    """Seconds from a fault to a moment of heald's record."""
    return None if at is None else datetime.fromisoformat(at).timestamp() - made
