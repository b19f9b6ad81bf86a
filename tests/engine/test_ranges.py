"""What a condition can never be: found where it is certain, and never said where it is not."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.condition import View, compile_condition
from daemon.engine.observations import Observations
from daemon.engine.ranges import Allowed, Span, never, points
from daemon.engine.references import Reference
from tests.engine.looking import SCOPE


def domain(reference: Reference) -> Allowed | None:
    if reference.sample == "up":
        return points(0.0, 1.0)
    return (Span(0.0, 100.0),) if reference.sample == "used_percent" else None


def blame(text: str, wanted: bool) -> tuple[str, ...] | None:
    return never([(compile_condition(text, SCOPE).node, wanted)], domain)


IMPOSSIBLE = [
    ("up == 2", ["up"]),
    ("up > 1", ["up"]),
    ("up in [2, 3]", ["up"]),
    ("0.5 == up", ["up"]),
    ("used_percent > 100%", ["used_percent"]),
    ("disk.used_percent >= 100.5%", ["disk.used_percent"]),
    ("status > 500 and status < 400", ["status"]),
    ("status >= 500 and status < 500", ["status"]),
    ("status == 500 and status != 500", ["status"]),
    ("status in [500, 502] and status not in [500, 502, 503]", ["status"]),
    ("500 < status and status == 404", ["status"]),
    ("status > 500 and status < 600 and status == 500", ["status"]),
    ("status > 500 and status < 600 and status == 600", ["status"]),
    ("status > 500 and status <= 600 and status == 500", ["status"]),
    ("status >= 500 and status < 600 and status == 600", ["status"]),
    ('state == "ok" and state == "critical"', ["state"]),
    ('state not in ["ok"] and state == "ok"', ["state"]),
    ('state == "ok" and state in ["warning", "critical"]', ["state"]),
    ('state == "ok" and not (state == "ok")', ["state"]),
    ('state != "ok" and state == "ok"', ["state"]),
    ('state != "ok" and state != "bad" and state == "bad"', ["state"]),
    ('state in ["ok", "bad"] and state != "ok" and state != "bad"', ["state"]),
    ("ok and not ok", ["ok"]),
    ("up == 0 and up == 1 or up == 2", ["up"]),
    ("up == 0 and latency_seconds > 5s and up == 1", ["up"]),
    ("(status > 500 or up == 2) and status < 400", ["up", "status"]),
    ("count_of(up == 2, 3, 5)", ["up"]),
    ("1 == 2 and up == 0", ["1 == 2"]),
    ("up == 0 and 1 + 1 > 2", ["1 + 1 > 2"]),
    ("up == 0 and false", ["false"]),
    ("avg(latency_seconds, 5m) > 5s and up == 3", ["up"]),
]


@pytest.mark.parametrize(("text", "expected"), IMPOSSIBLE)
def test_what_can_never_be_true_is_found_with_what_rules_it_out(text: str, expected: Sequence[str]) -> None:
    assert sorted(blame(text, True) or ()) == sorted(expected)


ALWAYS = ["up >= 0", "up in [0, 1]", "up == 0 or up == 1", "not up == 2", "used_percent <= 100%", "1 < 2 or up == 0"]


@pytest.mark.parametrize("text", ALWAYS)
def test_what_can_never_be_false_is_found(text: str) -> None:
    assert blame(text, False)
    assert blame(text, True) is None


POSSIBLE = [
    "up == 0",
    "up != 1",
    "status > 400 and status < 401",  # nobody promises that it is whole
    "status >= 500 and status <= 500",
    "latency_seconds > 5s and avg(latency_seconds, 5m) < 1s",  # a sample, and what it was before
    "disk.used_percent > 90% and used_percent < 10%",  # of two checks
    'disk["/"].used_percent > 90% and disk["/var"].used_percent < 10%',
    "a > b and b > a",  # two samples: not looked at
    "percent(a, b) > 100%",
    "has(up) and not has(up)",
    'state contains "a" and state == "b"',
    "count_of(up == 0, 3, 5) and up == 1",
    "unchanged(up) > 5m and unchanged(up) < 1m",
    "a * 0 == 1",
    "1 < 2 and up == 0",
    "true and up == 0",
    "false or up == 0",
    "ok and up == 0",
    "1 / 0 > 1 and up == 0",  # missing, so neither true nor false
    "status > 1 / 0",
    'state in ["ok", "bad"] and state != "ok"',
    'state != "ok" and state == "bad"',
    'state != "ok" and state != "bad"',
]


@pytest.mark.parametrize("text", POSSIBLE)
def test_nothing_is_said_of_what_could_be_or_is_not_understood(text: str) -> None:
    assert blame(text, True) is None
    assert blame(text, False) is None


def test_two_conditions_may_rule_each_other_out() -> None:
    when, clear = compile_condition("status > 500", SCOPE).node, compile_condition("status > 600", SCOPE).node
    assert never([(when, False), (clear, True)], domain) == ("status",)
    assert never([(when, True), (clear, True)], domain) is None


def test_a_condition_of_too_many_cases_is_left_alone() -> None:
    sides = [f"(a != {number} or b != {number} or c != {number})" for number in range(12)]
    assert blame(" and ".join(["up == 2", *sides]), True) == ("up",)
    assert blame(" and ".join([*sides, "up == 2"]), True) is None


# ---- sound ----------------------------------------------------------------------------------------------------------

NUMBERS = (0.0, 1.0, 2.0)
GRID = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
atoms = st.builds(
    lambda name, symbol, number: f"{name} {symbol} {number:g}",
    st.sampled_from(["up", "a", "b"]),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from(NUMBERS),
)
lists = st.builds(
    lambda name, word: f"{name} {word} [0, 2]", st.sampled_from(["a", "b"]), st.sampled_from(["in", "not in"])
)
conditions = st.recursive(
    atoms | lists,
    lambda inner: (
        st.builds(lambda a, word, b: f"({a}) {word} ({b})", inner, st.sampled_from(["and", "or"]), inner)
        | st.builds(lambda a: f"not ({a})", inner)
    ),
    max_leaves=8,
)


@given(conditions, st.booleans())
def test_it_agrees_with_trying_every_value(text: str, wanted: bool) -> None:
    condition = compile_condition(text, SCOPE)
    tried = (
        condition.node.value(View("api", "", {"up": up, "a": a, "b": b}, None, 0.0, Observations()))
        for up, a, b in itertools.product((0.0, 1.0), GRID, GRID)
    )
    assert (never([(condition.node, wanted)], domain) is None) == (wanted in set(tried))
