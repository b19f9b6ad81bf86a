"""What `heald test` costs: 1 000 scenarios of one file, from its text to the verdict of each.

Exits 1 if it took too long, or a scenario does not hold. Run it with `python bench/scenarios.py`;
`--profile` shows where the time goes, and spoils the figure.
"""

import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peers.report import Figure, closing
from daemon.testing.scenario.file import read_scenarios
from daemon.testing.scenario.many import run_all
from daemon.testing.scenario.model import Scenario

COUNT = 1000
MEANT = 10.0  # most seconds
HEAD = """version: 1
rules_text: |
  version: 1
  settings: {mode: act, allow: [restart], startup_grace: 0s}
  services:
    db: {run_by: {command: {start: ["true"], stop: ["true"]}}}
    api: {depends_on: [db], run_by: {command: {start: ["true"], stop: ["true"]}}}
  checks:
    db: {service: db, tcp: {host: db, port: 5432}}
    api: {service: api, tcp: {host: api, port: 80}, every: 15s}
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


def _parts(scenarios: Sequence[Scenario], *, alone: bool) -> Sequence[Sequence[Scenario]]:
    """All at once; or one by one, which are run in this process, where a profile sees them."""
    return [[scenario] for scenario in scenarios] if alone else [scenarios]


def main() -> int:
    """Print one line, and the target; 1 if that is missed or a scenario does not hold."""
    text = HEAD + "".join(SCENARIO.format(number=number, down=20 + number % 40) for number in range(COUNT))
    with_profile = "--profile" in sys.argv
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text(text)
        began = time.perf_counter()
        if with_profile:
            profile.enable()
        scenarios = read_scenarios(file)
        read = time.perf_counter() - began
        told = [it for part in _parts(scenarios, alone=with_profile) for it in run_all(part)]
        profile.disable()
    took = time.perf_counter() - began
    used = sum(it.seconds for it in told)
    lived = sum(it.lived for it in told)
    sys.stdout.write(
        f"{len(told)} scenarios: {took:.2f} s, {read:.2f} s of it to read them; "
        f"{lived / 3600:.0f} h were lived through, {used / len(told) * 1e3:.1f} ms of one processor a scenario\n"
    )
    if with_profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    broken = [it for it in told if not it.holds]
    for it in broken[:3]:
        sys.stdout.write(f"{it.name}: {it.why}\n")
    missed = closing(Figure(name=f"{COUNT} scenarios, by the clock", value=took, unit="s", most=MEANT))
    return 1 if broken else missed


if __name__ == "__main__":
    sys.exit(main())
