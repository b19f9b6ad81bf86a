"""24 hours of 50 checks in virtual time, with the daemon's own code: seconds of CPU, and microseconds a run.

Exits 1 if the day took longer than is meant.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peers.report import Figure, closing
from daemon.testing.virtual import VirtualClock, run_virtual
from tests.runtime.day import a_day

MEANT = 5.0  # most seconds


async def _scenario(clock: VirtualClock) -> int:
    with tempfile.TemporaryDirectory() as folder:
        words, _, store = await a_day(clock, Path(folder))
        await store.close()
    return words.runs


def main() -> int:
    """Print one line, and the target."""
    began, wall = time.process_time(), time.monotonic()
    runs = run_virtual(_scenario)
    cpu, took = time.process_time() - began, time.monotonic() - wall
    print(f"24 h of 50 checks: {took:.2f} s ({cpu:.2f} s of CPU), {runs} runs, {cpu / runs * 1e6:.1f} us a run")
    return closing(Figure(name="24 h of 50 checks, by the clock", value=took, unit="s", most=MEANT))


if __name__ == "__main__":
    sys.exit(main())
