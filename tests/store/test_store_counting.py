"""What limits may count, found by SQL: as old as the engine says, and as the file has it now."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import START, attempt, incident, later, over

from daemon.errors import StoreError
from daemon.model.moment import Stamp, age
from daemon.model.remediation import AttemptState
from daemon.store.opening import MIGRATIONS, connect
from daemon.store.sqlite import Database
from daemon.store.trimming import trim

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(connect(tmp_path_factory.mktemp("store") / "heald.db", MIGRATIONS))
    yield opened
    opened.close()


def put(database: Database, *rows: object) -> None:
    with database.transaction():
        database.put(rows)


stamps = st.builds(
    Stamp,
    wall=st.floats(0, 2e9),
    boot=st.sampled_from(["a", "b"]),
    boottime=st.floats(0, 1e7),
    host=st.sampled_from(["here", "there", "caf\u00e9", "odd \udcff"]),
    synchronised=st.booleans(),
)


@given(released=stamps, now=stamps, off=st.sampled_from([-1.0, 0.0, 1e-3, 1.0]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ages_are_those_of_the_engine(database: Database, released: Stamp, now: Stamp, off: float) -> None:
    made = attempt(state=AttemptState.SUCCEEDED, ended=released, released=released, cooldown=0.0)
    put(database, made)
    longest = age(released, now) + off
    assert database.attempts_counting(now, longest) == ([made] if age(released, now) < max(longest, 0.0) else [])


def test_what_was_changed_since_is_read_again(database: Database) -> None:
    put(database, attempt(1), attempt(2))
    assert database.attempts_counting(START, HOUR) == [attempt(1), attempt(2)]
    put(database, over(attempt(1)))
    with database.transaction():
        database.insert_attempt(attempt(3))
        database.delete_attempts([attempt(2).id])
    assert database.attempts_counting(START, HOUR) == [over(attempt(1)), attempt(3)]


def test_what_is_rolled_back_counts_as_before(database: Database) -> None:
    put(database, attempt(1))
    with contextlib.suppress(ZeroDivisionError), database.transaction():
        database.put([over(attempt(1))])
        database.insert_attempt(attempt(2))
        assert database.attempts_counting(START, HOUR) == [over(attempt(1)), attempt(2)]
        raise ZeroDivisionError
    assert database.attempts_counting(START, HOUR) == [attempt(1)]


def test_a_claim_that_is_there_already_leaves_what_is_known(database: Database) -> None:
    put(database, attempt(1))
    with database.transaction():
        with pytest.raises(sqlite3.IntegrityError):
            database.insert_attempt(replace(attempt(1), rule="other"))
        assert database.attempts_counting(START, HOUR) == [attempt(1)]


def test_an_attempt_in_the_place_of_one_that_was_dropped_is_itself(database: Database) -> None:
    put(database, over(attempt(1)))
    assert database.attempts_counting(START, HOUR) == [over(attempt(1))]
    at = later(START, 500 * DAY)
    assert trim(database, at, record_for=DAY, attempts_for=DAY) == 1
    put(database, over(attempt(2), at))
    assert database.attempts_counting(at, HOUR) == [over(attempt(2), at)]


def test_a_single_row_that_cannot_be_written_is_left_out_and_the_others_stay(database: Database) -> None:
    put(database, attempt(1), incident(rule=None))
    assert (database.unfit, database.attempts_counting(START, HOUR)) == (1, [attempt(1)])


def test_what_names_no_origin_that_is_known_counts(database: Database) -> None:
    put(database, over(attempt(), START))
    connection = database._connection
    connection.execute("PRAGMA foreign_keys = OFF")  # as only a damaged file, or somebody else's hand, has it
    connection.execute("UPDATE attempts SET claimed_origin = 99, ended_origin = 99, released_origin = 99")
    with pytest.raises(StoreError, match="a row of attempts is damaged"):
        database.attempts_counting(later(START, 10 * DAY), HOUR)
