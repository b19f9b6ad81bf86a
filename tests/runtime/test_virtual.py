"""Virtual time: when it jumps, when it stands still, and what its clock says."""

import asyncio
import itertools
import threading
from datetime import UTC, datetime

import pytest

from daemon.model.moment import age
from daemon.testing import virtual
from daemon.testing.virtual import VirtualClock, VirtualLoop, pass_time, run_virtual


def test_a_day_of_sleeping_falls_on_exact_instants():
    async def scenario(clock):
        began, instants = clock.steady(), []
        for _ in range(2880):
            await pass_time(30)
            instants.append(clock.steady() - began)
        return instants

    assert run_virtual(scenario) == [30.0 * n for n in range(1, 2881)]


def test_timers_fire_in_the_order_of_their_times():
    async def scenario(clock):
        fired, loop = [], asyncio.get_running_loop()
        for seconds in (3.3, 1.1, 2.2):
            loop.call_later(seconds, lambda seconds=seconds: fired.append((seconds, round(loop.time() - zero, 9))))
        zero = loop.time()
        await pass_time(5)
        return fired

    assert run_virtual(scenario) == [(1.1, 1.1), (2.2, 2.2), (3.3, 3.3)]


def test_time_stands_still_while_a_thread_works():
    async def scenario(clock):
        began = clock.steady()
        timer = asyncio.create_task(pass_time(0.001))
        await asyncio.to_thread(threading.Event().wait, 0.05)
        assert not timer.done()
        stood = clock.steady() - began
        await timer
        return stood, clock.steady() - began

    assert run_virtual(scenario) == (0.0, pytest.approx(0.001))


def test_time_stands_still_while_something_registered_is_busy():
    async def scenario(clock):
        loop = asyncio.get_running_loop()
        looks = iter([True, True, True])
        loop.busy_when(lambda: next(looks, False))
        await pass_time(60)
        return list(looks)

    assert run_virtual(scenario) == []


def test_real_sockets_work_and_time_waits_for_them():
    async def scenario(clock):
        async def answer(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        began = clock.steady()
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
            writer.close()
            await writer.wait_closed()
        return clock.steady() - began

    assert run_virtual(scenario) == 0.0


def test_a_deadlock_fails_instead_of_hanging(monkeypatch):
    monkeypatch.setattr(virtual, "_PATIENCE", 0.05)
    loop = VirtualLoop()
    forever = loop.create_future()
    with pytest.raises(RuntimeError, match="virtual time stands still"):
        loop.run_until_complete(forever)
    loop.close()


def test_what_would_run_for_ever_fails_at_its_limit():
    async def scenario(clock):
        for _ in itertools.count():
            await pass_time(1)

    with pytest.raises(TimeoutError):
        run_virtual(scenario, lasts=3600)


def test_advance_is_a_callback_that_blocked_the_loop():
    async def scenario(clock):
        loop, seen = asyncio.get_running_loop(), []
        zero = clock.steady()
        loop.call_later(1, loop.advance, 10)
        loop.call_later(2, lambda: seen.append(clock.steady() - zero))
        await pass_time(3)
        return seen

    assert run_virtual(scenario) == [11.0]


def test_only_virtual_time_can_be_passed():
    with pytest.raises(RuntimeError, match="this loop is a real one"):
        asyncio.run(pass_time(1))


def test_a_jump_moves_the_wall_clock_alone():
    async def scenario(clock: VirtualClock):
        before = clock.stamp()
        clock.jump(-3600)
        await pass_time(60)
        return before, clock.stamp(), clock.now()

    before, after, now = run_virtual(scenario, start=datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert now == datetime(2026, 1, 1, 11, 1, tzinfo=UTC)
    assert after.wall - before.wall == -3540
    assert (after.boottime - before.boottime, age(before, after)) == (60, 60)


def test_a_reboot_starts_the_steady_clock_anew():
    async def scenario(clock: VirtualClock):
        before = clock.stamp()
        clock.reboot()
        clock.synchronised = False
        await pass_time(5)
        return before, clock.stamp()

    before, after = run_virtual(scenario)
    assert before.boot != after.boot
    assert after.boottime == pytest.approx(5)
    assert after.wall - before.wall == pytest.approx(5)
    assert (before.synchronised, after.synchronised) == (True, False)
