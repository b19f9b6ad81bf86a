"""The ladder's arithmetic (docs/judgement.md, ladder)."""

from dataclasses import replace

import pytest

from daemon.engine import ladder as ladders
from daemon.engine.facts import FITS, Fit
from daemon.model.incident import HoldReason
from daemon.model.moment import Stamp
from daemon.model.rule import Rule, Step, Verdict
from daemon.model.track import Ladder

NOW = Stamp(wall=1e6, boot="b", boottime=1000.0, host="n", synchronised=True)


def step(key: str, **changes: object) -> Step:
    return Step(remediation="run", options=None, key=key, **changes)  # type: ignore[arg-type]  # fields by name


def rule(*steps: Step) -> Rule:
    return Rule(name="r", order=0, checks=("c",), when={}, for_seconds={}, steps=steps)


def tried(ladder: Ladder, of: Rule, times: int = 1) -> Ladder:
    for _ in range(times):
        index = ladders.current(ladder, of)
        assert index is not None
        ladder = replace(ladders.claimed(ladder, of, index, "a", would=False), attempt=None)
    return ladder


FRESH = Ladder(rule="r", resource="x")


def test_tries_used_up_lead_to_the_next_step_and_then_to_the_end() -> None:
    two = rule(step("a", tries=2), step("b"))
    assert ladders.current(tried(FRESH, two, 1), two) == 0
    assert ladders.current(tried(FRESH, two, 2), two) == 1
    assert ladders.current(tried(FRESH, two, 3), two) is None


def test_a_permanent_failure_ends_its_step_at_once() -> None:
    two = rule(step("a", tries=5), step("b"))
    assert ladders.current(ladders.given_up(tried(FRESH, two), two.steps), two) == 1


def test_a_failure_of_a_step_that_an_edit_removed_ends_no_other_step() -> None:
    ladder = tried(FRESH, rule(step("a", tries=5)))
    assert ladders.given_up(ladder, rule(step("b", tries=5)).steps) == ladder
    assert ladders.given_up(ladder, ()) == ladder


def test_a_claim_spends_a_try_and_ends_what_was_counted_of_waiting() -> None:
    waited = replace(FRESH, clear_streak=2, waiting_since=NOW, held_for=30.0, hold=HoldReason.UPSTREAM)
    same = rule(step("a"), step("b"), step("a", tries=2))
    claimed = ladders.claimed(waited, same, 2, "attempt-1", would=False)
    assert claimed == replace(FRESH, step="a", nth=1, tries={"a#1": 1}, attempt="attempt-1")


def test_a_ladder_that_had_a_would_be_attempt_knows_it() -> None:
    one = rule(step("a", tries=9))
    on_paper = ladders.claimed(FRESH, one, 0, "a", would=True)
    assert on_paper.would
    assert ladders.claimed(on_paper, one, 0, "b", would=False).would  # until going to act mode resets it
    assert not ladders.claimed(FRESH, one, 0, "a", would=False).would


def test_the_place_is_the_steps_content_whatever_is_put_before_it() -> None:
    before = rule(step("a"), step("b", tries=3))
    ladder = tried(FRESH, before, 2)
    after = rule(step("new"), step("a"), step("b", tries=3))
    assert ladders.current(ladder, after) == 2
    assert ladders.spent(ladder, after.steps, 2) == 1


def test_of_equal_steps_it_is_known_which() -> None:
    same = rule(step("a"), step("b"), step("a"))
    assert ladders.current(tried(FRESH, same, 2), same) == 2


def test_if_an_edit_removed_its_step_it_is_at_the_first_with_its_tries_still_spent() -> None:
    before = rule(step("a", tries=2), step("b", tries=2))
    ladder = tried(FRESH, before, 3)
    after = rule(step("a", tries=2), step("c"))
    assert ladders.place(ladder, after.steps) == 0
    assert ladders.current(ladder, after) == 1  # a's two tries are spent
    assert ladders.current(ladder, rule(step("a", tries=2))) is None


def test_more_tries_of_the_same_step_by_an_edit_are_more_tries() -> None:
    assert ladders.current(tried(FRESH, rule(step("a"))), rule(step("a", tries=2))) == 0


def test_a_relapse_goes_on_where_it_was_and_later_it_starts_anew() -> None:
    one = rule(step("a"), step("b"))
    closed = replace(tried(FRESH, one), closed=NOW, last_incident="i", flapping=True)
    later = replace(NOW, boottime=NOW.boottime + 599)
    again, is_relapse = ladders.reopened(closed, one, later)
    assert is_relapse
    assert again == replace(closed, closed=None)
    assert ladders.current(again, one) == 1
    fresh, is_relapse = ladders.reopened(closed, one, replace(NOW, boottime=NOW.boottime + 600))
    assert not is_relapse
    assert (ladders.current(fresh, one), fresh.flapping) == (0, False)


def test_an_incident_that_joins_an_open_ladder_is_no_relapse() -> None:
    ladder = tried(FRESH, rule(step("a")))
    assert ladders.reopened(ladder, rule(step("a")), NOW) == (ladder, False)


def test_a_ladder_that_starts_anew_forgets_all_but_the_attempt_under_way() -> None:
    climbed = replace(tried(FRESH, rule(step("a"))), attempt="attempt-1", exhausted=True, flapping=True, would=True)
    assert ladders.anew(climbed) == replace(FRESH, attempt="attempt-1")


def test_three_clear_looks_in_a_row_are_flapping_and_a_claim_resets_the_row() -> None:
    one = rule(step("a", tries=9))
    twice = ladders.found_clear(ladders.found_clear(FRESH))
    assert not twice.flapping
    assert ladders.found_clear(twice).flapping
    assert not ladders.found_clear(tried(twice, one)).flapping


def test_clear_looks_hold_an_open_ladder_and_a_closed_one_until_relapse_is_over() -> None:
    flaps, one = replace(FRESH, flapping=True), rule(step("a"))
    assert ladders.is_flapping(flaps, one, NOW)
    assert not ladders.is_flapping(FRESH, one, NOW)
    closed = replace(flaps, closed=NOW)
    assert ladders.is_flapping(closed, one, replace(NOW, boottime=NOW.boottime + one.relapse - 1))
    assert not ladders.is_flapping(closed, one, replace(NOW, boottime=NOW.boottime + one.relapse))
    assert not ladders.is_flapping(replace(closed, flapping=False), one, NOW)


CLEAR, UNKNOWN = Fit(verdict=Verdict.CLEAR), Fit(verdict=Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("fits", "spent", "found"),
    [
        ({}, 0, (0, FITS)),
        ({"a": CLEAR}, 0, (1, FITS)),
        ({"a": CLEAR, "b": CLEAR}, 0, (2, FITS)),
        ({"a": CLEAR, "b": CLEAR, "c": CLEAR}, 0, (2, CLEAR)),  # none fits: the last that was looked at
        ({"a": CLEAR, "b": UNKNOWN}, 0, (1, UNKNOWN)),  # what comes after it may be harsher
        ({"a": UNKNOWN}, 0, (0, UNKNOWN)),
        ({"b": CLEAR}, 1, (2, FITS)),
        ({"c": CLEAR}, 2, (2, CLEAR)),
        ({}, 3, None),
    ],
)
def test_a_step_that_is_not_for_what_is_wrong_is_passed_over(
    fits: dict[str, Fit], spent: int, found: tuple[int, Fit] | None
) -> None:
    three = rule(step("a"), step("b"), step("c"))
    assert ladders.chosen(tried(FRESH, three, spent), three, lambda it: fits.get(it.key, FITS)) == found


def test_a_step_whose_tries_are_used_up_is_passed_over_too() -> None:
    """An earlier step's `only_if` may hold again after a later one was tried."""
    three, asked = rule(step("a"), step("b"), step("c")), []
    ladder = ladders.over(FRESH, three.steps, 1)

    def fit(it: Step) -> Fit:
        asked.append(it.key)
        return CLEAR if it.key == "a" else FITS

    assert ladders.chosen(ladder, three, fit) == (2, FITS)
    assert asked == ["a", "c"]


@pytest.mark.parametrize(("try_number", "seconds"), [(1, 60), (2, 120), (3, 240), (6, 1800), (500, 1800)])
def test_a_range_of_cooldown_doubles_with_each_try_up_to_its_end(try_number: int, seconds: float) -> None:
    assert ladders.cooldown_of(step("a", cooldown=(60.0, 1800.0)), try_number) == seconds


def test_a_plain_cooldown_does_not_grow() -> None:
    assert ladders.cooldown_of(step("a", cooldown=(60.0, 60.0)), 7) == 60
