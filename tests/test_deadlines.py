"""Deadlines: each at its time, none that was called off, one timer for all; and a block that may take so long."""

import asyncio
import contextlib
import threading

import pytest

from daemon import deadlines
from daemon.deadlines import Within, deadline
from daemon.testing.virtual import pass_time, run_virtual


def timers() -> int:
    """How many of the loop's timers are set."""
    return sum(not timer.cancelled() for timer in asyncio.get_running_loop()._scheduled)


def test_each_is_met_at_its_time_and_in_the_order_of_times():
    async def scenario(clock):
        met, began = [], clock.steady()
        for seconds in (3.25, 1.5, 2.0, 1.5, 0.0):
            deadline(seconds, lambda seconds=seconds: met.append((seconds, clock.steady() - began)))
        await pass_time(5)
        return met

    assert run_virtual(scenario) == [(0.0, 0.0), (1.5, 1.5), (1.5, 1.5), (2.0, 2.0), (3.25, 3.25)]


def test_one_that_is_called_off_is_not_met_even_by_one_of_the_same_moment():
    async def scenario(clock):
        met = []
        first = deadline(1, lambda: met.append("first"))
        second = deadline(2, lambda: (met.append("second"), third.cancel()))
        third = deadline(2, lambda: met.append("third"))
        first.cancel()
        await pass_time(3)
        second.cancel()  # it was met: nothing happens
        return met

    assert run_virtual(scenario) == ["second"]


def test_one_may_set_another():
    async def scenario(clock):
        met, began = [], clock.steady()

        def meet():
            met.append(clock.steady() - began)
            if len(met) < 4:
                deadline(len(met) - 1, meet)

        deadline(1, meet)
        await pass_time(10)
        return met

    assert run_virtual(scenario) == [1, 1, 2, 4]


def test_one_that_sets_another_for_at_once_gives_the_loop_a_turn_before():
    async def scenario(clock):
        said = []

        def meet():
            said.append("met")
            if said.count("met") < 3:
                asyncio.get_running_loop().call_soon(said.append, "turn")
                deadline(0, meet)

        deadline(1, meet)
        await pass_time(2)
        return said

    assert run_virtual(scenario) == ["met", "turn", "met", "turn", "met"]


def test_one_that_raises_is_told_of_and_the_others_are_met():
    async def scenario(clock):
        met, told = [], []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"].args))

        def fail():
            raise ValueError("a bug")

        for call in (fail, lambda: met.append("other")):
            deadline(1, call)
        deadline(2, lambda: met.append("later"))
        await pass_time(3)
        return met, told

    assert run_virtual(scenario) == (["other", "later"], [("a bug",)])


def test_all_have_one_timer_and_those_called_off_are_not_kept():
    async def scenario(clock):
        before = timers()
        for _ in range(10):
            deadline(100, lambda: None)
        for _ in range(5000):
            deadline(50, lambda: None).cancel()
        return timers() - before, len(deadlines._newest[0]._heap)

    set_, kept = run_virtual(scenario)
    assert set_ == 1
    assert 10 <= kept <= 500


def test_the_timer_ends_with_what_it_stands_for():
    async def scenario(clock):
        before = timers()
        deadline(1, lambda: None).cancel()
        await pass_time(2)
        return timers() - before

    assert run_virtual(scenario) == 0


def test_two_loops_have_deadlines_of_their_own():
    met = []

    async def wait(name, both):
        asked = asyncio.get_running_loop().create_future()
        deadline(0.05, lambda: (met.append(name), asked.set_result(None)))
        await asyncio.to_thread(both.wait)  # the other's are asked for before these are met
        await asked

    both = threading.Barrier(2)
    threads = [threading.Thread(target=asyncio.run, args=(wait(name, both),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(met) == ["a", "b"]


# ---- a block that may take so long -------------------------------------------------------------------------------


def test_a_block_that_ends_in_time_is_left_alone():
    async def scenario(clock):
        with Within(2):
            await pass_time(1)
        await pass_time(5)
        return asyncio.current_task().cancelling()

    assert run_virtual(scenario) == 0


def test_a_block_that_does_not_is_cancelled_at_its_time():
    async def scenario(clock):
        began = clock.steady()
        with pytest.raises(TimeoutError), Within(2):
            await pass_time(10)
        return clock.steady() - began, asyncio.current_task().cancelling()

    assert run_virtual(scenario) == (2.0, 0)


def test_of_two_blocks_the_one_whose_time_is_over_says_so():
    async def scenario(clock):
        with pytest.raises(TimeoutError), Within(1), Within(2):
            await pass_time(10)
        with Within(2):
            with pytest.raises(TimeoutError), Within(1):
                await pass_time(10)
            await pass_time(0.5)
        return asyncio.current_task().cancelling()

    assert run_virtual(scenario) == 0


def test_who_cancels_the_task_cancels_it_and_is_no_time_out():
    async def scenario(clock):
        async def waits():
            with Within(2):
                await pass_time(10)

        early, late = asyncio.create_task(waits()), asyncio.create_task(waits())
        await pass_time(1)
        early.cancel()
        asyncio.get_running_loop().call_later(1, late.cancel)  # the very moment at which its time is over
        await pass_time(3)
        return early.cancelled(), late.cancelled()

    assert run_virtual(scenario) == (True, True)


def test_what_a_block_raises_and_a_cancellation_that_it_swallows_are_its_own():
    async def scenario(clock):
        async def raises():
            with Within(1):
                try:
                    await pass_time(10)
                except asyncio.CancelledError:
                    raise KeyError from None

        with pytest.raises(KeyError):
            await raises()
        with Within(1), contextlib.suppress(asyncio.CancelledError):
            await pass_time(10)
        await pass_time(1)
        return asyncio.current_task().cancelling()

    assert run_virtual(scenario) == 0


async def test_only_a_task_can_be_given_a_time():
    told = asyncio.get_running_loop().create_future()

    def enter():
        try:
            Within(1).__enter__()
        except RuntimeError as error:
            told.set_result(str(error))

    asyncio.get_running_loop().call_soon(enter)
    assert await told == "only a task can be given so many seconds"
