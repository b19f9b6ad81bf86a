"""The http check against servers that lie, dawdle and hang up."""

import asyncio
import random
import zlib
from typing import Any

import pytest
from context import LocalContext
from local_servers import answering, open_sockets, refusing_port, reset, resetting, serving, silent, until

from checks import http

pytestmark = pytest.mark.usefixtures("either_speaker")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


async def look(port: int, timeout: float = 5.0, **options: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/"
    return dict((await http.check(http.Options(url=url, **options), LocalContext(timeout=timeout)))[0].samples)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 2", "closed"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", "incomplete"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "incomplete"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", "malformed"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n", "malformed"),
        (OK + b"Content-Length: 5\r\n\r\nhello and more than was promised", "malformed"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", "incomplete"),
        (OK + b"Content-Length: -5\r\n\r\n", "malformed"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "malformed"),
        (OK + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n", "malformed"),
        (OK + b"".join(b"X-%d: y\r\n" % number for number in range(10_000)) + b"\r\n", "malformed"),
        (OK + b"no colon here\r\n\r\n", "malformed"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "malformed"),
        (b"<html>hello</html>\r\n\r\n", "malformed"),
        (b"HTTP/1.1 999999 what\r\n\r\n", "malformed"),
        (b"\x00\xff\x16\x03" * 100, "malformed"),
    ],
)
async def test_an_answer_that_is_none_is_down(answer: bytes, error: str) -> None:
    async with serving(answering(answer)) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"]) == (0.0, error)
    assert "latency_seconds" not in samples


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nuntil the end",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 5\r\n\r\nhello",
    ],
)
async def test_an_odd_but_whole_answer_is_up(answer: bytes) -> None:
    async with serving(answering(answer)) as port:
        samples = await look(port)
    assert (samples["up"], samples["status"]) == (1.0, 200.0)


@pytest.mark.parametrize("status", [b"000", b"007", b"099"])
async def test_a_status_that_there_cannot_be_is_no_interim_answer(status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b" what\r\nContent-Length: 2\r\n\r\nok"
    async with serving(answering(answer, then_wait=True)) as port:
        assert (await look(port, timeout=3.0))["error"] in {"malformed", "status"}  # and is not waited for


async def test_nobody_listening_is_refused() -> None:
    samples = await look(refusing_port())
    assert (samples["up"], samples["error"]) == (0.0, "refused")
    assert "connect_seconds" not in samples


async def test_a_reset_before_the_answer_is_down() -> None:
    async with serving(resetting) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"]) == (0.0, "reset")


@pytest.mark.parametrize(
    ("head", "error"),
    [(b"Content-Length: 100\r\n", "incomplete"), (b"Transfer-Encoding: chunked\r\n", "incomplete"), (b"", "reset")],
)
async def test_a_reset_in_the_body_is_down_with_its_status_known(head: bytes, error: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + head + b"\r\n5\r\nhello")
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    async with serving(talk) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"], samples["status"]) == (0.0, error, 200.0)


async def test_a_senseless_chunk_later_in_the_body_is_seen_at_once() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"zz\r\nhello\r\n")
        await asyncio.Event().wait()

    async with serving(talk) as port:
        samples = await look(port)
    assert (samples["up"], samples["error"], samples["status"]) == (0.0, "malformed", 200.0)


async def test_a_reset_after_a_whole_answer_is_no_fault() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 5\r\n\r\nhello")
        await writer.drain()
        reset(writer)

    async with serving(talk) as port:
        assert (await look(port))["up"] == 1.0


async def test_a_cut_connection_is_not_tried_again() -> None:
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")

    async with serving(talk) as port:
        samples = await look(port)
    assert (samples["error"], asked) == ("closed", 1)


async def test_silence_is_a_reading_just_before_the_run_would_be_cancelled() -> None:
    async with serving(silent) as port:
        async with asyncio.timeout(1):  # as the daemon does
            samples = await look(port, timeout=1)
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"] == "nothing within 0.95s while waiting for the first byte"
    assert samples["connect_seconds"] < 0.9
    assert "first_byte_seconds" not in samples


@pytest.mark.parametrize(
    ("begin", "error_in"),
    [
        (b"", "waiting for the first byte"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", "reading the answer"),
        (OK + b"Content-Length: 1000000\r\n\r\n", "reading the answer"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", "reading the answer"),
    ],
)
async def test_an_answer_that_drips_ends_at_the_deadline(begin: bytes, error_in: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while begin:
            writer.write(b"1\r\nx\r\n" if b"chunked" in begin else b"x")
            await writer.drain()
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()

    async with serving(talk) as port:
        samples = await look(port, timeout=0.3)
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"].endswith(error_in)


async def test_an_endless_body_is_read_only_to_its_limit() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    async with serving(talk) as port:
        samples = await look(port, body_limit="100000B")
    assert (samples["up"], samples["body_bytes"], samples["truncated"]) == (1.0, 100_000.0, True)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        pytest.param(b"", INTERIM, id="interim answers"),
        pytest.param(b"", b"\r\n", id="empty lines"),
        pytest.param(OK, b"X: y\r\n", id="headers"),
        pytest.param(CHUNKED + b"5;", b"a=b;", id="an extension"),
        pytest.param(CHUNKED, b"0", id="a length"),
        pytest.param(CHUNKED, b"1;" + b"a" * 8000 + b"\r\nx\r\n", id="extensions"),
        pytest.param(CHUNKED + b"2\r\nok\r\n0\r\n", b"X: y\r\n", id="trailers"),
    ],
)
async def test_what_never_ends_and_is_no_body_is_not_waited_out(begin: bytes, more: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        while True:
            writer.write(more * (8192 // len(more) + 1))
            await writer.drain()

    async with serving(talk) as port:
        assert (await look(port, timeout=10.0))["error"] == "malformed"


async def test_a_body_in_crumbs_is_read_whole() -> None:
    async with serving(answering(CHUNKED + b"1;a=b\r\nx\r\n" * 50_000 + b"0\r\n\r\n")) as port:
        samples = await look(port)
    assert (samples["error"], samples["body_bytes"]) == ("", 50_000.0)


async def test_a_packed_body_that_unpacks_to_no_more_than_it_is_is_read_whole() -> None:
    noise = random.Random(7).randbytes(2**20)
    packed = zlib.compressobj(9, wbits=31)
    body = packed.compress(noise) + packed.flush()
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(answering(head + body)) as port:
        samples = await look(port)
    assert (samples["error"], samples["body_bytes"], samples["truncated"]) == ("", 2.0**20, False)


async def test_a_decompression_bomb_is_read_only_to_its_limit() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush()
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with serving(answering(head + bomb)) as port:
        samples = await look(port)
    assert (samples["body_bytes"], samples["truncated"]) == (2.0**20, True)
    assert samples["latency_seconds"] < 2


async def test_a_slow_first_byte_is_measured_as_such() -> None:
    async with serving(answering(OK + b"Content-Length: 0\r\n\r\n", before=0.3)) as port:
        samples = await look(port)
    assert 0.3 <= samples["first_byte_seconds"] < 1
    assert samples["connect_seconds"] < 0.25
    assert samples["latency_seconds"] >= samples["first_byte_seconds"]


async def test_a_slow_body_counts_for_the_whole_and_not_for_the_first_byte() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"H")
        for part in (OK[1:], b"Content-Length: 2\r\n\r\na", b"b"):
            await asyncio.sleep(0.09)
            writer.write(part)
        await writer.drain()
        await reader.read()

    async with serving(talk) as port:
        samples = await look(port)
    assert samples["up"] == 1.0
    assert samples["first_byte_seconds"] < 0.25
    assert samples["latency_seconds"] >= 0.27


async def test_stages_of_several_connections_are_added_up() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n"
    async with (
        serving(answering(OK + b"Content-Length: 0\r\n\r\n", before=0.09)) as last,
        serving(answering(moved % last, before=0.09)) as first,
    ):
        samples = await look(first)
    assert (samples["up"], samples["redirects"]) == (1.0, 1.0)
    assert 0.18 <= samples["first_byte_seconds"] < 1


async def test_what_a_server_sends_is_in_no_text_of_the_reading() -> None:
    for answer in (b"hunter2 hunter2\r\n\r\n", OK + b"hunter2\r\n\r\n", OK + b"Content-Length: 7\r\n\r\nhunter2"):
        async with serving(answering(answer)) as port:
            samples = await look(port, expect_json={"a": 1}, expect_body="no", bearer="hunter2")
        assert samples["up"] == 0.0
        assert "hunter2" not in repr(samples)


async def test_a_deeply_nested_json_answer_is_no_json() -> None:
    body = b"[" * 200_000
    async with serving(answering(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as port:
        assert (await look(port, expect_json={"a": 1}))["error"] == "json"


@pytest.mark.parametrize("charset", [b"punycode", b"zlib", b"nonsense", b"\xff", b"utf-8"])
async def test_any_charset_that_a_server_names_is_survived(charset: bytes) -> None:
    head = OK + b"Content-Type: text/plain; charset=" + charset + b"\r\nContent-Length: 5\r\n\r\n"
    async with serving(answering(head + b"hello")) as port:
        assert (await look(port, expect_body="hello"))["up"] == 1.0


async def test_whatever_a_server_sends_there_is_a_reading() -> None:
    chance = random.Random(7)
    seed = OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    for _ in range(150):
        answer = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(answer))
            answer[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        async with serving(answering(bytes(answer))) as port:
            samples = await look(port, timeout=1, expect_json={"a": 1})
        assert samples["up"] in (0.0, 1.0)
        assert (samples["error"] == "") == (samples["up"] == 1.0)


async def test_a_cancelled_run_leaves_no_socket_open() -> None:
    async with serving(silent) as port:
        before = open_sockets()
        for wait in (0.0, 0.001, 0.002, 0.005, 0.05):
            task = asyncio.create_task(look(port))
            await asyncio.sleep(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        # Ours are gone; the server's own ends go when it has seen that.
        await until(lambda: len(open_sockets() - before) <= 5)
    await until(lambda: open_sockets() <= before)
