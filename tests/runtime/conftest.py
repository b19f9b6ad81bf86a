"""What tests of the runtime share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], object]:
    """Takes what is run in place of the launcher."""
    place = tmp_path / "launcher.py"
    monkeypatch.setattr("daemon.runtime.launcher_process._LAUNCHER", str(place))
    return place.write_text
