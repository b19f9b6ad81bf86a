"""Why nothing is done, or what is: `Proof` over the daemon's own board, in a world of words."""

import re
from pathlib import Path

import pytest

from daemon.engine.guards import GUARDS
from daemon.model.explanation import Explanation, PlanEntry, WouldReport
from daemon.model.incident import HoldReason, IncidentState
from daemon.model.remediation import Verification
from daemon.model.rule import Limit, Verdict
from daemon.runtime.situation import Found
from tests.runtime.world import DOWN, HEAD, RULE, World, up, worlds_end

__all__ = ["worlds_end"]  # a fixture of every test here


def explain(world: World, name: str = "api-down") -> Explanation:
    return world.simulation.ask(world.simulation.assembly.proof.explain(name))


def plan(world: World) -> list[PlanEntry]:
    return world.simulation.ask(world.simulation.assembly.proof.plan())


def would(world: World, seconds: float = 86400.0) -> WouldReport:
    return world.simulation.ask(world.simulation.assembly.proof.would(seconds))


def rule(**changes: str) -> str:
    text = HEAD + RULE
    for old, new in changes.items():
        text = text.replace(
            {"mode": "mode: act", "cooldown": "cooldown: 0s", "limit": "limit: [50/1h]\n    steps"}[old], new
        )
    return text


def test_a_well_service_is_not_restarted_because_nothing_is_wrong(tmp_path: Path) -> None:
    told = explain(World(tmp_path).run(5))
    assert told.answer == (
        "rule api-down on api: it is not breached, so nothing is done: up = 1 != 0; "
        "if it fired, restart of command:api@node would be done"
    )
    assert told.standings[0].next is not None
    assert told.standings[0].next.held == ()


def test_every_guard_is_told_in_its_order_pass_or_hold(tmp_path: Path) -> None:
    told = explain(World(tmp_path).run(5))
    assert told.standings[0].next is not None
    assert [it.reason for it in told.standings[0].next.guards] == [reason for reason, _ in GUARDS]


def test_a_check_that_has_not_run_says_nothing(tmp_path: Path) -> None:
    told = explain(World(tmp_path))
    assert told.answer == "rule api-down on api: check api has not run yet, so nothing is known"
    assert told.standings[0].next is None


def test_pending_says_how_much_counts(tmp_path: Path) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("for: 0s", "for: 1m")).at(10, api=DOWN).run(31)
    told = explain(world)
    assert told.standings[0].state is IncidentState.PENDING
    assert "it is breached, but not for long enough yet: " in told.answer
    assert " of 1m count; then restart of command:api@node would be done" in told.answer


def test_an_attempt_under_way_settles_and_is_verified(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, api=DOWN).run(15)
    assert explain(world).answer.startswith(
        "rule api-down on api: restart of command:api@node was done and settles until"
    )
    assert "restart of command:api@node was done and is verified until" in explain(world.run(25)).answer


def test_a_cooldown_is_named_with_its_end_and_what_follows(tmp_path: Path) -> None:
    world = World(tmp_path, rule(cooldown="cooldown: 10m")).at(10, api=DOWN).run(120)
    told = explain(world)
    assert "restart of command:api@node is held by cooldown: command:api@node was touched too recently" in told.answer
    standing = told.standings[0]
    assert standing.next is not None
    (held,) = standing.next.held
    assert held.reason is HoldReason.COOLDOWN
    assert held.until == pytest.approx(world.simulation.clock.stamp().wall + 600 - (120 - 51), abs=15)
    assert f"until {world.simulation.clock.now():%H}:" in told.answer
    assert (standing.next.step, standing.next.try_number, standing.next.tries) == (1, 2, 2)
    assert (
        standing.next.plan
        == "restart service api (command:api@node), which command calls running: running (exit code 0)"
    )


def test_a_manager_that_cannot_be_asked_stands_behind_the_guards(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace('status: ["true"]', 'status: ["/nowhere/status"]')
    told = explain(World(tmp_path, rules).run(5))
    assert told.standings[0].next is not None
    (held,) = told.standings[0].next.held
    assert held is told.standings[0].next.guards[-1]
    assert held.reason is HoldReason.BLIND_NOW
    assert held.hold is not None
    assert held.hold.sentence.startswith("command could not be asked: ")


def test_a_manager_that_is_busy_is_a_guard_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path).run(5)

    async def busy(*_: object) -> Found:
        return Found(busy="command says it is starting")

    monkeypatch.setattr(world.simulation.assembly.executor, "ask_around", busy)
    assert explain(world).answer.endswith(
        "if it fired, restart of command:api@node would be held by resource_busy: its own manager is acting on it: "
        "command says it is starting"
    )


def test_the_budget_that_is_left_is_of_rule_resource_and_all(tmp_path: Path) -> None:
    world = World(tmp_path, rule(limit="limit: [1/1h]\n    steps")).at(10, api=DOWN).run(120)
    told = explain(world)
    assert "is held by limit_rule: rule api-down has used 1 of 1/1h" in told.answer
    assert told.standings[0].next is not None
    assert [(it.of, str(it.limit), it.used) for it in told.standings[0].next.allowances] == [
        ("rule api-down", "1/1h", 1),
        ("command:api@node", "50/1h", 1),
        ("all", "100/1h", 1),
    ]
    assert told.standings[0].handed_over is HoldReason.LIMIT_RULE


def test_an_exhausted_ladder_is_for_people(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, api=DOWN).run(300)
    told = explain(world)
    assert "every try of every step was made" in told.answer
    assert f"`heald retry {world.incident().id}`" in told.answer
    last = told.standings[0].next
    assert last is not None
    assert (last.is_left, last.try_number, last.tries) == (False, 2, 2)
    assert [it.reason for it in last.guards] == [reason for reason, _ in GUARDS]
    assert ("rule api-down", 2) in {(it.of, it.used) for it in last.allowances}
    (entry,) = plan(world)
    assert entry.answer == "every try of every step was made or ruled out: it is for people now"


def test_blindness_heals_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, rule(cooldown="cooldown: 10m")).at(10, api=DOWN).at(100, api="no route").run(130)
    assert explain(world).answer == (
        "rule api-down on api: heald is blind now, and heals nothing on a guess: api could not look: no route"
    )


def test_a_check_that_is_blind_from_the_start_says_why(tmp_path: Path) -> None:
    told = explain(World(tmp_path).at(0, api="no route").run(5))
    assert told.answer == (
        "rule api-down on api: heald is blind, and heals nothing on a guess: api could not look: no route"
    )


def test_a_second_look_that_is_blind_is_what_is_known_now(tmp_path: Path) -> None:
    world = World(tmp_path, looks={"api": "no route"}).at(10, api=DOWN).run(15)
    assert "heald is blind now, and heals nothing on a guess: api could not look: no route" in explain(world).answer


def test_a_sick_upstream_is_named(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, db=DOWN).at(20, api=DOWN).run(60)
    assert "is held by upstream: api depends on db, where db has up 0" in explain(world).answer


def test_observe_mode_says_so_first(tmp_path: Path) -> None:
    world = World(tmp_path, rule(mode="mode: observe")).at(10, api=DOWN).run(15)
    assert "observe mode: restart of command:api@node would have been done" in explain(world).answer


def test_what_is_not_allowed_is_not_called_observe_mode(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("allow: [restart, run]", "allow: [run]")
    world = World(tmp_path, rules).at(10, api=DOWN).run(15)
    assert "on api: restart is not in settings.allow: restart of command:api@node would have been done" in (
        explain(world).answer
    )
    (entry,) = plan(world)
    assert entry.answer.startswith("restart is not in settings.allow: ")


def test_the_last_try_under_way_is_told_with_its_guards_and_what_limits_permit(tmp_path: Path) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("tries: 2", "tries: 1")).at(10, api=DOWN).run(35)
    told = explain(world)
    assert "was done and is verified until" in told.answer
    step = told.standings[0].next
    assert step is not None
    assert not step.is_left
    assert [it.reason for it in step.held] == [HoldReason.RESOURCE_BUSY]
    assert [it.used for it in step.allowances] == [1, 1, 1]


def test_what_clear_when_looks_at_has_its_values_too(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("when: up == 0", "when: up == 0\n    clear_when: avg(latency_seconds, 1m) < 1s")
    world = (
        World(tmp_path, rules).at(10, api=up(0.0, latency_seconds=3.0)).at(100, api=up(latency_seconds=3.0)).run(200)
    )
    told = explain(world)
    shown = {it.text: it.value for it in told.standings[0].operands}
    assert shown == {"up": "1", "avg(latency_seconds, 1m)": "3s"}


def test_every_state_says_since_when(tmp_path: Path) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("for: 0s", "for: 1m")).at(10, api=DOWN).at(105, api=up()).run(5)
    assert explain(world).standings[0].since is None  # nothing has ever changed
    zero = world.simulation.clock.stamp().wall - 5

    def since() -> float:
        began = explain(world).standings[0].since
        assert began is not None
        return began.wall - zero

    world.run(31)
    assert since() == 10
    world.run(80)
    assert since() == pytest.approx(70, abs=4)
    world.run(300)
    assert explain(world).standings[0].state is IncidentState.INACTIVE
    assert since() == pytest.approx(105, abs=10)


def test_a_hold_that_outlives_its_incident_names_nothing_to_retry(tmp_path: Path) -> None:
    world = World(tmp_path, looks={"api": up()}).at(10, api=DOWN).at(45, api=up()).run(60)
    told = explain(world)
    assert told.standings[0].state is IncidentState.INACTIVE
    assert "would be held by flapping: " in told.answer
    assert told.answer.endswith("held until it stays closed for 10m")


def test_an_approval_is_not_asked_for_before_it_fires(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("tries: 2", "tries: 2\n        approval: true")
    assert explain(World(tmp_path, rules).run(5)).answer.endswith("needs a person to agree, who is asked once it fires")


@pytest.mark.parametrize("hold", ["upstream", "maintenance"])
def test_for_counts_anew_after_a_hold_and_nothing_is_planned_meanwhile(tmp_path: Path, hold: str) -> None:
    rules = (HEAD + RULE).replace("for: 0s", "for: 1m")
    window = 'maintenance:\n  w: {cron: "0 10 * * *", lasts: 3m, zone: UTC, services: [api]}\n'
    if hold == "maintenance":
        rules = rules.replace("checks:\n", f"{window}checks:\n", 1)
    world = World(tmp_path, rules)
    world.at(20, api=DOWN)
    if hold == "upstream":
        world.at(10, db=DOWN).at(180, db=up())
    world.run(150)
    assert f" is held by {hold}: " in explain(world).answer
    world.run(200)
    said = "what held it (planned work, or what it depends on) is over, and `for` counts anew: "
    assert said in explain(world).answer
    (entry,) = plan(world)
    assert entry.answer.startswith(said)
    assert world.run(230).board.attempts == {}
    assert len(world.run(275).board.attempts) == 1


def test_a_rule_without_steps_only_tells(tmp_path: Path) -> None:
    rules = HEAD + "rules: {api-down: {check: api, when: up == 0, for: 0s}}\n"
    assert explain(World(tmp_path, rules).at(10, api=DOWN).run(15)).answer == (
        "rule api-down on api: the rule has no steps: it only tells people"
    )


def test_the_operands_have_their_values_their_windows_and_what_is_missing(tmp_path: Path) -> None:
    when = "when: up == 0 or avg(latency_seconds, 1m) > 5s or delta(latency_seconds, 1h) > 1s"
    world = World(tmp_path, (HEAD + RULE).replace("when: up == 0", when))
    told = explain(world.at(0, api=up(latency_seconds=2.0)).run(35))
    shown = {it.text: it for it in told.standings[0].operands}
    assert shown["up"].value == "1"
    average = shown["avg(latency_seconds, 1m)"]
    assert (average.value, average.window, average.samples, average.span) == ("2s", 60.0, 4, 30.0)
    assert shown["delta(latency_seconds, 1h)"].value is None
    assert "span 30s, and it needs 30m" in shown["delta(latency_seconds, 1h)"].missing


def test_count_of_is_told_from_the_runs_that_it_counted(tmp_path: Path) -> None:
    world = World(tmp_path, (HEAD + RULE).replace("when: up == 0", "when: count_of(up == 0, 3, 5)"))
    told = explain(world.at(0, api=DOWN).run(15))
    assert told.standings[0].verdict is Verdict.UNKNOWN
    assert [(it.text, it.value) for it in told.standings[0].operands] == [
        ("count_of(up == 0, 3, 5)", None),
        ("up", "0"),
    ]
    assert "2 breached" in told.standings[0].operands[0].missing


def test_a_service_is_told_by_every_rule_that_judges_or_touches_it_the_worst_first(tmp_path: Path) -> None:
    rules = (
        HEAD
        + RULE
        + (
            "  db-slow: {check: db, when: latency_seconds > 5s, steps: [{restart: {service: api}}]}\n"
            "  api-slow: {check: api, when: latency_seconds > 5s}\n"
            "  db-down: {check: db, when: up == 0}\n"
        )
    )
    told = explain(World(tmp_path, rules).at(10, api=DOWN).run(15), "api")
    assert told.kind == "service"
    assert [it.rule for it in told.standings] == ["api-down", "db-slow", "api-slow"]


def test_many_standings_are_told_in_bounds_the_worst_first(tmp_path: Path) -> None:
    others = "".join(f"  other-{number}: {{check: api, when: up == 0, for: 1d}}\n" for number in range(30))
    told = explain(
        World(tmp_path, HEAD + RULE.replace("rules:\n", f"rules:\n{others}")).at(10, api=DOWN).run(15), "api"
    )
    assert told.standings[0].rule == "api-down"
    assert {it.state for it in told.standings[1:]} == {IncidentState.PENDING}
    assert (len(told.standings), told.left_out) == (10, 21)


def test_an_unknown_name_is_answered_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="there is no rule, service or incident api-dwn; did you mean api-down"):
        explain(World(tmp_path), "api-dwn")


def test_a_rule_that_was_written_since_the_file_was_read_is_not_in_use(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("version: 1\n")
    world = World(tmp_path, HEAD.replace("version: 1", "version: 1\ninclude: [more.yaml]") + RULE)
    world.file.write_text(world.file.read_text() + "  api-slow: {check: api, when: up == 2}\n")
    line = len(world.file.read_text().splitlines())
    (world.folder / "more.yaml").write_text("version: 1\nservices:\n  new: {}\n")
    with pytest.raises(LookupError) as told:
        explain(world, "api-slow")
    assert str(told.value) == (
        f"rule api-slow stands in {world.file}:{line}, but is not in use: heald runs the file as it was when it was "
        "read. `heald validate` says whether it is good, `heald reload` takes it into use"
    )
    with pytest.raises(LookupError, match=rf"service new stands in {world.folder}/more.yaml:3, but is not in use"):
        explain(world, "new")
    assert explain(world, "api-down").kind == "rule"


def test_a_file_that_cannot_be_read_by_now_leaves_an_unknown_name_unknown(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.file.write_text("rules: [")
    with pytest.raises(LookupError, match="there is no rule, service or incident api-slow"):
        explain(world, "api-slow")


def test_a_service_without_rules_is_never_touched(tmp_path: Path) -> None:
    told = explain(World(tmp_path), "db")
    assert told.answer == "no rule judges a check of service db, so heald never acts on it"


def test_a_closed_incident_is_told_as_what_happened(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, api=DOWN).at(15, api=up()).run(120)
    (incident,) = world.stored_incidents()
    told = explain(world, incident.id)
    assert told.answer == "rule api-down on api: resolved after 1 attempt, the last effective"
    assert told.standings == ()
    assert told.story is not None
    assert [it.new for it in told.story.transitions] == [IncidentState.FIRING, IncidentState.RESOLVED]
    assert [it.verification for it in told.story.attempts] == [Verification.EFFECTIVE]


def test_an_open_incident_is_told_with_its_standing_and_its_story(tmp_path: Path) -> None:
    world = World(tmp_path, rule(cooldown="cooldown: 10m")).at(10, api=DOWN).run(120)
    told = explain(world, world.incident().id)
    assert "held by cooldown" in told.answer
    assert told.standings[0].since == world.incident().opened
    assert told.story is not None
    assert [it.reason for it in told.story.holds] == [HoldReason.COOLDOWN]


def test_asking_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, rule(cooldown="cooldown: 10m")).at(10, api=DOWN).run(120)
    board = world.board
    before = (dict(board.tracks), dict(board.ladders), dict(board.incidents), dict(board.attempts))
    explain(world)
    plan(world)
    would(world)
    assert before == (board.tracks, board.ladders, board.incidents, board.attempts)
    assert board.take_rows() == []
    assert not world.simulation.assembly.healing.has_proposals


def test_the_example_of_the_reference_says_what_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text()
    rules, shown = page.split("```yaml\n")[1].split("```")[0], page.split("```\n")[2]
    world = World(tmp_path, HEAD + rules).at(10, api=up(0.0, latency_seconds=2.0)).run(120)
    told = explain(world)
    without_times = re.compile(r"\d+m\d+s|\d\d:\d\d:\d\d")
    assert without_times.sub("", told.answer) == without_times.sub("", shown.splitlines()[0])
    next_step = told.standings[0].next
    assert next_step is not None
    for operand in told.standings[0].operands:
        assert f"{operand.text} = {operand.value}" in shown
    guards = [
        guard for rest in re.findall(r"(?<=  )(?:pass  (.*)|HOLD  (\w+))", shown) for guard in "".join(rest).split()
    ]
    assert guards == [reason.value for reason, _ in GUARDS]
    assert [it.reason.value for it in next_step.held] == re.findall(r"HOLD  (\w+)", shown)
    assert all(f"{it.limit} of {it.of}: {it.used} used" in shown for it in next_step.allowances)


# ---- plan -----------------------------------------------------------------------------------------------------------


TWO = RULE + RULE.replace("rules:\n", "").replace("api-down", "db-down").replace("check: api", "check: db")


def test_nothing_is_planned_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert plan(World(tmp_path).run(5)) == []


def test_observe_mode_is_planned_as_act_mode_would_begin(tmp_path: Path) -> None:
    world = World(tmp_path, rule(mode="mode: observe")).at(10, api=DOWN).run(200)
    assert len(world.board.attempts) == 2  # on paper: the ladder is exhausted there
    (entry,) = plan(world)
    assert entry.answer == "restart of command:api@node would be done now, once a second look confirms it"
    assert entry.next is not None
    assert (entry.next.try_number, entry.next.would) == (1, False)
    assert entry.next.plan.startswith("restart service api (command:api@node)")


def test_what_holds_is_planned_with_what_comes_after_it(tmp_path: Path) -> None:
    rules = rule(cooldown="cooldown: 10m", limit="limit: [1/1h]\n    steps")
    (entry,) = plan(World(tmp_path, rules).at(10, api=DOWN).run(120))
    assert "is held by cooldown: " in entry.answer
    assert entry.answer.endswith("; after that it would be held by limit_rule")


def test_the_first_of_a_plan_uses_up_what_the_next_would_need(tmp_path: Path) -> None:
    head = HEAD.replace("mode: act", "mode: observe").replace("100/1h", "1/1h").replace("depends_on: [db], ", "")
    world = World(tmp_path, head + TWO).at(10, api=DOWN, db=DOWN).run(15)
    first, second = plan(world)
    assert "would be done now" in first.answer
    assert (
        f"of {'command:db@node' if first.rule == 'api-down' else 'command:api@node'} is held by budget" in second.answer
    )


def test_two_rules_of_one_plan_do_not_touch_one_resource(tmp_path: Path) -> None:
    second = RULE.replace("rules:\n", "").replace("api-down", "api-gone").replace("P1", "P0")
    world = World(tmp_path, rule(mode="mode: observe") + second).at(10, api=DOWN).run(15)
    first, later = plan(world)
    assert (first.rule, later.rule) == ("api-gone", "api-down")
    assert "would be done now" in first.answer
    assert "held by resource_busy: rule api-gone is about to act on command:api@node" in later.answer


def test_an_attempt_under_way_is_planned_as_such(tmp_path: Path) -> None:
    (entry,) = plan(World(tmp_path).at(10, api=DOWN).run(35))
    assert "was done and is verified until" in entry.answer


# ---- report ---------------------------------------------------------------------------------------------------------


def test_a_report_has_what_observe_mode_would_have_done(tmp_path: Path) -> None:
    rules = rule(mode="mode: observe", limit="limit: [1/1h]\n    steps")
    world = World(tmp_path, rules).at(10, api=DOWN).run(200)
    (row,) = would(world).rows
    assert (row.rule, row.resource) == ("api-down", "command:api@node")
    assert [it.verification for it in row.attempts] == [Verification.INEFFECTIVE]
    assert [(it.of, str(it.limit), it.most) for it in row.peaks] == [
        ("rule api-down", "1/1h", 1),
        ("command:api@node", "50/1h", 1),
    ]
    assert dict(row.holds)[HoldReason.LIMIT_RULE] == 1
    assert [it.handed_over for it in row.handed_over] == [HoldReason.LIMIT_RULE]
    assert [(it.limit, it.most) for it in would(world).budget] == [(Limit(count=100, window=3600.0), 1)]


def test_what_was_done_in_earnest_counts_and_is_no_row(tmp_path: Path) -> None:
    world = World(tmp_path).at(10, api=DOWN).run(200)
    assert would(world).rows == ()
    assert [it.most for it in would(world).budget] == [2]


def test_a_report_goes_no_further_back_than_asked(tmp_path: Path) -> None:
    world = World(tmp_path, rule(mode="mode: observe")).at(10, api=DOWN).at(15, api=up()).run(4000)
    assert len(would(world).rows) == 1
    assert would(world, 3600.0).rows == ()


def test_what_was_used_before_that_time_still_counts_in_it(tmp_path: Path) -> None:
    rules = rule(mode="mode: observe", limit="limit: [2/1h]\n    steps")
    world = World(tmp_path, rules).at(10, api=DOWN).run(60)
    (row,) = would(world, 20.0).rows  # the second of two attempts on paper
    assert len(row.attempts) == 1
    assert [it.most for it in row.peaks] == [2, 2]


def test_a_report_goes_on_over_a_crash(tmp_path: Path) -> None:
    world = World(tmp_path, rule(mode="mode: observe", limit="limit: [1/1h]\n    steps")).at(10, api=DOWN)
    world.simulation.at(100, world.simulation.crash)
    (row,) = would(world.run(300)).rows
    assert len(row.attempts) == 1
    assert [(it.of, it.most) for it in row.peaks] == [("rule api-down", 1), ("command:api@node", 1)]


def test_an_incident_of_healds_own_says_what_it_tells(tmp_path: Path) -> None:
    rules = (HEAD + RULE).replace("startup_grace: 0s", "startup_grace: 0s, escalate_after: 30s")
    world = World(tmp_path, rules).at(0, api="no route").run(100)
    (own,) = world.board.incidents.values()
    assert explain(world, own.id).answer == f"{own.because}: heald acts on nothing here, and only tells people"
    assert own.because.startswith("api could not look for ")
