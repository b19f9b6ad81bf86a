"""Claims: counted, decided and recorded in one transaction."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import START, HandClock, attempt, incident, ladder, later, over, transition

from daemon.engine.counting import counts_still
from daemon.errors import StoreError
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import AttemptState
from daemon.store.opening import MIGRATIONS, connect
from daemon.store.sqlite import Database
from daemon.store.store import Store

DAY = 86400.0
COOLDOWN = Hold(reason=HoldReason.COOLDOWN, sentence="not yet")


@pytest.fixture
async def store(tmp_path: Path):
    opened = await Store.open(tmp_path / "state", HandClock())
    yield opened
    await opened.close()


def free(_: object) -> None:
    return None


async def test_a_claim_is_on_the_disk_with_its_rows_when_it_is_granted(store: Store, tmp_path: Path) -> None:
    assert await store.claim(attempt(), [ladder(attempt=attempt().id), transition()], free) is None
    await store.abandon()
    again = await Store.open(tmp_path / "state", HandClock())
    remembered = await again.remembered()
    assert remembered.attempts == (attempt(),)
    assert [it.attempt for it in remembered.ladders] == [attempt().id]
    await again.close()


async def test_a_claim_that_is_held_leaves_nothing_but_what_was_queued_before(store: Store) -> None:
    queued = store.submit(incident())
    assert await store.claim(attempt(), [ladder(), transition()], lambda _: COOLDOWN) is COOLDOWN
    assert queued.done()
    remembered = await store.remembered()
    assert (remembered.attempts, remembered.ladders) == ((), ())
    assert remembered.incidents == (incident(),)
    assert await store.transitions_of(incident().id) == []


async def test_a_claim_takes_what_is_queued_into_its_own_transaction(store: Store) -> None:
    before = store.writes["ok"]
    waiting = [store.submit(incident(number)) for number in range(20)]
    await store.claim(attempt(), [], free)
    await asyncio.gather(*waiting)
    assert store.writes["ok"] == before + 1


async def test_rows_that_may_wait_are_written_by_the_claim_that_comes(store: Store) -> None:
    await store.ping()
    before = store.writes["ok"]
    waiting = store.submit(incident(), may_wait=True)
    assert (store.pending, store.queued) == (0, 1)
    assert await store.claim(attempt(), [], lambda _: COOLDOWN) is COOLDOWN
    assert (waiting.done(), store.writes["ok"], store.queued) == (True, before + 1, 0)
    assert (await store.remembered()).incidents == (incident(),)


async def test_rows_that_may_wait_are_written_soon_if_no_claim_comes(store: Store) -> None:
    async with asyncio.timeout(10.0):
        await store.submit(incident(), may_wait=True)
    assert (await store.remembered()).incidents == (incident(),)


async def test_rows_that_may_wait_go_with_the_next_ones_that_may_not(store: Store) -> None:
    before = store.writes["ok"]
    waiting = store.submit(incident(1), may_wait=True)
    await store.submit(incident(2))
    assert (waiting.done(), store.writes["ok"]) == (True, before + 1)
    store.submit(incident(3))
    await store.submit(incident(4), may_wait=True)
    assert len((await store.remembered()).incidents) == 4


@pytest.mark.parametrize("is_orderly", [True, False])
async def test_rows_that_wait_are_written_at_the_end_unless_that_is_a_crash(tmp_path: Path, is_orderly: bool) -> None:
    store = await Store.open(tmp_path, HandClock())
    store.submit(incident(), may_wait=True)
    await (store.close() if is_orderly else store.abandon())
    await asyncio.sleep(0)
    again = await Store.open(tmp_path, HandClock())
    assert (await again.remembered()).incidents == ((incident(),) if is_orderly else ())
    await again.close()


async def test_what_is_submitted_after_a_claim_is_newer_than_the_claims_rows(store: Store) -> None:
    store.submit(ladder(nth=1))
    claim = asyncio.ensure_future(store.claim(attempt(), [ladder(nth=2)], free))
    await asyncio.sleep(0)
    await store.submit(ladder(nth=3))
    await claim
    assert [it.nth for it in (await store.remembered()).ladders] == [3]


async def test_the_claim_counts_every_row_before_it_and_two_never_pass_a_limit_of_one(store: Store) -> None:
    seen: list[list[str]] = []

    def at_most_one(attempts) -> Hold | None:
        seen.append([it.id for it in attempts])
        return COOLDOWN if attempts else None

    store.submit(over(attempt(7), later(START, -DAY)))
    found = await asyncio.gather(
        *(store.claim(attempt(number), [], at_most_one, longest=3600.0) for number in range(1, 6))
    )
    assert found == [None, COOLDOWN, COOLDOWN, COOLDOWN, COOLDOWN]
    assert seen == [[], *[[attempt(1).id]] * 4]
    await store.claim(attempt(9), [], lambda attempts: seen.append([it.id for it in attempts]))
    assert seen[-1] == [attempt(7).id, attempt(1).id]


async def test_a_fault_in_permits_goes_to_the_caller_and_leaves_nothing_of_the_claim(store: Store) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a bug")

    queued = store.submit(incident())
    with pytest.raises(ZeroDivisionError):
        await store.claim(attempt(), [ladder()], broken)
    await queued
    remembered = await store.remembered()
    assert (remembered.attempts, remembered.ladders, remembered.incidents) == ((), (), (incident(),))
    assert store.is_writable


async def test_the_same_attempt_is_never_claimed_twice(store: Store) -> None:
    await store.claim(attempt(), [], free)
    with pytest.raises(StoreError, match="cannot be claimed"):
        await store.claim(attempt(state=AttemptState.FAILED), [ladder()], free)
    assert (await store.remembered()).attempts == (attempt(),)
    assert (await store.remembered()).ladders == ()
    assert store.is_writable


async def test_the_newest_claim_can_be_waited_for_until_it_is_answered(store: Store) -> None:
    assert store.claiming is None
    first, second = (asyncio.create_task(store.claim(attempt(number), [], free)) for number in range(2))
    await asyncio.sleep(0)
    assert store.claiming is not None
    await asyncio.wait({store.claiming})
    assert store.claiming is None
    assert await asyncio.gather(first, second) == [None, None]


async def test_who_does_not_wait_for_his_claim_disturbs_nobody(store: Store) -> None:
    queued = store.submit(incident())
    claim = asyncio.ensure_future(store.claim(attempt(), [], free))
    await asyncio.sleep(0)
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim
    await queued
    assert (await store.remembered()).attempts == (attempt(),)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    opened = Database(connect(tmp_path_factory.mktemp("store") / "heald.db", MIGRATIONS))
    yield opened
    opened.close()


@given(
    state=st.sampled_from(AttemptState),
    length=st.floats(0, 500),
    release=st.none() | st.floats(0, 1000),
    passed=st.floats(0, 20_000),
    reboot=st.none() | st.booleans(),
    longest=st.floats(0, 10_000),
    cooldown=st.floats(0, 5000),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_engine_would_count_is_given_to_the_claim(
    database: Database, state, length, release, passed, reboot, longest, cooldown
) -> None:
    ended = None if state is AttemptState.RUNNING else later(START, length)
    released = None if release is None else later(START, length + release)
    made = attempt(state=state, ended=ended, released=released, cooldown=cooldown)
    clock = HandClock(later(START, length + (release or 0.0)))
    if reboot is not None:
        clock.reboot(synchronised=reboot)
    clock.pass_by(passed)
    with database.transaction():
        database.put([made])
    found = database.attempts_counting(clock.stamp(), longest)
    assert found in ([], [made])
    if counts_still(made, longest, clock.stamp()):
        assert found == [made]
