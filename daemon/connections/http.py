"""Connections that `http` checks with `keep_alive: true` leave open for their next runs.

Checks find it without a name, and it needs no settings. A connection is to one origin, with one set of TLS options, and
carries one run at a time. One that is idle for too long is closed when another becomes idle, and so is the oldest
beyond the most; what a server closes meanwhile is made anew by the next run.

It needs no rights.
"""

import asyncio
from collections.abc import Hashable
from typing import Protocol

from daemon.plugin import CheckContext, Duration, Field, OptionsModel

EXAMPLE = """
connections:
  few: {http: {most: 10, idle: 1m}}
checks:
  shop: {http: {url: "http://shop.example/health", keep_alive: true, connection: few}, every: 15s}
"""
_SWEEPS = 5  # looks for what has been idle too long, in the time after which it is


class Options(OptionsModel):
    """How much is kept."""

    idle: Duration = Field(
        default=300.0, gt=0, description="How long a connection may be idle. Web servers often end it after 75s."
    )
    most: int = Field(default=1000, ge=1, le=100_000, description="Most idle connections.")


class Connection(Protocol):
    """What is kept: an HTTP connection between two exchanges."""

    is_open: bool

    def close(self) -> None:
        """End it."""
        ...


class Kept:
    """Idle connections by place."""

    def __init__(self, idle: float, most: int) -> None:
        self._longest = idle  # seconds
        self._most = most
        self._idle: dict[int, tuple[Hashable, Connection, float]] = {}  # by serial, so the oldest first
        self._places: dict[Hashable, list[int]] = {}  # the serials of a place, the oldest first
        self._serial = 0
        self._now = asyncio.get_running_loop().time
        self._swept = self._now()
        self._is_closed = False

    def take(self, key: Hashable) -> Connection | None:
        """The newest to this place that is open; nobody else gets it."""
        serials = self._places.get(key)
        while serials:
            _, connection, _ = self._idle.pop(serials.pop())
            if not serials:
                del self._places[key]
            if connection.is_open:
                return connection
        return None

    def give(self, key: Hashable, connection: Connection) -> None:
        """Let others have it."""
        if self._is_closed:
            connection.close()
            return
        now = self._now()
        if now - self._swept > self._longest / _SWEEPS:
            self._sweep(now)
        if len(self._idle) >= self._most:
            self._drop(next(iter(self._idle)))
        self._serial = serial = self._serial + 1
        self._idle[serial] = (key, connection, now)
        self._places.setdefault(key, []).append(serial)

    def close(self) -> None:
        """End them all; what is given back later is ended then."""
        self._is_closed = True
        for serial in list(self._idle):
            self._drop(serial)

    def _sweep(self, now: float) -> None:
        self._swept = now
        for serial, (_, connection, since) in list(self._idle.items()):
            if now - since > self._longest or not connection.is_open:
                self._drop(serial)

    def _drop(self, serial: int) -> None:
        key, connection, _ = self._idle.pop(serial)
        serials = self._places[key]
        serials.remove(serial)
        if not serials:
            del self._places[key]
        connection.close()


async def connect(options: Options, context: CheckContext) -> Kept:
    """An empty store of connections."""
    return Kept(options.idle, options.most)


async def close(client: Kept) -> None:
    """End every idle connection."""
    client.close()
