"""Which step is taken, and what stops a ladder that does harm (docs/rules.md; docs/judgement.md, ladder 7 and 8)."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from tests.testing.scene import holds, lines, run

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
HEAD = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s, budget: [100/1h]}
services:
  redis: {run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}}
  api: {depends_on: [redis], run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}}
checks:
  api: {service: api, http: {url: "http://localhost/"}, every: 10s}
  redis: {service: redis, tcp: {host: localhost, port: 1}, every: 10s}
"""


def example(number: int) -> str:
    """One of the page's examples, in act mode and without delay."""
    steps = PAGE.read_text().split("## Steps")[1].split("\n## ")[0]
    text = re.findall(r"```yaml\n(.*?)```", steps, re.DOTALL)[number]
    return HEAD.split("services:")[0] + text.replace("when:", "for: 0s\n    when:")


def test_the_runbooks_procedure_restarts_waits_and_calls_people(tmp_path: Path) -> None:
    sick = "readings: {api: [{from: 0s, samples: {up: 0}}]}\nlasts: 10m\n"
    expected = """expect:
  - {count: 1, attempt: restart, resource: "systemd:api.service"}
  - {at: 29s, incident: api-down, state: firing}
  - {at: 1m20s, incident: api-down, handed_over: exhausted}
"""
    holds(run(tmp_path, sick + expected, example(0)))


STATUS = (
    "readings: {{api: [{{from: 0s, samples: {{up: 1, {sample}}}}}], redis: [{{from: 0s, samples: {{up: 1}}}}]}}\n"
    "lasts: 3m\n"
)


@pytest.mark.parametrize(
    ("status", "first"),
    [("status: 503", "systemd:redis.service"), ("status: 500", "systemd:api.service")],
)
def test_the_step_is_taken_that_is_for_what_is_wrong(status: str, first: str, tmp_path: Path) -> None:
    result = run(tmp_path, STATUS.format(sample=status), example(1))
    assert next(line for line in lines(result) if "restart of" in line).startswith(f"0s  restart of {first}@node")


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
lasts: 1m
expect: [{count: 0, attempt: restart}]
"""
    holds(run(tmp_path, looks, rules))


# ---- harm -----------------------------------------------------------------------------------------------------------

HARM = """rules:
  redis-down:
    check: redis
    when: up == 0
    for: 0s
    steps: [{restart: {}, tries: 5, cooldown: 0s, settle: 10s, verify: 40s}]
"""
EFFECT = "effects: [{remediation: restart, takes: 5s, then: {%s}}]\n"


def scene(before: str, then: str, expected: str) -> str:
    return f"readings: {{{before}}}\n{EFFECT % then}lasts: 4m\nexpect:\n{indent(expected, '  ')}"


API_WELL, API_DOWN = "api: [{from: 0s, samples: {up: 1}}]", "api: [{from: 0s, samples: {up: 0}}]"
REDIS_DOWN = "redis: [{from: 0s, samples: {up: 0}}]"


def test_a_dependant_that_became_sick_stops_the_ladder_at_once(tmp_path: Path) -> None:
    expected = """- {count: 1, attempt: restart}
- {between: [15s, 30s], hold: worse, rule: redis-down}
- {at: 30s, incident: redis-down, handed_over: worse}
"""
    text = scene(f"{API_WELL}, {REDIS_DOWN}", "api: {up: 0}, redis: {up: 0}", expected)
    result = run(tmp_path, text, HEAD + HARM)
    holds(result)
    says = "command:redis@node something became worse: api, which depends on it, is sick since: api has up 0"
    assert any(says in line for line in lines(result)), lines(result)


def test_a_dependant_that_was_sick_before_stops_nothing(tmp_path: Path) -> None:
    expected = "- {count: 3, attempt: restart}\n- {at: 30s, incident: redis-down, state: firing}\n"
    before, then = f"{API_DOWN}, {REDIS_DOWN}", "api: {up: 0}, redis: {up: 0}"
    holds(run(tmp_path, scene(before, then, expected), HEAD + HARM))


def test_a_dependant_that_stumbles_within_settle_stops_nothing(tmp_path: Path) -> None:
    api = "api: [{from: 0s, samples: {up: 1}}, {from: 1s, samples: {up: 0}}, {from: 14s, samples: {up: 1}}]"
    expected = "- {count: 3, attempt: restart}\n"
    result = run(
        tmp_path,
        scene(f"{api}, {REDIS_DOWN}", "redis: {up: 0}", expected),
        HEAD + HARM,
    )
    holds(result)
    assert not any("worse" in line for line in lines(result))


def test_what_was_healed_and_did_harm_is_held_when_it_comes_back(tmp_path: Path) -> None:
    redis = "redis: [{from: 0s, samples: {up: 0}}, {from: 1m, samples: {up: 0}}]"
    api = "api: [{from: 0s, samples: {up: 1}}, {from: 40s, samples: {up: 0}}]"
    expected = """- {count: 1, attempt: restart}
- {at: 30s, incidents: 0}
- {at: 1m10s, hold: worse, rule: redis-down}
- {at: 1m10s, incident: redis-down, handed_over: worse}
"""
    holds(run(tmp_path, scene(f"{api}, {redis}", "redis: {up: 1}", expected), HEAD + HARM))


def test_a_crash_in_between_forgets_neither_what_was_well_nor_what_became_worse(tmp_path: Path) -> None:
    expected = """- {count: 1, attempt: restart}
- {at: 1m, hold: worse, rule: redis-down}
- {at: 3m, hold: worse, rule: redis-down}
"""
    text = scene(f"{API_WELL}, {REDIS_DOWN}", "api: {up: 0}, redis: {up: 0}", expected)
    holds(run(tmp_path, f"events: [{{at: 16s, do: crash}}, {{at: 2m, do: crash}}]\n{text}", HEAD + HARM))


SUBJECTS = """rules:
  disk-full:
    check: disk
    when: used_percent > 90%
    for: 0s
    limit: [50/1h]
    steps: [{run: {argv: [clean-up]}, tries: 5, cooldown: 0s, settle: 10s, verify: 30s}]
"""


def test_another_subject_that_became_worse_stops_the_ladder_at_once(tmp_path: Path) -> None:
    rules = HEAD.replace("allow: [restart]", "allow: [run]") + "  disk: {disk: {}, every: 10s}\n" + SUBJECTS
    text = """readings:
  api: [{from: 0s, samples: {up: 1}}]
  redis: [{from: 0s, samples: {up: 1}}]
  disk:
    - {from: 0s, subjects: {/: {used_percent: 95%}, /var: {used_percent: 40%}}}
    - {from: 12s, subjects: {/: {used_percent: 95%}, /var: {used_percent: 99%}}}
lasts: 4m
expect:
  - {count: 1, attempt: run}
  - {at: 1m, hold: worse, rule: disk-full}
"""
    result = run(tmp_path, text, rules)
    holds(result)
    assert any(
        "something became worse: /var of disk, which was well, is breached since" in line for line in lines(result)
    )
