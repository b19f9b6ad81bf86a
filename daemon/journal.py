"""systemd's journal in its own protocol: each fact of a line is a field, to be asked for by name.

`journalctl -u heald HEALD_EVENT=attempt_failed` finds lines by their event, `-o json` shows all fields. MESSAGE is the
sentence, PRIORITY the level as in syslog(3), HEALD_EVENT the event, and every fact of the line is HEALD_ and its name.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/; names of fields: systemd.journal-fields(7).
"""

import json
import logging
import re
import socket
from collections.abc import Iterator, Mapping

SOCKET = "/run/systemd/journal/socket"
PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # syslog(3)
_ALSO = ("timestamp", "level", "message", "exception")  # what the journal has under names of its own
_LONGEST_NAME = 64  # characters; the journal drops fields with longer ones
_SEND_SECONDS = 1.0  # a journal that does not read for so long gets the line by stderr, and the next ones at once


class JournalOutput(logging.Handler):
    """Sends lines to the journal's socket, and to another handler what that does not take."""

    def __init__(self, address: str, *, fallback: logging.Handler) -> None:
        super().__init__()
        self._address = address
        self._fallback = fallback
        self._patience = _SEND_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; its formatter ends with `as_datagram`."""
        if not self._send(self.format(record).encode("latin-1")):
            self._fallback.handle(record)

    def _send(self, datagram: bytes) -> bool:
        try:
            # A socket of its own each time: journald may be started anew, and lines are few.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(self._patience)
                out.sendto(datagram, self._address)
        except (TimeoutError, BlockingIOError):
            self._patience = 0.0
            return False
        except OSError:  # no journal there, or the line is larger than a datagram may be
            return False
        self._patience = _SEND_SECONDS
        return True


def as_datagram(line: Mapping[str, object]) -> str:
    """A line's facts as the journal reads them; bytes as Latin-1, because a formatter has to return a text."""
    return b"".join(_entry(name, value) for name, value in _fields(line)).decode("latin-1")


def _fields(line: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    message, traceback = str(line.get("message", "")), line.get("exception")
    yield "MESSAGE", f"{message}\n{traceback}" if traceback else message
    yield "PRIORITY", str(PRIORITY.get(str(line.get("level")), 6))
    yield "SYSLOG_IDENTIFIER", "heald"
    for key, value in line.items():
        if key not in _ALSO:
            name = re.sub(r"[^A-Z0-9_]", "_", f"HEALD_{key}".upper())[:_LONGEST_NAME]
            yield name, value if isinstance(value, str) else json.dumps(value, default=str)


def _entry(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" in data:  # else it would end there
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
