"""The store's own thread, seen from inside: tries, keeps what could not be written, and says why."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from daemon.errors import StoreError, StoreRefusedError
from daemon.model.incident import Hold
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.model.track import HistoryRow
from daemon.protocols import Clock
from daemon.store import trimming
from daemon.store.aside import move_aside
from daemon.store.buffer import Buffer
from daemon.store.history import History
from daemon.store.opening import FILE, connect, lock
from daemon.store.rows import Row
from daemon.store.sentences import is_damage, is_damaged_row, is_passing, of_sqlite, of_system
from daemon.store.sqlite import Database

T = TypeVar("T")
Permits = Callable[[Sequence[Attempt]], Hold | None]
"""Given the attempts that could count, what holds one more; runs on the store's thread, within the transaction."""


class Writer:
    """The database behind its troubles. Every method but the attributes belongs to one thread.

    While `why` is set nothing is tried but by `recover` and `claim`: rows wait in the backlog, and are written first.
    """

    def __init__(self, directory: Path, clock: Clock, migrations: Path) -> None:
        self.why: str | None = "the store is not open yet"
        self.damage: str | None = None  # a sentence: a file that was damaged, and where it is now
        self.transactions = {"ok": 0, "error": 0}
        self.backlog = Buffer()
        self.keep_history = (7 * 86400.0, 256 * 2**20)  # seconds, bytes
        self._path = directory / FILE
        self._clock = clock
        self._migrations = migrations
        self._lock: int | None = None
        self._database: Database | None = None
        self._inode: tuple[int, int] | None = None
        self._unfit = 0
        self._doubtful: list[str] = []  # claims whose commit failed: nobody knows what the file will say of them
        self._must_reopen = False
        self._damaged: str | None = None  # why the file that is there must be moved aside

    @property
    def unfit(self) -> int:
        """Rows that could not be written because they were not what their type says."""
        return self._unfit + (self._database.unfit if self._database else 0)

    # ---- opening ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the lock and open the file; what stands in the way for now is said in `why`.

        Raises:
            StoreRefusedError: it can never be used as it is. The lock is let go.
        """
        try:
            self.recover()
        except StoreRefusedError:
            self.abandon()
            raise
        except StoreError:
            return  # `why` has it

    def recover(self) -> None:
        """Open what is not open, and write the backlog. Raises StoreError, StoreRefusedError."""
        if self._database is not None and self._must_reopen:
            self._close_database()
        if self._database is None:
            self._translated(self._open)
        if len(self.backlog) or self._doubtful:
            self._try_backlog()
        else:
            self._guarded(lambda: self._reachable().try_write(self._clock.stamp()))

    def _open(self) -> None:
        if self._lock is None:
            self._lock = lock(self._path.parent)
        if self._inode is not None:
            self._check_place()
        if self._damaged is not None:
            self._move_aside(self._damaged)
        try:
            self._database = Database(connect(self._path, self._migrations))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._move_aside(of_sqlite(error, self._path))
            self._database = Database(connect(self._path, self._migrations))
        self._must_reopen = False
        self._inode = self._place()

    def _move_aside(self, why: str) -> None:
        self.damage = move_aside(self._path, why, self._clock)
        self._damaged, self._inode = None, None
        self._doubtful.clear()

    def _place(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def _check_place(self) -> None:
        """A file that was moved away takes writes and forgets them. Raises StoreError."""
        with contextlib.suppress(FileNotFoundError):  # said below
            if self._place() == self._inode:
                return
        raise StoreError(
            f"{self._path} was removed or replaced while heald ran; put it back, or start heald again to begin anew"
        )

    def _reachable(self) -> Database:
        if self._database is None:
            raise StoreError(self.why or "the store is closed")
        self._check_place()
        return self._database

    # ---- writing ------------------------------------------------------------------------------------------------

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows after all that waits; durable when it returns. Raises StoreError: they wait now."""
        self.backlog.extend(rows)
        if self.why is not None:
            raise StoreError(self.why)
        if len(self.backlog):
            self._try_backlog()

    def _try_backlog(self) -> None:
        def work() -> None:
            database = self._reachable()
            with database.transaction():
                self._put_backlog(database)
            self._written()

        self._guarded(work)

    def _put_backlog(self, database: Database) -> None:
        if self._doubtful:
            database.delete_attempts(self._doubtful)
        database.put(row for row in self.backlog if not (isinstance(row, Attempt) and row.id in self._doubtful))

    def _written(self) -> None:
        self.backlog.clear()
        self._doubtful.clear()

    def claim(
        self, before: Iterable[Row], attempt: Attempt, rows: Sequence[Row], permits: Permits, now: Stamp, longest: float
    ) -> tuple[Hold | None, Exception | None]:
        """Everything before and, if permitted, the claim, in one transaction (`Store.claim`).

        Returns the hold, and what went wrong in `permits` or with the attempt itself while everything before was
        written. Raises StoreError: nothing was written, and nothing of the claim ever will be.
        """
        self.backlog.extend(before)
        claimed = Buffer()
        claimed.extend(rows)

        def work() -> tuple[Hold | None, Exception | None]:
            database = self._reachable()
            hold: Hold | None = None
            fault: Exception | None = None
            with database.transaction():
                self._put_backlog(database)
                try:
                    hold = permits(database.attempts_counting(now, longest))
                    if hold is None:
                        database.insert_attempt(attempt)
                        database.put(claimed)
                except sqlite3.IntegrityError as error:
                    fault = StoreError(f"attempt {attempt.id} cannot be claimed: {error}")
                except sqlite3.Error:
                    raise
                except Exception as error:  # noqa: BLE001  # a fault of the caller's goes to the caller, queued rows stay
                    fault = error
            self._written()
            return hold, fault

        try:
            return self._guarded(work)
        except StoreError:
            if self._database is not None:
                self._doubtful.append(attempt.id)
            raise

    def append_history(self, rows: Sequence[HistoryRow], is_wanted: Callable[[], bool]) -> int:
        """Write a batch of history, or its beginning (`History.append`). Raises StoreError: none of it was written."""
        if self.why is not None:
            raise StoreError(self.why)

        def work() -> int:
            seconds, size = self.keep_history
            history, now = History(self._reachable()), self._clock.stamp()
            return history.append(rows, now, keep_for=seconds, keep_bytes=size, is_wanted=is_wanted)

        return self._guarded(work)

    def trim(self, *, record_for: float, attempts_for: float) -> int:
        """One step of dropping what is old (`trimming.trim`). Raises StoreError."""

        def work() -> int:
            database, now = self._reachable(), self._clock.stamp()
            seconds, size = self.keep_history
            gone = trimming.trim(database, now, record_for=record_for, attempts_for=attempts_for)
            History(database).trim(now, keep_for=seconds, keep_bytes=size)
            database.shrink()
            return gone

        return self._guarded(work)

    def _guarded(self, work: Callable[[], T]) -> T:
        """Write something, count it, and note how it went. Raises StoreError."""
        result = self._translated(work)
        self.transactions["ok"] += 1
        if not len(self.backlog):
            self.why = None
        return result

    def _translated(self, work: Callable[[], T]) -> T:
        """Do something with the file; a failure is noted. Raises StoreError, StoreRefusedError."""
        try:
            return work()
        except sqlite3.Error as error:
            self._must_reopen = not is_passing(error)
            if is_damage(error) and self._database is not None:
                self._damaged = of_sqlite(error, self._path)
            raise self._failed(of_sqlite(error, self._path)) from error
        except OSError as error:
            raise self._failed(of_system(error, self._path)) from error
        except StoreError as error:
            raise self._failed(str(error)) from error
        except StoreRefusedError as error:
            self.why = str(error)
            raise

    def _failed(self, why: str) -> StoreError:
        self.transactions["error"] += 1
        self.why = why
        return StoreError(why)

    # ---- reading ------------------------------------------------------------------------------------------------

    def read(self, query: Callable[[Database], T], *, is_vital: bool = False) -> T:
        """Ask the file, writable or not; a damaged row of what `is_vital` is damage to the file. Raises StoreError."""
        database = self._database
        if database is None:
            raise StoreError(self.why or "the store is closed")
        found, fault = self._translated(lambda: self._asked(query, database))
        if is_vital and is_damaged_row(fault):
            self._damaged, self._must_reopen = f"{self._path} is damaged ({str(fault)[:200]})", True
            raise self._failed(self._damaged)
        if fault is not None:
            said = f"{self._path}: {str(fault)[:300]}"
            raise StoreError(f"{said}; to begin anew, stop heald and move the file aside") from fault
        return cast("T", found)

    def _asked(self, query: Callable[[Database], T], database: Database) -> tuple[T | None, Exception | None]:
        """The answer, or what is wrong with one of its rows: no reason to write none any more."""
        try:
            return query(database), None
        except (StoreError, sqlite3.OperationalError) as error:
            if hasattr(error, "sqlite_errorname"):
                raise  # without it, it is the module's own complaint: a text is no UTF-8
            return None, error

    # ---- closing ------------------------------------------------------------------------------------------------

    def close(self) -> int:
        """Write what can be written and let go of everything; returns how many rows could not be."""
        left = 0
        if len(self.backlog):
            try:
                self.recover()
            except (StoreError, StoreRefusedError):
                left = len(self.backlog)
        self.abandon()
        return left

    def abandon(self) -> None:
        """Let go of the file and the lock, writing nothing more: what a crash would leave, in an orderly way."""
        self._close_database()
        self.why = "the store is closed"
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _close_database(self) -> None:
        if self._database is not None:
            self._unfit += self._database.unfit
            self._database.close()
            self._database = None
