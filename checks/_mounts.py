"""Mounts as the kernel lists them, and one file system asked for its numbers, each call in a thread of its own.

A file system whose server is gone (NFS, a FUSE program) may hold whoever touches it for ever, and a thread cannot be
cancelled. So each mount is asked in a thread that nobody waits for when heald ends; a run that gave up leaves its call
behind, and later runs find that it is still under way instead of sending another thread after it.
"""

import os
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from daemon.plugin import CheckError

_SELF = Path("/proc/self")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # seq_file's way to write blanks and backslashes
_MOST_CALLS = 256  # mounts that may be asked at once; each holds a thread


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo; see proc(5)."""

    id: int
    device: str  # major:minor of the file system: two mounts of one file system have the same
    point: str  # as the system takes it: bytes that are no text are in it as surrogates
    filesystem: str  # its type
    source: str  # /dev/sda1, server:/export, or any word
    is_read_only: bool  # the file system is; a bind mount or a namespace that only shows it read-only does not count
    is_rejected: bool  # it is, and the mount says it should not be: the kernel gave up writing after an error


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was found at a mount point."""

    mount: Mount
    numbers: os.statvfs_result


class ElsewhereError(Exception):
    """There is no such mount (any more), or another one covers it."""


def read_mounts(proc: Path = _SELF) -> list[Mount]:
    """Every mount that heald sees, in the order in which they were made. Raises OSError, ValueError."""
    lines = (proc / "mountinfo").read_bytes().decode("utf-8", errors="surrogateescape").splitlines()
    return [_parse(line) for line in lines]


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    number, _, device, _, point, options, *_ = before.split(" ")
    filesystem, source, super_options = after.split(" ")[:3]
    of_filesystem = super_options.split(",")
    # ext4 of Linux 6.15 keeps its `rw` after an error and says emergency_ro, or shutdown, beside it.
    is_read_only = any(word in ("ro", "emergency_ro", "shutdown") for word in of_filesystem)
    return Mount(
        id=int(number),
        device=device,
        point=_plain(point),
        filesystem=filesystem,
        source=shown(_plain(source)),
        is_read_only=is_read_only,
        is_rejected=is_read_only and ("rw" in options.split(",") or "rw" in of_filesystem),
    )


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def shown(path: str) -> str:
    """A path as text for people, with a mark for each byte that is none."""
    return path.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


def look_at(point: str) -> Found:
    """What is mounted at a mount point. May hang for ever.

    Raises:
        ElsewhereError: nothing is mounted just there. OSError: the kernel's answer.
    """
    # O_PATH asks nothing of the file system; O_DIRECTORY has automounts made, as whoever uses them does.
    descriptor = os.open(point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        numbers = os.fstatvfs(descriptor)
        lines = (_SELF / f"fdinfo/{descriptor}").read_text(encoding="utf-8").splitlines()
    finally:
        os.close(descriptor)
    wanted = next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))
    mount = next((it for it in read_mounts() if it.id == wanted), None)
    if mount is None or mount.point != point:
        raise ElsewhereError
    return Found(mount=mount, numbers=numbers)


def look_at_any(points: Sequence[str], device: str | None) -> Found:
    """The first of these mount points where the file system `device` (None: any) is seen. As `look_at`."""
    for point in points:
        try:
            found = look_at(point)
        except (ElsewhereError, FileNotFoundError, NotADirectoryError):  # covered, gone, or a file
            continue
        if device in (None, found.mount.device):
            return found
    raise ElsewhereError


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One mount being asked. The answer may be an error, and nobody may be left to hear it."""

    answer: Future[Found | Exception]
    began: float  # time.monotonic()


class Calls:
    """The calls under way, one a mount."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str | None], Call] = {}
        self._lock = threading.Lock()

    def ask(self, points: Sequence[str], device: str | None) -> Call:
        """Ask the first of these mount points that shows `device`, or find the call that has not come back from there.

        Raises:
            CheckError: there is no thread for it.
        """
        key = (points[0], device)
        with self._lock:
            if key in self._under_way:
                return self._under_way[key]
            if len(self._under_way) >= _MOST_CALLS:
                raise CheckError(f"{_MOST_CALLS} mounts have not answered, no more are asked")
            answer: Future[Found | Exception] = Future()
            answer.set_running_or_notify_cancel()  # from here on no waiter can cancel it for the others
            thread = threading.Thread(target=self._run, args=(points, device, answer), name="heald-disk", daemon=True)
            call = self._under_way[key] = Call(answer=answer, began=time.monotonic())
            try:
                thread.start()
            except RuntimeError as error:
                del self._under_way[key]
                raise CheckError(f"no thread to ask {points[0]} in: {error}") from error
            return call

    def _run(self, points: Sequence[str], device: str | None, answer: Future[Found | Exception]) -> None:
        try:
            found: Found | Exception = look_at_any(points, device)
        except Exception as error:  # noqa: BLE001  # carried to the waiting run, which knows what to make of it
            found = error
        with self._lock:
            del self._under_way[points[0], device]
        answer.set_result(found)
