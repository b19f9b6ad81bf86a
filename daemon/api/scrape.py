"""The metrics page, made in short turns on the loop.

Made in a thread, the page would take turns with the loop for the interpreter and win every one of them for a moment;
here the loop never waits for it longer than one turn. A turn is measured by what it makes: on a host with too much to
do a few milliseconds of the clock are next to none of work, and the page would never come to its end.
"""

import asyncio
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.metrics.page import Page

TURN = 2**18  # characters: 3 000 lines, 3 to 10 ms
_ROUNDS = 3  # of the loop between two turns: who waits for a timer is woken in the third, and not two turns later
_CONTAINERS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_LEVEL = 1  # a third of the time of the usual 6, and a sixth more bytes


def coding_of(accept_encoding: str) -> str | None:
    """How the body is packed: as one of the codings that a client named, or not at all."""
    named = {part.partition(";")[0].strip().lower(): part for part in accept_encoding.split(",")}
    return next((coding for coding in _CONTAINERS if coding in named and not _is_refused(named[coding])), None)


def _is_refused(part: str) -> bool:
    _, _, quality = part.replace(" ", "").lower().partition(";q=")
    return quality != "" and not quality.strip("0.")


async def body_of(page: "Page", coding: str | None) -> bytes:
    """The whole page, packed. Memory: of what was packed, and of one turn before it is."""
    packing = zlib.compressobj(_LEVEL, wbits=_CONTAINERS[coding]) if coding is not None else None
    packed = []
    for text in _turns(await asyncio.to_thread(page.host), page.rows()):
        packed.append(packing.compress(text.encode()) if packing is not None else text.encode())
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
    if packing is not None:
        packed.append(packing.flush())
    return b"".join(packed)


def _turns(host: str, rows: Iterator[str]) -> Iterator[str]:
    """The page in pieces, each of one turn."""
    made, size = [host], len(host)
    for row in rows:
        made.append(row)
        size += len(row)
        if size >= TURN:
            yield "".join(made)
            made, size = [], 0
    yield "".join(made)
