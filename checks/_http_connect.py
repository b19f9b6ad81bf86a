"""A new connection for one HTTP exchange: the address, the port, TLS, each stage measured and each fault in words."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from yarl import URL

from checks._http_message import Request
from checks._names import resolve
from checks._net import Look, connect
from daemon.plugin import CheckError, SickError, translate

P = TypeVar("P", bound=asyncio.Protocol)


async def connected(request: Request, look: Look, protocol: Callable[[], P]) -> tuple[P, "Line"]:
    """A new connection to the request's host, with TLS for https. Who asks ends it by `Line.abort`.

    Raises:
        SickError: it is not taken, or the certificate is not. CheckError: we could not look.
    """
    host, port = request.url.raw_host or "", request.url.port or 0
    place = f"{host} port {port}"
    context = None
    if request.url.scheme == "https":
        with look.uncounted():
            context = await _tls(request.verify_tls, request.ca_file)
    if (addresses := look.literal(host, port)) is None:
        with look.measure("dns_seconds"):
            addresses = await resolve(host, port)
    with look.measure("connect_seconds"):
        connection = await connect(addresses, place)
    try:
        if context is None:
            transport, made = await _wrap(connection, protocol)
            return made, Line(transport, connection)
        with look.measure("tls_seconds"):
            transport, made = await _wrap(
                connection,
                protocol,
                ssl=context,
                server_hostname=_name(request.host) or host.rstrip("."),
                ssl_handshake_timeout=look.context.timeout,  # later than our own deadline
            )
        line = Line(transport, connection)
        note_expiry(line, look)
        return made, line
    except ssl.SSLCertVerificationError as error:
        raise SickError("certificate", f"the certificate is not accepted: {error.verify_message}") from error
    except OSError as error:
        raise translate(error, place) from error


class Line:
    """An open connection and the socket under it."""

    __slots__ = ("_connection", "good_until", "transport")

    def __init__(self, transport: asyncio.Transport, connection: socket.socket) -> None:
        self.transport = transport
        self._connection = connection
        certificate = transport.get_extra_info("peercert")  # empty where it was not verified
        is_known = bool(certificate) and "notAfter" in certificate
        self.good_until = ssl.cert_time_to_seconds(certificate["notAfter"]) if is_known else None  # UNIX time

    def abort(self) -> None:
        """End without waiting for the peer's goodbye."""
        if self.transport.is_closing():  # in Python 3.11.2 such a TLS cannot be aborted; its socket can be ended
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        else:
            self.transport.abort()


async def _wrap(connection: socket.socket, protocol: Callable[[], P], **tls: Any) -> tuple[asyncio.Transport, P]:
    try:
        transport, made = await asyncio.get_running_loop().create_connection(protocol, sock=connection, **tls)
        if tls:
            await asyncio.sleep(0)  # what came with the handshake's end is no answer; uvloop hands it on a step later
        return transport, made
    except BaseException:
        # The socket is asyncio's now. Cancelled before its first step it would go on with TLS: let it find the end.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        raise


def _name(host: str | None) -> str | None:
    """The name in a Host header, without a port."""
    return URL.build(scheme="http", authority=host).raw_host if host else None


def note_expiry(line: Line, look: Look) -> None:
    """Measure for how long the certificate of a TLS connection is good."""
    if line.good_until is not None:
        left = line.good_until - look.context.clock.now().timestamp()
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
