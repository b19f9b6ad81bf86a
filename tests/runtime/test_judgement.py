"""The ladder, sentence by sentence (docs/judgement.md), with the daemon's own pipeline and store in simulated time."""

from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.model.check import Reading, Run
from daemon.model.incident import HoldReason as H
from daemon.model.incident import IncidentState as S
from daemon.model.remediation import AttemptState as A
from daemon.model.remediation import Verification as V
from daemon.testing.simulation import Effect
from tests.runtime.world import DOWN, HEAD, RULE, World, up, worlds_end  # noqa: F401  # a fixture

OTHER = """  api-too:
    check: other
    when: up == 0
    for: 0s
    severity: P3
    limit: [9/1h]
    steps: [{restart: {service: api}, cooldown: 0s}]
"""
URGENT = """  urgent:
    {check: api, when: up == 0, for: 0s, severity: P0, limit: [9/1h], steps: [{restart: {}, cooldown: 0s}]}
"""
ROOT = """  db-down:
    check: db
    when: up == 0
    for: 0s
    severity: P1
    limit: [50/1h]
    steps: [{restart: {}, settle: 10s, cooldown: 0s}]
"""


def test_a_firing_incident_is_healed_and_verified(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.effects = [Effect(takes=5, then=lambda: world.reality.update(api=up()))]
    world.at(25, api=DOWN).run(100)
    assert world.story() == [(30, "command:api@node", A.SUCCEEDED, V.EFFECTIVE)]
    assert world.stored_incidents()[0].state is S.RESOLVED
    assert world.stored_incidents()[0].closed.wall - world.stored_incidents()[0].opened.wall == 15  # settle's end


def test_ineffective_tries_follow_each_other_and_then_people_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(300)
    # claimed at 0, done at 1, settled at 11, judged until 41; then the second try at once
    assert world.story() == [
        (0, "command:api@node", A.SUCCEEDED, V.INEFFECTIVE),
        (41, "command:api@node", A.SUCCEEDED, V.INEFFECTIVE),
    ]
    assert world.incident().handed_over is H.EXHAUSTED
    assert world.incident().handed_over_at.wall - world.incident().opened.wall == 82


def test_nothing_is_proposed_while_pending_or_recovering(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("for: 0s", "for: 20s\n    clear_for: 20s")
    world = World(tmp_path, rules).at(5, api=DOWN).at(25, api=up()).run(100)
    assert world.story() == []
    assert world.stored_incidents() == []


def test_the_first_guard_that_holds_is_the_decision_and_is_recorded_when_it_changes(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("cooldown: 0s", "cooldown: 35s").replace("limit: [50/1h]", "limit: [1/100s]")
    world = World(tmp_path, rules, reality={"api": DOWN}).run(70)
    assert world.holds() == [H.COOLDOWN]
    world.run(120)
    assert world.holds() == [H.COOLDOWN, H.LIMIT_RULE]
    assert world.incident().handed_over is H.LIMIT_RULE


def test_heald_may_still_act_when_the_hold_ends(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("limit: [50/1h]", "limit: [1/100s]")
    world = World(tmp_path, rules, reality={"api": DOWN}).run(150)
    assert world.claims() == [0, 101]  # its end + 100 s, and a run is due then: the last of verify was at 41


def test_a_second_look_that_finds_it_clear_does_nothing(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("for: 0s", "for: 0s\n    clear_for: 1h")
    world = World(tmp_path, rules, reality={"api": DOWN}, looks={"api": up()}).run(15)
    assert world.story() == []
    assert world.holds() == [H.CLEAR_NOW, H.CLEAR_NOW]  # the look made it recovering, the next run firing again
    assert world.incident().state is S.RECOVERING


def test_three_clear_looks_in_a_row_are_flapping_until_it_was_closed_for_relapse(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"api": up()}).run(35)
    assert world.holds() == [H.CLEAR_NOW] * 3 + [H.FLAPPING]
    assert world.story() == []
    world.looks.clear()
    world.run(100)
    assert world.holds()[-1] is H.FLAPPING
    world.at(105, api=up()).at(715, api=DOWN).run(725)
    assert world.claims() == [720]


def test_retry_ends_flapping(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"api": up()}).run(35)
    world.looks.clear()
    world.simulation.at(36, lambda: world.simulation.assembly.retry(world.incident().id))
    assert world.run(40).claims() == [36]


def test_a_claim_or_a_blind_look_ends_the_row_of_clear_looks(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"api": up()})
    world.simulation.at(15, lambda: world.looks.update(api="no route"))
    world.simulation.at(25, lambda: world.looks.update(api=up()))
    world.run(48)
    assert world.holds() == [H.CLEAR_NOW, H.CLEAR_NOW, H.BLIND_NOW, H.CLEAR_NOW, H.CLEAR_NOW]
    assert not world.ladder().flapping


def test_a_second_look_that_is_blind_does_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"api": "no route to host"}).run(15)
    assert world.holds() == [H.BLIND_NOW]
    assert "no route to host" in world.incident().hold_sentence
    assert world.story() == []


def test_a_look_feeds_the_lifecycle_and_proposes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"db": DOWN}).run(0)
    assert world.holds() == [H.UPSTREAM]  # the look at the upstream service found it sick
    assert world.story() == []


def test_a_failed_attempt_counts_as_a_try_and_frees_the_resource_at_its_end(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, effects=[Effect(takes=3, state=A.FAILED)] * 2).run(60)
    assert world.story() == [(0, "command:api@node", A.FAILED, None), (10, "command:api@node", A.FAILED, None)]
    assert world.incident().handed_over is H.EXHAUSTED


def test_a_permanent_failure_ends_the_step(tmp_path: Path) -> None:
    rules = HEAD + RULE + '      - run: {argv: ["true"]}\n        cooldown: 0s\n'
    world = World(tmp_path, rules, reality={"api": DOWN}, effects=[Effect(state=A.FAILED, permanent=True)]).run(15)
    assert [it.remediation for it in world.attempts()] == ["restart", "run"]


def test_what_times_out_has_failed(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "timeout: 7s"), reality={"api": DOWN})
    world.effects = [Effect(takes=1e9)]
    world.run(60)
    assert world.story() == [(0, "command:api@node", A.FAILED, None)]
    made = world.attempts()[0]
    assert made.ended.boottime - made.claimed.boottime == 7


def test_from_the_claim_to_settles_end_runs_judge_nothing_for_any_ladder_of_the_resource(tmp_path: Path) -> None:
    other = "  api-slow: {check: api, when: up == 0, for: 15s, severity: P3, steps: [{restart: {}}]}\n"
    world = World(tmp_path, HEAD + RULE.replace("settle: 10s", "settle: 60s") + other, reality={"api": DOWN})
    world.effects = [Effect(takes=20)]
    world.run(75)
    assert world.incident("api-down").state is S.FIRING
    assert ("api-slow", "api", "") in world.board.tracks
    assert world.board.tracks["api-slow", "api", ""].state is S.PENDING  # no time counted for it


def test_the_resource_is_busy_from_claim_to_the_end_of_verification(tmp_path: Path) -> None:
    head = HEAD.replace("checks:\n", "checks:\n  other: {tcp: {host: localhost, port: 3}, every: 10s}\n")
    world = World(tmp_path, head + RULE + OTHER, reality={"api": DOWN}).at(5, other=DOWN).run(35)
    assert world.holds("api-too") == [H.RESOURCE_BUSY]  # before settle's end its runs judged nothing
    assert world.claims() == [0]


def test_the_cooldown_of_the_attempt_that_was_made_binds_whichever_rule_asks(tmp_path: Path) -> None:
    head = HEAD.replace("checks:\n", "checks:\n  other: {tcp: {host: localhost, port: 3}, every: 10s}\n")
    rules = head + RULE.replace("cooldown: 0s", "cooldown: 2m") + OTHER
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api=up()))]
    world.at(15, other=DOWN).run(200)
    assert world.holds("api-too") == [H.COOLDOWN]
    assert [(it.rule, round(it.claimed.boottime) - 100_000) for it in world.attempts()] == [
        ("api-down", 0),
        ("api-too", 140),
    ]


def test_at_one_instant_the_highest_severity_goes_first(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE + URGENT, reality={"api": DOWN}).run(0)
    assert [it.rule for it in world.attempts()] == ["urgent"]
    assert world.holds("api-down") == [H.RESOURCE_BUSY] or world.holds("api-down") == [H.SETTLING]


def test_at_one_instant_the_oldest_firing_goes_first_and_then_the_order_in_the_file(tmp_path: Path) -> None:
    second = URGENT.replace("P0", "P1")
    (tmp_path / "same").mkdir()
    same = World(tmp_path / "same", HEAD + RULE + second, reality={"api": DOWN}).run(0)
    assert [it.rule for it in same.attempts()] == ["api-down"]
    world = World(tmp_path, HEAD + RULE.replace("for: 0s", "for: 20s") + second, reality={"api": DOWN})
    world.simulation.at(0, lambda: world.simulation.assembly.circumstances.pause(why="release", who="ann"))
    world.simulation.at(45, lambda: world.simulation.assembly.circumstances.resume())
    world.run(60)
    assert world.holds()[0] is H.PAUSED  # both were firing when the pause ended
    assert [it.rule for it in world.attempts()] == ["urgent"]


def test_a_ladder_proposes_for_the_oldest_of_its_incidents(tmp_path: Path) -> None:
    head = HEAD.replace("checks:\n", "checks:\n  page: {service: api, tcp: {host: localhost, port: 3}, every: 10s}\n")
    world = World(tmp_path, head + RULE.replace("check: api", "checks: [page, api]"), reality={"api": DOWN})
    world.simulation.at(0, lambda: world.simulation.assembly.circumstances.pause(why="release", who="ann"))
    world.simulation.at(25, lambda: world.simulation.assembly.circumstances.resume())
    world.at(15, page=DOWN).run(30)  # page comes first in the file
    opened = {it.id: it.check for it in world.board.incidents.values()}
    assert [opened[it] for it in world.attempts()[0].incidents] == ["api", "page"]


def test_two_checks_of_one_rule_share_one_ladder_and_one_effect_is_verified_for_both(tmp_path: Path) -> None:
    head = HEAD.replace("checks:\n", "checks:\n  page: {service: api, tcp: {host: localhost, port: 3}, every: 10s}\n")
    world = World(
        tmp_path, head + RULE.replace("check: api", "checks: [api, page]"), reality={"api": DOWN, "page": DOWN}
    )
    world.effects = [Effect(then=lambda: world.reality.update(api=up()))]
    world.run(45)
    assert world.story()[0] == (0, "command:api@node", A.SUCCEEDED, V.INEFFECTIVE)  # page stayed down
    assert len(world.attempts()[0].incidents) == 2


def test_while_it_is_clear_the_deadline_stands_still_and_the_last_run_comes_at_the_one_that_moved(
    tmp_path: Path,
) -> None:
    rules = HEAD.replace("every: 10s", "every: 10s, retry_every: 7s") + RULE.replace(
        "for: 0s", "for: 0s\n    clear_for: 1m"
    )
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api=up()))]
    # settled at 11 and clear from there to the run at 25: the deadline, 41, moves on by 14
    world.at(20, api=DOWN).run(54)
    assert [it for *_, it in world.story()] == [None]
    assert world.run(55).claims() == [0, 55]
    assert world.story()[0] == (0, "command:api@node", A.SUCCEEDED, V.INEFFECTIVE)


def test_what_was_done_settles_even_if_no_incident_is_left_to_verify(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE + OTHER.replace("other", "db"), reality={"api": DOWN, "db": up()})
    world.edit(5, HEAD + "rules:\n" + OTHER.replace("other", "db")).at(9, db=DOWN).run(9)
    assert world.story() == [(0, "command:api@node", A.SUCCEEDED, None)]
    assert world.run(30).story()[0] == (0, "command:api@node", A.SUCCEEDED, V.UNVERIFIED)
    (attempt, *_) = world.attempts()
    assert attempt.released.boottime - attempt.claimed.boottime == 11


def test_no_window_reaches_behind_the_settles_end(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("up == 0", "max(latency_seconds, 5m) > 5s")
    world = World(tmp_path, rules, reality={"api": up(latency_seconds=9.0)})
    world.effects = [Effect(then=lambda: world.reality.update(api=up(latency_seconds=1.0)))]
    world.run(200)  # in verification and after it
    assert world.story() == [(0, "command:api@node", A.SUCCEEDED, V.EFFECTIVE)]
    assert [it.state for it in world.stored_incidents()] == [S.RESOLVED]


def test_during_verify_windows_do_not_ask_for_half_their_length(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("up == 0", "delta(latency_seconds, 2m) > 5s")
    world = World(tmp_path, rules, reality={"api": up(latency_seconds=1.0)})
    world.at(65, api=up(latency_seconds=9.0)).run(110)
    assert world.story() == [(70, "command:api@node", A.SUCCEEDED, V.EFFECTIVE)]


def test_unverified_frees_the_resource_and_waits_for_a_known_run(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api="blind"))]
    world.at(95, api=DOWN).run(96)
    assert world.story() == [(0, "command:api@node", A.SUCCEEDED, V.UNVERIFIED)]
    assert world.ladder().waiting_since is not None
    assert world.run(105).claims() == [0, 101]


def test_an_unverified_last_try_is_exhausted_only_once_a_known_run_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 1"), reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api="blind"))]
    world.at(95, api=DOWN).run(94)
    assert (world.story()[0][3], world.incident().handed_over) == (V.UNVERIFIED, None)
    assert world.run(101).incident().handed_over is H.EXHAUSTED


def test_after_ten_minutes_of_blindness_an_unverified_ladder_is_handed_to_people(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api="blind"))]
    world.run(640)
    assert world.incident().handed_over is None
    assert world.run(641.5).incident().handed_over is H.BLIND_NOW


def test_a_relapse_is_linked_and_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 1") + '      - run: {argv: ["true"]}\n')
    heal = lambda: world.reality.update(api=up())  # noqa: E731  # one line says it
    world.effects = [Effect(then=heal), Effect(then=heal)]
    world.at(5, api=DOWN).at(105, api=DOWN).run(200)
    assert [it.remediation for it in world.attempts()] == ["restart", "run"]
    first, second = sorted(world.stored_incidents(), key=lambda it: it.opened.wall)
    assert (first.linked_to, second.linked_to) == (None, first.id)


def test_after_relapse_the_ladder_starts_anew(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 1") + '      - run: {argv: ["true"]}\n')
    heal = lambda: world.reality.update(api=up())  # noqa: E731  # one line says it
    world.effects = [Effect(then=heal), Effect(then=heal)]
    world.at(5, api=DOWN).at(700, api=DOWN).run(800)
    assert [it.remediation for it in world.attempts()] == ["restart", "restart"]
    assert all(it.linked_to is None for it in world.stored_incidents())


def test_a_lost_attempt_counts_keeps_the_resource_busy_until_claim_plus_timeout_and_is_verified(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 2\n        timeout: 60s"), reality={"api": DOWN})
    world.effects = [Effect(takes=30)]
    world.simulation.at(3, world.simulation.crash)
    world.run(69)
    assert world.story() == [(0, "command:api@node", A.LOST, None)]
    world.run(130)
    assert world.story()[0] == (0, "command:api@node", A.LOST, V.INEFFECTIVE)
    assert world.claims() == [0, 100]  # claim + timeout + settle + verify


def test_a_crash_while_verifying_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    world.simulation.at(25, world.simulation.crash)
    world.run(60)
    assert world.claims() == [0, 41]
    assert len(world.stored_incidents()) == 1


def test_no_time_counts_across_a_crash(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("for: 0s", "for: 30s"), reality={"api": DOWN})
    world.simulation.at(25, lambda: world.simulation.crash(down=20.0))
    assert world.run(50).stored_incidents() == []  # counted across the gap it would have fired at 45
    assert len(world.run(100).stored_incidents()) == 1


def test_an_attempt_is_verified_by_its_own_copy_of_the_condition(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    world.edit(15, HEAD + RULE.replace("up == 0", "up == 1")).run(45)
    assert world.story()[0][3] is V.INEFFECTIVE


@pytest.mark.parametrize("when", ["count_of(up == 0, 2, 3)", "avg(latency_seconds, 1m) > 5s", "unchanged(up) < 5s"])
def test_the_copy_of_a_condition_keeps_what_it_looks_back_on(tmp_path: Path, when: str) -> None:
    rules = HEAD.replace("every: 10s", "every: 10s, retry_every: 5s") + RULE.replace("up == 0", when)
    slow = up(0.0, latency_seconds=9.0)
    world = World(tmp_path, rules, reality={"api": slow})
    world.effects = [Effect(then=lambda: world.reality.update(api=up(latency_seconds=1.0)))]
    world.edit(14, HEAD + RULE.replace("up == 0", "up == 7")).run(100)  # CLEAR by the edited rule from then on
    assert [it for *_, it in world.story()] == [V.EFFECTIVE]


def test_the_copy_of_a_count_knows_the_runs_before_the_edit(tmp_path: Path) -> None:
    head = HEAD.replace("every: 10s", "every: 10s, retry_every: 5s")
    world = World(tmp_path, head + RULE.replace("up == 0", "count_of(up == 0, 3, 8)"), reality={"api": DOWN})
    world.effects = [Effect(then=lambda: world.reality.update(api=up()))]
    # settled at 31: the sixth clear run, which makes it certain, comes at the deadline, 61
    world.edit(45, head + RULE.replace("up == 0", "up == 7")).run(100)
    assert [(at, it) for at, *_, it in world.story()] == [(20, V.EFFECTIVE)]


def test_a_removed_rule_withdraws_its_incident_and_its_attempt_is_unverified(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).edit(15, HEAD).run(60)
    assert world.stored_incidents()[0].state is S.WITHDRAWN
    assert world.story() == [(0, "command:api@node", A.SUCCEEDED, V.UNVERIFIED)]


def test_a_renamed_rule_withdraws_and_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).edit(15, HEAD + RULE.replace("api-down", "api-gone")).run(120)
    assert [it.state for it in sorted(world.stored_incidents(), key=lambda it: it.opened.wall)] == [
        S.WITHDRAWN,
        S.FIRING,
    ]


def test_an_edited_rule_keeps_its_state(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).edit(60, HEAD + RULE.replace("P1", "P2")).run(70)
    assert len(world.stored_incidents()) == 1
    assert world.claims() == [0, 41]


def test_the_dependant_is_held_while_its_upstream_is_sick_and_for_counts_anew_after(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("for: 0s", "for: 0s\n    escalate_after: 1s") + ROOT)
    world.reality = {"api": DOWN, "db": DOWN}
    world.effects = [Effect(takes=5, then=lambda: world.reality.update(db=up()))]
    world.run(29)
    assert world.claims("command:db@node") == [0]
    assert (world.incident().hold, world.incident().handed_over) == (H.UPSTREAM, None)
    world.run(31)
    assert world.claims() == [30]  # db was well at 15; api's breach then counted for db's settle, 10 s, anew


def test_an_incident_that_its_upstream_took_along_heals_without_an_attempt(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE + ROOT, reality={"api": DOWN, "db": DOWN})
    world.effects = [Effect(takes=5, then=lambda: world.reality.update(db=up(), api=up()))]
    world.run(100)
    assert world.claims() == []
    assert world.holds() == [H.UPSTREAM]
    assert {it.state for it in world.stored_incidents()} == {S.RESOLVED}


def test_held_for_longer_than_escalate_after_is_handed_over(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("severity: P1", "severity: P1\n    escalate_after: 1m").replace(
        "cooldown: 0s", "cooldown: 1h"
    )
    world = World(tmp_path, rules, reality={"api": DOWN}).run(95)
    assert world.incident().handed_over is None
    assert world.run(120).incident().handed_over is H.COOLDOWN


def test_an_exhausted_ladder_is_a_hold_like_any_other_with_a_row_and_a_label(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(300)
    assert world.holds().count(H.EXHAUSTED) == 1  # not at every run
    page = "".join(world.simulation.assembly.metrics.page().rows())
    assert 'heald_holds_total{reason="exhausted",rule="api-down"} 1.0\n' in page


def test_what_an_incident_was_held_does_not_count_for_its_relapse(tmp_path: Path) -> None:
    rules = HEAD + RULE.replace("for: 0s", "for: 0s\n    escalate_after: 1m")
    world = World(tmp_path, rules, reality={"api": DOWN}, looks={"api": "blind"})
    world.at(45, api=up()).at(55, api=DOWN).run(110)
    assert world.incident().handed_over is None  # held for 40 s before and for 50 s now
    assert world.run(120).incident().handed_over is H.BLIND_NOW


def test_observe_mode_runs_the_same_ladder_on_paper(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD.replace("mode: act", "mode: observe") + RULE, reality={"api": DOWN}).run(200)
    assert [(at, state, found) for at, _, state, found in world.story()] == [
        (0, A.WOULD, V.INEFFECTIVE),
        (40, A.WOULD, V.INEFFECTIVE),
    ]
    assert world.holds()[0] is H.MODE
    assert world.incident().handed_over is H.EXHAUSTED


def test_not_allowed_is_a_would_be_attempt_and_people_are_told_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD.replace("[restart, run]", "[run]") + RULE, reality={"api": DOWN}).run(5)
    assert world.incident().handed_over is H.NOT_ALLOWED
    assert world.story()[0][2] is A.WOULD


def test_going_from_observe_to_act_resets_ladders_and_counts(tmp_path: Path) -> None:
    observe = HEAD.replace("mode: act", "mode: observe") + RULE.replace("[50/1h]", "[2/1h]")
    world = World(tmp_path, observe, reality={"api": DOWN}).edit(205, HEAD + RULE.replace("[50/1h]", "[2/1h]")).run(280)
    assert [(at, state) for at, _, state, _ in world.story() if state is not A.WOULD] == [
        (210, A.SUCCEEDED),
        (251, A.SUCCEEDED),
    ]


def test_what_was_exhausted_on_paper_is_told_anew_when_it_is_exhausted_in_fact(tmp_path: Path) -> None:
    observe = HEAD.replace("mode: act", "mode: observe") + RULE
    for name in ("reload", "restart"):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, observe, reality={"api": DOWN}).run(150)
        assert world.incident().handed_over is H.EXHAUSTED
        if name == "restart":
            world.file.write_text(HEAD + RULE)
            world.simulation.setup = load(world.file, node="node")
            world.simulation.at(155, world.simulation.crash)
        else:
            world.edit(155, HEAD + RULE)
        world.run(165)
        assert (world.incident().handed_over, world.incident().hold) == (None, None)
        world.run(300)
        assert world.incident().handed_over is H.EXHAUSTED
        assert world.incident().handed_over_at.wall - world.incident().opened.wall > 165


def test_going_to_act_begins_a_ladder_anew_that_was_really_climbed_before(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(100)
    assert world.incident().handed_over is H.EXHAUSTED
    world.edit(105, HEAD.replace("mode: act", "mode: observe") + RULE).edit(106, HEAD + RULE).run(300)
    assert [at for at in world.claims() if at > 100] == [112, 153]


def test_retry_begins_an_exhausted_ladder_anew_and_people_are_told_anew(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(90)
    assert world.incident().handed_over is H.EXHAUSTED
    world.simulation.assembly.retry(world.incident().id)
    assert (world.incident().handed_over, world.incident().hold) == (None, None)
    world.run(300)
    assert len(world.claims()) == 4
    assert world.incident().handed_over is H.EXHAUSTED
    assert world.incident().handed_over_at.wall - world.incident().opened.wall > 90


def test_a_clock_jump_holds_for_a_minute(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.simulation.at(15, lambda: setattr(world.simulation.clock, "wall_offset", 7200.0))
    world.at(16, api=DOWN).run(300)
    assert world.holds()[0] is H.CLOCK_JUMPED
    assert world.claims()[0] - 7200 == 80  # said at 20, when it was first asked


def test_a_pause_holds_and_its_end_needs_a_newer_run(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    world.simulation.at(0, lambda: world.simulation.assembly.circumstances.pause(why="release", who="ann"))
    world.simulation.at(25, lambda: world.simulation.assembly.circumstances.resume())
    world.run(31)
    assert world.holds() == [H.PAUSED]
    assert world.claims() == [30]


def test_startup_grace_holds_and_ends_early_once_every_check_was_clear(tmp_path: Path) -> None:
    rules = HEAD.replace("startup_grace: 0s", "startup_grace: 1m") + RULE
    world = World(tmp_path / "a", rules, reality={"api": DOWN}) if (tmp_path / "a").mkdir() is None else None
    assert world is not None
    assert world.run(65).holds() == [H.STARTUP_GRACE]
    assert world.claims() == [60]
    (tmp_path / "b").mkdir()
    early = World(tmp_path / "b", rules).at(5, api=DOWN).run(15)
    assert early.claims() == [10]


def test_a_full_budget_holds_every_rule(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD.replace("budget: [100/1h]", "budget: [1/1h]") + RULE, reality={"api": DOWN}).run(60)
    assert world.holds() == [H.BUDGET]
    assert world.incident().handed_over is H.BUDGET


def test_limits_hold_across_crashes_and_reboots(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("limit: [50/1h]", "limit: [1/1h]"), reality={"api": DOWN})
    for at in (50, 100, 150):
        world.simulation.at(at, world.simulation.crash)
    world.simulation.at(200, lambda: world.simulation.reboot(down=60.0, clock=86400.0 * 30, synchronised=False))
    world.run(3000)
    assert len(world.attempts()) == 1


def test_a_run_during_which_heald_stood_still_says_nothing_of_its_target(tmp_path: Path) -> None:
    aged = "  aged: {check: api, when: age() > 32s, for: 0s, steps: [{restart: {}}]}\n"
    world = World(tmp_path, HEAD + RULE + aged).run(10)
    now, take = world.simulation.clock.steady(), world.simulation.assembly.runs.take
    take(Run(check="api", began=now, ended=now + 100, readings=(Reading(samples={"up": 0.0}),)))
    take(Run(check="api", began=now + 100, ended=now + 200, error="it did not end within 10s"))
    take(Run(check="api", began=now + 200, ended=now + 201, error="no route"))
    assert world.board.incidents == {}  # for 21 s of the 201 somebody tried to look
    take(Run(check="api", began=now + 202, ended=now + 213.5, error="it did not end within 10s"))
    assert world.board.incidents == {}  # 33.5 s, but for 1.5 s of the last run heald did not see its end
    take(Run(check="api", began=now + 214, ended=now + 215, error="no route"))
    assert [it.rule for it in world.board.incidents.values()] == ["aged"]


SELF_TEST = HEAD.replace("startup_grace: 0s", "self_test: [db], startup_grace: 0s").replace("depends_on: [db], ", "")


@pytest.mark.parametrize(
    ("seen", "says"), [(DOWN, "db has up 0"), ("no route to host", "db could not look: no route to host")]
)
def test_while_a_self_test_fails_nothing_is_done_but_the_rest_is_judged(
    tmp_path: Path, seen: object, says: str
) -> None:
    world = World(tmp_path, SELF_TEST + RULE, reality={"api": DOWN, "db": seen}).at(55, db=up()).run(50)
    assert world.holds() == [H.SELF_TEST]
    assert says in world.incident().hold_sentence
    assert world.run(70).claims() == [60]  # no reading became UNKNOWN: it is still the same incident


def test_a_self_test_that_was_never_run_holds_too(tmp_path: Path) -> None:
    rules = SELF_TEST.replace("port: 1}, every: 10s", "port: 1}, every: 30s") + RULE
    world = World(tmp_path, rules, reality={"api": DOWN})
    world.simulation.timetable.next_run["db"] += 15
    world.run(10)
    assert world.holds() == [H.SELF_TEST]
    assert "db has not run yet" in world.incident().hold_sentence
