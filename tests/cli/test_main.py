"""The command line as a whole: quick, and plain about what it does not know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon import __version__
from daemon.cli import main

HEALD = str(Path(sys.executable).with_name("heald"))


@pytest.mark.parametrize("argument", ["--version", "version"])
def test_the_version_is_said_at_once(argument: str) -> None:
    rounds = []
    for _ in range(5):
        before = os.times()
        done = subprocess.run([HEALD, argument], capture_output=True, text=True, check=True)
        after = os.times()  # of processor, not of the clock: the machine may have other things to do
        rounds.append(sum(after[2:4]) - sum(before[2:4]))
        assert done.stdout == f"heald {__version__}\n"
    assert min(rounds) <= 0.35


def test_saying_the_version_imports_nothing_heavy() -> None:
    code = "import sys, daemon.cli; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("aiohttp", "pydantic", "rich", "yaml", "lark", "prometheus_client", "structlog", "daemon.cli.client"):
        assert f"'{heavy}'" not in done.stdout, heavy


def test_asking_the_daemon_imports_no_server() -> None:
    code = "import sys, daemon.cli.show, daemon.cli.operate; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("aiohttp", "pydantic", "rich", "yaml", "lark", "prometheus_client"):
        assert f"'{heavy}'" not in done.stdout, heavy


def test_help_names_every_command_and_every_exit_code() -> None:
    said = CliRunner().invoke(main, ["--help"]).output
    for name in [
        "run",
        "validate",
        "eval",
        "check",
        "plugins",
        "reload",
        "status",
        "incidents",
        "pause",
        "resume",
        "retry",
        "version",
    ]:
        assert f"\n  {name} " in said, name
    for code in ("69", "75", "77", "78"):
        assert code in said


def test_every_command_that_the_help_names_can_be_had() -> None:
    import click

    context = click.Context(main)
    for name in main.list_commands(context):
        found = main.get_command(context, name)
        assert found is not None, name
        assert found.name == name


def test_a_command_that_is_not_there_is_a_wrong_usage_with_a_hint() -> None:
    done = CliRunner().invoke(main, ["retri"])
    assert done.exit_code == 2
    assert "there is no command 'retri'; did you mean retry?" in done.output
