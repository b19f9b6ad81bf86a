"""What judging a condition costs: nanoseconds per verdict, the best of several rounds.

Run it with `python bench/condition.py`. The first line is the one with a target; exits 1 if it is missed.
"""

import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peers.report import Figure, closing
from daemon.engine.condition import Scope, View, compile_condition
from daemon.engine.observations import Observations
from daemon.model.check import Dimension, Reading, Run, SampleSpec

CONDITIONS = (
    "up == 0 or latency_seconds > 5s",
    "up == 0",
    "not (status in [500, 502, 503]) and latency_seconds / 2 <= 5s",
    "avg(latency_seconds, 5m) > 5s",
    "avg(latency_seconds, 6h) > 5s",
    "trend(latency_seconds, 6h) > 1s/h",
    "count_of(up == 0, 3, 5)",
)
SAMPLES = {
    "up": SampleSpec(name="up", dimension=Dimension.NONE, meaning="1 or 0"),
    "latency_seconds": SampleSpec(name="latency_seconds", dimension=Dimension.SECONDS, meaning="time to answer"),
    "status": SampleSpec(name="status", dimension=Dimension.NONE, meaning="status code"),
}
READING = {"up": 1.0, "latency_seconds": 0.2, "status": 200}
ROUNDS, REPEATS = 7, 20_000
MEANT = 1000.0  # most nanoseconds of the first


def measure(text: str) -> float:
    condition = compile_condition(text, Scope(check="api", type="http", samples=SAMPLES))
    observations = Observations()
    keep = {sample: seconds for (_, sample), seconds in condition.windows.items()}
    observations.declare("api", 10.0, keep, frozenset())
    for second in range(0, 6 * 3600, 10):
        observations.record(
            Run(check="api", began=float(second), ended=float(second), readings=(Reading(samples=READING),))
        )
    view = View("api", "", READING, None, 6 * 3600.0 - 10, observations)
    view.memory = condition.record(view, ())
    repeats = REPEATS if "6h" not in text else REPEATS // 100
    return min(timeit.repeat(lambda: condition.judge(view), number=repeats, repeat=ROUNDS)) / repeats * 1e9


def main() -> int:
    measured = {}
    for text in CONDITIONS:
        measured[text] = measure(text)
        sys.stdout.write(f"{measured[text]:>10.0f} ns  {text}\n")
    run = Run(check="api", began=0.0, ended=1.0, readings=(Reading(samples=READING),))
    observations = Observations()
    observations.declare("api", 10.0, {"latency_seconds": 300.0}, frozenset())
    cost = min(timeit.repeat(lambda: observations.record(run), number=REPEATS, repeat=ROUNDS)) / REPEATS * 1e9
    sys.stdout.write(f"{cost:>10.0f} ns  recording one run of one subject with one window\n")
    first = CONDITIONS[0]
    return closing(Figure(name=first, value=measured[first], unit="ns", most=MEANT))


if __name__ == "__main__":
    sys.exit(main())
