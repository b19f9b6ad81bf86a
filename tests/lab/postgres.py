"""A real PostgreSQL server in a temporary folder, as a child in the foreground, of another user where we are root."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.redis import free_port, program

_SETTINGS = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 10
superuser_reserved_connections = 3
fsync = off
"""
_FAST = signal.SIGINT  # pg_ctl's names: smart is TERM, fast is INT, immediate is QUIT


class LabPostgres:
    """A server with a superuser `admin`, reached by anybody on the socket of `folder`, and on `port` by password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._folders = [str(found) for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
        self._before: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            self._before = [program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def make(self) -> None:
        """Make the database."""
        if self._before:
            shutil.chown(self.folder, "postgres", "postgres")
        command = [program("initdb", *self._folders), "-D", self.data, "-U", "admin", "-A", "trust", "-N"]
        made = subprocess.run(
            [*self._before, *command, "-E", "UTF8", "--no-locale"], stdin=subprocess.DEVNULL, capture_output=True
        )
        assert made.returncode == 0, made.stderr.decode()
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=self.port, folder=self.folder))
        rules = "local all all trust\nhost all nobody 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(rules)

    def start(self, *settings: str, wait: bool = True) -> None:
        """Start it with further settings such as `max_connections=5`, and, if `wait`, wait until it is ready."""
        command = [*self._before, program("postgres", *self._folders), "-D", str(self.data)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *(word for setting in settings for word in ("-c", setting))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until("ready to accept connections")

    def wait_until(self, text: str) -> None:
        """Wait until it has said something in its log."""
        deadline = time.monotonic() + 60
        while text not in (self.folder / "log").read_text():
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, f"PostgreSQL did not say: {text}"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send the first of its processes a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, how: signal.Signals = _FAST) -> None:
        """End it and all its processes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def say(self, *statements: str, database: str = "postgres") -> str:
        """What its own client gets from it as superuser, on the socket."""
        words = [word for statement in statements for word in ("-c", statement)]
        command = [program("psql", *self._folders), "-h", self.folder, "-p", str(self.port), "-U", "admin", "-XAtq"]
        done = subprocess.run(
            [*command, "-d", database, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def dsn(self, user: str = "admin", password: str = "", *, database: str = "postgres", more: str = "") -> str:
        """Its address; without a password, by its socket."""
        if password:
            return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{more}"
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"


@contextlib.contextmanager
def postgres() -> Iterator[LabPostgres]:
    """A running PostgreSQL server."""
    folder = Path(tempfile.mkdtemp(prefix="heald-p-"))  # short: a unix socket's path has 107 bytes
    lab = LabPostgres(folder)
    try:
        lab.make()
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(folder)
