"""A state file in memory: what a killed daemon leaves behind is there for the next one."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from daemon.model.incident import IncidentState
from daemon.store.batches import BATCH
from daemon.store.memory import Memory, open_in_memory
from daemon.store.worker import at_once
from daemon.testing.simulated_clock import SimulatedClock
from tests.store.store_samples import attempt, history_row, hold, incident, ladder, track, transition


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


def rows(memory: Memory) -> dict[str, int]:
    """How many there are, by table."""
    database = memory.database()
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}


def test_each_memory_begins_empty_whatever_was_in_the_one_before() -> None:
    clock = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC))
    for _ in range(3):
        memory = Memory()
        assert set(rows(memory).values()) == {0}
        store = open_in_memory(memory, clock)
        store.submit(incident(), transition(), hold(), ladder(), track(state=IncidentState.FIRING))
        store.append_history([history_row()] * BATCH)
        assert at_once(store.claim(replace(attempt(), claimed=clock.stamp()), [], lambda _: None)) is None
        assert {name for name, count in rows(memory).items() if not count} == {"orders", "approvals"}
        memory.close()


def test_two_memories_at_once_know_nothing_of_each_other() -> None:
    clock = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC))
    memories = [Memory(), Memory()]
    open_in_memory(memories[0], clock).submit(incident())
    assert [rows(memory)["incidents"] for memory in memories] == [1, 0]
    for memory in memories:
        memory.close()


def test_what_a_fault_left_open_is_nothing_to_the_next_daemon() -> None:
    clock, memory = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC)), Memory()
    open_in_memory(memory, clock)
    memory.database().execute("BEGIN IMMEDIATE")
    open_in_memory(memory, clock).submit(incident())
    assert rows(memory)["incidents"] == 1
    memory.close()
