"""From a proposal to an ended effect: what plug-ins, managers and the store can do to it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.model.incident import HoldReason as H
from daemon.model.remediation import AttemptState as A
from daemon.model.remediation import Plan
from daemon.model.remediation import Verification as V
from daemon.model.rule import Limit
from daemon.plugin import CheckError, Outcome, Reading, RemediationError, ServiceState, ServiceStatus
from daemon.testing.virtual import VirtualClock, pass_time, run_virtual
from tests.runtime.shop import DOWN, RULES, UP, Shop, in_a_shop


def slow(claim: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Awaitable[Any]]:
    """A claim that takes so long to be known as written."""

    async def claimed(*arguments: Any, **options: Any) -> Any:
        hold = await claim(*arguments, **options)
        await pass_time(seconds)
        return hold

    return claimed


def hanging(shop: Shop, ended: list[float]) -> Callable[[], Awaitable[Outcome]]:
    """An effect that never ends by itself; `ended` has when it was ended."""

    async def hang() -> Outcome:
        try:
            await pass_time(1000)
        finally:
            ended.append(shop.clock.steady())
        return Outcome(summary="never")

    return hang


def test_an_effect_that_would_begin_too_long_after_its_claim_never_does(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        claim = shop.store.claim

        shop.store.claim = slow(claim, 5.1)
        await shop.live(6)
        (attempt,) = await shop.attempts()
        assert (attempt.state, attempt.verification) == (A.LAPSED, None)
        assert "too late to begin" in attempt.summary
        assert attempt.released is not None  # over at once
        assert shop.tries() == 1  # and a try
        assert shop.went == 0

    in_a_shop(tmp_path, story)


def test_an_effect_that_begins_in_time_is_made(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        claim = shop.store.claim

        shop.store.claim = slow(claim, 4.9)
        await shop.live(6)
        assert shop.went == 1

    in_a_shop(tmp_path, story)


@pytest.mark.parametrize(("timeout", "ended_after"), [("20s", 20.0), ("4s", None)])
def test_what_begins_late_ends_when_its_claim_is_as_old_as_its_timeout(
    tmp_path: Path, timeout: str, ended_after: float | None
) -> None:
    """Were heald killed, the next one would count it as over by then."""

    async def story(shop: Shop) -> None:
        claim, ended = shop.store.claim, []

        shop.store.claim, shop.act = slow(claim, 4.0), hanging(shop, ended)
        began = shop.clock.steady()
        await shop.live(21)
        first = (await shop.attempts())[0]
        if ended_after is None:
            assert (first.state, ended) == (A.LAPSED, [])
        else:
            assert (first.state, ended) == (A.FAILED, [began + ended_after])

    in_a_shop(tmp_path, story, RULES.replace("timeout: 20s", f"timeout: {timeout}"))


def test_a_remediation_that_takes_too_long_is_ended_and_has_failed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        ended = []

        shop.act = hanging(shop, ended)
        began = shop.clock.steady()
        await shop.live(21)
        attempt, *_ = await shop.attempts()  # a run of that very instant may have led to the next
        assert attempt.state is A.FAILED
        assert attempt.summary == "it did not end within 20s and was ended"
        assert ended[:1] == [began + 20]

    in_a_shop(tmp_path, story)


def test_a_remediation_that_ignores_its_cancellation_is_left_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(shop: Shop) -> None:
        async def ignore() -> Outcome:
            while True:
                try:
                    await pass_time(1000)
                except asyncio.CancelledError:
                    continue

        shop.act = ignore
        await shop.live(26)
        (attempt,) = await shop.attempts()
        assert attempt.state is A.FAILED
        assert "ignored its cancellation" in attempt.summary
        assert [line.getMessage() for line in caplog.records if "ignored its cancellation" in line.getMessage()]
        shop.act = shop.heal
        await shop.live(10)
        assert shop.went > 0  # the next try is made

    in_a_shop(tmp_path, story)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("by zero"), "bug in remediation restart: ZeroDivisionError: by zero"),
        (SystemExit(3), "bug in remediation restart: SystemExit: 3"),
        (asyncio.CancelledError("of its own"), "bug in remediation restart: CancelledError: of its own"),
    ],
)
def test_a_bug_in_a_remediation_fails_its_attempt_and_nothing_else(
    tmp_path: Path, error: BaseException, said: str
) -> None:
    async def story(shop: Shop) -> None:
        async def raise_it() -> Outcome:
            await pass_time(1)
            raise error

        shop.act = raise_it
        await shop.live(5)
        (attempt,) = await shop.attempts()
        assert (attempt.state, attempt.summary) == (A.FAILED, said)
        shop.act = shop.heal
        await shop.live(10)
        assert shop.went > 0

    in_a_shop(tmp_path, story)


@pytest.mark.parametrize("rubbish", [None, "done", 42, {"summary": "done"}])
def test_rubbish_from_a_remediation_fails_its_attempt_and_nothing_else(tmp_path: Path, rubbish: object) -> None:
    async def story(shop: Shop) -> None:
        async def return_it() -> object:
            return rubbish

        shop.act = return_it
        await shop.live(5)
        (attempt,) = await shop.attempts()
        assert attempt.state is A.FAILED
        assert f"it returned {type(rubbish).__name__}, not an Outcome" in attempt.summary

    in_a_shop(tmp_path, story)


def test_a_permanent_failure_ends_the_step(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def refuse() -> Outcome:
            raise RemediationError("no such program", permanent=True, details={"exit_code": 4})

        shop.act = refuse
        await shop.live(60)
        (attempt,) = await shop.attempts()
        assert (attempt.summary, attempt.permanent, attempt.details) == ("no such program", True, {"exit_code": 4})
        assert (await shop.incident()).handed_over is H.EXHAUSTED

    in_a_shop(tmp_path, story)


def test_verify_waits_three_intervals_for_a_run_that_never_ends_and_is_then_unverified(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def look(_: int) -> Sequence[Reading]:
            if shop.went:
                await asyncio.Event().wait()
            return DOWN

        shop.look = look
        await shop.live(45)
        (attempt,) = await shop.attempts()
        assert attempt.verification is V.UNVERIFIED
        assert attempt.released.boottime - attempt.claimed.boottime == pytest.approx(35.0, abs=0.5)

    in_a_shop(tmp_path, story, RULES.replace("every: 10s", "every: 10s, timeout: 5m"))


def test_a_resource_that_its_own_manager_acts_on_is_busy(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def starting() -> ServiceStatus:
            return ServiceStatus(state=ServiceState.BUSY, detail="BACKOFF")

        shop.status = starting
        await shop.live(25)
        assert await shop.holds() == [H.RESOURCE_BUSY]
        assert "command says BACKOFF" in (await shop.incident()).hold_sentence
        assert (shop.went, await shop.attempts()) == (0, [])
        shop.status = shop.runs
        await shop.live(10)
        assert shop.went > 0

    in_a_shop(tmp_path, story)


async def frozen() -> ServiceStatus:
    await pass_time(1000)
    raise AssertionError("nobody waits for that")


async def stubborn() -> ServiceStatus:
    while True:
        try:
            await pass_time(1000)
        except asyncio.CancelledError:
            continue


async def gone() -> ServiceStatus:
    raise CheckError("its socket is not there")


async def buggy() -> ServiceStatus:
    raise SystemExit("a bug")


async def rubbish() -> object:
    return "RUNNING"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (frozen, "it did not say within 10s what command:shop@node is doing"),
        (stubborn, "it did not say within 10s what command:shop@node is doing"),
        (gone, "command could not be asked: its socket is not there"),
        (buggy, "bug in manager command: SystemExit: a bug"),
        (rubbish, "its status is str, not a ServiceStatus"),
    ],
)
def test_a_manager_that_cannot_be_asked_holds_its_own_resource_only(tmp_path: Path, status, said: str) -> None:
    async def story(shop: Shop) -> None:
        shop.status = status
        await shop.live(12)
        assert await shop.holds() == [H.BLIND_NOW]
        assert said in (await shop.incident()).hold_sentence
        assert (shop.went, await shop.attempts()) == (0, [])
        shop.status = shop.runs
        await shop.live(25)
        assert shop.went > 0

    in_a_shop(tmp_path, story, RULES.replace("every: 10s", "every: 7s"))  # 10 s are the manager's


def test_a_manager_that_cannot_be_asked_ends_the_row_of_clear_looks(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def look(number: int) -> Sequence[Reading]:
            return UP if number in (2, 4, 8, 10) else DOWN  # every even one is a second look

        async def status() -> ServiceStatus:
            if shop.looks == 6:
                raise CheckError("its socket is away")
            return await shop.runs()

        shop.look, shop.status = look, status
        await shop.live(55)
        (ladder,) = shop.assembly.board.ladders.values()
        assert (ladder.flapping, shop.went) == (False, 1)

    in_a_shop(tmp_path, story)


def test_a_ladder_that_starts_anew_during_a_second_look_begins_with_its_first_step(tmp_path: Path) -> None:
    two = RULES.replace("tries: 3,", "tries: 1,").replace(
        "timeout: 20s}]", "timeout: 20s}, {restart: {service: shop}}]"
    )

    async def story(shop: Shop) -> None:
        async def look(_: int) -> Sequence[Reading]:
            ladder = next(iter(shop.assembly.board.ladders.values()), None)
            if shop.went == 1 and ladder is not None and ladder.attempt is None:  # free for its second step
                shop.assembly.retry((await shop.incident()).id)
            return DOWN

        shop.look = look
        await shop.live(30)
        first, second, *_ = await shop.attempts()
        assert first.step == second.step

    in_a_shop(tmp_path, story, two)


def test_a_claim_that_cannot_be_written_is_taken_back_without_spending_a_try(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        file, away = shop.state / "heald.db", shop.state / "away"

        async def look(number: int) -> Sequence[Reading]:
            if number == 2:  # the second look: the guards have seen a store that can be written
                file.rename(away)
            return DOWN

        shop.look = look
        await shop.live(8)
        (incident,) = shop.assembly.board.incidents.values()
        assert incident.hold is H.STORE_UNAVAILABLE
        assert "the claim could not be written" in incident.hold_sentence
        assert (shop.went, shop.tries(), shop.assembly.board.attempts, shop.assembly.board.watches) == (0, 0, {}, {})
        away.rename(file)
        await shop.live(18)
        assert shop.went > 0
        assert (await shop.attempts())[0].try_number == 1
        assert (await shop.holds())[0] is H.STORE_UNAVAILABLE

    in_a_shop(tmp_path, story)


def test_the_stores_own_rows_have_the_last_word_and_cost_no_try(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.live(12)
        (made,) = await shop.attempts()
        assert made.released is not None
        shop.assembly.board.attempts.clear()  # as if memory had lost what the store knows
        await shop.live(20)
        assert len(await shop.attempts()) == 1
        assert (await shop.incident()).hold is H.LIMIT_RULE
        assert (shop.went, shop.tries()) == (1, 1)

    in_a_shop(tmp_path, story, RULES.replace("limit: [50/1h]\n    steps", "limit: [1/1h]\n    steps"))


def test_a_run_that_is_clear_while_the_manager_is_asked_ends_the_proposal(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def look(number: int) -> Sequence[Reading]:
            return UP if number == 3 else DOWN  # the first proposes, the second is the look again

        async def slow() -> ServiceStatus:
            await pass_time(8)
            return await shop.runs()

        shop.look, shop.status = look, slow
        await shop.live(9)
        assert shop.looks == 3
        assert (shop.went, await shop.attempts()) == (0, [])
        shop.status = shop.runs
        await shop.live(10)
        assert shop.went > 0  # it fires again, and then something is done

    in_a_shop(tmp_path, story, RULES.replace("every: 10s", "every: 5s"))


def test_a_stop_lets_an_attempt_end_and_begins_no_other(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def slow() -> Outcome:
            await pass_time(15)
            return await shop.heal()

        shop.act = slow
        living = asyncio.create_task(shop.live(1000))
        await pass_time(1)
        await shop.assembly.stop()
        living.cancel()
        await asyncio.wait([living])
        (attempt,) = await shop.attempts()
        assert (attempt.state, attempt.verification) == (A.SUCCEEDED, None)
        assert shop.went == 1

    in_a_shop(tmp_path, story)


def test_a_stop_does_not_wait_longer_than_the_grace(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async def slow() -> Outcome:
            await pass_time(100)
            return await shop.heal()

        shop.act = slow
        living = asyncio.create_task(shop.live(1000))
        await pass_time(1)
        began = shop.clock.steady()
        await shop.assembly.stop()
        living.cancel()
        await asyncio.wait([living])
        assert 20 <= shop.clock.steady() - began <= 26
        assert [it.state for it in await shop.attempts()] == [A.RUNNING]  # the next start finds it lost
        assert shop.went == 0

    in_a_shop(tmp_path, story, RULES.replace("timeout: 20s", "timeout: 200s"))


def test_two_hundred_services_that_fail_at_once_share_one_budget(tmp_path: Path) -> None:
    names = [f"s{number:03}" for number in range(200)]
    manager = '{run_by: {command: {start: ["true"], stop: ["true"]}}}'
    lines = ["version: 1", "settings: {mode: act, allow: [restart], startup_grace: 0s, concurrency: 10}", "services:"]
    lines += [f"  {name}: {manager}" for name in names]
    lines += ["checks:", *(f"  {name}: {{service: {name}, tcp: {{host: h, port: 1}}, every: 10s}}" for name in names)]
    lines += ["rules:", f"  down: {{checks: [{', '.join(names)}], when: up == 0, for: 0s, limit: [500/1h],"]
    lines += ["    steps: [{restart: {}, tries: 100, cooldown: 0s, settle: 0s, verify: 5s}]}", ""]

    async def story(shop: Shop) -> None:
        in_flight, most = 0, 0

        async def look(_: int) -> Sequence[Reading]:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await pass_time(0.1)
            in_flight -= 1
            return DOWN

        shop.look = look
        await shop.live(600)
        assert shop.went == 20  # the default budget: 20 an hour
        assert most <= 20  # ten regular runs and ten second looks
        assert {it.hold for it in shop.assembly.board.incidents.values()} == {H.BUDGET}
        assert shop.assembly.budgets()[0][1:] == (Limit(count=20, window=3600.0), 0)

    in_a_shop(tmp_path, story, "\n".join(lines))


def test_a_standing_task_that_returns_ends_all_of_them(tmp_path: Path) -> None:
    async def scenario(clock: VirtualClock) -> None:
        shop = await Shop(clock, tmp_path).open()

        async def end() -> None:
            await pass_time(3)

        shop.assembly.janitor.run = end
        began = clock.steady()
        with pytest.raises(ExceptionGroup) as caught:
            await shop.assembly.run()
        assert "a standing task ended" in str(caught.value.exceptions)
        assert clock.steady() - began == 3
        await shop.store.close()

    run_virtual(scenario)


def test_a_disk_that_fills_up_while_old_rows_are_dropped_does_not_end_the_daemon(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        file, away = shop.state / "heald.db", shop.state / "away"
        began = shop.clock.steady()

        async def well(_: int) -> Sequence[Reading]:
            if shop.clock.steady() == began + 290:  # the janitor's trim at 300 s is the next to write
                file.rename(away)
            return UP

        shop.look = well
        await shop.live(302)  # `live` raises what ends a standing task
        assert not shop.store.is_writable
        away.rename(file)
        await shop.live(10)
        assert shop.store.is_writable

    in_a_shop(tmp_path, story, history_every=3600.0)


def test_no_metrics_are_left_of_checks_and_rules_that_a_reload_removed(tmp_path: Path) -> None:
    more = "  extra: {tcp: {host: h, port: 2}, every: 10s}\nrules:\n  second: {check: extra, when: up == 0, for: 0s}\n"

    async def story(shop: Shop) -> None:
        await shop.live(5)
        text = "".join(shop.metrics.page().rows())
        assert 'check="extra"' in text
        assert 'rule="second"' in text
        shop.assembly.replace(shop.read(RULES.replace("rules:\n", more)))  # a reload before that may change nothing
        shop.assembly.replace(shop.read(RULES))
        await shop.live(15)
        text = "".join(shop.metrics.page().rows())
        assert 'check="extra"' not in text
        assert 'rule="second"' not in text
        assert 'check="shop"' in text

    in_a_shop(tmp_path, story, RULES.replace("rules:\n", more))


def test_a_reload_changes_what_the_startup_grace_waits_for(tmp_path: Path) -> None:
    more = "  dark: {tcp: {host: h, port: 2}, every: 10s}\nrules:\n  dark: {check: dark, when: up == 0, for: 1h}\n"
    graced = RULES.replace("startup_grace: 0s", "startup_grace: 1h")

    async def story(shop: Shop) -> None:
        async def look(number: int) -> Sequence[Reading]:
            return UP if number == 1 else DOWN  # the shop was well once, what is dark never was

        shop.look = look
        await shop.live(25)
        assert (await shop.holds(), shop.went) == ([H.STARTUP_GRACE], 0)
        shop.assembly.replace(shop.read(graced))
        await shop.live(10)
        assert shop.went > 0

    in_a_shop(tmp_path, story, graced.replace("rules:\n", more))


@pytest.mark.parametrize("mode", ["act", "observe"])
def test_a_manager_that_stays_silent_is_recorded_once_and_not_at_every_run(tmp_path: Path, mode: str) -> None:
    async def story(shop: Shop) -> None:
        shop.status = gone
        await shop.live(55)
        assert await shop.holds() == ([H.BLIND_NOW] if mode == "act" else [H.MODE, H.BLIND_NOW])
        incident = await shop.incident()
        assert incident.hold is H.BLIND_NOW
        assert "its socket is not there" in incident.hold_sentence
        written = shop.store.writes
        await shop.live(35)
        assert shop.store.writes == written
        shop.status = shop.runs
        await shop.live(20)
        assert {it.would for it in await shop.attempts()} == {mode == "observe"}
        if mode == "observe":
            assert (await shop.holds())[:3] == [H.MODE, H.BLIND_NOW, H.MODE]

    in_a_shop(tmp_path, story, RULES.replace("mode: act", f"mode: {mode}"), history_every=3600.0)


OBSERVED = RULES.replace("mode: act", "mode: observe")


async def summary_of_the_first(shop: Shop) -> str:
    await shop.live(40)  # beyond the longest that a plan may take, and its clean-up
    return (await shop.attempts())[0].summary


def test_an_attempt_on_paper_records_what_it_would_have_done(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        said = await summary_of_the_first(shop)
        assert said == "restart service shop (command:shop@node), which command calls running: running"
        assert shop.went == 0

    in_a_shop(tmp_path, story, OBSERVED)


class Said:
    """What a remediation may do where it is asked for its plan."""

    @staticmethod
    async def hangs(*_: object) -> Plan:
        await pass_time(1000)
        return Plan(summary="never")

    @staticmethod
    async def is_blind(*_: object) -> Plan:
        raise CheckError("nobody to ask")

    @staticmethod
    async def has_a_bug(*_: object) -> Plan:
        raise KeyError("gone")

    @staticmethod
    async def says_nothing(*_: object) -> None:
        return None

    @staticmethod
    async def says_much(*_: object) -> Plan:
        return Plan(summary="say\n" + "x" * 10_000)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Said.hangs, "its plan is not known: it did not say within 10s"),
        (Said.is_blind, "its plan is not known: nobody to ask"),
        (Said.has_a_bug, "its plan is not known: bug in remediation restart: KeyError: 'gone'"),
        (Said.says_nothing, "its plan is not known: bug in remediation restart: its plan is NoneType, not a sentence"),
        (Said.says_much, f"say {'x' * 496}…"),
    ],
)
def test_a_plan_that_cannot_be_told_costs_nothing_but_itself(
    tmp_path: Path, plan: Callable[..., Awaitable[Any]], said: str
) -> None:
    async def story(shop: Shop) -> None:
        kinds = shop.setup.types.remediations
        kinds["restart"].plan = plan
        assert await summary_of_the_first(shop) == said
        assert len(await shop.attempts()) > 1  # the ladder goes on

    in_a_shop(tmp_path, story, OBSERVED)
