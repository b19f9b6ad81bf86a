"""One HTTP exchange over connections of our own making, so that every stage is measured and nothing is tried twice."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from checks._net import Look, check_host, connect, resolve
from daemon.plugin import CheckError, SickError, translate

MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)  # `look_once` has one


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked."""

    method: str
    url: URL
    headers: tuple[tuple[str, str], ...]  # the operator's own, credentials included
    host: str | None  # for the Host header and the name in TLS, instead of the URL's
    body: bytes | None
    body_limit: int  # bytes of an answer's body that are read
    follow_redirects: bool
    verify_tls: bool
    ca_file: str | None  # trusted instead of the system's authorities


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back from the last hop."""

    status: int
    body: bytes
    is_cut: bool  # the body went on behind `body_limit`
    charset: str | None


class _Handler(ResponseHandler):
    """aiohttp's side of a connection, telling when the first byte came and how the connection ended."""

    def __init__(self, look: Look) -> None:
        super().__init__(asyncio.get_running_loop())
        self.lost: BaseException | None = None  # the error that the connection ended with
        self._look: Look | None = look
        self._began = look.context.clock.steady()

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
        super().data_received(data)

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


async def fetch(request: Request, look: Look) -> Answer:
    """Ask, follow redirects, read the body up to its limit. Adds `status`, `redirects` and the body's samples.

    Raises:
        SickError: no whole answer, or redirects that cannot be followed. CheckError: we could not look.
    """
    connector = _Connector()
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_NO_TIMEOUT, trust_env=False
    )
    async with session:
        for redirects in range(MOST_REDIRECTS + 1):
            look.samples["redirects"] = float(redirects)
            async with _open(request, look) as handler:
                connector.ready = handler
                answer, location = await _ask(session, request, look, handler)
            if answer is not None:
                return answer
            request = _redirected(request, int(look.samples["status"]), location)
    raise SickError("redirects", f"more than {MOST_REDIRECTS} redirects")


@contextlib.asynccontextmanager
async def _open(request: Request, look: Look) -> AsyncIterator[_Handler]:
    """A new connection to the request's host, with TLS for https; aborted at the end, whatever came of it."""
    host, port = request.url.raw_host or "", request.url.port or 0
    place = f"{host} port {port}"
    context = None
    if request.url.scheme == "https":
        with look.uncounted():
            context = await _tls(request.verify_tls, request.ca_file)
    with look.measure("dns_seconds"):
        addresses = await resolve(host, port)
    with look.measure("connect_seconds"):
        connection = await connect(addresses, place)
    try:
        if context is None:
            transport, handler = await _wrap(connection, look)
        else:
            with look.measure("tls_seconds"):
                transport, handler = await _wrap(
                    connection,
                    look,
                    ssl=context,
                    server_hostname=_name(request.host) or host.rstrip("."),
                    ssl_handshake_timeout=look.context.timeout,  # later than our own deadline
                )
            _note_expiry(transport, look)
    except ssl.SSLCertVerificationError as error:
        raise SickError("certificate", f"the certificate is not accepted: {error.verify_message}") from error
    except OSError as error:
        raise translate(error, place) from error
    try:
        yield handler
    finally:
        _abort(transport, connection)


def _abort(transport: asyncio.Transport, connection: socket.socket) -> None:
    """End without waiting for the peer's goodbye."""
    if transport.is_closing():  # what cannot be aborted in Python 3.11.2, if it is TLS; its socket can always be ended
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    else:
        transport.abort()


async def _wrap(connection: socket.socket, look: Look, **tls: Any) -> tuple[asyncio.Transport, _Handler]:
    try:
        return await asyncio.get_running_loop().create_connection(lambda: _Handler(look), sock=connection, **tls)
    except BaseException:
        # The socket is asyncio's now. Cancelled before its first step it would go on with TLS: let it find the end.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        raise


async def _ask(
    session: aiohttp.ClientSession, request: Request, look: Look, handler: _Handler
) -> tuple[Answer | None, str]:
    """Send the request and read the answer, or only the Location of a redirect that is to be followed."""
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
        if request.follow_redirects and response.status in _REDIRECTS and location is not None:
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


def _redirected(request: Request, status: int, location: str) -> Request:
    """The next request. To another origin go no headers, credentials, body or host name of the operator's."""
    try:
        url = request.url.join(URL(location)).with_fragment(None)
        if url.scheme not in ("http", "https"):
            raise ValueError("neither http nor https")
        check_host(url.raw_host or "")
        url = url.with_user(None)
    except ValueError as error:
        raise SickError("redirects", "a redirect leads to what is no http or https URL") from error
    method, body = request.method, request.body
    # RFC 9110 section 15.4: 303 turns into GET; 301 and 302 turn POST into GET, as every client does.
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
    if url.origin() == request.url.origin():
        return replace(request, url=url, method=method, body=body)
    if body is not None:
        raise SickError("redirects", "a redirect would carry the request's body to another origin")
    return replace(request, url=url, method=method, body=None, headers=(), host=None)


def _name(host: str | None) -> str | None:
    """The name in a Host header, without a port."""
    return URL.build(scheme="http", authority=host).raw_host if host else None


def _note_expiry(transport: asyncio.BaseTransport, look: Look) -> None:
    certificate = transport.get_extra_info("peercert")  # empty where it was not verified
    if certificate and "notAfter" in certificate:
        left = ssl.cert_time_to_seconds(certificate["notAfter"]) - look.context.clock.now().timestamp()
        name = "certificate_expires_seconds"
        look.samples[name] = min(left, float(look.samples.get(name, left)))


_contexts: dict[tuple[bool, str | None], tuple[object, ssl.SSLContext]] = {}  # reading the authorities takes 30 ms


async def _tls(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    """What TLS trusts, read again when the file changes. Raises CheckError if it cannot be read."""
    try:
        return await asyncio.to_thread(_known, verify, ca_file)  # a file may lie on a disk that does not answer
    except OSError as error:  # ssl.SSLError too: not a PEM file
        raise CheckError(f"cannot read the authorities in {ca_file or 'the system store'}: {error.strerror}") from error


def _known(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    version: object = None
    file = ca_file or ssl.get_default_verify_paths().cafile
    if verify and file is not None:
        status = Path(file).stat()
        version = status.st_mtime_ns, status.st_size, status.st_ino
    known = _contexts.get((verify, ca_file))
    if known is None or known[0] != version:
        known = _contexts[verify, ca_file] = (version, _build(verify, ca_file))
    return known[1]


def _build(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    if verify:
        context = ssl.create_default_context(cafile=ca_file)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
