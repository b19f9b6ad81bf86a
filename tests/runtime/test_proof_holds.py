"""What `heald plan` foresees, and what is said of holds that others decide: members, storms, people, roots."""

from pathlib import Path

import pytest

from daemon.model.explanation import Explanation, PlanEntry
from daemon.model.incident import HoldReason
from daemon.plugin import Reading
from tests.runtime.world import DOWN, HEAD, RULE, World, up, worlds_end

__all__ = ["worlds_end"]  # a fixture of every test here
MEMBERS = """version: 1
settings: {mode: act, allow: [run], startup_grace: 0s}
services:
  web: {min_healthy: 2, run_by: {command: {restart: ["true"]}}, limit: [50/1h]}
checks:
  units: {service: web, systemd: {units: [web@1, web@2, web@3]}, every: 10s}
rules:
  hot:
    {check: units, when: memory_bytes > 1GiB, for: 0s, severity: P1, steps: [{run: {argv: ["true"], resource: one}}]}
  old:
    {check: units, when: restarts > 5, for: 0s, steps: [{run: {argv: ["true"], resource: two}, verify: 20s}]}
"""


def explain(world: World, name: str) -> Explanation:
    return world.simulation.ask(world.simulation.assembly.proof.explain(name))


def plan(world: World) -> list[PlanEntry]:
    return world.simulation.ask(world.simulation.assembly.proof.plan())


def member(number: int, **samples: float) -> Reading:
    well = {"up": 1.0, "memory_bytes": 0.0, "restarts": 0.0}
    return Reading(subject=f"web@{number}.service", samples={**well, **samples})


SICK_TWO = [member(1, memory_bytes=2.0**31), member(2, restarts=9.0), member(3)]
SOON_WELL = [member(1), member(2, restarts=9.0), member(3)]


# ---- members ---------------------------------------------------------------------------------------------------------


def test_a_member_is_not_acted_on_while_another_that_may_be_lost_by_it_is(tmp_path: Path) -> None:
    world = World(tmp_path, MEMBERS, reality={"units": SICK_TWO}).run(5)
    assert world.claims("one") == [0]
    assert world.claims("two") == []
    assert world.incident("old").hold_sentence == (
        "1 of 3 members of web would stay healthy while web@1.service is acted on too, and min_healthy is 2"
    )


def test_the_next_member_has_its_turn_once_the_first_is_back(tmp_path: Path) -> None:
    world = World(tmp_path, MEMBERS, reality={"units": SICK_TWO}).at(15, units=SOON_WELL).run(60)
    (first,), (second,) = world.claims("one"), world.claims("two")
    assert (first, second) == (0, pytest.approx(20, abs=4))


def test_an_own_attempt_is_no_reason_to_hold_its_ladder(tmp_path: Path) -> None:
    both = [member(1, memory_bytes=2.0**31), member(2, memory_bytes=2.0**31), member(3), member(4)]
    world = World(tmp_path, MEMBERS, reality={"units": both}).run(5)
    step = explain(world, "hot").standings[0].next
    assert step is not None
    assert [it.reason for it in step.held] == [HoldReason.SETTLING]


def test_a_plan_takes_no_more_members_than_would_be_taken(tmp_path: Path) -> None:
    world = World(tmp_path, MEMBERS.replace("mode: act", "mode: observe"), reality={"units": SICK_TWO}).run(5)
    first, second = plan(world)
    assert first.answer == "run of one would be done now, once a second look confirms it"
    assert second.answer == (
        "run of two is held by min_healthy: 1 of 3 members of web would stay healthy while web@1.service is acted on "
        "too, and min_healthy is 2; after that it would be done"
    )


def test_what_is_on_paper_holds_no_member_in_a_plan(tmp_path: Path) -> None:
    only_old = [member(1), member(2, restarts=9.0), member(3)]
    world = World(tmp_path, MEMBERS.replace("mode: act", "mode: observe"), reality={"units": SICK_TWO})
    world.at(3, units=only_old).run(15)
    (entry,) = plan(world)
    assert entry.answer == "run of two would be done now, once a second look confirms it"


def test_members_that_no_check_has_found_are_not_called_none_of_none(tmp_path: Path) -> None:
    rules = MEMBERS + "  gone: {check: port, when: up == 0, for: 0s, steps: [{run: {argv: [x], resource: three}}]}\n"
    rules = rules.replace("rules:\n", "  port: {service: web, tcp: {host: h, port: 1}, every: 10s}\nrules:\n")
    world = World(tmp_path, rules, reality={"units": "no bus here", "port": DOWN}).run(5)
    assert world.incident("gone").hold_sentence == (
        "no check has found the members of web yet, so how many would stay healthy is not known"
    )


# ---- a storm ---------------------------------------------------------------------------------------------------------


def stormy() -> str:
    names = [f"s{number}" for number in range(8)]
    services = "".join(f"  {name}: {{run_by: {{command: {{restart: [x]}}}}, limit: [9/1h]}}\n" for name in names)
    checks = "".join(f"  {name}: {{service: {name}, tcp: {{host: h, port: 1}}, every: 10s}}\n" for name in names)
    settings = "mode: act, allow: [restart], startup_grace: 0s, budget: [100/1h], storm: {share: 40%, quiet: 1m}"
    of = f"checks: [{', '.join(names)}], when: up == 0, for: 0s, limit: [99/1h]"
    rule = f"  down: {{{of}, steps: [{{restart: {{}}}}]}}\n"
    return f"version: 1\nsettings: {{{settings}}}\nservices:\n{services}checks:\n{checks}rules:\n{rule}"


def test_a_plan_in_a_storm_says_that_one_comes_after_the_other(tmp_path: Path) -> None:
    world = World(tmp_path, stormy()).at(15, **{f"s{number}": DOWN for number in range(6)}).run(30)
    entries = plan(world)
    assert len(entries) == 6
    for entry in entries:
        assert " is held by storm: " in entry.answer
        assert entry.answer.endswith("done in its turn, the lowest service first and one at a time")


def test_a_storm_says_its_end_only_once_that_is_known_and_each_incident_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, stormy()).at(15, **{f"s{number}": DOWN for number in range(6)}).run(32)
    world.at(35, s0=up(), s1=up())

    def said() -> tuple[str, str]:
        """What explain says, and what the list of incidents does."""
        answer = explain(world, "s2").answer.split(" is held by storm: ")[1]
        (incident,) = [it for it in world.board.incidents.values() if it.check == "s2"]
        return answer, world.simulation.assembly.holds.now(incident).hold_sentence

    raging = "too many services are sick at once to be faults of their own; it waits for 1m of quiet"
    assert said() == (raging, raging)
    calm, listed = world.run(62) and said()
    assert calm.startswith("too many services were sick at once; it waits for 1m of quiet, until 10:01:4")
    assert listed == calm.replace("until 10:01:", "until 2026-11-22 10:01:")
    world.run(75)
    assert said() == (calm, listed)


def test_the_incident_of_a_storm_says_what_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path, stormy()).at(15, **{f"s{number}": DOWN for number in range(6)}).run(30)
    (storm,) = [it.id for it in world.board.incidents.values() if it.rule == "heald:storm"]
    assert explain(world, storm).answer == (
        "6 of 8 services are sick: s0, s1, s2, s3, s4, s5: nothing is acted on until it is over, and then on one "
        "service at a time, the lowest first"
    )
    world.at(35, **{f"s{number}": up() for number in range(6)}).run(120)
    assert (
        explain(world, storm).answer == "rule heald:storm: resolved after 0 attempts, handed to people because of storm"
    )


def test_after_a_storm_a_plan_has_one_service_and_it_is_the_one_that_is_healed(tmp_path: Path) -> None:
    rules = stormy()
    observing = World(tmp_path, rules.replace("mode: act", "mode: observe"))
    observing.at(15, **{f"s{number}": DOWN for number in range(6)}).at(35, s0=up(), s1=up()).run(105)
    done = [entry for entry in plan(observing) if "would be done now" in entry.answer]
    assert [entry.check for entry in done] == ["s2"]
    held = [entry.answer for entry in plan(observing) if entry not in done]
    assert len(held) == 3
    waits = "the lowest first: s2 is not well yet, see `heald explain s2`; after that it would be done in its turn"
    assert all(waits in it for it in held)
    acting = tmp_path / "acts"
    acting.mkdir()
    world = World(acting, rules)
    world.at(15, **{f"s{number}": DOWN for number in range(6)}).at(35, s0=up(), s1=up()).run(120)
    assert {touched for _, touched, _, _ in world.story()} == {"command:s2@node"}


# ---- people ----------------------------------------------------------------------------------------------------------

ASKS = (HEAD + RULE).replace("tries: 2", "tries: 2\n        approval: true")


def test_in_observe_mode_nobody_is_asked_and_that_is_said(tmp_path: Path) -> None:
    world = World(tmp_path, ASKS.replace("mode: act", "mode: observe")).at(10, api=DOWN).run(60)
    assert world.board.approvals == {}
    step = explain(world, "api-down").standings[0].next
    assert step is not None
    assert [it.reason for it in step.held] == [HoldReason.MODE, HoldReason.APPROVAL]
    assert world.incident().hold_sentence == (
        "observe mode: heald decides everything and does nothing; in act mode a person would be asked first"
    )
    asked = step.held[1].hold
    assert asked is not None
    assert asked.sentence == (
        "restart of command:api@node needs a person to agree, who would be asked if heald could act on this"
    )
    (entry,) = plan(world)
    assert entry.answer == (
        "people would be asked now to agree to restart of command:api@node; once they do it would be done"
    )
    assert entry.next is not None
    assert entry.next.plan.startswith("restart service api (command:api@node)")


def test_in_act_mode_the_plan_says_how_to_agree_to_what_was_asked(tmp_path: Path) -> None:
    world = World(tmp_path, ASKS).at(10, api=DOWN).run(60)
    (approval,) = world.board.approvals
    (entry,) = plan(world)
    assert f"needs a person to agree: `heald approve {approval}`, until " in entry.answer
    assert entry.answer.endswith("Z; once they do it would be done")  # not at that time: it is asked anew then


# ---- what counts anew ------------------------------------------------------------------------------------------------

SLOW_ROOT = (HEAD + RULE).replace("for: 0s", "for: 30s") + (
    "  db-down: {check: db, when: up == 0, for: 1d, severity: P2, steps: [{restart: {}, settle: 2m}]}\n"
)


@pytest.mark.parametrize("rules", [SLOW_ROOT, SLOW_ROOT.replace("settle: 2m", "settle: 5s")])
def test_what_counts_anew_is_the_longer_of_for_and_the_roots_settle(tmp_path: Path, rules: str) -> None:
    world = World(tmp_path, rules).at(10, api=DOWN, db=DOWN).at(100, db=up()).run(125)
    told = explain(world, "api-down")
    is_slow = rules is SLOW_ROOT
    expected = "time counts anew: 20s of 2m, the settle of db" if is_slow else "`for` counts anew: 20s of 30s"
    assert told.answer.endswith(f"what held it (planned work, or what it depends on) is over, and {expected}")
    assert told.standings[0].counted == pytest.approx(20)
    assert told.standings[0].needed == (120 if is_slow else 30)
    (entry,) = [it for it in plan(world) if it.rule == "api-down"]
    assert entry.answer.endswith(expected)
    assert world.run(225).claims()[0] == pytest.approx(220 if is_slow else 130, abs=4)


# ---- until when ---


def test_a_recorded_hold_says_until_which_moment_and_not_for_how_long(tmp_path: Path) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("cooldown: 0s", "cooldown: 10m")).at(10, api=DOWN).run(120)
    sentence = world.incident().hold_sentence
    assert sentence.startswith("command:api@node was touched too recently, and has its cooldown, until 2026-11-22 10:1")
    (hold,) = world.simulation.ask(world.simulation.store.holds_of(world.incident().id))
    assert hold.sentence == sentence
    assert world.run(300).incident().hold_sentence == sentence


def test_a_hold_that_lasts_longer_than_was_recorded_is_listed_with_its_new_end(tmp_path: Path) -> None:
    world = World(tmp_path).at(12, api=DOWN)
    around = world.simulation.assembly.circumstances
    for jump in (15, 60):
        world.simulation.at(jump, lambda: setattr(around, "_offset", around._offset + 60))
    first = world.run(25).incident()
    assert first.hold is HoldReason.CLOCK_JUMPED
    assert world.simulation.assembly.holds.now(first) == first
    second = world.run(85).incident()
    assert second == first  # nothing is written for it
    listed = world.simulation.assembly.holds.now(second).hold_sentence
    assert listed[:-20] == first.hold_sentence[:-20]
    assert listed[-20:] > first.hold_sentence[-20:]


def test_what_keeps_heald_from_acting_on_anything_is_told_in_one_place(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("startup_grace: 0s", "startup_grace: 10m, self_test: [db]")
    world = World(tmp_path, rules, reality={"db": DOWN, "api": DOWN}).run(15)
    told = {it.reason: it for it in world.simulation.assembly.situation.holding()}
    assert list(told) == [HoldReason.STARTUP_GRACE, HoldReason.SELF_TEST]
    assert told[HoldReason.STARTUP_GRACE].until == pytest.approx(world.simulation.clock.stamp().wall + 585)
    assert told[HoldReason.SELF_TEST].until is None
    locked = tmp_path / "locked"
    locked.mkdir()
    rules = (HEAD + RULE).replace("startup_grace: 0s", f"startup_grace: 0s, conflicts: [{locked}/deploy.lock]")
    deploying = World(locked, rules).run(15)
    assert list(deploying.simulation.assembly.situation.holding()) == []
    (locked / "deploy.lock").touch()
    assert [it.reason for it in deploying.simulation.assembly.situation.holding()] == [HoldReason.CONFLICT]
    other = tmp_path / "stormy"
    other.mkdir()
    stormy_world = World(other, stormy()).at(15, **{f"s{n}": DOWN for n in range(6)}).run(30)
    assert [it.reason for it in stormy_world.simulation.assembly.situation.holding()] == [HoldReason.STORM]


def test_nothing_is_told_where_nothing_keeps_heald_from_acting(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, api=DOWN).run(120)
    assert list(world.simulation.assembly.situation.holding()) == []


def test_what_has_no_try_left_until_its_relapse_is_over_says_so(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("tries: 2", "tries: 1")
    world = World(tmp_path, rules).at(10, api=DOWN).at(15, api=up()).run(120)
    assert explain(world, "api-down").answer.endswith(
        "if it fired, it would be for people: every try was made or ruled out, until it has stayed closed for 10m"
    )


@pytest.mark.parametrize("is_back", [True, False])
def test_tries_that_were_spent_before_it_came_back_are_told_as_such(tmp_path: Path, is_back: bool) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("tries: 2", "tries: 1")).at(10, api=DOWN)
    if is_back:
        world.at(15, api=up()).at(125, api=DOWN)
    told = explain(world.run(140), "api-down")
    before = " before it came back, less than 10m after it closed" if is_back else ""
    said = f"on api: every try of every step was made or ruled out{before} and it is not well: it is for people now"
    assert said in told.answer


# ---- recovering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["act", "observe"])
def test_a_recovering_incident_says_that_an_attempt_is_verified(tmp_path: Path, mode: str) -> None:
    rules = (HEAD + RULE).replace("for: 0s", "for: 0s\n    clear_for: 30s").replace("mode: act", f"mode: {mode}")
    world = World(tmp_path, rules).at(10, api=DOWN).at(15, api=up()).run(34)
    told = explain(world, "api-down")
    counted = "of 30s count towards closing it"
    if mode == "act":
        assert "restart of command:api@node was done and is being verified: it is clear again, and " in told.answer
    else:
        assert "restart of command:api@node would have been done, and counts as under way until " in told.answer
        assert "; it is clear again: " in told.answer
    assert told.answer.endswith(counted)


def test_a_recovering_incident_without_an_attempt_says_that_nothing_is_done(tmp_path: Path) -> None:
    rules = HEAD + "rules: {api-down: {check: api, when: up == 0, for: 0s, clear_for: 1m}}\n"
    world = World(tmp_path, rules).at(10, api=DOWN).at(15, api=up()).run(35)
    assert "it is clear again, so nothing is done: " in explain(world, "api-down").answer
