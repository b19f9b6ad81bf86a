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
        self._idle: dict[Hashable, list[tuple[Connection, float]]] = {}
        self._count = 0
        self._now = asyncio.get_running_loop().time
        self._swept = self._now()
        self._is_closed = False

    def take(self, key: Hashable) -> Connection | None:
        """The newest to this place that is open; nobody else gets it."""
        idle = self._idle.get(key)
        while idle:
            connection, _ = idle.pop()
            self._count -= 1
            if not idle:
                del self._idle[key]
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
        if self._count >= self._most:
            self._drop(next(iter(self._idle)))
        self._idle.setdefault(key, []).append((connection, now))
        self._count += 1

    def close(self) -> None:
        """End them all; what is given back later is ended then."""
        self._is_closed = True
        for key in list(self._idle):
            self._drop(key)

    def _sweep(self, now: float) -> None:
        self._swept = now
        for key, idle in list(self._idle.items()):
            if all(now - since > self._longest or not connection.is_open for connection, since in idle):
                self._drop(key)

    def _drop(self, key: Hashable) -> None:
        for connection, _ in self._idle.pop(key):
            self._count -= 1
            connection.close()


async def connect(options: Options, context: CheckContext) -> Kept:
    """An empty store of connections."""
    return Kept(options.idle, options.most)


async def close(client: Kept) -> None:
    """End every idle connection."""
    client.close()
