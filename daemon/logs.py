"""Logs: one line per change, a sentence for people and an `event` key for machines; JSON, or colours on a terminal.

In systemd's journal they are fields of its own (`daemon.journal`); where it does not take them, JSON on stderr.
Every line has `timestamp` (ISO 8601, UTC), `level`, `event` (stable, to filter by) and `message` (a sentence).
Lines of libraries and of Python's warnings take the same way, with `event` "library" and the `logger` they came from.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from daemon.journal import PRIORITY, SOCKET, JournalOutput, as_datagram
from daemon.log_output import PatientOutput

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_OURS = "heald"
_FIELDS = "heald_fields"  # the attribute of a log record that carries event and fields of our own lines
_MASK = "**********"
_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token|authorization|api_?key|private_?key|credential|cookie|dsn$", re.IGNORECASE
)
_SECRET_TEXTS = (  # secrets inside sentences: what comes before is kept, the secret is masked
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE),
    re.compile(r"(?P<kept>\bauthorization['\"]?\s*[=:]\s*['\"]?(?:[a-z]+\s+)?)[^\s,;'\"]+", re.IGNORECASE),
    re.compile(r"(?P<kept>\bBearer\s+)[A-Za-z0-9._~+/-]{8,}=*"),
    re.compile(r"(?P<kept>\b(?:password|passwd|secret|token|api_?key)\s*[=:]\s*)[^\s,;&'\"]+", re.IGNORECASE),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEEPEST = 8  # levels of a field that are looked into; deeper ones are written as text


class Form(StrEnum):
    """How lines look."""

    JSON = "json"
    CONSOLE = "console"


class Log:
    """Where heald says what changed. Before `configure` only warnings and errors are seen, as plain sentences."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(_OURS)

    def debug(self, event: str, message: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Say what only a developer of heald wants to know."""
        self._say(logging.DEBUG, event, message, exc_info, fields)

    def info(self, event: str, message: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Say what changed. `event` is its stable name, `message` a sentence, `fields` the facts in it."""
        self._say(logging.INFO, event, message, exc_info, fields)

    def warning(self, event: str, message: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """As `info`, for what an operator should look at by and by."""
        self._say(logging.WARNING, event, message, exc_info, fields)

    def error(self, event: str, message: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """As `info`, for what heald could not do; `exc_info` adds the traceback of a bug."""
        self._say(logging.ERROR, event, message, exc_info, fields)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Say nothing meanwhile: what happens in a simulated world is news to nobody."""
        was_disabled, self._logger.disabled = self._logger.disabled, True
        try:
            yield
        finally:
            self._logger.disabled = was_disabled

    def _say(
        self, level: int, event: str, message: str, error: BaseException | None, fields: Mapping[str, object]
    ) -> None:
        extra = {_FIELDS: {"event": event, **fields}}
        self._logger.log(level, "%s", message, exc_info=error, extra=extra, stacklevel=3)


log = Log()
"""The one log; modules import it and never make another."""


def configure(stream: TextIO | None = None, *, form: Form | None = None) -> Form:
    """Write all lines to `stream` (stderr unless told) from now on; returns the form that was chosen.

    The form is JSON under systemd (`$JOURNAL_STREAM`) and wherever the stream is not a terminal, else coloured text.
    """
    _spare_rich()
    import structlog

    if stream is None:  # a process that was started without a stderr has none
        stream = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  # open as long as heald lives
    is_journal = _is_journal(stream)
    form = form or (Form.CONSOLE if _is_terminal(stream) and "JOURNAL_STREAM" not in os.environ else Form.JSON)
    looks: list[Processor] = [_console(stream)]
    if form is Form.CONSOLE:
        looks.insert(0, _printable)
    else:
        renderer = structlog.processors.JSONRenderer(default=_as_text)
        looks = [_Prefixed(renderer) if is_journal else renderer]
    output = _output(stream)
    output.setFormatter(_formatter(*looks))
    if is_journal and form is Form.JSON:
        output = JournalOutput(SOCKET, fallback=output)
        output.setFormatter(_formatter(_printable, lambda logger, level, line: as_datagram(line)))
    root = logging.getLogger()
    for former in root.handlers[:]:
        if isinstance(former.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(former)
    root.addHandler(output)
    root.setLevel(logging.WARNING)  # of libraries
    logging.getLogger(_OURS).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    return form


def _output(stream: TextIO) -> logging.Handler:
    try:
        stream.flush()
        return PatientOutput(stream.fileno(), say_lost=_say_lost)
    except (OSError, ValueError):  # no file of the system's, as a test's may be none
        return logging.StreamHandler(stream)


def _say_lost(lines: int) -> None:
    log.warning(
        "log_lines_lost", f"{lines} lines of this log were lost: nobody read them, or there was no room.", lines=lines
    )


def _spare_rich() -> None:
    """Import structlog without rich, which it wants for tracebacks that we do not print: 3 MB and 0.2 s a daemon."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python is told that a module is not there
    try:
        import structlog.dev  # noqa: F401  # for what it is without
    finally:
        del sys.modules["rich"]


def _formatter(*looks: "Processor") -> logging.Formatter:
    """Lays a record out, cleans it, and has the last of `looks` make a text of it."""
    from structlog.processors import format_exc_info
    from structlog.stdlib import ProcessorFormatter

    before: list[Processor] = [ProcessorFormatter.remove_processors_meta, format_exc_info, _redact]
    return ProcessorFormatter(foreign_pre_chain=[_lay_out], processors=[*before, *looks], use_get_message=True)


def _lay_out(logger: "WrappedLogger", level: str, line: "EventDict") -> "EventDict":
    """A log record as our line: the keys that every line has come first."""
    from datetime import UTC, datetime

    record: logging.LogRecord = line["_record"]
    fields = dict(getattr(record, _FIELDS, {"event": "library", "logger": record.name}))
    laid = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "level": record.levelname.lower(),
        "event": fields.pop("event"),
        "message": line["event"],
    }
    kept = {key: value for key, value in line.items() if key != "event"}  # exc_info, and what structlog itself needs
    return {**laid, **{f"{key}_" if key in laid else key: value for key, value in fields.items()}, **kept}


def _redact(logger: "WrappedLogger", level: str, line: "EventDict") -> "EventDict":
    """Mask what looks like a secret, by its key or inside any text. SecretStr renders as stars of its own accord."""
    return {key: value if key.startswith("_") else _cleaned(key, value) for key, value in line.items()}


def _cleaned(key: str, value: object, depth: int = 0) -> object:
    if _SECRET_KEY.search(key) and isinstance(value, str | bytes | Mapping | list | tuple):
        return _MASK
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(inner): _cleaned(str(inner), kept, depth + 1) for inner, kept in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_cleaned("", inner, depth + 1) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return masked(value if isinstance(value, str) else _as_text(value))


def masked(text: str) -> str:
    """A text with stars for what looks like a secret in it, for words that come from elsewhere and are kept."""
    for pattern in _SECRET_TEXTS:
        text = pattern.sub(lambda match: match["kept"] + _MASK, text)
    return text


def _as_text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _printable(logger: "WrappedLogger", level: str, line: "EventDict") -> "EventDict":
    """Show control characters instead of sending them to the terminal: a sentence may quote what a service answered."""

    def shown(value: object) -> object:
        return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value) if isinstance(value, str) else value

    return {key: value if key == "exception" else shown(value) for key, value in line.items()}


def _console(stream: TextIO) -> "Processor":
    """Time, level, sentence, facts. The event's name is for machines and left out."""
    from structlog import dev

    is_coloured = _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    levels = {"critical": dev.RED, "error": dev.RED, "warning": dev.YELLOW, "info": dev.GREEN, "debug": dev.CYAN}

    def painted(style: str, text: str) -> str:
        return f"{style}{text}{dev.RESET_ALL}" if is_coloured else text

    def level_text(key: str, value: object) -> str:
        return painted(levels.get(str(value), ""), f"{value!s:7}")

    return dev.ConsoleRenderer(
        columns=[
            dev.Column("timestamp", lambda key, value: painted(dev.DIM, str(value)[11:19])),
            dev.Column("level", level_text),
            dev.Column("message", lambda key, value: painted(dev.BRIGHT, str(value))),
            dev.Column("event", lambda key, value: ""),
            dev.Column("", lambda key, value: painted(dev.DIM, f"{key}={value}")),
        ],
    )


class _Prefixed:
    """Puts sd-daemon(3)'s priority before each line, so that `journalctl -p warning` finds what it should."""

    def __init__(self, renderer: "Processor") -> None:
        self._renderer = renderer

    def __call__(self, logger: "WrappedLogger", level: str, line: "EventDict") -> str:
        priority = PRIORITY.get(str(line.get("level")), 6)
        return f"<{priority}>{_as_text(self._renderer(logger, level, line))}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (OSError, ValueError):  # closed, or not a file at all
        return False


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream itself is the journal: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
