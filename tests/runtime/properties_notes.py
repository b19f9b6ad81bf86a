"""What is noted in a world of the properties: effects, wishes of people, what a board says as it happens and knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from daemon.model.incident import IncidentState
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt, AttemptState
from daemon.runtime.board import Board


@dataclass(kw_only=True)
class Deed:
    """One effect, as who is acted on sees it."""

    attempt: Attempt
    claimed: float
    began: float
    ends: float
    lives_on: bool  # a kill of heald does not end it
    settles: bool = True


@dataclass(kw_only=True)
class Wish:
    """One order of a person."""

    kind: OrderKind
    field: str
    pattern: str
    holds: bool
    until: float

    def covers(self, scope: Mapping[str, str]) -> bool:
        return fnmatchcase(scope[self.field], self.pattern)


class Notes(Board):
    """A board whose transitions and holds are heard."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        super().__init__()
        self._hear = hear

    def note(self, row: Any) -> None:
        self._hear(row)
        super().note(row)


def picture(board: Board) -> dict[str, Any]:
    """What of a board a restart keeps: times that count, but not the run before; each lost attempt as what it is."""
    under_way = {it.id for it in board.attempts.values() if it.released is None}
    tracks = {
        key: (it.state, it.incident, round(it.counted, 3), it.muted, it.memory)
        for key, it in board.tracks.items()
        if it.state is not IncidentState.INACTIVE
    }
    ladders = {
        key: replace(it, floor=None if it.attempt in under_way else it.floor, held_for=round(it.held_for, 3))
        for key, it in board.ladders.items()
        if it.closed is None and not it.would
    }
    attempts = {}
    for it in board.attempts.values():
        lost = replace(it, state=AttemptState.LOST, summary="heald ended while it ran")
        if not it.would:
            attempts[it.id] = lost if it.state is AttemptState.RUNNING else it
    return {
        "incidents": dict(board.incidents),
        "orders": dict(board.orders),
        "approvals": dict(board.approvals),
        "tracks": tracks,
        "ladders": ladders,
        "attempts": attempts,
    }
