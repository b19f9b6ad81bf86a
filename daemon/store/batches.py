"""Rows of history on their way to the file: in batches, and in bounds while it takes none."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from daemon.errors import StoreError
from daemon.model.track import HistoryRow
from daemon.store.worker import when_done

BATCH = 500  # rows that are written at once, without waiting for the next batch
MOST = 20_000  # rows that wait at most, beside as many that are with the thread: some 10 MB each


class Batches:
    """History that waits. `write` gives a batch to the store's thread, which says how many rows of it are written."""

    def __init__(self, write: Callable[[list[HistoryRow]], "asyncio.Future[int]"]) -> None:
        self.dropped = 0  # rows for which there was no room
        self.writing = 0  # rows that are with the thread
        self.is_waiting = asyncio.Event()  # there are rows
        self._write = write
        self._rows: deque[HistoryRow] = deque()
        self._under_way: asyncio.Future[int] | None = None  # the newest batch, while it is being written

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_due(self) -> bool:
        """Whether a whole batch is there and none is under way."""
        return len(self._rows) >= BATCH and self._under_way is None

    def add(self, rows: Iterable[HistoryRow]) -> None:
        """Keep rows for the next batch; beyond the bound the oldest go."""
        self._rows.extend(rows)
        if len(self._rows) > MOST:
            self._bound()
        if self._rows and not self.is_waiting.is_set():
            self.is_waiting.set()

    def write(self) -> "asyncio.Future[int]":
        """Write all that waits. If that fails it waits again; the rest of what was cut short is written next."""
        rows = list(self._rows)
        self._rows.clear()
        return self._give(rows)

    def _give(self, rows: list[HistoryRow]) -> "asyncio.Future[int]":
        self.writing += len(rows)
        future = self._under_way = self._write(rows)
        when_done(future, lambda: self._written(rows, future))
        return future

    async def settle(self, within: float | None = None) -> None:
        """Wait until no batch is being written, nor the rest of one; at most `within` seconds for each."""
        while (batch := self._under_way) is not None and (await asyncio.wait({batch}, timeout=within))[0]:
            pass

    def _written(self, rows: list[HistoryRow], done: "asyncio.Future[int]") -> None:
        self.writing -= len(rows)
        if self._under_way is done:
            self._under_way = None
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, StoreError):
            self._rows.extendleft(reversed(rows))
            self._bound()
        elif error is None and done.result() < len(rows):
            self._give(rows[done.result() :])  # never back among those that wait, which may be as many as there may be

    def _bound(self) -> None:
        while len(self._rows) > MOST:
            self._rows.popleft()
            self.dropped += 1
