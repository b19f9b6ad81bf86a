"""A real systemd as PID 1 of a container over a throw-away overlay of this host, with its own D-Bus and journal."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_LAB = Path(__file__).parent
_NEEDED = ("systemd-nspawn", "dbus-daemon", "nsenter", "unshare", "setsid", "pgrep")


class LabSystemd:
    """A booted systemd. `folder` is shared with it, and is /mnt inside."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid  # of the inner PID 1
        self.root = Path(f"/proc/{pid}/root")  # what the inside has as /
        self.socket = f"{self.root}/run/dbus/system_bus_socket"
        self.bus = f"unix:path={self.socket}"
        self._units = self.root / "etc/systemd/system"

    def run(self, *argv: str, uid: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command inside, as root or as a user who is nobody there."""
        drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-a", *drop, *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def systemctl(self, *words: str) -> str:
        """What systemctl prints inside; it has to succeed."""
        done = self.run("systemctl", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, by systemctl."""
        return self.systemctl("show", unit, f"--property={name}", "--value")

    def stop(self, *units: str) -> None:
        """Stop units, those that do not want to by force, and forget how they ended."""
        self.run("systemctl", "stop", "--no-block", *units)
        self.run("systemctl", "kill", "--signal=KILL", *units)
        self.reset(*units)

    def reset(self, *units: str) -> None:
        """Forget how units ended and how often they were started; what is not loaded has nothing to forget."""
        self.run("systemctl", "reset-failed", *units)

    def write(self, units: Mapping[str, str]) -> None:
        """Write unit files by their full names, and have systemd read them."""
        for name, text in units.items():
            (self._units / name).write_text(text)
        self.systemctl("daemon-reload")

    def remove(self, name: str) -> None:
        """Remove a unit file, and have systemd notice."""
        (self._units / name).unlink()
        self.systemctl("daemon-reload")

    def outer_pid(self, inner: int) -> int:
        """The pid outside of a process that has this one inside."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):  # it has ended
                line = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:"))
                pids = line.split()[1:]
                if len(pids) > 1 and int(pids[-1]) == inner and _is_inside(int(pids[0]), self.pid):
                    return int(pids[0])
        raise AssertionError(f"there is no process {inner} inside")


def _is_inside(pid: int, of: int) -> bool:
    """Whether both are in the same PID namespace."""
    return Path(f"/proc/{pid}/ns/pid").readlink() == Path(f"/proc/{of}/ns/pid").readlink()


@contextlib.contextmanager
def systemd(*options: str) -> Iterator[LabSystemd]:
    """Boot one, which takes about a second, and power it off. Skips where that cannot be, but never in CI.

    Options are systemd-nspawn's.
    """
    _require()
    folder = Path(tempfile.mkdtemp(prefix="heald-systemd-"))
    try:
        up = subprocess.run(
            [str(_LAB / "systemd-up.sh"), str(folder), *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        console = folder / "console.log"
        assert up.returncode == 0, up.stderr + (console.read_text(errors="replace") if console.exists() else "")
        yield LabSystemd(folder, int(up.stdout))
    finally:
        down = subprocess.run(
            [str(_LAB / "systemd-down.sh"), str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not folder.exists(), down.stdout + down.stderr


def _require() -> None:
    missing = [tool for tool in _NEEDED if shutil.which(tool) is None]
    lacks = f"{', '.join(missing)} is missing" if missing else "only root can boot a systemd" if os.geteuid() else ""
    if lacks:
        assert os.environ.get("CI") != "true", lacks
        pytest.skip(lacks)
