"""What people want left alone, what they are asked, and what heald leaves alone by itself: each guard in a world."""

import itertools
import re
from pathlib import Path

import pytest

from daemon.cli.people import parse_matcher
from daemon.engine.guards import Proposal
from daemon.model.approval import ApprovalState
from daemon.model.check import Reading
from daemon.model.incident import HoldReason as H
from daemon.model.incident import IncidentState as S
from daemon.model.order import OrderKind
from daemon.model.remediation import Plan
from daemon.testing.simulation import Effect, Slow
from tests.runtime.world import DOWN, HEAD, RULE, World, up, worlds_end  # noqa: F401  # a fixture

ASKS = RULE.replace("- restart: {}", "- restart: {}\n        approval: true")


def order(world: World, kind: OrderKind, matchers: str, *, lasts: float | None = None, holds: bool = True) -> str:
    parsed = [tuple(part.partition("=")) for part in matchers.split()]
    orders = world.simulation.assembly.orders
    return orders.make(kind, parsed, who="ann", why="release", lasts=lasts, holds=holds).id


# ---- pauses, maintenance, silences ----------------------------------------------------------------------------------


def test_an_order_about_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is named"):
        World(tmp_path).simulation.assembly.orders.make(OrderKind.PAUSE, [], who="ann", why="x", lasts=None)


@pytest.mark.parametrize(
    ("matchers", "said"),
    [
        ("service=ap", "there is no service ap; did you mean api?"),
        ("rule=api-down service=nothing*", "there is no service nothing*"),
        ("check=nothing", "there is no check nothing"),
        ("service=[ab]pi", "there is no service [ab]pi; did you mean api?"),
        ("severity=p1", "there is no severity p1; did you mean P1?"),
    ],
)
def test_a_name_that_is_not_there_is_a_mistake(tmp_path: Path, matchers: str, said: str) -> None:
    parsed = [tuple(part.partition("=")) for part in matchers.split()]
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        World(tmp_path).simulation.assembly.orders.must_exist(parsed)


@pytest.mark.parametrize("matcher", ["rule=api-*", "rule=heald:blind", "service!=x", "subject=nobody", "label:a=b"])
def test_a_name_that_is_or_may_be_there_is_none(tmp_path: Path, matcher: str) -> None:
    parsed = parse_matcher(matcher)
    World(tmp_path).simulation.assembly.orders.must_exist([tuple(parsed)])


def test_a_reload_after_which_an_order_covers_nothing_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    made = order(world, OrderKind.PAUSE, "service=api")
    renamed = (HEAD + RULE).replace("  api: {depends", "  app: {depends").replace("service: api", "service: app")
    world.edit(5, renamed).edit(15, renamed.replace("every: 10s", "every: 20s")).run(30)
    said = [it.getMessage() for it in caplog.records if "covers nothing any more" in it.getMessage()]
    assert said == [f"{made} of ann (service=api) covers nothing any more: there is no service api."]


def test_a_window_of_the_file_opens_by_its_schedule_and_zone(tmp_path: Path) -> None:
    window = 'maintenance: {weekly: {cron: "0 11 * * SUN", lasts: 5m, zone: Europe/Berlin, services: [api]}}\n'
    world = World(tmp_path, HEAD + window + RULE, reality={"api": DOWN})  # the world begins on a Sunday, 11:00 there
    world.run(299)
    assert world.holds() == [H.MAINTENANCE]
    assert "maintenance window weekly is open" in world.incident().hold_sentence
    assert world.run(330).claims()[0] >= 300


@pytest.mark.parametrize("kind", [OrderKind.PAUSE, OrderKind.SILENCE])
def test_a_run_that_began_before_an_order_ended_by_its_time_decides_nothing(tmp_path: Path, kind: OrderKind) -> None:
    world = World(tmp_path, reality={"api": Slow(seen=DOWN, takes=4.0)})
    order(world, kind, "service=api", lasts=22.0)
    world.run(25)  # the run from 20 to 24
    assert world.holds()[-1] is H.STALE_READING
    assert world.run(45).claims() == [38.0]  # the run from 30 to 34, and its second look


def test_an_order_that_held_nothing_leaves_runs_as_good_as_they_were_when_its_time_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": Slow(seen=DOWN, takes=4.0), "db": up()})
    order(world, OrderKind.SILENCE, "service=db", lasts=2.0, holds=False)
    assert world.run(15).claims() == [8.0]


@pytest.mark.parametrize("begins", [35.0, 95.0], ids=["while it is verified", "after it"])
def test_what_is_exhausted_inside_a_window_is_told_once_for_counted_anew(tmp_path: Path, begins: float) -> None:
    rules = HEAD + RULE.replace("for: 0s", "for: 30s").replace("tries: 2", "tries: 1")
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.simulation.at(begins, lambda: order(world, OrderKind.MAINTENANCE, "service=api", lasts=200.0 - begins))
    world.run(199)
    assert world.claims() == [33.333]  # verified until 73
    assert world.ladder().exhausted
    told_inside = world.incident().handed_over
    assert world.run(229).incident().handed_over is told_inside
    assert world.run(241).incident().handed_over is H.EXHAUSTED
    assert told_inside is (None if begins < 73 else H.EXHAUSTED)  # it was told before the window began


def test_what_becomes_well_right_after_the_window_is_never_told(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("for: 0s", "for: 30s").replace("tries: 2", "tries: 1")
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.simulation.at(35, lambda: order(world, OrderKind.MAINTENANCE, "service=api", lasts=165.0))
    world.at(215, api=up()).run(300)
    assert [(it.state, it.handed_over) for it in world.stored_incidents()] == [(S.RESOLVED, None)]


def test_a_silence_without_hold_lets_heald_act(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    order(world, OrderKind.SILENCE, "severity=P1 check!=db", lasts=100, holds=False)
    assert world.run(5).claims() == [0]


# ---- approvals ------------------------------------------------------------------------------------------------------


def asked(world: World) -> str:
    ((approval, _),) = world.simulation.assembly.approvals.waiting()
    return approval.id


def states(world: World) -> list[ApprovalState]:
    return [it.state for it in reversed(world.simulation.ask(world.simulation.store.approvals(limit=9)))]


def test_a_step_that_needs_approval_waits_for_a_person_and_is_made_once(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN}).run(5)
    assert world.holds() == [H.APPROVAL]
    assert world.incident().handed_over is H.APPROVAL
    assert f"heald approve {asked(world)}" in world.incident().hold_sentence
    world.simulation.assembly.approvals.approve(asked(world), who="ann")
    assert world.run(80).claims() == [10]  # the second try asks again
    assert states(world) == [ApprovalState.USED, ApprovalState.ASKED]


def test_a_rejection_ends_the_step(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN}).run(5)
    world.simulation.assembly.approvals.reject(asked(world), who="ann", why="not now")
    world.run(15)
    assert world.claims() == []
    assert world.incident().handed_over is H.EXHAUSTED
    assert "was made or ruled out and it is not well" in world.incident().hold_sentence  # nothing was done
    assert states(world) == [ApprovalState.REJECTED]


def test_an_approval_expires_and_people_are_asked_anew(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN}).run(5)
    first = asked(world)
    world.run(4 * 3600 + 15)
    assert states(world) == [ApprovalState.EXPIRED, ApprovalState.ASKED]
    with pytest.raises(LookupError, match="nothing waits"):
        world.simulation.assembly.approvals.approve(first, who="ann")


def test_an_approval_lapses_when_the_incident_closes(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN}).at(15, api=up()).run(30)
    assert states(world) == [ApprovalState.LAPSED]


def test_an_approval_lapses_when_its_step_will_not_be_taken_any_more(tmp_path: Path) -> None:
    first_step = "- run: {argv: [calm]}\n        approval: true\n        only_if: latency_seconds > 5s"
    rules = HEAD + RULE.replace("- restart: {}", f"{first_step}\n      - restart: {{}}")
    world = World(tmp_path, rules, reality={"api": up(0.0, latency_seconds=9.0)}).run(5)
    first = asked(world)
    world.at(15, api=up(0.0, latency_seconds=1.0)).run(19)
    assert asked(world) == first  # it may be slow again
    assert world.run(30).claims() == [20]
    assert not world.simulation.assembly.approvals.waiting()  # the ladder is at its second step
    with pytest.raises(LookupError, match="nothing waits"):
        world.simulation.assembly.approvals.approve(first, who="ann")


def test_an_approval_is_for_what_was_planned_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN})
    said: list[Proposal] = []
    find = world.simulation.assembly.approvals.of
    world.simulation.assembly.approvals.of = lambda it: said.append(it) or find(it)
    world.run(5)
    approvals = world.simulation.assembly.approvals
    approvals.approve(asked(world), who="ann")
    assert approvals.fits(said[-1], Plan(summary="the same", facts={}))
    assert not approvals.fits(said[-1], Plan(summary="more", facts={"sessions": 900}))
    assert approvals.waiting() == []


def test_an_approval_and_what_became_of_it_outlive_a_crash(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + ASKS, reality={"api": DOWN}).run(5)
    world.simulation.assembly.approvals.approve(asked(world), who="ann")
    world.simulation.assembly.runs.flush()
    world.simulation.crash()
    assert world.run(25).claims() == [5]


# ---- what heald leaves alone by itself ------------------------------------------------------------------------------


def test_a_file_named_in_conflicts_holds_while_it_is_there(tmp_path: Path) -> None:
    lock = tmp_path / "deploy.lock"
    rules = HEAD.replace("settings: {", f"settings: {{conflicts: [{lock}], ") + RULE
    lock.touch()
    world = World(tmp_path, rules, reality={"api": DOWN}).run(15)
    assert world.holds() == [H.CONFLICT]
    assert f"{lock} is there" in world.incident().hold_sentence
    lock.unlink()
    assert world.run(25).claims() == [20]


def test_a_file_of_which_nobody_can_say_whether_it_is_there_holds(tmp_path: Path) -> None:
    lock = tmp_path / ("x" * 300)  # no file can have such a name: as one in a folder that heald may not enter
    rules = HEAD.replace("settings: {", f"settings: {{conflicts: [{lock}], ") + RULE
    world = World(tmp_path, rules, reality={"api": DOWN}).run(15)
    assert world.holds() == [H.CONFLICT]
    assert world.incident().hold_sentence == f"it is not known whether {lock} is there: File name too long"


MEMBERS = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s}
services:
  web: {min_healthy: LEAST, run_by: {command: {restart: ["true"]}}, limit: [50/1h]}
checks:
  units: {service: web, systemd: {units: [web@1, web@2, web@3]}, every: 10s}
rules:
  web-down: {check: units, when: up == 0, for: 0s, limit: [50/1h], steps: [{restart: {}, cooldown: 0s}]}
"""


def members(*healthy: float) -> list[Reading]:
    return [Reading(subject=f"web@{n}.service", samples={"up": it}) for n, it in enumerate(healthy, 1)]


def test_a_member_that_is_found_no_more_is_not_healthy_until_it_has_vanished(tmp_path: Path) -> None:
    rules = MEMBERS.replace("LEAST", "50%")
    world = World(tmp_path, rules, reality={"units": members(1, 1, 1, 1)}).at(15, units=members(1, 1))
    world.at(25, units=members(0, 1)).run(315)
    assert world.story() == []
    assert world.holds("web-down") == [H.MIN_HEALTHY]
    assert world.incident("web-down").hold_sentence.startswith("1 of 4 members of web would stay healthy")
    assert world.run(340).claims("command:web@node")[0] == 320  # they were found last at 10, and missed at 20


def test_members_that_nobody_can_see_now_are_not_counted_as_they_were(tmp_path: Path) -> None:
    rules = MEMBERS.replace("LEAST", "2").replace(
        "checks:\n", "checks:\n  port: {service: web, tcp: {host: h, port: 1}, every: 10s}\n"
    )
    rules = rules.replace("check: units", "check: port")
    world = World(tmp_path, rules, reality={"units": members(1, 1, 1)}).at(25, units="no bus").at(95, port=DOWN)
    world.run(115)
    assert world.story() == []
    assert world.holds("web-down") == [H.MIN_HEALTHY]
    assert world.incident("web-down").hold_sentence.endswith("is not known: units could not look: no bus")
    assert world.at(125, units=members(1, 1, 1)).run(135).claims("command:web@node") == [130]


def test_while_something_is_done_for_no_member_in_particular_the_next_waits(tmp_path: Path) -> None:
    rules = MEMBERS.replace("LEAST", "2").replace(
        "checks:\n", "checks:\n  port: {service: web, tcp: {host: h, port: 1}}\n"
    )
    step = "{run: {argv: ['true']}, verify: 1m, settle: 20s}"
    rules = rules.replace("allow: [restart]", "allow: [restart, run]")
    rules += f"  port-down: {{check: port, when: up == 0, for: 0s, steps: [{step}]}}\n"
    world = World(tmp_path, rules, reality={"units": members(1, 1, 1)}).at(25, port=DOWN)
    world.at(45, units=members(0, 1, 1)).run(70)
    assert world.claims("command:web@node") == [30.0]
    assert world.holds("web-down")[0] is H.MIN_HEALTHY


def stormy(count: int, *, quiet: str = "1m") -> str:
    names = [f"s{n}" for n in range(count)]
    services = "".join(f"  {name}: {{run_by: {{command: {{restart: [x]}}}}, limit: [9/1h]}}\n" for name in names)
    checks = "".join(f"  {name}: {{service: {name}, tcp: {{host: h, port: 1}}, every: 10s}}\n" for name in names)
    settings = (
        f"mode: act, allow: [restart], startup_grace: 0s, budget: [100/1h], storm: {{share: 40%, quiet: {quiet}}}"
    )
    rule = "  down: {checks: [%s], when: up == 0, for: 0s, limit: [99/1h], steps: [{restart: {}, cooldown: 0s}]}\n"
    return f"version: 1\nsettings: {{{settings}}}\nservices:\n{services}checks:\n{checks}rules:\n" + rule % ", ".join(
        names
    )


def test_many_sick_at_once_are_a_storm_in_which_nothing_is_done_and_one_incident_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(10))
    world.at(15, **{f"s{n}": DOWN for n in range(6)}).run(100)
    assert world.story() == []
    assert set(world.holds("down")) == {H.STORM}
    (storm,) = [it for it in world.board.incidents.values() if it.rule == "heald:storm"]
    assert storm.handed_over is H.STORM
    assert storm.because.startswith("6 of 10 services are sick: s0, s1,")


def test_what_maintenance_covers_makes_no_storm(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(12))
    for n in range(6):
        order(world, OrderKind.MAINTENANCE, f"service=s{n}", lasts=500.0)
    world.at(15, **{f"s{n}": DOWN for n in range(7)}).run(60)
    assert [touched for _, touched, _, _ in world.story()] == ["command:s6@node"]


def test_after_a_storm_nothing_waits_for_what_maintenance_covers(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(10))
    world.at(15, **{f"s{n}": DOWN for n in range(6)}).at(45, **{f"s{n}": up() for n in range(2, 6)}).run(60)
    order = [("service", "=", "s0")]
    world.simulation.assembly.orders.make(OrderKind.MAINTENANCE, order, who="ann", why="release", lasts=500.0)
    world.run(300)
    assert {touched for _, touched, _, _ in world.story()} == {"command:s1@node"}


@pytest.mark.parametrize("kind", [OrderKind.SILENCE, OrderKind.MAINTENANCE])
def test_who_shares_a_ladder_with_what_people_want_left_alone_is_held_and_told(tmp_path: Path, kind: OrderKind) -> None:
    world = World(tmp_path, MEMBERS.replace("LEAST", "1"), reality={"units": members(0, 1, 1)})
    order(world, kind, "subject=web@1.service", lasts=100_000)
    world.at(25, units=members(0, 0, 1)).run(620)
    assert {it.handed_over for it in world.stored_incidents()} == {None}
    world.run(640)
    told = {it.subject: it.handed_over for it in world.stored_incidents()}
    assert told == {"web@1.service": None, "web@2.service": H.SILENCED if kind is OrderKind.SILENCE else H.MAINTENANCE}
    assert world.story() == []


def test_a_storm_that_a_reload_switched_off_is_over(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(10))
    world.at(15, **{f"s{n}": DOWN for n in range(6)})
    world.edit(35, stormy(10).replace(", storm: {share: 40%, quiet: 1m}", "")).run(45)
    assert len(world.story()) == 6
    assert [it for it in world.board.incidents.values() if it.rule == "heald:storm"] == []


def test_who_was_held_by_upstream_counts_again_once_it_was_clear_though_nobody_asked(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(6).replace("  s0: {run_by", "  s0: {depends_on: [s5], run_by"))
    world.at(15, s0=DOWN, s5=DOWN).at(35, s0=up(), s5=up()).run(100)
    before = len(world.story())
    world.at(115, **{f"s{n}": DOWN for n in range(5)}).run(150)
    assert len(world.story()) == before
    assert [it.rule for it in world.board.incidents.values() if it.handed_over is H.STORM] == ["heald:storm"]


@pytest.mark.parametrize("at", [60, 112], ids=["while it waits for quiet", "while the first is verified"])
def test_after_a_storm_and_a_crash_one_service_is_healed_at_a_time(tmp_path: Path, at: float) -> None:
    world = World(tmp_path, stormy(10))
    healed = ["s0", "s1", "s2"]
    world.effects = [Effect(then=lambda name=name: world.reality.update({name: up()})) for name in healed]
    world.at(15, **{f"s{n}": DOWN for n in range(6)}).at(45, **{f"s{n}": up() for n in range(3, 6)}).run(at)
    world.simulation.crash()
    claims = world.run(400).story()
    assert [touched for _, touched, _, _ in claims] == [f"command:{name}@node" for name in healed]
    assert all(later[0] - earlier[0] > 10 for earlier, later in itertools.pairwise(claims))  # it settled, and was well


def test_who_waits_after_a_storm_for_one_that_does_not_become_well_is_handed_over(tmp_path: Path) -> None:
    world = World(tmp_path, stormy(10).replace("checks: [s0, ", "checks: ["))  # nothing is done about s0
    world.at(15, **{f"s{n}": DOWN for n in range(6)}).at(45, **{f"s{n}": up() for n in range(2, 6)})
    over = 100  # it was last seen at 40, and is quiet for 1m
    assert world.run(over + 590).incident("down").handed_over is None
    assert world.run(over + 620).incident("down").handed_over is H.STORM
    assert world.story() == []


def test_whoever_ends_what_is_not_there_hears_so(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no order silence-none is in force"):
        World(tmp_path).simulation.assembly.orders.end("silence-none", who="ann")


# ---- blindness ------------------------------------------------------------------------------------------------------


def of_blind(world: World) -> list[tuple[str, S]]:
    found = [it for it in world.stored_incidents() if it.rule == "heald:blind"]
    return [(it.check, it.state) for it in sorted(found, key=lambda it: it.opened.wall)]


def test_a_check_that_stays_blind_opens_an_incident_that_only_tells_people(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": "no route to host"}).run(590)
    assert world.board.incidents == {}
    world.run(610)
    (incident,) = world.board.incidents.values()
    assert (incident.rule, incident.check, incident.handed_over) == ("heald:blind", "api", H.BLIND_NOW)
    assert incident.because == "api could not look for 10m: no route to host"
    world.at(625, api=up()).run(900)
    assert world.board.incidents == {}
    assert world.story() == []
    assert of_blind(world) == [("api", S.RESOLVED)]


def test_one_that_is_often_blind_opens_one_too_and_seeing_now_and_then_closes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(70):
        world.at(number * 10 - 5 if number else 0, api="too many open files" if number % 2 else up())
    assert world.run(580).board.incidents == {}
    world.run(640)
    (incident,) = world.board.incidents.values()
    assert "could not look in 10 of its last 20 runs; now: too many open files" in incident.because
    world.at(700, api=up()).run(1000)
    assert of_blind(world) == [("api", S.RESOLVED)]


def test_a_blind_check_that_is_removed_withdraws_its_incident_and_a_crash_keeps_it(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": "no route to host"}).run(615)
    world.simulation.crash()
    world.run(640)
    assert of_blind(world) == [("api", S.FIRING)]
    world.edit(650, HEAD.replace("  api: {service: api, tcp: {host: localhost, port: 2}, every: 10s}\n", "")).run(660)
    assert of_blind(world) == [("api", S.WITHDRAWN)]
