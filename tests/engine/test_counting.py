"""Counting (docs/judgement.md, counting and time), sentence by sentence."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.counting import age, counts_still, free_in, steady_of, tightest, used
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Limit

NOW = Stamp(wall=1_000_000.0, boot="b2", boottime=5_000.0, host="node", synchronised=True)


def at(seconds_ago: float, **changes: object) -> Stamp:
    return replace(NOW, wall=NOW.wall - seconds_ago, boottime=NOW.boottime - seconds_ago, **changes)  # type: ignore[arg-type]  # fields by name


def attempt(
    claimed: Stamp, *, ended: Stamp | None, state: AttemptState = AttemptState.SUCCEEDED, **changes: object
) -> Attempt:
    return Attempt(
        id="a", rule="r", resource="x@node", ladder="x@node", remediation="restart", step="restart:{}", try_number=1,
        incidents=("i",), claimed=claimed, ended=ended, state=state, timeout=120.0, settle=10.0, verify=60.0,
        cooldown=60.0, **changes,  # type: ignore[arg-type]  # fields by name
    )  # fmt: skip


def test_within_one_boot_time_is_measured_by_boottime_alone() -> None:
    assert age(replace(at(100), wall=NOW.wall + 9e9), NOW) == 100
    assert age(replace(at(100), wall=0.0), NOW) == 100


@pytest.mark.parametrize("wall_forward", [0.0, 3600.0, 86400.0 * 30])
def test_a_wall_clock_set_forward_frees_nothing(wall_forward: float) -> None:
    made = attempt(at(100), ended=at(99))
    later = replace(NOW, wall=NOW.wall + wall_forward)
    assert free_in([made], Limit(count=1, window=3600.0), later) == pytest.approx(3600 - 99)


def test_a_wall_clock_set_back_blocks_nothing() -> None:
    made = attempt(at(4000), ended=at(3999))
    assert free_in([made], Limit(count=1, window=3600.0), replace(NOW, wall=0.0)) == 0


def test_a_row_of_an_earlier_boot_is_as_old_as_this_boot() -> None:
    row = replace(at(10_000), boot="b1", boottime=77.0)
    assert age(row, replace(NOW, synchronised=False)) == NOW.boottime
    assert age(replace(row, synchronised=False), NOW) == NOW.boottime


def test_a_row_of_an_earlier_boot_has_its_wall_age_if_both_clocks_were_right_and_that_is_more() -> None:
    assert age(replace(at(10_000), boot="b1"), NOW) == 10_000
    assert age(replace(at(3_000), boot="b1"), NOW) == NOW.boottime


def test_a_row_of_another_host_has_its_wall_age_if_both_clocks_were_right() -> None:
    row = replace(at(300), host="other", boot="b9", boottime=1.0)
    assert age(row, NOW) == 300
    assert age(replace(row, synchronised=False), NOW) == 0
    assert age(row, replace(NOW, synchronised=False)) == 0


def test_a_row_of_another_host_in_the_future_has_no_age() -> None:
    assert age(replace(at(-300), host="other"), NOW) == 0


def test_steady_of_places_a_row_on_this_boots_axis() -> None:
    assert steady_of(at(30), NOW) == NOW.boottime - 30
    assert steady_of(replace(at(10_000), boot="b1"), NOW) == NOW.boottime - 10_000


def test_an_attempt_counts_until_a_window_after_its_end() -> None:
    made = attempt(at(3700), ended=at(3599))
    limit = Limit(count=1, window=3600.0)
    assert free_in([made], limit, NOW) == pytest.approx(1)
    assert free_in([replace(made, ended=at(3600))], limit, NOW) == 0


@pytest.mark.parametrize("state", [AttemptState.RUNNING, AttemptState.LOST])
def test_a_running_or_lost_attempt_counts_as_ending_at_claim_plus_timeout(state: AttemptState) -> None:
    made = attempt(at(3600 + 119), ended=None, state=state)
    assert free_in([made], Limit(count=1, window=3600.0), NOW) == pytest.approx(1)
    assert free_in([replace(made, claimed=at(3600 + 120))], Limit(count=1, window=3600.0), NOW) == 0


@pytest.mark.parametrize("state", [AttemptState.FAILED, AttemptState.LAPSED, AttemptState.LOST, AttemptState.WOULD])
def test_an_attempt_counts_however_it_ended(state: AttemptState) -> None:
    assert free_in([attempt(at(10), ended=at(5), state=state)], Limit(count=1, window=60.0), NOW) > 0


def test_a_lost_one_counts_as_if_it_ended_at_claim_and_timeout() -> None:
    found = attempt(at(100), ended=at(90), state=AttemptState.LOST)  # 90s ago it was found; its timeout is 120s
    assert free_in([found], Limit(count=1, window=60.0), NOW) == 60 + 20
    assert free_in([replace(found, state=AttemptState.RUNNING)], Limit(count=1, window=60.0), NOW) == 60 + 20
    assert free_in([replace(found, state=AttemptState.FAILED)], Limit(count=1, window=60.0), NOW) == 0


def test_with_n_counting_it_holds_and_says_until_when() -> None:
    rows = [attempt(at(age), ended=at(age)) for age in (50, 40, 10)]
    limit = Limit(count=2, window=60.0)
    assert used(rows, limit, NOW) == 3
    assert used([attempt(at(3700), ended=at(3600))], Limit(count=3, window=3600.0), NOW) == 0  # W after its end
    assert free_in(rows, limit, NOW) == pytest.approx(20)  # the second youngest must leave the window
    assert free_in(rows[:1], limit, NOW) == 0


def test_a_limit_of_none_never_acts() -> None:
    assert free_in([], Limit(count=0, window=3600.0), NOW) == float("inf")


def test_the_tightest_of_several_limits_is_the_one_that_holds_longest() -> None:
    rows = [attempt(at(10), ended=at(10))]
    found = tightest(
        rows, [Limit(count=1, window=60.0), Limit(count=1, window=3600.0), Limit(count=5, window=9e5)], NOW
    )
    assert found == (Limit(count=1, window=3600.0), pytest.approx(3590))
    assert tightest([], [Limit(count=1, window=60.0)], NOW) is None


def test_an_attempt_is_kept_while_a_limit_or_its_cooldown_could_still_count_it() -> None:
    made = attempt(at(500), ended=at(400), released=at(330))
    assert counts_still(made, 401.0, NOW)
    assert not counts_still(made, 400.0, NOW)  # a window after its end it counts no more
    assert not counts_still(replace(made, released=at(60)), 1.0, NOW)  # its cooldown of 60s is over
    assert counts_still(replace(made, released=at(59)), 1.0, NOW)
    assert counts_still(replace(made, released=None), 1.0, NOW)
    assert counts_still(replace(made, cooldown=86400.0), 1.0, NOW)


@given(
    claims=st.lists(st.floats(min_value=0.0, max_value=20.0), min_size=1, max_size=40),
    takes=st.lists(st.floats(min_value=0.0, max_value=3.0), min_size=40, max_size=40),
    count=st.integers(min_value=1, max_value=4),
    jumps=st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=40, max_size=40),
)
def test_no_window_wherever_it_begins_holds_more_than_n_effects(
    claims: list[float], takes: list[float], count: int, jumps: list[float]
) -> None:
    limit, rows, now = Limit(count=count, window=10.0), [], 0.0
    for gap, take, jump in zip(claims, takes, jumps, strict=False):
        now += gap
        moment = Stamp(wall=1e6 + now + jump, boot="b", boottime=now, host="n", synchronised=True)
        if free_in(rows, limit, moment) > 0:
            continue
        end = replace(moment, boottime=now + take)
        rows.append(attempt(moment, ended=end))
        now += take
    spans = [(row.claimed.boottime, row.ended.boottime) for row in rows if row.ended]
    for first, last in zip(spans, itertools.islice(spans, count, None), strict=False):
        assert last[0] - first[1] >= 10.0 - 1e-6  # from the end of one to the claim of the N-th after it
