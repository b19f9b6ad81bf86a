"""How far a limit was used within a time: the most attempts that counted at once."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.counting import used
from daemon.engine.proof import peaks, wall_of
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Limit
from tests.engine.test_counting import NOW, at, attempt

HOUR = Limit(count=3, window=3600.0)


def most(attempts: Sequence[Attempt], limit: Limit = HOUR) -> int:
    (peak,) = peaks("all", [limit], attempts, NOW)
    assert (peak.of, peak.limit) == ("all", limit)
    return peak.most


def made(*ages: float) -> list[Attempt]:
    return [attempt(at(age), ended=at(age)) for age in ages]


def test_nothing_was_used_by_nothing() -> None:
    assert most([]) == 0


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ((4000,), 1),
        ((4000, 3000), 2),
        ((4600, 1000), 1),  # the first ended a whole window before
        ((4599, 1000), 2),
        ((4000, 3900, 3800, 100), 3),
    ],
)
def test_an_attempt_counts_until_a_window_after_its_end(ages: tuple[float, ...], expected: int) -> None:
    assert most(made(*ages)) == expected


def test_one_that_still_ran_counts_from_its_claim() -> None:
    long = attempt(at(5000), ended=at(1500))
    assert most([long, *made(100)]) == 2
    assert most([attempt(at(5000), ended=None, state=AttemptState.LOST), *made(1000)]) == 1  # as if at claim + timeout


@pytest.mark.parametrize(
    ("ages", "within", "expected"),
    [
        ((5000, 4990, 4980), 1000, 0),
        ((1000,), 1000, 0),
        ((1000,), 1001, 1),
        ((3000, 2000, 2000, 500), 1000, 4),  # those before it count there
        ((3000, 2000, 2000, 500), 2500, 4),
        ((5000, 4990, 4980, 100), 1000, 1),
    ],
)
def test_only_claims_of_the_last_time_are_asked(ages: tuple[float, ...], within: float, expected: int) -> None:
    (peak,) = peaks("all", [HOUR], made(*ages), NOW, within=within)
    assert peak.most == expected


@given(st.lists(st.floats(0, 20_000), max_size=8))
def test_it_is_what_the_limit_would_have_counted_at_each_claim(ages: list[float]) -> None:
    attempts = made(*ages)
    then = [
        used([it for it in attempts if it.claimed.boottime <= one.claimed.boottime], HOUR, one.claimed)
        for one in attempts
    ]
    assert most(attempts) == max(then, default=0)


def test_thousands_are_told_in_no_time() -> None:
    attempts = made(*range(20_000))
    began = time.process_time()
    assert most(attempts) == 3600
    assert time.process_time() - began < 2.0  # each against each other took minutes, in which heald did nothing else


def test_a_moment_of_the_steady_clock_has_its_time_of_day() -> None:
    now = replace(NOW, wall=1000.0, boottime=50.0)
    assert wall_of(60.0, now) == 1010.0
    assert wall_of(None, now) is None
    assert wall_of(math.inf, now) is None
