"""Whatever bytes come in whatever pieces: an answer or a fault in time, never more than was asked for kept.

The bytes go to the reading of an answer without a network in between; tests/checks/test_http_lies.py has the servers.
"""

import asyncio
import itertools
import zlib
from typing import Any

import pytest
from context import LocalContext
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from checks._http_message import Request
from checks._http_reading import MOST_BYTES, GoneError, Reading
from checks._net import Look
from daemon.errors import SickError

LIMIT = 50  # body_limit
WORDS = ("closed", "incomplete", "malformed", "reset")

HEADERS = st.sampled_from(
    [
        b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 500", b"Content-Length: -1",
        b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Connection: close",
        b"Connection: upgrade", b"Upgrade: websocket", b"Location: /x", b"Location: \xff\xfe", b"Location:",
        b"Content-Type: text/plain; charset=\xff", b"X: " + b"y" * 300, b"no colon", b": no name", b" folded", b"",
    ]
)  # fmt: skip
STATUS = st.sampled_from([b"100", b"101", b"103", b"199", b"200", b"204", b"301", b"304", b"500", b"999", b"20", b""])
BODY = st.sampled_from(
    [
        b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5;" + b"x" * 100 + b"\r\nhello\r\n", b"1\r\nx\r\n" * 60,
        b"0\r\nTrailer: t\r\n\r\n", b"x" * 200, zlib.compress(b"y" * 1000), zlib.compress(b"y" * 1000)[2:-4],
        b"\x1f\x8b\x08", b"fffffffffffffffff\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    ]
)  # fmt: skip
ANSWER = st.builds(
    lambda version, status, headers, body: b"%s %s x\r\n%s\r\n\r\n%s" % (version, status, b"\r\n".join(headers), body),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"ICY"]),
    STATUS,
    st.lists(HEADERS, max_size=4),
    BODY,
)
BYTES = st.one_of(st.lists(ANSWER | BODY | st.binary(max_size=12), max_size=4).map(b"".join), st.binary(max_size=60))


def request(method: str) -> Request:
    return Request(
        method=method, url=URL("http://shop.example/"), headers=(), host=None, body=None, body_limit=LIMIT,
        follow_redirects=True, verify_tls=True, ca_file=None,
    )  # fmt: skip


def read(method: str, pieces: list[bytes], end: Exception | None) -> tuple[Any, ...]:
    """What comes of these pieces and this end: a word or the answer, and how many bytes were taken."""

    async def inner() -> tuple[Any, ...]:
        reading = Reading(request(method), Look(LocalContext()), is_first=True)
        taken = 0
        for piece in pieces:
            if reading.done.done():
                break
            taken += len(piece)
            reading.feed(piece)
        reading.end(end)
        assert reading.done.done(), "it would wait for ever"
        assert len(reading.body) <= LIMIT
        fault = reading.done.exception()
        if fault is not None:
            assert isinstance(fault, SickError), repr(fault)
            assert fault.word in WORDS
            assert not reading.keeps
            return fault.word, taken
        answer = reading.answer()
        assert not (reading.keeps and reading.is_cut)
        return answer.status, answer.body, answer.is_cut, reading.location, taken

    return asyncio.run(inner())


@given(method=st.sampled_from(["GET", "HEAD"]), data=BYTES, cuts=st.sets(st.integers(0, 80)), is_reset=st.booleans())
@example(method="GET", data=b"HTTP/1.1 200 OK\r\n\r\n", cuts=set(), is_reset=True)
@example(method="HEAD", data=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", cuts={3}, is_reset=False)
def test_an_answer_is_the_same_however_it_is_cut_to_pieces(
    method: str, data: bytes, cuts: set[int], is_reset: bool
) -> None:
    end = ConnectionResetError() if is_reset else None
    places = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    pieces = [data[one:other] for one, other in itertools.pairwise(places) if one != other]
    whole, cut = read(method, [data] if data else [], end), read(method, pieces, end)
    if whole[:-1] != cut[:-1]:  # nobody reads what comes behind a whole answer, but if it comes along with it
        assert (whole[0], cut[-1] < len(data)) == ("malformed", True), (whole, cut)


@given(start=ANSWER, more=st.sampled_from([b"X: y\r\n", b"x", b"0;", b"\r\n", b"HTTP/1.1 100 x\r\n\r\n"]))
def test_what_never_ends_ends_within_a_bound(start: bytes, more: bytes) -> None:
    async def inner() -> int:
        reading = Reading(request("GET"), Look(LocalContext()), is_first=True)
        reading.feed(start)
        fed = 0
        while not reading.done.done() and fed < 4 * MOST_BYTES:
            piece = more * (4096 // len(more))
            reading.feed(piece)
            fed += len(piece)
        if reading.done.done():
            reading.done.exception()
        return fed

    assert asyncio.run(inner()) <= MOST_BYTES + 2 * 4096


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate: well-formed, and nothing in it


@pytest.mark.parametrize("start", [zlib.compress(b"ok"), b"\x78\x9c"], ids=["behind its end", "before its end"])
def test_a_packed_body_that_goes_on_and_holds_nothing_ends_within_a_bound(start: bytes) -> None:
    async def inner() -> tuple[int, str]:
        reading = Reading(request("GET"), Look(LocalContext()), is_first=True)
        reading.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" + start)
        fed = 0
        while not reading.done.done() and fed < 4 * MOST_BYTES:
            reading.feed(EMPTY_BLOCK * 1000)
            fed += len(EMPTY_BLOCK) * 1000
        fault = reading.done.exception()
        assert isinstance(fault, SickError)
        return fed, fault.word

    fed, word = asyncio.run(inner())
    assert fed <= MOST_BYTES + 2 * 5000
    assert word == "malformed"


@given(data=BYTES)
def test_only_silence_on_a_kept_connection_is_a_reason_to_ask_again(data: bytes) -> None:
    async def inner() -> BaseException | None:
        reading = Reading(request("GET"), Look(LocalContext()), is_first=False)
        if data:
            reading.feed(data)
        reading.end(None)
        return reading.done.exception()

    assert isinstance(asyncio.run(inner()), GoneError) == (not data)
