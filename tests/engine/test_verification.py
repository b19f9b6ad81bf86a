"""Settle and verify (docs/judgement.md, ladder 6)."""

from dataclasses import replace

from daemon.engine.verification import Watch, gives_up, heard, is_before_verify, result, settling, without
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.remediation import Verification as R
from daemon.model.rule import Rule
from daemon.model.rule import Verdict as V

STAMP = Stamp(wall=1e6, boot="b", boottime=0.0, host="n", synchronised=True)
API, DB = ("api", ""), ("db", "")


def watch(*members: tuple[str, str], clear_for: float = 0.0, would: bool = False) -> Watch:
    """An attempt whose effect ended at 0: settles until 10, is verified until 70."""
    made = Attempt(
        id="a", rule="r", resource="x", ladder="x", remediation="restart", step="s", try_number=1, incidents=("i",),
        claimed=STAMP, timeout=120.0, settle=10.0, verify=60.0, cooldown=60.0, would=would,
        state=AttemptState.SUCCEEDED,
    )  # fmt: skip
    rule = Rule(name="r", order=0, checks=("api",), when={}, for_seconds={}, clear_for=clear_for)
    joined = dict.fromkeys(members or (API,), "i")
    return settling(Watch(attempt=made, rule=rule, members=joined, every=10.0), 0.0)


def told(start: Watch, *words: tuple[float, V]) -> Watch:
    for at, verdict in words:
        start = heard(start, {API: verdict}, at)
    return start


def test_runs_judge_nothing_before_settles_end() -> None:
    assert is_before_verify(watch(), 9.9)
    assert not is_before_verify(watch(), 10.0)


def test_clear_is_effective_at_once_without_clear_for() -> None:
    assert result(told(watch(), (10, V.CLEAR)), 10) is R.EFFECTIVE


def test_clear_is_effective_once_it_has_held_for_clear_for() -> None:
    start = told(watch(clear_for=20.0), (10, V.CLEAR), (20, V.CLEAR))
    assert result(start, 20) is None
    assert result(told(start, (30, V.CLEAR)), 30) is R.EFFECTIVE


def test_the_deadline_stands_still_while_all_are_clear() -> None:
    start = told(watch(clear_for=100.0), (60, V.CLEAR), (70, V.CLEAR), (80, V.CLEAR), (85, V.BREACHED))
    assert start.deadline == 70 + 25
    assert result(start, 85) is None
    assert result(told(start, (95, V.BREACHED)), 95) is R.INEFFECTIVE


def test_a_breach_within_the_deadline_lets_it_run_on() -> None:
    start = told(watch(), (10, V.BREACHED), (40, V.BREACHED))
    assert result(start, 40) is None
    assert result(told(start, (50, V.CLEAR)), 50) is R.EFFECTIVE


def test_a_breach_past_the_deadline_is_ineffective() -> None:
    assert result(told(watch(), (10, V.BREACHED), (70, V.BREACHED)), 70) is R.INEFFECTIVE


def test_an_older_breach_is_not_a_run_past_the_deadline() -> None:
    assert result(told(watch(), (69, V.BREACHED)), 70) is None


def test_unknown_by_the_deadline_is_unverified() -> None:
    assert result(told(watch(), (40, V.BREACHED), (70, V.UNKNOWN)), 70) is R.UNVERIFIED


def test_a_breach_takes_back_what_was_held_and_unknown_does_not() -> None:
    start = told(watch(clear_for=20.0), (10, V.CLEAR), (20, V.CLEAR), (25, V.BREACHED), (30, V.CLEAR), (40, V.CLEAR))
    assert result(start, 40) is None
    blind = told(watch(clear_for=20.0), (10, V.CLEAR), (20, V.CLEAR), (25, V.UNKNOWN), (30, V.CLEAR), (40, V.CLEAR))
    assert result(blind, 40) is R.EFFECTIVE


def test_after_a_breach_what_is_held_counts_from_nothing() -> None:
    assert told(watch(clear_for=20.0), (10, V.CLEAR), (20, V.CLEAR), (25, V.BREACHED)).held == 0.0


def test_time_that_counts_as_held_has_no_gap_of_more_than_three_intervals() -> None:
    assert result(told(watch(clear_for=20.0), (10, V.CLEAR), (41, V.CLEAR)), 41) is None


def test_all_joined_incidents_must_be_clear() -> None:
    both = heard(watch(API, DB), {API: V.CLEAR}, 10.0)
    assert result(both, 10) is None
    assert result(heard(both, {DB: V.CLEAR}, 12.0), 12) is R.EFFECTIVE


def test_verify_waits_three_intervals_for_a_first_run_and_is_then_unverified() -> None:
    start = watch()
    assert gives_up(start) == 70 + 30
    assert result(start, 99) is None
    assert result(start, 100) is R.UNVERIFIED


def test_an_incident_that_left_is_not_waited_for() -> None:
    assert result(without(heard(watch(API, DB), {API: V.CLEAR}, 10.0), DB), 10) is R.EFFECTIVE


def test_none_left_is_unverified_and_over() -> None:
    assert result(without(watch(), API), 11) is R.UNVERIFIED


def test_while_the_effect_runs_nothing_is_found() -> None:
    assert result(replace(watch(), settled=None), 1e9) is None


def test_a_would_be_attempt_is_busy_for_settle_and_verify_and_then_ineffective_unless_clear() -> None:
    start = told(watch(would=True), (10, V.CLEAR), (30, V.CLEAR))
    assert result(start, 30) is None
    assert result(start, 70) is R.EFFECTIVE
    assert result(told(watch(would=True), (69, V.BREACHED)), 70) is R.INEFFECTIVE
    assert result(told(watch(would=True), (69, V.UNKNOWN)), 70) is R.INEFFECTIVE
