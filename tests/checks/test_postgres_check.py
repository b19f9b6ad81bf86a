"""A real PostgreSQL: healthy, killed, silent, out of places, starting, and with roles of less and less right."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError

from checks import postgres as postgres_check
from daemon.clock import SystemClock
from daemon.errors import CheckError
from daemon.runtime.connections import Connections
from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context, shared
from tests.lab.postgres import LabPostgres, postgres
from tests.lab.redis import free_port

Samples = dict[str, Any]
PLACES = 10 - 3  # of max_connections, without those reserved for superusers


@pytest.fixture(scope="module")
def server() -> Iterator[LabPostgres]:
    with postgres() as started:
        started.say(
            "CREATE ROLE heald LOGIN PASSWORD 'p'",
            "GRANT pg_monitor TO heald",
            "CREATE ROLE plain LOGIN PASSWORD 'p'",
            "CREATE ROLE nobody LOGIN PASSWORD 'p'",
            "CREATE ROLE barred LOGIN PASSWORD 'p'",
            "CREATE DATABASE closed",
            "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
        )
        yield started


@pytest.fixture
def lab(server: LabPostgres) -> Iterator[LabPostgres]:
    """The server, running whatever a test before did to it."""
    if server.process is None:
        server.start()
    yield server
    server.send(signal.SIGCONT) if server.process else server.start()


@contextlib.asynccontextmanager
async def to(dsn: str) -> AsyncIterator[Connections]:
    connections = shared(db=("postgres", {"dsn": dsn}))
    try:
        yield connections
    finally:
        await connections.close()


async def look(connections: Connections, *, timeout: float = 10.0) -> Samples:
    options = postgres_check.Options(connection="db")
    [reading] = await postgres_check.check(options, check_context(timeout, connections=connections))
    return dict(reading.samples)


def answer(samples: Samples) -> tuple[object, object]:
    return samples["up"], samples["error"]


@contextlib.asynccontextmanager
async def clients(lab: LabPostgres, count: int) -> AsyncIterator[list[Any]]:
    """That many other sessions."""
    opened = [await asyncpg.connect(lab.dsn()) for _ in range(count)]
    try:
        yield opened
    finally:
        for session in opened:
            session.terminate()


async def alone(connections: Connections) -> Samples:
    """A reading once the sessions of earlier tests have ended."""
    for _ in range(500):
        found = await look(connections)
        if found["connections"] == 1:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("other sessions do not end")


async def test_a_healthy_server_says_all_of_it(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections:
        found = await alone(connections)
    assert set(found) == {sample.name for sample in postgres_check.SAMPLES}
    assert (*answer(found), found["detail"]) == (1, "", "")
    assert 0 < found["latency_seconds"] < 10
    assert (found["connections"], found["active"], found["idle"], found["idle_in_transaction"]) == (1, 0, 0, 0)
    assert found["max_connections"] == 10
    assert found["connections_percent"] == pytest.approx(100 / PLACES)
    assert found["in_recovery"] is False
    assert lab.say("SHOW server_version").startswith(found["version"])


async def test_sessions_are_counted_by_what_they_do(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections, clients(lab, 4) as (busy, in_transaction, failed, _):
        await alone_but(connections, 4)
        await in_transaction.execute("BEGIN")
        await failed.execute("BEGIN")
        with contextlib.suppress(asyncpg.PostgresError):
            await failed.execute("SELECT nonsense")
        running = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
        found = await look(connections)
        while not found["active"]:
            found = await look(connections)
        assert (found["connections"], found["active"], found["idle"], found["idle_in_transaction"]) == (5, 1, 1, 2)
        assert found["connections_percent"] == pytest.approx(500 / PLACES)
        lab.say(f"SELECT pg_terminate_backend({busy.get_server_pid()})")
        with pytest.raises(asyncpg.PostgresError):
            await running


async def alone_but(connections: Connections, others: int) -> None:
    found = await look(connections)
    for _ in range(500):
        if found["connections"] == 1 + others:
            return
        await asyncio.sleep(0.02)
        found = await look(connections)
    raise AssertionError(f"there are {found['connections']} sessions")


async def test_a_role_of_few_rights_counts_connections_and_misses_what_they_do(lab: LabPostgres) -> None:
    async with to(lab.dsn("plain", "p")) as connections:
        await alone_but(connections, 0)
        async with clients(lab, 2):
            await alone_but(connections, 2)
            found = await look(connections)
    missing = {"active", "idle", "idle_in_transaction"}
    assert {sample.name for sample in postgres_check.SAMPLES} - set(found) == missing
    assert (found["up"], found["connections"]) == (1, 3)


async def test_runs_share_one_session_that_says_who_it_is(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections:
        await asyncio.gather(*(look(connections) for _ in range(5)))
        sessions = lab.say("SELECT usename FROM pg_stat_activity WHERE application_name = 'heald'")
    assert sessions == "heald"


async def test_a_wrong_password_role_database_or_rule_makes_us_blind_and_is_not_repeated(lab: LabPostgres) -> None:
    for dsn, text in (
        (lab.dsn("heald", "wr0ng"), "password authentication failed"),
        (lab.dsn("unknown", "wr0ng"), "password authentication failed"),
        (lab.dsn("nobody", "p"), "pg_hba.conf rejects connection"),
        (lab.dsn("heald", "p", database="missing"), 'database "missing" does not exist'),
        (lab.dsn("heald", "p", database="closed"), "permission denied for database"),
        (lab.dsn("heald", "wr0ng", more="?sslmode=nonsense"), "the dsn cannot be used: .*must be one of: disable"),
        (lab.dsn("heald", "wr0ng", more="?sslmode=wr0ng"), "the dsn cannot be used"),
    ):
        async with to(dsn) as connections:
            with pytest.raises(CheckError, match=text) as caught:
                await look(connections)
        assert "wr0ng" not in str(caught.value)


async def test_a_right_that_was_taken_away_makes_us_blind(lab: LabPostgres) -> None:
    lab.say("REVOKE SELECT ON pg_catalog.pg_stat_activity FROM PUBLIC")
    try:
        async with to(lab.dsn("plain", "p")) as connections:
            with pytest.raises(CheckError, match="permission denied for view pg_stat_activity"):
                await look(connections)
    finally:
        lab.say("GRANT SELECT ON pg_catalog.pg_stat_activity TO PUBLIC")


async def test_nobody_there_is_refused_by_port_and_by_socket(lab: LabPostgres) -> None:
    for dsn in (
        f"postgresql://a:b@127.0.0.1:{free_port()}/x",
        f"postgresql://a:b@localhost:{free_port()}/x",
        f"postgresql://a@/x?host=/nowhere&port={lab.port}",
    ):
        async with to(dsn) as connections:
            assert answer(await look(connections)) == (0, "refused")


async def test_a_server_without_a_place_left_is_sick_for_who_connects_and_not_for_who_is_in(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as early, to(lab.dsn("heald", "p")) as late:
        await alone(early)
        async with clients(lab, PLACES - 1):
            found = await look(early)
            assert (*answer(found), found["connections_percent"]) == (1, "", 100)
            found = await look(late)
            assert answer(found) == (0, "too_many_clients")
            assert "remaining connection slots are reserved" in found["detail"]
        await alone(early)
        assert answer(await look(late)) == (1, "")


async def test_a_silent_server_is_a_time_out_until_it_goes_on(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections:
        await look(connections)
        processes = [lab.process.pid, *backends(lab)] if lab.process else []
        send(processes, signal.SIGSTOP)
        try:
            for _ in range(2):  # the open session, and a new one
                found = await look(connections, timeout=0.3)
                assert answer(found) == (0, "timeout")
                assert "latency_seconds" not in found
        finally:
            send(processes, signal.SIGCONT)
        assert answer(await look(connections)) == (1, "")


async def test_a_killed_server_costs_one_reading_and_is_there_again_after_its_restart(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections:
        assert answer(await look(connections)) == (1, "")
        lab.stop(signal.SIGQUIT)  # at once, as after a crash
        assert (await look(connections))["error"] in ("reset", "refused")  # whether heald heard it before
        assert answer(await look(connections)) == (0, "refused")
        lab.start()
        assert answer(await look(connections)) == (1, "")
        lab.stop()
        lab.start()
        await asyncio.sleep(0.05)  # heald hears that its session was ended, and that costs nothing
        assert answer(await look(connections)) == (1, "")


async def test_a_session_that_is_ended_while_it_waits_for_its_answer_costs_one_reading(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections:
        await look(connections)
        [backend] = backends(lab)
        send([backend], signal.SIGSTOP)
        running = asyncio.create_task(look(connections))
        await asyncio.sleep(0.05)
        lab.say(f"SELECT pg_terminate_backend({backend})")
        send([backend], signal.SIGCONT)
        assert answer(await running) == (0, "reset")
        assert answer(await look(connections)) == (1, "")


async def test_a_server_that_is_stopping_is_not_ready(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p")) as connections, clients(lab, 1):
        lab.send(signal.SIGTERM)  # smart: it waits for its clients, and takes no others
        lab.wait_until("received smart shutdown request")
        found = await look(connections)
        assert answer(found) == (0, "not_ready")
        assert "the database system is shutting down" in found["detail"]
        lab.stop()


async def test_a_standby_is_in_recovery(lab: LabPostgres) -> None:
    lab.stop()
    (lab.data / "standby.signal").touch()
    lab.start(wait=False)
    lab.wait_until("ready to accept read-only connections")
    try:
        async with to(lab.dsn("heald", "p")) as connections:
            found = await look(connections)
        assert (*answer(found), found["in_recovery"]) == (1, "", True)
    finally:
        lab.stop()
        (lab.data / "standby.signal").unlink()


async def test_a_standby_that_takes_no_queries_is_not_ready(lab: LabPostgres) -> None:
    lab.stop()
    (lab.data / "standby.signal").touch()
    lab.start("hot_standby=off", wait=False)
    lab.wait_until("entering standby mode")
    try:
        async with to(lab.dsn("heald", "p")) as connections:
            assert answer(await look(connections)) == (0, "not_ready")
    finally:
        lab.stop()
        (lab.data / "standby.signal").unlink()


async def test_what_is_no_postgresql_is_sick() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, to(f"postgresql://a:b@127.0.0.1:{server.sockets[0].getsockname()[1]}/x") as connections:
        found = await look(connections)
    assert answer(found) == (0, "protocol")


async def test_a_server_without_tls_is_sick_for_who_demands_it(lab: LabPostgres) -> None:
    async with to(lab.dsn("heald", "p", more="?sslmode=require")) as connections:
        found = await look(connections)
    assert answer(found) == (0, "tls")
    assert "does not offer TLS" in found["detail"]


@pytest.mark.parametrize("more", ["sslmode=verify-full&sslrootcert=/no/ca", "sslcert=/no/cert&sslkey=/no/key"])
async def test_a_file_of_certificates_that_cannot_be_used_makes_us_blind(lab: LabPostgres, more: str) -> None:
    for dsn in (lab.dsn("heald", "p", more=f"?{more}"), f"{lab.dsn('heald')}&{more}"):
        async with to(dsn) as connections:
            with pytest.raises(CheckError, match=r"/no/.* cannot be used: No such file"):
                await look(connections)


async def test_a_latency_has_no_opening_in_it(lab: LabPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(SystemClock):
        opened = 0.0  # seconds

        def steady(self) -> float:
            return super().steady() + self.opened

    clock, connect = Clock(), asyncpg.connect

    async def slowly(*given: Any, **more: Any) -> Any:
        clock.opened += 1000.0
        return await connect(*given, **more)

    async with to(lab.dsn("heald", "p")) as connections:
        assert (await look(connections))["up"] == 1
        lab.say(*(f"SELECT pg_terminate_backend({process})" for process in backends(lab)))
        async with connections.use("postgres", "db", check_context()) as client:
            while not client._session.is_closed():  # noqa: ASYNC110  # the client hears of it by itself
                await asyncio.sleep(0.01)
        monkeypatch.setattr(asyncpg, "connect", slowly)
        context = Toolbox(node="node", clock=clock, timeout=10.0, connections=connections)
        [reading] = await postgres_check.check(postgres_check.Options(connection="db"), context)
    assert clock.opened == 1000.0
    assert reading.samples["latency_seconds"] < 1000.0


def backends(lab: LabPostgres) -> list[int]:
    """The processes of heald's sessions."""
    said = lab.say("SELECT pid FROM pg_stat_activity WHERE application_name = 'heald'")
    return [int(line) for line in said.splitlines()]


def send(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)


def test_the_check_needs_a_connection() -> None:
    with pytest.raises(ValidationError):
        postgres_check.Options.model_validate({})
