"""A real Docker engine in a network namespace of its own; one for all of a test run.

Images are made from busybox, and none is ever pulled (`demo/engine.py`).
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.engine import Engine, lacking

# PID 1 ignores a SIGTERM it has no handler for, and every stop would then take the 10 s of grace: trap it.
_SLEEP = """CMD ["sh","-c","trap 'exit 0' TERM; sleep 1000000 & wait"]"""
_SERVE = """CMD ["sh","-c","trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"]"""
_HEALTH = (
    "HEALTHCHECK --interval=500ms --timeout=5s --retries=2 "
    'CMD ["wget","-q","-O","/dev/null","http://127.0.0.1:8080/health"]'
)
IDLE = "local/idle:1"
"""An image that sleeps."""
WEB = "local/web:1"
"""An image that serves /www on port 8080, healthy while /www/health is there."""


class LabEngine(Engine):
    """The engine, with the questions that tests have."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, own_network=True)

    def make_images(self) -> None:
        """Make the images, and have the plug-in compose."""
        self.make_image(IDLE, _SLEEP)
        self.make_image(WEB, _SERVE, _HEALTH)
        self.install_compose()

    def run(self, name: str, *options: str, image: str = IDLE, command: str = "") -> str:
        """Run a container in the background; `command` is one for sh. Returns its name."""
        argv = ["sh", "-c", command] if command else []
        self.docker("run", "-d", "--pull", "never", "--network", "none", "--name", name, *options, image, *argv)
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """All that the engine says of a container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name))
        return found[0]

    def state(self, name: str) -> str:
        """Its word for a container's state."""
        return str(self.inspect(name)["State"]["Status"])

    def health(self, name: str) -> str:
        """Its word for a container's health."""
        return str(self.inspect(name)["State"]["Health"]["Status"])


def needs_docker() -> None:
    """Skip the test where there can be no engine, and say why; on CI that is a failure."""
    missing = [*lacking(), *([] if shutil.which("iptables") else ["iptables"])]
    if not missing:
        return
    sentence = f"a Docker engine of our own needs {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@contextlib.contextmanager
def docker_engine() -> Iterator[LabEngine]:
    """An engine of one's own, with the images."""
    needs_docker()
    lab = LabEngine(Path(tempfile.mkdtemp(prefix="heald-d-", dir="/tmp")))  # short: a socket's path has 107 bytes
    try:
        lab.start()
        lab.make_images()
        yield lab
    finally:
        lab.remove()


@contextlib.contextmanager
def shared_engine(meeting_place: Path) -> Iterator[LabEngine]:
    """The engine that all workers of a test run use; whoever comes first runs it until the last one has left.

    `meeting_place` is a folder that they have in common.
    """
    needs_docker()
    users, notes = meeting_place / "docker-users", meeting_place / "docker-folder"
    mine = users / str(os.getpid())
    with contextlib.ExitStack() as stack:
        with _lock(meeting_place):
            users.mkdir(exist_ok=True)
            if notes.exists():
                lab = LabEngine(Path(notes.read_text()))
                owns = False
            else:
                lab = stack.enter_context(docker_engine())
                notes.write_text(str(lab.folder))
                owns = True
            mine.touch()
        try:
            yield lab
        finally:
            mine.unlink()
            while owns and not _is_last(meeting_place, users, notes):
                time.sleep(0.05)


def _is_last(meeting_place: Path, users: Path, notes: Path) -> bool:
    """Whether nobody uses the engine any more; then nobody begins to, either."""
    with _lock(meeting_place):
        if any(psutil.pid_exists(int(user.name)) for user in users.iterdir()):
            return False
        notes.unlink()
        return True


@contextlib.contextmanager
def _lock(meeting_place: Path) -> Iterator[None]:
    with (meeting_place / "docker-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
