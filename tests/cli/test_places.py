"""Where things are when the command line does not say."""

from pathlib import Path

import pytest

from daemon.cli import places
from daemon.cli.places import ConfigNotFoundError, find_config, find_runtime_dir, find_state_dir, socket_places


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HEALD_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(places, "SYSTEM_CONFIG", tmp_path / "etc" / "rules.yaml")
    monkeypatch.setattr(places, "SYSTEM_RUNTIME", tmp_path / "run")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_a_rules_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigNotFoundError, match="name one with --config or HEALD_CONFIG") as caught:
        find_config(None)
    assert caught.value.exit_code == 78
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "rules.yaml").touch()
    assert find_config(None) == tmp_path / "etc" / "rules.yaml"
    Path("rules.yaml").touch()
    assert find_config(None) == Path("rules.yaml")
    monkeypatch.setenv("HEALD_CONFIG", "/somewhere/else.yaml")
    assert find_config(None) == Path("/somewhere/else.yaml")
    assert find_config(Path("named.yaml")) == Path("named.yaml")


def test_the_state_directory_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_state_dir(None) == tmp_path / "home" / ".local" / "state" / "heald"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    assert find_state_dir(None) == tmp_path / "home" / ".local" / "state" / "heald"
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert find_state_dir(None) == Path("/xdg/heald")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/heald:/var/lib/other")
    assert find_state_dir(None) == Path("/var/lib/heald")
    assert find_state_dir(Path("named")) == tmp_path / "here" / "named"


def test_the_socket_is_where_the_daemon_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "home" / ".local" / "state" / "heald" / "heald.sock"
    system = tmp_path / "run" / "heald.sock"
    assert find_runtime_dir() is None
    assert socket_places(None) == [mine, system]
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/heald-two")
    assert find_runtime_dir() == Path("/run/heald-two")
    assert socket_places(None) == [Path("/run/heald-two/heald.sock"), mine, system]
    assert socket_places(Path("/named")) == [Path("/named/heald.sock"), Path("/run/heald-two/heald.sock")]
