"""Work in a thread that takes turns with the loop: it never works while the loop does, nor keeps the loop for long."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from daemon.config.breath import breathe
from daemon.runtime.threads import Threads
from daemon.runtime.turns import TURN, in_turns, let_go


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def with_threads() -> None:
        asyncio.get_running_loop().set_default_executor(Threads())
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(with_threads())


class Work:
    """Counts for as long as a number of turns takes."""

    def __init__(self, turns: int = 5) -> None:
        self.count = 0
        self.seconds = turns * TURN
        self.has_ended = threading.Event()

    def __call__(self) -> int:
        used = time.thread_time()
        while time.thread_time() - used < self.seconds:
            self.count += 1
            breathe()
        self.has_ended.set()
        return self.count


def be_busy() -> None:
    """Keep the loop, and leave the interpreter to any thread that could work."""
    time.sleep(0.001)


def test_work_gives_its_answer_or_its_error() -> None:
    async def scenario() -> None:
        assert await in_turns(lambda: 3) == 3
        with pytest.raises(ZeroDivisionError):
            await in_turns(lambda: 1 // 0)

    run(scenario)


def test_work_stands_still_while_the_loop_works() -> None:
    async def scenario() -> None:
        work = Work()
        task = asyncio.create_task(in_turns(work))
        rounds = 0
        while not task.done():
            await asyncio.sleep(0)
            before = work.count
            be_busy()
            assert work.count == before or work.has_ended.is_set()
            rounds += work.count > 0
        assert await task == work.count
        assert rounds >= 3

    run(scenario)


def test_work_that_waits_for_something_else_does_not_stop_the_loop() -> None:
    async def scenario() -> None:
        disk = threading.Event()
        task = asyncio.create_task(in_turns(lambda: disk.wait(15)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        disk.set()
        assert await task

    run(scenario)


def test_work_whose_caller_is_gone_comes_to_its_end_alone() -> None:
    async def scenario() -> None:
        work = Work()
        task = asyncio.create_task(in_turns(work))
        while not work.count:  # noqa: ASYNC110  # a thread counts, which sets no asyncio.Event
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert work.has_ended.wait(10)

    run(scenario)


def test_nobody_pauses_where_no_loop_waits() -> None:
    work = Work(turns=2)
    assert work() == work.count


def test_two_pieces_of_work_do_not_mix_up_their_turns() -> None:
    async def scenario() -> None:
        works = [Work(), Work()]
        assert await asyncio.gather(*(in_turns(work) for work in works)) == [work.count for work in works]

    run(scenario)


def test_what_is_let_go_is_freed_and_the_loop_goes_on_meanwhile() -> None:
    class Part:
        pass

    async def scenario() -> None:
        kept = Part()
        parts: list[object] = [Part() for _ in range(1000)]
        seen = [weakref.ref(part) for part in parts]
        task = asyncio.create_task(let_go([kept, *parts]))
        parts.clear()
        counts = []
        while not task.done():
            await asyncio.sleep(0)
            counts.append(sum(it() is not None for it in seen))
        assert counts[-1] == 0
        assert any(0 < count < 1000 for count in counts)

    run(scenario)
