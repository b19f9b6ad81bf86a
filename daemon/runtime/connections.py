"""Shared clients: opened when first used, kept open, opened anew after an error, closed in order."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from daemon.errors import CheckError, SickError
from daemon.logs import log
from daemon.model.connection import Connection
from daemon.protocols import CheckContext, ConnectionType
from daemon.runtime.faults import named

_CLOSE_WITHIN = 5.0  # seconds a client may take to close; then it is left behind


@dataclass(eq=False, kw_only=True, slots=True)
class _Entry:
    """One client while somebody may use it."""

    type: ConnectionType
    name: str
    within: float  # seconds that its opening may take: the time-out of the run that began it
    opening: asyncio.Task[Any] | None = None
    client: Any = None  # what the opening brought; None until then
    users: int = 0
    is_dropped: bool = False  # nobody gets it any more; the last user closes it


@dataclass(kw_only=True, slots=True)
class Connections:
    """The clients of one process. A reload keeps those whose settings stay as they were."""

    types: Mapping[str, ConnectionType]
    configured: Mapping[str, Connection]
    _entries: dict[tuple[str, str | None], _Entry] = field(default_factory=dict)  # in the order they were opened
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    def replace(self, configured: Mapping[str, Connection]) -> None:
        """Go on with another configuration; what is in use stays open until it is not."""
        before, self.configured = self.configured, configured
        for (kind, name), entry in list(self._entries.items()):
            if name is not None and before.get(name) != configured.get(name):
                self.drop((kind, name), entry)

    def use(self, kind: str, name: str | None, context: CheckContext) -> "Use":
        """As `CheckContext.connection`."""
        return Use(self, (kind, name), context)

    def held(self, key: tuple[str, str | None]) -> tuple[_Entry, Any] | None:
        """As `take` where the client is open already, which is the usual case; None where it is not."""
        entry = self._entries.get(key)
        if entry is None or entry.client is None:
            return None
        entry.users += 1
        return entry, entry.client

    async def take(self, key: tuple[str, str | None], context: CheckContext) -> tuple[_Entry, Any]:
        """The client, opened if nobody has yet. Who comes while it is being opened waits for the same opening.

        One that failed within less time than this use may take is tried once more: a hasty run must not make a patient
        one hear of a time-out that was never its own.
        """
        while True:
            entry, is_own = self._entry(key, context)
            opening = entry.opening
            assert opening is not None  # noqa: S101  # no entry is kept without one
            entry.users += 1
            try:
                return entry, await asyncio.shield(opening)
            except BaseException as error:
                self.leave(key, entry, is_broken=_has_failed(opening))
                is_hasty = not is_own and entry.within < context.timeout and isinstance(error, CheckError | SickError)
                if not is_hasty:
                    raise

    def _entry(self, key: tuple[str, str | None], context: CheckContext) -> tuple[_Entry, bool]:
        """The entry that is there or a new one, and whether it is new."""
        if (entry := self._entries.get(key)) is not None:
            return entry, False
        options, kind = self._options(*key), self.types[key[0]]
        entry = self._entries[key] = _Entry(type=kind, name=key[1] or key[0], within=context.timeout)
        # In a task of its own: that one of those who wait loses patience is no reason to begin anew for the others.
        entry.opening = asyncio.create_task(_open(kind, options, context), name=f"connection {entry.name}")
        entry.opening.add_done_callback(lambda opening: self._opened(key, entry, opening))
        return entry, True

    def _opened(self, key: tuple[str, str | None], entry: _Entry, opening: asyncio.Task[Any]) -> None:
        """Forget an opening that failed, whoever still waits for it: the next use must not hear an old error."""
        if _has_failed(opening):
            self.drop(key, entry)
        elif entry.opening is opening:  # it was not closed meanwhile
            entry.client = opening.result()

    def leave(self, key: tuple[str, str | None], entry: _Entry, *, is_broken: bool) -> None:
        """Note that one user has ended; a broken client is opened anew by the next."""
        entry.users -= 1
        if is_broken:
            self.drop(key, entry)
        elif entry.is_dropped and not entry.users:
            self._close(entry)

    def drop(self, key: tuple[str, str | None], entry: _Entry) -> None:
        """Give a client to nobody any more, and close it once nobody uses it."""
        if self._entries.get(key) is entry:
            del self._entries[key]
        if not entry.is_dropped or not entry.users:
            entry.is_dropped = True
            if not entry.users:
                self._close(entry)

    def _options(self, kind: str, name: str | None) -> Any:
        if name is None:
            return self.types[kind].options()
        connection = self.configured.get(name)
        if connection is None:  # an attempt under way outlives the reload that removed it
            raise CheckError(f"the connection {name} is no longer configured")
        if connection.lacks is not None:
            raise CheckError(f"the connection {name} cannot be opened: {connection.lacks}")
        return connection.options

    def _close(self, entry: _Entry) -> None:
        opening, entry.opening, entry.client = entry.opening, None, None
        if opening is None:
            return
        task = asyncio.create_task(_close(entry.type, entry.name, opening), name=f"closing {entry.name}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all, the last opened first."""
        for key, entry in reversed(list(self._entries.items())):
            entry.users = 0
            self.drop(key, entry)
            await asyncio.gather(*self._closing)
        await asyncio.gather(*self._closing)  # of those that were dropped before


class Use:
    """One use of a client: an asynchronous context manager whose exit never waits."""

    __slots__ = ("_connections", "_context", "_entry", "_key")

    def __init__(self, connections: Connections, key: tuple[str, str | None], context: CheckContext) -> None:
        self._connections = connections
        self._key = key
        self._context = context
        self._entry: _Entry | None = None

    async def __aenter__(self) -> Any:
        self._entry, client = self._connections.held(self._key) or await self._connections.take(
            self._key, self._context
        )
        return client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entry is not None:
            self._connections.leave(self._key, self._entry, is_broken=error is not None)


def _has_failed(opening: asyncio.Task[Any]) -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)


async def _open(kind: ConnectionType, options: Any, context: CheckContext) -> Any:
    try:
        async with asyncio.timeout(context.timeout):
            return await kind.connect(options, context)
    except TimeoutError as error:  # the kind itself says sooner what a server's silence means
        raise CheckError(f"{kind.name} was not connected within {context.timeout:g}s") from error


async def _close(kind: ConnectionType, name: str, opening: asyncio.Task[Any]) -> None:
    """Close what an opening brought, or end the opening."""
    opening.cancel()
    try:
        client = await opening
    except BaseException as error:  # whoever waited for it heard of it; there is nothing to close
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return
    try:
        async with asyncio.timeout(_CLOSE_WITHIN):
            await kind.close(client)
    except Exception as error:  # noqa: BLE001  # a plug-in's bug: the client is left to the collector, and it is said
        log.error("connection_stays_open", f"Connection {name} could not be closed: {named(error)}.")
