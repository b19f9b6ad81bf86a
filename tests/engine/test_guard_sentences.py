"""What guards say to the letter, where it is no other's words: people read it at three in the morning."""

from dataclasses import replace
from typing import Any

import pytest
from test_guards import ALONE, FACTS, PROPOSAL, SETTINGS, STEP, made

from daemon.engine.facts import Fit
from daemon.engine.guards import holds
from daemon.model.incident import HoldReason as H
from daemon.model.rule import Verdict
from daemon.model.settings import Mode

ASKED = replace(STEP, approval=True)
OBSERVES = {"settings": replace(SETTINGS, mode=Mode.OBSERVE)}
NEEDS = "restart of svc:api@n needs a person to agree, who "


def said(of_proposal: dict[str, Any], of_facts: dict[str, Any]) -> str:
    """Of the first that holds."""
    return holds(replace(PROPOSAL, **of_proposal), replace(FACTS, **of_facts))[0].sentence


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (H.SHUTTING_DOWN, "heald is stopping"),
        (
            H.STARTUP_GRACE,
            "heald or its host started too recently (over sooner once every check that a rule uses was clear)",
        ),
        (H.CLOCK_JUMPED, "the wall clock jumped, and has to go on steadily for a minute"),
        (
            H.FLAPPING,
            "three second looks in a row found it clear; held until it stays closed for 10m, or `heald retry INC-1`",
        ),
        (H.ONLY_IF, "no step that is left is for this: the only_if of restart does not hold: status = 500"),
        (H.SETTLING, "restart by rule other-rule is under way on svc:api@n"),
        (H.MODE, "observe mode: heald decides everything and does nothing"),
        (H.APPROVAL, NEEDS + "is asked as soon as nothing else holds it"),
    ],
)
def test_a_guard_says(reason: H, sentence: str) -> None:
    of_proposal, of_facts, _ = ALONE[reason]
    assert said(of_proposal, of_facts) == sentence


def test_what_is_told_before_an_incident_is_open() -> None:
    flaps = {"ladder": replace(PROPOSAL.ladder, flapping=True), "incident": ""}
    assert said(flaps, {}) == "three second looks in a row found it clear; held until it stays closed for 10m"
    assert said({"step": ASKED, "incident": ""}, {}) == NEEDS + "is asked once it fires"


def test_what_is_told_of_a_person_whom_nobody_asks_yet() -> None:
    assert said({"step": ASKED}, OBSERVES) == (
        "observe mode: heald decides everything and does nothing; in act mode a person would be asked first"
    )
    assert said({"step": ASKED, "would": True}, {}) == NEEDS + "would be asked if heald could act on this"


def test_what_is_told_of_a_step_that_may_be_for_this() -> None:
    sentence = "whether restart is for this cannot be told, since its only_if is unknown: status is missing"
    assert said({"fit": Fit(Verdict.UNKNOWN, "status is missing")}, {}) == sentence


def test_attempts_that_were_never_made_use_up_no_limit() -> None:
    void = [made(n, void=True) for n in (100, 200, 300, 400, 500)]
    assert holds(PROPOSAL, replace(FACTS, attempts=void)) == []
    assert holds(replace(PROPOSAL, would=True), replace(FACTS, attempts=void)) == []
