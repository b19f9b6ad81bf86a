"""`heald lint`: advice on stdout, and an exit code that scripts can use."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main, places

GOOD = "version: 1\nchecks: {a: {tcp: {host: x, port: 1}}}\nrules: {r: {check: a, when: up == 0}}\n"


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALD_CONFIG", raising=False)
    monkeypatch.setattr(places, "SYSTEM_CONFIG", tmp_path / "etc" / "rules.yaml")


def lint(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["lint", *arguments])


def test_a_file_that_needs_no_advice_exits_0(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD)
    done = lint()
    assert (done.exit_code, done.stdout, done.stderr) == (0, "rules.yaml: no advice\n", "")


def test_advice_is_a_line_each_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(GOOD.replace("up == 0", "up == 7"))
    done = lint("my.yaml")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout == (
        "my.yaml:3:29: rules.r.when: no run can breach it, so the rule never fires: no value of up can make it so; "
        "up is 0 or 1 [never-fires]\n"
    )


def test_a_file_that_is_not_valid_exits_2_and_is_told_as_by_validate(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(GOOD.replace("up == 0", "upp == 0"))
    done = lint("my.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == CliRunner().invoke(main, ["validate", "my.yaml"]).stderr


def test_no_file_at_all_exits_2() -> None:
    done = lint()
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: no rules file: ")
