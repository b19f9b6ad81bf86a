"""What people tell a real daemon to leave alone, and what it asks them, by command."""

import getpass
import json
from pathlib import Path

from tests.acceptance.daemon_process import DaemonProcess, wait_until
from tests.acceptance.test_daemon import did, rules


def is_up(daemon: DaemonProcess) -> bool:
    return bool(daemon.status()["checks"][0]["state"] == "up")


def holds(daemon: DaemonProcess) -> list[str]:
    return [it["hold"] for it in daemon.incidents(closed=False)]


def test_a_service_is_paused_by_name_and_stays_so_after_kill_9(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: is_up(daemon))
        said = daemon.ask("pause", "--service", "web", "--why", "release 42")
        assert said.returncode == 0, said.stderr
        assert "paused service=web" in said.stdout
        daemon.kill()
        daemon.start().ready()
        (tmp_path / "well").unlink()
        wait_until(lambda: holds(daemon) == ["paused"], what=daemon.text())
        assert daemon.status()["paused"] is None  # the rest is not
        assert did(tmp_path) == 0
        assert daemon.ask("resume", "--service", "web").returncode == 0
        wait_until(lambda: did(tmp_path) == 1)
        refused = daemon.ask("resume", "--service", "web")
        assert refused.returncode == 1
        assert "no pause of service=web is in force" in refused.stderr


def test_maintenance_is_begun_listed_and_ended(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: is_up(daemon))
        assert daemon.ask("maintenance", "start", "30m", "--why", "x").returncode == 2  # of what?
        wrong = daemon.ask("maintenance", "start", "30m", "--service", "webb", "--why", "x")
        assert (wrong.returncode, wrong.stderr) == (1, "Error: there is no service webb; did you mean web?\n")
        said = daemon.ask("maintenance", "start", "30m", "--service", "web", "--why", "new disk").stdout
        assert "maintenance of service=web for 30m" in said
        (tmp_path / "well").unlink()
        wait_until(lambda: holds(daemon) == ["maintenance"], what=daemon.text())
        listed = daemon.ask("maintenance", "list").stdout
        assert "new disk" in listed
        assert getpass.getuser() in listed
        assert daemon.ask("maintenance", "end").returncode == 0
        assert "no maintenance is in force" in daemon.ask("maintenance", "list").stdout
        assert json.loads(daemon.ask("maintenance", "list", "--json").stdout) == []
        wait_until(lambda: did(tmp_path) == 1)
        assert f"ended by {getpass.getuser()}" in daemon.ask("maintenance", "list", "--all").stdout


def test_a_silence_is_added_and_expired_by_its_id(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, rules(tmp_path)) as daemon:
        wait_until(lambda: is_up(daemon))
        wrong = daemon.ask("silence", "add", "servise=web", "--for", "2h", "--why", "x")
        assert wrong.returncode == 2
        assert "is no matcher; write FIELD=PATTERN" in wrong.stderr
        said = daemon.ask("silence", "add", "service=w*", "severity!=P0", "--for", "2h", "--hold", "--why", "x").stdout
        assert ": silent for 2h, and acting is held" in said
        (tmp_path / "well").unlink()
        wait_until(lambda: holds(daemon) == ["silenced"], what=daemon.text())
        assert daemon.ask("silence", "expire", said.split(":")[0]).returncode == 0
        wait_until(lambda: did(tmp_path) == 1)
        assert daemon.ask("silence", "expire", said.split(":")[0]).returncode == 1


def test_heald_asks_shows_what_it_would_do_and_does_it_once_somebody_agrees(tmp_path: Path) -> None:
    text = rules(tmp_path).replace("restart: {}", "restart: {}, approval: true")
    with DaemonProcess(tmp_path, text) as daemon:
        wait_until(lambda: is_up(daemon))
        assert daemon.ask("approvals").stdout == "nothing waits for approval\n"
        (tmp_path / "well").unlink()
        wait_until(lambda: holds(daemon) == ["approval"], what=daemon.text())
        wait_until(lambda: "restart service web" in daemon.ask("approvals").stdout)
        listed = daemon.ask("approvals").stdout
        (name,) = [word for word in listed.split() if word.startswith("approval-")]
        assert "which command calls stopped" in listed
        assert did(tmp_path) == 0
        said = daemon.ask("approve", name)
        assert said.stdout.startswith("approved: heald may restart service web"), said.stderr
        wait_until(lambda: did(tmp_path) == 1)
        wait_until(lambda: daemon.incidents()[0]["state"] == "resolved")
        assert f"used {daemon.incidents()[0]['id']}" in " ".join(daemon.ask("approvals", "--all").stdout.split())
        assert getpass.getuser() in daemon.ask("approvals", "--all").stdout
        (told,) = json.loads(daemon.ask("approvals", "--all", "--json").stdout)
        assert (told["state"], told["who"]) == ("used", getpass.getuser())
        assert daemon.ask("approve", name).returncode == 1


def test_a_rejected_step_is_over_and_people_have_it(tmp_path: Path) -> None:
    text = rules(tmp_path).replace("restart: {}", "restart: {}, approval: true")
    with DaemonProcess(tmp_path, text) as daemon:
        wait_until(lambda: is_up(daemon))
        (tmp_path / "well").unlink()
        wait_until(lambda: "approval-" in daemon.ask("approvals").stdout)
        (name,) = [word for word in daemon.ask("approvals").stdout.split() if word.startswith("approval-")]
        assert daemon.ask("reject", name, "--why", "I am at it").stdout.startswith("rejected: heald will not restart")
        wait_until(lambda: daemon.incidents()[0]["handed_over"] == "exhausted", what=json.dumps(daemon.incidents()))
        assert did(tmp_path) == 0
