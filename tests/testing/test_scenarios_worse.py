"""What stops a ladder that does harm, and what does not (docs/judgement.md, ladder 7)."""

from pathlib import Path
from textwrap import indent

import pytest

from tests.testing.scene import SHOP as HEAD
from tests.testing.scene import holds, lines, run

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


# ---- what is not the attempt's doing, and what is -------------------------------------------------------------------

WEB = """  web: {depends_on: [api], run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}}
checks:
  web: {service: web, http: {url: "http://localhost/web"}, every: 10s}
"""
NOT_STOPPED = "- {hold: worse, never: true}\n"


def test_each_attempt_is_looked_after_whatever_is_tried_next(tmp_path: Path) -> None:
    failing = HARM.replace("tries: 5", "tries: 9")
    text = f"""readings: {{{API_WELL}, {REDIS_DOWN}}}
effects: [{{remediation: restart, nth: 1, takes: 1s, outcome: failed, then: {{api: {{up: 0}}, redis: {{up: 0}}}}}}]
lasts: 3m
expect:
  - {{count: 2, attempt: restart}}
  - {{at: 20s, hold: worse, rule: redis-down}}
"""
    holds(run(tmp_path, text, HEAD + failing))  # the second try was claimed when the api was down already


@pytest.mark.parametrize("before", ["unknown: no route", "samples: {up: 0}"])
def test_of_a_dependant_that_nobody_could_see_at_the_claim_nobody_says_that_it_became_worse(
    before: str, tmp_path: Path
) -> None:
    api = f"api: [{{from: 0s, {before}}}, {{from: 20s, samples: {{up: 0}}}}]"
    holds(run(tmp_path, scene(f"{api}, {REDIS_DOWN}", "redis: {up: 0}", NOT_STOPPED), HEAD + HARM))


NEW_CHECK = '  api_too: {service: api, http: {url: "http://localhost/too"}, every: 10s}\n'
"""The last line of `checks`."""


@pytest.mark.parametrize("is_new_check", [True, False], ids=["another check", "another dependant"])
def test_what_a_reload_has_looked_at_first_was_not_seen_to_be_well(is_new_check: bool, tmp_path: Path) -> None:
    after = HEAD + (NEW_CHECK if is_new_check else "") + HARM
    before = after.replace("  api_too: {service: api,", "  api_too: {").replace("depends_on: [redis], ", "")
    (tmp_path / "after.yaml").write_text(after)
    sick = "api_too: [{from: 0s, samples: {up: 0}}]" if is_new_check else API_DOWN
    text = scene(f"{sick}, {REDIS_DOWN}", "redis: {up: 0}", NOT_STOPPED)
    reload = "events: [{at: 5s, do: reload, rules: after.yaml}]\n"
    holds(run(tmp_path, reload + text, before))


def test_a_dependant_that_planned_work_covers_says_nothing_of_an_attempt(tmp_path: Path) -> None:
    api = "api: [{from: 0s, samples: {up: 1}}, {from: 15s, samples: {up: 0}}]"
    text = scene(f"{api}, {REDIS_DOWN}", "redis: {up: 0}", NOT_STOPPED)
    work = "events: [{at: 5s, do: maintenance, for: 30s, service: api, why: a deployment}]\n"
    holds(run(tmp_path, work + text.replace("4m", "45s"), HEAD + HARM))  # nor where it ends within the attempt's verify
    holds(run(tmp_path, work.replace("30s", "10m") + text, HEAD + HARM))


def test_what_a_dependants_windows_saw_before_the_settles_end_says_nothing(tmp_path: Path) -> None:
    slow = '  api-slow: {check: api, when: "max(latency_seconds, 1m) > 5s", for: 20s, severity: P1}\n'
    api = """api: [{from: 0s, samples: {up: 1, latency_seconds: 0.1s}},
  {from: 10s, samples: {up: 1, latency_seconds: 9s}}, {from: 15s, samples: {up: 1, latency_seconds: %s}}]"""
    text = scene(f"{api % '0.1s'}, {REDIS_DOWN}", "redis: {up: 0}", NOT_STOPPED)
    holds(run(tmp_path, text, HEAD + HARM + slow))
    text = scene(f"{api % '9s'}, {REDIS_DOWN}", "redis: {up: 0}", "- {at: 20s, hold: worse, rule: redis-down}\n")
    holds(run(tmp_path, text, HEAD + HARM + slow))


TWO_LADDERS = """rules:
  redis-slow:
    check: redis
    when: latency_seconds > 5s
    for: 0s
    steps: [{restart: {}, settle: 10s, verify: 90s}]
  api-failing: {check: api, when: status >= 500, for: 0s, severity: P2, steps: [{restart: {}, settle: 20s}]}
"""


@pytest.mark.parametrize(
    ("down", "well", "worse"),
    [("45s", "55s", set()), ("45s", "85s", {"api-failing"}), ("65s", "85s", {"api-failing", "redis-slow"})],
)
def test_what_another_ladder_does_is_not_laid_at_this_ones_door(
    down: str, well: str, worse: set[str], tmp_path: Path
) -> None:
    """The api, between the two, is restarted at 40 s and settles until 61 s."""
    readings = f"""readings:
  redis: [{{from: 0s, samples: {{up: 1, latency_seconds: 9s}}}}]
  api: [{{from: 0s, samples: {{up: 1, status: 200}}}}, {{from: 35s, samples: {{up: 1, status: 500}}}},
    {{from: 75s, samples: {{up: 1, status: 200}}}}]
  web: [{{from: 0s, samples: {{up: 1}}}}, {{from: {down}, samples: {{up: 0}}}}, {{from: {well}, samples: {{up: 1}}}}]
lasts: 2m
"""
    rules = HEAD.replace("checks:\n", WEB) + TWO_LADDERS
    result = run(tmp_path, readings + "expect: [{count: 2, attempt: restart}]\n", rules)
    holds(result)
    stopped = {line.split("  ")[1].split(":")[0] for line in lines(result) if "became worse" in line}
    assert stopped == worse, lines(result)
