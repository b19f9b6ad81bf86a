"""From the store to memory when heald starts, and what limits still permit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.engine.counting import steady_of, used
from daemon.engine.observations import Observations
from daemon.model.check import Reading, Run
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit
from daemon.model.track import HistoryRow, Remembered
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """All that an earlier daemon left."""

    remembered: Remembered
    history: Mapping[str, Sequence[HistoryRow]]  # by check, oldest first: what windows look back on


async def recall(store: Store, observations: Observations, *, longest: float) -> Recalled:
    """Read what an earlier daemon left. Raises StoreError."""
    keep = {name: seconds for name, seconds in observations.kept().items() if seconds > 0}
    remembered = await store.remembered(longest=longest)
    return Recalled(remembered=remembered, history=await store.history(keep) if keep else {})


def put_back(recalled: Recalled, board: Board, observations: Observations, bindings: Bindings, now: Stamp) -> None:
    """Take over what an earlier daemon left; incidents share the ladders of their rules as they are now."""
    board.restore(recalled.remembered)
    for incident in board.incidents.values():
        for binding in bindings.by_check.get(incident.check, ()):
            if binding.rule.name == incident.rule:
                resource = bindings.ladder_resource(binding, incident.subject)
                if resource is not None:
                    board.ladder_of[incident.id] = (incident.rule, resource)
    for row in (row for rows in recalled.history.values() for row in rows):
        observations.record(_as_run(row, now))


def _as_run(row: HistoryRow, now: Stamp) -> Run:
    """A row of history as the run that it was, on this boot's steady axis."""
    at = steady_of(row.at, now)
    readings = (Reading(subject=row.subject, samples=row.samples),) if row.ok else ()
    return Run(check=row.check, began=at, ended=at, readings=readings, error=None if row.ok else row.error)


def left_of_limits(bindings: Bindings, board: Board, now: Stamp) -> list[tuple[str, Limit, int]]:
    """What each limit still permits: of all together, and of each resource that a service's manager runs."""
    setup = bindings.setup
    real = [attempt for attempt in board.attempts.values() if not attempt.would and not attempt.void]
    rows = [("all", limit, max(0, limit.count - used(real, limit, now))) for limit in setup.settings.budget]
    by_resource: dict[str, list[Attempt]] = {manager.resource: [] for manager in setup.managers.values()}
    for attempt in real:
        by_resource.setdefault(attempt.resource, []).append(attempt)
    for resource, mine in sorted(by_resource.items()):
        limits = bindings.limit_of(resource)
        rows += [(resource, limit, max(0, limit.count - used(mine, limit, now))) for limit in limits]
    return rows
