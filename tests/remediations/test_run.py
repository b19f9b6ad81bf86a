"""The run remediation runs real commands and keeps what they said."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.errors import RemediationError
from daemon.model.remediation import Outcome
from daemon.protocols import ServiceManager
from remediations import run
from tests.lab.contexts import act_context, target


class Named:
    """A manager of which only the resource is asked."""

    resource = "supervisor:/s/web@node"


def options(script: str = "true", **given: Any) -> run.Options:
    return run.Options.model_validate({"argv": ["sh", "-c", script]} | given)


async def act(script: str, *, timeout: float = 30.0, **given: Any) -> Outcome:
    return await run.act(options(script, **given), target(), act_context(timeout))


async def test_a_command_is_run_and_its_output_kept() -> None:
    outcome = await act("echo freed 3 GiB; echo careful >&2")
    assert outcome.summary.startswith("ran sh, exit code 0 after 0.")
    assert outcome.summary.endswith("s: careful")
    kept = {name: outcome.details[name] for name in ("argv", "exit_code", "stdout", "stderr", "signal")}
    assert kept == {
        "argv": ["sh", "-c", "echo freed 3 GiB; echo careful >&2"],
        "exit_code": 0,
        "stdout": "freed 3 GiB\n",
        "stderr": "careful\n",
        "signal": None,
    }


async def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    outcome = await act("", argv=["echo", "$HOME", ";", "touch", str(tmp_path / "made")])
    assert outcome.details["stdout"] == f"$HOME ; touch {tmp_path}/made\n"
    assert not (tmp_path / "made").exists()


async def test_a_failure_says_exit_code_and_last_words_and_keeps_the_output() -> None:
    with pytest.raises(RemediationError, match=r"^sh failed, exit code 4: no space$") as caught:
        await act("echo tried; echo first >&2; echo no space >&2; exit 4")
    assert not caught.value.permanent
    assert caught.value.details["exit_code"] == 4
    assert caught.value.details["stdout"] == "tried\n"
    assert caught.value.details["stderr"] == "first\nno space\n"


async def test_other_exit_codes_may_mean_success() -> None:
    outcome = await act("exit 2", success=[0, 2])
    assert outcome.details["exit_code"] == 2
    with pytest.raises(RemediationError, match="exit code 0"):
        await act("exit 0", success=[2])


async def test_death_by_a_signal_is_a_failure() -> None:
    with pytest.raises(RemediationError, match="killed by SIGABRT") as caught:
        await act("kill -ABRT $$")
    assert caught.value.details["signal"] == 6


@pytest.mark.parametrize("hang", ["sleep 60", "trap '' TERM; while :; do sleep 0.1; done"])
async def test_a_command_that_hangs_is_ended_in_time_and_its_output_kept(hang: str) -> None:
    with pytest.raises(RemediationError, match=r"ended by heald after .*: half way") as caught:
        async with asyncio.timeout(4):  # as the daemon does
            await act(f"echo half way; {hang}", timeout=4)
    assert caught.value.details["stdout"] == "half way\n"
    assert not caught.value.permanent


@pytest.mark.parametrize("code", [126, 127])
async def test_what_a_shell_cannot_run_is_a_permanent_error(code: int) -> None:
    with pytest.raises(RemediationError) as caught:
        await act(f"exit {code}")
    assert caught.value.permanent


async def test_a_command_that_is_not_there_or_may_not_be_run_is_a_permanent_error(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for command, text in (("no-such-command", "No such file"), (str(tmp_path / "plain"), "Permission denied")):
        with pytest.raises(RemediationError, match=f"cannot run {command}: {text}") as caught:
            await act("", argv=[command])
        assert caught.value.permanent


async def test_a_folder_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(RemediationError, match=f"cannot run sh: {tmp_path}/later: No such file") as caught:
        await act("true", cwd=f"{tmp_path}/later")
    assert not caught.value.permanent


async def test_output_is_bounded() -> None:
    outcome = await act("head -c 1000000 /dev/zero | tr '\\0' x")
    assert len(str(outcome.details["stdout"])) < 70_000
    assert "bytes left out" in str(outcome.details["stdout"])


async def test_the_command_is_told_what_it_is_for(tmp_path: Path) -> None:
    outcome = await act('env; echo "IN $(pwd)"', env={"SHOP": "bikes", "HEALD_RULE": "mine"}, cwd=str(tmp_path))
    lines = str(outcome.details["stdout"]).splitlines()
    assert {
        "SHOP=bikes",
        "HEALD_RULE=mine",
        "HEALD_INCIDENT=INC-20261122-100000-abcd",
        "HEALD_ATTEMPT=1",
        "HEALD_CHECK=web_health",
        "HEALD_SUBJECT=",
        "HEALD_SERVICE=web",
        "HEALD_BECAUSE=up == 0",
        f"IN {tmp_path}",
    } <= set(lines)


def test_the_resource_is_what_the_options_say() -> None:
    assert run.resource(options(resource="disk:/var@node"), target("web", web=_manager())) == "disk:/var@node"


def test_without_it_the_resource_is_that_of_the_checks_own_service() -> None:
    assert run.resource(options(), target("web", web=_manager())) == "supervisor:/s/web@node"


@pytest.mark.parametrize("service", ["web", None])
def test_where_nobody_runs_a_service_the_resource_is_the_command_on_this_node(service: str | None) -> None:
    assert run.resource(options(argv=["/usr/sbin/logrotate", "-f"]), target(service)) == "run:logrotate@node"


async def test_the_plan_is_the_command_as_one_would_type_it(tmp_path: Path) -> None:
    plan = await run.plan(options("rm 'a b'", cwd="/var"), target(), act_context(90.0))
    assert plan == """run sh -c 'rm '"'"'a b'"'"'' in /var, for at most 90s"""


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"argv": []}, "names no command"),
        ({"argv": "reboot"}, "list"),
        ({"cwd": "tmp"}, "not an absolute path"),
        ({"success": []}, "exit codes"),
        ({"success": [256]}, "exit codes"),
        ({"success": [True]}, "int"),
        ({"resource": "two words"}, "not a resource"),
        ({"resource": ""}, "not a resource"),
        ({"env": {"A": 1}}, "str"),
        ({"shell": True}, "shell"),
    ],
)
def test_wrong_options_are_refused_and_say_why(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        options(**given)


def test_an_environment_is_not_shown_in_text() -> None:
    assert "hunter2" not in repr(options(env={"PASSWORD": "hunter2"}))


def _manager() -> ServiceManager:
    return Named()  # type: ignore[return-value]  # nothing else of it is asked
