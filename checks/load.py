"""The host's load: how many tasks run, wait for a CPU or wait for a disk, as averages over 1, 5 and 15 minutes.

It reads /proc/loadavg. `up` is always 1: a high load is for a rule to judge, such as `load5_percent > 80%`. We are
blind where /proc/loadavg cannot be read (a unit with ProcSubset=pid). No rights are needed.

The load counts threads of the whole host, and so it is set against all CPUs that are online there, whatever part of
them heald itself, or a container around it, may use. A task that waits for a disk counts like one that runs: where the
load is high and the CPUs are idle, the pressure that the check `memory` measures says which it is.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from daemon.plugin import CheckContext, CheckError, Dimension, OptionsModel, Reading, Sample, sample

EXAMPLE = """
checks:
  host_load: {load: {}}
rules:
  load-high: {check: host_load, when: "load5_percent > 80%", for: 10m, severity: P3}
"""
_MINUTES = (1, 5, 15)

SAMPLES = (
    sample("up", Dimension.NONE, "1: the load could be read."),
    *(sample(f"load{n}", Dimension.NONE, f"Average over {n} min of the tasks that run or wait.") for n in _MINUTES),
    *(sample(f"load{n}_per_cpu", Dimension.NONE, f"load{n} for each CPU; 1 is one task a CPU.") for n in _MINUTES),
    *(
        sample(
            f"load{n}_percent", Dimension.PERCENT, f"The same as a share: 100% is one task for each CPU, over {n} min."
        )
        for n in _MINUTES
    ),
    sample("cpus", Dimension.NONE, "CPUs of the host that are online."),
    sample("running", Dimension.NONE, "Threads that run or wait for a CPU at this moment, heald's own among them."),
    sample("threads", Dimension.NONE, "Threads of all processes."),
)


class Options(OptionsModel):
    """There is one load a host: nothing to choose."""


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Read the load.

    Raises:
        CheckError: it cannot be read.
    """
    return [Reading(samples=await asyncio.to_thread(_look, Path("/proc/loadavg")))]


def _look(file: Path) -> dict[str, Sample]:
    try:
        words = file.read_text(encoding="utf-8").split()  # proc(5): 0.20 0.18 0.12 1/80 11206
        loads = [float(word) for word in words[:3]]
        running, _, threads = words[3].partition("/")
        found: dict[str, Sample] = {"running": float(running), "threads": float(threads)}
        cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    except (OSError, ValueError, IndexError) as error:
        raise CheckError(f"cannot read the load from {file}: {error}") from error
    found |= {"up": 1.0, "cpus": float(cpus)}
    for minutes, load in zip(_MINUTES, loads, strict=True):
        found[f"load{minutes}"] = load
        found[f"load{minutes}_per_cpu"] = load / cpus
        found[f"load{minutes}_percent"] = 100.0 * load / cpus
    return found
