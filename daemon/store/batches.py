"""Rows of history on their way to the file: in batches, and in bounds while it takes none."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from daemon.errors import StoreError
from daemon.model.track import HistoryRow
from daemon.store.worker import when_done

BATCH = 500  # rows that are written at once, without waiting for the next batch
MOST = 20_000  # rows that wait at most while the store takes no writes: some 10 MB


class Batches:
    """History that waits. `write` gives a batch to the store's thread."""

    def __init__(self, write: Callable[[list[HistoryRow]], "asyncio.Future[None]"]) -> None:
        self.dropped = 0  # rows for which there was no room
        self.is_waiting = asyncio.Event()  # there are rows
        self._write = write
        self._rows: deque[HistoryRow] = deque()
        self._is_under_way = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_due(self) -> bool:
        """Whether a whole batch is there and none is under way."""
        return len(self._rows) >= BATCH and not self._is_under_way

    def add(self, rows: Iterable[HistoryRow]) -> None:
        """Keep rows for the next batch; beyond the bound the oldest go."""
        self._rows.extend(rows)
        if len(self._rows) > MOST:
            self._bound()
        if self._rows and not self.is_waiting.is_set():
            self.is_waiting.set()

    def write(self) -> "asyncio.Future[None]":
        """Write all that waits. If that fails it waits again."""
        rows = list(self._rows)
        self._rows.clear()
        self._is_under_way = True
        future = self._write(rows)
        when_done(future, lambda: self._written(rows, future))
        return future

    def _written(self, rows: list[HistoryRow], done: "asyncio.Future[None]") -> None:
        self._is_under_way = False
        if not done.cancelled() and isinstance(done.exception(), StoreError):
            self._rows.extendleft(reversed(rows))
            self._bound()

    def _bound(self) -> None:
        while len(self._rows) > MOST:
            self._rows.popleft()
            self.dropped += 1
