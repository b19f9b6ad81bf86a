"""One run of a check: look, judge, record. What the scheduler starts."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from daemon.config.setup import Setup
from daemon.logs import log
from daemon.metrics import CheckMetrics, Metrics, RunResult
from daemon.model.check import Check, Reading, Run
from daemon.model.masks import Masks
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.track import HistoryRow
from daemon.model.units import format_duration
from daemon.protocols import Clock
from daemon.runtime.board import Board
from daemon.runtime.connections import Connections
from daemon.runtime.healing import Healing
from daemon.runtime.look import look
from daemon.runtime.pipeline import Pipeline
from daemon.runtime.toolbox import Toolbox
from daemon.store.store import Store

_SAID_AGAIN = 600.0  # seconds after which runs that are skipped for the same reason are worth another line


class Runs:
    """Looks, hands runs to the pipeline, and passes on what the store and the executor must know."""

    def __init__(
        self,
        setup: Setup,
        *,
        pipeline: Pipeline,
        healing: Healing,
        board: Board,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        node: str,
        connections: Connections,
    ) -> None:
        self.proposed = asyncio.Event()
        self.newest: dict[str, Run] = {}  # by check: its newest run
        self.remembers = False  # until what was done before is known, nothing is recorded and nothing done
        self._pipeline = pipeline
        self._healing = healing
        self._board = board
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._node = node
        self._connections = connections
        self._setup = setup
        self._masks = setup.masks if setup.masks else None  # None: there is no secret to hide
        self._toolboxes: dict[str, Toolbox] = {}
        self._counts: dict[str, CheckMetrics] = {}

    def replace(self, setup: Setup) -> None:
        """Go on with another configuration."""
        for name in self._setup.checks.keys() - setup.checks.keys():
            self._metrics.forget(name)
            self.newest.pop(name, None)
        is_same = setup.secret_variables == self._setup.secret_variables
        for name in [name for name in self._toolboxes if not (is_same and self._is_in_both(name, setup))]:
            del self._toolboxes[name]
            self._counts.pop(name, None)
        self._setup = setup
        self._masks = setup.masks if setup.masks else None

    def _is_in_both(self, name: str, setup: Setup) -> bool:
        check = setup.checks.get(name)
        return check is not None and check is self._setup.checks.get(name)

    async def start(self, check: Check) -> None:
        """One due run, from its look to its record."""
        masks = self._masks  # as they were when the run began
        self._took(check, await self._look(check, is_look=False), masks)
        self.flush()

    async def look_and_judge(self, check: Check, *, is_look: bool = False) -> None:
        """Look once and judge what was seen."""
        masks = self._masks
        self._took(check, await self._look(check, is_look=is_look), masks)

    def _took(self, check: Check, run: Run, masks: Masks | None) -> None:
        """Judge a run, unless a reload meanwhile made the check one of something else."""
        now = self._setup.checks.get(check.name)
        if now is check or (now is not None and (now.type, now.options) == (check.type, check.options)):
            self.take(run if masks is None else masked_run(run, masks))

    def _look(self, check: Check, *, is_look: bool) -> Coroutine[Any, Any, Run]:
        """Look once, within the check's timeout."""
        is_current = self._setup.checks.get(check.name) is check  # a second look may be of what a reload edited
        toolbox = self._toolboxes.get(check.name) if is_current else None
        if toolbox is None:
            toolbox = Toolbox(
                node=self._node,
                clock=self._clock,
                timeout=check.timeout,
                connections=self._connections,
                withhold=self._setup.secret_variables,
            )
            if is_current:
                self._toolboxes[check.name] = toolbox
                self._counts[check.name] = self._metrics.check(check.name)
        return look(check, self._setup.types.checks[check.type], toolbox, self._clock, is_look=is_look)

    def take(self, run: Run) -> None:
        """Judge a run and record it."""
        counts = self._counts.get(run.check)
        if counts is not None:
            result = RunResult.OK if run.error is None else RunResult.TIMEOUT if run.timed_out else RunResult.BLIND
            counts.observe(result, run.ended - run.began)
        at = run.at
        if at is None:
            at = self._clock.stamp()
            run = replace(run, at=at)
        if run.check in self._setup.checks:
            self.newest[run.check] = run
        if self.remembers:
            self._store.append_history(_rows_of(run, at))
        self._pipeline.take(run)

    def flush(self) -> None:
        """Give the store what is new, and wake the executor where something is proposed."""
        rows = self._board.take_rows()
        if rows and self.remembers:
            self._store.submit(*rows, may_wait=self._healing.is_deciding)
        if self._healing.has_proposals:
            self.proposed.set()


def _rows_of(run: Run, at: Stamp) -> list[HistoryRow]:
    """What the store keeps of a run."""
    if run.error is not None:
        return [HistoryRow(check=run.check, subject="", at=at, ok=False, samples={}, error=run.error)]
    return [HistoryRow(check=run.check, subject=it.subject, at=at, ok=True, samples=it.samples) for it in run.readings]


class Skips:
    """Runs that were due in vain: each is counted, and why is said now and then, as overload brings thousands."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._said: dict[str, float] = {}  # when each reason was, in steady seconds

    def note(self, check: Check, why: str) -> None:
        """A run of this check was due, and is skipped."""
        self._metrics.check(check.name).skipped()
        now = self._clock.steady()
        if why in self._said and now < self._said[why] + _SAID_AGAIN:
            return
        self._said[why] = now
        others = f"Others are counted, and not said for {format_duration(_SAID_AGAIN)}."
        log.warning("run_skipped", f"Check {check.name} was due and is skipped: {why}. {others}", check=check.name)


def masked_run(run: Run, masks: Masks) -> Run:
    """The run without a secret in its texts: a command may print what it was given."""
    error = masks.text(run.error) if run.error is not None else None
    readings = tuple(_masked(reading, masks) for reading in run.readings)
    return replace(run, error=error, readings=readings)


def _masked(reading: Reading, masks: Masks) -> Reading:
    texts = {name: masks.text(value) for name, value in reading.samples.items() if isinstance(value, str)}
    return replace(reading, samples={**reading.samples, **texts}) if texts else reading
