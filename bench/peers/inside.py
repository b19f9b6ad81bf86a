"""Runs `heald` and notes from inside what cannot be seen from outside; the daemon's own code is not changed.

    python -m bench.peers.inside run --config FILE ...

At its end it writes to the file that `$BENCH_INSIDE` names, as JSON:
`ticks`: of a timer every 5 ms, the moment (CLOCK_MONOTONIC), how late the loop called it, and how much CPU the whole
process had meanwhile, in seconds. A loop that its own process holds up is late and has had CPU; one that is late
and has had little was not let on a core.
`claims`: by rule, seconds from the end of the first run that breached to the commit of the claim, and how much CPU the
whole process had meanwhile.
With `$BENCH_PROFILE`, from SIGUSR1 on, also what cProfile sees of the loop's thread, to that file.
"""

import asyncio
import atexit
import cProfile
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

TICK = 0.005  # seconds


class Inside:
    """What is noted."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float, float]] = []
        self.claims: dict[str, tuple[float, float]] = {}
        self._breached: dict[str, tuple[float, float]] = {}  # by check: boottime, CPU of the process; seconds
        self._profile = cProfile.Profile(time.thread_time)  # on the wall it would count what others did

    async def tick(self) -> None:
        """For ever: note how late the loop is."""
        while True:
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(TICK)
            now = time.monotonic()
            self.ticks.append((round(now, 4), round(now - began - TICK, 5), round(time.process_time() - used, 5)))

    def write(self) -> None:
        Path(os.environ["BENCH_INSIDE"]).write_text(json.dumps({"ticks": self.ticks, "claims": self.claims}))
        if "BENCH_PROFILE" in os.environ:
            self._profile.disable()
            self._profile.dump_stats(os.environ["BENCH_PROFILE"])

    def hook(self) -> None:
        """Put the notes around the daemon's own calls."""
        from daemon import app
        from daemon.runtime.pipeline import Pipeline
        from daemon.store.store import Store

        serve, take, claim = app._serve, Pipeline.take, Store.claim

        async def served(*arguments: Any, **named: Any) -> int:
            ticking = asyncio.create_task(self.tick())
            if "BENCH_PROFILE" in os.environ:
                asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._profile.enable)
            try:
                return await serve(*arguments, **named)
            finally:
                ticking.cancel()

        def taken(pipeline: Pipeline, run: Any) -> None:
            if not run.is_look and any(reading.samples.get("up") == 0 for reading in run.readings):
                self._breached.setdefault(run.check, (run.ended, time.process_time()))
            take(pipeline, run)

        async def claimed(store: Store, attempt: Any, *arguments: Any, **named: Any) -> Any:
            hold = await claim(store, attempt, *arguments, **named)
            began = self._breached.get(attempt.rule)
            if hold is None and began is not None:
                took = time.clock_gettime(time.CLOCK_BOOTTIME) - began[0]
                self.claims.setdefault(attempt.rule, (took, time.process_time() - began[1]))
            return hold

        app._serve = served
        Pipeline.take = taken  # type: ignore[method-assign, assignment]  # the same, and noted
        Store.claim = claimed  # type: ignore[method-assign,assignment]  # the same, and noted


if __name__ == "__main__":
    from daemon.cli import main

    inside = Inside()
    if sys.argv[1] == "run":
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        inside.hook()
        atexit.register(inside.write)
    main(prog_name="heald")
