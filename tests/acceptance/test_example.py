"""The file with which operators meet heald: what is said of its parts that are not there yet; the rest runs."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from tests.acceptance.daemon_process import HEALD, DaemonProcess, wait_until
from tests.lab.postgres import LabPostgres, postgres

EXAMPLE = Path(__file__).with_name("example.yaml")
NOT_THERE_YET = (
    ("[restart, scale, terminate_sessions]", "[restart]"),
    ("    gather: [{logs: {lines: 100}}]\n", ""),
    ("      - scale: {replicas: 2}\n", ""),
    ("    steps: [{terminate_sessions: {idle_longer_than: 1h}}]\n", ""),
)


def without_them() -> str:
    text = EXAMPLE.read_text()
    for part, instead in NOT_THERE_YET:
        assert part in text
        text = text.replace(part, instead)
    return text


def look_once(rules: Path, environment: dict[str, str]) -> dict[str, Any]:
    command = [HEALD, "check", "--json", "--config", rules, "db_sessions"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environment})
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[LabPostgres]:
    with postgres() as started:
        started.say("CREATE ROLE heald LOGIN PASSWORD 'p'", "GRANT pg_monitor TO heald")
        yield started


def test_what_is_not_there_yet_is_said_at_its_place_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECAP_DATABASE_URL", "postgresql://heald@db1/ecap")
    with pytest.raises(ConfigError) as raised:
        load(EXAMPLE, node="node")
    found = [(it.line, it.column, it.path, it.text.split(";")[0]) for it in raised.value.problems]
    assert found == [
        (4, 20, "settings.allow[1]", "there is no remediation scale"),
        (4, 27, "settings.allow[2]", "there is no remediation terminate_sessions"),
        (40, 5, "rules.api-down.gather", "the key gather is not known"),
        (47, 9, "rules.api-down.steps[1].scale", "the key scale is not known"),
        (53, 14, "rules.too-many-sessions.steps[0].terminate_sessions", "the key terminate_sessions is not known"),
    ]


def test_without_them_it_is_valid_looks_and_runs(tmp_path: Path, server: LabPostgres) -> None:
    database = {"ECAP_DATABASE_URL": server.dsn("heald", "p")}
    with DaemonProcess(tmp_path, without_them(), env=database) as daemon:
        once = look_once(daemon.rules, database)
        assert once["result"] == "ok"
        assert once["findings"][0]["because"].startswith("connections = ")

        def states() -> dict[str, str]:
            return {check["name"]: check["state"] for check in daemon.status()["checks"]}

        wait_until(lambda: states()["db_sessions"] == "up", within=30, what="db_sessions is up")
        assert states().keys() == {"gateway", "api_health", "db_sessions"}
        assert daemon.status()["mode"] == "act"
        assert daemon.stop() == 0
