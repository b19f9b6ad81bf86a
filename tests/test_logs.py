"""Logs: what a line holds, in both forms, and what it never shows."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.logs import Form, configure, log

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    root, ours = logging.getLogger(), logging.getLogger("heald")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def one_line(**fields: object) -> dict[str, object]:
    stream = io.StringIO()
    configure(stream)
    log.info("something_changed", "Something changed.", **fields)
    (line,) = lines_of(stream)
    return line


def in_a_terminal(script: str, environment: dict[str, str] | None = None) -> str:
    """What a script writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", **(environment or {})}
    child = subprocess.Popen(
        [sys.executable, "-c", f"from daemon.logs import configure, log; {script}"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stderr=theirs,
        env={name: value for name, value in variables.items() if name != "NO_COLOR" or value},
    )
    os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 4096):
            written += block
    except OSError:  # EIO: the other end is closed, which is how a terminal ends
        pass
    os.close(ours)
    assert child.wait() == 0
    return written.decode()


def test_a_line_is_one_json_object_with_time_level_event_and_sentence() -> None:
    line = one_line(rule="api-down", seconds=1.5)
    assert list(line)[:4] == ["timestamp", "level", "event", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["timestamp"]))
    assert (line["level"], line["event"], line["message"]) == ("info", "something_changed", "Something changed.")
    assert (line["rule"], line["seconds"]) == ("api-down", 1.5)


def test_a_field_cannot_displace_what_every_line_has() -> None:
    line = one_line(level="high", timestamp=5)
    assert line["level"] == "info"
    assert (line["level_"], line["timestamp_"]) == ("high", 5)


def test_levels_are_named_and_debug_is_not_written() -> None:
    stream = io.StringIO()
    configure(stream)
    log.debug("a", "No.")
    log.info("b", "Info.")
    log.warning("c", "Warning.")
    log.error("d", "Error.")
    assert [(line["level"], line["event"]) for line in lines_of(stream)] == [
        ("info", "b"),
        ("warning", "c"),
        ("error", "d"),
    ]


def test_an_error_carries_its_traceback_without_local_variables() -> None:
    stream = io.StringIO()
    configure(stream)
    try:
        hidden = str(2**77)
        int("x" + hidden[:0])
    except ValueError as error:
        log.error("bug", "There is a bug.", exc_info=error)
    (line,) = lines_of(stream)
    assert "ValueError: invalid literal" in str(line["exception"])
    assert hidden not in str(line["exception"])
    assert "exc_info" not in line


def test_a_sentence_with_a_percent_sign_is_written_as_it_is() -> None:
    stream = io.StringIO()
    configure(stream)
    log.info("disk", "The disk is 85% full, %s and all.")
    assert lines_of(stream)[0]["message"] == "The disk is 85% full, %s and all."


@pytest.mark.parametrize(
    "key",
    ["password", "db_passwd", "auth_token", "Authorization", "client_secret", "api_key", "apikey", "cookie", "dsn"],
)
def test_a_field_named_like_a_secret_is_masked(key: str) -> None:
    assert one_line(**{key: "hunter2"})[key] == "**********"


def test_secrets_in_nested_fields_are_masked() -> None:
    line = one_line(details={"headers": [{"Authorization": "Bearer hunter2hunter2"}], "password": {"old": "hunter2"}})
    assert "hunter2" not in json.dumps(line)
    assert line["details"] == {"headers": [{"Authorization": "**********"}], "password": "**********"}


def test_a_secret_string_is_never_shown() -> None:
    assert one_line(value=SecretStr("hunter2"))["value"] == "**********"


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to postgres://heald:hunter2@db:5432/x",
        "sent Authorization: Bearer hunter2hunter2",
        "sent {'Authorization': 'Basic hunter2'}",
        "a Bearer hunter2hunter2 was refused",
        "the answer was password=hunter2, sorry",
        "token: hunter2",
    ],
)
def test_a_secret_inside_a_sentence_is_masked(text: str) -> None:
    stream = io.StringIO()
    configure(stream)
    log.info("said", text, detail=[text])
    log.error("failed", "It failed.", exc_info=RuntimeError(text))
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("**********") >= 3


def test_an_ordinary_sentence_is_not_masked() -> None:
    text = "Rule tokens-low on http://localhost:8000/health?x=1 is firing: latency_seconds = 7 s, basic health fails."
    stream = io.StringIO()
    configure(stream)
    log.info("said", text)
    assert lines_of(stream)[0]["message"] == text


def test_libraries_and_warnings_take_the_same_way() -> None:
    stream = io.StringIO()
    configure(stream)
    logging.getLogger("asyncio").warning("Executing %s took too long", "it")
    logging.getLogger("asyncio").info("not this")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    first, second = lines_of(stream)
    assert (first["event"], first["logger"], first["message"]) == ("library", "asyncio", "Executing it took too long")
    assert second["logger"] == "py.warnings"
    assert "old thing" in str(second["message"])


def test_configuring_twice_writes_every_line_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(first)
    configure(second)
    log.info("once", "Once.")
    assert first.getvalue() == ""
    assert len(lines_of(second)) == 1


def test_what_json_does_not_know_is_written_as_text() -> None:
    line = one_line(path=Path("/run/x"), raw=b"abc", items={"only"})
    assert (line["path"], line["raw"], line["items"]) == ("/run/x", "abc", ["only"])


def test_a_line_stays_one_line_whatever_a_service_answered() -> None:
    for form in Form:
        stream = io.StringIO()
        configure(stream, form=form)
        log.info("said", "It said\n\x1b[2Jhello\r\n", body="a\x00b\u2028c")
        assert len(stream.getvalue().splitlines()) == 1
        assert "\x1b[2J" not in stream.getvalue()
        assert "\x00" not in stream.getvalue()


def test_a_stream_that_is_no_terminal_gets_json() -> None:
    assert configure(io.StringIO()) is Form.JSON


def test_a_terminal_gets_coloured_sentences_without_event_names() -> None:
    written = in_a_terminal("configure(); log.warning('some_event', 'It is so.', rule='api-down')")
    assert "It is so." in written
    assert "rule=api-down" in written
    assert "some_event" not in written
    assert "\x1b[" in written
    assert "{" not in written


def test_no_color_is_respected_on_a_terminal() -> None:
    written = in_a_terminal("configure(); log.warning('some_event', 'It is so.')", {"NO_COLOR": "1"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning It is so\.\s*", written)


def test_a_terminal_under_systemd_gets_json() -> None:
    written = in_a_terminal("configure(); log.info('some_event', 'It is so.')", {"JOURNAL_STREAM": "8:9"})
    assert json.loads(written)["event"] == "some_event"


def test_lines_that_the_journal_does_not_take_carry_their_priority_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.logs.SOCKET", str(tmp_path / "none"))
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure(stream)
        log.error("bad", "Bad.")
        log.info("good", "Good.")
        stream.seek(0)
        first, second = stream.read().splitlines()
    assert first.startswith('<3>{"timestamp"')
    assert second.startswith('<6>{"timestamp"')
    assert json.loads(second[3:])["message"] == "Good."


def test_importing_the_log_does_not_import_structlog() -> None:
    script = "import sys, daemon.logs; print('structlog' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == "False\n"


def test_before_it_is_configured_only_warnings_are_seen_and_stdout_stays_clean() -> None:
    script = "from daemon.logs import log; log.info('a', 'Quiet.'); log.warning('b', 'Loud.')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout, done.stderr) == ("", "Loud.\n")
