"""What the store can be asked."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from daemon.model.approval import Approval
from daemon.model.incident import Incident, Transition
from daemon.model.order import Order
from daemon.model.remediation import Attempt
from daemon.model.track import HistoryRow, HoldRecord, Remembered
from daemon.protocols import Clock
from daemon.store.history import History
from daemon.store.rows import ATTEMPTS, HOLDS, INCIDENTS, R, Table
from daemon.store.sqlite import Database

if TYPE_CHECKING:
    from daemon.store.writer import Writer

DAY = 86400.0
T = TypeVar("T")


class Reading:
    """The asking half of `Store`. All of it raises StoreError where the file cannot be read; a full disk can.

    Answers include everything submitted before, if it could be written.
    """

    _writer: "Writer"
    _clock: Clock

    def _call(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Do something on the store's thread."""
        raise AssertionError("Store says how")

    async def _write_history(self) -> None:
        """Write the history that waits for its batch."""
        raise AssertionError("Store says how")

    async def _read(self, query: Callable[[Database], T]) -> T:
        return await self._call(lambda: self._writer.read(query))

    async def remembered(self, *, longest: float = math.inf, closed_within: float = DAY) -> Remembered:
        """All that a daemon needs at start: open incidents and those closed within so many seconds, tracks, ladders,
        and the attempts that a window of at most `longest` seconds could still count. Attempts that are found running
        are given back so. Where a row of it is damaged for certain, the file is as good as unreadable: it is moved
        aside at the next try.
        """
        now = self._clock.stamp()
        return await self._call(
            lambda: self._writer.read(lambda it: it.remembered(now, longest, closed_within), is_vital=True)
        )

    async def counting(self, *, longest: float = math.inf) -> list[Attempt]:
        """The attempts that a window of at most `longest` seconds could still count, oldest first."""
        now = self._clock.stamp()
        return await self._read(lambda database: database.attempts_counting(now, longest))

    async def incidents(self, *, limit: int, closed: bool) -> list[Incident]:
        """The newest incidents first; the closed ones among them if `closed`."""
        return await self._read(lambda database: database.incidents(limit=limit, closed=closed))

    async def incident(self, name: str) -> Incident | None:
        """One incident by its id."""
        return await self._read(lambda database: database.incident(name))

    async def approvals(self, *, limit: int) -> list[Approval]:
        """The newest approvals first, whatever became of them."""
        return await self._read(lambda database: database.approvals(limit=limit))

    async def orders(self, *, limit: int) -> list[Order]:
        """The newest standing orders first, ended ones among them."""
        return await self._read(lambda database: database.orders(limit=limit))

    async def attempts_of(self, incidents: Iterable[str]) -> dict[str, list[Attempt]]:
        """The attempts made for each of some incidents, oldest first."""
        names = list(incidents)
        return await self._read(lambda database: database.attempts_of(names))

    async def holds_of(self, incident: str) -> list[HoldRecord]:
        """What held an incident, oldest first."""
        return await self._read(lambda database: database.holds_of(incident))

    async def transitions_of(self, incident: str) -> list[Transition]:
        """How an incident went, oldest first."""
        return await self._read(lambda database: database.transitions_of(incident))

    async def last_transition(self, rule: str, check: str, subject: str) -> Transition | None:
        """The newest change of state of a rule, a check and a subject, whether an incident was open or not."""
        return await self._read(lambda database: database.last_transition(rule, check, subject))

    async def attempts_since(self, seconds: float, *, most: int) -> list[Attempt]:
        """The attempts claimed in the last so many seconds, the newest `most` of them, oldest first."""
        return await self._since(ATTEMPTS, "claimed", seconds, most)

    async def holds_since(self, seconds: float, *, most: int) -> list[HoldRecord]:
        """What was recorded as holding in the last so many seconds, as `attempts_since`."""
        return await self._since(HOLDS, "at", seconds, most)

    async def handed_over_since(self, seconds: float, *, most: int) -> list[Incident]:
        """The incidents that people were told of in the last so many seconds, as `attempts_since`."""
        return await self._since(INCIDENTS, "handed_over_at", seconds, most)

    async def _since(self, table: Table[R], moment: str, seconds: float, most: int) -> list[R]:
        now = self._clock.stamp()
        return await self._read(lambda database: database.since(table, moment, seconds, now, most))

    async def history(self, seconds: Mapping[str, float], *, most: int = 10_000) -> dict[str, list[HistoryRow]]:
        """By check the rows of the last so many seconds, oldest first, at most `most` of each (`History.newest`).

        Raises StoreError.
        """
        await self._write_history()
        now = self._clock.stamp()
        return await self._read(lambda database: History(database).newest(now, seconds, most))
