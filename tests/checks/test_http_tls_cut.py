"""The http check and a TLS connection that is cut after the handshake, at any place of the answer.

What is incomplete by its length or its chunks is down, however it was cut. A body whose length is its end, cut by a FIN
without close_notify, reads as complete: servers that end this way are too many to call each of them sick.
"""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest
import trustme
from context import LocalContext
from local_servers import Talk, open_sockets, reset, serving, until
from test_http_tls import server_side

from checks import http

pytestmark = pytest.mark.usefixtures("either_speaker")

HEAD = b"HTTP/1.1 200 OK\r\n"
NOTHING = b""
STATUS_LINE = b"HTTP/1.1 2"
BY_LENGTH = HEAD + b"Content-Length: 100\r\n\r\nhalf"
IN_CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"
TO_THE_END = HEAD + b"\r\nuntil the end"

_GARBAGE = b"\x17\x03\x03\x00\x10" + b"z" * 16  # the frame of a record, with nothing that decrypts in it
_ARRIVES = 0.05  # seconds for what was sent: a reset that overtakes it would lose it
_WITHIN = 3.0  # seconds of the check's time-out
_ENOUGH = 10.0  # seconds after which a look that should have ended hangs

# What the check may say; what it read before a reset or garbage came decides between two.
_LOST = {"fin": {"closed"}, "goodbye": {"closed"}, "rst": {"reset"}, "garbage": {"tls"}}
_CUT = {
    "fin": {"incomplete"},
    "goodbye": {"incomplete"},
    "rst": {"incomplete", "reset"},
    "garbage": {"incomplete", "tls"},
}
_ENDED = {**_LOST, "fin": {""}, "goodbye": {""}}
CASES = [
    pytest.param(sent, how, words, id=f"{place}-{how}")
    for place, sent, told in (
        ("nothing", NOTHING, _LOST),
        ("status-line", STATUS_LINE, _LOST),
        ("by-length", BY_LENGTH, _CUT),
        ("in-chunks", IN_CHUNKS, _CUT),
        ("to-the-end", TO_THE_END, _ENDED),
    )
    for how, words in told.items()
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def cutting(sent: bytes, how: str) -> Talk:
    """Reads a request's head, sends the beginning of an answer, and cuts the connection below TLS, or ends it well."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        raw: socket.socket = writer.get_extra_info("socket")
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(_ARRIVES)
        if how == "rst":
            reset(writer)
        elif how == "goodbye":
            writer.close()
        else:
            if how == "garbage":
                os.write(raw.fileno(), _GARBAGE)
            else:
                raw.shutdown(socket.SHUT_WR)
            await asyncio.Event().wait()  # the server itself says no more, and does not close

    return talk


@pytest.mark.parametrize(("sent", "how", "words"), CASES)
async def test_a_connection_that_is_cut_is_told_at_once_and_by_what_it_lacks(
    authority: trustme.CA, ca_file: str, sent: bytes, how: str, words: set[str]
) -> None:
    before = open_sockets()
    async with serving(cutting(sent, how), tls=server_side(authority, "127.0.0.1")) as port:
        options = http.Options(url=f"https://127.0.0.1:{port}/", ca_file=ca_file)
        began = time.monotonic()
        async with asyncio.timeout(_ENOUGH):
            (reading,) = await http.check(options, LocalContext(timeout=_WITHIN))  # blind would be an error
        took = time.monotonic() - began
    samples = reading.samples
    assert samples["error"] in words
    assert samples["up"] == (1.0 if words == {""} else 0.0)
    assert took < _WITHIN  # an end, or what is no record, is not waited out
    await until(lambda: open_sockets() <= before)
