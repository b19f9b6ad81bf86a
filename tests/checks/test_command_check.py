"""The command check runs real commands: Nagios exit codes, performance data, and what makes us blind."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks import command
from daemon.errors import CheckError
from daemon.model.check import Dimension, Reading
from tests.lab.contexts import check_context


async def run(script: str, *, timeout: float = 10.0, **options: Any) -> Reading:
    options = {"argv": ["sh", "-c", script]} | options
    [reading] = await command.check(command.Options.model_validate(options), check_context(timeout))
    return reading


@pytest.mark.parametrize(("code", "state", "up"), [(0, "ok", 1.0), (1, "warning", 1.0), (2, "critical", 0.0)])
async def test_nagios_exit_codes_are_states(code: int, state: str, up: float) -> None:
    reading = await run(f"echo 'DISK OK - free space'; exit {code}")
    assert reading.subject == ""
    assert reading.samples["state"] == state
    assert reading.samples["up"] == up
    assert reading.samples["exit_code"] == code
    assert reading.samples["output"] == "DISK OK - free space"
    assert 0 < float(reading.samples["latency_seconds"]) < 10


async def test_unknown_makes_us_blind_and_says_why() -> None:
    with pytest.raises(CheckError, match="says unknown: UNKNOWN - wrong arguments"):
        await run("echo 'UNKNOWN - wrong arguments | a=1'; exit 3")


async def test_an_exit_code_without_a_meaning_makes_us_blind() -> None:
    with pytest.raises(CheckError, match="exit code 22, which means nothing: curl: no"):
        await run("echo curl: no >&2; exit 22")


async def test_a_command_killed_by_a_signal_makes_us_blind() -> None:
    with pytest.raises(CheckError, match="killed by SIGSEGV"):
        await run("kill -SEGV $$")


async def test_a_command_that_is_not_there_makes_us_blind() -> None:
    with pytest.raises(CheckError, match="cannot run no-such-plugin: No such file or directory"):
        await run("", argv=["no-such-plugin"])


async def test_a_file_that_may_not_be_executed_makes_us_blind(tmp_path: Path) -> None:
    (tmp_path / "check_it").write_text("#!/bin/sh\n")
    with pytest.raises(CheckError, match="Permission denied"):
        await run("", argv=[str(tmp_path / "check_it")])


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"cannot run sh: .*/nowhere: No such file"):
        await run("true", cwd=f"{tmp_path}/nowhere")


@pytest.mark.parametrize(
    "script",
    ["sleep 60", "trap '' TERM; while :; do sleep 0.1; done", "setsid sleep 60 & echo $! >$0; sleep 60"],
    ids=["polite", "ignores SIGTERM", "leaves one who holds its output"],
)
async def test_however_a_command_hangs_it_is_sick_before_the_daemon_ends_the_run(tmp_path: Path, script: str) -> None:
    file = tmp_path / "pid"
    async with asyncio.timeout(4):  # as the daemon does
        reading = await run(script, argv=["sh", "-c", script, str(file)], timeout=4)
    if file.exists():
        os.kill(int(file.read_text()), signal.SIGKILL)
    assert (reading.samples["up"], reading.samples["state"]) == (0.0, "critical")


async def test_a_command_that_hangs_is_sick_before_the_daemon_calls_it_blind() -> None:
    reading = await run("echo still looking; sleep 60", timeout=0.5)
    assert (reading.samples["up"], reading.samples["state"]) == (0.0, "critical")
    assert str(reading.samples["output"]).endswith("did not end within 0.25s and was ended: still looking")
    assert "exit_code" not in reading.samples


@pytest.mark.parametrize(("code", "state", "up"), [(0, "ok", 1.0), (1, "critical", 0.0), (3, "critical", 0.0)])
async def test_plain_exit_codes_know_only_zero_as_up(code: int, state: str, up: float) -> None:
    reading = await run(f"exit {code}", exit_codes="plain")
    assert (reading.samples["state"], reading.samples["up"]) == (state, up)


async def test_with_plain_exit_codes_a_shell_that_finds_nothing_is_still_blind() -> None:
    with pytest.raises(CheckError, match="127"):
        await run("no-such-command", exit_codes="plain")


async def test_environment_and_folder_reach_the_command(tmp_path: Path) -> None:
    reading = await run('echo "$SHOP in $(pwd)"', env={"SHOP": "bikes"}, cwd=str(tmp_path))
    assert reading.samples["output"] == f"bikes in {tmp_path}"


async def test_the_output_is_bounded() -> None:
    reading = await run("head -c 100000 /dev/zero | tr '\\0' x")
    assert reading.samples["output"] == "x" * 300


async def test_performance_data_become_samples_in_base_units() -> None:
    wanted = {"rta": "seconds", "pl": "percent", "/var": "bytes", "load 1": "none", "ops": "none", "seen": "none"}
    reading = await run(
        """echo "PING OK | rta=250ms;100;500;0 pl=20%;; /var=2MB;;;0;4 'load 1'=0.5;1;2 ops=17c seen=U other=3"
           echo "long text | more=1" """,
        samples={**wanted, "more": "none", "absent": "none"},
    )
    extra = {name: value for name, value in reading.samples.items() if name not in {s.name for s in command.SAMPLES}}
    assert extra == {"rta": 0.25, "pl": 20.0, "_var": 2.0 * 2**20, "load_1": 0.5, "ops": 17.0, "more": 1.0}


async def test_another_unit_than_the_options_say_makes_us_blind() -> None:
    with pytest.raises(CheckError, match=r"'time' comes in s, which measures seconds; the check's samples say bytes"):
        await run("echo 'OK | time=3s'", samples={"time": "bytes"})
    with pytest.raises(CheckError, match="comes in furlongs, a unit that nothing is known of"):
        await run("echo 'OK | way=3furlongs'", samples={"way": "none"})


def test_the_options_name_their_samples() -> None:
    options = command.Options.model_validate({"argv": ["x"], "samples": {"/var": "bytes", "15min": "none"}})
    assert [(spec.name, spec.dimension) for spec in command.samples(options)] == [
        ("_var", Dimension.BYTES),
        ("_15min", Dimension.NONE),
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"argv": []}, "names no command"),
        ({"argv": [""]}, "names no command"),
        ({"argv": ["a\0"]}, "NUL"),
        ({"argv": "sh -c x"}, "list"),
        ({"argv": ["x"], "cwd": "here"}, "not an absolute path"),
        ({"argv": ["x"], "env": {"A=B": "c"}}, "not a name of a variable"),
        ({"argv": ["x"], "samples": {"up": "none"}}, "every command has"),
        ({"argv": ["x"], "samples": {"a b": "none", "a_b": "none"}}, "label 'a b' already"),
        ({"argv": ["x"], "samples": {"in": "none"}}, "cannot be named"),
        ({"argv": ["x"], "samples": {"a": "meters"}}, "seconds"),
        ({"argv": ["x"], "shell": True}, "shell"),
    ],
)
def test_wrong_options_are_refused_and_say_why(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        command.Options.model_validate(options)


def test_an_environment_is_not_shown_in_text() -> None:
    options = command.Options.model_validate({"argv": ["x"], "env": {"PASSWORD": "hunter2"}})
    assert "hunter2" not in f"{options!r} {options}"
