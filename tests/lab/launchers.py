"""The processes that start commands, as tests see them from outside."""

from pathlib import Path

import psutil

IDLE = 6  # files that a launcher has open: three standard ones, its socket, and a pipe by which signals wake it


def launchers(of: int | None = None) -> list[psutil.Process]:
    """Those that a process has begun; its commands are below them."""
    return [child for child in psutil.Process(of).children() if is_launcher(child)]


def is_launcher(process: psutil.Process) -> bool:
    """Whether it is one; a child between its fork and its exec looks like one."""
    try:
        return "launcher.py" in " ".join(process.cmdline())
    except psutil.ZombieProcess:
        return True  # it was not reaped
    except psutil.NoSuchProcess:
        return False


def the_launcher() -> psutil.Process:
    """The only one of this process."""
    [found] = launchers()
    return found


def files_of(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
