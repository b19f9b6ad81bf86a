"""What the store tells of a time that has just passed, on a real file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_samples import START, HandClock, attempt, hold, incident, later, over

from daemon.model.incident import HoldReason
from daemon.store.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    clock = HandClock()
    opened = await Store.open(tmp_path / "state", clock)
    for number in range(1, 5):
        at = later(START, number * 100.0)
        told = {"handed_over": HoldReason.BUDGET, "handed_over_at": at} if number % 2 else {}
        await opened.submit(over(attempt(number, claimed=at), at), hold(number, at=at), incident(number, **told))
    clock.pass_by(500.0)
    yield opened
    await opened.close()


async def test_only_what_is_as_new_is_told_oldest_first(store: Store) -> None:
    assert [int(it.id[:13]) for it in await store.attempts_since(250.0, most=10)] == [3, 4]
    assert [it.incident[-1] for it in await store.holds_since(250.0, most=10)] == ["3", "4"]
    assert [it.id[-1] for it in await store.handed_over_since(250.0, most=10)] == ["3"]


async def test_of_too_many_the_newest_are_told(store: Store) -> None:
    assert [int(it.id[:13]) for it in await store.attempts_since(1000.0, most=2)] == [3, 4]


async def test_who_was_never_handed_over_is_not_told_as_such(store: Store) -> None:
    assert [it.id[-1] for it in await store.handed_over_since(1000.0, most=10)] == ["1", "3"]


async def test_nothing_is_told_of_a_time_in_which_nothing_was(store: Store) -> None:
    assert await store.attempts_since(50.0, most=10) == []
