"""Writes the log where somebody may have stopped reading it: a stopped reader costs lines, never the daemon's time.

A write to a full pipe, a stopped terminal or a journal that hangs would hold the one thread that watches and heals,
until systemd's watchdog ends it. So a line waits for its reader a second at most, and while nobody reads, the next ones
do not wait at all; how many were lost is said once they are read again.
"""

import logging
import os
import select
import socket
import stat
import time
from collections.abc import Callable

_PATIENCE = 1.0  # seconds that a line may wait for a reader who kept up until now
_PAUSE = 0.01  # seconds until a reader who has room for a byte is asked again for more
_PIECE = select.PIPE_BUF  # bytes that a pipe that is said to be writable takes without waiting (pipe(7))


class PatientOutput(logging.Handler):
    """Writes lines to a descriptor that is left as it is found: others may share it, so it stays blocking."""

    def __init__(self, descriptor: int, *, say_lost: Callable[[int], None]) -> None:
        super().__init__()
        self._descriptor = descriptor = _own(descriptor)
        self._say_lost = say_lost  # called with the number of lines, after one that was read again
        self._is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0
        self._is_cut = False  # the last line went out in part

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or count it as lost."""
        try:
            data = f"{self.format(record)}\n".encode(errors="replace")
        except Exception:  # noqa: BLE001  # as every handler does it: a line that cannot be written ends nothing
            self.handleError(record)
            return
        if not self._write(b"\n" + data if self._is_cut else data):
            self._lost += 1
        elif self._lost:
            lost, self._lost = self._lost, 0
            self._say_lost(lost)

    def _write(self, data: bytes) -> bool:
        deadline = time.monotonic() + (0.0 if self._lost else _PATIENCE)
        left = memoryview(data)
        try:
            while left and self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                if not (sent := self._send(left[:_PIECE])) and time.monotonic() >= deadline:
                    break
                left = left[sent:]
        except OSError:  # nobody can read it any more, or the disk is full
            pass
        self._is_cut = 0 < len(left) < len(data) or (self._is_cut and len(left) == len(data))
        return not left

    def _send(self, piece: memoryview) -> int:
        """How many bytes of a piece were taken; none if there was room, but not for so many."""
        try:
            if not self._is_socket:
                return os.write(self._descriptor, piece)
            with socket.socket(fileno=os.dup(self._descriptor)) as out:
                return out.send(piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            time.sleep(_PAUSE)
            return 0


def _own(descriptor: int) -> int:
    """The same terminal or pipe, opened anew so that a write never waits; the descriptor itself where that is denied.

    A terminal is said to be writable while it has room for a byte (tty_ioctl(4)), and a pipe may be full again by then.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or os.isatty(descriptor)):
        return descriptor
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return descriptor
