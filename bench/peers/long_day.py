"""24 hours of 1 000 checks in virtual time, with the daemon's own code: how large the store and the process become.

    python -m bench.peers.long_day [CHECKS [HOURS]]

Prints JSON: runs, seconds of CPU, and for each hour the bytes of the state folder and of the process (RSS).
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.peers.report import Figure

CHECKS, HOURS = 1000, 24
GROWTH = 1.0  # MB that an allocator may hold back or give out; no growth is meant


def resident() -> int:
    """Bytes of this process."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def size_of(folder: Path) -> int:
    """Bytes of all that is in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def long_day(folder: Path) -> list[Figure]:
    """24 hours of 1 000 checks every 30 s in virtual time, in a process of its own."""
    command = [sys.executable, "-m", "bench.peers.long_day"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"the long day ended with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    sizes, held = found["stored"], found["resident"]
    print(f"  {found['runs']} runs, {found['cpu']:.0f} s of CPU, {found['cpu'] / found['runs'] * 1e6:.0f} µs a run")
    print(f"  stored, MB by hour: {[round(size / 1e6) for size in sizes]}")
    print(f"  memory, MB by hour: {[round(size / 1e6, 1) for size in held]}")
    return [
        Figure(name="24 h of 1 000 checks: store, at its largest", value=max(sizes) / 1e6, unit="MB", most=200.0),
        Figure(
            name="24 h of 1 000 checks: growth after the first hour",
            value=(max(held[1:]) - held[0]) / 1e6,
            unit="MB",
            most=GROWTH,
        ),
    ]


def main(checks: int, hours: int) -> None:
    """Live through it."""
    from daemon.testing.virtual import VirtualClock, run_virtual
    from tests.runtime.day import a_day

    stored: list[int] = []
    held: list[int] = []

    async def note(folder: Path) -> None:
        while True:
            await asyncio.sleep(3599.0)  # before the last second of the last hour
            stored.append(size_of(folder))
            held.append(resident())
            await asyncio.sleep(1.0)

    async def scenario(clock: VirtualClock) -> int:
        with tempfile.TemporaryDirectory() as name:
            noting = asyncio.create_task(note(Path(name)))
            words, _, store = await a_day(clock, Path(name), checks=checks, seconds=hours * 3600.0)
            noting.cancel()
            await store.close()
        return words.runs

    began = time.process_time()
    runs = run_virtual(scenario)
    print(json.dumps({"runs": runs, "cpu": time.process_time() - began, "stored": stored, "resident": held}))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(CHECKS, HOURS)[len(given) :])
