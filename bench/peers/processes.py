"""Whole process trees, read off /proc: CPU of the living and of the reaped, and memory. And children that are ended."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")  # seconds; what /proc counts the CPU of the reaped in
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h
_LOOKS = 20  # most attempts at a tree that holds still for one look
POLL = 0.02  # seconds between two looks at something that will happen soon
END_WITHIN = 30.0  # seconds that a process gets between SIGTERM and SIGKILL


@dataclass(frozen=True, kw_only=True, slots=True)
class Stat:
    """One line of /proc/PID/stat, as far as it counts here."""

    parent: int
    reaped: int  # ticks, user and system, of the children that it has waited for, and of theirs


def parse_stat(line: str) -> Stat:
    """Read a line; the name in parentheses may hold anything, parentheses and spaces too."""
    fields = line[line.rindex(")") + 2 :].split()
    return Stat(parent=int(fields[1]), reaped=int(fields[13]) + int(fields[14]))


def _own_seconds(pid: int) -> float:
    """CPU of a living process, user and system, of all threads that it ever had: its CPU clock, which knows more
    than the 10 ms ticks of /proc (linux/posix-timers.h has how the number of the clock is made)."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def read_stats() -> dict[int, Stat]:
    """Every process there is; those that end meanwhile are left out."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = parse_stat(Path(entry.path, "stat").read_text())
    return found


def members(roots: Iterable[int], stats: Mapping[int, Stat]) -> set[int]:
    """The roots and all that descends from them."""
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    found: set[int] = set()
    left = [pid for pid in roots if pid in stats]
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, ())
    return found


def cpu_seconds(roots: Sequence[int]) -> float:
    """CPU seconds of the trees below `roots` since they began, the roots and what they have reaped included.

    A child that ends between the look at it and the look at its parent would count twice or not at all, so the tree has
    to be the same before and after; of one that never holds still the last look counts.
    """
    for _ in range(_LOOKS):
        before = read_stats()
        tree = members(roots, before)
        used = 0.0
        try:
            for pid in tree:
                used += _own_seconds(pid) + before[pid].reaped * _TICK
        except OSError:  # it has ended just now
            continue
        after = read_stats()
        if tree == members(roots, after) and all(before[pid].reaped == after[pid].reaped for pid in tree):
            break
    return used


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes of a tree."""

    resident: int  # RSS: pages that two processes share count in both
    proportional: int  # PSS: pages that two processes share count half in each


def memory(roots: Sequence[int]) -> Memory:
    """What the trees below `roots` hold in memory now."""
    sums = {"Rss:": 0, "Pss:": 0}
    for pid in members(roots, read_stats()):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in sums:
                    sums[name] += int(rest[0]) * 1024
    return Memory(resident=sums["Rss:"], proportional=sums["Pss:"])


def wait_until(happened: Callable[[], T], *, within: float, what: str) -> T:
    """Poll until it is true, and return it."""
    deadline = time.monotonic() + within
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(POLL)
    return found


@contextlib.contextmanager
def child(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in the foreground, its words in `log`; ended by its pid when the block is left."""
    with log.open("ab") as words:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env={**os.environ, **(env or {})},
        )
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]", within: float = END_WITHIN) -> None:
    """SIGTERM, SIGKILL if that does not help, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def alive(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    """True; raises with its last words if the process has ended, so that nobody waits for it in vain."""
    if process.poll() is not None:
        said = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {said}")
    return True
