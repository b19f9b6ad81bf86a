"""Daemons of their own, which the tests starve, lock out and kill: `python store_child.py NAME DIRECTORY [...]`.

Each says what it does in lines on its standard output, and waits for lines on its standard input.
"""

import asyncio
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from store_samples import HandClock, attempt, incident, ladder, transition  # noqa: E402  # the path comes first

from daemon.errors import StoreError  # noqa: E402  # as above
from daemon.store import opening  # noqa: E402  # as above
from daemon.store.store import Store  # noqa: E402  # as above


def say(*words: object) -> None:
    print(*words, flush=True)


async def line() -> str:
    """What the test says next; its end is ours, so that no child outlives its test."""
    text = await asyncio.to_thread(sys.stdin.readline)
    if not text:
        os._exit(3)
    return text.strip()


async def claim(directory: Path) -> None:
    """Claim, say so, and stand before the effect."""
    store = await Store.open(directory, HandClock())
    await store.claim(attempt(), [ladder(attempt=attempt().id), transition()], lambda _: None)
    say("claimed")
    await line()


async def claims(directory: Path, first: str) -> None:
    """Claim for ever, and submit between the claims; say only what is on the disk."""
    store = await Store.open(directory, HandClock())
    for number in range(int(first), 10**9):
        submitted = store.submit(incident(number), transition(number))
        await store.claim(attempt(number), [ladder(nth=number)], lambda _: None)
        say(number)
        await submitted


async def starve(directory: Path, limit: str) -> None:
    """Write until a file may grow no further, then wait until the limit is lifted."""
    store = await Store.open(directory, HandClock(), retry_every=0.02)
    store.on_change = lambda is_writable, why: say("writable" if is_writable else f"unwritable {why}")
    keeper = asyncio.ensure_future(store.keep())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    await store.claim(attempt(1), [], lambda _: None)
    await store.submit(incident(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
    await fill(store)
    await refused(store)
    await line()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await recovered(store, keeper)


async def fill(store: Store) -> None:
    written = 1
    while store.is_writable:
        try:
            await store.submit(incident(written + 1, because="x" * 2000))
            written += 1
        except StoreError as error:
            say("failed", written, error)


async def refused(store: Store) -> None:
    """Nothing can be claimed; rows and their newer versions wait."""
    try:
        await store.claim(attempt(2), [ladder(nth=9)], lambda _: None)
    except StoreError:
        say("refused")
    for nth in range(50):
        store.submit(ladder(nth=nth), transition(because=str(nth)))
    say("read", len(await store.incidents(limit=10**6, closed=True)))


async def recovered(store: Store, keeper: asyncio.Future) -> None:
    while not store.is_writable:  # noqa: ASYNC110  # what a caller sees, not what the store knows
        await asyncio.sleep(0.005)
    held = await store.claim(attempt(3), [], lambda attempts: say("counted", *(it.id for it in attempts)))
    say("claimed" if held is None else held)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    say("left", await store.close())


async def wait_for_room(directory: Path, lift: Callable[[], None] = lambda: None) -> None:
    """Start where nothing can be written, and wait until it can."""
    store = await Store.open(directory, HandClock(), retry_every=0.02)
    say("open", store.is_writable, store.why)
    keeper = asyncio.ensure_future(store.keep())
    store.on_change = lambda is_writable, why: say("writable" if is_writable else f"unwritable {why}")
    try:
        await store.claim(attempt(2), [], lambda _: None)
    except StoreError:
        say("refused")
    store.submit(incident(2))
    await line()
    lift()
    await recovered(store, keeper)


async def starved_from_the_start(directory: Path, limit: str) -> None:
    """As `wait_for_room`, with files that may not grow."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
    await wait_for_room(directory, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


async def full_mount(directory: Path) -> None:
    """As `wait_for_room`, on a file system of 1 MB that is full. Needs a mount namespace of its own."""
    mount("-t", "tmpfs", "-o", "size=1M", "none", directory)
    hog = directory / "hog"
    with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # until it is full
        while True:
            file.write(b"x" * 4096)
    await wait_for_room(directory / "state", hog.unlink)


async def read_only_mount(directory: Path) -> None:
    """As `wait_for_room`, on a file system that is read-only at first. Needs a mount namespace of its own."""
    mount("-t", "tmpfs", "none", directory)
    store = await Store.open(directory / "state", HandClock())
    await store.claim(attempt(1), [], lambda _: None)
    await store.close()
    mount("-o", "remount,ro", directory)
    await wait_for_room(directory / "state", lambda: mount("-o", "remount,rw", directory))


async def migrate(directory: Path, migrations: str) -> None:
    """Migrate, and stop for ever in the middle: once `stuck()` is called by the migration."""
    real = sqlite3.connect

    def stuck() -> str:
        say("stuck")
        return sys.stdin.readline()

    def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = real(*args, **kwargs)
        connection.create_function("stuck", 0, stuck)
        return connection

    opening.sqlite3.connect = connect
    await Store.open(directory, HandClock(), migrations=Path(migrations))
    say("migrated")


if __name__ == "__main__":
    name, place, *rest = sys.argv[1:]
    asyncio.run(globals()[name](Path(place), *rest))
