"""Rows that wait for the database, in order and in bounds."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from daemon.model.remediation import Attempt
from daemon.store.rows import Key, Row, is_over, key_of

KEYED_MOST = 50_000  # rows: about 50 MB, weeks of incidents without a store
HAPPENED_MOST = 20_000  # rows: about 10 MB


class Buffer:
    """Rows to be written in one transaction.

    Of a keyed row (Incident, Attempt, Ladder, Track) only the newest version is kept. What only happens (Transition,
    HoldRecord) is kept in order; beyond the bound the oldest goes, and is counted. Beyond the bound of keyed rows those
    go first on which nothing can follow, the oldest before the younger. An Attempt is never dropped: limits count it.
    """

    def __init__(self, *, keyed_most: int = KEYED_MOST, happened_most: int = HAPPENED_MOST) -> None:
        self.dropped = 0  # rows, since ever
        self._keyed: dict[Key, Row] = {}
        self._happened: deque[Row] = deque()
        self._keyed_most = keyed_most
        self._happened_most = happened_most

    def __len__(self) -> int:
        return len(self._keyed) + len(self._happened)

    def __iter__(self) -> Iterator[Row]:
        return chain(self._keyed.values(), self._happened)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows that are newer than all that are here."""
        for row in rows:
            key = key_of(row)
            if key is None:
                self._happened.append(row)
            else:
                self._keyed.pop(key, None)  # the newest version takes the newest place
                self._keyed[key] = row
        while len(self._happened) > self._happened_most:
            self._happened.popleft()
            self.dropped += 1
        if len(self._keyed) > self._keyed_most:
            self._make_room()

    def clear(self) -> None:
        """Forget the rows: they were written."""
        self._keyed.clear()
        self._happened.clear()

    def _make_room(self) -> None:
        """Drop a tenth of the keyed rows at once, so that looking for them costs little a row."""
        excess = len(self._keyed) - self._keyed_most + self._keyed_most // 10
        over = list(islice((key for key, row in self._keyed.items() if is_over(row)), excess))
        if not over:
            over = [key for key in self._keyed if key[0] is not Attempt][:excess]
        for key in over:
            del self._keyed[key]
        self.dropped += len(over)
