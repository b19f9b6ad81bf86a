"""What `heald explain` is told of a condition, of the guards and of the limits (docs/explain.md)."""

from dataclasses import replace

import pytest

from daemon.engine.guards import GUARDS
from daemon.engine.proof import allowances, answers
from daemon.model.explanation import Operand
from daemon.model.incident import HoldReason as H
from daemon.model.rule import Limit
from tests.engine.looking import World
from tests.engine.test_guards import FACTS, NOW, PROPOSAL, made


def told(world: World) -> tuple[Operand, ...]:
    assert world.view is not None
    return world.condition.operands(world.view)


def of_one_run(text: str, **samples: float | str | bool) -> list[tuple[str, str | None]]:
    world = World(text)
    world.run(0.0, **samples)
    return [(operand.text, operand.value) for operand in told(world)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up == 0 or latency_seconds > 5s", [("up", "0"), ("latency_seconds", "7.2s")]),
        ("latency_seconds > 5s or up == 0", [("latency_seconds", "7.2s"), ("up", "0")]),  # in order of the text
        ("up == 0 or up == 2 or not up == 1", [("up", "0")]),  # each once
        ("status in [500, 503]", [("status", "503")]),  # literals are no news
        ("-(status - 3) * 2 > 1", [("status", "503")]),
        ("percent(a, status) > 5%", [("a", None), ("status", "503")]),
        ("has(a) and age() < 1m", [("has(a)", "false"), ("age()", "0s")]),
        ("unchanged(state) > 5m and state == 'x'", [("unchanged(state)", "0s"), ("state", '"failed"')]),
        ("avg(latency_seconds, 5m) > 5s", [("avg(latency_seconds, 5m)", "7.2s")]),  # its window says it all
        ("count_of(up == 0, 1, 3)", [("count_of(up == 0, 1, 3)", "true"), ("up", "0")]),  # what it counts, too
    ],
)
def test_every_sample_and_function_is_told_with_its_value(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert of_one_run(text, up=0, latency_seconds=7.2, status=503, state="failed") == expected


def test_what_is_missing_says_why() -> None:
    world = World("a + 1 > 5 or up == 0")
    world.run(0.0, up=0)
    assert told(world) == (
        Operand(text="a", value=None, missing="the reading has no such sample"),
        Operand(text="up", value="0"),
    )


def test_a_reason_that_holds_of_two_things_is_told_once() -> None:
    world = World("count_of(a == 1 and b == 1, 1, 1)")
    world.run(0.0)
    assert told(world)[0].missing == (
        "of the last 1 runs 0 breached, 0 clear, 1 unknown; the reading has no such sample"
    )


def test_a_window_says_how_many_samples_it_holds_and_over_how_long() -> None:
    world = World("avg(latency_seconds, 1m) > 5s")
    for at in (0.0, 20.0, 50.0, 70.0):
        world.run(at, latency_seconds=2.0)
    (window,) = told(world)
    assert (window.value, window.missing) == ("2s", "")
    assert (window.window, window.samples, window.span) == (60.0, 3, 50.0)


def test_an_empty_window_holds_none_over_no_time() -> None:
    world = World("delta(latency_seconds, 1m) > 5s")
    world.run(0.0)
    (window,) = told(world)
    assert (window.window, window.samples, window.span) == (60.0, 0, 0.0)
    assert window.missing == "there are no known samples in the last 1m, and it needs 2"


def test_every_guard_answers_in_its_order_those_that_let_pass_too() -> None:
    said = answers(PROPOSAL, replace(FACTS, shutting_down=True, grace_until=NOW.boottime + 30))
    assert [answer.reason for answer in said] == [reason for reason, _ in GUARDS]
    held = [(answer.reason, answer.hold.reason, answer.until) for answer in said if answer.hold is not None]
    assert held == [
        (H.SHUTTING_DOWN, H.SHUTTING_DOWN, None),
        (H.STARTUP_GRACE, H.STARTUP_GRACE, NOW.wall + 30),  # by the wall clock, for people
    ]
    assert all(answer.until is None for answer in said if answer.hold is None)


def left(*, would: bool) -> list[tuple[str, str, int, float]]:
    attempts = [
        made(100),
        made(200, resource="else"),
        made(300, rule="other"),
        made(400, would=True),
        made(500, would=True, void=True),  # reset: it counts for nothing
    ]
    facts = replace(FACTS, attempts=attempts)
    proposal = replace(PROPOSAL, would=would, limit=(Limit(count=3, window=3600.0), Limit(count=9, window=150.0)))
    return [(it.of, str(it.limit), it.used, it.free_in) for it in allowances(proposal, facts)]


def test_every_limit_of_rule_resource_and_all_says_what_it_still_permits() -> None:
    assert left(would=False) == [
        ("rule api-down", "2/1h", 2, 3400.0),
        ("svc:api@n", "3/1h", 2, 0.0),
        ("svc:api@n", "9/2m30s", 1, 0.0),
        ("all", "5/1h", 3, 0.0),
    ]


def test_a_would_be_attempt_is_told_of_would_be_attempts_as_well() -> None:
    assert [(of, used) for of, _, used, _ in left(would=True)] == [
        ("rule api-down", 3), ("svc:api@n", 3), ("svc:api@n", 1), ("all", 4),
    ]  # fmt: skip
