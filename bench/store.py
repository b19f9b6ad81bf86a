"""What remembering costs: microseconds per row and per claim, on the disk under DIRECTORY.

python bench/store.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from daemon.clock import SystemClock
from daemon.model.incident import Incident, IncidentState
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Severity
from daemon.model.track import HistoryRow
from daemon.store.store import Store

ROWS = 20_000
CLAIMS = 300
CLOCK = SystemClock(host="bench")


def incident(number: int) -> Incident:
    return Incident(
        id=f"INC-{number:06d}",
        rule="api-down",
        check="api_health",
        subject="",
        service="api",
        severity=Severity.P1,
        state=IncidentState.FIRING,
        opened=CLOCK.stamp(),
        because="up is 0",
    )


def attempt(number: int) -> Attempt:
    now = CLOCK.stamp()
    return Attempt(
        id=f"{number:013d}-bench",
        rule="api-down",
        resource="supervisor:api",
        ladder="supervisor:api",
        remediation="restart",
        step="restart",
        try_number=1,
        incidents=("INC-000001",),
        claimed=now,
        timeout=120.0,
        settle=10.0,
        verify=60.0,
        cooldown=0.0,
        state=AttemptState.SUCCEEDED,
        ended=now,
        released=now,
    )


async def together(store: Store) -> int:
    await asyncio.gather(*(store.submit(incident(number)) for number in range(ROWS)))
    return ROWS


async def one_by_one(store: Store) -> int:
    for number in range(CLAIMS):
        await store.submit(incident(number))
    return CLAIMS


async def claims(store: Store, longest: float, first: int) -> int:
    for number in range(first, first + CLAIMS):
        await store.claim(attempt(number), [incident(1)], lambda _: None, longest=longest)
    return CLAIMS


async def history(store: Store) -> int:
    row = HistoryRow(check="api_health", subject="", at=CLOCK.stamp(), ok=True, samples={"up": 1.0, "latency": 0.25})
    for _ in range(ROWS // 50):
        store.append_history([row] * 50)
        if store.queued > 5000:
            await store.ping()
    await store.history({})
    return ROWS


async def main(directory: Path) -> None:
    print(f"{'':44}{'wall us':>10}{'cpu us':>10}")
    for title, threaded, work in (
        ("row, all submitted together", True, together),
        ("row, each waited for", True, one_by_one),
        ("claim, no older attempt counts", True, lambda store: claims(store, 0.0, 0)),
        (f"claim, {CLAIMS} to {2 * CLAIMS} older attempts count", True, lambda store: claims(store, 3600.0, CLAIMS)),
        ("row of history", True, history),
        ("row of history, without a thread", False, history),
    ):
        await measure(title, directory / ("a" if "claim" in title else title), threaded, work)


async def measure(title: str, directory: Path, threaded: bool, work: Callable[[Store], Awaitable[int]]) -> None:
    store = await Store.open(directory, CLOCK, threaded=threaded)
    if not store.is_writable:
        sys.exit(f"the store cannot be used: {store.why}")
    began, cpu = time.perf_counter(), time.process_time()
    count = await work(store)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{title:44}{wall / count * 1e6:>10.1f}{cpu / count * 1e6:>10.1f}")
    await store.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(main(Path(place)))
