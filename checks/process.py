"""Whether a process runs, by its name, its pid file or its command line, and what it uses.

A zombie does not run. A stopped process does; `stopped` counts those. A pid file that is missing, holds no pid, or
names a process that is gone or is another by now is `up` 0; one that we may not read makes us blind.
Where /proc shows us only our own processes (hidepid), finding one is `up` 1 with no further samples, as they would
speak of a part; finding none makes us blind.

Write `avg(cpu_percent, 5m) > 90%` for load over time, or `rate(cpu_seconds, 5m) > 0.9s/s` where one process matches.

It needs no rights where /proc shows every process; with hidepid, it needs the group that /proc was mounted with (gid=).
"""

import asyncio
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from checks._patterns import Pattern, Search
from checks._proc import (
    Process,
    Walk,
    cpu_seconds,
    has_command_line,
    is_hidden,
    is_in_memory,
    is_named,
    read_process,
    walk,
)
from daemon.plugin import (
    CheckContext,
    CheckError,
    Dimension,
    Field,
    Folder,
    OptionsModel,
    Reading,
    Sample,
    sample,
)

EXAMPLE = """
checks:
  worker: {process: {pid_file: /run/worker.pid}}
rules:
  worker-gone: {check: worker, when: up == 0, for: 30s, severity: P1}
  worker-spins: {check: worker, when: "avg(cpu_percent, 5m) > 95%", for: 5m}
"""
SAMPLES = (
    sample("up", Dimension.NONE, "1 if at least one process runs, 0 if none does."),
    sample(
        "error",
        Dimension.STRING,
        "Why up is 0: not_running, zombie, gone, pid_file_missing, pid_file_garbage or pid_reused; else empty.",
    ),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("count", Dimension.NONE, "Processes that run, stopped ones among them."),
    sample("stopped", Dimension.NONE, "Processes that somebody stopped (SIGSTOP, a debugger)."),
    sample("zombies", Dimension.NONE, "Processes that have ended and were not asked for by their parent."),
    sample(
        "cpu_percent",
        Dimension.PERCENT,
        "CPU use of all that run, measured for 200ms; 100% is one core. Average it over time: avg(cpu_percent, 5m).",
    ),
    sample(
        "cpu_seconds",
        Dimension.SECONDS,
        "CPU time used since its start, a counter for rate(); only where one process runs: a sum falls and jumps.",
    ),
    sample("memory_bytes", Dimension.BYTES, "Resident memory, summed; what they share counts for each."),
    sample("age_seconds", Dimension.SECONDS, "Since the start of the oldest that runs: how long it has been up."),
)

_MEASURE = 0.2  # seconds over which CPU use is measured; more would hold the run, less measures noise
_REUSED_AFTER = 60.0  # seconds; a pid file is written soon after the start, or before a small step of the clock
_MOST_PID_FILE = 4096  # bytes
_MOST_PID = 2**22  # PID_MAX_LIMIT


class Options(OptionsModel):
    """Which process: exactly one of the three."""

    name: str | None = Field(
        default=None, min_length=1, description="The process's exact name, as `ps -o comm` shows it, without a path."
    )
    pid_file: Folder | None = Field(
        default=None, description="Absolute path of a file whose first word is the pid of the process."
    )
    command_line: Pattern | None = Field(
        default=None,
        min_length=1,
        description="Regular expression (Python's re) to be found in command and arguments, joined by blanks. "
        "A run that searches for 0.5s is blind.",
    )

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        given = [name for name in ("name", "pid_file", "command_line") if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "none is given"
            raise ValueError(f"{found}; write exactly one of name, pid_file and command_line")
        if self.name is not None and "/" in self.name:
            raise ValueError(f"name {self.name!r} has a /; a name has no path, use command_line to match one")
        return self


class _NotThereError(Exception):
    """`up` is 0: `word` for conditions, the text for people."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Look for the processes and measure them.

    Raises:
        CheckError: we may not look at them, or not read the pid file.
    """
    seen = Walk(found=(), is_partial=False)
    try:
        seen = await asyncio.to_thread(_look, options, context)
        running = [process for process in seen.found if not process.is_zombie]
        if not running:
            raise _nothing(options, seen)
    except _NotThereError as error:
        samples: dict[str, Sample] = {"up": 0.0, "error": error.word, "detail": str(error)}
        return [Reading(samples=samples | {"count": 0.0, "stopped": 0.0, "zombies": float(len(seen.found))})]
    samples = {"up": 1.0, "error": "", "detail": ""}
    if not seen.is_partial:
        samples["zombies"] = float(len(seen.found) - len(running))
        samples |= await _measure(running, context)
    return [Reading(samples=samples)]


async def _measure(running: Sequence[Process], context: CheckContext) -> dict[str, Sample]:
    now = context.clock.steady()
    samples: dict[str, Sample] = {
        "count": float(len(running)),
        "stopped": float(sum(process.is_stopped for process in running)),
        "memory_bytes": sum(process.memory for process in running),
        "age_seconds": max(0.0, now - min(process.started for process in running)),
    }
    before = {process.pid: cpu_seconds(process.pid) for process in running}
    await asyncio.sleep(min(_MEASURE, context.timeout / 4))
    after = {pid: cpu_seconds(pid) for pid in before}
    elapsed = context.clock.steady() - now
    used = [
        max(0.0, then - first) for pid, first in before.items() if first is not None if (then := after[pid]) is not None
    ]
    if used and elapsed > 0:
        samples["cpu_percent"] = 100.0 * sum(used) / elapsed
    only = after[running[0].pid] if len(running) == 1 else None
    if only is not None:
        samples["cpu_seconds"] = only
    return samples


def _nothing(options: Options, seen: Walk) -> Exception:
    """What it means that none runs."""
    if seen.is_partial:
        return CheckError("we may not see the processes of others (/proc is mounted with hidepid)")
    if seen.found:
        return _NotThereError("zombie", f"process {seen.found[0].pid} has ended and was not asked for by its parent")
    what = f"is named {options.name}" if options.name else f"has a command line that matches {options.command_line}"
    return _NotThereError("not_running", f"no process {what}")


def _look(options: Options, context: CheckContext) -> Walk:
    """The processes meant, zombies among them."""
    if options.pid_file is not None:
        return Walk(found=(_by_pid_file(Path(options.pid_file), context),), is_partial=False)
    try:
        if options.name is not None:
            return walk(functools.partial(is_named, name=options.name))
        return walk(functools.partial(has_command_line, finds=Search(options.command_line or "").finds))
    except OSError as error:
        raise CheckError(f"cannot look at processes: {error}") from error


def _by_pid_file(file: Path, context: CheckContext) -> Process:
    try:
        with open(file, "rb", opener=_without_waiting) as opened:
            words = opened.read(_MOST_PID_FILE).decode(errors="replace").split()
        written = file.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _NotThereError("pid_file_missing", f"there is no pid file {file}") from error
    except OSError as error:
        raise CheckError(f"cannot read the pid file {file}: {error.strerror or error}") from error
    if not words or not (words[0].isascii() and words[0].isdigit()) or not 0 < int(words[0][:9]) <= _MOST_PID:
        start = repr(words[0][:40]) if words else "nothing"
        raise _NotThereError("pid_file_garbage", f"the pid file {file} holds {start}, which is no pid")
    pid = int(words[0])
    try:
        process = read_process(pid)
    except PermissionError as error:
        raise CheckError(f"we may not look at process {pid} of {file}") from error
    if process is None and is_hidden(pid):
        raise CheckError(f"we may not look at process {pid} of {file} (/proc is mounted with hidepid)")
    if process is None:
        raise _NotThereError("gone", f"process {pid} of {file} is gone")
    if _is_reused(process, file, written, context):
        raise _NotThereError("pid_reused", f"process {pid} started after {file} was written: it is another one")
    return process


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would hold us for ever


def _is_reused(process: Process, file: Path, written: float, context: CheckContext) -> bool:
    """Whether the process started too late to be the one that the file was written for."""
    now, steady = context.clock.now().timestamp(), context.clock.steady()
    if now - (steady - process.started) <= written + _REUSED_AFTER:
        return False
    # A file in memory that seems older than the boot shows that the wall clock was set since, so nothing follows.
    return not (written < now - steady and is_in_memory(file))
