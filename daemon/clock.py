"""The machine's clocks. Nothing else in heald reads a clock."""

import ctypes
import errno
import functools
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from daemon.model.moment import Stamp

_STA_UNSYNC = 0x0040  # linux/timex.h: the kernel's clock is not synchronised
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd.service(8): there once it has synchronised
_SYNCHRONISED_FOR = 10.0  # seconds that an answer of adjtimex is believed: it changes with NTP, not with runs


class _Timex(ctypes.Structure):
    """`struct timex` up to `status`, the rest as room (linux/timex.h; 208 bytes on 64-bit Linux)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 256),
    )


@functools.cache
def boot_id() -> str:
    """The kernel's id of this boot; empty where there is none, which makes every boot look the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def is_synchronised() -> bool:
    """Whether the kernel calls its wall clock synchronised (adjtimex). Unknown counts as no.

    Where a sandbox forbids the question (ProtectClock= of systemd), systemd-timesyncd's word is taken.
    """
    try:
        timex = _Timex()
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
            return ctypes.get_errno() == errno.EPERM and _TIMESYNCD.exists()
    except (OSError, AttributeError):
        return False
    return not timex.status & _STA_UNSYNC


class SystemClock:
    """The clock of a real daemon. `host` names this node in every row."""

    def __init__(self, host: str | None = None) -> None:
        self._host = host or socket.gethostname()
        self._synchronised = (float("-inf"), False)

    # CLOCK_BOOTTIME in seconds: goes on during suspend, never jumps. Asked ten times a run, hence no function of ours.
    steady = staticmethod(functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME))

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def stamp(self) -> Stamp:
        """This moment as rows keep it."""
        steady = self.steady()
        if steady - self._synchronised[0] > _SYNCHRONISED_FOR:
            self._synchronised = (steady, is_synchronised())
        return Stamp(
            wall=time.time(),
            boot=boot_id(),
            boottime=steady,
            host=self._host,
            synchronised=self._synchronised[1],
        )
