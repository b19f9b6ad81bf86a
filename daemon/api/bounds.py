"""What keeps a client from costing the daemon more than a request may: counts, times and sizes of both servers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from daemon.api import web
from daemon.errors import HealdError
from daemon.logs import log

CONNECTIONS = 64  # open at once; one more closes those that are silent or do not take their answer
IN_FLIGHT = 16  # requests at once; one more is refused with 503
REQUEST_SECONDS = 10.0  # for reading a request, and for answering one that changes nothing
REQUEST_BYTES = 65536  # of a body
IDLE_SECONDS = 75.0  # between two requests of one connection
STOP_SECONDS = 2.0  # for answers on their way when the server stops

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[int, str], web.Response]
Routes = Mapping[str, Mapping[str, Answer]]
"""By path, and by method: HEAD is answered as GET."""


class Bounds:
    """One server's bounds, and its refusals: `refuse` makes a response of a status and a sentence for people."""

    def __init__(self, routes: Routes, *, refuse: Refuse) -> None:
        self._routes = routes
        self._refuse = refuse
        self._server: web.Server | None = None
        self._busy: set[object] = set()  # the protocols of requests in flight

    def protocol(self) -> asyncio.Protocol:
        """A new connection's protocol, for `create_server`; connections without a request in flight make room."""
        server = self._server
        if server is None:
            server = self._server = web.Server(
                self._guard, request_factory=_request, access_log=None, keepalive_timeout=IDLE_SECONDS
            )
        if len(server.connections) >= CONNECTIONS:
            for connection in server.connections:
                if connection not in self._busy and isinstance(connection.transport, asyncio.Transport):
                    connection.transport.abort()
        return server()

    async def stop(self) -> None:
        """End every connection; answers on their way have `STOP_SECONDS`."""
        if (server := self._server) is not None:
            await asyncio.sleep(0)  # requests that came in by now are handled
            server.pre_shutdown()
            await server.shutdown(STOP_SECONDS)
            self._server = None

    async def _guard(self, request: web.Request) -> web.StreamResponse:
        if len(self._busy) >= IN_FLIGHT:
            return self._refuse(503, "too many requests at once; ask again later")
        self._busy.add(request.protocol)
        try:
            return await self._answer(request, self._who_answers(request))
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

    def _who_answers(self, request: web.Request) -> Answer:
        """Who answers. Raises HTTPNotFound, HTTPMethodNotAllowed."""
        by_method = self._routes.get(request.path)
        if by_method is None:
            raise web.HTTPNotFound
        answer = by_method.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            allowed = {*by_method, "HEAD"} if "GET" in by_method else {*by_method}
            raise web.HTTPMethodNotAllowed(request.method, allowed)
        return answer

    async def _answer(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Read within time; answer within time what only reads. What changes something is never cut in the middle."""
        async with asyncio.timeout(REQUEST_SECONDS):
            await request.read()
            if request.method in ("GET", "HEAD"):
                return await answer(request)
        return await answer(request)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: "asyncio.Task[None]") -> web.Request:
    """A request whose body is bounded; the types of what it is made of are aiohttp's own."""
    loop = asyncio.get_running_loop()
    return web.Request(message, payload, protocol, writer, task, loop, client_max_size=REQUEST_BYTES)
