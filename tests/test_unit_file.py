"""The systemd unit: systemd itself accepts it, and it says what the daemon relies on."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.places import BAD_CONFIG, SYSTEM_CONFIG, SYSTEM_RUNTIME
from daemon.model.settings import Settings

UNIT = Path(__file__).parent.parent / "systemd" / "heald.service"


def settings_of(section: str) -> dict[str, str]:
    """The assignments of one section; a unit file is no INI file: a key may be there twice, and adds."""
    found: dict[str, str] = {}
    current = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif line and not line.startswith("#") and current == section:
            name, value = line.split("=", 1)
            found[name] = f"{found[name]} {value}" if name in found else value
    return found


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


def test_systemd_accepts_every_line(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "tests/lab/bootstrap.sh installs it"
    copy = tmp_path / "heald.service"  # with a program that is there: the package puts heald in /usr/bin
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/heald", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if "heald" in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_would_have_found_a_wrong_line(tmp_path: Path) -> None:
    copy = tmp_path / "heald.service"
    copy.write_text(
        UNIT.read_text().replace("/usr/local/bin/heald", sys.executable).replace("WatchdogSec=", "WatchDogSecs=")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert "WatchDogSecs" in done.stderr


def test_the_daemon_itself_says_when_it_is_ready_and_alive() -> None:
    service = settings_of("Service")
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert seconds(service["WatchdogSec"]) == 30


def test_it_is_always_started_again_except_for_a_file_that_only_an_edit_can_help() -> None:
    service = settings_of("Service")
    assert service["Restart"] == "always"
    assert seconds(service["RestartSec"]) > 0
    assert service["RestartPreventExitStatus"] == str(BAD_CONFIG)
    assert settings_of("Unit")["StartLimitIntervalSec"] == "0"


def test_it_reads_the_system_file_and_is_reloaded_by_its_own_command() -> None:
    service = settings_of("Service")
    assert service["ExecStart"] == f"/usr/local/bin/heald run --config {SYSTEM_CONFIG}"
    assert service["ExecReload"] == "/usr/local/bin/heald reload"


def test_its_directories_are_where_the_command_line_looks() -> None:
    service = settings_of("Service")
    assert service["StateDirectory"] == "heald"
    assert Path("/run") / service["RuntimeDirectory"] == SYSTEM_RUNTIME
    assert "RuntimeDirectoryPreserve" not in service  # a socket left behind would look like a daemon


def test_what_stands_still_is_killed_soon_after_it_was_told() -> None:
    assert seconds(settings_of("Service")["TimeoutAbortSec"]) == 5


def exposure(folder: Path, text: str) -> float:
    """What `systemd-analyze security` says of a unit: 0 is shut in, 10 is free to do anything."""
    copy = folder / "heald.service"
    copy.write_text(text.replace("/usr/local/bin/heald", sys.executable))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    found = re.search(r"Overall exposure level for heald.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def test_it_is_shut_in_as_far_as_a_watcher_can_be(tmp_path: Path) -> None:
    assert exposure(tmp_path, UNIT.read_text()) <= 1.5
    assert exposure(tmp_path, UNIT.read_text().replace("NoNewPrivileges=yes", "")) > 1.5  # it is measured


def test_it_has_no_right_that_is_not_named() -> None:
    service = settings_of("Service")
    assert service["User"] == service["Group"] == "heald"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["OOMPolicy"] == "continue"  # a check's command that runs out of memory does not stop heald
    assert {"MemoryMax", "TasksMax", "SystemCallFilter"} <= service.keys()


@pytest.mark.parametrize("drop_in", sorted((UNIT.parent / "drop-ins").glob("*.conf")), ids=lambda path: path.name)
def test_systemd_accepts_every_drop_in(tmp_path: Path, drop_in: Path) -> None:
    unit = tmp_path / "heald.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/heald", sys.executable))
    (tmp_path / "heald.service.d").mkdir()
    shutil.copy(drop_in, tmp_path / "heald.service.d")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert [line for line in done.stderr.splitlines() if "heald" in line or drop_in.name in line] == []


def test_a_stop_leaves_running_attempts_their_grace() -> None:
    assert seconds(settings_of("Service")["TimeoutStopSec"]) >= Settings().shutdown_grace + 10


@pytest.mark.parametrize("section", ["Unit", "Service", "Install"])
def test_every_section_has_something_in_it(section: str) -> None:
    assert settings_of(section)
