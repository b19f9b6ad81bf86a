"""Scenarios as a test writes them: rules and what happens, as text."""

from pathlib import Path
from textwrap import indent

from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.run import Result, run_scenario

RULES = """version: 1
settings: {mode: act, allow: [restart, start], startup_grace: 0s, budget: [100/1h]}
services:
  db: {run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}, limit: [50/1h]}
  api: {depends_on: [db], run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}, limit: [50/1h]}
checks:
  db: {service: db, tcp: {host: localhost, port: 1}, every: 10s}
  api: {service: api, tcp: {host: localhost, port: 2}, every: 10s, timeout: 10s}
  disk: {disk: {}, every: 10s}
rules:
  api-down:
    check: api
    when: up == 0
    for: 0s
    severity: P1
    limit: [50/1h]
    steps:
      - restart: {}
        tries: 2
        cooldown: 0s
        settle: 10s
        verify: 30s
  disk-full: {check: disk, when: used_percent > 90%, for: 0s}
"""
SHOP = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s, budget: [100/1h]}
services:
  redis: {run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}}
  api: {depends_on: [redis], run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}}
checks:
  api: {service: api, http: {url: "http://localhost/"}, every: 10s}
  redis: {service: redis, tcp: {host: localhost, port: 1}, every: 10s}
"""
"""A cache, and an api that depends on it; rules follow."""
SICK = """readings:
  api: [{from: 0s, samples: {up: 0}}]
"""


def write(folder: Path, scenario: str, rules: str = RULES) -> Path:
    """A file with one scenario, `it`, beside its rules."""
    (folder / "rules.yaml").write_text(rules)
    file = folder / "it.yaml"
    file.write_text(f"version: 1\nrules: rules.yaml\nscenarios:\n  it:\n{indent(scenario, '    ')}")
    return file


def run(folder: Path, scenario: str, rules: str = RULES) -> Result:
    """What comes of one scenario."""
    (found,) = read_scenarios(write(folder, scenario, rules))
    return run_scenario(found)


def lines(result: Result) -> list[str]:
    """The timeline, a line each, without the blanks before."""
    return [str(line).strip() for line in result.timeline.lines()]


def holds(result: Result) -> None:
    """Fail with what does not hold and the timeline."""
    assert result.holds, "\n".join([*(it.why for it in result.failures), *lines(result)])
