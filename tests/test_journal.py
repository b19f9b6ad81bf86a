"""The journal's own protocol, read from a socket as the journal reads it."""

import io
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.journal import JournalOutput, as_datagram
from daemon.logs import configure, log


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("heald")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


class Journal:
    """What listens at the journal's socket, and the stderr beside it."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "socket")
        self.stderr = (folder / "stderr").open("w+")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(5)

    def entry(self) -> dict[str, str]:
        """The fields of the next entry."""
        left, fields = self._socket.recv(2**20), {}
        while left:
            line, left = left.split(b"\n", 1)
            name, is_text, value = line.partition(b"=")
            if not is_text:
                size = int.from_bytes(left[:8], "little")
                value, end, left = left[8 : 8 + size], left[8 + size : 9 + size], left[9 + size :]
                assert end == b"\n"
            fields[name.decode("ascii")] = value.decode()
        return fields

    def written(self) -> list[str]:
        """The lines on stderr."""
        self.stderr.seek(0)
        return self.stderr.read().splitlines()

    def close(self) -> None:
        self.stderr.close()
        self._socket.close()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    listening = Journal(tmp_path)
    status = os.fstat(listening.stderr.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    monkeypatch.setattr("daemon.logs.SOCKET", listening.address)
    configure(listening.stderr)
    yield listening
    listening.close()


def test_every_fact_of_a_line_is_a_field(journal: Journal) -> None:
    log.warning("attempt_failed", "It did not help.", service="web", tries=2, until=None, of=["a", "b"])
    assert journal.entry() == {
        "MESSAGE": "It did not help.",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "heald",
        "HEALD_EVENT": "attempt_failed",
        "HEALD_SERVICE": "web",
        "HEALD_TRIES": "2",
        "HEALD_UNTIL": "null",
        "HEALD_OF": '["a", "b"]',
    }
    assert journal.written() == []


def test_a_traceback_is_in_the_message_where_people_look(journal: Journal) -> None:
    log.error("bug", "A bug.", exc_info=ValueError("wrong"))
    entry = journal.entry()
    assert entry["MESSAGE"].splitlines()[0] == "A bug."
    assert entry["MESSAGE"].splitlines()[-1] == "ValueError: wrong"
    assert entry["PRIORITY"] == "3"


def test_no_text_of_others_can_forge_a_field_or_a_line(journal: Journal) -> None:
    named: dict[str, Any] = {"or=\nSO": "d"}
    log.info("said", "It said: a\nPRIORITY=0\x1b[2J", answer="b\nMESSAGE=c", **named)
    entry = journal.entry()
    assert entry["MESSAGE"] == "It said: a\\nPRIORITY=0\\x1b[2J"
    assert (entry["PRIORITY"], entry["HEALD_ANSWER"], entry["HEALD_OR__SO"]) == ("6", "b\\nMESSAGE=c", "d")


def test_secrets_are_masked_there_too(journal: Journal) -> None:
    log.info("said", "Connected to postgres://shop:hunter2@db.", password="hunter2")
    entry = journal.entry()
    assert "hunter2" not in str(entry)
    assert entry["MESSAGE"] == "Connected to postgres://shop:**********@db."


def test_any_text_arrives(journal: Journal) -> None:
    named: dict[str, Any] = {"a" * 100: "b"}
    log.info("said", "Größe \u4f60\U0001f600", **named)
    entry = journal.entry()
    assert entry["MESSAGE"] == "Größe \u4f60\U0001f600"
    assert entry["HEALD_" + "A" * 58] == "b"  # the journal drops longer names


def test_what_is_no_text_is_marked() -> None:
    assert as_datagram({"message": "a \udcff"}).startswith("MESSAGE=a ?\n")


def test_lines_of_libraries_come_the_same_way(journal: Journal) -> None:
    logging.getLogger("aiohttp.access").warning("slow")
    entry = journal.entry()
    assert (entry["MESSAGE"], entry["HEALD_EVENT"], entry["HEALD_LOGGER"]) == ("slow", "library", "aiohttp.access")


def test_what_is_too_large_for_a_datagram_goes_to_stderr(journal: Journal) -> None:
    log.info("said", "x" * 2**20)
    log.info("said", "Small.")
    assert journal.entry()["MESSAGE"] == "Small."
    [line] = journal.written()
    assert line.startswith("<6>")
    assert len(json.loads(line[3:])["message"]) == 2**20


def test_without_a_journal_nothing_is_lost(tmp_path: Path) -> None:
    stream = io.StringIO()
    output = JournalOutput(str(tmp_path / "none"), fallback=logging.StreamHandler(stream))
    output.handle(logging.LogRecord("heald", logging.INFO, "", 0, "kept", (), None))
    assert stream.getvalue() == "kept\n"


def test_a_stderr_that_is_not_the_journal_gets_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:9")
    with (tmp_path / "stderr").open("w+") as stream:
        configure(stream)
        log.info("said", "Here.")
        stream.seek(0)
        assert json.loads(stream.read())["event"] == "said"


def test_a_journal_that_hangs_costs_a_second_once_and_the_lines_go_to_stderr(journal: Journal) -> None:
    seconds, number = [], 0
    while len(journal.written()) < 5:
        began = time.monotonic()
        log.info("hangs", f"line {number}")
        seconds.append(time.monotonic() - began)
        number += 1
    assert len([each for each in seconds if each > 0.5]) == 1
    sent = number - 5
    assert [journal.entry()["MESSAGE"] for _ in range(sent)] == [f"line {each}" for each in range(sent)]
    log.info("reads", "again")
    assert journal.entry()["MESSAGE"] == "again"
