"""A real Redis: healthy, killed, silent, out of places, refusing, and with a user who may not look."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from checks import redis as redis_check
from daemon.errors import CheckError
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context, shared
from tests.lab.redis import LabRedis, free_port, redis

Samples = dict[str, Any]


@pytest.fixture(scope="module")
def healthy() -> Iterator[LabRedis]:
    with redis("--requirepass", "s3cret", "--maxmemory", "64mb") as started:
        yield started


@pytest.fixture
def lab() -> Iterator[LabRedis]:
    """A server that the test may break."""
    with redis() as started:
        yield started


@contextlib.asynccontextmanager
async def to(**options: object) -> AsyncIterator[Connections]:
    connections = shared(cache=("redis", options))
    try:
        yield connections
    finally:
        await connections.close()


async def look(connections: Connections, *, timeout: float = 5.0) -> Samples:
    options = redis_check.Options(connection="cache")
    [reading] = await redis_check.check(options, check_context(timeout, connections=connections))
    return dict(reading.samples)


def answer(samples: Samples) -> tuple[object, object]:
    return samples["up"], samples["error"]


async def test_a_healthy_server_says_all_of_it(healthy: LabRedis) -> None:
    async with to(url=f"redis://:s3cret@127.0.0.1:{healthy.port}/0") as connections:
        found = await look(connections)
    assert set(found) == {sample.name for sample in redis_check.SAMPLES}
    assert (*answer(found), found["detail"]) == (1, "", "")
    assert 0 < found["latency_seconds"] < 5
    assert found["max_memory_bytes"] == 64 * 2**20
    assert found["memory_percent"] == pytest.approx(100 * found["used_memory_bytes"] / 2**26)
    assert found["clients"] >= 1
    assert (found["max_clients"], found["blocked_clients"], found["role"]) == (10000, 0, "master")


async def test_without_a_limit_of_memory_its_share_is_missing(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        found = await look(connections)
    assert {sample.name for sample in redis_check.SAMPLES} - set(found) == {"max_memory_bytes", "memory_percent"}


async def test_runs_share_one_connection_that_stays_open(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        for _ in range(5):
            found = await look(connections)
        assert found["clients"] == 1
        assert b"total_connections_received:1\r" in lab.say("INFO", "stats").replace(b"received:2", b"received:1")


async def test_nobody_there_is_refused_by_port_by_name_and_by_socket() -> None:
    for options in ({"port": free_port()}, {"host": "127.0.0.1", "port": free_port()}, {"socket": "/nowhere/s"}):
        async with to(**options) as connections:
            assert answer(await look(connections)) == (0, "refused")


async def test_a_killed_server_costs_one_reading_and_is_there_again_after_its_restart(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        assert answer(await look(connections)) == (1, "")
        lab.stop()
        assert (await look(connections))["error"] in ("closed", "reset", "refused")  # whether heald heard it before
        assert answer(await look(connections)) == (0, "refused")
        lab.start()
        assert answer(await look(connections)) == (1, "")
        lab.stop()
        lab.start()
        await asyncio.sleep(0.05)  # heald hears that its connection was closed, and that costs nothing
        assert answer(await look(connections)) == (1, "")


async def test_a_server_killed_while_it_is_asked_is_closed_or_reset(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        await look(connections)
        lab.send(signal.SIGSTOP)
        running = asyncio.create_task(look(connections))
        await asyncio.sleep(0.05)
        lab.stop()
        assert (await running)["error"] in ("closed", "reset")
        lab.start()
        assert answer(await look(connections)) == (1, "")


async def test_a_silent_server_is_a_time_out_until_it_goes_on(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        await look(connections)
        lab.send(signal.SIGSTOP)
        for _ in range(2):  # the open connection, and a new one
            found = await look(connections, timeout=0.3)
            assert answer(found) == (0, "timeout")
            assert "latency_seconds" not in found
        lab.send(signal.SIGCONT)
        assert answer(await look(connections)) == (1, "")


async def test_a_wrong_password_or_none_makes_us_blind_and_is_not_repeated(healthy: LabRedis) -> None:
    for options, text in (
        ({"url": f"redis://:wr0ng@127.0.0.1:{healthy.port}"}, "does not let us in: .*invalid username-password pair"),
        ({"port": healthy.port}, "does not let us in: Authentication required"),
        ({"port": healthy.port, "username": "nobody", "password": "wr0ng"}, "does not let us in"),
    ):
        async with to(**options) as connections:
            with pytest.raises(CheckError, match=text) as caught:
                await look(connections)
        assert "wr0ng" not in str(caught.value)


async def test_a_user_who_may_ping_and_ask_is_enough_and_less_makes_us_blind(lab: LabRedis) -> None:
    assert lab.say("ACL", "SETUSER", "heald", "on", ">p", "+ping", "+info") == b"+OK\r\n"
    assert lab.say("ACL", "SETUSER", "less", "on", ">p", "+ping") == b"+OK\r\n"
    async with to(port=lab.port, username="heald", password="p") as connections:
        assert answer(await look(connections)) == (1, "")
        assert b"heald" not in lab.say("ACL", "LOG")  # nothing was refused on the way
    async with to(url=f"redis://less:p@127.0.0.1:{lab.port}") as connections:
        with pytest.raises(CheckError, match=r"does not let us in: .*'info'"):
            await look(connections)


async def test_a_server_without_a_place_left_is_sick_for_who_connects_and_not_for_who_is_in(lab: LabRedis) -> None:
    async with to(port=lab.port) as early, to(port=lab.port) as late:
        await look(early)
        lab.say("CONFIG", "SET", "maxclients", "1")
        assert answer(await look(late)) == (0, "too_many_clients")
        found = await look(early)
        assert (*answer(found), found["clients"], found["max_clients"]) == (1, "", 1, 1)


async def test_a_server_that_cannot_save_says_so(lab: LabRedis) -> None:
    async with to(port=lab.port) as connections:
        lab.say("CONFIG", "SET", "save", "3600 1000")
        lab.say("CONFIG", "SET", "rdbcompression", "no")
        lab.say("SET", "key", "value")
        lab.folder.joinpath("dump.rdb").mkdir()  # where the snapshot would be written
        lab.say("BGSAVE")
        found = await look(connections)
        for _ in range(500):
            if found["up"] == 0:
                break
            await asyncio.sleep(0.01)
            found = await look(connections)
        assert answer(found) == (0, "cannot_save")
        assert "MISCONF" in found["detail"]


async def test_a_server_that_runs_a_script_is_busy(lab: LabRedis) -> None:
    lab.say("CONFIG", "SET", "busy-reply-threshold", "50")
    async with to(port=lab.port) as connections:
        with socket.create_connection(("127.0.0.1", lab.port)) as script:
            script.sendall(b'EVAL "while true do end" 0\r\n')
            found = await look(connections)
            assert answer(found) == (0, "busy")
            lab.say("SCRIPT", "KILL")
        while answer(found) == (0, "busy"):  # it ends when the server next looks whether it should
            found = await look(connections)
        assert answer(found) == (1, "")


async def test_a_server_that_reads_its_data_is_loading(lab: LabRedis) -> None:
    lab.say("DEBUG", "SLEEP", "0")
    lab.say("CONFIG", "SET", "appendonly", "no")
    for number in range(200):
        lab.say("SET", f"key{number}", "v" * 1000)
    lab.say("SAVE")
    lab.stop()
    lab.settings = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    lab.start(wait=False)
    async with to(port=lab.port) as connections:
        found: Samples = {"error": "refused"}
        for _ in range(1000):
            found = await look(connections)
            if found["error"] != "refused":
                break
            await asyncio.sleep(0.01)
        assert answer(found) == (0, "loading")
        lab.say("CONFIG", "SET", "key-load-delay", "0")


async def test_what_is_no_redis_is_sick() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, to(port=server.sockets[0].getsockname()[1], host="127.0.0.1") as connections:
        assert answer(await look(connections)) == (0, "protocol")


@pytest.mark.parametrize(
    "answers",
    [
        [b":1\r\n"],
        [b"$-1\r\n"],
        [b"+PONG\r\n", b"*0\r\n"],
        [b"+PONG\r\n", b"$-1\r\n"],
        [b"+PONG\r\n", b"$0\r\n\r\n"],
        [b"+PONG\r\n", b"$16\r\nused_memory:lots\r\n"],
        [b"+PONG\r\n", b"$15\r\nused_memory:nan\r\n"],
        [b"+PONG\r\n", b"$21\r\nconnected_clients:a=b\r\n"],
        [b"+PONG\r\n", b"$11\r\nmaxmemory:5\r\n"],
    ],
)
async def test_what_speaks_like_a_redis_and_answers_like_none_is_sick(answers: list[bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1000):
            writer.write(answers[-1] if b"INFO" in asked else answers[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, to(port=server.sockets[0].getsockname()[1], host="127.0.0.1") as connections:
        found = await look(connections)
    assert answer(found) == (0, "protocol")
    assert "is no Redis" in found["detail"]


def test_options_of_the_check_name_a_connection() -> None:
    assert redis_check.Options().connection is None
    with pytest.raises(ValidationError):
        redis_check.Options.model_validate({"url": "redis://"})
