"""History: batched, bounded by age and size, given back where its time is known."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import START, HandClock, attempt, history_row, hold, incident, ladder, later, over, transition

from daemon.model.incident import IncidentState
from daemon.store.batches import BATCH, MOST
from daemon.store.history import AT_ONCE, History
from daemon.store.store import Store

DAY = 86400.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock):
    opened = await Store.open(tmp_path, clock, history_every=0.02)
    yield opened
    await opened.close()


async def rows_in_file(store: Store) -> int:
    return await store._read(lambda database: database.execute("SELECT count(*) FROM history").fetchone()[0])


async def size(store: Store) -> int:
    return await store._read(lambda database: History(database).size())


@pytest.mark.parametrize(
    "samples",
    [
        {},
        {"up": 1.0, "latency_seconds": 1e-7, "error": "", "free_bytes": 123456789012345680.0, "change": -0.0},
        {'a "name"': 1.0, "Größe": 2.5e300},
        {"state": "failed", "up": 0.0},
        {"up": 1, "is_leader": True},
        {"up": float("nan"), "left": float("inf")},
        {1: 2.0, None: 0.0},
    ],
)
async def test_samples_are_kept_as_json_has_them(store: Store, samples: dict[str, float | str | bool]) -> None:
    store.append_history([replace(history_row(), samples=samples)])
    await store._batches.write()
    kept = await store._read(lambda database: database.execute("SELECT samples FROM history").fetchone()[0])
    assert kept == json.dumps(samples, separators=(",", ":"))


async def test_history_is_written_in_batches_by_the_standing_task(store: Store) -> None:
    keeper = asyncio.ensure_future(store.keep())
    before = store.writes["ok"]
    for _ in range(30):
        store.append_history([history_row()])
    assert await rows_in_file(store) == 0
    async with asyncio.timeout(5.0):
        while await rows_in_file(store) == 0:  # noqa: ASYNC110  # nobody is told when a batch is written
            await asyncio.sleep(0.005)
    assert await rows_in_file(store) == 30
    assert store.writes["ok"] == before + 1
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


async def test_many_rows_do_not_wait_for_the_next_batch(store: Store) -> None:
    store.append_history([history_row()] * (BATCH - 1))
    assert await rows_in_file(store) == 0
    store.append_history([history_row()])
    assert await rows_in_file(store) == BATCH
    assert store.queued == 0


async def a_batch_cut_short(store: Store) -> list[int]:
    """Have a batch written and a claim asked for while the thread is about something else: rows at the claim."""
    there: list[int] = []
    is_free = threading.Event()

    def permits(_: object) -> None:
        there.append(store._writer._database.execute("SELECT count(*) FROM history").fetchone()[0])

    store._worker.call(is_free.wait)
    store.append_history([history_row(up=float(number)) for number in range(BATCH)])
    claim = asyncio.create_task(store.claim(attempt(), [], permits))
    await asyncio.sleep(0)
    is_free.set()
    await claim
    return there


async def test_a_batch_that_a_claim_waits_for_is_cut_short_and_its_rest_follows(store: Store) -> None:
    assert await a_batch_cut_short(store) == [AT_ONCE]
    await store._batches.settle(5.0)
    assert await rows_in_file(store) == BATCH
    found = await store.history({"api_health": 60.0}, most=BATCH)
    assert [row.samples["up"] for row in found["api_health"]] == [float(number) for number in range(BATCH)]
    assert store.queued == 0


async def test_the_rest_of_a_batch_stands_before_the_next_one(store: Store) -> None:
    is_free = threading.Event()
    store._worker.call(is_free.wait)
    store.append_history([history_row(up=float(number)) for number in range(BATCH)])
    store.append_history([history_row(up=float(BATCH))])
    writing = asyncio.create_task(store._write_history())
    claim = asyncio.create_task(store.claim(attempt(), [], lambda _: None))
    await asyncio.sleep(0)
    is_free.set()
    await asyncio.gather(writing, claim)
    found = await store.history({"api_health": 60.0}, most=2 * BATCH)
    assert [row.samples["up"] for row in found["api_health"]] == [float(number) for number in range(BATCH + 1)]


async def test_a_batch_that_is_cut_short_loses_nothing_though_others_came_in_meanwhile(store: Store) -> None:
    """As after a full disk: as many rows as may wait are with the thread, and as many again come in."""
    is_free = threading.Event()
    store._worker.call(is_free.wait)
    for first in (0, MOST):
        store._batches.add(history_row(up=float(first + number)) for number in range(MOST))
        if not first:
            store._batches.write()
    claim = asyncio.create_task(store.claim(attempt(), [], lambda _: None))
    await asyncio.sleep(0)
    is_free.set()
    await claim
    await store._write_history()
    assert (store.dropped, store.queued) == (0, 0)
    found = await store.history({"api_health": 60.0}, most=2 * MOST)
    assert [row.samples["up"] for row in found["api_health"]] == [float(number) for number in range(2 * MOST)]


async def test_the_rest_of_a_batch_is_written_before_the_store_is_closed(tmp_path: Path, clock: HandClock) -> None:
    store = await Store.open(tmp_path, clock)
    assert await a_batch_cut_short(store) == [AT_ONCE]
    assert await store.close() == 0
    store = await Store.open(tmp_path, clock)
    assert await rows_in_file(store) == BATCH
    await store.close()


async def test_the_last_batch_is_whole_though_the_answer_to_a_claim_is_not_heard_yet(
    tmp_path: Path, clock: HandClock
) -> None:
    store = await Store.open(tmp_path, clock)
    is_free, is_done = threading.Event(), threading.Event()
    store._worker.call(is_free.wait)
    claim = asyncio.create_task(store.claim(attempt(), [], lambda _: None))
    await asyncio.sleep(0)
    store.append_history([history_row()] * (BATCH - 1))
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    store._worker.call(is_done.set)
    is_free.set()
    is_done.wait()  # the loop stands still until the thread has done all of it
    assert await closing == 0
    assert await claim is None
    store = await Store.open(tmp_path, clock)
    assert await rows_in_file(store) == BATCH - 1
    await store.close()


async def test_the_end_of_the_standing_task_loses_no_batch(store: Store) -> None:
    is_free = threading.Event()
    store._worker.call(is_free.wait)
    store.append_history([history_row()] * (BATCH - 1))
    keeper = asyncio.create_task(store._write_history())
    claim = asyncio.create_task(store.claim(attempt(), [], lambda _: None))
    await asyncio.sleep(0)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    is_free.set()
    await claim
    await store._batches.settle(5.0)
    assert await rows_in_file(store) == BATCH - 1


async def test_what_waits_is_written_when_the_store_is_closed(tmp_path: Path, clock: HandClock) -> None:
    store = await Store.open(tmp_path, clock)
    store.append_history([history_row()] * 3)
    assert await store.close() == 0
    store = await Store.open(tmp_path, clock)
    assert len((await store.history({"api_health": 60.0}))["api_health"]) == 3
    await store.close()


async def test_what_waits_is_lost_in_a_crash(tmp_path: Path, clock: HandClock) -> None:
    store = await Store.open(tmp_path, clock)
    store.append_history([history_row()] * 3)
    await store.abandon()
    store = await Store.open(tmp_path, clock)
    assert await store.history({"api_health": 60.0}) == {"api_health": []}
    await store.close()


async def test_each_check_gets_the_rows_of_its_own_seconds_oldest_first(store: Store, clock: HandClock) -> None:
    rows = [history_row(name, later(START, step * 10.0), up=float(step)) for step in range(10) for name in "ab"]
    store.append_history(rows)
    clock.pass_by(90.0)
    found = await store.history({"a": 35.0, "b": 1e6, "c": 60.0})
    assert [row.samples["up"] for row in found["a"]] == [6.0, 7.0, 8.0, 9.0]
    assert [row.samples["up"] for row in found["b"]] == [float(step) for step in range(10)]
    assert found["c"] == []
    few = await store.history({"b": 1e6}, most=2)
    assert [row.samples["up"] for row in few["b"]] == [8.0, 9.0]


async def test_rows_of_an_earlier_boot_are_given_back_only_where_both_clocks_were_right(
    store: Store, clock: HandClock
) -> None:
    wrong = replace(START, synchronised=False)
    store.append_history([history_row(at=START, up=1.0), history_row(at=wrong, up=2.0)])
    clock.reboot(down=60.0)
    clock.pass_by(5.0)
    found = await store.history({"api_health": 600.0})
    assert [row.samples["up"] for row in found["api_health"]] == [1.0]
    clock.at = replace(clock.at, synchronised=False)
    assert await store.history({"api_health": 600.0}) == {"api_health": []}


async def test_history_older_than_its_time_goes(store: Store, clock: HandClock) -> None:
    store.set_history(keep_for=100.0, keep_bytes=2**30)
    for _ in range(30):
        store.append_history([history_row(at=clock.stamp())])
        await store.history({})
        clock.pass_by(10.0)
    assert await rows_in_file(store) == 11
    clock.pass_by(1000.0)
    await store.trim()
    assert await rows_in_file(store) == 0
    assert await size(store) == 0


async def test_history_takes_no_more_room_than_it_may_and_the_oldest_goes_first(store: Store, tmp_path: Path) -> None:
    store.set_history(keep_for=DAY, keep_bytes=50_000)
    for step in range(4000):
        store.append_history([history_row(up=float(step), text="x" * 50)])
    await store.history({})
    assert 45_000 < await size(store) <= 50_000
    found = await store.history({"api_health": DAY})
    assert found["api_health"][-1].samples["up"] == 3999.0
    count = len(found["api_health"])
    assert [row.samples["up"] for row in found["api_health"]] == [float(it) for it in range(4000 - count, 4000)]
    assert (tmp_path / "heald.db").stat().st_size < 500_000


async def test_less_room_given_later_is_heeded_and_goes_back_to_the_file_system(store: Store, tmp_path: Path) -> None:
    for _ in range(40):
        store.append_history([history_row(text="x" * 500)] * 500)
    await store.history({})
    store.set_history(keep_for=DAY, keep_bytes=100_000)
    for _ in range(4):
        await store.trim()
    assert await size(store) <= 100_000
    await store.close()
    assert (tmp_path / "heald.db").stat().st_size < 8_000_000


async def test_history_puts_a_long_log_into_the_file_and_nothing_else_waits_for_that(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "heald.db"
    await store.submit(*(replace(incident(number), because="x" * 4000) for number in range(1200)))
    assert file.stat().st_size < 2**20
    store.append_history([history_row()])
    await store._batches.write()
    assert file.stat().st_size > 4 * 2**20


async def test_only_so_much_waits_while_nothing_can_be_written_and_the_newest_is_kept(
    tmp_path: Path, clock: HandClock
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = await Store.open(tmp_path / "file" / "state", clock)
    assert not store.is_writable
    for step in range(MOST // 100 + 7):
        store.append_history([history_row(up=float(step))] * 100)
    assert store.queued == MOST
    assert store.dropped == 700
    assert await store.close() == MOST


# ---- trimming ---------------------------------------------------------------------------------------------------


async def test_old_incidents_go_with_all_that_belongs_to_them_and_open_ones_stay(
    store: Store, clock: HandClock
) -> None:
    closed = {"state": IncidentState.RESOLVED, "closed": START}
    await store.submit(incident(1), incident(2, **closed), transition(1), transition(2), transition(incident=None))
    await store.submit(hold(1), hold(2), ladder(closed=START), ladder(rule="other"))
    clock.pass_by(5 * DAY)
    await store.submit(incident(3, **{**closed, "closed": clock.stamp()}), transition(3, at=clock.stamp()))
    assert await store.trim(record_for=10 * DAY) == 0
    clock.pass_by(6 * DAY)
    assert await store.trim(record_for=10 * DAY) == 5
    assert [it.id[-1] for it in await store.incidents(limit=9, closed=True)] == ["3", "1"]
    assert [len(await store.transitions_of(incident(number).id)) for number in (1, 2, 3)] == [1, 0, 1]
    assert [len(await store.holds_of(incident(number).id)) for number in (1, 2)] == [1, 0]
    assert [it.rule for it in (await store.remembered()).ladders] == ["other"]


async def test_attempts_stay_as_long_as_a_limit_can_count_them(store: Store, clock: HandClock) -> None:
    await store.submit(attempt(1), over(attempt(2, incidents=("x",))), over(attempt(3, cooldown=99 * DAY)))
    clock.pass_by(20 * DAY)
    assert await store.trim(longest=30 * DAY, record_for=DAY) == 0
    assert await store.trim(longest=10 * DAY, record_for=30 * DAY) == 0
    assert await store.trim(longest=10 * DAY, record_for=DAY) == 1
    assert [it.id for it in await store.counting()] == [attempt(1).id, attempt(3).id]
    assert await store.attempts_of(["x"]) == {"x": []}


async def test_much_that_is_old_goes_in_steps_between_which_others_are_served(store: Store, clock: HandClock) -> None:
    await store.submit(*(transition(incident=None, because=str(number)) for number in range(2600)))
    clock.pass_by(100 * DAY)
    before = store.writes["ok"]
    assert await store.trim() == 2600
    assert store.writes["ok"] - before == 6
