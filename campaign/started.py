"""Daemons as processes: started from nothing, or forked off one that has the imports behind it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("child.py")


def started(settings: Mapping[str, Any], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A daemon that starts from nothing."""
    with Path(settings["log"]).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, CHILD, json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **env},
            process_group=0,  # Ctrl-C is the campaign's
        )


class Nursery:
    """A process that forks daemons, one at a time: most of the second that a start takes are imports."""

    def __init__(self, rules: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, CHILD, "serve", rules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            process_group=0,
        )

    def close(self) -> None:
        """End it, and with it what it forked."""
        self._process.kill()
        self._process.communicate()

    def fork(self, settings: Mapping[str, Any]) -> "Forked":
        """A daemon; the one before it must have been waited for."""
        return Forked(self, int(self.answer(json.dumps(settings))))

    def answer(self, line: str = "") -> str:
        """Say a line, if there is one, and wait for one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(f"{line}\n")
        return self._process.stdout.readline().strip()

    def has_said(self, within: float) -> bool:
        """Whether there is a line to read, after waiting so many seconds for it."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], within)[0])


class Forked:
    """A forked daemon, spoken to as to a `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self, within: float = 0.0) -> int | None:
        """Its exit code, or None while it lives."""
        if self.returncode is None and self._nursery.has_said(within):
            self._nursery.answer()
            self.returncode = int(self._nursery.answer("reap"))
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while self.poll(within=1.0) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} does not end")
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """As Popen's: a process that was waited for gets nothing."""
        if self.poll() is None:  # even if it dies just now, it is a zombie until it is waited for
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)
