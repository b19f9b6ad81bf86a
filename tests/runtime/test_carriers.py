"""One task carries out one run after the other, and none of them feels the others. In virtual time."""

import asyncio
from contextvars import ContextVar
from types import SimpleNamespace

from daemon.model.check import Check
from daemon.runtime.carriers import AT_ONCE, CLAIM_PATIENCE, Carriers
from daemon.runtime.timetable import Slot
from daemon.testing.virtual import pass_time, run_virtual

word: ContextVar[str] = ContextVar("word", default="")


class Crew:
    """Carriers of runs that are methods of a test; who ended and who was cancelled is noted."""

    def __init__(self, clock, start_run, *, concurrency=100, names="abcd", decisions=None):
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.failures: list[Exception] = []
        self.clock = clock
        self.carriers = Carriers(
            clock=clock,
            start_run=start_run,
            concurrency=concurrency,
            decisions=decisions,
            on_lag=lambda seconds: None,
            on_end=self._end,
            on_failure=self.failures.append,
        )
        self.carriers.is_at_rest = False
        self.come_due(names)

    def come_due(self, names) -> None:
        """Have runs of these wait for a place."""
        for name in names:
            slot = Slot(name)
            slot.check = Check(
                name=name, type="fake", options=None, every=10.0, timeout=5.0, retry_every=2.0, vanish_after=300.0
            )
            slot.wanted = self.clock.steady()
            self.carriers.waiting.append(slot)

    async def carry(self, names) -> None:
        """Have runs of these begin, and a second pass."""
        self.come_due(names)
        self.carriers.begin()
        await pass_time(1)

    def _end(self, slot: Slot, is_cancelled: bool) -> None:
        (self.cancelled if is_cancelled else self.ended).append(slot.name)
        self.carriers.begin()


def carried(start_run, *, seconds: float = 1.0, **options) -> Crew:
    async def scenario(clock):
        crew = Crew(clock, start_run, **options)
        crew.carriers.begin()
        await pass_time(seconds)
        await crew.carriers.drain(60)
        return crew

    return run_virtual(scenario)


def test_runs_that_never_wait_share_a_task_and_those_that_wait_have_one_each():
    tasks: dict[str, asyncio.Task] = {}

    async def start_run(check):
        tasks[check.name] = asyncio.current_task()
        if check.name in "bc":
            await pass_time(0.5)
            assert asyncio.current_task() is tasks[check.name]

    crew = carried(start_run, names="abcdef")
    assert sorted(crew.ended) == list("abcdef")
    assert tasks["a"] is tasks["b"]
    assert tasks["d"] is tasks["e"] is tasks["f"]
    assert len({tasks[name] for name in "bcd"}) == 3
    assert crew.carriers.in_flight == 0


def test_a_task_whose_run_has_waited_carries_the_next_and_none_stays_behind():
    tasks: dict[str, asyncio.Task] = {}
    seen: list[str] = []

    async def scenario(clock):
        async def start_run(check):
            tasks[check.name] = asyncio.current_task()
            seen.append(word.get())
            word.set(check.name)
            await pass_time(0.1)

        crew = Crew(clock, start_run, names="")
        await crew.carry("abc")
        await crew.carry("def")
        began = clock.steady()
        await crew.carriers.drain(60)
        assert clock.steady() == began
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return crew

    crew = run_virtual(scenario)
    assert sorted(crew.ended) == list("abcdef")
    assert len({tasks[name] for name in "abc"}) == 3
    assert {tasks[name] for name in "def"} == {tasks[name] for name in "abc"}
    assert seen == [""] * 6


def test_a_task_that_is_cancelled_while_it_stands_by_takes_no_run_with_it():
    tasks: list[asyncio.Task] = []

    async def scenario(clock):
        async def start_run(check):
            tasks.append(asyncio.current_task())
            await pass_time(0.1)

        crew = Crew(clock, start_run, names="")
        await crew.carry("a")
        crew.come_due("b")
        crew.carriers.begin()
        tasks[0].cancel()  # it is called already
        await pass_time(1)
        tasks[1].cancel()
        await crew.carry("c")
        return crew

    crew = run_virtual(scenario)
    assert (crew.ended, crew.cancelled, crew.failures) == (list("abc"), [], [])
    assert len(set(tasks)) == 3


def test_a_task_whose_run_outlived_its_cancellation_carries_no_other():
    tasks: list[asyncio.Task] = []

    async def scenario(clock):
        async def start_run(check):
            tasks.append(asyncio.current_task())
            asyncio.get_running_loop().call_later(0.1, asyncio.current_task().cancel)
            try:
                await pass_time(5)
            except asyncio.CancelledError:
                await pass_time(0.1)

        crew = Crew(clock, start_run, names="")
        await crew.carry("a")
        await crew.carry("b")
        return crew

    crew = run_virtual(scenario)
    assert (crew.ended, crew.failures) == (list("ab"), [])
    assert tasks[0] is not tasks[1]


def test_what_a_run_sets_in_its_context_is_there_after_it_waited_and_for_no_other_run():
    seen: list[str] = []

    async def start_run(check):
        seen.append(word.get())
        word.set(check.name)
        if check.name == "b":
            await pass_time(0.1)
        seen.append(word.get())

    carried(start_run)
    assert sorted(seen) == ["", "", "", "", "a", "b", "c", "d"]


def test_a_run_that_cancels_its_own_task_and_never_waits_takes_no_other_with_it():
    async def start_run(check):
        if check.name == "a":
            asyncio.current_task().cancel()

    crew = carried(start_run)
    assert (crew.cancelled, crew.ended) == (["a"], ["b", "c", "d"])


def test_a_run_that_takes_back_its_own_cancellation_takes_no_other_with_it():
    async def start_run(check):
        if check.name == "a":
            asyncio.current_task().cancel()
            asyncio.current_task().uncancel()

    crew = carried(start_run)
    assert crew.ended == list("abcd")


def test_a_run_that_is_cancelled_while_it_waits_takes_no_other_with_it():
    async def start_run(check):
        if check.name == "a":
            asyncio.get_running_loop().call_later(0.1, asyncio.current_task().cancel)
            await pass_time(5)

    crew = carried(start_run)
    assert (crew.cancelled, crew.ended) == (["a"], ["b", "c", "d"])


def test_a_run_may_limit_its_own_time_in_its_first_step():
    async def start_run(check):
        try:
            async with asyncio.timeout(0.1):
                if check.name != "a":
                    await pass_time(5)
        except TimeoutError:
            assert asyncio.current_task().cancelling() == 0

    crew = carried(start_run)
    assert (sorted(crew.ended), crew.cancelled) == (list("abcd"), [])


def test_what_fails_is_told_and_the_others_go_on():
    async def start_run(check):
        if check.name == "a":
            raise ZeroDivisionError
        if check.name == "b":
            await pass_time(0.1)
            raise KeyError("b")

    crew = carried(start_run)
    assert [type(error) for error in crew.failures] == [ZeroDivisionError, KeyError]
    assert crew.ended == ["c", "d"]
    assert crew.carriers.in_flight == 0


def test_no_more_runs_are_in_flight_than_there_are_places():
    most = 0

    async def scenario(clock):
        async def start_run(check):
            nonlocal most
            most = max(most, crew.carriers.in_flight)
            if check.name in "cdef":
                await pass_time(0.1)

        crew = Crew(clock, start_run, names="abcdefgh", concurrency=3)
        crew.carriers.begin()
        await pass_time(1)
        return crew

    crew = run_virtual(scenario)
    assert sorted(crew.ended) == list("abcdefgh")
    assert most == 3


def beside_a_claim(committed_after: float) -> list[float]:
    """When each of four runs began, where a claim is under way from the start until so many seconds later."""
    began: list[float] = []

    async def scenario(clock):
        async def start_run(check):
            began.append(round(clock.steady() - start, 6))

        start = clock.steady()
        claim = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(committed_after, claim.set_result, None)
        decisions = SimpleNamespace(is_deciding=lambda: False, claiming=claim)
        crew = Crew(clock, start_run, decisions=decisions)
        crew.carriers.begin()
        await pass_time(CLAIM_PATIENCE / 2)
        crew.carriers.begin()  # as at the end of a run that waited
        await pass_time(1)
        assert sorted(crew.ended) == list("abcd")

    run_virtual(scenario)
    return began


def test_no_run_begins_while_a_claim_is_committed():
    assert beside_a_claim(CLAIM_PATIENCE / 4) == [CLAIM_PATIENCE / 4] * 4


def test_a_claim_that_takes_long_is_waited_for_once_and_no_longer_than_a_moment():
    assert beside_a_claim(10 * CLAIM_PATIENCE) == [CLAIM_PATIENCE] * 4


def test_nothing_begins_after_a_claim_once_all_is_at_rest():
    async def scenario(clock):
        async def start_run(check):
            raise AssertionError("it began")

        claim = asyncio.get_running_loop().create_future()
        crew = Crew(clock, start_run, decisions=SimpleNamespace(is_deciding=lambda: False, claiming=claim))
        crew.carriers.begin()
        await asyncio.sleep(0)
        crew.carriers.is_at_rest = True
        claim.set_result(None)
        await pass_time(1)
        return crew

    crew = run_virtual(scenario)
    assert (crew.failures, crew.ended) == ([], [])


def test_a_few_runs_begin_between_claims_that_come_without_a_gap():
    began: list[float] = []

    async def scenario(clock):
        async def start_run(check):
            began.append(round((clock.steady() - start) / CLAIM_PATIENCE, 6))

        loop, start = asyncio.get_running_loop(), clock.steady()
        decisions = SimpleNamespace(is_deciding=lambda: True, claiming=loop.create_future())

        def commit() -> None:
            ended, decisions.claiming = decisions.claiming, loop.create_future()
            ended.set_result(None)

        for number in range(1, 10):
            loop.call_later(number * CLAIM_PATIENCE / 2, commit)
        crew = Crew(clock, start_run, names=[f"c{number}" for number in range(2 * AT_ONCE)], decisions=decisions)
        crew.carriers.begin()
        await pass_time(1)

    run_virtual(scenario)
    assert began == [0.5] * AT_ONCE + [1.0] * AT_ONCE
