"""The services in containers of a Compose project, under a Docker engine that the demo starts for itself.

The image is nothing but busybox; the services are those of the other demo, run by the host's own Python, which the
containers see and cannot write. They are on the host's network, on loopback, so the engine leaves that as it is.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.engine import Engine, EngineError, lacking
from demo.stage import DEMO, SERVICES, Stage, StageError

PROJECT = "shop"
IMAGE = "local/shop:1"


class Composed(Stage):
    """Three containers of one project."""

    runner = "a Docker engine and a Compose project"
    rules = DEMO / "composed.yaml"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "engine").mkdir()
        self.engine = Engine(folder / "engine", own_network=False)
        self._file = folder / "compose.yaml"
        self._making: asyncio.Future[None] | None = None

    async def start_services(self) -> None:
        if missing := lacking():
            hint = "; try sudo make demo-host" if missing == ["root"] else ""
            raise StageError(f"a Docker engine of its own needs {', '.join(missing)}{hint}")
        self._file.write_text(json.dumps({"services": {name: self._described(name) for name in SERVICES}}, indent=1))
        self.engine.begin()  # here, so that there is something to stop
        self._making = asyncio.ensure_future(asyncio.to_thread(self._make_containers))
        await asyncio.shield(self._making)

    def _make_containers(self) -> None:
        self.engine.wait()
        self.engine.make_image(IMAGE)
        self.engine.install_compose()
        self.engine.compose(PROJECT, self._file, "up", "--detach", "--wait")

    async def stop_services(self) -> None:
        """Nothing may be made any more when the folder goes: without its engine, what is under way fails."""
        if self._making and not self._making.done():
            await asyncio.to_thread(self.engine.stop)
            with contextlib.suppress(EngineError):
                await self._making
        await asyncio.to_thread(self.engine.remove)

    def environment(self) -> Mapping[str, str]:
        """A container that was removed is made anew by the command docker, and its plug-in is in a folder of ours."""
        return {"DEMO_ENGINE": self.engine.url, "DOCKER_CONFIG": str(self.engine.config)}

    async def send(self, name: str, number: signal.Signals) -> None:
        await self._docker("kill", "--signal", number.name, container(name))

    async def mend(self, name: str) -> None:
        await self._docker("start", container(name))

    async def remove(self, name: str) -> None:
        """Remove the container of a service, as if it had never been made."""
        await self._docker("rm", "--force", container(name))

    def invitation(self) -> Sequence[str]:
        docker = f"docker --host {self.engine.url}"
        return [
            f"{docker} ps",
            f"{docker} kill {container('api')}",
            f"{docker} pause {container('store')}",
            f"{docker} rm --force {container('store')}",
        ]

    async def _docker(self, *arguments: str) -> None:
        await asyncio.to_thread(self.engine.docker, *arguments)

    def _described(self, name: str) -> dict[str, Any]:
        """A service as a compose file has it. No `restart`: healing is heald's part."""
        python = os.path.realpath(sys.executable)  # outside of any virtual environment
        return {
            "image": IMAGE,
            "pull_policy": "never",
            "network_mode": "host",
            "command": self.command(name, python=python, program=DEMO / "service.py"),
            "environment": {
                "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1",
            },
            "volumes": [*(f"{place}:{place}:ro" for place in _places()), f"{self.marks}:{self.marks}"],
            "stop_grace_period": "1s",
            "healthcheck": {
                "test": ["CMD", "wget", "-q", "-O", "/dev/null", f"{self.urls[name]}/health"],
                "interval": "1s",
                "start_period": "1m",  # on a busy host two looks at a service that only starts are soon over
                "timeout": "2s",
                "retries": 2,
            },
        }


def container(name: str) -> str:
    """The container of a service, as Compose calls it."""
    return f"{PROJECT}-{name}-1"


def _places() -> list[str]:
    """What of the host a service needs to run: its Python, the C library, and its own file."""
    places = [Path(place) for place in ("/usr", "/lib", "/lib64", sys.base_prefix, str(DEMO)) if Path(place).exists()]
    return [str(place) for place in places if not any(other in place.parents for other in places)]
