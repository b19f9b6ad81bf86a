"""The connection to a Docker engine: which silence means what, and that an engine that was away is found again."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiodocker  # noqa: F401  # before the user changes, who may not read its files
import pytest
from pydantic import ValidationError

from checks import docker as docker_check
from daemon.connections.docker import Options
from daemon.errors import CheckError, RemediationError
from daemon.managers import docker as docker_manager
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context, shared
from tests.lab.docker import LabEngine, docker_engine
from tests.lab.processes import open_files, until

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="heald-d-", dir="/tmp") as name:  # short: a socket's path has 107 bytes
        Path(name).chmod(0o755)
        yield Path(name)


async def version(connections: Connections, timeout: float = 10.0) -> str:
    async with check_context(timeout, connections=connections).connection("docker", "engine") as engine:
        return str(await engine.version())


async def blind(path: Path, timeout: float = 10.0) -> str:
    """Why the engine that should be at this path cannot be asked; the connection leaves nothing open."""
    before = open_files()
    connections = shared(engine=("docker", {"url": f"unix://{path}"}))
    with pytest.raises(CheckError) as caught:
        await version(connections, timeout)
    await connections.close()
    await until(lambda: open_files() == before)
    return str(caught.value)


async def test_an_engine_answers(docker: LabEngine) -> None:
    connections = shared(engine=("docker", {"url": docker.url}))
    assert await version(connections) == docker.docker("version", "--format", "{{.Server.Version}}")
    await connections.close()


async def test_a_missing_socket_says_that_there_is_no_engine(folder: Path) -> None:
    assert "there is no socket unix://" in await blind(folder / "s")
    (folder / "file").touch()
    assert "there is no socket unix://" in await blind(folder / "file" / "s")


async def test_a_socket_that_nobody_listens_at_says_that_the_engine_is_stopped(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "s"))
    assert (await blind(folder / "s")).startswith("nobody listens at unix://")


async def test_a_socket_that_is_not_ours_says_so(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user for a moment")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "s"))
        (folder / "s").chmod(0o600)
        other.listen()
        os.seteuid(NOBODY)
        try:
            said = await blind(folder / "s")
        finally:
            os.seteuid(0)
    assert said == f"heald may not use unix://{folder}/s: its user is not in the group of the socket"


async def answer_with(folder: Path, answer: bytes | None) -> asyncio.Server:
    """Something that is no engine: it says this and hangs up, or says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    return await asyncio.start_unix_server(serve, str(folder / "s"))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", "is no Docker engine"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]", "is no Docker engine"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{]", "is no Docker engine"),
        (b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno!", "refuses: no!"),
        (b"220 mail.example ESMTP\r\n", "is no Docker engine"),
        (b"", "hung up"),
        (None, "did not answer within 1.8s"),
    ],
)
async def test_what_is_no_engine_makes_us_blind_in_time(folder: Path, answer: bytes | None, text: str) -> None:
    server = await answer_with(folder, answer)
    async with server:
        async with asyncio.timeout(10):
            assert text in await blind(folder / "s", timeout=2.0)


@pytest.mark.parametrize("told", ['{"Id": "x"}', "[]", '{"Id": "x", "Name": "/c", "State": {"Status": "running"}}'])
async def test_a_container_without_what_every_one_has_makes_us_blind(folder: Path, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                text = '{"Version": "1", "ApiVersion": "1.41"}' if b"/version" in asked else told
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                writer.write(f"{head}{text}".encode())
        writer.close()

    connections = shared(engine=("docker", {"url": f"unix://{folder}/s"}))
    async with await asyncio.start_unix_server(serve, str(folder / "s")):
        with pytest.raises(CheckError, match="is no Docker engine"):
            async with connections.use("docker", "engine", check_context()) as engine:
                await engine.inspect("c")
        await connections.close()


async def test_an_engine_that_was_stopped_or_hung_costs_readings_and_no_restart() -> None:
    with docker_engine() as lab:
        lab.run("web")
        connections = shared(engine=("docker", {"url": lab.url}))
        options = docker_check.Options(containers=["web"], connection="engine")
        manager = docker_manager.Options(container="web", connection="engine")

        async def is_up(timeout: float = 10.0) -> object:
            context = check_context(timeout, connections=connections)
            return (await docker_check.check(options, context))[0].samples["up"]

        async def is_blind(text: str, timeout: float = 10.0) -> None:
            context = check_context(timeout, connections=connections)
            for ask in (lambda: docker_check.check(options, context), lambda: docker_manager.status(manager, context)):
                with pytest.raises(CheckError, match=text):
                    await ask()
            with pytest.raises(RemediationError, match=text) as caught:
                await docker_manager.restart(manager, context)
            assert not caught.value.permanent

        assert await is_up() == 1
        assert lab.process is not None
        lab.process.send_signal(signal.SIGSTOP)
        await is_blind("Docker engine", timeout=0.5)
        lab.process.send_signal(signal.SIGCONT)
        assert await is_up() == 1
        lab.stop()
        await is_blind("there is no socket|nobody listens")
        lab.start()
        assert await is_up() == 0  # its containers ended with it
        await docker_manager.restart(manager, check_context(30, connections=connections))
        assert await is_up() == 1
        await connections.close()


def test_the_client_is_loaded_by_its_first_use_alone() -> None:
    script = (
        "import sys; from daemon.config.discover import discover_types; discover_types();"
        "print('aiodocker' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "url",
    [
        "/var/run/docker.sock",
        "tcp://127.0.0.1:2375",
        "https://engine.example:2376",
        "ssh://engine.example",
        "unix://relative",
        "unix://" + "/long" * 30,
    ],
)
def test_only_unix_sockets_are_taken(url: str) -> None:
    with pytest.raises(ValidationError, match=r"is no unix socket; write one such as|is longer than the 107 bytes"):
        Options(url=url)


def test_the_usual_socket_is_the_default() -> None:
    assert Options().url == "unix:///var/run/docker.sock"
