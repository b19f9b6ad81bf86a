"""A control socket with a control behind it that notes what it is told, and the command line asking it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.api.control import ControlServer
from daemon.cli import main, places
from tests.api.fake_control import FakeControl

Heald = Callable[..., Awaitable[Result]]


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[FakeControl]:
    """A control that is served on `tmp_path`."""
    control = FakeControl()
    server = ControlServer(control, directory=tmp_path)
    await server.start()
    yield control
    control.end.set()
    await server.stop()


@pytest.fixture
def heald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heald:
    """The command line, with `tmp_path` as its state directory."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(places, "SYSTEM_RUNTIME", tmp_path / "nowhere")

    async def ask(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, arguments)

    return ask
