"""What the tests of the http check share: each runs with both that can speak HTTP."""

import pytest

from checks import _exchange


@pytest.fixture(params=["own", "aiohttp"])
def either_speaker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Our own code, or aiohttp for every method."""
    speaker: str = request.param
    if speaker == "aiohttp":
        monkeypatch.setattr(_exchange, "OWN", frozenset())
    return speaker
