"""Every row comes back as it went in."""

import math
import sqlite3
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import START, HandClock, attempt, history_row, incident, later, track, transition

from daemon.engine import counting
from daemon.model.incident import HoldReason, Incident, IncidentState, Transition
from daemon.model.moment import Stamp, age
from daemon.model.remediation import Attempt, AttemptState, Verification
from daemon.model.rule import Severity
from daemon.model.track import HistoryRow, HoldRecord, Ladder, Track
from daemon.store.history import History
from daemon.store.opening import MIGRATIONS, connect
from daemon.store.rows import ATTEMPTS, HISTORY, HOLDS, INCIDENTS, LADDERS, TABLES, TRACKS, TRANSITIONS, Table
from daemon.store.sqlite import Database
from daemon.store.store import Store

TEXT = st.text(st.characters(), max_size=20)  # every character, lone surrogates and NUL too: file names have them
SECONDS = st.floats(min_value=0, max_value=1e9)
NUMBER = st.integers(min_value=0, max_value=2**40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
STAMP = st.builds(Stamp, wall=SECONDS, boot=TEXT, boottime=SECONDS, host=TEXT, synchronised=st.booleans())
VERDICTS = st.lists(st.sampled_from(["BREACHED", "CLEAR", "UNKNOWN"]), max_size=4).map(tuple)
BY_TYPE = {
    str: TEXT,
    float: SECONDS,
    int: NUMBER,
    bool: st.booleans(),
    Stamp: STAMP,
    **{kind: st.sampled_from(kind) for kind in (Severity, IncidentState, HoldReason, AttemptState, Verification)},
}
SPECIAL = {
    "details": st.dictionaries(TEXT, JSON, max_size=3),
    "tries": st.dictionaries(TEXT, NUMBER, max_size=3),
    "samples": st.dictionaries(TEXT, st.floats(allow_nan=False) | TEXT | st.booleans(), max_size=4),
    "incidents": st.lists(TEXT, max_size=3, unique=True).map(tuple),
    "sick": st.lists(TEXT, max_size=3).map(tuple),
    "memory": st.lists(VERDICTS, max_size=3).map(tuple),
}
NOT_KEPT = {"last": None, "last_at": 0.0, "missing_since": None}


def anything(row: type) -> st.SearchStrategy:
    from typing import get_args, get_type_hints

    hints = get_type_hints(row)
    parts = {}
    for it in fields(row):
        if it.name in SPECIAL:
            parts[it.name] = SPECIAL[it.name]
        elif it.name in NOT_KEPT:
            parts[it.name] = st.just(NOT_KEPT[it.name])
        else:
            choices = [kind for kind in get_args(hints[it.name]) if kind is not type(None)] or [hints[it.name]]
            parts[it.name] = BY_TYPE[choices[0]] | (st.none() if len(get_args(hints[it.name])) > 1 else st.nothing())
    return st.builds(row, **parts)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    opened = Database(connect(tmp_path_factory.mktemp("store") / "heald.db", MIGRATIONS))
    yield opened
    opened.close()


def back(database: Database, table: Table, row: object) -> object:
    with database.transaction():
        database.execute(f"DELETE FROM {table.name}")
    if table is HISTORY:
        History(database).append([row], START, keep_for=math.inf, keep_bytes=2**40, is_wanted=lambda: False)
    else:
        with database.transaction():
            database.put([row])
    assert database.unfit == 0
    found = database.execute(table.select("")).fetchall()
    return [table.decode(values, database.origins) for values in found]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (INCIDENTS, Incident),
        (TRANSITIONS, Transition),
        (HOLDS, HoldRecord),
        (ATTEMPTS, Attempt),
        (LADDERS, Ladder),
        (HISTORY, HistoryRow),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_of_every_type_comes_back_with_all_its_fields(database: Database, table, row, data) -> None:
    whole = data.draw(anything(row))
    assert back(database, table, whole) == [whole]


@given(whole=anything(Track))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_track_comes_back_unless_it_is_inactive_without_a_memory(database: Database, whole: Track) -> None:
    is_worth_it = whole.state is not IncidentState.INACTIVE or whole.is_remembered
    assert back(database, TRACKS, whole) == ([whole] if is_worth_it else [])


def test_what_a_track_knows_of_its_last_run_is_not_kept(database: Database) -> None:
    whole = track(last_at=7.0, missing_since=9.0)
    assert back(database, TRACKS, whole) == [replace(whole, last_at=0.0, missing_since=None)]


def test_every_field_of_every_row_has_its_column_and_every_column_its_field(tmp_path: Path) -> None:
    connection = connect(tmp_path / "heald.db", MIGRATIONS)
    for table in TABLES.values():
        columns = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table.name})")}
        assert columns - {"place", "size"} == set(table.names), table.name
    connection.close()


def test_a_field_of_a_type_that_the_store_does_not_know_is_an_error_at_once() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True)
    class Odd:
        path: Path

    with pytest.raises(TypeError, match="does not know how to keep path"):
        Table("odd", Odd)


@given(row=STAMP, now=STAMP)
def test_the_store_and_the_engine_measure_age_alike(row: Stamp, now: Stamp) -> None:
    assert age(row, now) == counting.age(row, now)


@pytest.mark.parametrize("rubbish", [{"at": object()}, {("a", 1): 2}, {"x": {1, 2}}], ids=["object", "key", "set"])
async def test_details_that_are_no_json_are_kept_as_their_description(tmp_path: Path, rubbish: dict) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.submit(attempt(details=rubbish))
    (found,) = await store.counting()
    assert found.details
    assert store.dropped == 0
    await store.close()


async def test_details_in_a_circle_do_not_stop_the_store(tmp_path: Path) -> None:
    circle: dict[str, object] = {}
    circle["self"] = circle
    store = await Store.open(tmp_path, HandClock())
    await store.submit(attempt(details=circle), incident())
    (found,) = await store.counting()
    assert "unreadable" in found.details
    await store.close()


async def test_a_row_that_is_not_what_its_type_says_is_left_out_and_the_others_are_written(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.submit(incident(1), incident(2, because=None), transition(1), incident(3))
    assert [it.id[-1] for it in await store.incidents(limit=9, closed=True)] == ["3", "1"]
    assert len(await store.transitions_of(incident(1).id)) == 1
    assert store.dropped == 1
    assert store.is_writable
    await store.close()


async def test_a_row_of_history_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    clock = HandClock()
    store = await Store.open(tmp_path, clock)
    store.append_history([history_row(up=1.0), replace(history_row(), subject=None), history_row(up=0.0)])
    found = await store.history({"api_health": 60.0})
    assert [row.samples["up"] for row in found["api_health"]] == [1.0, 0.0]
    assert store.dropped == 1
    await store.close()


def test_a_number_of_an_origin_that_was_rolled_back_is_not_used_again(database: Database) -> None:
    strange = replace(START, boot="rolled back")

    def fail() -> None:
        with database.transaction():
            database.put([transition(at=strange)])
            database.execute("SELECT * FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        fail()
    with database.transaction():
        database.put([transition(incident="after", at=strange)])
    assert [it.at for it in database.transitions_of("after")] == [strange]


def test_every_kind_of_word_is_kept_as_its_value(tmp_path: Path) -> None:
    connection = connect(tmp_path / "heald.db", MIGRATIONS)
    database = Database(connection)
    with database.transaction():
        database.put([incident(severity=Severity.P0), attempt(ended=later(START, 3))])
    assert connection.execute("SELECT severity, state FROM incidents").fetchone() == ("P0", "firing")
    assert issubclass(Severity, StrEnum)
    database.close()
