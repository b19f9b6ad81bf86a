"""One HTTP exchange through aiohttp, over a connection of our own making, so that nothing is tried twice."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from checks._http_connect import connected
from checks._http_message import REDIRECTS, Answer, Request
from checks._http_reading import MOST_AROUND, MOST_BYTES
from checks._net import Look
from daemon.plugin import SickError, translate

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)  # `look_once` has one


class _Handler(ResponseHandler):
    """aiohttp's side of a connection, telling when the first byte came and how the connection ended."""

    def __init__(self, look: Look) -> None:
        super().__init__(asyncio.get_running_loop())
        self.lost: BaseException | None = None  # the error that the connection ended with
        self._look: Look | None = look
        self._began = look.context.clock.steady()
        self._quiet = 0  # as that of our own `Reading`: aiohttp lets a server go on with what is no body for ever
        self._is_over = False  # for that reason

    def begin(self) -> None:
        """The request is sent from here on."""
        if self._look is not None:  # else the peer spoke before it was asked
            self._look.stage = "first_byte_seconds"
            self._began = self._look.context.clock.steady()

    def data_received(self, data: bytes) -> None:
        if data and self._look is not None:
            self._look.add("first_byte_seconds", self._look.context.clock.steady() - self._began)
            self._look.stage = ""
            self._look = None
        if self._is_over:
            return
        body = self._payload
        had = body.total_bytes if body is not None else 0
        super().data_received(data)
        grown = self._payload.total_bytes if self._payload is not None else 0
        if self._payload is body:
            grown -= had
        self._quiet = max(0, self._quiet + len(data) - MOST_AROUND * grown)
        if self._quiet > MOST_BYTES and not self._reading_paused:  # else it has some that it did not unpack yet
            self._is_over = True
            self._buffer.clear()  # interim answers, thousands of which it would look at without a pause
            self.set_exception(HttpProcessingError(message="too much that is no body"))

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        # aiohttp does not tell the reader of a body that its next chunk made no sense: it would wait for ever.
        if self._payload is not None and not self._payload.is_eof() and self._payload.exception() is None:
            self._payload.set_exception(exc, *cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost = exc
        super().connection_lost(exc)


class _Connector(aiohttp.BaseConnector):
    """Gives aiohttp the one connection that we opened."""

    def __init__(self) -> None:
        super().__init__(force_close=True)
        self.ready: ResponseHandler | None = None

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        handler, self.ready = self.ready, None
        if handler is None:
            raise aiohttp.ClientConnectionError("one connection carries one request")
        return handler


async def ask(request: Request, look: Look) -> tuple[Answer | None, str]:
    """Send the request and read the answer, or only the Location of a redirect that is to be followed.

    Raises:
        SickError: no whole answer. CheckError: we could not look.
    """
    handler, line = await connected(request, look, lambda: _Handler(look))
    connector = _Connector()
    connector.ready = handler
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_NO_TIMEOUT, trust_env=False
    )
    try:
        async with session:
            return await _ask(session, request, look, handler)
    finally:
        line.abort()


async def _ask(
    session: aiohttp.ClientSession, request: Request, look: Look, handler: _Handler
) -> tuple[Answer | None, str]:
    place = f"{request.url.raw_host} port {request.url.port}"

    async def once(sent: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        # aiohttp sends an idempotent request again where the connection was cut. We would not see the fault: an error
        # that is not aiohttp's own ends it.
        with _translated(place):
            handler.begin()
            return await send(sent)

    headers = CIMultiDict({"User-Agent": "heald", "Accept-Encoding": "identity"})
    headers.update(request.headers)
    if request.host is not None:
        headers["Host"] = request.host
    async with session.request(
        request.method, request.url, headers=headers, data=request.body, allow_redirects=False, middlewares=(once,)
    ) as response:
        look.samples["status"] = float(response.status)
        location = response.headers.get("Location")
        if request.follow_redirects and response.status in REDIRECTS and location is not None:
            return None, location
        body = bytearray()
        with _translated(place):
            while len(body) <= request.body_limit and (part := await response.content.readany()):
                body += part
            has_length = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
            if isinstance(handler.lost, OSError) and not has_length:
                raise handler.lost  # such a body ends where the connection is closed, not where it is cut
        look.answered()
        is_cut = len(body) > request.body_limit
        del body[request.body_limit :]
        look.samples["body_bytes"] = float(len(body))
        look.samples["truncated"] = is_cut
        return Answer(status=response.status, body=bytes(body), is_cut=is_cut, charset=response.charset), ""


@contextlib.contextmanager
def _translated(place: str) -> Iterator[None]:
    # The texts are ours: aiohttp's quote what the target sent.
    try:
        yield
    except aiohttp.ServerDisconnectedError as error:
        raise SickError("closed", "the connection was closed without an answer") from error
    except aiohttp.ClientPayloadError as error:
        raise SickError("incomplete", "the answer ended too early, or its body is not what its head says") from error
    except OSError as error:
        cause = error.__cause__
        raise translate(cause if isinstance(cause, OSError) else error, place) from error
    except (aiohttp.ClientError, HttpProcessingError) as error:
        raise SickError("malformed", "the answer is not HTTP") from error
