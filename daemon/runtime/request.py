"""A command to be started, as the launcher reads it: in a file in memory that goes to whoever seals it first."""

import errno
import fcntl
import os
from collections.abc import Mapping, Sequence


class Request:
    """Folder, arguments and environment in a file in memory: a message has a bound, the file has none."""

    def __init__(self, content: bytes) -> None:
        self.file = os.memfd_create("command", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._is_ours: bool | None = None  # whether the launcher never had it and never will; None: not asked yet
        try:
            written = os.write(self.file, content)
            if written < len(content):  # a limit on files (setrlimit) holds for those in memory too
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        except BaseException:
            self.close()
            raise

    def withdraw(self) -> bool:
        """Take it back for good: true if it was not and will not be begun, false if the launcher has taken it."""
        if self._is_ours is None and self.file >= 0:
            try:
                fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
                self._is_ours = True
            except PermissionError:  # sealed by the launcher
                self._is_ours = False
        return bool(self._is_ours)

    def close(self) -> None:
        """Let go of our end; what the launcher has been sent it keeps."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def encode(argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> bytes:
    """What the launcher reads of a command.

    Raises:
        ValueError: a NUL or a lone surrogate in it, or a variable's name that none can have.
    """
    if any(not name or "=" in name for name in env):
        raise ValueError("illegal environment variable name")
    words = [cwd or "", str(len(argv)), *argv, *[f"{name}={value}" for name, value in env.items()]]
    text = "\0".join(words)
    if text.count("\0") != len(words) - 1:
        raise ValueError("embedded null byte")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # which has all of the text in it, secrets too
        raise ValueError("embedded lone surrogate") from None
