"""All that runs between a configuration and a store, wired once: the same for the daemon and for virtual time."""

import asyncio
from pathlib import Path
from typing import Never

from daemon.config.setup import Setup
from daemon.engine.observations import Observations
from daemon.errors import StoreError
from daemon.logs import log
from daemon.metrics import Metrics, Sources
from daemon.model.rule import Limit
from daemon.model.settings import Mode
from daemon.protocols import Clock
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.approvals import Approvals
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.circumstances import Circumstances
from daemon.runtime.connections import Connections
from daemon.runtime.executor import Executor
from daemon.runtime.flaps import Flaps
from daemon.runtime.harm import Harm
from daemon.runtime.healing import Healing
from daemon.runtime.health import Health
from daemon.runtime.holds import Holds
from daemon.runtime.janitor import Janitor
from daemon.runtime.orders import Orders
from daemon.runtime.outlooks import Outlooks
from daemon.runtime.pipeline import Pipeline
from daemon.runtime.proof import Proof
from daemon.runtime.recall import left_of_limits, put_back, recall
from daemon.runtime.runs import Runs, Skips
from daemon.runtime.said_once import CutOff
from daemon.runtime.scheduler import Scheduler
from daemon.runtime.situation import Situation
from daemon.runtime.standing import Standings
from daemon.runtime.storm import Storm
from daemon.runtime.tasks import standing
from daemon.runtime.worse import Worse
from daemon.store.store import Store


class Assembly:
    """The running parts. `pause_file` is the kill switch; coalesce and spread as the scheduler takes them."""

    def __init__(
        self,
        setup: Setup,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        node: str,
        pause_file: Path | None = None,
        coalesce: float = 0.2,
        spread: bool = True,
        board: Board | None = None,
    ) -> None:
        self.setup, self.store, self.metrics = setup, store, metrics
        self._clock, self._node = clock, node
        self._unread: str | None = None  # why the store could not be read
        self._bindings = Bindings(setup, node)
        self.connections = Connections(types=setup.types.connections, configured=setup.connections)
        self.board, self.observations = board or Board(), Observations()
        self.circumstances = Circumstances(clock, setup.settings, pause_file)
        self.circumstances.wait_for_clear(self._bindings.pairs)
        self.circumstances.store_why = self._store_why
        self._wire_judges()
        self._wire_carriers()
        self.scheduler = self.aftercare.timetable = Scheduler(
            clock=clock,
            start_run=self.runs.start,
            interval=self.pipeline.interval,
            concurrency=setup.settings.concurrency,
            coalesce=coalesce,
            spread=spread,
            decisions=self.executor,
            on_lag=metrics.schedule_lag.observe,
            on_skip=Skips(metrics, clock).note,
        )
        self.scheduler.replace(setup.checks)
        metrics.read_from(self.sources())

    def _wire_judges(self) -> None:
        """What decides; nothing of it waits."""
        bindings, board, clock, metrics = self._bindings, self.board, self._clock, self.metrics
        health, self.flaps = Health(bindings, board), Flaps()
        self.holds = Holds(board, clock, metrics, self.flaps, health)
        self.situation = situation = self._wire_people(health)
        self.cut_off = CutOff(health, board=board, orders=self.orders, clock=clock)
        self.holds.is_quiet, self.holds.is_planned = situation.is_quiet, situation.is_planned
        self.holds.on_cut_off, self.holds.is_stormy = self.cut_off.held, lambda: self.storm.is_on
        self.worse = Worse(Harm(bindings, board, health, self.orders), board=board, holds=self.holds, clock=clock)
        self.aftercare = Aftercare(bindings, board=board, holds=self.holds, clock=clock, metrics=metrics)
        self.healing = Healing(
            bindings,
            board=board,
            health=health,
            holds=self.holds,
            situation=situation,
            approvals=self.approvals,
            orders=self.orders,
            worse=self.worse,
            clock=clock,
        )
        self.pipeline = Pipeline(
            bindings,
            board=board,
            observations=self.observations,
            circumstances=self.circumstances,
            health=health,
            healing=self.healing,
            orders=self.orders,
            situation=situation,
            flaps=self.flaps,
            aftercare=self.aftercare,
            worse=self.worse,
            clock=clock,
            metrics=metrics,
        )

    def _wire_people(self, health: Health) -> Situation:
        """What people want and are asked, and what else the guards look at."""
        bindings, board, clock = self._bindings, self.board, self._clock
        self.orders = Orders(bindings, board, clock)
        self.storm = Storm(bindings, board=board, health=health, orders=self.orders, clock=clock)
        self.approvals = Approvals(bindings, board, clock)
        return Situation(
            bindings,
            board=board,
            health=health,
            orders=self.orders,
            storm=self.storm,
            flaps=self.flaps,
            approvals=self.approvals,
            circumstances=self.circumstances,
            clock=clock,
        )

    def _wire_carriers(self) -> None:
        """What waits for checks, remediations and the store."""
        bindings, board, clock, store = self._bindings, self.board, self._clock, self.store
        self.runs = Runs(
            self.setup,
            pipeline=self.pipeline,
            healing=self.healing,
            board=board,
            store=store,
            metrics=self.metrics,
            clock=clock,
            node=self._node,
            connections=self.connections,
        )
        self.executor = Executor(
            bindings,
            board=board,
            healing=self.healing,
            approvals=self.approvals,
            aftercare=self.aftercare,
            runs=self.runs,
            store=store,
            clock=clock,
            node=self._node,
            connections=self.connections,
        )
        self.janitor = Janitor(
            bindings,
            board=board,
            circumstances=self.circumstances,
            store=store,
            clock=clock,
            flush=self.tick,
        )

    # ---- start, reload, stop ------------------------------------------------------------------------------------

    async def restore(self) -> bool:
        """Go on where the last daemon ended; false if the store cannot be read, and nothing may be done."""
        bindings = self._bindings
        try:
            recalled = await recall(self.store, self.observations, longest=bindings.longest_window)
        except StoreError as error:
            self._unread = str(error)
            log.error("store_unreadable", f"The store cannot be read, so nothing will be done: {error}.")
            return False
        put_back(recalled, self.board, self.observations, bindings, self._clock.stamp())
        if self.setup.settings.mode is Mode.ACT:
            self.healing.forget_would(allowed=self.setup.settings.allow)
        self.pipeline.withdraw_missing()
        self.flaps.resume(self.board.tracks.values())
        self.storm.resume()
        self.worse.resume()
        self.aftercare.resume()
        self.runs.remembers = True
        self.runs.flush()
        return True

    async def could_restore(self) -> bool:
        """Whether the store, which could not be read at the start, can be now."""
        try:
            return bool(await recall(self.store, self.observations, longest=self._bindings.longest_window))
        except StoreError as error:
            self._unread = str(error)
            return False

    def prepare(self, setup: Setup) -> tuple[Bindings, list[object]]:
        """For `replace`: most of its work, which may be done beside the loop; and the parts of what it will end."""
        return self._bindings.followed_by(setup), self._bindings.parts()

    def replace(self, following: Setup | Bindings) -> None:
        """Swap the configuration, prepared or not; what is under way ends under the old one."""
        bindings = following if isinstance(following, Bindings) else self._bindings.followed_by(following)
        self.metrics.forget_rules(self._bindings.rules.keys() - bindings.rules.keys())
        self.setup, self._bindings = bindings.setup, bindings
        self.connections.replace(self.setup.connections)
        self.circumstances.wait_for_others(bindings.pairs)
        for part in (self.orders, self.storm, self.approvals, self.worse, self.pipeline, self.executor, self.janitor):
            part.replace(bindings)
        self.runs.replace(self.setup)
        self.scheduler.set_concurrency(self.setup.settings.concurrency)
        self.scheduler.replace(self.setup.checks)
        self.runs.flush()

    def tick(self) -> None:
        """What time alone brings."""
        for part in (self.orders, self.approvals, self.storm, self.cut_off):
            part.tick()
        self.runs.flush()

    async def run(self) -> Never:
        """The standing tasks; one that ends ends them all."""
        async with asyncio.TaskGroup() as group:
            for part in (self.scheduler, self.executor, self.janitor):
                group.create_task(standing(part.run()), name=type(part).__name__)
            group.create_task(standing(self.store.keep()), name="Store")
        raise RuntimeError("the standing tasks ended")

    async def stop(self) -> None:
        """No new attempts; running ones get `shutdown_grace`; what is known is written."""
        self.circumstances.shutting_down = True
        await self.scheduler.drain(1.0)
        await self.executor.drain(self.setup.settings.shutdown_grace)
        await self.connections.close()
        if self.runs.remembers and (measured := self.board.take_measured()):
            self.store.submit(*measured)
        self.runs.flush()

    async def record(self) -> None:
        """Write what is new, and wait until it is on the disk. Raises StoreError."""
        if not self.runs.remembers:
            raise StoreError(self._store_why() or "what was done before is not known yet")
        await self.store.submit(*self.board.take_rows())

    def record_anew(self) -> None:
        """The store began anew while heald ran: write down all that is still known."""
        if self.runs.remembers:
            self.store.submit(*self.board.everything())

    def _store_why(self) -> str | None:
        if not self.runs.remembers:
            return self.store.why or self._unread or "what was done before is not known yet"
        return None if self.store.is_writable else self.store.why or "it cannot be written"

    def sources(self) -> Sources:
        """Where the metrics read their gauges."""
        return Sources(
            readings=lambda: [(name, run.readings) for name, run in self.runs.newest.items() if run.error is None],
            incidents=lambda: list(self.board.incidents.values()),
            handed_over=self.holds.told,
            rules=lambda: self.setup.rules,
            budgets=self.budgets,
            mode=lambda: self.setup.settings.mode,
            is_paused=lambda: self.circumstances.paused_why() is not None,
            is_store_writable=lambda: self._store_why() is None,
            store_writes=lambda: self.store.writes,
        )

    @property
    def proof(self) -> Proof:
        """What heald can say of why it acts or does not, by the configuration in use."""
        outlooks = Outlooks(self._bindings, self.board, healing=self.healing, executor=self.executor)
        places = Standings(self._bindings, self.board, self.observations, self.healing, self.runs.newest, self._clock)
        return Proof(self._bindings, places, self.board, outlooks, self.store, self._clock)

    def budgets(self) -> list[tuple[str, Limit, int]]:
        """What each limit still permits."""
        return left_of_limits(self._bindings, self.board, self._clock.stamp())

    def retry(self, incident_id: str) -> str:
        """Start an incident's ladder anew. Raises LookupError."""
        if (incident := self.board.incidents.get(incident_id)) is None:
            raise LookupError(f"no incident {incident_id} is open")
        if (key := self.board.ladder_of.get(incident_id)) is None:
            raise LookupError(f"rule {incident.rule} has no steps, so there is nothing to retry")
        self.healing.retry(key)
        self.runs.flush()
        if self.aftercare.timetable is not None:
            self.aftercare.timetable.due(incident.check)
        return f"the ladder of rule {key[0]} on {key[1]} starts anew"
