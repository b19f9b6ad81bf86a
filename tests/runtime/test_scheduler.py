"""When runs begin: phases, order, places, skips, catching up, reload, timers. All in virtual time."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from daemon.model.check import Check
from daemon.runtime.carriers import AT_ONCE
from daemon.runtime.scheduler import Scheduler
from daemon.runtime.timetable import aligned, next_due, phase, why_waiting
from daemon.testing.virtual import pass_time, run_virtual


def check(name: str, every: float = 10.0, **changes) -> Check:
    fields = {"timeout": min(10.0, every), "retry_every": every / 5, "vanish_after": 300.0} | changes
    return Check(name=name, type="fake", options=None, every=every, **fields)


class World:
    """A scheduler whose runs take as long as `takes` says; everything it does is noted with its time."""

    def __init__(self, clock, *checks: Check, **options) -> None:
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.zero = clock.steady()
        self.began: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str]] = []
        self.lags: list[float] = []
        self.skips: list[tuple[float, str, str]] = []
        self.takes: dict[str, float] = {}
        self.intervals: dict[str, float] = {}
        self.versions: list[Check] = []
        self.most_in_flight = 0
        options = {"concurrency": 512, "coalesce": 0.0, "spread": False} | options
        self.scheduler = Scheduler(
            clock=clock,
            start_run=lambda check: self.start_run(check),
            interval=lambda check: self.intervals.get(check.name, check.every),
            on_lag=self.lags.append,
            on_skip=lambda check, why: self.skips.append((self.now, check.name, why)),
            **options,
        )
        self.replace(*checks)
        self.standing = asyncio.create_task(self.scheduler.run())

    @property
    def now(self) -> float:
        return round(self.clock.steady() - self.zero, 6)

    def replace(self, *checks: Check) -> None:
        self.scheduler.replace({check.name: check for check in checks})

    async def start_run(self, check: Check) -> None:
        self.began.append((self.now, check.name))
        self.versions.append(check)
        self.most_in_flight = max(self.most_in_flight, self.scheduler.in_flight)
        if takes := self.takes.get(check.name, 0.0):
            await pass_time(takes)
        self.ended.append((self.now, check.name))

    def times(self, name: str) -> list[float]:
        return [when for when, who in self.began if who == name]

    async def until(self, when: float) -> None:
        await pass_time(self.zero + when - self.clock.steady())

    async def close(self) -> None:
        self.standing.cancel()
        await self.scheduler.drain(60)


def in_world(story, *checks: Check, **options) -> World:
    """The world after `story(world)`, with its scheduler stopped."""

    async def scenario(clock):
        world = World(clock, *checks, **options)
        try:
            await story(world)
        finally:
            await world.close()
        return world

    return run_virtual(scenario)


def lasting(seconds: float):
    return lambda world: world.until(seconds)


# ---- phases, order, drift ----------------------------------------------------------------------------------------


def test_runs_begin_at_start_and_then_at_every_interval():
    world = in_world(lasting(35), check("a"))
    assert world.times("a") == [0, 10, 20, 30]
    assert world.lags == [0, 0, 0, 0]


def test_first_runs_are_spread_over_one_interval_by_the_name_alone():
    names = [f"check_{n}" for n in range(100)]
    worlds = [in_world(lasting(19.99), *(check(name) for name in names), spread=True) for _ in range(2)]
    first = {name: worlds[0].times(name)[0] for name in names}
    assert worlds[0].began == worlds[1].began
    assert all(0 <= when < 10 for when in first.values())
    assert all(5 <= count <= 16 for count in Counter(int(when) for when in first.values()).values())
    assert worlds[0].times("check_7") == pytest.approx([first["check_7"], first["check_7"] + 10])


def test_what_is_due_at_one_instant_begins_in_the_order_of_the_file():
    world = in_world(lasting(1), check("z"), check("a"), check("m"))
    assert [name for _, name in world.began] == ["z", "a", "m"]


def test_runs_that_take_long_do_not_make_later_ones_drift():
    async def story(world):
        world.takes["a"] = 9.5
        await world.until(999)

    world = in_world(story, check("a"))
    assert world.times("a") == [10.0 * n for n in range(100)]


def test_phases_spread_evenly_and_never_change():
    assert phase("api_health") == phase("api_health") != phase("api_health2")
    assert abs(sum(phase(f"check_{n}") for n in range(1000)) / 1000 - 0.5) < 0.03


# ---- skips and places --------------------------------------------------------------------------------------------


def test_a_check_whose_last_run_has_not_ended_is_skipped_and_counted_while_others_go_on():
    async def story(world):
        world.takes["slow"] = 25
        await world.until(39)

    world = in_world(story, check("slow"), check("quick"))
    assert world.times("slow") == [0, 30]
    assert world.skips == [
        (10, "slow", "its last run has not ended"),
        (20, "slow", "its last run has not ended"),
    ]
    assert world.times("quick") == [0, 10, 20, 30]


def test_no_more_runs_are_in_flight_than_there_are_places_and_none_is_lost():
    async def story(world):
        world.takes = {f"c{n}": 1.0 for n in range(10)}
        await world.until(9)

    world = in_world(story, *(check(f"c{n}") for n in range(10)), concurrency=4)
    assert world.most_in_flight == 4
    assert world.began == [(0, f"c{n}") for n in range(4)] + [(1, f"c{n}") for n in range(4, 8)] + [
        (2, "c8"),
        (2, "c9"),
    ]
    assert sorted(set(world.lags)) == [0, 1, 2]
    assert world.skips == []


def test_a_run_that_gets_no_place_before_its_next_is_due_is_skipped_and_says_why():
    async def story(world):
        world.takes["hog"] = 25
        await world.until(29)

    world = in_world(story, check("hog", 100), check("a"), concurrency=1)
    assert world.times("a") == [25]
    sentence = "its last run has not begun: 1 are in flight, the most that may be"
    assert world.skips == [(10, "a", sentence), (20, "a", sentence)]


@pytest.mark.parametrize(("decides", "at_once"), [(False, AT_ONCE), (True, 1)], ids=["usual", "a claim is on its way"])
def test_a_few_begin_in_one_step_of_the_loop_and_all_else_has_its_turn_between(decides, at_once):
    async def story(world):
        seen: list[int] = []

        def look() -> None:
            seen.append(len(world.began))
            if len(world.began) < 10:
                world.loop.call_soon(look)

        world.loop.call_soon(look)
        await world.until(1)
        assert max(after - before for before, after in pairwise(seen)) == at_once

    world = in_world(
        story,
        *(check(f"c{n}") for n in range(10)),
        decisions=SimpleNamespace(is_deciding=lambda: decides, claiming=None),
    )
    assert world.began == [(0, f"c{n}") for n in range(10)]
    assert world.skips == []


def test_runs_that_end_while_others_wait_for_their_step_begin_no_more_of_them():
    async def story(world):
        steps: list[int] = []

        def look() -> None:
            steps.append(world.scheduler.in_flight)
            if len(world.began) < 40:
                world.loop.call_soon(look)

        world.takes = {"c0": 0.5, "c1": 0.5}
        world.loop.call_soon(look)
        await world.until(2)
        assert max(steps) <= 2 * AT_ONCE + 2

    world = in_world(story, *(check(f"c{n}") for n in range(40)))
    assert len(world.began) == 40


def test_nothing_that_waits_for_its_step_begins_once_the_scheduler_rests():
    async def story(world):
        await asyncio.sleep(0)  # the standing task
        await asyncio.sleep(0)  # its first turn
        await world.scheduler.drain(1.0)
        await world.until(5)

    world = in_world(story, *(check(f"c{n}") for n in range(3 * AT_ONCE)))
    assert len(world.began) <= AT_ONCE


@pytest.mark.parametrize(("in_flight", "why"), [(7, "more is due than this host can do"), (8, "8 are in flight")])
def test_why_a_run_waits_is_said(in_flight, why):
    assert why in why_waiting(in_flight, 8)


# ---- coalescing --------------------------------------------------------------------------------------------------


def test_runs_that_are_due_within_200_ms_begin_together_and_never_early_or_later_than_that():
    world = in_world(lasting(60), *(check(f"c{n}", 5) for n in range(100)), spread=True, coalesce=0.2)
    turns = {when for when, _ in world.began}
    assert len(world.began) >= 1100
    assert len(turns) <= 60 / 0.2 + 1
    assert min(world.lags) >= 0
    assert 0.15 < max(world.lags) <= 0.2 + 1e-9


def test_a_check_with_a_short_interval_is_not_made_late_by_coalescing():
    world = in_world(lasting(10), check("fast", 0.1), check("slow"), coalesce=0.2, spread=True)
    assert 98 <= len(world.times("fast")) <= 101
    assert world.skips == []


@pytest.mark.parametrize("due", [0.0, 100000.1, 100000.2, 12345.6789, 0.2 * 7, 0.1 + 0.2])
def test_a_time_on_the_grid_is_never_before_the_due_time(due):
    assert due <= aligned(due, 0.2) < due + 0.2 + 1e-9
    assert aligned(due, 0.0) == due


# ---- stalls ------------------------------------------------------------------------------------------------------


def test_after_a_stall_each_overdue_check_runs_once_and_keeps_its_phase():
    async def story(world):
        world.loop.call_later(12, world.loop.advance, 61)
        await world.until(95)

    world = in_world(story, check("a"), check("b", 30))
    assert world.times("a") == [0, 10, 73, 80, 90]
    assert world.times("b") == [0, 73, 90]
    assert max(world.lags) == 53
    assert world.skips == []


def test_after_a_suspend_overdue_checks_run_once_soon():
    class Suspending:  # the steady clock counts the suspend, the loop's clock does not
        def __init__(self, clock):
            self._clock, self.slept = clock, 0.0

        def steady(self):
            return self._clock.steady() + self.slept

    async def scenario(clock):
        suspending = Suspending(clock)
        world = World(suspending, check("hourly", 3600), check("a", 60))
        await pass_time(90)
        suspending.slept = 8 * 3600.0
        woken = world.now
        await pass_time(10)
        await world.close()
        return woken, world

    woken, world = run_virtual(scenario)
    after = [(name, when - woken) for when, name in world.began if when >= woken]
    assert sorted(name for name, _ in after) == ["a", "hourly"]
    assert all(late <= 5 for _, late in after)


@pytest.mark.parametrize(
    ("base", "interval", "now", "due"),
    [
        (0, 10, 0, 10),
        (0, 10, 9.9, 10),
        (0, 10, 10, 20),
        (0, 10, 12, 20),
        (0, 10, 1e6 + 1, 1e6 + 10),
        (0.25, 0.25, 0.75, 1.0),
        (0.1, 0.1, 0.35, 0.4),
    ],
)
def test_the_next_due_time_is_the_first_to_come_on_the_same_phase(base, interval, now, due):
    assert next_due(base, interval, now) == pytest.approx(due)
    assert next_due(base, interval, now) > now


# ---- due at once, retry_every ------------------------------------------------------------------------------------


def test_a_check_made_due_runs_at_once_and_keeps_its_regular_times():
    async def story(world):
        await world.until(3)
        world.scheduler.due("a")
        await world.until(15)

    world = in_world(story, check("a"), coalesce=0.2)
    assert world.times("a") == [0, 3, pytest.approx(10, abs=0.2)]


def test_a_check_made_due_at_a_time_runs_then_too():
    async def story(world):
        world.scheduler.due("a", world.zero + 4)
        world.scheduler.due("a", world.zero + 7.5)
        world.scheduler.due("unknown", world.zero + 1)
        await world.until(12)

    assert in_world(story, check("a")).times("a") == [0, 4, 7.5, 10]


def test_a_check_made_due_at_its_regular_time_runs_once_and_in_the_order_of_the_file():
    async def story(world):
        world.scheduler.due("b", world.zero + 10)
        await world.until(15)

    world = in_world(story, check("a"), check("b"))
    assert world.began == [(0, "a"), (0, "b"), (10, "a"), (10, "b")]
    assert world.skips == []


def test_a_check_made_due_during_its_run_runs_again_right_after_and_is_not_counted_as_skipped():
    async def story(world):
        world.takes["a"] = 3
        await world.until(1)
        world.scheduler.due("a")
        world.scheduler.due("a")
        await world.until(9)

    world = in_world(story, check("a"))
    assert world.times("a") == [0, 3]
    assert world.skips == []


def test_a_check_that_asks_for_itself_during_its_run_follows_at_once():
    async def scenario(clock):
        world = World(clock, check("a"))
        plain = world.start_run

        async def once_more(check):
            await plain(check)
            if len(world.began) == 1:
                world.scheduler.due("a")

        world.start_run = once_more
        await world.until(5)
        await world.close()
        return world.times("a")

    assert run_virtual(scenario) == [0, 0]


def test_runs_come_every_retry_every_while_the_pipeline_says_so_and_then_at_every_again():
    async def story(world):
        await world.until(5)
        world.intervals["a"] = 2.0
        await world.until(15)
        world.intervals.clear()
        await world.until(40)

    assert in_world(story, check("a")).times("a") == [0, 10, 12, 14, 16, 26, 36]


def test_a_run_made_due_at_settles_end_starts_the_shorter_intervals():
    async def story(world):
        await world.until(1)
        world.intervals["a"] = 2.0
        world.scheduler.due("a", world.zero + 3.5)
        await world.until(9)

    assert in_world(story, check("a", 30)).times("a") == [0, 3.5, 5.5, 7.5]


# ---- reload ------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_phases_of_what_is_unchanged_drops_the_removed_and_spreads_the_new():
    async def story(world):
        await world.until(14)
        world.replace(check("new"), check("kept"))
        await world.until(39)

    world = in_world(story, check("kept"), check("gone"), spread=True)
    kept, new = world.times("kept"), world.times("new")
    assert kept == pytest.approx([kept[0] + 10 * n for n in range(4)])
    assert len(world.times("gone")) == (2 if phase("gone") < 0.4 else 1)
    assert new[0] == pytest.approx(14 + 10 * phase("new"), abs=1e-5)


@pytest.mark.parametrize("is_copied", [True, False])
def test_a_check_that_a_reload_gives_back_as_it_was_is_where_it_was(is_copied: bool):
    one, other, long = check("one", 10), check("other", 7), check("long", 60)

    def again(it: Check) -> Check:
        return replace(it) if is_copied else it

    async def story(world):
        world.takes = {"one": 3.0}
        await world.until(11)  # one is in flight
        world.replace(again(other), again(one), check("new", 20), again(long))
        await world.until(15)
        world.replace(again(one), again(long))
        await world.until(16)
        world.replace(again(one), again(other), again(long))
        await world.until(62)

    world = in_world(story, one, other, long)
    assert world.times("one") == [0, 10, 20, 30, 40, 50, 60]
    assert world.times("other") == [0, 7, 14, 16, 23, 30, 37, 44, 51, 58]  # as new after it was gone
    assert world.times("long") == [0, 60]
    assert world.times("new") == [11]


def test_a_check_that_comes_back_while_its_last_run_ends_runs_once_at_a_time():
    async def story(world):
        world.takes = {"a": 4.0}
        await world.until(11)
        world.replace(check("b"))
        await world.until(12)
        world.replace(check("b"), check("a"))
        await world.until(45)

    world = in_world(story, check("a"), check("b"))
    assert world.times("a") == [0, 10, 22, 32, 42]
    assert world.times("b") == [0, 10, 20, 30, 40]


def test_a_reload_with_another_interval_counts_from_the_last_run():
    async def story(world):
        await world.until(12)
        world.replace(check("shorter", 3), check("longer", 60))
        await world.until(75)

    world = in_world(story, check("shorter"), check("longer"))
    assert world.times("shorter")[:5] == [0, 10, 13, 16, 19]
    assert world.times("longer") == [0, 10, 70]


def test_a_reload_gives_the_next_run_the_new_check():
    async def story(world):
        await world.until(5)
        world.replace(replace(check("a"), timeout=1.0))
        await world.until(15)

    assert [check.timeout for check in in_world(story, check("a")).versions] == [10.0, 1.0]


def test_a_run_in_flight_of_a_removed_check_ends_and_nothing_follows():
    async def story(world):
        world.takes["a"] = 15
        await world.until(2)
        world.scheduler.due("a")
        world.replace(check("b"))
        await world.until(40)

    world = in_world(story, check("a"))
    assert (15, "a") in world.ended
    assert world.times("a") == [0]


def test_a_check_that_comes_back_while_its_old_run_is_in_flight_does_not_run_twice_at_once():
    async def story(world):
        world.takes["a"] = 15
        await world.until(2)
        world.replace()
        await world.until(4)
        world.replace(check("a"))
        await world.until(30)

    world = in_world(story, check("a"))
    assert world.times("a") == [0, 24]
    assert [when for when, _, _ in world.skips] == [4, 14]
    assert world.most_in_flight == 1


def test_a_reload_drops_what_waits_for_a_place_and_was_removed():
    async def story(world):
        world.takes["hog"] = 5
        await world.until(1)
        world.replace(check("hog", 100), check("stays"))
        await world.until(9)

    world = in_world(story, check("hog", 100), check("goes"), check("stays"), concurrency=1)
    assert world.began == [(0, "hog"), (5, "stays")]


# ---- timers ------------------------------------------------------------------------------------------------------


def test_timers_fire_in_time_before_the_runs_of_that_instant_and_not_when_called_off():
    async def story(world):
        at = world.scheduler.call_at
        at(world.zero + 10, lambda: world.began.append((world.now, "timer")))
        off = at(world.zero + 5, lambda: world.began.append((world.now, "called off")))
        at(world.zero + 3, lambda: world.began.append((world.now, "early")))
        at(world.zero - 3, lambda: world.began.append((world.now, "past")))
        off.cancel()
        await world.until(12)

    world = in_world(story, check("a"))
    assert world.began == [(0, "past"), (0, "a"), (3, "early"), (10, "timer"), (10, "a")]


def test_a_timer_that_always_sets_another_does_not_starve_the_runs():
    async def story(world):
        def again():
            if world.now < 1:
                world.scheduler.call_at(world.clock.steady(), again)

        world.scheduler.call_at(world.zero, again)
        for _ in range(200):
            await asyncio.sleep(0)

    assert in_world(story, check("a")).times("a") == [0]


# ---- bugs, watchdog, stopping ------------------------------------------------------------------------------------


async def _failing(check):
    raise ZeroDivisionError("a bug of ours")


def test_a_bug_in_a_run_ends_the_standing_task():
    async def scenario(clock):
        world = World(clock, check("a"))
        world.start_run = _failing
        with pytest.raises(ZeroDivisionError, match="a bug of ours"):
            await world.standing

    run_virtual(scenario)


def test_a_bug_in_a_timer_ends_the_standing_task():
    async def scenario(clock):
        world = World(clock, check("a"))
        world.scheduler.call_at(world.zero + 1, lambda: [][0])
        with pytest.raises(IndexError):
            await world.standing
        began = len(world.began)
        await world.until(60)
        assert len(world.began) == began

    run_virtual(scenario)


def test_a_run_that_was_cancelled_from_inside_is_counted_and_the_next_comes():
    async def scenario(clock):
        world = World(clock, check("a"))
        plain = world.start_run

        async def start_run(check):
            await plain(check)
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        world.start_run = start_run
        await world.until(15)
        await world.close()
        return world

    world = run_virtual(scenario)
    assert world.times("a") == [0, 10]
    assert [why for _, _, why in world.skips] == ["its run was cancelled from inside"] * 2


def test_progress_moves_even_if_nothing_is_due():
    async def story(world):
        await world.until(1)
        before = world.scheduler.progress
        await world.until(11)
        assert world.scheduler.progress > before

    in_world(story)


def test_draining_waits_for_runs_in_flight_and_starts_no_more():
    async def scenario(clock):
        world = World(clock, check("a"), check("b", 0.5))
        world.takes["a"] = 3
        await world.until(1.2)
        world.standing.cancel()
        await world.scheduler.drain(5)
        return world

    world = run_virtual(scenario)
    assert world.now == 3
    assert (3, "a") in world.ended
    assert world.times("b") == [0, 0.5, 1]
    assert world.scheduler.in_flight == 0


def test_draining_cancels_what_does_not_end_in_time():
    async def scenario(clock):
        world = World(clock, check("a"))
        world.takes["a"] = 300
        await world.until(1)
        world.standing.cancel()
        await world.scheduler.drain(5)
        return world

    world = run_virtual(scenario)
    assert (world.now, world.ended, world.skips) == (6, [], [])
    assert world.scheduler.in_flight == 0


def test_what_was_made_due_before_the_start_runs_at_the_start():
    async def scenario(clock):
        world = World(clock, check("a", 600), spread=True)
        world.scheduler.due("a")
        world.scheduler.call_at(clock.steady(), lambda: world.began.append((world.now, "timer")))
        await world.until(1)
        await world.close()
        return world.began

    assert run_virtual(scenario) == [(0, "timer"), (0, "a")]


def test_24_hours_of_50_checks_take_seconds():
    began = time.process_time()
    world = in_world(lasting(86_400), *(check(f"c{n}", 30) for n in range(50)), spread=True)
    assert len(world.began) == 50 * 2880
    assert world.skips == []
    assert max(world.lags) == 0
    assert time.process_time() - began < 30  # a bound for a slow machine; bench/schedule.py has the figures
