"""What a command writes: all of it is read, and the beginning and the end are kept."""

import asyncio
import contextlib
import os
from collections.abc import Iterator

_PIECE = 65536  # bytes; no more is in a pipe at once
STDOUT, STDERR = 1, 2


class Output:
    """The two streams of one command; leaving it closes what of them is still open."""

    def __init__(self, limit: int) -> None:
        self._kept = {STDOUT: _Kept(limit), STDERR: _Kept(limit)}
        self._open: dict[int, int] = {}  # our ends, by stream
        self._closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()  # which may be closed when this is

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        for stream in tuple(self._open):
            self._close(stream)

    @contextlib.contextmanager
    def writing(self) -> Iterator[tuple[int, int]]:
        """The ends for the command; ours are read from now on. Those of one that was not begun are done with."""
        for stream in tuple(self._open):
            self._close(stream)
        self._closed.clear()
        with contextlib.ExitStack() as theirs:
            ends = []
            for stream in self._kept:
                reading, writing = os.pipe2(os.O_CLOEXEC)
                theirs.callback(os.close, writing)
                os.set_blocking(reading, False)
                self._open[stream] = reading
                self._loop.add_reader(reading, self._read, stream)
                ends.append(writing)
            yield ends[0], ends[1]

    async def drain(self, within: float) -> None:
        """Wait for the end of the output, but not for one who holds the pipe."""
        if self._closed.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._closed.wait()

    def text(self, stream: int) -> str:
        """What was kept of a stream."""
        return self._kept[stream].text()

    def _read(self, stream: int) -> None:
        piece = os.read(self._open[stream], _PIECE)
        if piece:
            self._kept[stream].add(piece)
        else:
            self._close(stream)

    def _close(self, stream: int) -> None:
        reading = self._open.pop(stream)
        self._loop.remove_reader(reading)
        os.close(reading)
        if not self._open:
            self._closed.set()


class _Kept:
    """The beginning and the end of a stream of any length."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0  # bytes left out between the two

    def add(self, data: bytes) -> None:
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_limit:  # not at every piece: trimming moves what is kept
            self._trim()

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_limit)
        del self._tail[:surplus]
        self._cut += surplus

    def text(self) -> str:
        """As UTF-8, with U+FFFD for what is not; NUL is shown as U+2400, since neither SQL nor C likes it in text."""
        self._trim()
        if not self._cut:
            return _decode(self._head + self._tail)
        return f"{_decode(self._head)}\n[... {self._cut} bytes left out ...]\n{_decode(self._tail)}"


def _decode(data: bytes | bytearray) -> str:
    return data.decode(errors="replace").replace("\0", "\u2400")
