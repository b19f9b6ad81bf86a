"""The process that runs `launcher.py`, seen from heald: the socket by which it is asked, and how it ends."""

import array
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_LIBRARIES = "LD_LIBRARY_PATH"  # by which the interpreter may find its own; what else the linker takes changes programs
_LAST_WORDS = 2000  # bytes at the end of its stderr that may hold its last line
_REAP = 2.0  # seconds after SIGKILL until we stop waiting: what is in an uninterruptible sleep dies when it can


class LauncherProcess:
    """The process, our end of its socket, and what it says on stderr."""

    def __init__(self) -> None:
        self.ending = ""  # how it ended, and its last line if it said any
        with contextlib.ExitStack() as undo:
            self._stderr = os.memfd_create("launcher")
            undo.callback(os.close, self._stderr)
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self.control.close)
            self.control.setblocking(False)
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                    [sys.executable, "-I", "-S", _LAUNCHER, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    env={name: value for name, value in os.environ.items() if name == _LIBRARIES},
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            self._close = undo.pop_all().close

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, *descriptors: int) -> None:
        """Send a request. Raises OSError."""
        data = array.array("i", descriptors)
        self.control.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)])

    def kill(self) -> None:
        """Have it end; the reader of its socket hears of that."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, if it has not ended, and reap it."""
        self._process.kill()
        try:
            how = _ending(self._process.wait(_REAP))
        except subprocess.TimeoutExpired:
            how = f"signal {signal.SIGKILL:d}, which it has not heeded yet"
        said = os.pread(self._stderr, _LAST_WORDS, max(0, os.fstat(self._stderr).st_size - _LAST_WORDS))
        self._close()
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        self.ending = f"{how}: {last[:300]}" if last else how


def _ending(code: int) -> str:
    return f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
