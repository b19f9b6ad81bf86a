"""Windows, counts of runs, and how far they look back."""

import pytest

from daemon.engine.condition import View
from tests.engine.looking import BREACHED, CLEAR, UNKNOWN, World, runs


def value_of(world: World) -> float | None:
    """What the left side of the condition's comparison comes to."""
    assert world.view is not None
    value = world.condition._node.children[0].value(world.view)
    assert value is None or isinstance(value, float)
    return value


def after(
    call: str, points: list[tuple[float, float]], *, name: str = "a", unit: str = "", **how: float | bool
) -> float | None:
    """What a function comes to after runs with these values."""
    world = World(f"{call} > 0{unit}")
    runs(world, name, points, **how)
    return value_of(world)


@pytest.mark.parametrize(("name", "value"), [("avg", 4.0), ("min", 2.0), ("max", 6.0), ("sum", 12.0)])
def test_avg_min_max_sum_are_over_the_window(name: str, value: float) -> None:
    assert after(f"{name}(a, 30s)", [(0, 100), (10, 2), (20, 6), (30, 4)]) == value


def test_a_window_is_open_where_it_begins_and_closed_where_it_ends() -> None:
    assert after("sum(a, 20s)", [(0, 1), (10, 2), (20, 4)]) == 6
    assert after("sum(a, 20.5s)", [(0, 1), (10, 2), (20, 4)]) == 7


def test_only_known_samples_are_in_a_window() -> None:
    world = World("avg(a, 1m) > 0")
    world.run(0, a=2.0)
    world.run(10, b=1.0)
    world.run(20, error="EMFILE")
    world.run(30, a=float("nan"))
    world.run(40, a=True)
    assert world.run(50, a=4.0) is BREACHED
    assert value_of(world) == 3.0
    assert world.run(55) is BREACHED  # the sample is missing now, but not in the window


@pytest.mark.parametrize("name", ["avg", "min", "max", "sum"])
def test_an_empty_window_is_missing(name: str) -> None:
    world = World(f"{name}(a, 30s) > 0")
    assert world.run(0) is UNKNOWN
    world.run(10, a=1.0)
    assert world.run(39) is BREACHED
    assert world.run(40) is UNKNOWN
    assert "there are no known samples in the last 30s" in world.because


def test_the_past_of_a_neighbour_is_not_this_subjects() -> None:
    for text in ("avg(a, 1m) > 0", "unchanged(a) >= 0s"):
        world = World(text, subject="web")
        world.saw("api", 0, {"mail": {"a": 5.0}})
        assert world.condition.judge(View("api", "web", {"a": 5.0}, None, 0.0, world.observations)) is UNKNOWN


def test_delta_is_newest_minus_oldest() -> None:
    assert after("delta(a, 1m)", [(0, 100), (40, 7), (50, 3), (90, 5)]) == -2


@pytest.mark.parametrize("call", ["delta(a, 1m)", "rate(a, 1m)", "trend(a, 1m)"])
def test_samples_that_span_less_than_half_the_window_are_too_few(call: str) -> None:
    unit = "" if call.startswith("delta") else "/s"
    assert after(call, [(0, 1), (10, 2), (29.9, 3)], unit=unit) is None
    assert after(call, [(0, 1), (10, 2), (30, 3)], unit=unit) is not None


@pytest.mark.parametrize(("call", "fewest"), [("delta(a, 1m)", 2), ("rate(a, 1m)", 2), ("trend(a, 1m)", 3)])
def test_too_few_samples_are_missing(call: str, fewest: int) -> None:
    points = [(0.0, 1.0), (20.0, 2.0), (40.0, 3.0)]
    unit = "" if call.startswith("delta") else "/s"
    wanted = points[: fewest - 2] + points[-1:] if fewest > 2 else points[-1:]
    assert after(call, wanted, unit=unit) is None
    assert after(call, points[: fewest - 1] + points[-1:], unit=unit) is not None


def test_during_verification_windows_do_not_ask_for_half_their_length() -> None:
    assert after("delta(a, 10m)", [(0, 1), (10, 3)]) is None
    assert after("delta(a, 10m)", [(0, 1), (10, 3)], lenient=True) == 2
    assert after("trend(a, 10m)", [(0, 1), (10, 3)], unit="/s", lenient=True) is None  # three all the same
    for call, points in (("rate", [(10, 1), (10, 3)]), ("trend", [(10, 1), (10, 2), (10, 3)])):
        world = World(f"{call}(a, 10m) > 0/s")
        assert runs(world, "a", points, lenient=True) is UNKNOWN
        assert world.because == f"{call}(a, 10m) is missing: all its samples are of one instant"


def test_a_window_whose_result_is_no_finite_number_is_missing() -> None:
    world = World("sum(a, 1m) > 5")
    assert runs(world, "a", [(0, 1e308), (10, 1e308)]) is UNKNOWN
    assert world.because == "sum(a, 1m) is missing: the result is no finite number"


def test_a_view_is_strict_unless_it_is_said_to_be_lenient() -> None:
    world = World("delta(a, 10m) > 0")
    runs(world, "a", [(0, 1), (10, 3)])
    assert world.condition.judge(View("api", "", {"a": 3}, None, 10.0, world.observations)) is UNKNOWN
    assert world.condition.judge(View("api", "", {"a": 3}, None, 10.0, world.observations, lenient=True)) is BREACHED


def test_no_window_reaches_behind_the_floor() -> None:
    assert after("sum(a, 1m)", [(0, 1), (10, 2), (20, 4), (30, 8)], floor=10) == 12
    assert after("sum(a, 1m)", [(0, 1), (10, 2)], floor=10) is None
    world = World("delta(a, 1m) > 0")
    runs(world, "a", [(0, 1), (20, 2), (40, 9)], floor=10)
    assert value_of(world) is None  # 20s of 1m
    span = "the samples in the last 1m since the attempt settled span 20s, and it needs 30s"
    assert world.because == f"delta(a, 1m) is missing: {span}"
    assert world.run(50, a=12.0, floor=10) is BREACHED


def test_rate_is_the_increase_per_second() -> None:
    assert after("rate(a, 1m)", [(0, 0), (20, 10), (40, 40)], unit="/s") == 1


def test_a_decrease_is_a_counter_that_started_again_at_zero() -> None:
    assert after("rate(a, 1m)", [(0, 100), (20, 110), (40, 10)], unit="/s") == 0.5
    assert after("rate(a, 1m)", [(0, 100), (20, 0), (40, 0)], unit="/s") == 0
    assert after("rate(a, 1m)", [(0, 100), (20, 100), (40, 110)], unit="/s") == 0.25  # standing still is no decrease


def test_trend_is_the_least_squares_slope_per_second() -> None:
    assert after("trend(a, 1m)", [(0, 1), (20, 3), (40, 2)], unit="/s") == pytest.approx(0.025)
    assert after("trend(a, 1m)", [(1e9, 5), (1e9 + 20, 5), (1e9 + 40, 5)], unit="/s") == 0
    assert after("trend(a, 1m)", [(1e9, 0), (1e9 + 20, 2), (1e9 + 40, 4)], unit="/s") == pytest.approx(0.1, rel=1e-12)
    large = [(0, 1e15), (10, 1e15 + 3), (31, 1e15 + 9)]  # of bytes in a large store, too, the small digits count
    assert after("trend(a, 1m)", large, unit="/s") == pytest.approx(0.2896138482, rel=1e-9)


def test_a_change_per_second_has_its_dimension() -> None:
    world = World("rate(body_bytes, 1m) > 1KiB/s and trend(used_percent, 1m) > 5%/h")
    for at in (0, 20, 40):
        verdict = world.run(at, body_bytes=at * 2048.0, used_percent=at / 100)
    assert verdict is BREACHED
    assert world.because == "rate(body_bytes, 1m) = 2KiB/s > 1KiB/s; trend(used_percent, 1m) = 0.01%/s > 5%/h"


def until(points: list[tuple[float, float]], target: str = "100", **how: bool) -> float | None:
    return after(f"time_until(a, {target}, 1m)", points, unit="s", **how)


def test_time_until_is_when_the_trend_reaches_the_target() -> None:
    assert until([(0, 50), (20, 60), (40, 70)]) == pytest.approx(60)
    assert until([(0, 50), (20, 40), (40, 30)], "0") == pytest.approx(60)
    assert until([(0, 0), (20, 200), (40, 400)], "405") == pytest.approx(0.5)
    world = World("up == 1 and time_until(used_percent, 100%, 1m) < 4h and up < 2")
    for at in (0, 20, 40):
        world.run(at, up=1, used_percent=50.0 + at / 2)
    assert world.because == "up = 1; time_until(used_percent, 100%, 1m) = 1m < 4h; up = 1 < 2"


def test_time_until_is_zero_where_the_trend_is_there_already() -> None:
    assert until([(0, 0), (20, 100), (40, 99)]) == 0


def test_time_until_is_zero_at_the_target_or_past_it_in_the_trends_direction() -> None:
    assert until([(0, 80), (20, 90), (40, 100)]) == 0
    assert until([(0, 90), (20, 100), (40, 110)]) == 0
    assert until([(0, 10), (20, 0), (40, -10)], "0") == 0
    assert until([(0, 100), (20, 100), (40, 100)]) == 0
    assert until([(0, 0), (20, 0), (40, 100)]) == 0  # the newest value is at the target, whatever the line says
    assert until([(0, 100), (20, 105), (40, 110)]) == 0  # at the target where the window begins
    assert until([(0, 0), (20, -5), (40, -10)], "0") == 0


def test_time_until_is_missing_where_the_trend_moves_away() -> None:
    assert until([(0, 90), (20, 80), (40, 70)]) is None  # falls, and the target is above
    assert until([(0, 10), (20, 20), (40, 30)], "0") is None  # rises, and the target is below
    assert until([(0, 50), (20, 50), (40, 50)]) is None
    world = World("time_until(used_percent, 100%, 1m) < 4h")
    runs(world, "used_percent", [(0, 90.0), (20, 80.0), (40, 70.0)])
    call = "time_until(used_percent, 100%, 1m)"
    assert world.because == f"{call} is missing: the trend moves away from 100%"
    runs(world, "used_percent", [(200, 50.0), (220, 50.0), (240, 50.0)])
    assert world.because == f"{call} is missing: there is no trend, so it never reaches 100%"


def test_time_until_needs_what_a_trend_needs() -> None:
    assert until([(0, 50), (40, 70)]) is None
    assert until([(0, 50), (10, 60), (20, 70)]) is None
    assert until([(10, 50), (10, 60), (10, 70)], lenient=True) is None  # of one instant
    world = World("time_until(used_percent, 50% + 50% / a, 1m) < 4h")
    for at in (0, 20, 40):
        verdict = world.run(at, used_percent=50.0 + at)
    assert verdict is UNKNOWN  # the target is missing
    assert "a is missing" in world.because
    assert world.run(50, used_percent=100.0, a=1) is BREACHED


def test_unchanged_is_the_time_since_the_first_run_of_the_present_value() -> None:
    world = World('unchanged(state) > 30s and state == "x"')
    assert world.run(0, state="x") is CLEAR
    assert world.run(30, state="x") is CLEAR
    assert world.run(31, state="x") is BREACHED
    assert world.because == 'unchanged(state) = 31s > 30s; state = "x"'
    assert world.run(40, state="y") is CLEAR
    assert world.run(50, state="x") is CLEAR
    assert world.run(60) is UNKNOWN  # missing
    assert world.run(70, error="EMFILE") is UNKNOWN
    assert world.run(81, state="x") is BREACHED  # the same value all the time, as far as anybody saw


def test_unchanged_is_zero_in_the_first_run_of_a_value() -> None:
    world = World('state == "x" and unchanged(state) < 1s')
    assert world.run(0, state="x") is BREACHED
    assert world.because == 'state = "x"; unchanged(state) = 0s < 1s'


def test_unchanged_is_missing_where_nobody_remembers_the_first_run() -> None:
    world = World("unchanged(state) > 30s")
    world.observations.declare("api", 10.0, {}, frozenset())
    assert world.run(0, state="x") is UNKNOWN
    assert world.because == "unchanged(state) is missing: no run of its present value is remembered"


def test_unchanged_looks_at_other_checks_while_their_reading_is_new_enough() -> None:
    world = World("unchanged(db.up) > 30s")
    assert world.run(0) is UNKNOWN
    for at in (0, 20, 40):
        world.saw("db", at, up=1)
    assert world.run(41) is BREACHED
    assert world.run(131) is UNKNOWN  # more than three of its intervals of 30s
    assert "is 1m31s old" in world.because


def test_unchanged_is_of_numbers_and_booleans_too() -> None:
    for name, one, other in (("a", 5, 6.0), ("ok", True, False)):
        world = World(f"unchanged({name}) >= 20s")
        assert runs(world, name, [(0, one), (20, one)]) is BREACHED
        assert runs(world, name, [(30, other), (40, other)]) is CLEAR


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ("BBB", BREACHED),
        ("BCBCB", BREACHED),
        ("BUBUB", BREACHED),
        ("CCC", CLEAR),  # two unknown ones at most could breach
        ("CBCBC", CLEAR),
        ("CCUUC", CLEAR),
        ("CUBBC", UNKNOWN),  # the unknown one decides
        ("UUUUU", UNKNOWN),
        ("CC", UNKNOWN),  # three runs have not been yet
        ("BB", UNKNOWN),
        ("BBBCCC", CLEAR),  # only two of the last five
        ("BBBCC", BREACHED),
    ],
)
def test_count_of_counts_the_last_runs(seen: str, verdict: object) -> None:
    world = World("count_of(a == 1, 3, 5)")
    for at, letter in enumerate(seen):
        samples = {"B": {"a": 1}, "C": {"a": 0}, "U": {}}[letter]
        said = world.run(at * 10.0, **samples)
    assert said is verdict


def test_a_count_that_is_unknown_names_what_was_missing_only_if_this_run_was_unknown() -> None:
    tally = "count_of(a == 1 or up == 0, 2, 3) is unknown: of the last 3 runs"
    world = World("count_of(a == 1 or up == 0, 2, 3)")
    assert world.run(0, up=0) is UNKNOWN  # breached, though a is missing
    assert world.because == f"{tally} 1 breached, 0 clear, 2 unknown"
    assert world.run(10, up=1) is UNKNOWN
    assert world.because == f"{tally} 1 breached, 0 clear, 2 unknown; a is missing: the reading has no such sample"


def test_a_blind_run_is_an_unknown_one_of_the_last() -> None:
    world = World("count_of(a == 1, 2, 3)")
    assert runs(world, "a", [(0, 1), (10, 1)]) is BREACHED
    assert world.run(20, error="EMFILE") is UNKNOWN
    assert world.run(30, a=1) is BREACHED
    assert world.run(40, error="EMFILE") is UNKNOWN
    assert world.run(50, a=0) is UNKNOWN  # B U C


def test_a_count_is_known_in_a_blind_run_where_others_decided() -> None:
    world = World("count_of(db.up == 0, 2, 3)")
    world.saw("db", 0, up=0)
    world.run(1, up=1)
    assert world.run(2, error="EMFILE") is BREACHED
    mixed = World("count_of(a == 1 or age() > 15s, 2, 3)")
    assert runs(mixed, "a", [(0, 1), (5, 1)]) is BREACHED
    assert mixed.run(21, error="EMFILE") is UNKNOWN  # only one of those rests on what we can know now
    assert mixed.run(31, error="EMFILE") is BREACHED
    assert mixed.run(41, a=0) is BREACHED


def test_a_count_may_stand_inside_another() -> None:
    world = World("count_of(count_of(a == 1, 1, 2), 2, 2)")
    assert runs(world, "a", [(0, 0), (10, 1)]) is UNKNOWN
    assert world.run(20, a=0) is BREACHED
    assert world.condition.rings == 2


def test_a_ring_is_strings_of_the_condition_and_its_last_runs() -> None:
    world = World("count_of(a == 1, 1, 2) or count_of(b == 1, 1, 1)")
    runs(world, "a", [(0.5, 1), (10.0, 0), (20.0, 0)])
    assert world.memory == (("a == 1", "C 10.0", "C 20.0"), ("b == 1", "U 20.0"))


def test_a_ring_of_another_condition_starts_anew() -> None:
    world = World("count_of(a == 1, 2, 2)")
    world.memory = (("b == 1", "B 0.0", "B 1.0"),)
    assert world.run(2, a=1) is UNKNOWN
    world.memory = (("a == 1", "B 0.0"), ("and", "another"))
    assert world.run(3, a=1) is UNKNOWN
    world.memory = (("a == 1", "B 3.0"),)
    assert world.run(4, a=1) is BREACHED


def test_runs_behind_the_floor_do_not_count_as_known() -> None:
    world = World("count_of(a == 1, 2, 3)")
    assert runs(world, "a", [(0, 1), (10, 1)]) is BREACHED
    assert world.run(20, a=0, floor=10) is UNKNOWN
    assert world.run(30, a=0, floor=10) is CLEAR
    assert world.memory == (("a == 1", "B 10", "C 20", "C 30"),)
    at_the_floor = World("count_of(a == 1, 1, 2)")
    assert runs(at_the_floor, "a", [(0, 0), (10, 1)]) is BREACHED
    assert at_the_floor.run(20, a=0, floor=10) is UNKNOWN


def test_runs_of_an_earlier_boot_are_behind_every_floor() -> None:
    world = World("count_of(a == 1, 2, 3)")
    runs(world, "a", [(5000.0, 1), (5010.0, 1)])
    assert world.run(20, a=0) is BREACHED
    assert world.run(30, a=1, floor=1) is UNKNOWN


def test_a_ring_is_known_by_the_whole_text_of_what_it_counts() -> None:
    world = World("ok and count_of(a == 1 or b == 1 or c == 1, 1, 1) and ok and count_of(a == 1 and b == 1, 1, 1)")
    world.run(0, a=1, b=1)
    assert [ring[0] for ring in world.memory] == ["a == 1 or b == 1 or c == 1", "a == 1 and b == 1"]
    turned = World("ok and count_of(not a == 1, 1, 1)")
    turned.run(0, a=1)
    assert turned.memory == (("not a == 1", "C 0"),)


def test_recording_a_run_leaves_what_is_judged_as_it_was() -> None:
    world = World("count_of(a == 1, 1, 1)")
    rings = (("a == 1", "B 0.0"),)
    view = View("api", "", {"a": 0}, None, 1.0, world.observations, memory=rings)
    assert world.condition.judge(view) is BREACHED
    assert world.condition.record(view, rings) == (("a == 1", "C 1.0"),)
    assert view.memory == rings


def test_two_runs_that_ended_at_one_instant_are_two() -> None:
    world = World("count_of(a == 1, 2, 2)")
    world.run(10, a=1)
    assert world.run(10, a=1, floor=5) is BREACHED


def test_a_count_that_remembers_no_run_is_unknown() -> None:
    world = World("count_of(a == 1, 1, 1)")
    assert world.condition.judge(View("api", "", {"a": 1}, None, 0.0, world.observations)) is UNKNOWN


def test_what_a_blind_run_could_not_decide_is_unknown_to_later_runs_too() -> None:
    world = World("count_of(up == 0 or 1 < 2, 2, 2)")
    assert world.run(0, error="EMFILE") is UNKNOWN
    assert world.run(10, up=1) is UNKNOWN
    assert world.run(20, up=1) is BREACHED


def test_a_condition_without_a_count_remembers_nothing() -> None:
    world = World("a == 1")
    world.run(0, a=1)
    assert world.memory == ()


def test_a_window_looks_at_another_checks_subject() -> None:
    world = World('max(disk["/var"].used_percent, 5m) > 85% and avg(db.connections, 1m) > 5')
    for at in (0, 30):
        world.saw("disk", at, {"/": {"used_percent": 10}, "/var": {"used_percent": 90.0 - at}})
        world.saw("db", at, connections=at)
    assert world.run(40) is BREACHED
    assert world.because == 'max(disk["/var"].used_percent, 5m) = 90% > 85%; avg(db.connections, 1m) = 15 > 5'
    assert world.run(41, error="EMFILE") is BREACHED  # other checks decide
    assert world.run(100) is UNKNOWN
