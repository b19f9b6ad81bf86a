"""What `heald test` costs: 1 000 scenarios of one file, from its text to the verdict of each. At most 10 s are meant.

Run it with `python bench/scenarios.py`; `--profile` shows where the time goes.
"""

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.run import run_scenario

COUNT = 1000
HEAD = """version: 1
rules_text: |
  version: 1
  settings: {mode: act, allow: [restart], startup_grace: 0s}
  services:
    db: {run_by: {command: {start: ["true"], stop: ["true"]}}}
    api: {depends_on: [db], run_by: {command: {start: ["true"], stop: ["true"]}}}
  checks:
    db: {service: db, tcp: {host: db, port: 5432}, every: 10s}
    api: {service: api, tcp: {host: api, port: 80}, every: 10s}
  rules:
    db-down: {check: db, when: up == 0, severity: P1, steps: [{restart: {}}]}
    api-down:
      {check: api, when: "up == 0 or avg(latency_seconds, 1m) > 5s", severity: P1, steps: [{restart: {}, tries: 2}]}
scenarios:
"""
SCENARIO = """  scenario {number}:
    readings:
      api:
        - {{from: 0s, samples: {{up: 1, latency_seconds: 0.1s}}}}
        - {{from: {down}s, samples: {{up: 0}}}}
    effects:
      - {{remediation: restart, resource: "command:api", nth: 1, takes: 5s}}
      - {{remediation: restart, resource: "command:api", nth: 2, then: {{api: {{up: 1, latency_seconds: 0.1s}}}}}}
    events:
      - {{at: 100s, do: crash}}
    expect:
      - {{count: 2, attempt: restart}}
      - {{between: [30s, 2m], attempt: restart, outcome: succeeded, verified: ineffective}}
      - {{at: 2m, incident: api-down, state: firing}}
      - {{opened: 1, incident: api-down}}
      - {{at: end, incidents: 0}}
"""


def main() -> None:
    """Print one line; exit 1 if a scenario does not hold."""
    text = HEAD + "".join(SCENARIO.format(number=number, down=20 + number % 40) for number in range(COUNT))
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text(text)
        began, cpu = time.perf_counter(), time.process_time()
        if "--profile" in sys.argv:
            profile.enable()
        scenarios = read_scenarios(file)
        read = time.perf_counter() - began
        results = [run_scenario(scenario) for scenario in scenarios]
        profile.disable()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    lived = sum(scenario.lasts for scenario in scenarios)
    sys.stdout.write(
        f"{len(results)} scenarios: {took:.2f} s ({used:.2f} s of CPU), {read:.2f} s of it to read them; "
        f"{lived / 3600:.0f} h were lived through, {used / len(results) * 1e3:.1f} ms a scenario\n"
    )
    if "--profile" in sys.argv:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    broken = [result for result in results if not result.holds]
    for result in broken[:3]:
        sys.stdout.write(f"{result.scenario.name}: {[it.why for it in result.failures]}\n")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
