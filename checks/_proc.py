"""Processes as the kernel shows them in /proc; see proc(5). Read directly: a walk costs two small reads a process."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_MOST_COMMAND_LINE = 16384  # bytes of a command line that are looked at
_COMM_LENGTH = 15  # bytes of a name that the kernel keeps (TASK_COMM_LEN - 1)
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: clock id of a process's CPU time is (~pid << 3) | 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process at one moment."""

    pid: int
    state: str  # R S D T t Z X I, as in proc(5)
    started: float  # seconds since boot, suspend included: the steady clock's
    memory: float  # bytes of resident memory

    @property
    def is_zombie(self) -> bool:
        """It has ended, and its parent has not asked how."""
        return self.state in "ZX"

    @property
    def is_stopped(self) -> bool:
        """Somebody stopped it (SIGSTOP, a debugger)."""
        return self.state in "Tt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """What a walk over all processes found."""

    found: tuple[Process, ...]
    is_partial: bool  # we may not see them all (hidepid)


def read_process(pid: int, proc: Path = PROC) -> Process | None:
    """One process; None if there is none. Raises PermissionError if we may not look."""
    try:
        text = (proc / str(pid) / "stat").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return Process(pid=pid, state=fields[0], started=int(fields[19]) / _TICKS, memory=float(int(fields[21]) * _PAGE))


def is_hidden(pid: int) -> bool:
    """Whether there is a process of somebody else that /proc does not show us (hidepid=2)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return False


def walk(matches: Callable[[Path], bool], proc: Path = PROC) -> Walk:
    """Every process whose folder `matches`. What ends while we look is not there."""
    found = []
    is_partial = not (proc / "1").exists()  # hidepid=2: others' processes are not even listed
    for folder in _folders(proc):
        try:
            process = read_process(int(folder.name), proc) if matches(folder) else None
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:  # hidepid=1: listed, but closed
            is_partial = True
            continue
        if process is not None:
            found.append(process)
    return Walk(found=tuple(found), is_partial=is_partial)


def _folders(proc: Path) -> Iterator[Path]:
    with os.scandir(proc) as entries:
        for entry in entries:
            if entry.name.isascii() and entry.name.isdigit():
                yield proc / entry.name


def is_named(folder: Path, name: str) -> bool:
    """Whether a process has this name; a longer one than the kernel keeps is found in its command line."""
    kept = (folder / "comm").read_bytes().rstrip(b"\n")
    wanted = os.fsencode(name)
    if len(wanted) <= _COMM_LENGTH or kept != wanted[:_COMM_LENGTH]:
        return kept == wanted
    with (folder / "cmdline").open("rb") as file:
        argv = file.read(_MOST_COMMAND_LINE).split(b"\0")
    return any(part.rpartition(b"/")[2] == wanted for part in argv[:2])  # the second, where the first is an interpreter


def has_command_line(folder: Path, finds: Callable[[str], bool]) -> bool:
    """Whether it is found in command and arguments, joined by blanks; the kernel's threads and zombies have none."""
    with (folder / "cmdline").open("rb") as file:
        line = file.read(_MOST_COMMAND_LINE).rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    return bool(line) and finds(line)


def cpu_seconds(pid: int) -> float | None:
    """CPU time that a process has used, of all its threads, to the nanosecond; None if it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


def is_in_memory(file: Path) -> bool:
    """Whether a file lies on a tmpfs, and so cannot be older than this boot."""
    device = file.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with (PROC / "self/mountinfo").open(encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == wanted:
                return fields[fields.index("-") + 1] in ("tmpfs", "ramfs")
    return False
