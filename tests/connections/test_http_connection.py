"""What `keep_alive` keeps: how many, for how long, and that the end ends it."""

import asyncio

import pytest

from daemon.connections.http import Kept, Options, close, connect
from tests.lab.contexts import check_context


class Idle:
    is_open = True

    def close(self) -> None:
        self.is_open = False


async def test_what_is_given_back_after_the_end_is_ended() -> None:
    kept, early, late = Kept(300, 1000), Idle(), Idle()
    kept.give("a", early)
    kept.close()
    kept.give("a", late)
    assert (early.is_open, late.is_open, kept.take("a")) == (False, False, None)


async def test_the_oldest_beyond_a_thousand_and_what_is_idle_too_long_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    kept, given = Kept(300, 1000), [Idle() for _ in range(1200)]
    for number, idle in enumerate(given):
        kept.give(number, idle)
    assert [idle.is_open for idle in given] == [False] * 200 + [True] * 1000
    now += 301
    fresh = Idle()
    kept.give("fresh", fresh)
    assert sum(idle.is_open for idle in given) == 0
    assert kept.take("fresh") is fresh
    assert kept.take("fresh") is None


async def test_one_that_is_idle_too_long_is_closed_though_others_of_its_place_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    kept, one, other, unused = Kept(300, 1000), Idle(), Idle(), Idle()
    for each in (unused, one, other):
        kept.give("a", each)
    for _ in range(10):
        assert {kept.take("a"), kept.take("a")} == {one, other}
        kept.give("a", one)
        now += 61
        kept.give("a", other)
    assert (unused.is_open, one.is_open, other.is_open) == (False, True, True)
    assert [kept.take("a") for _ in range(3)] == [other, one, None]


async def test_beyond_the_most_only_the_oldest_of_a_place_is_closed() -> None:
    kept, given = Kept(300, 3), [Idle() for _ in range(4)]
    for each in given:
        kept.give("a", each)
    assert [each.is_open for each in given] == [False, True, True, True]
    assert [kept.take("a") for _ in range(4)] == [given[3], given[2], given[1], None]


async def test_it_is_opened_with_its_settings_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await connect(Options(most=1), check_context())
    first, second = Idle(), Idle()
    kept.give("a", first)
    kept.give("b", second)
    assert (first.is_open, second.is_open) == (False, True)
    await close(kept)
    assert not second.is_open
