"""The command manager runs real scripts: LSB exit codes, what fails, and what will never be better."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.errors import CheckError, RemediationError
from daemon.managers import command
from daemon.model.service import Service, ServiceState
from tests.lab.contexts import check_context


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def options(**given: Any) -> command.Options:
    return command.Options.model_validate(given)


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """A service script over a file: started, it holds `up`."""
    path = tmp_path / "web"
    path.write_text(
        f"""#!/bin/sh
        echo "$1" >>{tmp_path}/calls
        case "$1" in
            start) echo up >{tmp_path}/state; echo started web;;
            stop) [ -e {tmp_path}/state ] || exit 7; rm {tmp_path}/state;;
            status) [ -e {tmp_path}/state ] || exit 3;;
        esac
        """
    )
    path.chmod(0o755)
    return [str(path)]


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().split()


@pytest.mark.parametrize(
    ("code", "state", "detail"),
    [
        (0, ServiceState.RUNNING, "running (exit code 0)"),
        (1, ServiceState.FAILED, "dead, its pid file left (exit code 1)"),
        (2, ServiceState.FAILED, "dead, its lock file left (exit code 2)"),
        (3, ServiceState.STOPPED, "stopped (exit code 3)"),
    ],
)
async def test_status_codes_are_as_lsb_says(code: int, state: ServiceState, detail: str) -> None:
    found = await command.status(options(restart=["true"], status=sh(f"exit {code}")), check_context())
    assert (found.state, found.detail) == (state, detail)


@pytest.mark.parametrize("code", [4, 5, 127, 150])
async def test_a_status_that_does_not_know_makes_us_blind(code: int) -> None:
    settings = options(restart=["true"], status=sh(f"echo who knows >&2; exit {code}"))
    with pytest.raises(CheckError, match=f"does not know: exit code {code}: who knows"):
        await command.status(settings, check_context())


async def test_a_status_command_that_is_not_there_or_hangs_makes_us_blind() -> None:
    with pytest.raises(CheckError, match="cannot run status command no-such-command: No such file"):
        await command.status(options(restart=["true"], status=["no-such-command"]), check_context())
    with pytest.raises(CheckError, match="does not know: ended by heald after"):
        await command.status(options(restart=["true"], status=["sleep", "60"]), check_context(timeout=0.3))


async def test_without_a_status_command_nothing_is_known() -> None:
    found = await command.status(options(restart=["true"]), check_context())
    assert found.state is ServiceState.UNKNOWN


async def test_start_stop_and_status_of_a_service(script: list[str], tmp_path: Path) -> None:
    settings = options(start=[*script, "start"], stop=[*script, "stop"], status=[*script, "status"])
    assert (await command.status(settings, check_context())).state is ServiceState.STOPPED
    said = await command.start(settings, check_context())
    assert said.startswith(f"started by {script[0]} start in 0.")
    assert said.endswith("s, which said: started web")
    assert (await command.status(settings, check_context())).state is ServiceState.RUNNING
    assert (await command.stop(settings, check_context())).startswith("stopped by")
    assert (await command.status(settings, check_context())).state is ServiceState.STOPPED
    await command.stop(settings, check_context())  # exit code 7, not running: as it should be


async def test_a_restart_command_is_used_where_there_is_one(tmp_path: Path) -> None:
    settings = options(restart=sh(f"echo again >{tmp_path}/done"), start=["false"], stop=["false"])
    assert (await command.restart(settings, check_context())).startswith("restarted by sh -c")
    assert (tmp_path / "done").read_text() == "again\n"


async def test_without_a_restart_command_it_is_stopped_and_started(script: list[str], tmp_path: Path) -> None:
    settings = options(start=[*script, "start"], stop=[*script, "stop"])
    for _ in range(2):  # the first time it is not running
        assert (await command.restart(settings, check_context())).startswith("stopped, and started by")
    assert calls(tmp_path) == ["stop", "start", "stop", "start"]


async def test_what_cannot_be_stopped_is_only_started(script: list[str], tmp_path: Path) -> None:
    assert (await command.restart(options(start=[*script, "start"]), check_context())).startswith("started by")
    (tmp_path / "state").unlink()
    settings = options(start=[*script, "start"], status=[*script, "status"])
    assert (await command.restart(settings, check_context())).startswith("started by")
    assert calls(tmp_path) == ["start", "status", "start"]


async def test_what_cannot_be_stopped_is_not_started_while_it_runs_or_may_run(
    script: list[str], tmp_path: Path
) -> None:
    await command.start(options(start=[*script, "start"]), check_context())
    settings = options(start=[*script, "start"], status=[*script, "status"])
    with pytest.raises(RemediationError, match=r"it is running \(exit code 0\), and no stop or restart"):
        await command.restart(settings, check_context())
    with pytest.raises(RemediationError, match="not started: status command sh does not know"):
        await command.restart(options(start=[*script, "start"], status=sh("exit 4")), check_context())
    assert calls(tmp_path) == ["start", "status"]


async def test_a_stop_that_fails_keeps_it_from_being_started_twice(tmp_path: Path) -> None:
    start = sh(f"touch {tmp_path}/started")
    for status in (None, sh("exit 0"), sh("exit 4"), ["no-such-command"]):
        with pytest.raises(RemediationError, match="stop command sh failed: exit code 1"):
            await command.restart(options(start=start, stop=sh("exit 1"), status=status), check_context())
        assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("code", [1, 2, 3])
async def test_a_stop_that_fails_because_it_is_down_already_does_not(tmp_path: Path, code: int) -> None:
    settings = options(start=sh(f"touch {tmp_path}/started"), stop=sh("exit 1"), status=sh(f"exit {code}"))
    await command.restart(settings, check_context())
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("code", "permanent"), [(1, False), (4, False), (5, True), (6, True), (126, True), (127, True)]
)
async def test_a_failure_keeps_exit_code_and_output_and_knows_if_it_is_for_good(code: int, permanent: bool) -> None:
    settings = options(restart=sh(f"echo so; echo no database >&2; exit {code}"))
    with pytest.raises(RemediationError, match=f"^restart command sh failed: exit code {code}: no database$") as caught:
        await command.restart(settings, check_context())
    assert caught.value.permanent is permanent
    kept = {name: caught.value.details[name] for name in ("exit_code", "stdout", "stderr")}
    assert kept == {"exit_code": code, "stdout": "so\n", "stderr": "no database\n"}


async def test_a_command_that_is_not_there_or_may_not_be_run_is_a_permanent_error(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for argv in (["no-such-command"], [str(tmp_path / "plain")]):
        with pytest.raises(RemediationError, match="cannot run restart command") as caught:
            await command.restart(options(restart=argv), check_context())
        assert caught.value.permanent


async def test_a_command_that_hangs_is_ended_in_time_and_may_be_tried_again() -> None:
    with pytest.raises(RemediationError, match=r"restart command sh failed: ended by heald .*: waiting") as caught:
        await command.restart(options(restart=sh("echo waiting; sleep 60")), check_context(timeout=0.4))
    assert not caught.value.permanent


async def test_what_was_spent_on_stopping_is_not_there_for_starting() -> None:
    settings = options(start=sh("sleep 60"), stop=sh("sleep 1"))
    with pytest.raises(RemediationError, match="start command sh failed: ended by heald") as caught:
        await command.restart(settings, check_context(timeout=3.0))
    assert float(str(caught.value.details["seconds"])) < 2.7  # 1.85 and the time to end it


async def test_a_command_that_is_not_set_is_a_permanent_error() -> None:
    for verb in (command.start, command.stop):
        with pytest.raises(RemediationError, match=r"no (start|stop) command is set") as caught:
            await verb(options(restart=["true"]), check_context())
        assert caught.value.permanent


async def test_what_start_leaves_in_the_background_lives_on(tmp_path: Path) -> None:
    settings = options(restart=sh(f"setsid sleep 600 >/dev/null 2>&1 & echo $! >{tmp_path}/pid"))
    await command.restart(settings, check_context())
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    os.kill(pid, 9)


def test_the_resource_is_the_services_own() -> None:
    assert command.resource(options(restart=["x"]), Service(name="web"), "node7") == "command:web@node7"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no way to restart the service; write restart, or start and stop"),
        ({"stop": ["x"], "status": ["x"]}, "no way to restart"),
        ({"restart": []}, "names no command"),
        ({"restart": "x"}, "list"),
        ({"restart": ["x"], "reboot": ["x"]}, "reboot"),
    ],
)
def test_wrong_options_are_refused_and_say_why(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        options(**given)


async def test_reload_runs_its_command_and_nothing_else(script: list[str], tmp_path: Path) -> None:
    settings = options(start=[*script, "start"], stop=[*script, "stop"], reload=[*script, "reload"])
    said = await command.reload(settings, check_context())
    assert said.startswith(f"reloaded by {script[0]} reload in ")
    assert calls(tmp_path) == ["reload"]


async def test_a_reload_that_is_not_set_cannot_be_run_or_hangs_fails() -> None:
    for given, text, is_permanent in (
        (options(restart=["true"]), "no reload command is set", True),
        (options(restart=["true"], reload=["no-such-command"]), "cannot run reload command no-such-command", True),
        (options(restart=["true"], reload=sh("exit 7")), "reload command sh failed: exit code 7", False),
        (options(restart=["true"], reload=["sleep", "60"]), "ended by heald after", False),
    ):
        with pytest.raises(RemediationError, match=text) as caught:
            await command.reload(given, check_context(timeout=0.3))
        assert caught.value.permanent is is_permanent
