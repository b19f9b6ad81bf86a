"""A secret that an option names by its variable reaches that option, and no command that heald runs."""

import json
import subprocess
from pathlib import Path

from tests.acceptance.daemon_process import HEALD, DaemonProcess, wait_until

TOKEN = "t0k3n-of-the-shop"
RULES = """version: 1
settings: {{mode: act, allow: [restart], startup_grace: 0s}}
services:
  web:
    run_by:
      command:
        restart: [sh, -c, "env > {folder}/restart.env; touch {folder}/well"]
        status: [sh, -c, "env > {folder}/status.env; test -e {folder}/well || exit 3"]
checks:
  web:
    service: web
    command: {{argv: [sh, -c, "env > {folder}/check.env; test -e {folder}/well"], exit_codes: plain}}
    every: 300ms
    timeout: 5s  # a busy host begins a command late
  given:
    command: {{argv: [sh, -c, "env > {folder}/given.env"], exit_codes: plain, env: {{MINE: "${{env:SHOP_TOKEN}}"}}}}
    every: 300ms
    timeout: 5s  # a busy host begins a command late
  far: {{http: {{url: "http://127.0.0.1:1/", bearer: "${{env:SHOP_TOKEN}}", headers: {{X-Home: "${{env:HOME}}"}}}}}}
rules:
  web-down:
    check: web
    when: up == 0
    for: 0s
    steps: [{{restart: {{}}, cooldown: 0s, settle: 0s, verify: 5s}}]
"""


def environment(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)


def test_no_command_of_the_daemon_gets_a_variable_that_is_somebody_elses_secret(tmp_path: Path) -> None:
    env = {"SHOP_TOKEN": TOKEN, "SHOP_NAME": "corner"}
    with DaemonProcess(tmp_path, RULES.format(folder=tmp_path), env=env) as daemon:
        wait_until(lambda: any(it["state"] == "resolved" for it in daemon.incidents()))
        wait_until(lambda: (tmp_path / "given.env").exists() and environment(tmp_path / "given.env"))
        assert daemon.stop() == 0
    assert environment(tmp_path / "given.env")["MINE"] == TOKEN
    for name in ("check", "status", "restart", "given"):
        seen = environment(tmp_path / f"{name}.env")
        assert seen["SHOP_NAME"] == "corner"
        assert "HOME" in seen  # named in a secret field, and no secret
        assert "SHOP_TOKEN" not in seen, name
    assert TOKEN not in daemon.text()


TALKS = """version: 1
settings: {{mode: act, allow: [run], startup_grace: 0s}}
checks:
  web:
    command: {{argv: [sh, -c, 'echo "I was told $1"; exit 2', x, "${{env:SHOP_TOKEN}}"]}}
    every: 300ms
    timeout: 5s
rules:
  web-down:
    check: web
    when: up == 0
    for: 0s
    steps: [{{run: {{argv: [sh, -c, 'echo "and I $1"; exit 1', x, "${{env:SHOP_TOKEN}}"]}}, cooldown: 0s}}]
"""


def test_what_a_command_prints_of_its_arguments_is_recorded_with_stars(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, TALKS.format(), env={"SHOP_TOKEN": TOKEN}) as daemon:
        wait_until(lambda: any(it["attempts"] and it["attempts"][0]["ended_at"] for it in daemon.incidents()))
        (incident,) = daemon.incidents()
        (attempt,) = incident["attempts"]
        assert "and I **********" in attempt["summary"]
        assert attempt["details"]["argv"][-1] == "**********"
        said = json.dumps([daemon.status(), incident])
        assert daemon.stop() == 0
    kept = b"".join(path.read_bytes() for path in daemon.state.iterdir() if path.is_file())
    assert TOKEN not in said + daemon.text()
    assert TOKEN.encode() not in kept


def test_neither_does_a_command_of_heald_check(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES.format(folder=tmp_path))
    env = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHOP_TOKEN": TOKEN}
    subprocess.run([HEALD, "check", "--config", file, "web"], env=env, capture_output=True, timeout=30, check=False)
    seen = environment(tmp_path / "check.env")
    assert (seen["HOME"], "SHOP_TOKEN" in seen) == ("/", False)
