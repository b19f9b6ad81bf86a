"""The services under a supervisord, which starts what it is told and nothing else: healing is heald's part."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.stage import DEMO, SERVICES, Stage


class Supervised(Stage):
    """Three processes, run by a supervisord."""

    runner = "supervisord"
    rules = DEMO / "supervised.yaml"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.socket = folder / "supervisor.sock"
        self._configuration = folder / "supervisord.conf"

    async def start_services(self) -> None:
        self._configuration.write_text(self._configured())
        await self.start("supervisord", "-n", "-c", str(self._configuration), log=self.folder / "supervisord.log")

    async def stop_services(self) -> None:
        """supervisord has ended its services; if it was killed itself, this does."""
        for name, pid in self._pids().items():
            if str(self.folder) in _command_line(pid):
                self._send(name, signal.SIGKILL)

    def environment(self) -> Mapping[str, str]:
        return {"DEMO_SUPERVISOR": str(self.socket)}

    async def send(self, name: str, number: signal.Signals) -> None:
        self._send(name, number)

    async def mend(self, name: str) -> None:
        await self.run("supervisorctl", "-c", str(self._configuration), "start", name)

    def invitation(self) -> Sequence[str]:
        return [f"kill -9 {pid}  # the {name}" for name, pid in self._pids().items()]

    def _send(self, name: str, number: signal.Signals) -> None:
        os.kill(self.starts(name)[-1], number)

    def _pids(self) -> dict[str, int]:
        """The process of each service that runs."""
        newest = {name: started[-1] for name in SERVICES if (started := self.starts(name))}
        return {name: pid for name, pid in newest.items() if Path(f"/proc/{pid}").exists()}

    def _configured(self) -> str:
        head = f"""
[unix_http_server]
file={self.socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{self.socket}
[supervisord]
logfile=/dev/null
logfile_maxbytes=0
pidfile={self.folder}/supervisord.pid
childlogdir={self.folder}
"""
        return head + "".join(
            f"""
[program:{name}]
command={" ".join(self.command(name, python=sys.executable, program=DEMO / "service.py"))}
autorestart=false
startsecs=1
startretries=0
stopwaitsecs=1
redirect_stderr=true
stdout_logfile={self.folder}/{name}.log
"""
            for name in SERVICES
        )


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
