"""A state file in memory: for simulated daemons, which are killed a thousand times a second and read no disk."""

import functools
import sqlite3
from pathlib import Path

from daemon.protocols import Clock
from daemon.store.opening import MIGRATIONS, migrate
from daemon.store.sqlite import Database
from daemon.store.store import HISTORY_EVERY, Store
from daemon.store.worker import Worker
from daemon.store.writer import Writer

_PLACE = Path("memory")


class Memory:
    """What a killed daemon leaves behind for the next one. Close it when no more will come."""

    def __init__(self) -> None:
        self.connection = _connected()
        _template().backup(self.connection)
        self.connection.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Forget all of it."""
        self.connection.close()


class _MemoryWriter(Writer):
    """The writer on a connection that outlives it."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        super().__init__(_PLACE, clock, MIGRATIONS)
        self._memory = memory

    def _open(self) -> None:
        self._database = Database(self._memory.connection)
        self._must_reopen = False

    def _check_place(self) -> None:
        """Nobody can move it away."""

    def _close_database(self) -> None:
        if self._database is not None:
            self._unfit += self._database.unfit
            self._database = None


def open_in_memory(memory: Memory, clock: Clock) -> Store:
    """A store that does all work at once in the caller, as `Store.open(threaded=False)`, on a state file in memory."""
    writer = _MemoryWriter(memory, clock)
    writer.open()
    return Store(Worker(threaded=False), writer, clock, 0.0, HISTORY_EVERY)


def _connected() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


@functools.cache
def _template() -> sqlite3.Connection:
    """An empty state file with the newest schema, made once."""
    connection = _connected()
    migrate(connection, _PLACE, MIGRATIONS)
    return connection
