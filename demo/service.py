"""A small service of the demo: `service.py NAME PORT FOLDER [UPSTREAM_URL]`, HTTP on loopback, standard library alone.

`GET /health` answers 200, or 503 while what it needs does not answer. `POST /spoil` makes it answer 500 until it is
started again. It counts its own starts, a line each in FOLDER/NAME.starts: nobody knows better. If FOLDER/NAME.doomed
is there, it counts its start and dies.
"""

import asyncio
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

UPSTREAM_SECONDS = 0.7  # less than the demo's checks wait: who waits for another must still answer in time


class Service:
    """What it needs, and whether it was spoiled."""

    def __init__(self, name: str, upstream: str | None) -> None:
        self.name = name
        self.upstream = upstream
        self.is_spoiled = False

    async def answer(self, request: str) -> tuple[int, str]:
        """Status and text for a request line."""
        if request.startswith("POST /spoil "):
            self.is_spoiled = True
            return 200, f"{self.name} will fail"
        if not request.startswith("GET /health "):
            return 404, "there is /health"
        if self.is_spoiled:
            return 500, f"{self.name} is broken inside"
        if self.upstream and not await asyncio.to_thread(_answers, self.upstream):
            return 503, f"{self.name} cannot reach what it needs"
        return 200, f"{self.name} is well"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one connection."""
        try:
            async with asyncio.timeout(5):
                request = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace").splitlines()[0]
                status, text = await self.answer(request)
                body = f"{text}\n".encode()
                head = f"HTTP/1.1 {status} \r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            return  # who asked went away, or never finished asking
        finally:
            writer.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=UPSTREAM_SECONDS) as response:  # noqa: S310  # the conductor's own URL
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


async def main(name: str, port: str, folder: str, upstream: str | None = None) -> None:
    """Count this start, then serve until the end."""
    with (Path(folder) / f"{name}.starts").open("a") as starts:
        starts.write(f"{time.time()} {os.getpid()}\n")
    if (Path(folder) / f"{name}.doomed").exists():
        sys.exit(f"{name} dies at once")
    # The first process of a container is not ended by a signal that it does not expect.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    server = await asyncio.start_server(Service(name, upstream).serve, "127.0.0.1", int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
