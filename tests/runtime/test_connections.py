"""Shared clients over a real server of the test's own: opened late and once, opened anew after an error, closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from daemon.config.plugin_types import FoundConnectionType
from daemon.errors import CheckError, SickError, translate
from daemon.model.connection import Connection
from daemon.plugin import OptionsModel
from daemon.protocols import CheckContext
from daemon.runtime import connections as connections_module
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context
from tests.lab.processes import until


class Options(OptionsModel):
    """Which server; by default one that a test set."""

    port: int = 0
    name: str = "default"


@dataclass(eq=False)
class Client:
    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, word: str) -> str:
        async with self.lock:
            self.writer.write(f"{word}\n".encode())
            answer = await self.reader.readline()
        if not answer:
            raise SickError("closed", "the server closed the connection")
        return answer.decode().strip()


@dataclass
class Server:
    """Echoes lines, slowly if told to; it counts who came, who is there and who went in which order."""

    port: int = 0
    came: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    greeting: asyncio.Event = field(default_factory=asyncio.Event)  # set: a client that connects is let in
    closed: list[str] = field(default_factory=list)  # names, as `close` was called
    hangs: bool = False  # whether `close` does

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self.open.add(writer)
        try:
            await self.greeting.wait()
            writer.write(b"welcome\n")
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            return  # the client went first
        finally:
            self.open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        for writer in self.open:
            writer.transport.abort()

    async def connect(self, options: Options, context: CheckContext) -> Client:
        port = options.port or self.port
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise translate(error, f"port {port}") from error
        try:
            await reader.readline()
        except BaseException:
            writer.close()
            raise
        return Client(options.name, reader, writer)

    async def close(self, client: Client) -> None:
        self.closed.append(client.name)
        client.writer.close()
        if self.hangs:
            await asyncio.Event().wait()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    made.greeting.set()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made
        made.greeting.set()
        made.hang_up()
    await until(lambda: not made.open)


def to(server: Server, **names: Mapping[str, object]) -> Connections:
    """Connections of the kind `echo`; each name has its options."""
    module = ModuleType("echo")
    module.connect, module.close = server.connect, server.close  # type: ignore[attr-defined]  # a module made by a test
    options: type[BaseModel] = Options
    kind = FoundConnectionType(name="echo", module=module, options=options)
    return Connections(types={"echo": kind}, configured=configured(**names))


def configured(**names: Mapping[str, object]) -> dict[str, Connection]:
    return {
        name: Connection(name=name, kind="echo", options=Options(name=name, **given))  # type: ignore[arg-type]  # a test's
        for name, given in names.items()
    }


def use(connections: Connections, name: str | None = None, *, timeout: float = 5.0) -> Any:
    return connections.use("echo", name, check_context(timeout))


async def ask(connections: Connections, name: str | None = None, *, timeout: float = 5.0) -> Any:
    """The client, once it was asked something."""
    async with use(connections, name, timeout=timeout) as client:
        assert await client.ask("hello") == "hello"
        return client


async def fail(connections: Connections) -> None:
    """A use that an error leaves."""
    async with use(connections):
        raise ValueError("a fault")


# ---- opened late, and once ------------------------------------------------------------------------------------------


async def test_nothing_is_opened_before_it_is_used_and_then_it_is_kept(server: Server) -> None:
    connections = to(server, one={})
    assert server.came == 0
    first = await ask(connections, "one")
    assert await ask(connections, "one") is first
    assert server.came == 1
    await connections.close()


async def test_a_name_and_the_defaults_are_two_clients(server: Server) -> None:
    connections = to(server, one={})
    named, default = await ask(connections, "one"), await ask(connections)
    assert (named.name, default.name, server.came) == ("one", "default", 2)
    await connections.close()


async def test_who_comes_while_it_is_opened_waits_for_the_same_opening(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    waiting = [asyncio.create_task(ask(connections)) for _ in range(20)]
    await until(lambda: server.came == 1)
    server.greeting.set()
    assert len(set(await asyncio.gather(*waiting))) == 1
    assert server.came == 1
    await connections.close()


async def test_one_that_loses_patience_does_not_spoil_the_opening_for_the_others(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    first, *others = [asyncio.create_task(ask(connections)) for _ in range(3)]
    await until(lambda: server.came == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.greeting.set()
    assert len(set(await asyncio.gather(*others))) == 1
    assert server.came == 1
    await connections.close()


async def test_an_opening_that_nobody_waits_for_any_more_is_kept_for_the_next(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    waiting = asyncio.create_task(ask(connections))
    await until(lambda: server.came == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    server.greeting.set()
    await ask(connections)
    assert server.came == 1
    await connections.close()


async def test_one_that_is_cancelled_in_the_instant_of_success_throws_nothing_away(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    waiting = asyncio.create_task(ask(connections))
    await until(lambda: server.came == 1)
    [entry] = connections._entries.values()
    assert entry.opening is not None
    entry.opening.add_done_callback(lambda _: waiting.cancel())
    server.greeting.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await ask(connections)).name == "default"
    assert (server.came, server.closed) == (1, [])
    await connections.close()


# ---- errors ---------------------------------------------------------------------------------------------------------


async def test_one_failure_is_told_to_all_and_the_next_use_tries_anew(server: Server) -> None:
    free = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    connections = to(server, one={"port": port})
    found = await asyncio.gather(*(ask(connections, "one") for _ in range(5)), return_exceptions=True)
    assert {str(error) for error in found} == {"the connection was refused"}
    assert len({id(error) for error in found}) == 1
    again = await asyncio.start_server(server.serve, "127.0.0.1", port)
    async with again:
        assert (await ask(connections, "one")).name == "one"  # the old error is never heard again
        await connections.close()


async def test_a_failure_that_nobody_waits_for_is_never_heard(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    waiting = asyncio.create_task(ask(connections, timeout=0.05))
    await until(lambda: server.came == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not connections._entries)  # its time-out has come
    server.greeting.set()
    await ask(connections)
    assert server.came == 2
    await connections.close()


async def test_a_server_that_lets_nobody_in_makes_blind_at_the_time_out_of_who_asked(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    with pytest.raises(CheckError, match=r"echo was not connected within 0\.05s"):
        await ask(connections, timeout=0.05)
    server.greeting.set()
    await until(lambda: not server.open)
    await connections.close()


async def test_a_hasty_run_does_not_make_a_patient_one_hear_of_its_own_time_out(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    hasty = asyncio.create_task(ask(connections, timeout=0.05))
    await until(lambda: server.came == 1)
    patient = asyncio.create_task(ask(connections, timeout=10.0))
    with pytest.raises(CheckError, match=r"within 0\.05s"):
        await hasty
    await until(lambda: server.came == 2)
    server.greeting.set()
    assert (await patient).name == "default"
    await connections.close()


async def test_an_error_that_leaves_the_block_costs_one_use_and_the_next_is_anew(server: Server) -> None:
    connections = to(server)
    first = await ask(connections)
    server.hang_up()
    with pytest.raises((SickError, ConnectionError)):
        await ask(connections)
    second = await ask(connections)
    assert second is not first
    assert (server.came, server.closed) == (2, ["default"])
    await connections.close()


async def test_an_answer_that_is_caught_inside_costs_nothing(server: Server) -> None:
    connections = to(server)
    async with use(connections) as client:
        with contextlib.suppress(ValueError):
            int(await client.ask("no number"))
    assert await ask(connections) is client
    await connections.close()


async def test_a_run_that_is_cancelled_in_the_block_leaves_no_half_asked_client_to_others(server: Server) -> None:
    connections = to(server)

    async def run() -> None:
        async with use(connections) as client:
            client.writer.write(b"half\n")
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    await until(lambda: server.came == 1)
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await ask(connections)
    assert server.came == 2
    await connections.close()


async def test_a_client_that_failed_one_is_left_to_those_who_still_use_it_and_closed_by_the_last(
    server: Server,
) -> None:
    connections = to(server)
    async with use(connections) as client:
        with pytest.raises(ValueError, match="a fault"):
            await fail(connections)
        assert await client.ask("still") == "still"
        assert server.closed == []
        assert await ask(connections) is not client
    await until(lambda: server.closed == ["default"])
    await connections.close()


async def test_a_connection_without_its_secret_says_which_one_and_one_that_is_gone_says_so(server: Server) -> None:
    connections = to(server)
    lacks = "${env:SHOP_PASSWORD}: the environment variable SHOP_PASSWORD is not set"
    connections.replace({"one": Connection(name="one", kind="echo", options=None, lacks=lacks)})
    with pytest.raises(CheckError, match=r"the connection one cannot be opened: .*SHOP_PASSWORD is not set"):
        await ask(connections, "one")
    with pytest.raises(CheckError, match="the connection two is no longer configured"):
        await ask(connections, "two")
    assert server.came == 0
    await connections.close()


# ---- reload ---------------------------------------------------------------------------------------------------------


async def test_a_reload_keeps_what_is_as_it_was_and_closes_what_changed_or_went(server: Server) -> None:
    connections = to(server, same={}, changed={}, removed={})
    before = {name: await ask(connections, name) for name in ("same", "changed", "removed")}
    default = await ask(connections)
    connections.replace(configured(same={}, changed={"port": server.port}))
    await until(lambda: sorted(server.closed) == ["changed", "removed"])
    assert await ask(connections, "same") is before["same"]
    assert await ask(connections) is default
    assert await ask(connections, "changed") is not before["changed"]
    with pytest.raises(CheckError, match="removed is no longer configured"):
        await ask(connections, "removed")
    await connections.close()


async def test_what_a_reload_changed_is_closed_once_nobody_uses_it(server: Server) -> None:
    connections = to(server, one={})
    async with use(connections, "one") as client:
        connections.replace(configured(one={"port": server.port}))
        assert await client.ask("still") == "still"
        assert await ask(connections, "one") is not client
        assert server.closed == []
    await until(lambda: server.closed == ["one"])
    await connections.close()
    assert server.closed == ["one", "one"]


async def test_an_opening_of_what_a_reload_changed_is_still_for_those_who_wait(server: Server) -> None:
    server.greeting.clear()
    connections = to(server, one={})
    waiting = asyncio.create_task(ask(connections, "one"))
    await until(lambda: server.came == 1)
    connections.replace(configured(one={"port": server.port}))
    later = asyncio.create_task(ask(connections, "one"))
    await until(lambda: server.came == 2)
    server.greeting.set()
    assert await waiting is not await later
    await until(lambda: server.closed == ["one"])
    await connections.close()


# ---- closed ---------------------------------------------------------------------------------------------------------


async def test_all_are_closed_the_last_opened_first(server: Server) -> None:
    connections = to(server, one={}, two={}, three={})
    for name in ("two", "one", "three"):
        await ask(connections, name)
    await connections.close()
    assert server.closed == ["three", "one", "two"]
    await until(lambda: not server.open)


async def test_what_an_error_dropped_a_moment_before_is_waited_for_too(server: Server) -> None:
    connections = to(server)
    await ask(connections)
    with pytest.raises(ValueError, match="a fault"):
        await fail(connections)
    await connections.close()
    assert server.closed == ["default"]


async def test_who_waits_for_an_opening_while_heald_ends_is_cancelled_and_leaves_nothing_open(server: Server) -> None:
    server.greeting.clear()
    connections = to(server)
    waiting = asyncio.create_task(ask(connections))
    await until(lambda: server.came == 1)
    await connections.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    server.greeting.set()
    await until(lambda: not server.open)
    assert server.closed == []


async def test_a_close_that_hangs_is_left_behind_and_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "_CLOSE_WITHIN", 0.05)
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(connections_module.log, "error", lambda event, text, **_: said.append((event, text)))
    connections = to(server, one={})
    await ask(connections, "one")
    server.hangs = True
    await connections.close()
    [(event, text)] = said
    assert event == "connection_stays_open"
    assert text.startswith("Connection one could not be closed: TimeoutError")
