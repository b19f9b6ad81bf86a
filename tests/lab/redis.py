"""A real Redis server in a temporary folder, as a child in the foreground."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def program(name: str, *folders: str) -> str:
    """The path of a server's program; a test without it is skipped, but never in CI."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *folders]))
    if found is None:
        assert os.environ.get("CI") != "true", f"{name} is missing"
        pytest.skip(f"{name} is missing")
    return found


class LabRedis:
    """A Redis server on `port`, started and stopped at will."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = str(folder / "s")
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it and, if `wait`, wait until it answers."""
        command = [program("redis-server"), "--port", str(self.port), "--save", "", "--daemonize", "no"]
        command += ["--bind", "127.0.0.1", "--dir", str(self.folder), "--unixsocket", self.socket, *self.settings]
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while wait and b"eady to accept connections" not in (self.folder / "log").read_bytes():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self.folder / "log").unlink()

    def say(self, *words: str, password: str = "") -> bytes:
        """What it answers to one command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            if password:
                connection.sendall(_written("AUTH", password))
                connection.recv(1024)
            connection.sendall(_written(*words))
            return connection.recv(65536)


def _written(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


@contextlib.contextmanager
def redis(*settings: str) -> Iterator[LabRedis]:
    """A running Redis server with further settings, such as `--requirepass`, `secret`."""
    folder = Path(tempfile.mkdtemp(prefix="heald-r-"))  # short: a unix socket's path has 107 bytes
    lab = LabRedis(folder, *settings)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(folder)
