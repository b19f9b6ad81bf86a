"""What anybody may read over TCP: metrics and health pages. Nothing here changes anything."""

import asyncio
import errno
import socket
from collections.abc import Callable

from daemon.api import web
from daemon.api.bounds import Bounds
from daemon.api.scrape import body_of, coding_of
from daemon.errors import HealdError
from daemon.metrics import Metrics
from daemon.model.address import Address, parse_address

_INDEX = """heald
/metrics    metrics for Prometheus, OpenMetrics when asked for
/-/healthy  200 while heald lives
/-/ready    200 once checks run, else 503 and why
"""
_REASONS = {
    errno.EADDRINUSE: "the port is taken by another process",
    errno.EADDRNOTAVAIL: "this host has no such address",
    errno.EACCES: "not permitted; ports below 1024 need a privilege",
}


class ListenError(HealdError):
    """The address cannot be listened on; whatever was listened on before still is."""


class PageServer:
    """Metrics and health pages on one address, which a reload may change.

    `readiness` gives None once checks run, else a sentence that says why not yet, or why no longer.
    """

    def __init__(self, *, metrics: Metrics, readiness: Callable[[], str | None]) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._bounds = Bounds(
            {
                "/": {"GET": self._index},
                "/metrics": {"GET": self._show_metrics},
                "/-/healthy": {"GET": self._healthy},
                "/-/ready": {"GET": self._ready},
            },
            refuse=lambda status, sentence: web.Response(status=status, text=sentence + "\n"),
        )
        self._server: asyncio.Server | None = None
        self._asked: Address | None = None  # as it was asked for: its port may be 0
        self._rendering = asyncio.Lock()  # two scrapes at once would cost twice the memory

    @property
    def address(self) -> str | None:
        """HOST:PORT listened on, with the real port; None if nothing is."""
        if self._server is None or self._asked is None:
            return None
        port = self._server.sockets[0].getsockname()[1]
        return str(Address(host=self._asked.host, port=port))

    async def listen(self, listen: str) -> str:
        """Listen on HOST:PORT, and only then no longer where it did before; returns the real address.

        Raises:
            ListenError: with a sentence; what was listened on before still is.
        """
        try:
            wanted = parse_address(listen)
        except ValueError as error:
            raise ListenError(f"cannot listen: {error}") from error
        if self._server is None or wanted != self._asked:
            await self._move(wanted)
        return self.address or listen

    async def stop(self) -> None:
        """Stop listening and end every connection, within `STOP_SECONDS` for answers on their way."""
        if self._server is not None:
            self._server.close()
            self._server = self._asked = None
        await self._bounds.stop()

    async def _move(self, wanted: Address) -> None:
        """Open the new before closing the old; one port on two hosts can only be the other way round."""
        old, before = self._server, self._asked
        if old is not None and before is not None and wanted.port == before.port != 0:
            old.close()
            try:
                self._server = await _open(self._bounds, wanted)
            except ListenError:
                self._server = None
                self._server = await _open(self._bounds, before)
                raise
        else:
            self._server = await _open(self._bounds, wanted)
            if old is not None:
                old.close()
        self._asked = wanted

    async def _index(self, request: web.Request) -> web.Response:
        return web.Response(text=_INDEX)

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="heald lives\n")

    async def _ready(self, request: web.Request) -> web.Response:
        reason = self._readiness()
        return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ready\n")

    async def _show_metrics(self, request: web.Request) -> web.Response:
        accept = ",".join(request.headers.getall("Accept", []))
        coding = coding_of(",".join(request.headers.getall("Accept-Encoding", [])))
        page = self._metrics.page(accept)
        async with self._rendering:
            body = await body_of(page, coding)
        headers = {"Content-Type": page.content_type, **({"Content-Encoding": coding} if coding else {})}
        return web.Response(body=body, headers=headers)


async def _open(bounds: Bounds, wanted: Address) -> asyncio.Server:
    try:
        try:
            return await _create(bounds, wanted, socket.AF_UNSPEC)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return await _create(bounds, wanted, socket.AF_INET)  # localhost is ::1 too, also where IPv6 is off
    except UnicodeError as error:
        raise ListenError(f"cannot listen on {wanted}: the host is no name that can be") from error
    except socket.gaierror as error:
        raise ListenError(f"cannot listen on {wanted}: {error.strerror}") from error
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise ListenError(f"cannot listen on {wanted}: {reason}") from error


async def _create(bounds: Bounds, wanted: Address, family: socket.AddressFamily) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(bounds.protocol, wanted.host or None, wanted.port, family=family)
