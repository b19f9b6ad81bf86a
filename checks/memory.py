"""The host's memory: what is available, what is swapped out, and how long tasks had to wait (PSI).

It reads /proc/meminfo and, where the kernel has it (4.20, unless it was started with psi=0), /proc/pressure. `up` is
always 1: scarce memory is for a rule to judge, such as `available_percent < 10%` or `pressure_memory_full_avg60 > 10%`.
We are blind where /proc/meminfo cannot be read (a unit with ProcSubset=pid). No rights are needed.

It is the host's memory, not the limit of a control group: a container that is out of its own memory is not seen here,
and heald in a container sees the host's. `available_bytes` is what programs can still get without swapping, caches
that can be dropped included; free memory says little and is not offered.

Pressure is the share of the time in which tasks waited: `some`, at least one did; `full`, all that were not idle did,
so no work was done at all. `cpu` has no `full` on a host. Without PSI these samples are missing.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.plugin import CheckContext, CheckError, Dimension, OptionsModel, Reading, Sample, sample

EXAMPLE = """
checks:
  host_memory: {memory: {}}
rules:
  memory-low: {check: host_memory, when: "available_percent < 10%", for: 5m, severity: P2}
  memory-stalls: {check: host_memory, when: "pressure_memory_full_avg60 > 10%", for: 5m, severity: P1}
"""
_PROC = Path("/proc")
_MEANINGS = {"some": "at least one task waited", "full": "all tasks that had work waited"}
_PRESSURES = (("memory", "some"), ("memory", "full"), ("io", "some"), ("io", "full"), ("cpu", "some"))
_AVERAGES = ("avg10", "avg60", "avg300")

SAMPLES = (
    sample("up", Dimension.NONE, "1: memory could be read."),
    sample("total_bytes", Dimension.BYTES, "Memory of the host."),
    sample("available_bytes", Dimension.BYTES, "What programs can still get without swapping (MemAvailable)."),
    sample("available_percent", Dimension.PERCENT, "available_bytes of total_bytes."),
    sample("used_percent", Dimension.PERCENT, "The rest: 100% less available_percent."),
    sample("swap_total_bytes", Dimension.BYTES, "Swap space; 0B where there is none."),
    sample("swap_free_bytes", Dimension.BYTES, "Swap space that is not used; 0B where there is none."),
    sample("swap_used_percent", Dimension.PERCENT, "Used of swap_total_bytes; missing where there is no swap."),
    *(
        sample(
            f"pressure_{what}_{kind}_{average}",
            Dimension.PERCENT,
            f"Share of the last {average.removeprefix('avg')}s in which {_MEANINGS[kind]} for {what}.",
        )
        for what, kind in _PRESSURES
        for average in _AVERAGES
    ),
)


class Options(OptionsModel):
    """There is one memory a host: nothing to choose."""


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Read memory, swap and pressure.

    Raises:
        CheckError: memory cannot be read.
    """
    return [Reading(samples=await asyncio.to_thread(_look, _PROC))]


def _look(proc: Path) -> dict[str, Sample]:
    try:
        # proc(5): MemTotal:       24684096 kB
        lines = (line.split() for line in (proc / "meminfo").read_text(encoding="utf-8").splitlines())
        sizes = {words[0].rstrip(":"): float(words[1]) * 1024.0 for words in lines}
        total, swap, swap_free = sizes["MemTotal"], sizes["SwapTotal"], sizes["SwapFree"]
        available = sizes["MemAvailable"]  # Linux 3.14
    except (OSError, ValueError, LookupError) as error:
        raise CheckError(f"cannot read memory from {proc}/meminfo: {error}") from error
    found: dict[str, Sample] = {
        "up": 1.0,
        "total_bytes": total,
        "available_bytes": available,
        "available_percent": 100.0 * available / total,
        "used_percent": 100.0 * (total - available) / total,
        "swap_total_bytes": swap,
        "swap_free_bytes": swap_free,
    }
    if swap:
        found["swap_used_percent"] = 100.0 * (swap - swap_free) / swap
    return found | dict(_pressures(proc / "pressure"))


def _pressures(folder: Path) -> Iterator[tuple[str, float]]:
    """Every average that the kernel tells; none where it keeps none."""
    for what in dict.fromkeys(what for what, _ in _PRESSURES):
        with contextlib.suppress(OSError):  # not built in, or switched off: reading fails with EOPNOTSUPP
            # Documentation/accounting/psi.rst: some avg10=0.00 avg60=0.00 avg300=0.00 total=0
            for line in (folder / what).read_text(encoding="utf-8").splitlines():
                kind, *words = line.split()
                values = dict(word.split("=", 1) for word in words)
                if (what, kind) in _PRESSURES:
                    for average in _AVERAGES:
                        yield f"pressure_{what}_{kind}_{average}", float(values[average])
