"""`heald validate`: the daemon's own words about a rules file."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main, places

GOOD = "version: 1\nchecks: {a: {tcp: {host: x, port: 1}}}\nrules: {r: {check: a, when: up == 0}}\n"
OPTIONS = "host, port, send, expect, expect_regex"
BAD = "version: 1\nchecks:\n  a: {tcp: {host: x, prot: 1}}\nrules:\n  r: {check: a, when: up = 0}\n"


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALD_CONFIG", raising=False)
    monkeypatch.setattr(places, "SYSTEM_CONFIG", tmp_path / "etc" / "rules.yaml")


def validate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", *arguments])


def test_a_valid_file_is_summed_up_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(GOOD)
    done = validate("my.yaml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "my.yaml is valid: 1 check, 1 rule, 0 services, mode observe\n"


def test_each_error_is_one_line_with_its_place_and_an_indented_caret(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(BAD)
    done = validate("my.yaml")
    assert (done.exit_code, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("    ")] == [
        "my.yaml:3:7: checks.a.tcp.port: the key port is missing; it is: TCP port, 1 to 65535",
        f"my.yaml:3:22: checks.a.tcp.prot: the key prot is not known; allowed are {OPTIONS}; did you mean port?",
        "my.yaml:5:26: rules.r.when: `=` is not an operator; write == to compare",
    ]
    assert len(lines) == 9
    assert lines[7] == "      r: {check: a, when: up = 0}"
    assert lines[8] == " " * (4 + 25) + "^"
    for line in lines[::3]:
        assert re.fullmatch(r"[^:]+:[0-9]+:[0-9]+: [^ ]+: .+", line)


def test_without_a_file_it_looks_where_the_daemon_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "rules.yaml").write_text(GOOD)
    assert f"{tmp_path}/etc/rules.yaml is valid" in validate().stdout
    (tmp_path / "rules.yaml").write_text(GOOD)
    assert validate().stdout.startswith("rules.yaml is valid")
    monkeypatch.setenv("HEALD_CONFIG", "other.yaml")
    done = validate()
    assert done.exit_code == 1
    assert done.stderr == "other.yaml:1:1: .: there is no such file\n"


def test_it_says_how_many_files_it_read_so_that_a_mistyped_glob_is_seen(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"{GOOD}include: ['*.d/*.yaml']\n")
    (tmp_path / "rules.d").mkdir()
    assert validate().stdout.startswith("rules.yaml is valid")
    (tmp_path / "rules.d" / "a.yaml").write_text("version: 1\n")
    assert validate().stdout.startswith("rules.yaml with 1 included file is valid")
    (tmp_path / "rules.d" / "a.yaml").write_text("version: 2\n")
    assert validate().stderr.startswith("rules.d/a.yaml:1:10: version: found version 2")


def test_without_any_file_it_says_where_it_looked() -> None:
    done = validate()
    assert done.exit_code == 1
    assert "no rules file" in done.stderr


def test_a_directory_is_not_valid(tmp_path: Path) -> None:
    done = validate(str(tmp_path))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{tmp_path}:1:1: .: this is a directory")
