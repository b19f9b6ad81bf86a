"""The errors that cross a border between packages; everything else is translated at the plug-in's edge."""

import errno
import os
import ssl
from collections.abc import Mapping

_SICK = {
    errno.ECONNREFUSED: ("refused", "the connection was refused"),
    errno.ECONNRESET: ("reset", "the connection was reset"),
    errno.ECONNABORTED: ("reset", "the connection was aborted"),
    errno.EPIPE: ("reset", "the connection was closed while we wrote"),
    errno.ETIMEDOUT: ("timeout", "the kernel gave up waiting for an answer"),
    errno.EHOSTUNREACH: ("unreachable", "the host cannot be reached"),
    errno.EHOSTDOWN: ("unreachable", "the host is down"),
}


class HealdError(Exception):
    """An error whose text is written for an operator."""


class CheckError(HealdError):
    """We could not look: the run is UNKNOWN. Blind is not sick."""


class SickError(HealdError):
    """The target is at fault (refused, reset, silent, a wrong answer): a reading of `up` 0, not blindness.

    `word` says it in one word of the check's list, the text is for people.
    """

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


class RemediationError(HealdError):
    """A remediation failed. `permanent` says that trying again cannot help, so the step is over.

    `details` are facts for the record, as JSON values: exit code, stderr, counts.
    """

    def __init__(self, message: str, *, permanent: bool = False, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.details: Mapping[str, object] = dict(details or {})


class StoreError(HealdError):
    """The store cannot be read or written now (full disk, read-only file); it is tried again."""


class StoreRefusedError(HealdError):
    """The store can never be used as it is: a newer schema, another daemon's lock. Nothing is tried again."""


class LockedError(StoreRefusedError):
    """Another daemon has the state directory."""


def translate(error: OSError, place: str) -> SickError | CheckError:
    """What a network error says of the target at `place`: it is sick, or we are blind. Unknown errors are ours."""
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's, not the kernel's
        return SickError("tls", f"TLS failed: {error.reason or type(error).__name__}")
    number = error.errno
    if number is None and isinstance(error, ConnectionError):  # asyncio leaves the number out where a peer hangs up
        number = errno.ECONNRESET
    if number in _SICK:
        return SickError(*_SICK[number])
    name = errno.errorcode.get(number or 0, type(error).__name__)
    text = os.strerror(number) if number else "no reason given"
    return CheckError(f"cannot reach {place} from here: {text} ({name})")
