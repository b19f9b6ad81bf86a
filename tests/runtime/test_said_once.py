"""What holds all acting is told once, by an incident of its own (design law 7): a storm, and heald's own isolation."""

from pathlib import Path

import pytest
from world import DOWN, HEAD, RULE, World, up, worlds_end  # noqa: F401  # a fixture among them

from daemon.model.incident import HoldReason, IncidentState
from daemon.model.order import OrderKind

SELF_TEST = HEAD.replace("startup_grace: 0s", "self_test: [db], startup_grace: 0s").replace("depends_on: [db], ", "")
TOLD_AFTER = RULE.replace("for: 0s", "for: 0s\n    escalate_after: 20s")


def named(world: World, reason: str) -> list[tuple[IncidentState, str]]:
    return [(it.state, it.because) for it in world.stored_incidents() if it.rule == f"heald:{reason}"]


@pytest.mark.parametrize(
    ("seen", "why"), [(DOWN, "db has up 0"), ("no route to host", "db could not look: no route to host")]
)
def test_a_self_test_that_holds_something_is_told_once_and_its_end_too(tmp_path: Path, seen: object, why: str) -> None:
    world = World(tmp_path, SELF_TEST + TOLD_AFTER, reality={"db": seen}).at(35, api=DOWN).run(30)
    assert named(world, "self_test") == []  # it keeps heald from nothing yet
    world.run(90)
    assert named(world, "self_test") == [(IncidentState.FIRING, f"heald may be cut off: {why}")]
    assert world.incident("heald:self_test").handed_over is HoldReason.SELF_TEST
    assert world.incident().handed_over is None  # whatever it holds is not told of as well
    world.at(95, db=up()).run(110)
    assert named(world, "self_test") == [(IncidentState.RESOLVED, f"heald may be cut off: {why}")]
    assert len(world.claims()) == 1
    world.at(115, db=seen).run(140)
    assert named(world, "self_test")[0][0] is IncidentState.RESOLVED


def test_a_self_test_that_has_not_run_yet_holds_and_is_no_incident(tmp_path: Path) -> None:
    rules = SELF_TEST.replace("port: 1}, every: 10s", "port: 1}, every: 60s") + RULE
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.simulation.timetable.next_run["db"] += 45
    world.run(30)
    assert world.holds() == [HoldReason.SELF_TEST]
    assert "db has not run yet" in world.incident().hold_sentence
    assert named(world, "self_test") == []


def test_one_that_is_named_no_more_after_a_reload_is_over(tmp_path: Path) -> None:
    world = World(tmp_path, SELF_TEST + RULE, reality={"db": DOWN, "api": DOWN}).run(30)
    assert [state for state, _ in named(world, "self_test")] == [IncidentState.FIRING]
    world.edit(35, SELF_TEST.replace("self_test: [db], ", "") + RULE).run(45)
    assert [state for state, _ in named(world, "self_test")] == [IncidentState.RESOLVED]


@pytest.mark.parametrize(
    ("kind", "selects"),
    [(OrderKind.SILENCE, ("rule", "=", "heald:*")), (OrderKind.MAINTENANCE, ("severity", "=", "P0"))],
)
def test_it_is_told_when_people_are_not_left_in_peace_any_more(
    tmp_path: Path, kind: OrderKind, selects: tuple[str, str, str]
) -> None:
    world = World(tmp_path, SELF_TEST + RULE, reality={"db": DOWN}).at(35, api=DOWN)
    world.simulation.assembly.orders.make(kind, [selects], who="ann", why="release", lasts=100.0)
    world.run(90)
    assert world.incident("heald:self_test").handed_over is None
    world.run(110)
    assert world.incident("heald:self_test").handed_over is HoldReason.SELF_TEST


def test_in_a_storm_only_the_storm_is_told(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(8)]
    services = "".join(f"  {name}: {{run_by: {{command: {{restart: [x]}}}}, limit: [9/1h]}}\n" for name in names)
    checks = "".join(f"  {name}: {{service: {name}, tcp: {{host: h, port: 1}}, every: 10s}}\n" for name in names)
    settings = "mode: act, allow: [restart], startup_grace: 0s, budget: [100/1h], storm: {share: 40%, quiet: 1m}"
    rule = f"{{checks: [{', '.join(names)}], when: up == 0, for: 0s, escalate_after: 20s, steps: [restart: {{}}]}}"
    text = f"version: 1\nsettings: {{{settings}}}\nservices:\n{services}checks:\n{checks}rules:\n  down: {rule}\n"
    world = World(tmp_path, text).at(15, **dict.fromkeys(names, DOWN))
    silence = ("rule", "=", "heald:storm")
    world.simulation.assembly.orders.make(OrderKind.SILENCE, [silence], who="ann", why="known", lasts=60.0, holds=False)
    world.run(50)
    assert world.incident("heald:storm").handed_over is None
    world.run(120)
    assert len(named(world, "storm")) == 1
    assert world.incident("heald:storm").handed_over is HoldReason.STORM
    told = [it.handed_over for it in world.stored_incidents() if it.rule == "down"]
    assert told == [None] * 8
