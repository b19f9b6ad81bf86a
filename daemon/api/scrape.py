"""The metrics page, made in short turns on the loop and packed beside it.

Made in a thread, the page would take turns with the loop for the interpreter and win every one of them for a moment;
here the loop never waits for it longer than one turn.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Sequence

from daemon.metrics import Page

TURN = 0.004  # seconds of the loop at a time
_CONTAINERS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def coding_of(accept_encoding: str) -> str | None:
    """How the body is packed: as one of the codings that a client named, or not at all."""
    named = {part.partition(";")[0].strip().lower(): part for part in accept_encoding.split(",")}
    return next((coding for coding in _CONTAINERS if coding in named and not _is_refused(named[coding])), None)


def _is_refused(part: str) -> bool:
    _, _, quality = part.replace(" ", "").lower().partition(";q=")
    return quality != "" and not quality.strip("0.")


async def body_of(page: Page, coding: str | None) -> bytes:
    """The whole page, packed. Memory: of what was packed, and of one turn before it is."""
    pieces = _Pieces(coding)
    rows, began = [await asyncio.to_thread(page.host)], time.perf_counter()
    for row in page.rows():
        rows.append(row)
        if time.perf_counter() - began > TURN:
            await asyncio.to_thread(pieces.add, rows)
            rows, began = [], time.perf_counter()
    return await asyncio.to_thread(pieces.end, rows)


class _Pieces:
    """What is packed already."""

    def __init__(self, coding: str | None) -> None:
        packing = zlib.compressobj(wbits=_CONTAINERS[coding]) if coding is not None else None
        self._pack: Callable[[bytes], bytes] = packing.compress if packing is not None else bytes
        self._flush: Callable[[], bytes] = packing.flush if packing is not None else bytes
        self._packed: list[bytes] = []

    def add(self, rows: Sequence[str]) -> None:
        """Pack these; zlib works without the interpreter."""
        self._packed.append(self._pack("".join(rows).encode()))

    def end(self, rows: Sequence[str]) -> bytes:
        """Pack these, the last ones; the body."""
        self.add(rows)
        return b"".join([*self._packed, self._flush()])
