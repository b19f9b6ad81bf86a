"""The verbs, on a real file."""

import asyncio
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import (
    START,
    HandClock,
    attempt,
    history_row,
    hold,
    incident,
    ladder,
    later,
    over,
    track,
    transition,
)

from daemon.errors import LockedError, StoreError
from daemon.model.incident import Hold, HoldReason, IncidentState
from daemon.model.remediation import AttemptState
from daemon.store.store import Store
from daemon.store.worker import at_once

DAY = 86400.0
COOLDOWN = Hold(reason=HoldReason.COOLDOWN, sentence="not yet")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock):
    opened = await Store.open(tmp_path / "state", clock)
    yield opened
    await opened.close()


def free(_: object) -> None:
    return None


# ---- the directory ----------------------------------------------------------------------------------------------


async def test_the_state_is_for_its_owner_alone(store: Store, tmp_path: Path) -> None:
    await store.submit(incident())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert names == {"heald.db": 0o600, "heald.db-wal": 0o600, "lock": 0o600}


async def test_a_second_daemon_is_refused_and_told_who_is_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(LockedError, match=f"in use by another heald: process {os.getpid()}"):
        await Store.open(tmp_path / "state", HandClock())
    await store.submit(incident())


async def test_the_lock_is_let_go_when_the_store_is_closed(tmp_path: Path) -> None:
    for _ in range(2):
        store = await Store.open(tmp_path, HandClock())
        assert store.is_writable
        await store.close()


async def test_a_closed_store_says_so_and_nobody_waits_for_it(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.submit(incident())
    with pytest.raises(StoreError, match="closed"):
        await store.claim(attempt(), [], free)
    with pytest.raises(StoreError, match="closed"):
        await store.incidents(limit=1, closed=True)
    assert await store.close() == 0


# ---- rows -------------------------------------------------------------------------------------------------------


async def test_what_is_queued_together_goes_in_few_transactions(store: Store) -> None:
    before = store.writes["ok"]
    await asyncio.gather(*(store.submit(incident(number)) for number in range(200)))
    assert store.writes["ok"] <= before + 20  # the thread takes what is there, each time that it has its turn
    assert len(await store.incidents(limit=500, closed=True)) == 200


async def test_what_is_submitted_later_is_what_counts(store: Store) -> None:
    for step in range(50):
        store.submit(ladder(nth=step), incident(hold_sentence=str(step)))
    await store.submit(track(counted=1.0))
    remembered = await store.remembered()
    assert [it.nth for it in remembered.ladders] == [49]
    assert [it.hold_sentence for it in remembered.incidents] == ["49"]


async def test_what_happens_is_kept_in_its_order(store: Store) -> None:
    for step in range(50):
        store.submit(transition(because=str(step)), hold(sentence=str(step)))
    name = incident(1).id
    assert [it.because for it in await store.transitions_of(name)] == [str(step) for step in range(50)]
    assert [it.sentence for it in await store.holds_of(name)] == [str(step) for step in range(50)]


async def test_rows_survive_a_restart(tmp_path: Path, clock: HandClock) -> None:
    store = await Store.open(tmp_path, clock)
    rows = (incident(), track(memory=(("BREACHED",),)), ladder(tries={"a#0": 2}, floor=START), attempt())
    store.submit(*rows, transition(), hold())
    await store.close()
    store = await Store.open(tmp_path, clock)
    remembered = await store.remembered()
    assert (remembered.incidents, remembered.tracks) == ((rows[0],), (rows[1],))
    assert (remembered.ladders, remembered.attempts) == ((rows[2],), (rows[3],))
    assert remembered.attempts[0].state is AttemptState.RUNNING
    await store.close()


async def test_a_track_that_came_to_rest_is_forgotten(store: Store) -> None:
    await store.submit(track())
    await store.submit(track(state=IncidentState.INACTIVE))
    assert (await store.remembered()).tracks == ()


# ---- what is asked ----------------------------------------------------------------------------------------------


async def test_open_incidents_and_those_closed_within_a_day_are_remembered(store: Store, clock: HandClock) -> None:
    closed = {"state": IncidentState.RESOLVED}
    await store.submit(
        incident(1),
        incident(2, closed=later(START, -2 * DAY), **closed),
        incident(3, closed=later(START, -DAY / 2), **closed),
    )
    assert [it.id[-1] for it in (await store.remembered()).incidents] == ["1", "3"]
    clock.pass_by(DAY)
    assert [it.id[-1] for it in (await store.remembered()).incidents] == ["1"]


async def test_incidents_come_newest_first_and_closed_ones_only_if_asked(store: Store) -> None:
    await store.submit(incident(1), incident(2, closed=START, state=IncidentState.VANISHED), incident(3))
    await store.submit(incident(1, hold=HoldReason.PAUSED))
    assert [it.id[-1] for it in await store.incidents(limit=2, closed=True)] == ["3", "2"]
    assert [it.id[-1] for it in await store.incidents(limit=9, closed=False)] == ["3", "1"]
    assert (await store.incident(incident(1).id)).hold is HoldReason.PAUSED
    assert await store.incident("INC-none") is None


async def test_attempts_are_found_by_every_incident_they_were_made_for(store: Store) -> None:
    await store.submit(attempt(1, incidents=("a", "b")), attempt(2, incidents=("b",)))
    await store.submit(attempt(2, incidents=("c", "b")))
    found = await store.attempts_of(["a", "b", "c", "d"])
    assert {name: [it.id for it in made] for name, made in found.items()} == {
        "a": [attempt(1).id],
        "b": [attempt(1).id, attempt(2).id],
        "c": [attempt(2).id],
        "d": [],
    }
    await store.submit(attempt(2, incidents=("b",)))
    assert await store.attempts_of(["c"]) == {"c": []}


async def test_attempts_under_way_or_young_enough_are_counted_oldest_first(store: Store, clock: HandClock) -> None:
    await store.submit(attempt(1), *(over(attempt(number), later(START, -number * 100.0)) for number in (9, 5, 2)))
    numbers = [int(it.id[:13]) for it in await store.counting(longest=600.0)]
    assert numbers == [1, 5, 2]
    clock.pass_by(1000.0)
    assert [int(it.id[:13]) for it in await store.counting(longest=600.0)] == [1]
    assert len(await store.counting()) == 4


async def test_an_attempt_whose_cooldown_is_longer_than_every_limit_is_counted(store: Store, clock: HandClock) -> None:
    await store.submit(over(attempt(cooldown=5000.0)))
    clock.pass_by(4000.0)
    assert len(await store.counting(longest=60.0)) == 1


async def test_a_lost_attempt_counts_from_its_timeout_even_if_it_was_let_go_of_before(
    store: Store, clock: HandClock
) -> None:
    lost = attempt(state=AttemptState.LOST, released=later(START, 10.0), cooldown=0.0, timeout=120.0)
    await store.submit(lost)
    clock.pass_by(179.0)
    assert await store.counting(longest=60.0) == [lost]
    clock.pass_by(2.0)
    assert await store.counting(longest=60.0) == []


async def test_a_wall_clock_set_forward_frees_no_attempt(store: Store, clock: HandClock) -> None:
    await store.submit(over(attempt()))
    clock.at = replace(clock.at, wall=clock.at.wall + 365 * DAY)
    assert len(await store.counting(longest=3600.0)) == 1


async def test_after_a_reboot_without_a_right_clock_an_attempt_is_as_old_as_the_boot(
    store: Store, clock: HandClock
) -> None:
    await store.submit(over(attempt()))
    clock.reboot(down=DAY, synchronised=False)
    clock.pass_by(3000.0)
    assert len(await store.counting(longest=3600.0)) == 1
    clock.pass_by(601.0)
    assert await store.counting(longest=3600.0) == []


# ---- the loop ---------------------------------------------------------------------------------------------------


async def test_the_loop_goes_on_while_the_store_is_slow(store: Store) -> None:
    gate = threading.Event()
    lags: list[float] = []
    loop = asyncio.get_running_loop()

    def slow(_: object) -> None:
        gate.wait(10.0)

    claim = asyncio.ensure_future(store.claim(attempt(), [], slow))
    await asyncio.sleep(0)
    waiting = []
    for number in range(40):
        began = loop.time()
        waiting.append(store.submit(incident(number)))
        store.append_history([history_row()] * 50)
        await asyncio.sleep(0.002)
        lags.append(loop.time() - began)
    assert not claim.done()
    assert not any(it.done() for it in waiting)
    assert store.pending >= 2
    assert store.queued >= 40
    gate.set()
    await asyncio.gather(claim, *waiting)
    assert sorted(lags)[len(lags) // 2] < 0.05
    assert len(await store.incidents(limit=99, closed=True)) == 40


async def test_the_thread_answers_a_ping_with_the_seconds_it_took(store: Store, clock: HandClock) -> None:
    release = threading.Event()

    def slow(_: object) -> None:
        release.wait(10.0)

    claim = asyncio.ensure_future(store.claim(attempt(), [], slow))
    ping = asyncio.ensure_future(store.ping())
    await asyncio.sleep(0.01)
    assert not ping.done()
    clock.pass_by(3.0)
    release.set()
    assert await ping == 3.0
    await claim
    assert store.pending == 0


async def test_nothing_is_written_for_nothing(store: Store, tmp_path: Path) -> None:
    keeper = asyncio.ensure_future(store.keep())
    await store.submit(incident())
    size, count = (tmp_path / "state/heald.db-wal").stat().st_size, store.writes["ok"]
    for _ in range(20):
        await asyncio.sleep(0.005)
        await store.trim()
    assert (tmp_path / "state/heald.db-wal").stat().st_size == size
    assert store.writes["ok"] <= count + 20
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


def test_a_loop_that_closes_leaves_the_thread_to_finish_its_work(tmp_path: Path) -> None:
    gate = threading.Event()
    kept = []

    async def leave() -> None:
        store = await Store.open(tmp_path, HandClock())
        kept.append(store)
        store.submit(incident(1))
        claim = asyncio.ensure_future(store.claim(attempt(), [incident(2)], lambda _: gate.wait(10.0) and None))
        await asyncio.sleep(0)
        claim.cancel()

    asyncio.run(leave())
    gate.set()
    kept[0]._worker.call(kept[0]._writer.abandon)
    kept[0]._worker.stop()

    async def look() -> int:
        store = await Store.open(tmp_path, HandClock())
        found = await store.incidents(limit=9, closed=True)
        await store.close()
        return len(found)

    assert asyncio.run(look()) == 2


# ---- without a thread -------------------------------------------------------------------------------------------


def test_without_a_thread_all_is_done_at_once_and_no_loop_runs(tmp_path: Path) -> None:
    clock = HandClock()
    store = at_once(Store.open(tmp_path, clock, threaded=False))
    assert store.submit(incident()).done()
    assert at_once(store.claim(attempt(), [ladder()], free)) is None
    assert at_once(store.claim(attempt(2), [], lambda _: COOLDOWN)) is COOLDOWN
    store.append_history([history_row()])
    assert at_once(store.history({"api_health": 9.0})) == {"api_health": [history_row()]}
    assert store.pending == 0
    at_once(store.abandon())
    store = at_once(Store.open(tmp_path, clock, threaded=False))
    assert at_once(store.remembered()).attempts == (attempt(),)
    with pytest.raises(LockedError):
        at_once(Store.open(tmp_path, clock, threaded=False))
    assert at_once(store.close()) == 0


def test_what_is_not_done_at_once_is_no_answer() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="was waited for"):
        at_once(waits())
