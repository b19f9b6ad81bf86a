"""sd_notify(3): what systemd is told of this process, over the datagram socket that `$NOTIFY_SOCKET` names.

Telling never fails and never waits: a daemon that cannot reach its service manager goes on, and where there is none
(a terminal, a container, a test) every call does nothing.
"""

import os
import socket
import time
from collections.abc import Mapping

_SHARE_OF_WATCHDOG = 0.5  # sd_watchdog_enabled(3): "every half of the time returned"
_STATUS_LENGTH = 1024  # characters of a status; a datagram must fit the socket's buffer whatever a sentence holds


class NotifySocket:
    """The service manager's ear, as this process' environment names it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        self._address = _address(variables.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval = _watchdog_interval(variables) if self._address else None
        """Seconds between two `watchdog` calls; None if systemd does not wait for any."""

    @property
    def is_heard(self) -> bool:
        """Whether somebody wants to be told."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Start-up or a reload is over; False if nobody could be told (as of every call here)."""
        return self._tell("READY=1", *_status(status))

    def reloading(self) -> bool:
        """A reload begins; `ready` must follow. systemd orders it by its own monotonic clock."""
        return self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The end begins."""
        return self._tell("STOPPING=1", *_status(status))

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._tell(*(_status(text) or ("STATUS=",)))

    def watchdog(self) -> bool:
        """Heald is alive and gets on; called only by who has proof of it."""
        return self._tell("WATCHDOG=1")

    def _tell(self, *assignments: str) -> bool:
        if self._address is None:
            return False
        message = "\n".join(assignments).encode(errors="replace")
        try:
            # A socket of its own each time: systemd may be re-executed, and this is one datagram in 15 seconds.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as out:
                out.sendto(message, self._address)
        except OSError:
            return False
        return True


def _address(text: str) -> str | bytes | None:
    """A path, or a name of the abstract namespace (`@...`); other families are not for processes of this host."""
    if text.startswith("@") and len(text) > 1:
        return b"\0" + os.fsencode(text[1:])
    return text if text.startswith("/") else None


def _status(text: str) -> tuple[str, ...]:
    line = " ".join(text.split())[:_STATUS_LENGTH]
    return (f"STATUS={line}",) if line else ()


def _watchdog_interval(variables: Mapping[str, str]) -> float | None:
    """Half of `$WATCHDOG_USEC` in seconds, if it is set and meant for this process (`$WATCHDOG_PID`)."""
    pid = variables.get("WATCHDOG_PID")
    if pid and pid != str(os.getpid()):
        return None
    try:
        microseconds = int(variables.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1e6 * _SHARE_OF_WATCHDOG if microseconds > 0 else None
