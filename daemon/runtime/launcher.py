"""The starter of commands: a small process beside heald that forks them, and tells how they began and ended.

Run as `python -I -S launcher.py CONTROL_FD PARENT_PID`, by path, with nothing of heald imported. Each message on the
control socket is a request: four descriptors, which are a status pipe, the command's stdout and stderr, and a file with
its folder, arguments and environment (`daemon.runtime.starter` writes it). Into the status pipe go lines of a word and
a number: `pid` once the command has a session of its own; `fork`, `chdir` or `exec` with the errno, if that failed;
and after `pid`, when all is over, `end` with the exit code, or minus the signal that killed it. Whoever seals the file
first has it, this process or heald: what heald has sealed is not begun, now or later.

Why a process of its own: whoever starts a command stands still until it has become one, and a command must be tied to
heald's life between fork and exec. A `preexec_fn` does that in a forked copy of a threaded daemon, which may deadlock
(subprocess's documentation), and copies the daemon's page tables; util-linux's setpriv cannot tell that its parent died
before it was asked, and takes ENOEXEC for "run it by a shell". This process has one thread and few pages.

It dies with heald, and its commands with it, by the parent-death signal; the kernel clears that when a set-user-ID
program (sudo) is executed, see prctl(2).
"""

# Two of these are what is below `signal` and `socket`, which would make this process a quarter larger.
import _signal  # type: ignore[import-not-found]  # typeshed describes it as `signal` alone
import _socket
import ctypes
import errno
import fcntl
import os
import select
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h
_NOT_YET = b"heald-begins"  # the name of a process that is to become a command: exec gives it another
_CANNOT = 127  # as shells say it; nobody looks, the status pipe tells
_DESCRIPTORS = 4  # of one request
_NOT_FOR_US = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2)
"""They ask heald for something; this ends with it, or when it is killed."""


class Launcher:
    """Forks what is asked for on `control`, until the other side of it is closed."""

    def __init__(self, control: int, libc: ctypes.CDLL) -> None:
        self._control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, control)
        self._libc = libc
        self._name = ctypes.create_string_buffer(_NOT_YET)
        self._pid = os.getpid()
        self._running: dict[int, int] = {}  # the status pipe of each command that was not reaped yet, by its pid
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)  # without one the signal would not reach the pipe
        for number in _NOT_FOR_US:
            _signal.signal(number, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())  # who began heald may have blocked SIGCHLD, and it stays so
        ours = {number: _signal.getsignal(number) for number in _signal.valid_signals()}
        self._ignored = [number for number, how in ours.items() if how == _signal.SIG_IGN]  # SIGPIPE by Python itself

    def serve(self) -> None:
        """Do what is asked, and tell of each end."""
        poll = select.poll()
        for source in (self._control.fileno(), self._woken):
            poll.register(source, select.POLLIN)
        while True:
            ready = {source for source, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._take():
                return

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            pipe = self._running.pop(pid)
            _tell(pipe, b"end", os.waitstatus_to_exitcode(status))
            os.close(pipe)

    def _take(self) -> bool:
        """Take one request; false if there will be none any more."""
        message, ancillary, _, _ = self._control.recvmsg(
            1, _socket.CMSG_SPACE(struct.calcsize(f"{_DESCRIPTORS}i")), _socket.MSG_CMSG_CLOEXEC
        )
        data = ancillary[0][2] if ancillary else b""
        descriptors = [number for (number,) in struct.iter_unpack("i", data)]
        is_started = False
        if len(descriptors) == _DESCRIPTORS:
            is_started = self._start(*descriptors)
        elif descriptors:  # the kernel gives those that there is room for, and the status pipe is the first
            _tell(descriptors[0], b"fork", errno.EMFILE)
        for number in descriptors[1:] if is_started else descriptors:
            os.close(number)
        return bool(message)

    def _start(self, status: int, stdout: int, stderr: int, request: int) -> bool:
        """Fork a command; if that succeeds, its status pipe is kept."""
        try:
            fcntl.fcntl(request, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)  # fails if it was sealed, so withdrawn, before
            pid = os.fork()
        except OSError as error:
            _tell(status, b"fork", _errno_of(error))
            return False
        if pid == 0:
            self._become(status=status, stdout=stdout, stderr=stderr, request=request)
        self._running[pid] = status
        return True

    def _become(self, *, status: int, stdout: int, stderr: int, request: int) -> None:
        """In the child: become the command, or say why not. Does not return."""
        stage = b"fork"
        try:
            os.setsid()
            self._libc.prctl(_PR_SET_NAME, ctypes.addressof(self._name), 0, 0, 0)
            self._libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._pid:  # it died before the kernel was asked: nobody wants the command any more
                return
            for number in self._ignored:  # what is ignored would stay so across exec
                _signal.signal(number, _signal.SIG_DFL)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            # Exec closes them all, but where a folder hangs it does not come to that, and others' ends must be seen.
            self._control.close()
            for pipe in self._running.values():
                os.close(pipe)
            _tell(status, b"pid", os.getpid())
            folder, argv, environment = _read(request)  # here, since a large one would stay in the launcher's memory
            if folder:
                stage = b"chdir"
                os.chdir(folder)
            stage = b"exec"
            _execute(argv, environment)
        except BaseException as error:  # noqa: BLE001  # it may not come back as a second launcher
            _tell(status, stage, _errno_of(error))
        finally:
            os._exit(_CANNOT)


def _read(request: int) -> tuple[bytes, list[bytes], dict[bytes, bytes]]:
    """Folder, arguments and environment."""
    size = os.fstat(request).st_size
    written = os.pread(request, size, 0)
    if len(written) < size:  # never run a part of it
        raise OSError(errno.EIO, "not all of it can be read")
    folder, count, *words = written.split(b"\0")
    argv, variables = words[: int(count)], words[int(count) :]
    return folder, argv, dict(variable.split(b"=", 1) for variable in variables)


def _execute(argv: list[bytes], environment: dict[bytes, bytes]) -> None:
    """As `os.execvpe`, which imports `warnings`: in every child anew, or in this process for good."""
    if b"/" in argv[0]:
        os.execve(argv[0], argv, environment)  # noqa: S606  # the point of it: no shell
    absent: OSError = FileNotFoundError(errno.ENOENT, "")
    refused: OSError | None = None  # the first for another reason than that it is not there
    for folder in environment.get(b"PATH", os.fsencode(os.defpath)).split(b":"):
        path = os.path.join(folder, argv[0])  # noqa: PTH118  # pathlib is heavy
        try:
            os.stat(path)  # noqa: PTH116  # a try of exec converts all arguments and variables anew
            os.execve(path, argv, environment)  # noqa: S606  # as above
        except (FileNotFoundError, NotADirectoryError) as error:
            absent = error
        except OSError as error:
            refused = refused or error
    raise refused or absent


def _errno_of(error: BaseException) -> int:
    return getattr(error, "errno", None) or (errno.ENOMEM if isinstance(error, MemoryError) else errno.EINVAL)


def _tell(status: int, word: bytes, number: int) -> None:
    try:
        os.write(status, b"%s %d\n" % (word, number))
    except BrokenPipeError:
        return  # nobody waits for it any more


def main() -> None:
    """Tie this process to heald's life, and serve."""
    control, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(control, False)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    if libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not tie a process to its parent's life")
    if os.getppid() == parent:  # else heald died before the kernel was asked
        Launcher(control, libc).serve()


if __name__ == "__main__":
    main()
