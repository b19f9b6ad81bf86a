"""Laws that hold for every condition and every series."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.engine.condition import ConditionError, compile_condition
from daemon.engine.windows import Points, increase_rate, least_squares
from daemon.model.rule import Verdict
from tests.engine.looking import SCOPE, World

law = settings(deadline=None)  # a busy machine is no error
TRUTH = {"a": True, "b": False, "c": None}
VERDICT = {True: Verdict.BREACHED, False: Verdict.CLEAR, None: Verdict.UNKNOWN}
Tree = tuple[str, ...] | tuple[str, object, object]

trees = st.recursive(
    st.sampled_from([("a",), ("b",), ("c",)]),
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=20,
)


def written(tree) -> str:
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if len(tree) == 3:
        return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"
    return f"{tree[0]} == 1"


def kleene(tree) -> bool | None:
    if tree[0] == "not":
        inner = kleene(tree[1])
        return None if inner is None else not inner
    if len(tree) == 3:
        left, right = kleene(tree[1]), kleene(tree[2])
        deciding = tree[0] == "or"
        if deciding in (left, right):
            return deciding
        return None if None in (left, right) else not deciding
    return TRUTH[tree[0]]


@law
@given(trees)
def test_and_or_and_not_follow_kleene(tree) -> None:
    world = World(written(tree))
    assert world.run(0.0, a=1, b=0) is VERDICT[kleene(tree)]
    assert world.because


@law
@given(trees)
def test_what_made_it_so_is_enough_to_make_it_so(tree) -> None:
    """Making missing whatever because does not name changes no known verdict."""
    world = World(written(tree))
    verdict = world.run(0.0, a=1, b=0)
    if verdict is not Verdict.UNKNOWN:
        named = {name: value for name, value in (("a", 1), ("b", 0)) if re.search(rf"\b{name} =", world.because)}
        assert World(written(tree)).run(0.0, **named) is verdict


_WORDS = """
up latency_seconds state ok db . disk [ ] "/" ( ) , == < in not and or contains true AND = && 'x # é e9 0 5 5s 1m 85%
2GiB/s - + * / avg has count_of time_until age percent unchanged
"""
words = st.sampled_from([*_WORDS.split(), "\n"])


@law
@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=25).map(" ".join), st.lists(words).map("".join)))
def test_any_text_compiles_or_is_refused_with_a_place(text: str) -> None:
    error = None
    try:
        condition = compile_condition(text, SCOPE)
    except ConditionError as refusal:
        error = refusal
    if error is None:
        assert condition.text == text
    else:
        assert 0 <= error.position <= len(text)
        assert error.render().split("\n")[1].strip() == "^"


numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda number: round(number, 3))
samples = st.one_of(numbers, st.just(math.nan), st.none())
series = st.lists(st.tuples(st.integers(1, 60), samples), min_size=1, max_size=30)


def naive(name: str, known: list[tuple[float, float]], window: float) -> float | None:
    values = [value for _, value in known]
    simple = {"avg": lambda: math.fsum(values) / len(values), "min": lambda: min(values), "max": lambda: max(values)}
    if not known:
        return None
    if name in simple:
        return simple[name]()
    if name == "sum":
        return math.fsum(values)
    span = known[-1][0] - known[0][0]
    if len(known) < (3 if name == "trend" else 2) or span < window / 2:
        return None
    if name == "delta":
        return values[-1] - values[0]
    if name == "rate":
        return math.fsum(new - old if new >= old else new for old, new in pairwise(values)) / span
    time, mean = math.fsum(at for at, _ in known) / len(known), math.fsum(values) / len(known)
    return math.fsum((at - time) * (value - mean) for at, value in known) / math.fsum(
        (at - time) ** 2 for at, _ in known
    )


@pytest.mark.parametrize("name", ["avg", "min", "max", "sum", "delta", "rate", "trend"])
@law
@given(points=series, window=st.integers(1, 400))
def test_windows_agree_with_a_naive_reading(name: str, points: list[tuple[int, float | None]], window: int) -> None:
    unit = "/s" if name in ("rate", "trend") else ""
    world = World(f"{name}(a, {window}s) > 0{unit}")
    now, known = 0.0, []
    for step, value in points:
        now += step
        world.run(now, **({} if value is None else {"a": value}))
        if value is not None and not math.isnan(value):
            known.append((now, value))
    assert world.view is not None
    found = world.condition._node.children[0].value(world.view)
    wanted = naive(name, [(at, value) for at, value in known if now - window < at <= now], window)
    if wanted is None:
        assert found is None
        assert "missing" in world.because
    else:
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@law
@given(st.lists(st.sampled_from("BCU"), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_count_of_is_certain_exactly_when_the_unknown_runs_do_not_matter(
    seen: list[str], least: int, more: int
) -> None:
    most = least + more
    world = World(f"count_of(a == 1, {least}, {most})")
    for at, letter in enumerate(seen):
        verdict = world.run(float(at), **{"B": {"a": 1}, "C": {"a": 0}, "U": {}}[letter])
    last = (["U"] * most + seen)[-most:]
    fewest, greatest = last.count("B"), last.count("B") + last.count("U")
    assert verdict is VERDICT[True if fewest >= least else False if greatest < least else None]


@law
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_a_counter_never_runs_backwards(values: list[float]) -> None:
    rate = increase_rate(Points([float(at) for at in range(len(values))], values))
    assert rate is not None
    assert rate >= 0


@law
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(3, 30), st.floats(0, 1e8))
def test_the_trend_of_a_straight_line_is_its_slope(start: float, rise: float, count: int, begin: float) -> None:
    times = [begin + 10.0 * index for index in range(count)]
    line = least_squares(Points(times, [start + rise * (at - begin) for at in times]))
    assert line is not None
    assert line.slope == pytest.approx(rise, rel=1e-6, abs=1e-6)
