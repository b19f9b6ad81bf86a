"""What tests of commands and processes ask the kernel."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


async def until(is_so: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait until something holds; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, f"did not hold within {within}s"
        await asyncio.sleep(0.02)


def pids_in(file: Path, count: int) -> list[int]:
    """The pids written one a line into `file`, once there are `count` of them; empty before."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [int(line) for line in lines] if len(lines) >= count else []


def open_files() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
