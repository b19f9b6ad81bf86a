"""Rows of the store: the model's dataclasses to columns and back, field by field, derived from their type hints.

A column has its field's name; a stamp has three (`NAME_wall`, `NAME_boottime`, `NAME_origin`); mappings and tuples are
JSON. A field that a migration forgot is an error of the first statement, and of a test before that.
"""

import json
import reprlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from daemon.errors import StoreError
from daemon.model.approval import Approval
from daemon.model.incident import Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.order import Order
from daemon.model.remediation import Attempt
from daemon.model.track import HistoryRow, HoldRecord, Ladder, Track

Row = Incident | Transition | HoldRecord | Attempt | Ladder | Track | Order | Approval
"""What `submit` and `claim` take."""
Key = tuple[object, ...]
"""What makes two versions of a keyed row the same row."""
R = TypeVar("R")  # the dataclass of a table's rows
Value = str | bytes | float | int | None
"""What SQLite keeps."""

_to_json = json.JSONEncoder(separators=(",", ":"), default=repr).encode


class Origins(Protocol):
    """Numbers for what a stamp says of its clock: boot, host, whether it was right."""

    def number(self, stamp: Stamp) -> int:
        """The number of a stamp's origin; a new one is recorded."""
        ...

    def stamp(self, wall: float, boottime: float, number: int) -> Stamp:
        """The stamp back."""
        ...


def key_of(row: Row) -> Key | None:
    """The key of a row of which only the newest version counts; None for one that only happens."""
    match row:
        case Incident() | Attempt() | Order() | Approval():
            return type(row), row.id
        case Track():
            return Track, row.rule, row.check, row.subject
        case Ladder():
            return Ladder, row.rule, row.resource
        case _:
            return None


def is_over(row: Row) -> bool:
    """Whether nothing can follow on a row: the first to go where there is no room for all."""
    match row:
        case Incident():
            return row.closed is not None
        case Track():
            return is_forgotten(row)
        case _:
            return False


def is_forgotten(track: Track) -> bool:
    """Whether nothing of a track is worth a row."""
    return track.state is IncidentState.INACTIVE and not track.is_remembered


def text(value: str) -> str | bytes:
    """A string as SQLite takes it: one with lone surrogates (file names) goes as bytes, and comes back by `plain`."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def plain(value: Any) -> Any:
    """A value of a text column back."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def to_json(value: object) -> str:
    """JSON of whatever a plug-in made, in ASCII. What is no JSON at all is kept as its description: the row counts."""
    try:
        return _to_json(value)
    except (TypeError, ValueError, RecursionError):
        return _to_json({"unreadable": reprlib.repr(value)})


Write = Callable[[list[Value], Any, Origins], None]
Read = Callable[[Iterator[Any], Origins], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    """How one field goes to its columns and back."""

    name: str
    columns: tuple[str, ...]
    write: Write
    read: Read


class Table(Generic[R]):
    """One table and the dataclass of its rows."""

    def __init__(
        self, name: str, row: type[R], *, key: tuple[str, ...] = (), leave_out: tuple[str, ...] = (), more: str = ""
    ) -> None:
        dataclass: Any = row
        hints = get_type_hints(row)
        self.name = name
        self.row = row
        self._fields = [_field(it.name, hints[it.name]) for it in fields(dataclass) if it.name not in leave_out]
        self._writes = [it.write for it in self._fields]
        self._read = attrgetter(*(it.name for it in self._fields))
        self.names = [column for it in self._fields for column in it.columns]
        self.columns = ", ".join(f'"{column}"' for column in self.names)
        names = [*self.names, more] if more else self.names
        into = ", ".join(f'"{it}"' for it in names)
        self.insert = f"INSERT INTO {name} ({into}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608  # our own names
        changes = ", ".join(f'"{column}" = excluded."{column}"' for column in self.names if column not in key)
        quoted = ", ".join(f'"{column}"' for column in key)
        self.put = f"{self.insert} ON CONFLICT ({quoted}) DO UPDATE SET {changes}" if key else self.insert
        same = " AND ".join(f'"{column}" = ?' for column in key)
        self.delete = f"DELETE FROM {name} WHERE {same}"  # noqa: S608  # our own names

    def select(self, rest: str) -> str:
        """A query for whole rows; `rest` is everything after the table's name, written in this package."""
        return f"SELECT {self.columns} FROM {self.name} {rest}"  # noqa: S608  # our own names

    def encode(self, row: R, origins: Origins) -> list[Value]:
        """The columns of a row."""
        values: list[Value] = []
        for write, value in zip(self._writes, self._read(row), strict=True):
            write(values, value, origins)
        return values

    def decode(self, values: Sequence[Any], origins: Origins) -> R:
        """A row of its columns; fields that are not kept have their defaults. Raises StoreError."""
        left = iter(values)
        found: Any = self.row  # its keywords are the fields above
        try:
            row: R = found(**{it.name: it.read(left, origins) for it in self._fields})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"a row of {self.name} is damaged, or of a later heald: {error}") from error
        return row


def _field(name: str, hint: Any) -> _Field:
    """How a field of this type is kept. Raises TypeError for a type that the store does not know."""
    choices = [it for it in get_args(hint) if it is not types.NoneType] if _is_union(hint) else [hint]
    kind = choices[0]
    if len(choices) == 1 and kind is Stamp:
        columns = (f"{name}_wall", f"{name}_boottime", f"{name}_origin")
        return _Field(name=name, columns=columns, write=_write_stamp, read=_read_stamp)
    write, read = _simple(name, kind) if len(choices) == 1 else (None, None)
    if write is None or read is None:
        raise TypeError(f"the store does not know how to keep {name}: {hint}")
    return _Field(name=name, columns=(name,), write=write, read=read)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _simple(name: str, kind: Any) -> tuple[Write | None, Read | None]:
    """The two ways of a field that is one column."""
    base = get_origin(kind) or kind
    if base is Mapping:
        return _write_json, _read_mapping
    if base is tuple:
        is_nested = get_origin(get_args(kind)[0]) is tuple
        return _write_json, _read_nested if is_nested else _read_tuple
    if base is bool:
        return _write_number, _read_bool
    if base in (int, float):
        return _write_number, _read_number
    if isinstance(base, type) and issubclass(base, StrEnum):
        return _write_text, _reader_of(base)
    return (_write_text, _read_text) if base is str else (None, None)


def _write_stamp(values: list[Value], stamp: Stamp | None, origins: Origins) -> None:
    if stamp is None:
        values += (None, None, None)
    else:
        values += (stamp.wall, stamp.boottime, origins.number(stamp))


def _read_stamp(values: Iterator[Any], origins: Origins) -> Stamp | None:
    wall, boottime, number = next(values), next(values), next(values)
    return None if number is None else origins.stamp(wall, boottime, number)


def _write_text(values: list[Value], value: str | None, _: Origins) -> None:
    values.append(None if value is None else text(str(value)))


def _read_text(values: Iterator[Any], _: Origins) -> Any:
    return plain(next(values))


def _reader_of(kind: type[StrEnum]) -> Read:
    def read(values: Iterator[Any], _: Origins) -> StrEnum | None:
        value = next(values)
        return None if value is None else kind(value)

    return read


def _write_number(values: list[Value], value: float | None, _: Origins) -> None:
    values.append(value)


def _read_number(values: Iterator[Any], _: Origins) -> Any:
    return next(values)


def _read_bool(values: Iterator[Any], _: Origins) -> bool:
    return bool(next(values))


def _write_json(values: list[Value], value: object, _: Origins) -> None:
    values.append(to_json(value))


def _read_mapping(values: Iterator[Any], _: Origins) -> dict[str, Any]:
    found = json.loads(next(values))
    return found if isinstance(found, dict) else {}


def _read_tuple(values: Iterator[Any], _: Origins) -> tuple[Any, ...]:
    return tuple(json.loads(next(values)))


def _read_nested(values: Iterator[Any], _: Origins) -> tuple[Any, ...]:
    return tuple(tuple(inner) for inner in json.loads(next(values)))


INCIDENTS = Table("incidents", Incident, key=("id",))
TRANSITIONS = Table("transitions", Transition)
HOLDS = Table("holds", HoldRecord)
ATTEMPTS = Table("attempts", Attempt, key=("id",))
TRACKS = Table("tracks", Track, key=("rule", "check", "subject"), leave_out=("last", "last_at", "missing_since"))
LADDERS = Table("ladders", Ladder, key=("rule", "resource"))
ORDERS = Table("orders", Order, key=("id",))
APPROVALS = Table("approvals", Approval, key=("id",))
HISTORY = Table("history", HistoryRow, more="size")
TABLES: Mapping[type, Table[Any]] = {
    it.row: it for it in (INCIDENTS, TRANSITIONS, HOLDS, ATTEMPTS, TRACKS, LADDERS, ORDERS, APPROVALS, HISTORY)
}
