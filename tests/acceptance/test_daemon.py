"""The whole daemon on real processes: start, faults of its store, reload, shutdown, kill switch."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.acceptance.daemon_process import HEALD, DaemonProcess, wait_until

RULES = """version: 1
settings: {{mode: act, allow: [restart], startup_grace: 0s, shutdown_grace: 2s, budget: [1000/1h]}}
services:
  web:
    run_by:
      command:
        start: [sh, -c, "echo start >> {folder}/did; touch {folder}/well"]
        stop: ["true"]
        restart: [sh, -c, "echo restart >> {folder}/did; sleep {takes}; touch {folder}/well"]
        status: [sh, -c, "test -e {folder}/well || exit 3"]
    limit: [100/1h]
checks:
  web:
    service: web
    command: {{argv: [sh, -c, "test -e {folder}/well && echo OK || (echo gone; exit 2)"]}}
    every: 300ms
    timeout: 5s  # a machine with much to do starts a shell late
rules:
  web-down:
    check: web
    when: up == 0
    for: 0s
    limit: [100/1h]
    steps: [{{restart: {{}}, tries: 50, cooldown: 0s, settle: 200ms, verify: 2s, timeout: 20s}}]
"""


def rules(folder: Path, takes: float = 0.0) -> str:
    (folder / "well").touch()
    return RULES.format(folder=folder, takes=takes)


def did(folder: Path) -> int:
    return len((folder / "did").read_text().split()) if (folder / "did").exists() else 0


def metrics(daemon: DaemonProcess) -> dict[str, float]:
    with urlopen(f"http://{daemon.status()['listen']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_sick_service_is_found_restarted_verified_and_remembered(tmp_path: Path, loop: str) -> None:
    text = rules(tmp_path).replace("mode: act", f"mode: act, uvloop: {str(loop == 'uvloop').lower()}")
    with DaemonProcess(tmp_path, text) as daemon:
        assert daemon.lines("started")[0]["loop"] == loop
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: any(it["state"] == "resolved" for it in daemon.incidents()))
        incident = daemon.incidents()[0]
        assert [(it["state"], it["verification"]) for it in incident["attempts"]] == [("succeeded", "effective")]
        assert did(tmp_path) == 1
        shown = metrics(daemon)
        assert shown['heald_attempts_total{outcome="succeeded",remediation="restart"}'] == 1
        assert shown['heald_attempts_verified_total{remediation="restart",result="effective"}'] == 1
        assert shown["heald_time_to_heal_seconds_count"] == 1
        assert daemon.stop() == 0
    assert [line["event"] for line in daemon.lines()][-2:] == ["stopping", "stopped"]


def test_the_log_has_a_line_per_change_and_none_per_run(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: metrics(daemon).get('heald_check_runs_total{check="web",result="ok"}', 0) > 5)
        assert [line["event"] for line in daemon.lines()] == ["started"]


def test_a_running_attempt_may_end_when_heald_is_asked_to_stop(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path, takes=1.0)) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        assert daemon.stop() == 0
        assert (tmp_path / "well").exists()
        assert [line["event"] for line in daemon.lines()].count("attempt_succeeded") == 1


def test_an_attempt_longer_than_the_grace_is_ended_and_found_lost(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path, takes=30.0)) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        daemon.stop()
        daemon.start().ready()
        wait_until(lambda: [it["state"] for it in daemon.incidents()[0]["attempts"]] == ["lost"])
        assert did(tmp_path) == 1  # busy until claim + timeout


def test_a_second_daemon_on_the_same_state_exits_75(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        command = [HEALD, "run", "--config", daemon.rules, "--state-dir", daemon.state, "--listen", "127.0.0.1:0"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 75
        assert str(daemon.process.pid) in second.stderr


def test_a_bad_file_at_start_exits_78_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 1\nchekcs: {}\n")
    command = [HEALD, "run", "--config", tmp_path / "rules.yaml", "--state-dir", tmp_path / "state"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 78
    assert "rules.yaml:2:1: chekcs:" in found.stderr


def test_a_bad_file_at_reload_changes_nothing_and_is_said_three_times(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        good = daemon.rules.read_text()
        daemon.rules.write_text(good.replace("up == 0", "upp == 0"))
        answer = daemon.ask("reload")
        assert answer.returncode == 1
        assert "upp" in answer.stderr
        assert "did you mean up" in answer.stderr
        assert daemon.lines("reload_refused")
        assert metrics(daemon)["heald_config_last_reload_successful"] == 0
        assert daemon.status()["rules"] == 1
        daemon.rules.write_text(good)
        assert daemon.ask("reload").returncode == 0
        assert metrics(daemon)["heald_config_last_reload_successful"] == 1


def test_sighup_reloads(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        daemon.rules.write_text(daemon.rules.read_text() + "  second: {check: web, when: up == 0}\n")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.status()["rules"] == 2)


def test_a_reload_in_the_middle_of_an_attempt_lets_it_finish(tmp_path: Path) -> None:
    text = rules(tmp_path).replace("sleep 0.0", f"until test -e {tmp_path}/go; do sleep 0.05; done")
    with DaemonProcess(tmp_path, text) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: did(tmp_path) == 1)
        daemon.rules.write_text(text.split("rules:\n")[0])  # the rule is removed
        assert daemon.ask("reload").returncode == 0
        (tmp_path / "go").touch()
        wait_until(lambda: daemon.incidents()[0]["attempts"][0]["state"] == "succeeded")
        assert daemon.incidents()[0]["state"] == "withdrawn"


def test_the_kill_switch_is_a_file(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (daemon.state / "pause").write_text("release in progress\n")
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.incidents() and daemon.incidents()[0]["hold"] == "paused")
        assert "release in progress" in daemon.incidents()[0]["hold_sentence"]
        assert did(tmp_path) == 0
        assert daemon.ask("resume").returncode == 0
        wait_until(lambda: did(tmp_path) == 1)


def test_a_pause_says_who_and_why_and_outlives_a_restart(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        assert daemon.ask("pause", "--why", "release 42").returncode == 0
        daemon.kill()
        daemon.start().ready()
        assert daemon.status()["paused"]["why"] == "release 42"
        assert metrics(daemon)["heald_paused"] == 1


def test_a_damaged_store_is_moved_aside_and_nothing_is_done_until_somebody_says_resume(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        daemon.stop()
        (daemon.state / "heald.db").write_bytes(b"no database " * 1000)
        daemon.start().ready()
        (line,) = daemon.lines("store_damaged")
        assert "All acting is paused until somebody says `heald resume`." in line["message"]
        assert list(daemon.state.glob("heald.db.damaged-*"))
        assert daemon.status()["paused"]["who"] == "heald itself"
        (tmp_path / "well").unlink()
        wait_until(lambda: [it["hold"] for it in daemon.incidents()] == ["paused"])
        assert "damaged" in daemon.incidents()[0]["hold_sentence"]
        assert did(tmp_path) == 0
        assert daemon.ask("resume").returncode == 0
        wait_until(lambda: did(tmp_path) == 1)


def test_a_pause_that_cannot_be_written_or_removed_says_so(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        (daemon.state / "pause").mkdir()
        assert "paused by somebody: the file" in daemon.ask("status").stdout
        refused = daemon.ask("resume")
        assert refused.returncode == 1
        assert "cannot be removed: Is a directory; acting stays paused until it is gone" in refused.stderr
        refused = daemon.ask("pause", "--why", "release 42")
        assert refused.returncode == 1
        assert "cannot be written: Is a directory; acting is paused all the same" in refused.stderr
        (daemon.state / "pause").rmdir()
        assert daemon.status()["paused"] is None
        assert daemon.lines("request_failed") == []


def test_the_mode_on_the_command_line_may_only_lower_what_the_file_says(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path), "--mode", "observe") as daemon:
        assert daemon.status()["mode"] == "observe"
    other = tmp_path / "other"
    other.mkdir()
    with DaemonProcess(other, rules(other).replace("mode: act", "mode: observe"), "--mode", "act") as daemon:
        assert daemon.status()["mode"] == "observe"


FULL = """
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", sys.argv[1]], check=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def can_mount() -> None:
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("a full disk needs `unshare -m`, as root")
        pytest.skip("a full disk needs `unshare -m`, as root")


@pytest.mark.usefixtures("can_mount")
def test_with_a_full_disk_heald_watches_acts_on_nothing_says_so_and_recovers(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, rules(tmp_path))
    daemon.state.mkdir()
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", FULL, daemon.state, HEALD, "run"]
    command += ["--config", daemon.rules, "--state-dir", daemon.state, "--listen", "127.0.0.1:0"]
    run = tmp_path / "run"
    run.mkdir()
    daemon._env["RUNTIME_DIRECTORY"] = str(run)
    daemon.sockets = run
    with daemon.log.open("ab") as log:
        daemon.process = subprocess.Popen(command, stdout=log, stderr=log, env=daemon._env)
    try:
        daemon.ready()
        inside = Path(f"/proc/{daemon.process.pid}/root{daemon.state}")
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        filler = inside / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError as error:
                assert error.errno == 28  # noqa: PT017  # that the disk is full is what was wanted
        (tmp_path / "well").unlink()
        wait_until(lambda: daemon.lines("store_unavailable"), what=daemon.text())
        wait_until(lambda: [it["hold"] for it in daemon.incidents()] == ["store_unavailable"], what=daemon.text())
        assert did(tmp_path) == 0
        assert metrics(daemon)["heald_store_writable"] == 0
        filler.unlink()
        wait_until(lambda: did(tmp_path) == 1, what=daemon.text())
        wait_until(lambda: daemon.incidents()[0]["state"] == "resolved", what=daemon.text())
        assert json.loads(daemon.ask("status", "--json").stdout)["store_writable"]
    finally:
        daemon.__exit__()
