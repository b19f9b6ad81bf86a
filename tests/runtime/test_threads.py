"""Calls in threads that hang: what they take from others, and that nobody waits for them."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from daemon.errors import CheckError
from daemon.runtime.threads import MOST, Threads, caller


@pytest.fixture
def hang() -> Any:
    """A call that hangs until the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def with_threads() -> None:
        asyncio.get_running_loop().set_default_executor(Threads())
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(with_threads())  # which shuts the executor down, and would wait for a pool's threads


async def as_check(name: str, call: Callable[[], Any]) -> Any:
    caller.set(name)
    return await asyncio.to_thread(call)


def test_a_call_gives_its_answer_or_its_error() -> None:
    async def scenario() -> None:
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        assert await asyncio.to_thread(lambda: threading.current_thread().daemon)

    run(scenario)


def test_calls_that_hang_stop_neither_others_nor_the_end(hang: Callable[[], None]) -> None:
    async def scenario() -> None:
        calls = [asyncio.create_task(asyncio.to_thread(hang)) for _ in range(200)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        for call in calls:
            call.cancel()

    run(scenario)


def test_a_check_whose_calls_do_not_come_back_is_blind_and_no_other(hang: Callable[[], None]) -> None:
    async def scenario() -> None:
        calls = [asyncio.create_task(as_check("disk", hang)) for _ in range(MOST)]
        await asyncio.sleep(0)
        with pytest.raises(CheckError, match=f"{MOST} calls of earlier runs have not come back"):
            await asyncio.create_task(as_check("disk", int))
        assert await asyncio.create_task(as_check("other", int)) == 0
        for call in calls:
            call.cancel()

    run(scenario)


def test_a_call_that_came_back_makes_room() -> None:
    async def scenario() -> None:
        for _ in range(3 * MOST):
            assert await asyncio.create_task(as_check("disk", int)) == 0
        with pytest.raises(ValueError, match="of the call"):
            await asyncio.create_task(as_check("disk", fail))

    run(scenario)


def fail() -> None:
    raise ValueError("of the call")
