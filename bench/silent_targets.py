"""Whether silent targets cost the others their runs: 105 real TCP checks every second, 5 of them silent for 5 s each.

    python bench/silent_targets.py [SECONDS]

The silent targets are sockets that listen and never accept, with their queue full: the kernel drops what comes, as a
firewall would. Prints how many of the runs that were due each group got; the 100 healthy ones must keep 0.99 of them.
"""

import asyncio
import contextlib
import socket
import sys
import time
from collections import Counter
from types import SimpleNamespace

from checks import tcp
from daemon.clock import SystemClock
from daemon.metrics import LAG_BOUNDS, Distribution
from daemon.model.check import Check
from daemon.runtime.connections import Connections
from daemon.runtime.look import Looks
from daemon.runtime.scheduler import Scheduler
from daemon.runtime.toolbox import Toolbox

HEALTHY, SILENT, EVERY, TIMEOUT = 100, 5, 1.0, 5.0
NEEDED = 0.99  # of the runs that were due


def silent_socket(stack: contextlib.ExitStack) -> int:
    """The port of a socket on loopback that lets nobody in."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    port = listener.getsockname()[1]
    for _ in range(8):  # fill the queue: what is beyond gets no answer to its SYN
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    return port


def configured(name: str, port: int) -> Check:
    return Check(
        name=name,
        type="tcp",
        options=tcp.Options(host="127.0.0.1", port=port),
        every=EVERY,
        timeout=TIMEOUT,
        retry_every=EVERY / 3,
        vanish_after=300.0,
    )


async def measure(checks: dict[str, Check], seconds: float) -> tuple[Counter[str], Counter[str], Distribution]:
    """Runs by check, results by word, and the lag."""
    clock, looks = SystemClock(), Looks()
    samples = {spec.name: spec for spec in tcp.SAMPLES}
    check_type = SimpleNamespace(name="tcp", check=tcp.check, samples_of=lambda options: samples)
    toolbox = Toolbox(node="bench", clock=clock, timeout=TIMEOUT, connections=Connections(types={}, configured={}))
    runs: Counter[str] = Counter()
    words: Counter[str] = Counter()
    lag = Distribution(LAG_BOUNDS)

    async def start_run(check: Check) -> None:
        run = await looks.look(check, check_type, toolbox, clock)
        group = check.name.partition("_")[0]
        runs[check.name] += 1
        words[f"{group}: {run.error or run.readings[0].samples['error'] or 'up'}"] += 1

    scheduler = Scheduler(
        clock=clock,
        start_run=start_run,
        interval=lambda check: check.every,
        concurrency=512,
        on_lag=lag.observe,
        on_skip=lambda check, why: words.update({f"{check.name.partition('_')[0]}: skipped, {why}": 1}),
    )
    scheduler.replace(checks)
    standing = asyncio.create_task(scheduler.run())
    await asyncio.sleep(seconds + EVERY)  # the first runs are spread over one interval
    standing.cancel()
    await scheduler.drain(TIMEOUT + EVERY)
    return runs, words, lag


async def main(seconds: float) -> bool:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with contextlib.ExitStack() as stack:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            checks = {f"healthy_{n}": configured(f"healthy_{n}", port) for n in range(HEALTHY)}
            for n in range(SILENT):
                checks[f"silent_{n}"] = configured(f"silent_{n}", silent_socket(stack))
            used = time.process_time()
            runs, words, lag = await measure(checks, seconds)
            used = time.process_time() - used
    due = seconds / EVERY
    ratios = sorted(min(1.0, runs[name] / due) for name in checks if name.startswith("healthy"))
    silent = sum(min(1.0, runs[name] / due) for name in checks if name.startswith("silent")) / SILENT
    print(f"healthy: {sum(ratios) / HEALTHY:.4f} of the runs that were due, the worst check {ratios[0]:.4f}")
    print(f"silent: {silent:.4f}; {used / runs.total() * 1e6:.0f} µs of CPU a run, the servers' share included")
    print("lag:", ", ".join(f"≤ {bound} s: {count:.0f}" for bound, count in lag.buckets()))
    for word, count in sorted(words.items()):
        print(f"  {count:6} {word}")
    return ratios[0] >= NEEDED


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)) else 1)
