"""People are told once that something flaps, for as long as it does (docs/judgement.md, handed to people)."""

from pathlib import Path

import pytest
from world import DOWN, HEAD, RULE, START, World, up, worlds_end  # noqa: F401  # a fixture among them

from daemon.model.incident import HoldReason as H
from daemon.model.order import OrderKind

HOUR = 3600
FLAPS = HEAD + RULE.replace("tries: 2", "tries: 50")  # tries enough for all before it flaps
BRIEF = FLAPS.replace("for: 0s", "for: 0s\n    relapse: 1s\n    escalate_after: 1m")


def alternates(world: World, since: int, until: int, *, every: int = 10) -> World:
    for number, seconds in enumerate(range(since + 5, until, every)):
        world.at(seconds, api=up() if number % 2 else DOWN)
    return world.at(until, api=up())


def told(world: World) -> list[int]:
    """When people were told of flapping, and that nothing else was told."""
    found = world.simulation.ask(world.simulation.store.incidents(limit=1000, closed=True))
    assert {it.handed_over for it in found} <= {None, H.FLAPPING}
    return sorted(round(it.handed_over_at.wall - START.timestamp()) for it in found if it.handed_over_at is not None)


def test_an_hour_of_changes_is_told_at_once_and_exactly_once(tmp_path: Path) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, HOUR).run(HOUR)
    (at,) = told(world)
    assert at <= 100


def test_what_was_told_of_counts_as_handed_over_until_it_is_calm(tmp_path: Path) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, HOUR)
    counted = [world.run(seconds).simulation.assembly.holds.told() for seconds in range(100, HOUR, 10)]
    assert set(counted) == {1}  # sick and well by turns
    world.run(HOUR + 600)
    assert world.simulation.assembly.holds.told() == 0


def test_it_is_told_once_more_after_it_calmed_and_flaps_again(tmp_path: Path) -> None:
    world = alternates(alternates(World(tmp_path, FLAPS), 0, 600), 900, 1500).run(1500)
    first, second = told(world)
    assert first < 600
    assert 900 < second < 1000


def test_a_relapse_that_begins_its_ladder_anew_is_the_same_flapping(tmp_path: Path) -> None:
    assert len(told(alternates(World(tmp_path, BRIEF), 0, 1500).run(1500))) == 1


@pytest.mark.parametrize("kind", [OrderKind.SILENCE, OrderKind.MAINTENANCE])
def test_what_covers_it_keeps_it_quiet_and_it_is_told_once_after_that(tmp_path: Path, kind: OrderKind) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, 1500)
    world.simulation.assembly.orders.make(kind, [("service", "=", "api")], who="ann", why="x", lasts=900, holds=False)
    assert told(world.run(890)) == []
    (at,) = told(world.run(1500))
    assert 900 <= at <= 1000


def test_what_calmed_before_its_silence_ends_is_not_told(tmp_path: Path) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, 600)
    world.simulation.assembly.orders.make(OrderKind.SILENCE, [("service", "=", "api")], who="a", why="x", lasts=900)
    assert told(world.run(1200)) == []


def test_the_end_of_a_ladder_is_told_once_while_it_flaps(tmp_path: Path) -> None:
    """Until it flaps, of each relapse; then of the one that it is told to flap with, and no more until it is calm."""
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 1"))
    alternates(alternates(world, 0, 600), 900, 1500).run(1500)
    found = [it for it in world.stored_incidents() if it.handed_over is not None]
    assert {it.handed_over for it in found} == {H.EXHAUSTED}
    at = sorted(round(it.handed_over_at.wall - START.timestamp()) for it in found if it.handed_over_at is not None)
    assert all(seconds < 100 or 900 < seconds < 1000 for seconds in at), at
    assert at[0] < 100 < at[-1]


def test_the_end_of_a_ladder_that_lasts_is_told_though_it_flapped(tmp_path: Path) -> None:
    world = World(tmp_path, BRIEF.replace("tries: 50", "tries: 1").replace("relapse: 1s", "relapse: 1h"))
    alternates(world, 0, 600).at(605, api=DOWN).run(700)
    (last,) = [it for it in world.stored_incidents() if it.state.is_open]
    assert last.handed_over is H.EXHAUSTED
    assert last.handed_over_at is not None
    assert 665 <= last.handed_over_at.wall - START.timestamp() <= 675


@pytest.mark.parametrize("down", [1, 300])
def test_restarts_in_it_do_not_tell_it_again(tmp_path: Path, down: int) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, 1800)
    for seconds in (405, 805, 845, 1295):
        world.simulation.at(seconds, lambda: world.simulation.crash(down))
    assert len(told(world.run(1800))) == 1


def test_what_calmed_while_heald_was_restarted_is_told_when_it_flaps_again(tmp_path: Path) -> None:
    world = alternates(alternates(World(tmp_path, FLAPS), 0, 600), 900, 1500)
    world.simulation.at(602, lambda: world.simulation.crash())
    first, second = told(world.run(1500))
    assert first < 600
    assert 900 < second < 1000


def test_a_reload_in_it_does_not_tell_it_again(tmp_path: Path) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, 900).edit(600, FLAPS.replace("P1", "P2"))
    assert len(told(world.run(900))) == 1


def test_three_clear_looks_are_told_at_once_and_once_until_the_ladder_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, FLAPS, reality={"api": DOWN}, looks={"api": up()}).run(45)
    assert told(world) == [30]
    for seconds in range(105, 1705, 400):  # relapses, too rarely to flap by changes
        world.at(seconds, api=up()).at(seconds + 200, api=DOWN)
    world.simulation.at(350, lambda: world.simulation.crash())
    assert told(world.run(1700)) == [30]
    assert world.ladder().flapping
    world.at(1705, api=up()).at(2405, api=DOWN).run(2600)  # closed for longer than `relapse`
    assert len(told(world)) == 2


def test_a_relapse_that_is_itself_held_for_long_is_told_too(tmp_path: Path) -> None:
    world = World(tmp_path, FLAPS, reality={"api": DOWN}, looks={"api": up()})
    world.at(45, api=up()).at(205, api=DOWN).run(1000)
    assert told(world) == [30, 810]  # after `escalate_after`: nobody may think that it is being healed


def test_what_only_waits_with_it_is_told_only_if_it_waits_for_long(tmp_path: Path) -> None:
    web = "  web: {service: api, tcp: {host: localhost, port: 3}, every: 10s}\n"
    text = FLAPS.replace("rules:", f"{web}rules:")
    text = text.replace("check: api", "checks: [api, web]")
    world = alternates(World(tmp_path, text), 0, 1200)
    for seconds in range(303, 1000, 200):
        world.at(seconds, web=DOWN).at(seconds + 30, web=up())
    assert len(told(world.run(1200))) == 1


def test_after_retry_it_is_told_anew(tmp_path: Path) -> None:
    world = World(tmp_path, FLAPS, reality={"api": DOWN}, looks={"api": up()}).run(45)
    world.simulation.at(46, lambda: world.simulation.assembly.retry(world.incident().id))
    assert told(world.run(46)) == []
    assert told(world.run(100)) == [70]


def test_what_nobody_needs_to_know_of_any_more_is_forgotten(tmp_path: Path) -> None:
    world = alternates(World(tmp_path, FLAPS), 0, 600).run(600)
    assert world.board.tracks["api-down", "api", ""].told_flapping
    world.run(900)
    assert not world.board.tracks
    world.simulation.crash()
    assert not world.board.tracks
