"""The log's output: a reader who stops costs lines, and no more than a second of the daemon's time."""

import json
import logging
import os
import pty
import socket
import time
from collections.abc import Iterator

import pytest

from daemon.log_output import PatientOutput
from daemon.logs import configure, log

LINE = "x" * 3000
LONG = "y" * 300_000  # more than a pipe or a socket holds


class Reader:
    """One end of a pipe or of a pair of sockets, read only when it is asked to."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self.descriptor, self.theirs = os.pipe()
        else:
            self.descriptor, self.theirs = (end.detach() for end in socket.socketpair())

    def read(self) -> str:
        os.set_blocking(self.descriptor, False)
        pieces = []
        try:
            while piece := os.read(self.descriptor, 1 << 20):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces).decode()

    def close(self) -> None:
        for descriptor in (self.descriptor, self.theirs):
            os.close(descriptor)


@pytest.fixture(params=["pipe", "socket"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    reader = Reader(request.param)
    yield reader
    reader.close()


def output(reader: Reader, lost: list[int]) -> PatientOutput:
    return PatientOutput(reader.theirs, say_lost=lost.append)


def write(handler: logging.Handler, text: str) -> float:
    """Write a line; the seconds it took."""
    began = time.monotonic()
    handler.handle(logging.LogRecord("heald", logging.INFO, "", 0, text, (), None))
    return time.monotonic() - began


def test_lines_are_written_whole_and_in_order(reader: Reader) -> None:
    handler = output(reader, [])
    for number in range(10):
        write(handler, f"line {number} é")
    assert reader.read() == "".join(f"line {number} é\n" for number in range(10))


def test_a_reader_who_stopped_costs_a_second_once_and_says_what_was_lost(reader: Reader) -> None:
    lost: list[int] = []
    handler = output(reader, lost)
    seconds = [write(handler, LINE) for _ in range(200)]
    slow = [each for each in seconds if each > 0.5]
    assert len(slow) == 1
    assert slow[0] < 5.0
    kept = reader.read().splitlines()
    assert set(kept[:-1]) == {LINE}
    assert LINE.startswith(kept[-1])
    assert lost == []
    write(handler, "read again")
    assert reader.read().splitlines()[-1] == "read again"
    assert lost == [200 - kept.count(LINE)]


def test_a_line_that_was_cut_is_ended_before_the_next(reader: Reader) -> None:
    handler = output(reader, [])
    write(handler, LONG)
    write(handler, "lost as a whole")
    cut = reader.read()
    assert 0 < len(cut) < len(LONG)
    assert LONG.startswith(cut)
    write(handler, "the next")
    assert reader.read() == "\nthe next\n"
    write(handler, "and one")
    assert reader.read() == "and one\n"


def test_the_descriptor_stays_as_others_know_it(reader: Reader) -> None:
    output(reader, [])
    assert os.get_blocking(reader.theirs)


def test_a_terminal_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = pty.openpty()
    lost: list[int] = []
    handler = PatientOutput(theirs, say_lost=lost.append)
    seconds = [write(handler, "z" * 700) for _ in range(60)]  # it is writable while it has room for a byte
    waits = [each for each in seconds if each > 0.5]
    assert len(waits) in (1, 2)  # the kernel may make room once more, as it hands on to the reader's side what it took
    os.set_blocking(ours, False)
    while True:
        try:
            os.read(ours, 65536)
        except BlockingIOError:
            break
    write(handler, "read again")
    assert lost
    assert os.read(ours, 65536).endswith(b"read again\r\n")
    assert os.get_blocking(theirs)
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_reader_who_is_gone_ends_nothing() -> None:
    reader = Reader("pipe")
    lost: list[int] = []
    handler = output(reader, lost)
    os.close(reader.descriptor)
    assert write(handler, "nobody") < 5.0
    assert write(handler, "nobody") < 5.0
    os.close(reader.theirs)
    assert lost == []


def test_the_log_says_itself_that_lines_were_lost(reader: Reader) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        with os.fdopen(reader.theirs, "w", closefd=False) as stream:
            configure(stream)
            for _ in range(200):
                log.info("noise", LINE)
            reader.read()
            log.info("read", "again")
        *_, again, lost = (json.loads(line) for line in reader.read().splitlines() if line)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        logging.captureWarnings(capture=False)
    assert (again["event"], lost["event"], lost["level"]) == ("read", "log_lines_lost", "warning")
    assert 0 < lost["lines"] < 200
    assert lost["message"] == f"{lost['lines']} lines of this log were lost: nobody read them, or there was no room."
