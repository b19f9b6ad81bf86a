"""Which step is taken (docs/rules.md; docs/judgement.md, ladder 8)."""

import re
from pathlib import Path

import pytest

from tests.testing.scene import SHOP as HEAD
from tests.testing.scene import holds, lines, run

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def example(number: int) -> str:
    """One of the page's examples, in act mode and without delay."""
    steps = PAGE.read_text().split("## Steps")[1].split("\n## ")[0]
    text = re.findall(r"```yaml\n(.*?)```", steps, re.DOTALL)[number]
    return HEAD.split("services:")[0] + text.replace("when:", "for: 0s\n    when:")


def test_a_step_that_was_passed_over_keeps_its_tries_until_the_ladder_has_passed_it(tmp_path: Path) -> None:
    rules = (
        example(1)
        .replace("tries: 2, cooldown: 1m..30m", "cooldown: 0s, settle: 0s, verify: 10s")
        .replace("steps:", "relapse: 10m\n    steps:")
    )
    readings = """readings:
  api: [{from: 0s, samples: {up: 1, status: 500}}, {from: 15s, samples: {up: 1, status: 503}}]
  redis: [{from: 0s, samples: {up: 1}}]
lasts: 5m
expect:
  - {count: 1, attempt: restart}
  - {at: end, incident: api-failing, handed_over: exhausted}
"""
    holds(run(tmp_path, readings, rules))  # a ladder is climbed, never descended


ONE_STEP = """rules:
  api-failing:
    check: api
    when: up == 0 or status >= 500
    for: 0s
    steps: [{restart: {}, only_if: status == 503}]
"""


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ("up: 1, status: 500", "no step that is left is for this: the only_if of restart does not hold: status = 500"),
        ("up: 0", "whether restart is for this cannot be told, since its only_if is unknown: status is missing"),
    ],
)
def test_where_no_step_is_for_it_or_nobody_can_tell_the_ladder_is_held(samples: str, says: str, tmp_path: Path) -> None:
    readings = f"readings: {{api: [{{from: 0s, samples: {{{samples}}}}}], redis: [{{from: 0s, samples: {{up: 1}}}}]}}\n"
    expected = """lasts: 15m
expect:
  - {count: 0, attempt: restart}
  - {at: 1m, hold: only_if, rule: api-failing}
  - {at: 1m, incident: api-failing, state: firing}
  - {at: end, incident: api-failing, handed_over: only_if}
"""
    result = run(tmp_path, readings + expected, HEAD + ONE_STEP)
    holds(result)
    assert any(says in line for line in lines(result)), lines(result)


def test_the_second_look_may_find_that_another_steps_turn_has_come(tmp_path: Path) -> None:
    rules = example(1).replace("status == 503}", "status == 503, settle: 0s}")
    looks = """readings:
  api: [{from: 0s, samples: {up: 1, status: 503}, look: {samples: {up: 1, status: 500}}}]
  redis: [{from: 0s, samples: {up: 1}}]
lasts: 15m
expect:
  - {count: 0, attempt: restart}
  - {at: 1m, hold: only_if, rule: api-failing}
  - {at: end, incident: api-failing, handed_over: only_if}
"""
    result = run(tmp_path, looks, rules)
    holds(result)
    says = "what heald found when it looked again is for step 2 (restart), not for step 1 (restart)"
    assert sum(says in line for line in lines(result)) == 1, lines(result)
