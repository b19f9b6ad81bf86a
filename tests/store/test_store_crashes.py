"""kill -9 at bad moments: what was acknowledged is there, and the file can be used."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from store_children import child
from store_samples import HandClock, attempt, incident

from daemon.model.remediation import AttemptState
from daemon.store.opening import MIGRATIONS
from daemon.store.store import Store


async def test_a_claim_is_found_running_after_a_kill_before_its_effect(tmp_path: Path) -> None:
    with child("claim", tmp_path) as daemon:
        daemon.until("claimed")
        daemon.kill()
    store = await Store.open(tmp_path, HandClock())
    remembered = await store.remembered(longest=3600.0)
    assert [(it.id, it.state) for it in remembered.attempts] == [(attempt().id, AttemptState.RUNNING)]
    assert [it.attempt for it in remembered.ladders] == [attempt().id]
    assert len(await store.transitions_of(incident().id)) == 1
    await store.close()


async def test_after_kills_at_random_moments_every_acknowledged_claim_is_there_whole(tmp_path: Path) -> None:
    dice, first, acknowledged = random.Random(7), 1, []
    for _ in range(8):
        with child("claims", tmp_path, first) as daemon:
            for _ in range(dice.randrange(1, 120)):
                acknowledged.append(int(daemon.read()))
            acknowledged += [int(text) for text in daemon.kill()]
        store = await Store.open(tmp_path, HandClock())
        found = [int(it.id[:13]) for it in await store.counting()]
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) - len(acknowledged) <= 1, "one was under way when it was killed"
        (position,) = (it.nth for it in (await store.remembered()).ladders)
        assert position == found[-1]
        assert {incident(number).id for number in found} <= {
            it.id for it in await store.incidents(limit=10**6, closed=True)
        }
        assert await store._read(lambda database: database.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        await store.close()
        acknowledged, first = found, found[-1] + 1


# ---- migrations -------------------------------------------------------------------------------------------------


NEWER = len(list(MIGRATIONS.iterdir())) + 1


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a heald that is one ahead."""
    shutil.copytree(MIGRATIONS, tmp_path / "newer")
    (tmp_path / "newer" / f"{NEWER:04}_more.sql").write_text(
        "ALTER TABLE facts ADD COLUMN note TEXT NOT NULL DEFAULT '';\n"
        "CREATE TABLE more (id INTEGER PRIMARY KEY);\n"
        "UPDATE incidents SET because = because || ' (seen by the newer)';\n"
    )
    return tmp_path / "newer"


async def written_by_this_heald(directory: Path) -> None:
    store = await Store.open(directory, HandClock())
    await store.claim(attempt(), [incident()], lambda _: None)
    await store.close()


def schema(path: Path) -> tuple[int, str]:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (because,) = connection.execute("SELECT because FROM incidents").fetchone()
    connection.close()
    return version, because


async def test_an_older_file_is_migrated_and_its_copy_kept(tmp_path: Path, newer: Path) -> None:
    await written_by_this_heald(tmp_path / "state")
    store = await Store.open(tmp_path / "state", HandClock(), migrations=newer)
    assert store.is_writable
    assert await store.counting() == [attempt()]
    await store.close()
    assert schema(tmp_path / "state/heald.db") == (NEWER, "up is 0 (seen by the newer)")
    assert schema(tmp_path / f"state/heald.db.before-{NEWER}") == (NEWER - 1, "up is 0")
    assert (tmp_path / f"state/heald.db.before-{NEWER}").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"heald.db", f"heald.db.before-{NEWER}", "lock"}


async def test_a_migration_that_fails_changes_nothing_and_is_said(tmp_path: Path, newer: Path) -> None:
    await written_by_this_heald(tmp_path / "state")
    with (newer / f"{NEWER:04}_more.sql").open("a") as script:
        script.write("INSERT INTO nowhere VALUES (1);\n")
    store = await Store.open(tmp_path / "state", HandClock(), migrations=newer)
    assert "no such table: nowhere" in str(store.why)
    await store.close()
    assert schema(tmp_path / "state/heald.db") == (NEWER - 1, "up is 0")
    store = await Store.open(tmp_path / "state", HandClock())
    assert await store.counting() == [attempt()]
    await store.close()


async def test_without_a_copy_nothing_is_migrated(tmp_path: Path, newer: Path) -> None:
    await written_by_this_heald(tmp_path / "state")
    (tmp_path / f"state/heald.db.before-{NEWER}").mkdir()
    store = await Store.open(tmp_path / "state", HandClock(), migrations=newer)
    assert "is not touched without a copy of it" in str(store.why)
    await store.close()
    assert schema(tmp_path / "state/heald.db") == (NEWER - 1, "up is 0")
    (tmp_path / f"state/heald.db.before-{NEWER}").rmdir()
    store = await Store.open(tmp_path / "state", HandClock(), migrations=newer)
    assert store.is_writable
    await store.close()


async def test_a_kill_in_the_middle_of_a_migration_leaves_the_file_as_it_was(tmp_path: Path, newer: Path) -> None:
    await written_by_this_heald(tmp_path / "state")
    script = newer / f"{NEWER:04}_more.sql"
    whole = script.read_text()
    script.write_text(whole + "SELECT stuck();\nCREATE TABLE end (id INTEGER);\n".replace("end", '"end"'))
    with child("migrate", tmp_path / "state", newer) as daemon:
        daemon.until("stuck")
        daemon.kill()
    old = await Store.open(tmp_path / "state", HandClock())
    assert await old.counting() == [attempt()]
    await old.close()
    assert schema(tmp_path / "state/heald.db") == (NEWER - 1, "up is 0")
    script.write_text(whole)
    store = await Store.open(tmp_path / "state", HandClock(), migrations=newer)
    assert store.is_writable
    await store.close()
    assert schema(tmp_path / "state/heald.db") == (NEWER, "up is 0 (seen by the newer)")
    assert schema(tmp_path / f"state/heald.db.before-{NEWER}") == (NEWER - 1, "up is 0")


def test_the_migrations_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in MIGRATIONS.iterdir())
    assert numbers == list(range(1, len(numbers) + 1))
