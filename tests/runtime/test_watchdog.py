"""When systemd is told that heald lives, and when it is not (law 11)."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.clock import SystemClock
from daemon.notify_socket import NotifySocket
from daemon.runtime.scheduler import Scheduler
from daemon.runtime.watchdog import Watchdog
from daemon.store.store import Store

PATIENCE = 1.2  # seconds of systemd's; a turn of the scheduler may wait 0.2 for others


@pytest.fixture
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(tmp_path_factory.mktemp("n") / "notify"))
        yield listening


def tellings(heard: socket.socket) -> int:
    """How often it was told since the last call."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += heard.recv(4096) == b"WATCHDOG=1"
    return count


class Life:
    """A scheduler without checks, a store, and the watchdog over both."""

    def __init__(self, heard: socket.socket, store: Store) -> None:
        clock = SystemClock()
        variables = {"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": str(int(PATIENCE * 1e6))}

        async def run(_: object) -> None:
            raise AssertionError("there is nothing to run")

        self.scheduler = Scheduler(
            clock=clock,
            start_run=run,
            interval=lambda check: check.every,
            concurrency=1,
            on_lag=lambda _: None,
            on_skip=lambda *_: None,
        )
        self.store = store
        self.rounds_left = 0
        self.is_done = asyncio.Event()
        self.watchdog = Watchdog(
            NotifySocket(variables), store=store, scheduler=lambda: self.scheduler, clock=clock, say=self.say
        )

    def say(self) -> None:
        self.rounds_left -= 1
        if self.rounds_left == 0:
            self.is_done.set()

    async def rounds(self, count: int) -> None:
        """Let so many rounds pass."""
        self.is_done.clear()
        self.rounds_left = count
        await self.is_done.wait()


@contextlib.asynccontextmanager
async def living(heard: socket.socket, folder: Path):
    store = await Store.open(folder / "state", SystemClock())
    life = Life(heard, store)
    turning = asyncio.create_task(life.scheduler.run())
    watching = asyncio.create_task(life.watchdog.run())
    try:
        yield life, turning
    finally:
        turning.cancel()
        watching.cancel()
        await asyncio.wait([turning, watching])
        await store.close()


async def test_it_is_told_while_both_live_even_if_nothing_is_due(heard: socket.socket, tmp_path: Path) -> None:
    async with living(heard, tmp_path) as (life, _):
        await life.rounds(4)
        assert tellings(heard) >= 3


async def test_it_is_not_told_once_the_scheduler_stands_still(heard: socket.socket, tmp_path: Path) -> None:
    async with living(heard, tmp_path) as (life, turning):
        await life.rounds(2)
        turning.cancel()
        await life.rounds(1)  # the round that was under way may still have seen it
        tellings(heard)
        await life.rounds(3)
        assert tellings(heard) == 0


async def test_it_is_not_told_while_the_stores_thread_is_silent_and_is_told_when_it_answers_again(
    heard: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="heald")
    async with living(heard, tmp_path) as (life, _):
        await life.rounds(2)
        answer = threading.Event()
        hanging = life.store._call(answer.wait)  # as a disk that does not answer
        await life.rounds(1)
        tellings(heard)
        await life.rounds(3)
        assert tellings(heard) == 0
        answer.set()
        assert await hanging
        await life.rounds(2)
        assert tellings(heard) >= 1
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if "thread" in line] == [
        "The store's thread has not answered for 0.3s.",
        "The store's thread answers again.",
    ]


async def test_it_ends_when_it_is_told_to_in_the_very_instant_in_which_the_store_answers(
    heard: socket.socket, tmp_path: Path
) -> None:
    async with living(heard, tmp_path) as (life, _):
        answer = asyncio.get_running_loop().create_future()
        life.store.ping = lambda: answer  # type: ignore[method-assign]  # so that the instant can be chosen
        watching = asyncio.create_task(life.watchdog.run())
        await asyncio.sleep(0)
        answer.set_result(0.0)
        await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching], timeout=PATIENCE)
        assert watching.cancelled()


async def test_a_store_that_answers_with_an_error_lives(heard: socket.socket, tmp_path: Path) -> None:
    async with living(heard, tmp_path) as (life, _):
        (tmp_path / "state" / "heald.db").rename(tmp_path / "away")
        await life.rounds(1)
        tellings(heard)
        await life.rounds(3)
        assert tellings(heard) >= 2
