"""Each guard holds alone, lets pass, and says a sentence (docs/judgement.md, guards)."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.engine import guards
from daemon.engine.facts import Fit
from daemon.engine.guards import GUARDS, Facts, Proposal, decide, holds, over_limit
from daemon.engine.lifecycle import Timing
from daemon.engine.verification import Watch, settling
from daemon.model.approval import Approval, ApprovalState
from daemon.model.incident import Hold
from daemon.model.incident import HoldReason as H
from daemon.model.moment import Stamp
from daemon.model.order import Scope
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Limit, Rule, Step, Verdict
from daemon.model.settings import Mode, Settings
from daemon.model.track import Ladder

NOW = Stamp(wall=1e6, boot="b", boottime=1000.0, host="n", synchronised=True)
STEP = Step(remediation="restart", options=None, key="restart:{}")
RULE = Rule(
    name="api-down",
    order=0,
    checks=("api",),
    when={},
    for_seconds={},
    steps=(STEP,),
    limit=(Limit(count=2, window=3600.0),),
)
PROPOSAL = Proposal(
    rule=RULE,
    ladder=Ladder(rule="api-down", resource="svc:api@n"),
    index=0,
    step=STEP,
    resource="svc:api@n",
    incident="INC-1",
    check="api",
    subject="",
    service="api",
    timing=Timing(every=10.0, for_seconds=0.0, clear_for=0.0),
    firing_since=900.0,
    run_began=999.0,
    run_ended=999.5,
    limit=(Limit(count=3, window=3600.0),),
    scope=Scope(rule="api-down", check="api", service="api", subject="", severity="P2"),
    would=False,
)
SETTINGS = Settings(mode=Mode.ACT, allow=frozenset({"restart"}), budget=(Limit(count=5, window=3600.0),))
FACTS = Facts(now=NOW, settings=SETTINGS)


def ago(seconds: float) -> Stamp:
    return replace(NOW, wall=NOW.wall - seconds, boottime=NOW.boottime - seconds)


def made(seconds_ago: float, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "id": f"a{seconds_ago}", "rule": "api-down", "resource": "svc:api@n", "ladder": "svc:api@n",
        "remediation": "restart", "step": "restart:{}", "try_number": 1, "incidents": ("INC-1",),
        "claimed": ago(seconds_ago), "ended": ago(seconds_ago), "released": ago(seconds_ago), "timeout": 120.0,
        "settle": 10.0, "verify": 60.0, "cooldown": 60.0, "state": AttemptState.SUCCEEDED,
    }  # fmt: skip
    return Attempt(**{**fields, **changes})


def watch(*, settled: bool, would: bool = False) -> Watch:
    attempt = made(30, released=None, would=would, rule="other-rule")
    under_way = Watch(
        attempt=attempt, rule=replace(RULE, name="other-rule"), members={("api", ""): "INC-2"}, every=10.0
    )
    return settling(under_way, NOW.boottime - 30) if settled else under_way


ALONE: dict[H, tuple[dict[str, Any], dict[str, Any], str]] = {
    # reason: changes of the proposal, of the facts; what the sentence says
    H.SHUTTING_DOWN: ({}, {"shutting_down": True}, "stopping"),
    H.STORE_UNAVAILABLE: ({}, {"store_why": "disk full"}, "disk full"),
    H.PAUSED: ({}, {"paused_why": "release (by ann)"}, "release (by ann)"),
    H.STARTUP_GRACE: ({}, {"grace_until": 1030.0}, "too recently"),
    H.CLOCK_JUMPED: ({}, {"jumped_until": 1045.0}, "the wall clock jumped"),
    H.STALE_READING: ({"run_ended": 969.0}, {}, "31s old"),
    H.SELF_TEST: ({}, {"self_test_why": "gateway has up 0"}, "gateway has up 0"),
    H.MAINTENANCE: ({}, {"maintenance": Hold(reason=H.MAINTENANCE, sentence="window weekly is open")}, "weekly"),
    H.SILENCED: ({}, {"silenced": Hold(reason=H.SILENCED, sentence="a silence by ann")}, "ann"),
    H.STOPPED_BY_OPERATOR: ({}, {"stopped_why": "systemd says inactive"}, "a person stopped or never started it"),
    H.FLAPPING: ({"ladder": replace(PROPOSAL.ladder, flapping=True)}, {}, "heald retry INC-1"),
    H.WORSE: ({"ladder": replace(PROPOSAL.ladder, worse="after restart web became sick")}, {}, "web became sick; held"),
    H.UPSTREAM: ({}, {"upstream_sick": {"api": "postgres, where db has up 0"}}, "api depends on postgres"),
    H.STORM: ({}, {"storm": Hold(reason=H.STORM, sentence="7 of 9 services are sick")}, "7 of 9"),
    H.MIN_HEALTHY: ({}, {"min_healthy_why": "1 of 3 members would stay healthy"}, "1 of 3"),
    H.ONLY_IF: ({"fit": Fit(Verdict.CLEAR, "status = 500")}, {}, "no step that is left is for this: the only_if"),
    H.RESOURCE_BUSY: ({}, {"watches": {"svc:api@n": watch(settled=True)}}, "verified after restart by rule other-rule"),
    H.SETTLING: ({}, {"watches": {"svc:api@n": watch(settled=False)}}, "under way"),
    H.COOLDOWN: ({}, {"attempts": [made(40, rule="other")]}, "has its cooldown"),
    H.LIMIT_RULE: ({}, {"attempts": [made(100), made(200, resource="else")]}, "used 2 of 2/1h"),
    H.LIMIT_RESOURCE: ({}, {"attempts": [made(n, rule="other") for n in (100, 200, 300)]}, "used 3 of 3/1h"),
    H.BUDGET: (
        {},
        {"attempts": [made(n, rule="x", resource="y") for n in range(100, 105)]},
        "heald has used 5 of 5/1h",
    ),
    H.CONFLICT: ({}, {"conflict_why": "/run/deploy.lock is there"}, "deploy.lock"),
    H.MODE: ({}, {"settings": replace(SETTINGS, mode=Mode.OBSERVE)}, "observe"),
    H.NOT_ALLOWED: ({}, {"settings": replace(SETTINGS, allow=frozenset())}, "settings.allow"),
    H.APPROVAL: ({"step": replace(STEP, approval=True)}, {}, "person"),
}


def test_every_guard_is_tried_here() -> None:
    assert set(ALONE) == {reason for reason, _ in GUARDS}


def test_the_order_is_the_one_of_the_page() -> None:
    page = (
        "shutting_down store_unavailable paused startup_grace clock_jumped stale_reading self_test maintenance "
        "silenced stopped_by_operator flapping worse upstream storm min_healthy only_if resource_busy settling "
        "cooldown limit_rule limit_resource budget conflict mode not_allowed approval"
    )
    assert [str(reason) for reason, _ in GUARDS] == page.split()


def test_nothing_holds_a_proposal_that_may_act() -> None:
    assert decide(PROPOSAL, FACTS) == (None, True)


@pytest.mark.parametrize("reason", ALONE, ids=str)
def test_each_guard_holds_alone_and_says_why(reason: H) -> None:
    of_proposal, of_facts, says = ALONE[reason]
    found = holds(replace(PROPOSAL, **of_proposal), replace(FACTS, **of_facts))
    assert [hold.reason for hold in found] == [reason]
    assert says in found[0].sentence
    assert "None" not in found[0].sentence


UNTIL: dict[H, float] = {
    H.STARTUP_GRACE: 1030.0,
    H.CLOCK_JUMPED: 1045.0,
    H.RESOURCE_BUSY: 1040.0,  # settled at 980, and a minute of verify
    H.COOLDOWN: 1020.0,
    H.LIMIT_RULE: 4400.0,  # the older of the two leaves the window of 1h
    H.LIMIT_RESOURCE: 4300.0,
    H.BUDGET: 4496.0,
}


@pytest.mark.parametrize("reason", ALONE, ids=str)
def test_each_guard_knows_until_when_it_holds_where_it_can(reason: H) -> None:
    of_proposal, of_facts, _ = ALONE[reason]
    (found,) = holds(replace(PROPOSAL, **of_proposal), replace(FACTS, **of_facts))
    assert found.until == UNTIL.get(reason)


@pytest.mark.parametrize("reason", UNTIL, ids=str)
def test_a_sentence_says_nothing_of_the_time_left_as_it_is_read_later_too(reason: H) -> None:
    of_proposal, of_facts, _ = ALONE[reason]
    said = [holds(replace(PROPOSAL, **of_proposal), replace(FACTS, **of_facts))[0].sentence]
    later = replace(NOW, boottime=NOW.boottime + 5.0, wall=NOW.wall + 5.0)
    said += [it.sentence for it in holds(replace(PROPOSAL, **of_proposal), replace(FACTS, **of_facts, now=later))]
    assert len(set(said)) == 1


def test_a_resource_settles_until_its_settle_ends() -> None:
    (hold,) = holds(PROPOSAL, replace(FACTS, watches={"svc:api@n": settling(watch(settled=False), 995.0)}))
    assert (hold.reason, hold.until) == (H.SETTLING, 1005.0)
    assert hold.sentence == "restart by rule other-rule was done, and settles, on svc:api@n"


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (H.STARTUP_GRACE, {"grace_until": 1000.5}),
        (H.CLOCK_JUMPED, {"jumped_until": 1000.5}),
        (H.COOLDOWN, {"attempts": [made(59.5)]}),
        (H.LIMIT_RULE, {"attempts": [made(3599.5), made(3000, resource="else")]}),
    ],
    ids=str,
)
def test_half_a_second_that_is_left_is_left(reason: H, changes: dict[str, Any]) -> None:
    (hold,) = holds(PROPOSAL, replace(FACTS, **changes))
    assert (hold.reason, hold.until) == (reason, 1000.5)


def test_a_time_that_is_over_holds_no_more() -> None:
    over = replace(FACTS, grace_until=1000.0, jumped_until=1000.0, attempts=[made(60)])  # 60s of cooldown
    assert holds(replace(PROPOSAL, run_ended=970.0), over) == []  # three intervals are not more than three


@pytest.mark.parametrize(("first", "second"), list(zip(list(ALONE)[:-1], list(ALONE)[1:], strict=True)), ids=str)
def test_of_two_guards_that_hold_the_earlier_is_the_decision(first: H, second: H) -> None:
    both: list[dict[str, Any]] = [{}, {}]
    for reason in (second, first):
        for kept, changes in zip(both, ALONE[reason][:2], strict=True):
            kept.update(changes)
    attempts = [*ALONE[first][1].get("attempts", []), *ALONE[second][1].get("attempts", [])]
    if attempts:
        both[1]["attempts"] = attempts
    if H.MODE in (first, second) and H.NOT_ALLOWED in (first, second):
        both[1]["settings"] = replace(SETTINGS, mode=Mode.OBSERVE, allow=frozenset())
    if {first, second} == {H.RESOURCE_BUSY, H.SETTLING}:
        return  # one resource is either before verify or in it: the two never hold together
    hold, goes_on = decide(replace(PROPOSAL, **both[0]), replace(FACTS, **both[1]))
    assert hold is not None
    assert hold.reason is first
    assert goes_on is (first is H.MODE and second is H.NOT_ALLOWED)  # on paper


@pytest.mark.parametrize("reason", [H.MODE, H.NOT_ALLOWED])
def test_held_only_by_mode_or_not_allowed_goes_on_as_a_would_be_attempt(reason: H) -> None:
    hold, goes_on = decide(replace(PROPOSAL, would=True), replace(FACTS, **ALONE[reason][1]))
    assert hold is not None
    assert (hold.reason, goes_on) == (reason, True)


@pytest.mark.parametrize("reason", [H.MODE, H.NOT_ALLOWED])
def test_approval_holds_a_would_be_attempt(reason: H) -> None:
    asking = replace(PROPOSAL, would=True, step=replace(STEP, asks=True))
    hold, goes_on = decide(asking, replace(FACTS, **ALONE[reason][1]))
    assert hold is not None
    assert (hold.reason, goes_on) == (reason, False)


def approval(**changes: Any) -> Approval:
    fields: dict[str, Any] = {
        "id": "approval-1", "rule": "api-down", "ladder": "svc:api@n", "incident": "INC-1", "remediation": "restart",
        "resource": "svc:api@n", "step": STEP.key, "plan": "restart it", "asked": ago(3600),
    }  # fmt: skip
    return Approval(**{**fields, **changes})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "who is asked as soon as nothing else holds it"),
        (approval(), "`heald approve approval-1`"),
        (approval(state=ApprovalState.APPROVED, asked=ago(5 * 3600)), "`heald approve approval-1`"),
        (approval(state=ApprovalState.APPROVED, asked=ago(4 * 3600)), "`heald approve approval-1`"),
        (approval(state=ApprovalState.APPROVED, asked=ago(4 * 3600 - 0.5)), None),
        (approval(state=ApprovalState.APPROVED), None),
    ],
)
def test_an_approval_lets_pass_while_it_is_fresh(given: Approval | None, says: str | None) -> None:
    found = holds(replace(PROPOSAL, step=replace(STEP, approval=True)), replace(FACTS, approval=given))
    assert [hold.reason for hold in found] == ([] if says is None else [H.APPROVAL])
    assert says is None or says in found[0].sentence


@pytest.mark.parametrize(("asked", "until"), [(ago(3600), NOW.boottime + 3 * 3600), (ago(5 * 3600), NOW.boottime)])
def test_a_question_is_open_until_it_expires(asked: Stamp, until: float) -> None:
    facts = replace(FACTS, approval=approval(asked=asked))
    (hold,) = holds(replace(PROPOSAL, step=replace(STEP, approval=True)), facts)
    assert hold.until == until


@pytest.mark.parametrize(
    ("approval", "asks", "needs"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False), (False, False, False)],
)
def test_the_operator_may_waive_by_name_what_a_remediation_asks(approval: bool | None, asks: bool, needs: bool) -> None:
    assert replace(STEP, approval=approval, asks=asks).needs_approval is needs


def test_what_changes_too_often_is_held() -> None:
    (hold,) = holds(PROPOSAL, replace(FACTS, flap_percent=41.4))
    assert hold.reason is H.FLAPPING
    assert "changed in 41% of its last 20 runs" in hold.sentence


def test_would_be_attempts_hold_only_would_be_attempts() -> None:
    facts = replace(FACTS, attempts=[made(10, would=True), made(20, would=True), made(30, would=True)])
    facts = replace(facts, would_watches={"svc:api@n": watch(settled=False, would=True)})
    assert decide(PROPOSAL, facts) == (None, True)
    assert {hold.reason for hold in holds(replace(PROPOSAL, would=True), facts)} >= {
        H.SETTLING,
        H.COOLDOWN,
        H.LIMIT_RULE,
    }


def test_a_would_be_attempt_whose_count_was_reset_holds_nothing() -> None:
    facts = replace(FACTS, attempts=[made(10, would=True, void=True)])
    assert holds(replace(PROPOSAL, would=True), facts) == []


def test_a_manager_that_is_acting_on_it_and_a_rule_about_to_act_make_it_busy() -> None:
    for facts in (replace(FACTS, manager_busy="BACKOFF"), replace(FACTS, reserved={"svc:api@n": "other"})):
        assert [hold.reason for hold in holds(PROPOSAL, facts)] == [H.RESOURCE_BUSY]


def test_a_run_that_began_before_the_last_jump_or_resume_decides_nothing() -> None:
    (hold,) = holds(PROPOSAL, replace(FACTS, readings_from=999.1))
    assert hold.reason is H.STALE_READING
    assert hold.sentence == "the deciding run began before the last clock jump or resume"
    assert holds(PROPOSAL, replace(FACTS, readings_from=999.0)) == []


def test_the_claim_asks_the_limits_and_the_cooldown_again() -> None:
    assert over_limit(PROPOSAL, FACTS) is None
    for reason in (H.COOLDOWN, H.LIMIT_RULE, H.LIMIT_RESOURCE, H.BUDGET):
        hold = over_limit(PROPOSAL, replace(FACTS, **ALONE[reason][1]))
        assert hold is not None
        assert hold.reason is reason


def test_a_limit_of_none_says_that_it_never_acts() -> None:
    never = replace(PROPOSAL, limit=(Limit(count=0, window=3600.0),))
    (hold,) = holds(never, FACTS)
    assert (hold.reason, hold.until) == (H.LIMIT_RESOURCE, None)
    assert hold.sentence == "svc:api@n has the limit 0/1h: it never acts"


def test_people_are_told_at_once_of_what_only_they_can_end() -> None:
    expected = {H.FLAPPING, H.WORSE, H.LIMIT_RULE, H.LIMIT_RESOURCE, H.BUDGET, H.NOT_ALLOWED, H.APPROVAL}
    assert expected == guards.HANDED_OVER_AT_ONCE
