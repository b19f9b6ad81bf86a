"""A real `heald run` as a child of the test, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.cli.client import NoDaemonError, ask

HEALD = Path(sys.executable).parent / "heald"
POLL = 0.02  # seconds between two looks at something that a real process will do soon


def wait_until(happened: Callable[[], Any], *, within: float = 20.0, what: str = "") -> Any:
    """Poll until it is true, and return it."""
    deadline = time.monotonic() + within
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within}s: {what or happened}")
        time.sleep(POLL)
    return found


class DaemonProcess:
    """One daemon on a folder of its own: rules.yaml, state, log."""

    def __init__(self, folder: Path, rules: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.rules = folder / "rules.yaml"
        self.rules.write_text(rules)
        self.state = folder / "state"
        self.sockets = self.state  # the folder of the control socket
        self.log = folder / "log"
        self._arguments = arguments
        self._env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "DaemonProcess":
        """Start it; the log of an earlier life is kept."""
        command = [HEALD, "run", "--config", self.rules, "--state-dir", self.state, "--listen", "127.0.0.1:0"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._env
            )
        return self

    def ready(self) -> "DaemonProcess":
        """Wait until it answers."""
        wait_until(self._answers, within=60, what=f"ready: {self.text()[-2000:]}")
        return self

    def _answers(self) -> bool:
        try:
            self.status()
        except NoDaemonError:
            return False
        return True

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def __enter__(self) -> "DaemonProcess":
        try:
            return self.start().ready()
        except BaseException:  # who enters a block leaves it; who could not enter leaves nothing behind
            self.__exit__()
            raise

    def __exit__(self, error: type[BaseException] | None = None, *_: object) -> None:
        if error is not None:
            print(f"the log of heald:\n{self.text()[-8000:]}")  # pytest shows it beside the failure
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def text(self) -> str:
        """Its log."""
        return self.log.read_text() if self.log.exists() else ""

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log's lines of one event."""
        found = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in found if event is None or line["event"] == event]

    def ask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one of heald's commands against it."""
        command = [str(HEALD), *arguments, "--state-dir", str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=self._env)

    def status(self) -> dict[str, Any]:
        """`heald status --json`, without a process for it: tests poll this."""
        return ask("GET", "/status", state_dir=self.sockets)

    def incidents(self, *, closed: bool = True) -> list[dict[str, Any]]:
        """`heald incidents --json`, as `status`."""
        answer = ask("GET", f"/incidents?closed={int(closed)}", state_dir=self.sockets)
        found: list[dict[str, Any]] = answer["incidents"]
        return found
