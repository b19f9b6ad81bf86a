"""A state file in memory: for simulated daemons, which are killed a thousand times a second and read no disk."""

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
        self._known = _spare.pop() if _spare else _Known()
        self.connection = self._known.connection
        self._is_closed = False

    def database(self) -> Database:
        """As it is for a daemon that begins: with nothing in mind but what the last one wrote."""
        if self.connection.in_transaction:
            self.connection.rollback()
        self._known.database.forget()
        return self._known.database

    def close(self) -> None:
        """Forget all of it."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._known.clear()
        except sqlite3.Error:
            self.connection.close()
        else:
            _spare.append(self._known)


class _Known:
    """A connection, empty again after each memory: its statements are kept, which take longer to read than to run."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self.connection, _PLACE, MIGRATIONS)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.database = Database(self.connection)
        names = self.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        tables = [name for (name,) in names if not name.startswith("sqlite_")]
        self._tables = tables[::-1]  # what refers to others goes before them

    def clear(self) -> None:
        """Raises sqlite3.Error."""
        with self.database.transaction():
            for table in self._tables:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names


_spare: list[_Known] = []


class _MemoryWriter(Writer):
    """The writer on a connection that outlives it."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        super().__init__(_PLACE, clock, MIGRATIONS)
        self._memory = memory

    def _open(self) -> None:
        self._database = self._memory.database()
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
