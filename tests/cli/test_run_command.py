"""`heald run` hands the daemon what the command line and the environment say, and exits as it says."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from daemon.cli import main


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """What the daemon was told; it exits 75, as if another had the state directory."""
    told: dict[str, object] = {}

    def run(**options: object) -> int:
        told.update(options)
        return 75

    app = ModuleType("daemon.app")
    app.__dict__["run"] = run
    monkeypatch.setitem(sys.modules, "daemon.app", app)
    for name in ("HEALD_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return told


def test_options_go_to_the_daemon_and_its_exit_code_comes_back(told: dict[str, object], tmp_path: Path) -> None:
    arguments = ["run", "--config", "r.yaml", "--state-dir", "s", "--listen", "[::1]:0", "--mode", "observe"]
    assert CliRunner().invoke(main, arguments).exit_code == 75
    assert told == {
        "config": tmp_path / "r.yaml",
        "state_dir": tmp_path / "s",
        "runtime_dir": None,
        "listen": "[::1]:0",
        "mode": "observe",
    }


def test_the_environment_of_systemd_is_used(
    told: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.yaml").touch()
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/heald")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/heald")
    CliRunner().invoke(main, ["run"])
    assert told == {
        "config": tmp_path / "rules.yaml",
        "state_dir": Path("/var/lib/heald"),
        "runtime_dir": Path("/run/heald"),
        "listen": None,
        "mode": None,
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", "9797"], "9797 is a port without a host; write HOST:PORT"),
        (["--mode", "wild"], "'wild' is not one of 'observe', 'act'"),
    ],
)
def test_wrong_options_are_said_before_anything_starts(
    told: dict[str, object], arguments: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(main, ["run", *arguments])
    assert (done.exit_code, told) == (2, {})
    assert sentence in done.output


def test_no_rules_file_at_all_exits_78(
    told: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("daemon.cli.places.SYSTEM_CONFIG", tmp_path / "nowhere")
    done = CliRunner().invoke(main, ["run"])
    assert (done.exit_code, told) == (78, {})
    assert "no rules file" in done.output
