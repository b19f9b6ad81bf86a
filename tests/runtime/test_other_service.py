"""A step that names another service than the check's: what people want left alone there is left alone too."""

from pathlib import Path

import pytest

from daemon.model.check import Reading
from daemon.model.incident import HoldReason as H
from daemon.model.order import OrderKind
from tests.runtime.world import DOWN, HEAD, RULE, World, worlds_end  # noqa: F401  # a fixture

OF_DB = RULE.replace("- restart: {}", "- restart: {service: db}")
LABELLED = HEAD.replace("  db: {run_by", "  db: {labels: {tier: data}, run_by")


@pytest.mark.parametrize(
    ("kind", "selects", "reason"),
    [
        (OrderKind.PAUSE, "service=db", H.PAUSED),
        (OrderKind.SILENCE, "service=db", H.SILENCED),
        (OrderKind.MAINTENANCE, "service=db", H.MAINTENANCE),
        (OrderKind.MAINTENANCE, "label:tier=data", H.MAINTENANCE),
    ],
)
def test_an_order_on_the_service_that_would_be_acted_on_holds(
    tmp_path: Path, kind: OrderKind, selects: str, reason: H
) -> None:
    world = World(tmp_path, LABELLED + OF_DB, reality={"api": DOWN})
    orders = world.simulation.assembly.orders
    matcher = selects.partition("=")
    made = orders.make(kind, [matcher], who="ann", why="upgrade", lasts=None)
    world.run(45)
    assert world.story() == []
    assert set(world.holds()) == {reason}
    assert "upgrade" in world.incident().hold_sentence
    orders.end(made.id, who="ann")
    assert world.run(150).claims("command:db@node") != []


def test_a_window_for_the_service_that_would_be_acted_on_holds(tmp_path: Path) -> None:
    window = 'maintenance: {weekly: {cron: "0 11 * * SUN", lasts: 5m, zone: Europe/Berlin, services: [db]}}\n'
    world = World(tmp_path, HEAD + window + OF_DB, reality={"api": DOWN})  # it begins on a Sunday, 11:00 there
    assert world.run(295).story() == []
    assert set(world.holds()) == {H.MAINTENANCE}
    assert world.run(330).claims("command:db@node")[0] >= 300


def test_an_order_on_the_checks_service_still_holds(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + OF_DB, reality={"api": DOWN})
    matcher = ("service", "=", "api")
    world.simulation.assembly.orders.make(OrderKind.PAUSE, [matcher], who="ann", why="upgrade", lasts=None)
    assert world.run(45).story() == []


@pytest.mark.parametrize("apart", [0, 5])
def test_a_root_that_shares_its_ladder_with_a_dependant_is_healed_though_that_was_sick_first(
    tmp_path: Path, apart: int
) -> None:
    both = OF_DB.replace("check: api", "checks: [api, db]").replace("for: 0s", "for: 12s")
    world = World(tmp_path, HEAD + both, reality={"api": DOWN}).at(8, db=DOWN)  # api is pending, not firing yet
    world.simulation.timetable.next_run["db"] += apart  # else they run at one instant
    assert world.run(90).claims("command:db@node") != []


@pytest.mark.parametrize("service", ["api", "db"])
def test_conflicts_of_either_service_hold(tmp_path: Path, service: str) -> None:
    lock = tmp_path / "upgrade.lock"
    lock.touch()
    where = {"api": "api: {depends_on", "db": "db: {run_by"}[service]
    rules = HEAD.replace(where, where.replace("{", f"{{conflicts: [{lock}], ", 1))
    world = World(tmp_path, rules + OF_DB, reality={"api": DOWN}).run(25)
    assert world.story() == []
    assert set(world.holds()) == {H.CONFLICT}
    lock.unlink()
    assert world.run(35).claims("command:db@node") == [30]


MEMBERS = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s}
services:
  web: {WEB run_by: {command: {restart: ["true"]}}, limit: [50/1h]}
  proxy: {PROXY run_by: {command: {restart: ["true"]}}, limit: [50/1h]}
checks:
  units: {service: web, systemd: {units: [web@1, web@2, web@3]}, every: 10s}
  port: {service: proxy, tcp: {host: h, port: 1}, every: 10s}
rules:
  WHO-down: {check: WHO, when: up == 0, for: 0s, limit: [50/1h], steps: [{restart: {service: WHAT}, cooldown: 0s}]}
"""


def members(*healthy: float) -> list[Reading]:
    return [Reading(subject=f"web@{n}.service", samples={"up": it}) for n, it in enumerate(healthy, 1)]


@pytest.mark.parametrize(("healthy", "acts"), [((1, 1, 1), True), ((0, 1, 1), False)])
def test_members_of_the_service_that_would_be_acted_on_are_counted(
    tmp_path: Path, healthy: tuple[float, ...], acts: bool
) -> None:
    rules = MEMBERS.replace("WEB", "min_healthy: 2,").replace("PROXY ", "").replace("WHO", "port")
    world = World(tmp_path, rules.replace("WHAT", "web"), reality={"units": members(*healthy)})
    world.at(15, port=DOWN).run(25)
    assert bool(world.claims("command:web@node")) is acts
    if not acts:
        assert world.holds("port-down") == [H.MIN_HEALTHY]
        assert world.incident("port-down").hold_sentence.startswith("1 of 3 members of web would stay healthy")


def test_members_of_a_service_that_is_not_acted_on_hold_nothing(tmp_path: Path) -> None:
    rules = MEMBERS.replace("WEB", "min_healthy: 2,").replace("PROXY ", "").replace("WHO", "units")
    world = World(tmp_path, rules.replace("WHAT", "proxy"), reality={"units": members(0, 0, 1)}).run(5)
    assert world.claims("command:proxy@node") != []
