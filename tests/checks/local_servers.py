"""Servers that the tests of network checks start on loopback: a real nginx, and raw ones that may lie."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS = 10  # of the loop, in which a server takes what connected to it and went without a wait


@contextlib.asynccontextmanager
async def serving(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port where every connection is given to `talk`; those still open at the end are cut."""
    talks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            # CancelledError too: Python 3.11 complains of a connection's task that was cancelled.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            talks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def answering(answer: bytes, *, before: float = 0.0, then_wait: bool = False) -> Talk:
    """Reads a request's head, waits `before` seconds, sends these bytes and hangs up, or stays silent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(before)
        writer.write(answer)
        await writer.drain()
        if then_wait:
            await asyncio.Event().wait()
        writer.close()  # not aborted: what was sent arrives
        await writer.wait_closed()

    return talk


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and never says a word."""
    await asyncio.Event().wait()


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Resets the connection at once."""
    reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN (SO_LINGER of no time)."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


def refusing_port() -> int:
    """A port where nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_sockets() -> set[str]:
    """The sockets that this process holds, by inode."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


async def until(is_so: Callable[[], bool], *, within: float = 5.0) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def need(tool: str) -> str:
    """The path of a program that a test needs; skipped without it, but never in CI."""
    found = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", f"{tool} is missing"
        pytest.skip(f"{tool} is missing")
    return found


@contextlib.contextmanager
def nginx(folder: Path, servers: Callable[[int], str]) -> Iterator[int]:
    """A real nginx in the foreground; `servers` writes its server blocks for the port that it gets."""
    program = need("nginx")
    for _ in range(5):  # the port is free when it is chosen; somebody may be quicker
        port = refusing_port()
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events { worker_connections 64; }\n"
            f"http {{ access_log off; {temporary} {servers(port)} }}\n"
        )
        child = subprocess.Popen(
            [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(folder / "nginx.conf")],
            stdin=subprocess.DEVNULL,
        )
        try:
            if _listens(child, port):
                yield port
                return
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(10)
    raise AssertionError((folder / "error.log").read_text())


def _listens(child: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 10
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.01)
    return False
