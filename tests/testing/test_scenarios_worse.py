"""A ladder that does harm (docs/judgement.md, ladder 7): its sentence, and reloads; the rest is in engine/scenarios."""

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


API_DOWN = "api: [{from: 0s, samples: {up: 0}}]"
REDIS_DOWN = "redis: [{from: 0s, samples: {up: 0}}]"


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


NOT_STOPPED = "- {hold: worse, never: true}\n"


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
