"""One look, whatever the plug-in does: it ends as a run, in time, and what was wrong is said."""

import asyncio
import contextlib
import errno
import gc
import math
import re
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from daemon.deadlines import Within
from daemon.errors import CheckError
from daemon.model.check import Check, Dimension, Reading, SampleSpec
from daemon.runtime.look import Looks
from daemon.runtime.scheduler import Scheduler
from daemon.testing.virtual import pass_time, run_virtual

SAMPLES = {
    name: SampleSpec(name=name, dimension=dimension, meaning="For the test.")
    for name, dimension in {
        "up": Dimension.NONE,
        "latency_seconds": Dimension.SECONDS,
        "used": Dimension.PERCENT,
        "fresh": Dimension.BOOLEAN,
        "state": Dimension.STRING,
    }.items()
}
UP = Reading(samples={"up": 1.0, "latency_seconds": 0.25, "fresh": True, "state": "running"})


def kind(check):
    """A check type whose plug-in is this function."""
    return SimpleNamespace(name="fake", check=check, samples_of=lambda options: SAMPLES)


def configured(name="api", **changes) -> Check:
    fields = {"every": 30.0, "timeout": 5.0, "retry_every": 10.0, "vanish_after": 300.0} | changes
    return Check(name=name, type="fake", options=None, **fields)


def returning(value):
    async def check(options, context):
        return value

    return check


def raising(error):
    async def check(options, context):
        raise error

    return check


def seen(plugin, *, looks=None, is_look=False, **changes):
    """The run of one look in virtual time, with its length in `seconds`."""

    async def scenario(clock):
        return await (looks or Looks()).look(configured(**changes), kind(plugin), None, clock, is_look=is_look)

    return run_virtual(scenario)


def seconds(run) -> float:
    return round(run.ended - run.began, 6)


# ---- as it should be ---------------------------------------------------------------------------------------------


def test_a_healthy_look_is_a_run_with_its_readings():
    run = seen(returning([UP]), is_look=True)
    assert (run.check, run.readings, run.error, run.timed_out, run.is_look) == ("api", (UP,), None, False, True)
    assert seconds(run) == 0


def test_a_look_that_waits_takes_as_long_as_it_takes():
    async def check(options, context):
        await pass_time(1.5)
        return (UP,)

    assert seconds(seen(check)) == 1.5


def test_a_check_that_discovers_may_return_several_subjects_or_none():
    found = [Reading(subject=name, samples={"up": 1}) for name in ("/", "/var lib", "/srv/größe")]
    assert seen(returning(found), discovers=True).readings == tuple(found)
    assert seen(returning([]), discovers=True).readings == ()


def test_nan_and_infinities_are_missing_and_the_rest_stays():
    run = seen(returning([Reading(samples={"up": 1, "latency_seconds": math.nan, "used": -math.inf})]))
    assert (run.error, dict(run.readings[0].samples)) == (None, {"up": 1})


def test_a_look_uses_what_asyncio_offers():
    async def check(options, context):
        async def slow():
            await pass_time(100)

        async def quick(value):
            await asyncio.sleep(0)
            return value

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await pass_time(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await slow()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(quick(n)) for n in range(3)]
        assert [task.result() for task in tasks] == await asyncio.gather(*map(quick, range(3)))
        assert await asyncio.to_thread(str, 7) == "7"
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(raising(OSError())(None, None))
                await pass_time(10)
        lock = asyncio.Lock()
        async with lock:
            await pass_time(0.5)
        return [UP]

    run = seen(check)
    assert (run.error, seconds(run)) == (None, 1.5)


def test_a_time_out_of_its_own_leaves_a_look_all_its_time():
    async def check(options, context):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await pass_time(10)
        await pass_time(3.5)
        return [UP]

    run = seen(check)
    assert (run.error, seconds(run)) == (None, 4.5)


def test_a_plug_in_may_return_any_awaitable():
    def check(options, context):
        return asyncio.ensure_future(returning([UP])(options, context))

    assert seen(check).readings == (UP,)


# ---- it raises ---------------------------------------------------------------------------------------------------


def test_a_check_error_makes_the_run_blind_in_its_own_words(caplog):
    assert seen(raising(CheckError("no route to 10.0.0.1"))).error == "no route to 10.0.0.1"
    assert seen(raising(CheckError())).error == "check type fake could not look and did not say why"
    assert seen(raising(CheckError("a file named \udcff"))).error == "a file named \N{REPLACEMENT CHARACTER}"
    assert caplog.records == []


class WordlessError(Exception):
    def __str__(self):
        raise KeyError("none")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("x is 3"), "bug in check type fake: ValueError: x is 3"),
        (AssertionError(), "bug in check type fake: AssertionError"),
        (SystemExit(3), "bug in check type fake: SystemExit: 3"),
        (GeneratorExit(), "bug in check type fake: RuntimeError: it raised GeneratorExit"),
        (asyncio.CancelledError(), "bug in check type fake: CancelledError"),
        (
            BaseExceptionGroup("two", [SystemExit()]),
            "bug in check type fake: BaseExceptionGroup: two (1 sub-exception)",
        ),
        (ValueError("two\nlines\x1b[2J"), "bug in check type fake: ValueError: two lines�[2J"),
        (ValueError("postgres://shop:hunter2@db/shop"), "postgres://shop:**********@db/shop"),
        (WordlessError(), "WordlessError: without words, because its own text raises KeyError"),
        (OSError(errno.EMFILE, "Too many open files"), "this host is short of something: OSError: [Errno 24]"),
        (MemoryError(), "this host is short of something: MemoryError"),
        (OSError(errno.ECONNREFUSED, "refused"), "bug in check type fake: ConnectionRefusedError"),
    ],
)
def test_any_other_exception_makes_the_run_blind_and_names_the_plug_in(error, sentence):
    run = seen(raising(error))
    assert sentence in run.error
    assert (run.readings, run.timed_out) == ((), False)


def test_a_long_text_is_cut():
    assert len(seen(raising(ValueError("x" * 100_000))).error) < 600


def test_a_bug_is_logged_once_with_its_traceback_until_the_check_is_configured_anew(caplog):
    looks, api = Looks(), configured()

    async def scenario(clock):
        for check in (api, api, api, configured("other"), configured()):
            await looks.look(check, kind(raising(ValueError("x is 3"))), None, clock)

    run_virtual(scenario)
    assert [record.getMessage() for record in caplog.records] == [
        f"Check {name} cannot look: bug in check type fake: ValueError: x is 3." for name in ("api", "other", "api")
    ]
    assert caplog.records[0].exc_info


def test_a_plug_in_that_is_no_coroutine_or_cannot_say_its_samples_is_a_bug():
    assert "TypeError" in seen(lambda options, context: [UP]).error
    assert "ZeroDivisionError" in seen(lambda options, context: 1 / 0).error

    async def scenario(clock):
        broken = SimpleNamespace(name="fake", check=returning([UP]), samples_of=lambda options: {}["x"])
        return await Looks().look(configured(), broken, None, clock)

    assert run_virtual(scenario).error == "bug in check type fake: KeyError: 'x'"


class Yields:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield self.value() if callable(self.value) else self.value


@pytest.mark.parametrize("value", [42, asyncio.current_task])
def test_waiting_for_what_asyncio_cannot_wait_for_is_a_bug(value):
    async def check(options, context):
        await Yields(value)

    assert "which asyncio cannot wait for here" in seen(check).error


# ---- it does not end ---------------------------------------------------------------------------------------------


def test_a_look_that_hangs_ends_at_its_time_out_and_may_clean_up():
    cleaned = []

    async def check(options, context):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await pass_time(0.5)
            cleaned.append(True)

    run = seen(check)
    assert run.error == "check type fake did not end within 5s"
    assert (run.timed_out, seconds(run), cleaned) == (True, 5.5, [True])


def test_what_it_returns_or_raises_once_it_was_cancelled_is_too_late():
    async def returns(options, context):
        try:
            await pass_time(60)
        except asyncio.CancelledError:
            return [UP]

    async def raises(options, context):
        try:
            await pass_time(60)
        finally:
            raise ValueError("in the clean-up")

    for plugin in (returns, raises):
        run = seen(plugin)
        assert (run.error, run.timed_out) == ("check type fake did not end within 5s", True)


def test_a_time_out_of_its_own_that_the_loop_comes_late_to_is_still_its_word():
    def ending(after):
        async def check(options, context):
            try:
                with Within(5.0):  # rings with the daemon's, as on a loop that stood still over both
                    await pass_time(60)
            except TimeoutError:
                await pass_time(after)
                return [UP]

        return seen(check)

    assert (ending(0.0).error, ending(0.2).error) == (None, None)
    run = ending(0.5)
    assert (run.error, run.timed_out, seconds(run)) == ("check type fake did not end within 5s", True, 5.25)


def _said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_look_that_ignores_its_cancellation_is_closed_and_that_is_said_once(caplog):
    looks, api, left = Looks(), configured(), []

    async def check(options, context):
        try:
            while True:
                try:
                    await pass_time(3600)
                except asyncio.CancelledError:
                    continue
        finally:
            left.append("closed")

    async def scenario(clock):
        return [await looks.look(api, kind(check), None, clock) for _ in range(2)]

    runs = run_virtual(scenario)
    assert [run.error for run in runs] == ["check type fake did not end within 5s and ignored its cancellation"] * 2
    assert [seconds(run) for run in runs] == [6, 6]
    assert (left, looks.abandoned) == (["closed"] * 2, 0)
    assert _said(caplog) == ["Check api (type fake) ignores its cancellation: it was closed."]


def test_a_look_that_does_not_stop_spinning_ends_too():
    async def check(options, context):
        while True:
            try:
                await asyncio.sleep(0)
                asyncio.get_running_loop().advance(0.01)
            except asyncio.CancelledError:
                continue

    assert seconds(seen(check)) == pytest.approx(6, abs=0.1)


def test_a_look_that_cannot_even_be_closed_is_abandoned_and_its_check_blind_until_it_ends(caplog):
    looks, api = Looks(), configured()
    obeys, refused = False, []

    async def check(options, context):
        while not obeys:
            try:
                await pass_time(3600)
            except BaseException as ignored:  # noqa: BLE001  # the fault that is tested
                refused.append(type(ignored))
        return [UP]

    async def scenario(clock):
        nonlocal obeys
        first = await looks.look(api, kind(check), None, clock)
        abandoned = looks.abandoned
        second = await looks.look(api, kind(check), None, clock)
        other = await looks.look(configured("other"), kind(returning([UP])), None, clock)
        obeys = True
        third = await looks.look(api, kind(check), None, clock)
        return first, abandoned, second, other, third, looks.abandoned

    first, abandoned, second, other, third, at_last = run_virtual(scenario)
    assert first.timed_out
    assert refused == [asyncio.CancelledError] + [GeneratorExit] * 7
    assert (abandoned, at_last) == (1, 0)
    assert second.error == "the last run of check type fake ignores every attempt to end it"
    assert seconds(second) == 0
    assert (other.readings, third.readings) == ((UP,), (UP,))
    assert _said(caplog) == [
        "Check api (type fake) ignores its cancellation: it is abandoned, and the check blind until it ends."
    ]


def test_a_task_of_a_look_that_ignores_its_cancellation_is_waited_for_and_leaks_nothing():
    looks, api, complaints = Looks(), configured(), []

    async def stubborn():
        loop = asyncio.get_running_loop()
        end = loop.time() + 60
        while loop.time() < end:
            try:
                await pass_time(end - loop.time())
            except asyncio.CancelledError:
                continue
        raise ValueError("too late for anybody")

    async def check(options, context):
        await asyncio.ensure_future(stubborn())

    async def scenario(clock):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        first = await looks.look(api, kind(check), None, clock)
        abandoned = looks.abandoned
        second = await looks.look(api, kind(returning([UP])), None, clock)
        await pass_time(60)
        third = await looks.look(api, kind(returning([UP])), None, clock)
        gc.collect()
        return first, abandoned, second, third

    first, abandoned, second, third = run_virtual(scenario)
    assert (seconds(first), first.timed_out, abandoned) == (6, True, 1)
    assert "ignores every attempt" in second.error
    assert third.readings == (UP,)
    assert (looks.abandoned, complaints) == (0, [])


# ---- it is cancelled ---------------------------------------------------------------------------------------------


def cancelled_after(plugin, delay: float):
    """How long after its cancellation a look ended, by CancelledError."""

    async def scenario(clock):
        task = asyncio.create_task(Looks().look(configured(), kind(plugin), None, clock))
        await pass_time(delay)
        began = clock.steady()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return clock.steady() - began

    return run_virtual(scenario)


def test_a_cancelled_look_ends_once_its_plug_in_has_cleaned_up():
    cleaned = []

    async def check(options, context):
        try:
            await pass_time(60)
        finally:
            await pass_time(0.25)
            cleaned.append(True)

    assert (cancelled_after(check, 1), cleaned) == (0.25, [True])


def test_a_cancelled_look_that_ignores_it_is_closed_after_its_grace():
    async def check(options, context):
        while True:
            try:
                await pass_time(60)
            except asyncio.CancelledError:
                continue

    assert cancelled_after(check, 1) == 1
    assert cancelled_after(check, 5.5) == 0.5  # its time is over already, so its grace runs since then


# ---- it blocks the loop ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_first_step", [True, False])
def test_a_look_that_blocks_the_loop_is_named(caplog, is_first_step):
    async def check(options, context):
        if not is_first_step:
            await pass_time(1)
        asyncio.get_running_loop().advance(0.8)
        return [UP]

    assert seen(check).readings == (UP,)
    assert _said(caplog) == ["Check api (type fake) held up all of heald for 0.8s."]


def test_a_look_that_blocks_the_loop_in_real_time_is_named(caplog, monkeypatch):
    from daemon.clock import SystemClock
    from daemon.runtime import look as module

    monkeypatch.setattr(module, "LONGEST_STEP", 0.02)
    clock = SystemClock()

    async def check(options, context):
        end = clock.steady() + 0.03
        while clock.steady() < end:
            pass
        return [UP]

    run = asyncio.run(Looks().look(configured(), kind(check), None, clock))
    assert run.readings == (UP,)
    assert re.fullmatch(r"Check api \(type fake\) held up all of heald for 0\.0\d+s\.", _said(caplog)[0])


def test_a_short_step_is_not_worth_a_word(caplog):
    async def check(options, context):
        asyncio.get_running_loop().advance(0.2)
        return [UP]

    seen(check)
    assert _said(caplog) == []


# ---- it returns rubbish ------------------------------------------------------------------------------------------


def reading(**samples) -> list[Reading]:
    return [Reading(samples=samples)]


class Endless(Sequence):
    """A hundred thousand readings that nobody may look at."""

    def __len__(self):
        return 100_000

    def __getitem__(self, index):
        raise AssertionError("it was looked at")


RUBBISH = [
    (None, "it returned None, not a list of readings"),
    (UP, "it returned a Reading, not a list of readings"),
    ("up", "it returned 'up', not a list of readings"),
    ({"up": 1}, "it returned a dict, not a list of readings"),
    ({1}, "it returned a set, not a list of readings"),
    ((each for each in ()), "it returned a generator, not a list of readings"),
    ([], "it returned 0 readings; a check that does not discover subjects returns one"),
    ([UP, UP], "it returned 2 readings; a check that does not discover subjects returns one"),
    ([{"up": 1}], "it returned a dict among its readings, which is no Reading"),
    ([Reading(samples=[1])], "it returned a list as samples, not a mapping of names to values"),
    ([Reading(samples=None)], "it returned None as samples, not a mapping of names to values"),
    ([Reading(subject="/", samples={})], "it named a subject, '/', but does not discover any (DISCOVERS)"),
    (
        reading(uptime=1.0),
        "a sample 'uptime' that it does not declare; SAMPLES has fresh, latency_seconds, state, up, used",
    ),
    ([Reading(samples={7: 1.0})], "it returned a sample an int that it does not declare"),
    (reading(up=True), "its sample up is True, not a number"),
    (reading(up="1"), "its sample up is '1', not a number"),
    (reading(up=None), "its sample up is None, not a number; a missing one is left out"),
    (reading(up=[1]), "its sample up is a list, not a number"),
    (reading(up=10**400), "its sample up is too large for a number"),
    (reading(fresh=1), "its sample fresh is an int, not true or false"),
    (reading(fresh=1.0), "its sample fresh is 1.0, not true or false"),
    (reading(state=7.5), "its sample state is 7.5, not a string"),
    (reading(state=b"up"), "its sample state is a bytes, not a string"),
    (reading(state="x" * 70_000), "its sample state is 70000 characters long; at most 65536"),
]
RUBBISH_SUBJECTS = [
    ([Reading(subject=7, samples={})], "it returned an int as a subject, not a string"),
    ([Reading(subject=None, samples={})], "it returned None as a subject, not a string"),
    ([Reading(subject="x" * 2000, samples={})], "it returned a subject of 2000 characters; at most 1024"),
    ([Reading(subject="a\nb", samples={})], r"it returned subject 'a\nb', which has a control character"),
    ([Reading(subject="a\udcff", samples={})], r"it returned subject 'a\udcff', which has a control character"),
    ([Reading(subject=name, samples={}) for name in "abcb"], "it returned subject 'b' more than once"),
    ([Reading(samples={"up": 1})] * 100_000, "it returned 100000 subjects; at most 1000 (max_subjects)"),
    (Endless(), "it returned 100000 subjects; at most 1000 (max_subjects)"),
]


@pytest.mark.parametrize(("returned", "sentence"), RUBBISH)
def test_rubbish_makes_the_run_blind_and_says_what_is_wrong(returned, sentence):
    run = seen(returning(returned))
    assert run.error.startswith("check type fake: ")
    assert sentence in run.error
    assert run.readings == ()


@pytest.mark.parametrize(("returned", "sentence"), RUBBISH_SUBJECTS)
def test_rubbish_subjects_make_the_run_blind_and_say_what_is_wrong(returned, sentence):
    run = seen(returning(returned), discovers=True)
    assert run.error == f"check type fake: {sentence}"


def test_rubbish_is_logged_once(caplog):
    looks, api = Looks(), configured()

    async def scenario(clock):
        for _ in range(3):
            await looks.look(api, kind(returning([])), None, clock)

    run_virtual(scenario)
    assert len(caplog.records) == 1


# ---- and the others go on ----------------------------------------------------------------------------------------


async def _hangs(options, context):
    await pass_time(10_000)


async def _ignores(options, context):
    while True:
        try:
            await pass_time(10_000)
        except asyncio.CancelledError:
            continue


async def _blocks(options, context):
    asyncio.get_running_loop().advance(0.4)
    return [UP]


FAULTS = {
    "raises": raising(ValueError("a bug")),
    "exits": raising(SystemExit(1)),
    "hangs": _hangs,
    "ignores": _ignores,
    "blocks": _blocks,
    "rubbish": returning("rubbish"),
    "floods": returning([UP] * 100_000),
}


def test_beside_every_kind_of_fault_healthy_checks_keep_all_their_runs(caplog):
    plugins = FAULTS | {f"healthy_{n}": returning([UP]) for n in range(20)}

    async def scenario(clock):
        looks, runs, lags = Looks(), [], []

        async def start_run(check):
            runs.append(await looks.look(check, kind(plugins[check.name]), None, clock))

        scheduler = Scheduler(
            clock=clock,
            start_run=start_run,
            interval=lambda check: check.every,
            concurrency=20,
            coalesce=0.0,
            on_lag=lags.append,
            on_skip=lambda check, why: None,
        )
        scheduler.replace({name: configured(name, every=10.0, timeout=5.0) for name in plugins})
        standing = asyncio.create_task(scheduler.run())
        await pass_time(600)
        standing.cancel()
        await scheduler.drain(30)
        return runs, lags

    runs, lags = run_virtual(scenario)
    for name in plugins:
        mine = [run for run in runs if run.check == name]
        assert len(mine) >= 59
        assert all((run.error is None) == (name not in FAULTS or name == "blocks") for run in mine)
    assert max(lags) <= 0.4
    said = [record.getMessage() for record in caplog.records]
    for name in FAULTS.keys() - {"hangs"}:  # a time-out is a run's result and a metric, no line
        assert sum(f"Check {name} " in line for line in said) == 1
