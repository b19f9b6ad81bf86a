"""A damaged state file: moved aside with its name kept, and all acting paused until a person says so."""

import sqlite3
from pathlib import Path

import pytest
from store_samples import HandClock, attempt, incident, ladder

from daemon.errors import StoreError
from daemon.model.pause import Pause, parse_pause
from daemon.store import opening
from daemon.store.aside import move_aside
from daemon.store.store import Store

RUBBISH = [b"this is no database, but long enough to look at" * 50, b"SQLite format 3\0" * 99]


def aside(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if ".damaged-" in path.name)


def pause(directory: Path) -> Pause:
    return parse_pause((directory / "pause").read_text())


async def written(directory: Path) -> None:
    store = await Store.open(directory, HandClock())
    await store.submit(incident(), attempt(), *(incident(number, because="x" * 2000) for number in range(2, 60)))
    await store.close()


def change(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / "heald.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


def spoil(file: Path) -> None:
    """Overwrite what is in the tables; the first page, and with it the schema, stays."""
    size = file.stat().st_size
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(b"\xa5" * (size - 4096))


@pytest.mark.parametrize("content", RUBBISH)
async def test_a_file_that_is_no_database_is_moved_aside_whole_and_acting_paused(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "heald.db").write_bytes(content)
    store = await Store.open(tmp_path, HandClock())
    assert aside(tmp_path) == ["heald.db.damaged-20270115T080000Z"]
    assert (tmp_path / aside(tmp_path)[0]).read_bytes() == content
    assert store.is_writable
    assert store.damage is not None
    assert f"{tmp_path}/heald.db is damaged or not a database of heald" in store.damage
    assert f"moved aside to {tmp_path}/{aside(tmp_path)[0]}" in store.damage
    assert pause(tmp_path) == Pause(why=store.damage, who="heald itself", at="2027-01-15T08:00:00+00:00")
    await store.submit(incident())
    assert await store.incidents(limit=1, closed=True) == [incident()]
    await store.close()


async def test_damage_inside_is_found_when_the_file_is_opened(tmp_path: Path) -> None:
    await written(tmp_path)
    spoil(tmp_path / "heald.db")
    store = await Store.open(tmp_path, HandClock())
    assert store.damage is not None
    assert await store.incidents(limit=10, closed=True) == []
    assert len(aside(tmp_path)) == 1
    await store.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("details = '{'", "a row of attempts is damaged, or of a later heald: Expecting"),
        ("summary = CAST(x'ff41' AS TEXT)", "Could not decode to UTF-8 column 'summary'"),
        ("summary = x'ff41'", "'utf-8' codec can't decode byte 0xff"),
    ],
)
async def test_a_damaged_row_that_heald_cannot_go_on_without_is_a_damaged_file(
    tmp_path: Path, damage: str, said: str
) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.claim(attempt(1), [], lambda _: None)
    await store.close()
    change(tmp_path, f"UPDATE attempts SET {damage}")
    store = await Store.open(tmp_path, HandClock())
    with pytest.raises(StoreError, match="is damaged"):
        await store.remembered()
    assert not store.is_writable
    assert aside(tmp_path) == []
    await store._call(store._writer.recover)
    assert store.is_writable
    assert len(aside(tmp_path)) == 1
    assert said in pause(tmp_path).why
    assert (await store.remembered()).attempts == ()
    await store.close()


async def test_a_damaged_row_that_somebody_only_asks_for_is_told_and_the_file_kept(tmp_path: Path) -> None:
    await written(tmp_path)
    change(tmp_path, "UPDATE incidents SET because = CAST(x'ff41' AS TEXT)")
    store = await Store.open(tmp_path, HandClock())
    with pytest.raises(StoreError, match="Could not decode to UTF-8"):
        await store.incidents(limit=100, closed=True)
    assert store.is_writable
    await store._call(store._writer.recover)
    assert aside(tmp_path) == []
    await store.close()


@pytest.mark.parametrize("version", [0, -3])
async def test_a_file_with_tables_and_no_version_is_damaged_or_another_programs(tmp_path: Path, version: int) -> None:
    await written(tmp_path)
    change(tmp_path, f"PRAGMA user_version = {version}")
    store = await Store.open(tmp_path, HandClock())
    assert store.is_writable
    assert len(aside(tmp_path)) == 1
    assert f"it has tables, and schema {version}" in pause(tmp_path).why
    await store.close()


async def test_a_whole_file_is_left_where_it_is(tmp_path: Path) -> None:
    await written(tmp_path)
    store = await Store.open(tmp_path, HandClock())
    assert store.damage is None
    assert aside(tmp_path) == []
    assert not (tmp_path / "pause").exists()
    await store.close()


async def test_damage_under_a_running_daemon_is_said_and_the_file_begun_anew(tmp_path: Path) -> None:
    await written(tmp_path)
    store = await Store.open(tmp_path, HandClock())
    said: list[str] = []
    store.on_damage = said.append
    await store.submit(incident(100))
    database = store._writer._database
    assert database is not None
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(tmp_path / "heald.db")
    database.execute("PRAGMA shrink_memory")  # or the pages in memory would be believed
    with pytest.raises(Exception, match="damaged or not a database"):
        await store.incidents(limit=100, closed=True)
    assert not store.is_writable
    await store._call(store._writer.recover)
    assert store.is_writable
    assert said == [store.damage]
    assert len(aside(tmp_path)) == 1
    assert pause(tmp_path).why == store.damage
    await store.submit(ladder())
    await store.close()


def test_the_log_beside_the_file_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "heald.db").write_bytes(RUBBISH[0])
    (tmp_path / "heald.db-wal").write_bytes(b"the rest")
    move_aside(tmp_path / "heald.db", "it is damaged", HandClock())
    (file, log) = aside(tmp_path)
    assert log == f"{file}-wal"
    assert (tmp_path / log).read_bytes() == b"the rest"
    assert sorted(path.name for path in tmp_path.iterdir()) == [file, log, "pause"]


async def test_two_damages_within_a_second_keep_both_files(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "heald.db").write_bytes(RUBBISH[0])
        store = await Store.open(tmp_path, HandClock())
        await store.close()
    assert aside(tmp_path) == ["heald.db.damaged-20270115T080000Z", "heald.db.damaged-20270115T080000Z-2"]


async def test_what_an_operator_paused_for_is_kept_in_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pause").write_text(Pause(why="release 42", who="ann", at="2027-01-15T07:00:00+00:00").text())
    (tmp_path / "heald.db").write_bytes(RUBBISH[0])
    store = await Store.open(tmp_path, HandClock())
    assert pause(tmp_path).why == f"{store.damage} (paused before that by ann: release 42)"
    await store.close()


async def test_without_a_pause_the_file_is_not_touched_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "heald.db").write_bytes(RUBBISH[0])
    (tmp_path / "pause.unfinished").mkdir()  # the pause cannot be written
    store = await Store.open(tmp_path, HandClock())
    assert not store.is_writable
    assert aside(tmp_path) == []
    assert (tmp_path / "heald.db").read_bytes() == RUBBISH[0]
    (tmp_path / "pause.unfinished").rmdir()
    await store._call(store._writer.recover)
    assert store.is_writable
    assert len(aside(tmp_path)) == 1
    await store.close()


def test_the_history_is_not_looked_through_at_start(tmp_path: Path) -> None:
    connection = opening.connect(tmp_path / "heald.db", opening.MIGRATIONS)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    opening._check(connection)
    connection.close()
    assert any("pragma_quick_check" in query and "attempts" in query for query in asked)
    assert not any("quick_check" in query and "'history'" in query for query in asked)


def test_an_error_of_another_kind_is_no_damage() -> None:
    from daemon.store.sentences import is_damage

    assert not is_damage(sqlite3.OperationalError("disk I/O error"))
