"""What may be expected in a scenario, and what is said where it does not hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.discover import discover_types
from daemon.config.setup import Types
from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.report import failed
from daemon.testing.scenario.rulebook import Rulebook
from daemon.testing.scenario.run import run_scenario
from tests.testing.scene import RULES, SICK, holds, run

STORY = """readings:
  api: [{from: 1m, samples: {up: 0}}]
effects: [{remediation: restart, nth: 2, takes: 5s, then: {api: {up: 1}}}]
lasts: 10m
"""
# claimed at 1m, ineffective at 1m41s, claimed again then, clear at 1m56s
TRUE = [
    "at: 1m, attempt: restart",
    "between: [59s, 1m], attempt: restart, resource: 'command:api', rule: api-down",
    "between: [1m, 1m], attempt: restart, outcome: succeeded, verified: ineffective",
    "between: [61s, end], attempt: restart, verified: effective",
    "count: 2, attempt: restart",
    "between: [2m, end], attempt: restart, count: 0",
    "never: true, attempt: start",
    "never: true, attempt: restart, would: true",
    "at: 59s, incident: api-down, state: inactive",
    "at: 1m, incident: api-down, state: firing",
    "at: 1m, incident: api-down",
    "between: [1m, 2m], incident: api-down, state: resolved",
    "at: end, incident: api-down, state: resolved",
    "at: end, incident: api-down, state: inactive",
    "at: 1m, incident: api-down, check: api, state: firing",
    "never: true, incident: api-down, state: pending",
    "never: true, incident: api-down, handed_over: exhausted",
    "never: true, hold: cooldown",
    "between: [3m, 4m], never: true, incident: api-down",
    "opened: 1, incident: api-down",
    "between: [0s, 59s], opened: 0",
    "at: 1m, opened: 0, incident: disk-full",
    "at: 1m, incidents: 1",
    "at: 1m, incidents: 0, rule: disk-full",
    "at: end, incidents: 0",
    "incidents: 0",
]
FALSE = [
    ("at: 2m, attempt: restart", "expected at least one, and there were none then, only command:api@node at 1m"),
    ("attempt: restart, outcome: failed", "expected at least one, and there were none such as this, only command:api@"),
    ("count: 1, attempt: restart", "expected 1, and there were 2: command:api@node at 1m (succeeded and ineffective)"),
    ("never: true, attempt: restart, verified: effective", "expected none, and there were 1: command:api@node at 1m41"),
    ("attempt: restart, would: true", "expected at least one, and there were none"),
    ("attempt: start", "expected at least one, and there were none"),
    ("at: 1m, incident: api-down, state: pending", "it was not so: api was firing"),
    ("at: 1m, incident: api-down, state: inactive", "it was not so: api was firing"),
    ("at: 1m, incident: disk-full, state: firing", "it was not so: it was inactive all the time"),
    ("never: true, incident: api-down, state: firing", "expected never, and it was so"),
    ("at: 3m, incident: api-down", "it was not so: no incident was open"),
    ("at: 70s, hold: cooldown, rule: api-down", "it was not so: api-down was firing, held by nothing"),
    ("at: 70s, incident: api-down, handed_over: exhausted", "it was not so: api-down was firing, held by nothing"),
    ("opened: 2, incident: api-down", "expected 2 to be opened, and there were 1: at 1m"),
    ("at: 1m, incidents: 0", "expected 0 to be open, and there were 1: api-down on api (firing)"),
]


@pytest.mark.parametrize("expected", TRUE)
def test_it_holds(tmp_path: Path, expected: str) -> None:
    holds(run(tmp_path, STORY + f"expect: [{{{expected}}}]\n"))


@pytest.mark.parametrize(("expected", "said"), FALSE)
def test_it_does_not_hold_and_says_what_was(tmp_path: Path, expected: str, said: str) -> None:
    result = run(tmp_path, STORY + f"expect: [{{{expected}}}]\n")
    (failure,) = result.failures
    assert failure.why.startswith(said)


def test_a_hold_is_in_force_from_its_record_until_something_else_is(tmp_path: Path) -> None:
    rules = RULES.replace("cooldown: 0s", "cooldown: 1m")
    wanted = """expect:
  - {at: 1m30s, never: true, hold: cooldown}
  - {at: 1m45s, hold: cooldown, rule: api-down}
  - {at: 1m45s, hold: cooldown, check: api}
  - {at: 2m40s, incident: api-down, hold: cooldown, state: firing}
  - {at: 2m45s, never: true, hold: cooldown}
"""
    holds(run(tmp_path, STORY + wanted, rules))


def test_handed_over_is_why_people_were_told(tmp_path: Path) -> None:
    wanted = """expect:
  - {at: 1m, never: true, incident: api-down, handed_over: exhausted}
  - {at: 2m, incident: api-down, handed_over: exhausted}
  - {at: 2m, incident: api-down, handed_over: exhausted, state: firing}
  - {at: 2m, hold: exhausted}
"""
    holds(run(tmp_path, SICK + wanted))


def test_would_be_attempts_match_only_where_they_are_meant(tmp_path: Path) -> None:
    wanted = """expect:
  - {count: 2, attempt: restart, would: true}
  - {count: 0, attempt: restart}
  - {attempt: restart, would: true, verified: ineffective}
"""
    holds(run(tmp_path, "mode: observe\n" + SICK + wanted))


def test_the_newest_incident_of_a_subject_counts(tmp_path: Path) -> None:
    readings = (
        "readings: {api: [{from: 0s, samples: {up: 0}}, {from: 2m, samples: {up: 1}}, {from: 3m, samples: {up: 0}}]}\n"
    )
    wanted = """expect:
  - {opened: 2, incident: api-down}
  - {at: 2m30s, incident: api-down, state: resolved}
  - {at: 2m30s, incident: api-down, handed_over: exhausted}
  - {at: 3m10s, incident: api-down, state: firing}
"""
    holds(run(tmp_path, readings + wanted))


def test_vanished_and_withdrawn_are_states(tmp_path: Path) -> None:
    stages = "{from: 0s, subjects: {/x: {used_percent: 95%}}}, {from: 1m, subjects: {/y: {used_percent: 1%}}}"
    readings = f"readings: {{disk: [{stages}]}}\n"
    holds(run(tmp_path, readings + "expect: [{at: end, incident: disk-full, subject: /x, state: vanished}]\n"))


def test_a_failure_shows_the_timeline_around_it_with_a_mark(tmp_path: Path) -> None:
    result = run(tmp_path, STORY + "expect:\n  - {at: 1m50s, attempt: restart}  # a comment\n")
    shown = failed(result.failures[0], result)
    assert shown[0] == f"  {tmp_path}/it.yaml:10:9: {{at: 1m50s, attempt: restart}}"
    assert shown[2:] == [
        "              1m  api-down on api: inactive → firing: up = 0",
        "              1m  restart of command:api@node by api-down, try 1: succeeded after 1s",
        "           1m41s  restart of command:api@node by api-down was ineffective",
        "           1m41s  restart of command:api@node by api-down, try 2: succeeded after 5s",
        "    >             (nothing then)",
        *shown[7:],
    ]
    assert "was effective" in shown[-1]


def test_a_long_timeline_is_cut_in_the_middle(tmp_path: Path) -> None:
    flickering = ", ".join(f"{{from: {10 * n}s, samples: {{up: {n % 2}}}}}" for n in range(60))
    result = run(tmp_path, f"mode: observe\nreadings: {{api: [{flickering}]}}\nexpect: [{{attempt: start}}]\n")
    shown = failed(result.failures[0], result)
    assert len(shown) < 30
    assert any("more lines: --show has all" in line for line in shown)


# ---- the page's own example -----------------------------------------------------------------------------------------

PAGE = Path(__file__).with_name("page.yaml")
PAGE_RULES = """version: 1
settings: {mode: observe, allow: [restart, scale]}
services:
  api: {run_by: {compose: {project: ecap, service: api}}}
checks:
  api_health: {service: api, http: {url: "${env:API}/health", expect_status: [200]}, every: 11s}
  disk_space: {disk: {}, every: 11s}
rules:
  api-down:
    check: api_health
    when: up == 0 or avg(latency_seconds, 1m) > 5s
    for: 1m
    severity: P1
    limit: [1/1h]
    steps:
      - restart: {}
        tries: 3
        cooldown: 10s
        verify: 30s
  disk-full: {check: disk_space, when: used_percent > 90%}
"""


def types_with_scale() -> Types:
    types = discover_types()
    return replace(types, remediations={"scale": types.remediations["start"], **types.remediations})


def test_the_formats_own_example(tmp_path: Path) -> None:
    for name in ("rules.yaml", "rules2.yaml"):
        (tmp_path / name).write_text(PAGE_RULES)
    (tmp_path / "page.yaml").write_text(PAGE.read_text())
    (scenario,) = read_scenarios(tmp_path / "page.yaml", Rulebook(types=types_with_scale()))
    result = run_scenario(scenario)
    assert scenario.name == "two restarts, then people"
    assert [failure.expectation.text for failure in result.failures] == [
        "{count: 2, attempt: restart}",  # these rules allow one an hour
        "{at: end, incidents: 0}",  # and the disk stays full
    ]


def test_the_example_of_the_documentation_holds(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
    (tmp_path / "page.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    for scenario in read_scenarios(tmp_path / "page.yaml"):
        holds(run_scenario(scenario))


def test_an_incident_of_healds_own_may_be_expected_and_has_a_state(tmp_path: Path) -> None:
    scenario = """readings: {api: [{from: 0s, unknown: no route}, {from: 11m, samples: {up: 1}}]}
lasts: 30m
expect:
  - {at: 9m, incident: heald:blind, state: inactive}
  - {at: 10m, incident: heald:blind, check: api, state: firing, handed_over: blind_now}
  - {opened: 1, incident: heald:blind}
  - {at: end, incident: heald:blind, state: resolved}
"""
    holds(run(tmp_path, scenario))
