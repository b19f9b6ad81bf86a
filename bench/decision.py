"""What deciding about one breach costs: from the run to the claim, in milliseconds of CPU, with and without the store.

Of each of a hundred services a check fails, one after the other: the run is judged, an incident opens, every guard is
asked, the second look is taken and judged, every guard is asked again, and the attempt is claimed and written. What an
instant costs in which all is well is taken off. Exits 1 if a target is missed.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peers.report import Figure, closing
from daemon.config.load import load
from daemon.model.check import Reading
from daemon.testing.simulation import Effect, Simulation

SERVICES = 100
ALONE, WHOLE = 1.0, 5.0  # most milliseconds that are meant: without the store, with it
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SERVICE = '  s{0}: {{run_by: {{command: {{start: ["true"], stop: ["true"], status: ["true"]}}}}, limit: [50/1h]}}\n'
CHECK = "  c{0}: {{service: s{0}, tcp: {{host: localhost, port: 1}}, every: 1000s}}\n"
RULE = "  r{0}: {{check: c{0}, when: up == 0, for: 0s, limit: [50/1h], steps: [{{restart: {{}}, timeout: 1h}}]}}\n"
HEAD = "version: 1\nsettings: {mode: act, allow: [restart], startup_grace: 0s, budget: [1000/1h]}\n"


def rules() -> str:
    parts = {"services": SERVICE, "checks": CHECK, "rules": RULE}
    texts = [f"{name}:\n" + "".join(part.format(it) for it in range(SERVICES)) for name, part in parts.items()]
    return HEAD + "".join(texts)


class Stopwatch:
    """Seconds of CPU that calls took."""

    def __init__(self) -> None:
        self.spent = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: object, **named: object) -> object:
            began = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                self.spent += time.process_time() - began

        return timed


def measured(folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of CPU of each breach: of everything, and of the store's part of it."""
    down: set[str] = set()

    def see(check: str, _is_look: bool) -> Sequence[Reading]:
        return [Reading(samples={"up": 0.0 if check in down else 1.0})]

    file = folder / "rules.yaml"
    file.write_text(rules())
    effect = Effect(takes=100_000.0)  # what is decided counts here, not what comes of it
    world = Simulation(load(file, node="bench"), folder / "state", see=see, effect=lambda _: effect, start=START)
    store, watch = world.store, Stopwatch()
    store._worker.call = watch.around(store._worker.call)  # type: ignore[method-assign]  # to time it
    whole, of_store = [], []
    for number in range(SERVICES):
        world.at(2.0 * number + 1, lambda number=number: world.due(f"c{number}"))
        world.at(2.0 * number + 2, lambda number=number: (down.add(f"c{number}"), world.due(f"c{number}")))
        took = []
        for second in (1, 2):
            watch.spent, began = 0.0, time.process_time()
            world.run(2.0 * number + second)
            took.append((time.process_time() - began, watch.spent))
        (well, store_well), (sick, store_sick) = took
        whole.append(sick - well)
        of_store.append(store_sick - store_well)
    assert len(world.assembly.board.attempts) == SERVICES, "each breach leads to a claim"
    world.close()
    return whole, of_store


def main() -> int:
    """Print one line, and the targets."""
    with tempfile.TemporaryDirectory() as folder:
        whole, of_store = measured(Path(folder))
    alone = [all_ - store for all_, store in zip(whole, of_store, strict=True)]
    without, with_it = statistics.median(alone) * 1000, statistics.median(whole) * 1000
    print(
        f"one breach, from run to claim: {without:.2f} ms of CPU without the store, "
        f"{with_it:.2f} ms with it (medians of {SERVICES})"
    )
    return closing(
        Figure(name="one breach without the store, CPU", value=without, unit="ms", most=ALONE),
        Figure(name="one breach with the store, CPU", value=with_it, unit="ms", most=WHOLE),
    )


if __name__ == "__main__":
    sys.exit(main())
