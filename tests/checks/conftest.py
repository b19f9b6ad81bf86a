"""What the tests of the network's checks share: both that can speak HTTP, and both event loops."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from checks import _exchange


@pytest.fixture(params=["own", "aiohttp"])
def either_speaker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Our own code, or aiohttp for every method."""
    speaker: str = request.param
    if speaker == "aiohttp":
        monkeypatch.setattr(_exchange, "OWN", frozenset())
    return speaker


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # pytest passes it by its name
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What looks at the network itself is tried on either loop that an operator may choose."""
    either: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem.startswith(("test_http", "test_tcp", "test_net", "test_names")):
        either["uvloop"] = uvloop.new_event_loop
    return either
