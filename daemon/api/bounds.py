"""What keeps a client from costing the daemon more than a request may: counts, times and sizes of both servers."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from daemon.errors import HealdError
from daemon.logs import log

CONNECTIONS = 64  # open at once; one more closes those that are silent or do not take their answer
IN_FLIGHT = 16  # requests at once; one more is refused with 503
REQUEST_SECONDS = 10.0  # for reading a request, and for answering one that changes nothing
REQUEST_BYTES = 65536  # of a body
IDLE_SECONDS = 75.0  # between two requests of one connection
STOP_SECONDS = 2.0  # for answers on their way when the server stops

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[int, str], web.Response]


class Bounds:
    """One server's bounds, and its refusals: `refuse` makes a response of a status and a sentence for people."""

    def __init__(self, *, refuse: Refuse) -> None:
        self.app = web.Application(client_max_size=REQUEST_BYTES, middlewares=[self._guard])
        self.runner = web.AppRunner(
            self.app, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=STOP_SECONDS
        )
        self._refuse = refuse
        self._busy: set[object] = set()  # the protocols of requests in flight

    def protocol(self) -> asyncio.Protocol:
        """A new connection's protocol, for `create_server`; connections without a request in flight make room."""
        server = self.runner.server
        if server is None:
            raise RuntimeError("the server was not set up, or was stopped")
        if len(server.connections) >= CONNECTIONS:
            for connection in server.connections:
                if connection not in self._busy and isinstance(connection.transport, asyncio.Transport):
                    connection.transport.abort()
        return server()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if len(self._busy) >= IN_FLIGHT:
            return self._refuse(503, "too many requests at once; ask again later")
        self._busy.add(request.protocol)
        try:
            return await self._answer(request, handler)
        except TimeoutError:
            return self._refuse(503, f"heald could not read or answer this within {REQUEST_SECONDS:g} seconds")
        except web.HTTPException as error:
            refusal = self._refuse(error.status, f"{request.method} {request.path}: {error.reason}")
            if "Allow" in error.headers:
                refusal.headers["Allow"] = error.headers["Allow"]
            return refusal
        except HealdError as error:
            return self._refuse(503, str(error))
        except Exception as error:  # noqa: BLE001  # one bad answer must not end the connection without a word
            log.error("request_failed", f"{request.method} {request.path} failed inside heald.", exc_info=error)
            return self._refuse(500, f"heald failed to answer ({type(error).__name__}); its log says more")
        finally:
            self._busy.discard(request.protocol)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Read within time; answer within time what only reads. What changes something is never cut in the middle."""
        async with asyncio.timeout(REQUEST_SECONDS):
            await request.read()
            if request.method in ("GET", "HEAD"):
                return await handler(request)
        return await handler(request)
