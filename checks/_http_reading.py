"""One HTTP/1.1 answer while it comes in: httptools reads, we count, so that nothing a server sends makes it grow.

A head, and whatever else is no body, has at most 64 KiB, and as much again as a body in small chunks may need around
it; a body is read, and unpacked, up to `body_limit`.
"""

import asyncio
import re
import zlib

import httptools

from checks._http_message import REDIRECTS, Answer, Request
from checks._net import Look
from daemon.plugin import SickError, translate

MOST_BYTES = 65536  # that are no body: a head, what stands between chunks, trailers
MOST_AROUND = 64  # more of them, for each byte of a body: a chunk of one byte has five, and may have an extension
_MOST_INTERIM = 16  # 1xx answers before the one that counts
_CHARSET = re.compile(rb"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_PACKED = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # and zlib's wbits
_UNKNOWN = frozenset({b"br", b"zstd", b"compress"})  # nobody asked for these


class GoneError(Exception):
    """A kept connection was closed before a byte of the answer came: a server may do that at any time."""


class Reading:
    """One answer while it comes in; the parser calls its `on_...`."""

    __slots__ = (
        "_began",
        "_error",
        "_has_begun",
        "_headers",
        "_interim",
        "_is_first",
        "_is_interim",
        "_is_whole",
        "_look",
        "_packing",
        "_parser",
        "_quiet",
        "_request",
        "_status",
        "_unpacker",
        "body",
        "done",
        "is_cut",
        "keeps",
        "location",
    )

    def __init__(self, request: Request, look: Look, *, is_first: bool) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.location: str | None = None  # of a redirect that is to be followed
        self.keeps = False  # the connection may carry another exchange
        self.is_cut = False
        self.body = bytearray()
        self._request = request
        self._look = look
        self._is_first = is_first
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # RFC 9112 section 2.2 allows it
        self._began = look.context.clock.steady()
        self._status = 0  # 0: no head came yet
        self._headers: dict[bytes, bytes] = {}
        self._unpacker: zlib._Decompress | None = None
        self._packing: int | None = None
        self._quiet = 0  # bytes that brought no body, as far as the body since does not excuse them
        self._interim = 0
        self._is_interim = False
        self._is_whole = False  # nothing of the answer is wanted any more
        self._error: BaseException | None = None
        self._has_begun = False
        look.stage = "first_byte_seconds"

    def answer(self) -> Answer:
        """The whole of it."""
        kind = self._headers.get(b"content-type")
        found = _CHARSET.search(kind) if kind and b"=" in kind else None
        charset = found[1].decode("latin-1") if found else None
        return Answer(status=self._status, body=bytes(self.body), is_cut=self.is_cut, charset=charset)

    # ---- the connection's side ----------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The peer said this."""
        if self.done.done():
            self.keeps = False  # more than was asked for
            return
        if not self._has_begun:
            self._has_begun = True
            self._look.add("first_byte_seconds", self._look.context.clock.steady() - self._began)
            self._look.stage = ""
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._error = error.__context__ or error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_whole or self.keeps:  # behind the head of a HEAD or a redirect it may read what it likes
                self._fail_malformed()
        if self._is_whole and self._error is None:
            self.done.set_result(None)
            return
        if self._error is None and self._quiet > MOST_BYTES:
            self._fail_malformed()
        if self._error is not None:
            self.keeps = False
            self.done.set_exception(self._error)

    def end(self, error: Exception | None) -> None:
        """The connection is gone."""
        if self.done.done():
            return
        if not self._status:
            if not self._is_first and not self._has_begun:
                self.done.set_exception(GoneError())
            elif isinstance(error, OSError):
                self.done.set_exception(translate(error, self._request.place))
            else:
                self.done.set_exception(SickError("closed", "the connection was closed without an answer"))
        elif b"content-length" in self._headers or b"transfer-encoding" in self._headers:
            self.done.set_exception(_incomplete())
        elif isinstance(error, OSError):  # such a body ends where the connection is closed, not where it is cut
            self.done.set_exception(translate(error, self._request.place))
        elif self._unpacker is not None and not self._unpacker.eof:
            self.done.set_exception(_incomplete())
        else:
            self.done.set_result(None)

    def _fail_malformed(self) -> None:
        self._error = SickError("malformed", "the answer is not HTTP")

    # ---- the parser's side --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Another answer begins: after a whole one, nobody asked for it."""
        if self._is_whole and self._error is None and not (self.is_cut or self.location):
            self._fail_malformed()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which counts for nothing."""
        if not self._status:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self._is_whole:
            return
        status = self._parser.get_status_code()
        if status < 100:  # no status of HTTP's: as an interim answer it would have us wait for another
            self._fail_malformed()
            return
        if status < 200:
            self._interim += 1
            self._is_interim = True
            self._headers.clear()
            if status == 101 or self._interim > _MOST_INTERIM:
                self._fail_malformed()
            return
        self._status = status
        self._look.samples["status"] = float(status)
        request, headers = self._request, self._headers
        if status in REDIRECTS and request.follow_redirects and b"location" in headers:
            self.location, self._is_whole = headers[b"location"].decode("utf-8", "surrogateescape"), True
        elif request.method == "HEAD":
            self.keeps, self._is_whole = self._parser.should_keep_alive(), True
        if b"content-encoding" in headers:
            encoding = headers[b"content-encoding"].strip().lower()
            self._packing = _PACKED.get(encoding)
            if encoding in _UNKNOWN and not self._is_whole:
                self._error = _incomplete()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self._is_whole or self._is_interim:
            return
        body, most = self.body, self._request.body_limit
        had = len(body)
        try:
            body += data if self._packing is None else self._unpacked(data, most + 1 - had)
        except zlib.error:
            self._error = self._error or _incomplete()
        length = len(body)
        if length > had:  # what unpacks to nothing is no body, else it could go on for ever
            self._quiet = max(0, self._quiet - MOST_AROUND * (length - had))
        if length > most:
            del body[most:]
            self.is_cut = self._is_whole = True

    def _unpacked(self, data: bytes, most: int) -> bytes:
        if self._unpacker is None:
            is_raw = self._packing == 15 and data[0] & 0x0F != 8  # many servers call that deflate
            self._unpacker = zlib.decompressobj(-15 if is_raw else self._packing or 15)
        if self._unpacker.eof:  # zlib would keep what comes behind, and copy it all at every piece
            return b""
        return self._unpacker.decompress(data, most)

    def on_message_complete(self) -> None:
        """The answer is whole; an interim one makes room for the next."""
        if self._is_interim:
            self._is_interim = False
        elif not self._is_whole:
            self._is_whole = True
            self.keeps = self._parser.should_keep_alive()
            if self._unpacker is not None and not self._unpacker.eof:
                self._error = self._error or _incomplete()


def _incomplete() -> SickError:
    return SickError("incomplete", "the answer ended too early, or its body is not what its head says")
