"""The attempts that limits may count, found within a claim: while the loop works on, each step of SQL costs a wait.

SQLite's steps are taken without the interpreter, and a thread that wants it back waits for its turn (0.5 ms). So ages
are measured in SQL, what counts comes in one row, and attempts that did not change are not read again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.store.rows import ATTEMPTS, text


def _age(name: str) -> str:
    """`daemon.model.moment.age` of a stamp's three columns, from `now` as in `_moment`.

    What names no host and boot that is known, in a file that is damaged, is of no age: it counts.
    """
    return f"""ifnull((SELECT CASE
        WHEN host <> :host THEN iif(synchronised AND :synchronised, max(0.0, :wall - {name}_wall), 0.0)
        WHEN boot = :boot THEN :boottime - {name}_boottime
        ELSE iif(synchronised AND :synchronised, max(:boottime, :wall - {name}_wall), :boottime)
        END FROM origins WHERE id = {name}_origin), -1e999)"""  # noqa: S608  # our own names


# What is lost counts as if it ended at claim + timeout, whenever it was let go of.
_COUNTING = f"""SELECT json_group_array(place) FROM attempts
    WHERE released_origin IS NULL OR {_age("released")} < max(:longest, cooldown)
    OR (state IN ('running', 'lost') AND {_age("claimed")} - timeout < :longest)"""  # noqa: S608  # our own names
_AT_PLACES = f"SELECT place, {ATTEMPTS.columns} FROM attempts WHERE place IN (SELECT value FROM json_each(?))"  # noqa: S608  # our own names


class Counting:
    """Attempts by their place in the file, as they were read last. Who changes one says so."""

    def __init__(self, connection: sqlite3.Connection, decode: Callable[[Sequence[Any]], Attempt]) -> None:
        self._connection = connection
        self._decode = decode
        self._known: dict[int, Attempt] = {}
        self._places: dict[str, int] = {}  # by id

    def attempts(self, now: Stamp, longest: float) -> list[Attempt]:
        """Those under way, and those that a window of at most `longest` seconds or a cooldown could still count."""
        bounds = {"longest": longest, **_moment(now)}
        places: list[int] = sorted(json.loads(self._connection.execute(_COUNTING, bounds).fetchone()[0]))
        known = {place: self._known[place] for place in places if place in self._known}
        if missing := [place for place in places if place not in known]:
            for place, *values in self._connection.execute(_AT_PLACES, (json.dumps(missing),)):
                known[place] = self._decode(values)
        self._known = known
        self._places = {attempt.id: place for place, attempt in known.items()}
        return [known[place] for place in places]

    def changed(self, ids: Iterable[str]) -> None:
        """These were written, or will be within this transaction."""
        for name in ids:
            self._known.pop(self._places.pop(name, -1), None)

    def forget(self) -> None:
        """After a rollback nothing that was read is certain."""
        self._known.clear()
        self._places.clear()


def _moment(now: Stamp) -> dict[str, Any]:
    return {
        "wall": now.wall,
        "boot": text(now.boot),
        "boottime": now.boottime,
        "host": text(now.host),
        "synchronised": now.synchronised,
    }
