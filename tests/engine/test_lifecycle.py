"""The lifecycle table (docs/judgement.md, lifecycle), row by row."""

import pytest

from daemon.engine.lifecycle import Timing, absent, advance, passed_over, word
from daemon.model.incident import IncidentState as S
from daemon.model.rule import Verdict as V
from daemon.model.track import Track

TIMING = Timing(every=10.0, for_seconds=20.0, clear_for=20.0)
AT_ONCE = Timing(every=10.0, for_seconds=0.0, clear_for=0.0)


def track(state: S = S.INACTIVE, **changes: object) -> Track:
    return Track(rule="r", check="c", subject="", state=state, **changes)  # type: ignore[arg-type]  # fields by name


def runs(start: Track, *verdicts: V, timing: Timing = TIMING, gap: float = 10.0, clears: V | None = None) -> Track:
    for index, verdict in enumerate(verdicts):
        start = advance(start, verdict, clears, index * gap, timing)
    return start


@pytest.mark.parametrize(
    ("state", "verdict", "timing", "expected"),
    [
        (S.INACTIVE, V.BREACHED, TIMING, S.PENDING),
        (S.INACTIVE, V.BREACHED, AT_ONCE, S.FIRING),
        (S.INACTIVE, V.CLEAR, TIMING, S.INACTIVE),
        (S.PENDING, V.BREACHED, TIMING, S.PENDING),
        (S.PENDING, V.CLEAR, TIMING, S.INACTIVE),
        (S.FIRING, V.CLEAR, TIMING, S.RECOVERING),
        (S.FIRING, V.CLEAR, AT_ONCE, S.RESOLVED),
        (S.FIRING, V.BREACHED, TIMING, S.FIRING),
        (S.RECOVERING, V.BREACHED, TIMING, S.FIRING),
        (S.RECOVERING, V.CLEAR, TIMING, S.RECOVERING),
        *[
            (state, V.UNKNOWN, timing, state)
            for state in (S.INACTIVE, S.PENDING, S.FIRING, S.RECOVERING)
            for timing in (TIMING, AT_ONCE)
        ],
    ],
)
def test_each_row_of_the_table(state: S, verdict: V, timing: Timing, expected: S) -> None:
    assert advance(track(state), verdict, None, 100.0, timing).state is expected


def test_half_a_second_is_a_time_too() -> None:
    short = Timing(every=10.0, for_seconds=0.5, clear_for=0.5)
    assert advance(track(), V.BREACHED, None, 100.0, short).state is S.PENDING
    assert advance(track(S.FIRING), V.CLEAR, None, 100.0, short).state is S.RECOVERING


def test_for_counts_from_the_first_breached_run_on() -> None:
    pending = advance(track(counted=5.0), V.BREACHED, None, 100.0, TIMING)
    assert pending.counted == 0.0
    assert advance(pending, V.BREACHED, None, 107.0, TIMING).counted == 7.0


def test_clear_for_counts_from_the_first_clear_run_on() -> None:
    firing = runs(track(), *[V.BREACHED] * 9)
    assert firing.state is S.FIRING
    recovering = advance(firing, V.CLEAR, None, 90.0, TIMING)
    assert (recovering.state, recovering.counted) == (S.RECOVERING, 0.0)


def test_pending_fires_once_the_breach_counted_as_long_as_for() -> None:
    assert runs(track(), V.BREACHED, V.BREACHED).state is S.PENDING
    assert runs(track(), V.BREACHED, V.BREACHED, V.BREACHED).state is S.FIRING


def test_recovering_resolves_once_the_clear_counted_as_long_as_clear_for() -> None:
    firing = track(S.FIRING)
    assert runs(firing, V.CLEAR, V.CLEAR).state is S.RECOVERING
    assert runs(firing, V.CLEAR, V.CLEAR, V.CLEAR).state is S.RESOLVED


def test_a_breach_while_recovering_is_the_same_incident() -> None:
    again = runs(track(S.FIRING, incident="INC-1"), V.CLEAR, V.BREACHED)
    assert (again.state, again.incident) == (S.FIRING, "INC-1")


def test_unknown_stands_still_and_its_time_does_not_count() -> None:
    blind = runs(track(), V.BREACHED, V.UNKNOWN, V.BREACHED)
    assert (blind.state, blind.counted) == (S.PENDING, 0.0)  # neither gap lay between two breached runs
    assert runs(track(), V.BREACHED, V.BREACHED, V.UNKNOWN, V.BREACHED).counted == 10.0
    assert runs(track(), V.BREACHED, V.BREACHED, V.UNKNOWN, V.BREACHED, V.BREACHED).state is S.FIRING


def test_time_counts_only_between_runs_at_most_three_intervals_apart() -> None:
    assert runs(track(), V.BREACHED, V.BREACHED, gap=30.0).state is S.FIRING
    assert runs(track(), V.BREACHED, V.BREACHED, gap=30.1).counted == 0.0


def test_time_does_not_count_across_runs_that_judged_nothing() -> None:
    before = advance(track(S.RECOVERING), V.CLEAR, None, 0.0, TIMING)
    assert advance(passed_over(before), V.CLEAR, None, 10.0, TIMING).counted == 0.0


def test_clear_when_counts_only_where_when_does_not_hold() -> None:
    assert word(V.BREACHED, V.BREACHED) is V.BREACHED
    assert word(V.UNKNOWN, V.BREACHED) is V.UNKNOWN
    assert word(V.CLEAR, V.BREACHED) is V.CLEAR
    assert word(V.CLEAR, None) is V.CLEAR


def test_while_neither_holds_the_state_stays() -> None:
    assert advance(track(S.FIRING), V.CLEAR, V.CLEAR, 0.0, AT_ONCE).state is S.FIRING
    assert advance(track(S.RECOVERING), V.CLEAR, V.CLEAR, 0.0, TIMING).state is S.RECOVERING
    assert advance(track(S.FIRING), V.CLEAR, V.BREACHED, 0.0, AT_ONCE).state is S.RESOLVED


def test_clear_when_is_for_leaving_firing_and_does_not_keep_pending() -> None:
    assert advance(track(S.PENDING), V.CLEAR, V.CLEAR, 0.0, TIMING).state is S.INACTIVE


def test_an_absent_subject_vanishes_after_vanish_after() -> None:
    gone = absent(track(S.FIRING), 100.0, 300.0)
    assert (gone.state, gone.missing_since) == (S.FIRING, 100.0)
    assert absent(gone, 399.0, 300.0).state is S.FIRING
    assert absent(gone, 400.0, 300.0).state is S.VANISHED


def test_an_absent_subject_is_unknown_and_its_time_does_not_count() -> None:
    recovering = advance(track(S.RECOVERING), V.CLEAR, None, 0.0, TIMING)
    gone = absent(recovering, 10.0, 300.0)
    assert (gone.last, gone.last_at) == (V.UNKNOWN, 10.0)
    assert advance(gone, V.CLEAR, None, 20.0, TIMING).counted == 0.0
