"""Disks that are full, read-only, taken, damaged: heald acts on nothing, says so, and recovers by itself."""

import asyncio
import functools
import sqlite3
import threading
from pathlib import Path

import pytest
from store_children import Child, bound_by_permissions, child
from store_samples import HandClock, attempt, history_row, incident, ladder, transition

from daemon.errors import LockedError, StoreError, StoreRefusedError
from daemon.store.buffer import Buffer
from daemon.store.opening import MIGRATIONS
from daemon.store.store import Store
from tests.lab.mounts import own_mounts

KNOWN = len(list(MIGRATIONS.iterdir()))  # the schema of this heald


def free(_: object) -> None:
    return None


async def until(is_so) -> None:
    async with asyncio.timeout(10.0):
        while not is_so():  # noqa: ASYNC110  # what a caller sees, not what the store knows
            await asyncio.sleep(0.005)


async def end(keeper: asyncio.Future) -> None:
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


def numbers(text: str) -> list[int]:
    return [int(word[:13]) for word in text.split()[1:]]


def look_inside(directory: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(directory / "heald.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


# ---- no room ----------------------------------------------------------------------------------------------------


def test_when_no_room_is_left_nothing_is_claimed_until_there_is_and_no_row_is_lost(tmp_path: Path) -> None:
    with child("starve", tmp_path, 400_000) as daemon:
        _, written, *why = daemon.until("failed").split()
        assert "full" in " ".join(why) or "writing failed" in " ".join(why)
        daemon.until("refused")
        assert daemon.until("read") == f"read {written}"
        daemon.go_on()
        assert daemon.until("writable") == "writable"
        assert numbers(daemon.until("counted")) == [1]
        assert daemon.until("claimed") == "claimed"
        assert daemon.until("left") == "left 0"
    assert look_inside(tmp_path, "SELECT nth FROM ladders") == [(49,)]
    assert look_inside(tmp_path, "SELECT because FROM transitions ORDER BY place") == [(str(n),) for n in range(50)]
    assert look_inside(tmp_path, "SELECT count(*) FROM incidents") == [(int(written) + 1,)]
    assert look_inside(tmp_path, "SELECT id FROM attempts") == [(attempt(1).id,), (attempt(3).id,)]


def recovers(daemon: Child, *, said: str, counted: list[int]) -> None:
    opened = daemon.until("open")
    assert opened.startswith("open False")
    assert said in opened
    assert daemon.until("refused") == "refused"
    daemon.go_on()
    assert daemon.until("writable") == "writable"
    assert numbers(daemon.until("counted")) == counted
    assert daemon.until("claimed") == "claimed"
    assert daemon.until("left") == "left 0"


def test_without_room_at_the_start_heald_starts_all_the_same(tmp_path: Path) -> None:
    with child("starved_from_the_start", tmp_path, 2000) as daemon:
        recovers(daemon, said=str(tmp_path), counted=[])
    assert look_inside(tmp_path, "SELECT id FROM incidents") == [(incident(2).id,)]
    assert look_inside(tmp_path, "SELECT id FROM attempts") == [(attempt(3).id,)]


def test_a_full_file_system_at_the_start(tmp_path: Path) -> None:
    with child("full_mount", tmp_path, before=own_mounts()) as daemon:
        recovers(daemon, said="full", counted=[])


# ---- not writable -----------------------------------------------------------------------------------------------


def test_a_read_only_file_system_at_the_start(tmp_path: Path) -> None:
    with child("read_only_mount", tmp_path, before=own_mounts()) as daemon:
        recovers(daemon, said="Read-only file system", counted=[1])


def test_a_file_without_permission_to_write(tmp_path: Path) -> None:
    with child("claim", tmp_path) as daemon:
        daemon.until("claimed")
    (tmp_path / "heald.db").chmod(0o444)
    with child("wait_for_room", tmp_path, before=bound_by_permissions()) as daemon:
        assert daemon.until("open") == f"open False {tmp_path}/heald.db: Permission denied"
        daemon.until("refused")
        (tmp_path / "heald.db").chmod(0o600)
        daemon.go_on()
        assert numbers(daemon.until("counted")) == [1]
        daemon.until("left 0")


def test_a_folder_without_permission_to_write(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o555)
    with child("wait_for_room", tmp_path / "state", before=bound_by_permissions()) as daemon:
        assert daemon.until("open") == f"open False {tmp_path}/state/lock: Permission denied"
        daemon.until("refused")
        (tmp_path / "state").chmod(0o700)
        daemon.go_on()
        assert daemon.until("counted") == "counted"
        daemon.until("left 0")


async def test_a_folder_that_cannot_be_made_is_named_and_made_when_it_can(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = await Store.open(tmp_path / "file" / "state", HandClock(), retry_every=0.01)
    assert store.why == f"{tmp_path}/file/state: Not a directory"
    with pytest.raises(StoreError, match="Not a directory"):
        await store.remembered()
    with pytest.raises(StoreError, match="Not a directory"):
        await store.submit(incident())
    keeper = asyncio.ensure_future(store.keep())
    (tmp_path / "file").unlink()
    await until(lambda: store.is_writable)
    assert await store.incidents(limit=1, closed=True) == [incident()]
    await end(keeper)
    await store.close()


async def test_only_the_newest_version_of_a_row_waits_and_each_change_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[tuple[bool, str | None]] = []
    store = await Store.open(tmp_path / "file", HandClock(), retry_every=0.01)
    store.on_change = lambda *change: said.append(change)
    for nth in range(30):
        store.submit(ladder(nth=nth), transition(because=str(nth)))
    await store.ping()
    assert store.queued == 31
    store.append_history([history_row()])
    keeper = asyncio.ensure_future(store.keep())
    (tmp_path / "file").unlink()
    await until(lambda: said)
    assert said == [(True, None)]
    assert [it.nth for it in (await store.remembered()).ladders] == [29]
    assert [it.because for it in await store.transitions_of(incident().id)] == [str(nth) for nth in range(30)]
    assert len((await store.history({"api_health": 60.0}))["api_health"]) == 1
    await end(keeper)
    await store.close()


async def test_what_could_not_be_written_by_the_end_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = await Store.open(tmp_path / "file", HandClock())
    store.submit(incident(1), incident(2), transition())
    assert await store.close() == 3


async def test_a_claim_that_failed_is_not_there_after_recovery_either(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = await Store.open(tmp_path / "file", HandClock(), retry_every=0.01)
    with pytest.raises(StoreError):
        await store.claim(attempt(), [ladder()], free)
    keeper = asyncio.ensure_future(store.keep())
    (tmp_path / "file").unlink()
    await until(lambda: store.is_writable)
    remembered = await store.remembered()
    assert (remembered.attempts, remembered.ladders) == ((), ())
    await end(keeper)
    await store.close()


# ---- taken, damaged, gone, newer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("state = 'strange'", "a row of attempts is damaged, or of a later heald: 'strange' is not a valid"),
        ("claimed_origin = 99", "a row of attempts is damaged, or of a later heald: 99"),
    ],
)
async def test_a_row_that_cannot_be_understood_lets_nothing_be_claimed(tmp_path: Path, damage: str, said: str) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.claim(attempt(1), [], free)
    await store.close()
    connection = sqlite3.connect(tmp_path / "heald.db")
    connection.execute(f"UPDATE attempts SET {damage}")
    connection.commit()
    connection.close()
    store = await Store.open(tmp_path, HandClock())
    with pytest.raises(StoreError, match=said):
        await store.remembered()
    assert store.is_writable  # what happens is still recorded
    await store.submit(incident())
    with pytest.raises(StoreError):
        await store.claim(attempt(2), [], free)
    await store.close()
    assert look_inside(tmp_path, "SELECT id FROM attempts") == [(attempt(1).id,)]
    assert look_inside(tmp_path, "SELECT count(*) FROM incidents") == [(1,)]


async def test_a_file_that_another_program_has_open_is_waited_for(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.submit(incident())
    await store.close()
    other = sqlite3.connect(tmp_path / "heald.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = await Store.open(tmp_path, HandClock(), retry_every=0.01)
    assert "open in another program" in str(store.why)
    other.close()
    keeper = asyncio.ensure_future(store.keep())
    await until(lambda: store.is_writable)
    assert await store.incidents(limit=1, closed=True) == [incident()]
    await end(keeper)
    await store.close()


async def test_nobody_else_can_open_the_file_while_heald_runs(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.submit(incident())
    other = sqlite3.connect(tmp_path / "heald.db", timeout=0.01)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM incidents")
    other.close()
    await store.close()


async def test_there_is_no_shared_memory_beside_the_file_whichever_daemon_opens_it(tmp_path: Path) -> None:
    for _ in range(2):  # the first one makes the file
        store = await Store.open(tmp_path, HandClock())
        await store.submit(incident())
        assert not (tmp_path / "heald.db-shm").exists()
        await store.close()


async def test_a_file_that_was_moved_away_takes_no_claims_until_it_is_back(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock(), retry_every=0.01)
    keeper = asyncio.ensure_future(store.keep())
    await store.claim(attempt(1), [], free)
    (tmp_path / "heald.db").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="removed or replaced while heald ran"):
        await store.claim(attempt(2), [], free)
    assert not store.is_writable
    (tmp_path / "heald.db").write_bytes(b"")
    await asyncio.sleep(0.03)
    assert not store.is_writable
    (tmp_path / "elsewhere").rename(tmp_path / "heald.db")
    await until(lambda: store.is_writable)
    assert await store.counting() == [attempt(1)]
    await end(keeper)
    await store.close()


async def test_a_newer_schema_is_refused_with_a_sentence_and_untouched(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.close()
    connection = sqlite3.connect(tmp_path / "heald.db")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(
        StoreRefusedError, match=rf"heald.db has schema 7, but this heald knows none after {KNOWN}"
    ) as refused:
        await Store.open(tmp_path, HandClock())
    assert f"heald.db.before-{KNOWN + 1}" in str(refused.value)
    assert look_inside(tmp_path, "PRAGMA user_version") == [(7,)]


async def test_a_late_store_that_turns_out_to_be_anothers_ends_the_standing_task(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    late = await Store.open(tmp_path / "file", HandClock(), retry_every=0.01)
    (tmp_path / "file").unlink()
    first = await Store.open(tmp_path / "file", HandClock())
    with pytest.raises(ExceptionGroup) as ended:
        await late.keep()
    assert ended.group_contains(LockedError, match="in use by another heald")
    assert "in use by another heald" in str(late.why)
    await late.close()
    await first.submit(incident())
    await first.close()


# ---- what waits -------------------------------------------------------------------------------------------------


def test_of_what_happened_the_oldest_is_dropped_and_counted() -> None:
    buffer = Buffer(happened_most=10)
    buffer.extend(transition(because=str(number)) for number in range(15))
    assert [it.because for it in buffer] == [str(number) for number in range(5, 15)]
    assert buffer.dropped == 5


def test_of_keyed_rows_those_go_first_on_which_nothing_follows_and_never_an_attempt() -> None:
    buffer = Buffer(keyed_most=20)
    buffer.extend([attempt(1), *(incident(number, closed=incident().opened) for number in range(10))])
    buffer.extend(incident(number) for number in range(100, 110))
    assert len(buffer) == 18
    assert next(it.id[-4:] for it in buffer if it != attempt(1)) == "0003"
    buffer.extend(attempt(number) for number in range(2, 30))
    assert sum(1 for it in buffer if it.id.endswith("abcdef")) == 29
    assert buffer.dropped > 3


async def test_a_claim_whose_commit_failed_late_is_taken_out_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sick(sqlite3.Connection):
        """Its commit reaches the file and is reported as failed, as when the disk fails while it is flushed."""

        fails = False

        def execute(self, query: str, *more: object) -> sqlite3.Cursor:
            done = super().execute(query, *more)
            if query == "COMMIT" and Sick.fails:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise error
            return done

    monkeypatch.setattr("daemon.store.opening.sqlite3.connect", functools.partial(sqlite3.connect, factory=Sick))
    store = await Store.open(tmp_path, HandClock(), retry_every=0.01)
    await store.claim(attempt(1), [], free)
    Sick.fails = True
    with pytest.raises(StoreError, match="SQLITE_IOERR_FSYNC"):
        await store.claim(attempt(2), [], free)
    Sick.fails = False
    keeper = asyncio.ensure_future(store.keep())
    await until(lambda: store.is_writable)
    assert await store.counting() == [attempt(1)]
    await end(keeper)
    await store.close()


async def test_a_disk_that_never_answers_does_not_keep_heald_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.store.CLOSE_WITHIN", 0.1)
    store = await Store.open(tmp_path, HandClock())
    answer = threading.Event()
    hanging = store._call(answer.wait)
    store.append_history([history_row()])
    store.submit(incident())
    async with asyncio.timeout(5.0):
        left = await store.close()
    assert left == 2  # what the thread was given too
    with pytest.raises(StoreError):
        await store.submit(incident())
    answer.set()  # for the thread, which nobody waits for any more
    assert await hanging


async def test_a_disk_that_never_answers_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    store = await Store.open(tmp_path, clock)
    answer = threading.Event()
    store._call(answer.wait)

    async def settle(within: float) -> None:
        clock.pass_by(within)  # the batch that is being written is not written in time

    monkeypatch.setattr(store._batches, "settle", settle)
    async with asyncio.timeout(5.0):
        await store.close()
    answer.set()
