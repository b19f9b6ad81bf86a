"""What the kernel says of a command's process and of its group, and what may be sent to them."""

import os
from enum import Enum, auto
from pathlib import Path

_NOT_YET = b"heald-begins"  # as `daemon.runtime.launcher` names what is to become a command
_DEAD = (b"Z", b"X")
_THREADS = 17  # of what follows the name in /proc/PID/stat: how many threads there are


class Standing(Enum):
    """How far a command's process has come."""

    NOT_YET = auto()  # it is before its exec, where a folder or a file may not answer
    RUNS = auto()
    OVER = auto()


def standing_of(pid: int) -> Standing:
    """How far the process of a command has come. Asks for nothing that a process could hold back."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
    except OSError:  # it is gone; or hidden from us (hidepid, see proc(5)), or we are out of files
        return Standing.RUNS if signal_group(pid, 0) else Standing.OVER
    fields = rest.split()
    if fields[0] in _DEAD and int(fields[_THREADS]) <= 1:  # it may have left the rest of its work to other threads
        return Standing.OVER
    return Standing.NOT_YET if name.partition(b"(")[2] == _NOT_YET else Standing.RUNS


def signal_group(pid: int, number: int) -> bool:
    """Send a signal to a process group; false if it is gone."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # only members that changed their user are left: they are there, and not ours to end
    return True


def is_dead(group: int) -> bool:
    """Whether all that is left of a process group are zombies, which a lazy PID 1 (in a container) may never reap."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()  # state, parent, group, ...
        except OSError:  # it has ended meanwhile, or is not ours to see
            continue
        if int(fields[2]) == group and fields[0] not in _DEAD:
            return False
    return True
