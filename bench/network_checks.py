"""CPU time that one run of a network check costs the daemon, against servers in another process.

    python bench/network_checks.py [RUNS]

Prints, per kind of check, microseconds of CPU (user and system, of this process alone) and of wall time for one run.
"""

import asyncio
import multiprocessing
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

import trustme

from checks import http, tcp
from daemon.clock import SystemClock
from daemon.protocols import Clock

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n" + b'{"status":"UP","queue": 7}'
)


class Context:
    """As little of a CheckContext as tcp and http use."""

    node = "bench"
    timeout = 10.0
    clock: Clock = SystemClock()

    async def run(self, *_: object, **__: object) -> None:
        raise AssertionError("no command is run here")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the tcp check connects and leaves
    finally:
        writer.transport.abort()


def serve(certificate: str, tell: Connection) -> None:
    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        plain = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
        secured = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000, ssl=context)
        tell.send([server.sockets[0].getsockname()[1] for server in (plain, secured)])
        await asyncio.Event().wait()

    asyncio.run(main())


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(name: str, look: Callable[[], Awaitable[object]], runs: int) -> None:
    for _ in range(20):
        await look()
    before, began = cpu(), time.perf_counter()
    for _ in range(runs):
        await look()
    print(
        f"{name:28}{(cpu() - before) / runs * 1e6:8.0f} µs CPU{(time.perf_counter() - began) / runs * 1e6:8.0f} µs wall"
    )


async def main(runs: int, ports: list[int], ca_file: str) -> None:
    plain, secured = ports
    url = f"http://127.0.0.1:{plain}/"
    context = Context()
    kinds: list[tuple[str, object, object]] = [
        ("tcp, address", tcp, tcp.Options(host="127.0.0.1", port=plain)),
        ("tcp, name", tcp, tcp.Options(host="localhost", port=plain)),
        ("http", http, http.Options(url=url)),
        ("http, json expected", http, http.Options(url=url, expect_json={"status": "UP"}, json_samples={"q": "queue"})),
        ("https", http, http.Options(url=f"https://127.0.0.1:{secured}/", ca_file=ca_file)),
    ]
    for name, module, options in kinds:
        await measure(name, lambda m=module, o=options: m.check(o, context), runs)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
        hear, tell = multiprocessing.Pipe(duplex=False)
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(f"{folder}/server.pem", tell))
        server.start()
        try:
            asyncio.run(
                main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, hear.recv(), str(Path(folder) / "ca.pem"))
            )
        finally:
            server.terminate()
            server.join(10)
