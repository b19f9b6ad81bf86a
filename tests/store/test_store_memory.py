"""A state file in memory: what a killed daemon leaves behind is there for the next one."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from daemon.store.memory import Memory, open_in_memory
from daemon.testing.simulated_clock import SimulatedClock
from tests.store.store_samples import attempt


def test_what_was_committed_outlives_the_store_and_what_was_not_does_not() -> None:
    clock, memory = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC)), Memory()
    one = replace(attempt(), claimed=clock.stamp())

    async def live() -> None:
        store = open_in_memory(memory, clock)
        assert store.is_writable
        assert await store.claim(one, [], lambda _: None) is None
        await store.abandon()
        again = open_in_memory(memory, clock)
        assert [it.id for it in await again.counting()] == [one.id]
        await again.abandon()

    asyncio.run(live())
    memory.close()


def test_each_memory_begins_empty() -> None:
    clock = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC))
    for _ in range(2):
        memory = Memory()
        store = open_in_memory(memory, clock)
        assert asyncio.run(store.counting()) == []
        asyncio.run(store.claim(replace(attempt(), claimed=clock.stamp()), [], lambda _: None))
        memory.close()
