"""An incident of which nothing is known any more is told to people, whatever held its ladder before."""

from pathlib import Path

from daemon.model.check import Reading
from daemon.model.incident import HoldReason, IncidentState
from daemon.model.order import OrderKind
from tests.runtime.world import DOWN, HEAD, World, up, worlds_end  # noqa: F401  # pytest finds the fixture here

RULE = "rules: {api-down: {check: api, when: up == 0, for: 0s, clear_for: 5m, steps: [restart: {}]}}\n"
NO_VALUE = [Reading(samples={})]
ABOUT = [("rule", "=", "api-down")]


def paused(folder: Path) -> World:
    """A pause of the rule holds its ladder, and that nobody is told of."""
    world = World(folder, HEAD + RULE).at(0, api=DOWN)
    world.simulation.assembly.orders.make(OrderKind.PAUSE, ABOUT, who="ann", why="work", lasts=None)
    return world


def told(world: World) -> HoldReason | None:
    return world.incident().handed_over


def test_people_are_told_once_its_value_was_missing_for_ten_minutes(tmp_path: Path) -> None:
    world = paused(tmp_path).at(15, api=NO_VALUE)
    assert told(world.run(610)) is None
    assert told(world.run(630)) is HoldReason.BLIND_NOW
    assert world.incident().state is IncidentState.FIRING


def test_a_value_that_comes_back_begins_the_ten_minutes_anew(tmp_path: Path) -> None:
    world = paused(tmp_path).at(15, api=NO_VALUE).at(415, api=DOWN).at(425, api=NO_VALUE)
    assert told(world.run(1010)) is None
    assert told(world.run(1040)) is HoldReason.BLIND_NOW


def test_what_recovers_without_a_value_is_told_too(tmp_path: Path) -> None:
    world = paused(tmp_path).at(15, api=up()).at(95, api=NO_VALUE)
    assert told(world.run(680)) is None
    assert told(world.run(710)) is HoldReason.BLIND_NOW
    assert world.incident().state is IncidentState.RECOVERING


def test_a_silence_keeps_it_quiet_until_it_ends(tmp_path: Path) -> None:
    world = paused(tmp_path).at(15, api=NO_VALUE)
    world.simulation.assembly.orders.make(OrderKind.SILENCE, ABOUT, who="ann", why="work", lasts=1000.0)
    assert told(world.run(995)) is None
    assert told(world.run(1010)) is HoldReason.BLIND_NOW


def test_what_opened_under_a_sick_upstream_is_told_once_that_is_well(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE).at(0, api=DOWN, db=DOWN).at(15, api=NO_VALUE).at(1000, db=up())
    assert told(world.run(999)) is None
    assert told(world.run(1020)) is HoldReason.BLIND_NOW
