"""Runs one check in a process of its own and prints what came of it: for tests that take something away from it.

Arguments: the type, its options as JSON, and words that say what is taken away first.
"""

import asyncio
import contextlib
import importlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from context import LocalContext

from daemon.errors import CheckError


def loopback() -> None:
    """A network of only loopback, where one address is unreachable and one prohibited."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "unreachable", "192.0.2.1/32"], check=True)
    subprocess.run(["ip", "route", "add", "prohibit", "192.0.2.2/32"], check=True)


def no_ports() -> None:
    """One local port for connections, and it is taken. The listener is on the port that the test names."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("50000 50000")
    listener = socket.create_server(("127.0.0.1", 40000))
    KEPT.extend([listener, socket.create_connection(("127.0.0.1", 40000))])


def resolver() -> None:
    """A name server on loopback: `nx.*` there is none, `fail.*` it cannot tell, `empty.*` no address, else silence."""
    for name, text in (
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("hosts", "192.0.2.9 two.example\n127.0.0.1 two.example\n192.0.2.8 far.example\n192.0.2.9 far.example\n"),
    ):
        file = Path(os.environ["FOLDER"]) / name
        file.write_text(text)
        subprocess.run(["mount", "--bind", file, f"/etc/{name}"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=serve_names, args=(server,), daemon=True).start()


def serve_names(server: socket.socket) -> None:
    codes = {b"nx": 3, b"fail": 2, b"empty": 0}  # RFC 1035 section 4.1.1: NXDOMAIN, SERVFAIL, no error
    while True:
        question, client = server.recvfrom(512)
        code = codes.get(question[13 : 13 + question[12]])
        if code is not None:
            server.sendto(question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, 0, 0, 0) + question[12:], client)


def no_descriptors() -> None:
    """Every file descriptor is in use."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.suppress(OSError):
        while True:
            KEPT.append(os.open("/dev/null", os.O_RDONLY))


KEPT: list[object] = []
TAKEN_BEFORE = {"loopback": loopback, "no_ports": no_ports, "resolver": resolver}
TAKEN_IN_THE_LOOP = {"no_descriptors": no_descriptors}


async def main(kind: str, options: str, words: list[str]) -> None:
    module = importlib.import_module(f"checks.{kind}")
    wanted = module.Options(**json.loads(options))
    for word in words:
        if word in TAKEN_IN_THE_LOOP:
            TAKEN_IN_THE_LOOP[word]()
    try:
        readings = await module.check(wanted, LocalContext(timeout=float(os.environ.get("TIMEOUT", "5"))))
    except CheckError as error:
        print(json.dumps({"blind": str(error)}))
    else:
        print(json.dumps(dict(readings[0].samples)))


if __name__ == "__main__":
    for word in sys.argv[3:]:
        if word in TAKEN_BEFORE:
            TAKEN_BEFORE[word]()
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
