"""The tcp check against servers that answer, lie, dawdle and hang up."""

import asyncio
import socket
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from context import LocalContext
from local_servers import Talk, open_sockets, refusing_port, resetting, serving, silent, until

from checks import tcp
from checks._net import Look


async def look(port: int, host: str = "127.0.0.1", timeout: float = 5.0, **options: Any) -> dict[str, Any]:
    readings = await tcp.check(tcp.Options(host=host, port=port, **options), LocalContext(timeout=timeout))
    assert [reading.subject for reading in readings] == [""]
    return dict(readings[0].samples)


def saying(*parts: bytes, pause: float = 0.0, then_wait: bool = False) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            await asyncio.sleep(pause)
            writer.write(part)
            await writer.drain()
        if then_wait:
            await asyncio.Event().wait()
        writer.close()
        await writer.wait_closed()

    return talk


async def redis_like(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers PING as Redis does."""
    writer.write(b"+PONG\r\n" if await reader.readline() == b"PING\r\n" else b"-ERR unknown command\r\n")
    await writer.drain()
    await reader.read()


async def test_an_open_port_is_up_with_its_stages_measured() -> None:
    async with serving(silent) as port:
        samples = await look(port)
    assert samples["up"] == 1.0
    assert isinstance(samples["up"], float)
    assert (samples["error"], samples["detail"]) == ("", "")
    assert 0 < samples["dns_seconds"] + samples["connect_seconds"] <= samples["latency_seconds"] < 1
    assert set(samples) <= {spec.name for spec in tcp.SAMPLES}


async def test_an_address_is_not_waited_for_and_seconds_are_whole_nanoseconds() -> None:
    async with serving(silent) as port:
        samples, named = await look(port), await look(port, host="localhost")
    assert samples["dns_seconds"] == 0.0 < named["dns_seconds"]
    for found in (samples, named):
        seconds = [value for name, value in found.items() if name.endswith("_seconds")]
        assert seconds == [round(value, 9) for value in seconds]


def test_a_sum_of_seconds_is_whole_nanoseconds_too() -> None:
    looking = Look(LocalContext())
    looking.add("connect_seconds", 0.1)
    looking.add("connect_seconds", 0.2)
    assert looking.samples == {"connect_seconds": 0.3}


async def test_a_port_of_this_host_is_looked_at_without_a_wait() -> None:
    async with serving(silent) as port:
        looking = tcp.check(tcp.Options(host="127.0.0.1", port=port), LocalContext(timeout=5.0))
        with pytest.raises(StopIteration) as seen:
            looking.send(None)
    (reading,) = seen.value.value
    assert reading.samples["up"] == 1.0
    refused = tcp.check(tcp.Options(host="127.0.0.1", port=refusing_port()), LocalContext(timeout=5.0))
    with pytest.raises(StopIteration) as seen:
        refused.send(None)
    assert seen.value.value[0].samples["error"] == "refused"


async def test_a_closed_port_is_refused() -> None:
    samples = await look(refusing_port())
    assert (samples["up"], samples["error"], samples["detail"]) == (0.0, "refused", "the connection was refused")
    assert "latency_seconds" not in samples


async def test_a_name_with_several_addresses_is_up_if_one_of_them_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def both(host: str, *rest: Any) -> Any:  # a name service that knows a dead address first
        if host == "two.example":
            return [entry for known in ("127.0.0.2", "127.0.0.1") for entry in real(known, *rest)]
        return real(host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", both)
    async with serving(silent) as port:
        before = open_sockets()
        assert (await look(port, "two.example"))["up"] == 1.0
        await until(lambda: len(open_sockets() - before) <= 1)  # the server's own end
    assert (await look(refusing_port(), "two.example"))["error"] == "refused"


async def test_localhost_is_looked_up() -> None:
    async with serving(silent) as port:
        assert (await look(port, "localhost"))["up"] == 1.0


async def test_what_is_sent_and_expected_is_exchanged() -> None:
    async with serving(redis_like) as port:
        samples = await look(port, send="PING\r\n", expect="+PONG")
        wrong = await look(port, send="PONG\r\n", expect="+PONG", timeout=0.3)
    assert samples["up"] == 1.0
    assert 0 < samples["first_byte_seconds"] < 1
    assert (wrong["up"], wrong["error"]) == (0.0, "timeout")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"expect": "220 mail"}, ""),
        ({"expect": "ready\r\n"}, ""),
        ({"expect": "220 .*"}, "unexpected"),
        ({"expect_regex": r"^220 .* ready\r\n$"}, ""),
        ({"expect_regex": r"^421"}, "unexpected"),
        ({"expect": "421"}, "unexpected"),
    ],
)
async def test_a_greeting_is_judged_however_it_is_cut_into_packets(options: dict[str, Any], error: str) -> None:
    async with serving(saying(b"220 ma", b"il.exam", b"ple rea", b"dy\r\n", pause=0.01)) as port:
        samples = await look(port, **options)
    assert (samples["error"], samples["up"]) == (error, 0.0 if error else 1.0)


async def test_a_connection_closed_without_a_word_is_down_if_one_is_expected() -> None:
    async with serving(saying()) as port:
        samples = await look(port, expect="220")
        assert (await look(port))["up"] == 1.0
    assert (samples["up"], samples["error"]) == (0.0, "closed")
    assert "first_byte_seconds" not in samples


async def test_a_reset_before_the_answer_is_down() -> None:
    async with serving(resetting) as port:
        samples = await look(port, expect="220")
    assert (samples["up"], samples["error"]) == (0.0, "reset")


async def test_silence_is_a_reading_just_before_the_run_would_be_cancelled() -> None:
    async with serving(silent) as port:
        async with asyncio.timeout(1):  # as the daemon does
            samples = await look(port, expect="220", timeout=1)
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"] == "nothing within 0.95s while waiting for the first byte"
    assert samples["connect_seconds"] < 0.9


async def test_a_port_whose_queue_is_full_is_a_timeout_while_connecting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.1", port))]  # the one place in the queue
        samples = await look(port, timeout=0.3)
        for connection in waiting:
            connection.close()
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"].endswith("while connecting")
    assert "connect_seconds" not in samples


async def test_a_peer_that_does_not_read_is_a_timeout_while_sending() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with serving(talk) as port:
        samples = await look(port, timeout=0.5, send="x" * 50_000_000)
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert samples["detail"].endswith("while sending")


async def test_an_endless_answer_is_read_only_to_its_limit() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(talk) as port:
        samples = await look(port, expect="220")
    assert (samples["up"], samples["error"]) == (0.0, "unexpected")
    assert samples["detail"] == "what is expected is not in the first 16384 bytes of the answer"


async def test_a_slow_first_byte_is_measured_as_such() -> None:
    async with serving(saying(b"220", pause=0.3)) as port:
        samples = await look(port, expect="220")
    assert 0.29 <= samples["first_byte_seconds"] < 1  # the pause begins with the connection, a little before ours
    assert samples["connect_seconds"] < 0.25


async def test_a_port_that_nobody_listens_on_is_never_connected_to_itself() -> None:
    # A connection from port P to port P of one host opens by itself. The kernel picks P by chance, so P is bound here.
    port = refusing_port()
    itself = socket.socket()
    itself.setblocking(False)
    itself.bind(("127.0.0.1", port))
    made = []

    def bound(*_: object) -> socket.socket:
        made.append(itself)
        return itself

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("checks._net._Socket", bound)
        samples = await look(port)
    assert made == [itself]
    assert (samples["up"], samples["error"]) == (0.0, "refused")
    assert itself.fileno() == -1


async def test_what_a_server_sends_is_in_no_text_of_the_reading() -> None:
    async with serving(saying(b"hunter2\r\n")) as port:
        samples = await look(port, send="hunter2", expect="220")
    assert samples["up"] == 0.0
    assert "hunter2" not in repr(samples)


async def test_a_cancelled_run_leaves_no_socket_open() -> None:
    async with serving(silent) as port:
        before = open_sockets()
        for wait in (0.0, 0.001, 0.05):
            task = asyncio.create_task(look(port, expect="220"))
            await asyncio.sleep(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await until(lambda: len(open_sockets() - before) <= 3)
    await until(lambda: open_sockets() <= before)


async def test_a_run_blocks_the_loop_nowhere() -> None:
    async with serving(silent) as port:
        with blockbuster_ctx():
            assert (await look(port, "localhost"))["up"] == 1.0
