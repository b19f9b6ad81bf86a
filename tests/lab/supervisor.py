"""A real supervisord in a temporary folder, as a child in the foreground."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

_SETTINGS = """\
[unix_http_server]
file={folder}/s
{server}

[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

{programs}
"""


class LabSupervisord:
    """A running supervisord. `folder` is its own; its socket is `socket`."""

    def __init__(self, programs: str, *, server: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="heald-s-"))  # short: a unix socket's path has 107 bytes
        self.socket = str(self.folder / "s")
        self._programs = programs
        self._server = server
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = self.folder / "supervisord.conf"
        programs = self._programs.replace("{folder}", str(self.folder)).replace("{python}", sys.executable)
        settings.write_text(_SETTINGS.format(folder=self.folder, server=self._server, programs=programs))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not self._listens():
            assert self.process.poll() is None, (self.folder / "supervisord.log").read_text()
            assert time.monotonic() < deadline, "supervisord did not open its socket"
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:  # it is there a moment before anybody listens on it
            return connection.connect_ex(self.socket) == 0

    def stop(self) -> None:
        """End it and all it runs."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self._kill_programs()  # it would give each its stopwaitsecs, and may just be starting another one
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
        self.process.kill()
        self.process.wait()
        self.process = None

    def _kill_programs(self) -> None:
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for program in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    program.kill()

    def ask(self, method: str, *parameters: Any, username: str = "", password: str = "") -> Any:
        """What supervisord's own client gets from it."""
        transport = SupervisorTransport(username, password, f"unix://{self.socket}")
        try:
            server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(server.supervisor, method)(*parameters)
        finally:
            transport.close()

    def state(self, program: str) -> str:
        """Its word for a program's state."""
        return str(self.ask("getProcessInfo", program)["statename"])

    def pid(self, program: str) -> int:
        """A program's pid, 0 if it does not run."""
        return int(self.ask("getProcessInfo", program)["pid"])


@contextlib.contextmanager
def supervisord(programs: str, *, server: str = "") -> Iterator[LabSupervisord]:
    """A supervisord with these `[program:...]` sections, in which {folder} and {python} are filled in."""
    lab = LabSupervisord(programs, server=server)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(lab.folder)
