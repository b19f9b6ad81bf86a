"""What people may ask and tell the running daemon: `protocols.Control`, over the parts that run."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from daemon import __version__
from daemon.api import wire
from daemon.api.wire_explain import explanation_to_json, plan_entry_to_json, would_to_json
from daemon.errors import StoreError
from daemon.logs import log
from daemon.model.incident import Incident
from daemon.people import People
from daemon.protocols import Clock
from daemon.runtime.assembly import Assembly


class Desk(People):
    """Answers the control socket. `reload` and `assembly` come from the daemon, which owns both."""

    def __init__(
        self,
        *,
        assembly: Callable[[], Assembly],
        reload: Callable[[], Awaitable[list[str]]],
        readiness: Callable[[], str | None],
        listen: Callable[[], str | None],
        clock: Clock,
        node: str,
        state_dir: Path,
    ) -> None:
        super().__init__(assembly, clock)
        self._reload = reload
        self._readiness = readiness
        self._listen = listen
        self._node = node
        self._state_dir = state_dir
        self._started = clock.stamp()
        self.reload_json = wire.ReloadJson(successful=True, ended_at=wire.moment(self._started), errors=[])

    async def reload(self) -> list[str]:
        """Build all, then swap; the errors that kept the old configuration."""
        return await self._reload()

    def reloaded(self, errors: list[str]) -> None:
        """Note how a reload ended."""
        ended_at = wire.moment(self._clock.stamp())
        self.reload_json = wire.ReloadJson(successful=not errors, ended_at=ended_at, errors=errors)

    async def pause(self, *, why: str, who: str) -> None:
        """Hold all acting until `resume`, across restarts."""
        await asyncio.to_thread(self._assembly().circumstances.pause, why=why, who=who)
        log.warning("paused", f"{who} paused all acting: {why}.", who=who, why=why)

    async def resume(self, *, who: str) -> bool:
        """End a pause; false if there was none."""
        was_paused = self._assembly().circumstances.resume()
        if was_paused:
            log.info("resumed", f"{who} ended the pause.", who=who)
        return was_paused

    async def retry(self, incident: str, *, who: str) -> str:
        """Start an incident's ladder anew. Raises LookupError."""
        said = self._assembly().retry(incident)
        log.info("retried", f"{who} said retry: {said}.", who=who, incident=incident)
        return said

    def status(self) -> Mapping[str, object]:
        """What the daemon is doing now."""
        assembly = self._assembly()
        setup, board = assembly.setup, assembly.board
        paused = assembly.circumstances.pause_facts()
        status = wire.StatusJson(
            version=__version__,
            node=self._node,
            pid=os.getpid(),
            mode=setup.settings.mode.value,
            ready=self._readiness(),
            paused=wire.PauseJson(why=paused.why, who=paused.who, since_at=paused.at) if paused else None,
            store_writable=assembly.sources().is_store_writable(),
            config=str(setup.path),
            state_dir=str(self._state_dir),
            listen=self._listen(),
            started_at=wire.moment(self._started) or "",
            reload=self.reload_json,
            rules=len(setup.rules),
            checks=[wire.check_to_json(check, assembly.runs.newest.get(name)) for name, check in setup.checks.items()],
            holding=[wire.holding_to_json(it) for it in assembly.situation.holding()],
            open_incidents=len(board.incidents),
            handed_over=sum(1 for incident in board.incidents.values() if incident.handed_over),
            under_way=[wire.attempt_to_json(watch.attempt) for watch in board.watches.values()],
            budgets=[wire.budget_to_json(*row) for row in assembly.budgets()],
        )
        return dict(status)

    async def incidents(self, *, limit: int, closed: bool) -> list[Mapping[str, object]]:
        """Incidents with their attempts and holds, newest first; the open ones as they are at this moment."""
        assembly = self._assembly()
        store, board = assembly.store, assembly.board
        try:
            found = {it.id: it for it in await store.incidents(limit=limit, closed=True)} if closed else {}
            found = {**found, **{name: assembly.holds.now(it) for name, it in board.incidents.items()}}
            newest = _newest(found.values(), limit)
            stored = await store.attempts_of([incident.id for incident in newest])
            attempts = {it.id: it for mine in stored.values() for it in mine}
            holds = {incident.id: await store.holds_of(incident.id) for incident in newest}
        except StoreError:  # what is in memory can be told all the same
            newest, attempts, holds = _newest(board.incidents.values(), limit), {}, {}
        attempts = {**attempts, **board.attempts}
        rows: list[Mapping[str, object]] = []
        for incident in newest:
            mine = sorted((it for it in attempts.values() if incident.id in it.incidents), key=lambda it: it.id)
            rows.append(dict(wire.incident_to_json(incident, attempts=mine, holds=holds.get(incident.id, ()))))
        return rows

    async def explain(self, name: str) -> Mapping[str, object]:
        """Why nothing is done about it, or what is. Raises LookupError."""
        return dict(explanation_to_json(await self._assembly().proof.explain(name)))

    async def plan(self) -> list[Mapping[str, object]]:
        """What heald would do now in act mode."""
        return [dict(plan_entry_to_json(entry)) for entry in await self._assembly().proof.plan()]

    async def would(self, *, seconds: float) -> Mapping[str, object]:
        """What observe mode would have done in the last so many seconds."""
        return dict(would_to_json(await self._assembly().proof.would(seconds)))


def _newest(incidents: Iterable[Incident], limit: int) -> list[Incident]:
    return sorted(incidents, key=lambda it: (it.opened.wall, it.id), reverse=True)[:limit]
