"""The open state file: rows in, rows out. Synchronous; only the store's thread is in here. Raises sqlite3.Error."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from daemon.model.approval import Approval
from daemon.model.incident import Incident, Transition
from daemon.model.moment import Stamp, age
from daemon.model.order import Order
from daemon.model.remediation import Attempt
from daemon.model.track import HoldRecord, Remembered, Track
from daemon.store.counting import Counting
from daemon.store.opening import LOG_LATEST, LOG_SOON
from daemon.store.rows import (
    APPROVALS,
    ATTEMPTS,
    HOLDS,
    INCIDENTS,
    LADDERS,
    ORDERS,
    TABLES,
    TRACKS,
    TRANSITIONS,
    R,
    Row,
    Table,
    Value,
    is_forgotten,
    text,
    to_json,
)

T = TypeVar("T")
_UNFIT = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
)
"""What a row raises that is not what its type says."""
_FORGIVING = "PRAGMA synchronous = NORMAL", f"PRAGMA wal_autocheckpoint = {LOG_SOON}"
_STRICT = "PRAGMA synchronous = FULL", f"PRAGMA wal_autocheckpoint = {LOG_LATEST}"
_SPARE_PAGES = 1000  # free pages (4 KiB each) worth keeping: history comes and goes
_NEVER = Stamp(wall=0.0, boot="", boottime=0.0, host="", synchronised=False)


class Origins:
    """The numbers of boots, hosts and clocks, as the table `origins` has them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[tuple[str, str, bool], int] = {}
        self._sources: dict[int, tuple[str, str, bool]] = {}

    def number(self, stamp: Stamp) -> int:
        """The number of a stamp's origin; a new one is inserted."""
        source = (stamp.boot, stamp.host, stamp.synchronised)
        number = self._numbers.get(source)
        if number is None:
            values = (text(stamp.boot), text(stamp.host), stamp.synchronised)
            self._connection.execute(
                "INSERT INTO origins (boot, host, synchronised) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values
            )
            query = "SELECT id FROM origins WHERE boot = ? AND host = ? AND synchronised = ?"
            number = int(self._connection.execute(query, values).fetchone()[0])
            self._numbers[source] = number
        return number

    def stamp(self, wall: float, boottime: float, number: int) -> Stamp:
        """The stamp back."""
        if number not in self._sources:
            for found, boot, host, synchronised in self._connection.execute(
                "SELECT id, boot, host, synchronised FROM origins"
            ):
                self._sources[found] = (_plain(boot), _plain(host), bool(synchronised))
        boot, host, synchronised = self._sources[number]
        return Stamp(wall=wall, boot=boot, boottime=boottime, host=host, synchronised=synchronised)

    def forget(self) -> None:
        """After a rollback some numbers may not be there."""
        self._numbers.clear()
        self._sources.clear()


def _plain(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


class Database:
    """One connection, opened by `daemon.store.opening.connect`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.origins = Origins(connection)
        self.unfit = 0  # rows that could not be written as they were
        self._now = _NEVER
        self._counting = Counting(connection, lambda values: ATTEMPTS.decode(values, self.origins))
        connection.create_function("age", 3, self._age)

    def _age(self, wall: float, boottime: float, number: int) -> float:
        """SQL's age(NAME_wall, NAME_boottime, NAME_origin): seconds, as of the `now` of the statement."""
        return age(self.origins.stamp(wall, boottime, number), self._now)

    def execute(
        self, query: str, values: Sequence[Any] | Mapping[str, Any] = (), *, now: Stamp | None = None
    ) -> sqlite3.Cursor:
        """Run one statement; `now` is what its age() measures from."""
        self._now = now or self._now
        return self._connection.execute(query, values)

    def shrink(self) -> None:
        """Give pages back to the file system where many are free; a step at a time, some 10 ms of the thread."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > _SPARE_PAGES:
            # As a script: a single statement is left after its first step, which frees one page.
            self._connection.executescript(f"PRAGMA incremental_vacuum({min(free - _SPARE_PAGES, 2000)})")

    def forget(self) -> None:
        """Have nothing in mind of what was read and written so far: another daemon goes on with the file."""
        self.origins.forget()
        self._counting.forget()
        self.unfit = 0

    def close(self) -> None:
        """Put the log into the file and close it; an open transaction is rolled back."""
        with contextlib.suppress(sqlite3.Error):  # what is committed is safe in the log as well
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """All of it or nothing; on the disk when it is left, unless that is said not to matter.

        What does not matter so also puts a long log into the file: that waits for the disk, as no claim should.
        """
        if not durable:
            self._set(_FORGIVING)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self.origins.forget()
            self._counting.forget()
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            if not durable:
                self._set(_STRICT)

    def _set(self, settings: Iterable[str]) -> None:
        for setting in settings:
            self._connection.execute(setting)

    # ---- writing ------------------------------------------------------------------------------------------------

    def try_write(self, now: Stamp) -> None:
        """Write something, to know whether it can be done."""
        with self.transaction():
            self.set_fact("tried_at", now.wall)

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows within a transaction; a row that is not what its type says is left out and counted."""
        groups: dict[type, list[Any]] = {}
        for row in rows:
            groups.setdefault(type(row), []).append(row)
        gone = [row for row in groups.get(Track, ()) if is_forgotten(row)]
        if gone:
            groups[Track] = [row for row in groups[Track] if not is_forgotten(row)]
            self.put_all(TRACKS.delete, gone, lambda it: (text(it.rule), text(it.check), text(it.subject)))
        self._counting.changed(row.id for row in groups.get(Attempt, ()))
        for kind, group in groups.items():
            self.put_all(TABLES[kind].put, group, partial(TABLES[kind].encode, origins=self.origins))

    def put_all(self, query: str, rows: Sequence[T], encode: Callable[[T], Sequence[Value]]) -> None:
        """Run a statement for each row, within a transaction; rows that cannot be written are left out and counted."""
        if len(rows) == 1:  # a statement that fails leaves nothing; a savepoint is two more that wait for the loop
            self._put_one(query, rows[0], encode)
            return
        self._connection.execute("SAVEPOINT rows")
        try:
            self._connection.executemany(query, [encode(row) for row in rows])
        except _UNFIT:
            self._connection.execute("ROLLBACK TO rows")
            self.origins.forget()
            for row in rows:
                self._put_one(query, row, encode)
        self._connection.execute("RELEASE rows")

    def _put_one(self, query: str, row: T, encode: Callable[[T], Sequence[Value]]) -> None:
        try:
            self._connection.execute(query, encode(row))
        except _UNFIT:
            self.unfit += 1

    def insert_attempt(self, attempt: Attempt) -> None:
        """Write a new attempt within a transaction; one that cannot be written whole raises."""
        self._connection.execute(ATTEMPTS.insert, ATTEMPTS.encode(attempt, self.origins))

    def delete_attempts(self, ids: Iterable[str]) -> None:
        """Take attempts out, within a transaction."""
        self._counting.changed(ids := list(ids))
        self._connection.executemany("DELETE FROM attempts WHERE id = ?", [(text(it),) for it in ids])

    def forget_attempts(self) -> None:
        """Rows were deleted: another may get the place of one."""
        self._counting.forget()

    def fact(self, name: str, default: float) -> float:
        """A number kept by name."""
        found = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return float(found[0]) if found else default

    def set_fact(self, name: str, value: float) -> None:
        """Keep a number by name, within a transaction."""
        self._connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    # ---- reading ------------------------------------------------------------------------------------------------

    def _rows(self, table: Table[R], rest: str, values: Sequence[Any] = (), *, now: Stamp | None = None) -> list[R]:
        found = self.execute(table.select(rest), values, now=now)
        return [table.decode(row, self.origins) for row in found]

    def attempts_counting(self, now: Stamp, longest: float) -> list[Attempt]:
        """Attempts under way, and those that a window of at most `longest` seconds or a cooldown could still count."""
        return self._counting.attempts(now, longest)

    def remembered(self, now: Stamp, longest: float, closed_within: float) -> Remembered:
        """All that a daemon needs at start."""
        recent = "WHERE closed_origin IS NULL OR age(closed_wall, closed_boottime, closed_origin) < ? ORDER BY place"
        return Remembered(
            incidents=tuple(self._rows(INCIDENTS, recent, (closed_within,), now=now)),
            tracks=tuple(self._rows(TRACKS, "")),
            ladders=tuple(self._rows(LADDERS, "")),
            attempts=tuple(self.attempts_counting(now, longest)),
            orders=tuple(self._rows(ORDERS, "WHERE ended_origin IS NULL ORDER BY place")),
            approvals=tuple(self._rows(APPROVALS, "WHERE state IN ('asked', 'approved') ORDER BY place")),
        )

    def approvals(self, *, limit: int) -> list[Approval]:
        """The newest approvals first, decided ones among them."""
        return self._rows(APPROVALS, "ORDER BY place DESC LIMIT ?", (limit,))

    def orders(self, *, limit: int) -> list[Order]:
        """The newest orders first, ended ones among them."""
        return self._rows(ORDERS, "ORDER BY place DESC LIMIT ?", (limit,))

    def incidents(self, *, limit: int, closed: bool) -> list[Incident]:
        """The newest incidents first, the closed ones among them if asked."""
        where = "" if closed else "WHERE closed_origin IS NULL "
        return self._rows(INCIDENTS, f"{where}ORDER BY place DESC LIMIT ?", (limit,))

    def incident(self, name: str) -> Incident | None:
        """One incident by its id."""
        return next(iter(self._rows(INCIDENTS, "WHERE id = ?", (text(name),))), None)

    def attempts_of(self, incidents: Iterable[str]) -> dict[str, list[Attempt]]:
        """The attempts made for each incident, oldest first."""
        found: dict[str, list[Attempt]] = {name: [] for name in incidents}
        made_for = "WHERE id IN (SELECT attempt FROM attempts_for WHERE incident IN (SELECT value FROM json_each(?)))"
        for attempt in self._rows(ATTEMPTS, f"{made_for} ORDER BY place", (to_json(list(found)),)):
            for name in found.keys() & set(attempt.incidents):
                found[name].append(attempt)
        return found

    def holds_of(self, incident: str) -> list[HoldRecord]:
        """What held an incident, oldest first."""
        return self._rows(HOLDS, "WHERE incident = ? ORDER BY place", (text(incident),))

    def transitions_of(self, incident: str) -> list[Transition]:
        """How an incident went, oldest first."""
        return self._rows(TRANSITIONS, "WHERE incident = ? ORDER BY place", (text(incident),))

    def last_transition(self, rule: str, check: str, subject: str) -> Transition | None:
        """The newest change of state of a rule, a check and a subject, whether an incident was open or not."""
        where = 'WHERE rule = ? AND "check" = ? AND subject = ? ORDER BY place DESC LIMIT 1'
        return next(iter(self._rows(TRANSITIONS, where, (text(rule), text(check), text(subject)))), None)

    def since(self, table: Table[R], moment: str, seconds: float, now: Stamp, most: int) -> list[R]:
        """The rows of a table of which a moment lies in the last so many seconds: the newest `most`, oldest first."""
        where = f"WHERE {moment}_origin IS NOT NULL AND age({moment}_wall, {moment}_boottime, {moment}_origin) < ?"
        return self._rows(table, f"{where} ORDER BY place DESC LIMIT ?", (seconds, most), now=now)[::-1]
