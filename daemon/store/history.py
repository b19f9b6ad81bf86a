"""Run history in the state file: batches in, the newest rows out, old rows away. Synchronous, as `sqlite.py`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from math import isfinite

from daemon.model.check import Sample
from daemon.model.moment import Stamp, age
from daemon.model.track import HistoryRow
from daemon.store.rows import HISTORY, Value, text, to_json
from daemon.store.sqlite import Database

AT_ONCE = 50  # rows between two looks whether somebody waits for the store: a millisecond
_ROW_OVERHEAD = 96  # bytes of a row beside its texts: stamp, header, its place in the index
_DROP_MOST = 20_000  # rows dropped in one go: some 50 ms of the store's thread
_FACT = "history_bytes"
_SIZE_AFTER = "SELECT sum(size) FROM history WHERE place > ?"
_NEWEST = HISTORY.select("ORDER BY place DESC")  # one pass for all checks: an index by check would cost every run
_SIZED = "SELECT place, size, age(at_wall, at_boottime, at_origin) FROM history ORDER BY place LIMIT ?"


_GLANCE = 500  # rows of other checks between two looks at how far back the pass has come


class History:
    """The table `history`, bounded by age and size."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        """Bytes that the history takes."""
        return int(self._database.fact(_FACT, 0))

    def append(
        self, rows: Sequence[HistoryRow], now: Stamp, *, keep_for: float, keep_bytes: int, is_wanted: Callable[[], bool]
    ) -> int:
        """Write a batch, or the beginning of it while `is_wanted` says that others wait, and drop what is too old or
        too much; returns how many of the rows are written. Not on the disk when it returns: a crash may lose it.

        `keep_for` is in seconds, `keep_bytes` in bytes.
        """
        written = 0
        with self._database.transaction(durable=False):
            last = self._database.execute("SELECT max(place) FROM history").fetchone()[0] or 0
            while written < len(rows):
                some = rows[written : written + AT_ONCE]
                self._database.put_all(HISTORY.insert, some, self._encode)
                written += len(some)
                if is_wanted():
                    break
            added = self._database.execute(_SIZE_AFTER, (last,)).fetchone()[0] or 0
            size = self.size() + added
            self._database.set_fact(_FACT, size - self._drop(now, size, keep_for, keep_bytes))
        return written

    def _encode(self, row: HistoryRow) -> tuple[Value, ...]:
        """As `HISTORY.encode`, and the size; written out, because there are many of these."""
        at, samples = row.at, _as_json(row.samples)
        check, subject, error = text(row.check), text(row.subject), text(row.error)
        size = _ROW_OVERHEAD + len(check) + len(subject) + len(samples) + len(error)
        number = self._database.origins.number(at)
        ok = 1 if row.ok else 0  # for a bool sqlite3 looks for an adapter
        return check, subject, at.wall, at.boottime, number, ok, samples, error, size

    def trim(self, now: Stamp, *, keep_for: float, keep_bytes: int) -> None:
        """Drop what is too old or too much; as many rows as do not keep the store long."""
        with self._database.transaction(durable=False):
            size = self.size()
            dropped = self._drop(now, size, keep_for, keep_bytes)
            if dropped:
                self._database.set_fact(_FACT, size - dropped)

    def _drop(self, now: Stamp, size: int, keep_for: float, keep_bytes: int) -> int:
        """Delete the oldest rows that are out of bounds; returns their bytes."""
        place = dropped = 0
        with closing(self._database.execute(_SIZED, (_DROP_MOST,), now=now)) as oldest:
            for row, row_size, row_age in oldest:
                if size - dropped <= keep_bytes and row_age <= keep_for:
                    break
                place, dropped = row, dropped + row_size
        if dropped:
            self._database.execute("DELETE FROM history WHERE place <= ?", (place,))
        return dropped

    def newest(self, now: Stamp, seconds: Mapping[str, float], most: int) -> dict[str, list[HistoryRow]]:
        """By check the rows of the last so many seconds, oldest first, at most `most` each.

        Only rows whose place in time is known: of this boot, or of another one if the wall clock was right then and is
        now. What is not known to be recent is left out, so that a window has less rather than something wrong.
        """
        names = {text(check): check for check in seconds}
        left = dict.fromkeys(seconds, most)  # of each check, until a row is too old or there are enough
        found: dict[str, list[HistoryRow]] = {check: [] for check in seconds}
        with closing(self._database.execute(_NEWEST, now=now)) as rows:
            for count, values in enumerate(rows):
                check = names.get(values[0])
                if not left:
                    break
                if check not in left and count % _GLANCE:
                    continue
                row = HISTORY.decode(values, self._database.origins)
                if check not in left:
                    if age(row.at, now) >= max(seconds[it] for it in left):
                        break  # whatever is missing is not this young
                    continue
                left[check] -= 1
                if age(row.at, now) >= seconds[check]:
                    del left[check]
                    continue
                if _is_placed(row.at, now):
                    found[check].append(row)
                if left[check] <= 0:
                    del left[check]
        return {check: rows[::-1] for check, rows in found.items()}


def _as_json(samples: Mapping[str, Sample]) -> str:
    """As `to_json`, which makes an encoder for each text: most samples are finite numbers, words, true or false."""
    heads = _heads(tuple(samples))
    if heads is None:
        return to_json(samples)
    parts = []
    for head, value in zip(heads, samples.values(), strict=True):
        kind = value.__class__
        if kind is float and isfinite(value):  # type: ignore[arg-type]  # a float it is, though not for the type checker
            parts.append(f"{head}{value!r}")
        elif kind is str:
            parts.append(f"{head}{to_json(value)}" if value else f'{head}""')
        elif kind is bool:
            parts.append(f"{head}true" if value else f"{head}false")
        else:
            return to_json(samples)
    return f"{{{','.join(parts)}}}"


@lru_cache(maxsize=1024)
def _heads(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """What stands before each value, which is the same for every run of a check; None where a name is no string."""
    return tuple([f"{to_json(name)}:" for name in names]) if all(isinstance(name, str) for name in names) else None


def _is_placed(at: Stamp, now: Stamp) -> bool:
    return (at.boot == now.boot and at.host == now.host) or (at.synchronised and now.synchronised)
