"""A real daemon on a real service, asked why it does not restart it."""

import json
from pathlib import Path

from tests.acceptance.daemon_process import DaemonProcess, wait_until
from tests.acceptance.test_daemon import RULES


def test_why_did_it_not_restart_my_service(tmp_path: Path) -> None:
    (tmp_path / "well").touch()
    rules = RULES.format(folder=tmp_path, takes=0.0).replace("cooldown: 0s", "cooldown: 1h")
    rules = rules.replace(f"sleep 0.0; touch {tmp_path}/well", "true")  # a restart that does not help
    with DaemonProcess(tmp_path, rules.replace("verify: 2s", "verify: 500ms")) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        assert "it is not breached, so nothing is done" in daemon.ask("explain", "web").stdout.splitlines()[0]
        (tmp_path / "well").unlink()
        wait_until(lambda: any(it["hold"] == "cooldown" for it in daemon.incidents()), what="held by cooldown")
        done = daemon.ask("explain", "web")
        assert (done.returncode, done.stderr) == (0, "")
        first = done.stdout.splitlines()[0]
        assert first.startswith("rule web-down on web: restart of command:web@")
        assert " is held by cooldown: " in first
        assert "and has its cooldown, until " in first
        assert "which command calls stopped" in done.stdout
        assert "1000/1h of all: 1 used, 999 left" in done.stdout
        assert len(done.stdout.splitlines()) < 40

        incident = daemon.incidents()[0]["id"]
        told = json.loads(daemon.ask("explain", incident, "--json").stdout)
        assert told["kind"] == "incident"
        assert told["standings"][0]["operands"] == [
            {
                "text": "up",
                "value": "0",
                "missing": "",
                "window_seconds": None,
                "samples": None,
                "span_seconds": None,
            }
        ]
        assert told["story"]["incident"]["attempts"][0]["verification"] == "ineffective"
        assert daemon.ask("explain", "web-dwon").stderr.endswith("; did you mean web-down?\n")

        planned = daemon.ask("plan").stdout
        assert daemon.ask("report", "--would").stdout.startswith("since ")
        assert "web-down" not in daemon.ask("report", "--would").stdout  # what was really done is no matter of it
        assert planned.startswith("1. P2 web-down on web: restart of command:web@")
        assert "after that it would be done" in planned

        (tmp_path / "well").touch()
        wait_until(lambda: daemon.incidents()[0]["state"] == "resolved")
        assert "resolved after 1 attempt, the last ineffective" in daemon.ask("explain", incident).stdout


def test_what_observe_mode_would_have_done(tmp_path: Path) -> None:
    (tmp_path / "well").touch()
    rules = RULES.format(folder=tmp_path, takes=0.0).replace("mode: act", "mode: observe")
    with DaemonProcess(tmp_path, rules.replace("limit: [100/1h]\n    steps", "limit: [1/1h]\n    steps")) as daemon:
        wait_until(lambda: daemon.status()["checks"][0]["state"] == "up")
        (tmp_path / "well").unlink()
        wait_until(lambda: any(it["hold"] == "limit_rule" for it in daemon.incidents()), what="held by limit_rule")
        said = daemon.ask("report", "--would", "--since", "1h").stdout
        assert "1 attempt would have been made, 1 incident handed to people" in said.splitlines()[0]
        assert "restart, try 1, ineffective: restart service web (command:web@" in said
        assert "limit 1/1h of rule web-down: at most 1 counted at once" in said
        planned = daemon.ask("plan").stdout
        assert "would be done now, once a second look confirms it" in planned.splitlines()[0]
        assert not (tmp_path / "did").exists()


def test_what_keeps_heald_from_acting_on_anything_stands_on_top_and_people_are_told_in_time(tmp_path: Path) -> None:
    rules = RULES.format(folder=tmp_path, takes=0.0).replace("mode: act", "mode: act, escalate_after: 1s")
    rules = rules.replace("startup_grace: 0s", "startup_grace: 1h, self_test: [web]")
    assert "startup_grace: 1h" in rules
    with DaemonProcess(tmp_path, rules) as daemon:
        wait_until(
            lambda: any(it["hold"] == "startup_grace" for it in daemon.incidents()), what="held by startup_grace"
        )
        said = daemon.ask("status").stdout
        assert "\nnothing is acted on: startup_grace: heald or its host started too recently (over sooner" in said
        assert "\nnothing is acted on: self_test: it may be heald's own host or network that is broken: web has" in said
        wait_until(lambda: daemon.incidents()[0]["handed_over"] == "startup_grace", what="people are told")
        listed = daemon.ask("incidents").stdout
        assert "  held       startup_grace: heald or its host started too recently" in listed
        assert ", until 20" in listed
