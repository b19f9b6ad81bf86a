"""The first moments of every command, in its own process: tie it to heald's life, then become the command.

Run as `python -I -S launcher.py STATUS_FD PARENT_PID CWD ARGV...`, by path, with nothing of heald imported. Before each
stage it writes a word to the status pipe, `chdir` (if there is a CWD) and `exec`, and its errno after one that failed;
becoming the command closes the pipe. The folder is changed here too: where it hangs, heald's loop would hang with it.

Why a program of its own: the parent-death signal has to be set between fork and exec. A `preexec_fn` does that in a
forked copy of a threaded daemon, which may deadlock (subprocess's documentation), copies the daemon's page tables and
is a DeprecationWarning from Python 3.12 on; util-linux's setpriv cannot tell that the parent died before it was asked,
and takes ENOEXEC for "run it by a shell". This costs some 10 ms in the child, and none on heald's loop.

The signal is cleared by the kernel when a set-user-ID program (sudo) is executed, see prctl(2).
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25  # the module signal would cost another 3 ms
_SIG_DFL = None  # a null pointer
_CANNOT = 127  # as shells say it; nobody looks, the status pipe tells


def main() -> None:
    """Become the command."""
    status, parent, cwd, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    os.set_inheritable(status, False)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), *[ctypes.c_ulong(0)] * 3) != 0:
        os._exit(_CANNOT)
    if os.getppid() != parent:  # heald died before the kernel was asked: nobody wants the command any more
        os._exit(_CANNOT)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores them, and an ignored signal stays so across exec
        libc.signal(number, _SIG_DFL)
    try:
        if cwd:
            os.write(status, b"chdir ")
            os.chdir(cwd)
        os.write(status, b"exec ")
        os.execvp(argv[0], argv)  # noqa: S606  # the point of it: no shell
    except OSError as error:
        os.write(status, str(error.errno).encode())
        os._exit(_CANNOT)


if __name__ == "__main__":
    main()
