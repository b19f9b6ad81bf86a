"""`heald test`: what it prints, writes and exits with."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.testing.scenario import many
from tests.testing.scene import RULES

CHECKOUT = Path(__file__).parents[2]
GOOD = """version: 1
rules: rules.yaml
scenarios:
  healed:
    readings: {api: [{from: 1m, samples: {up: 0}}]}
    effects: [{remediation: restart, then: {api: {up: 1}}}]
    expect: [{count: 1, attempt: restart, verified: effective}]
  left alone: {expect: [{opened: 0}]}
"""
BROKEN = GOOD.replace("count: 1", "count: 2")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("rules.yaml", RULES), ("good.yaml", GOOD), ("broken.yaml", BROKEN)):
        (tmp_path / name).write_text(text)


def heald(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["test", *arguments])


@pytest.mark.parametrize("file", ["rules.scenarios.yaml", "demo/supervised.scenarios.yaml"])
def test_the_shipped_rules_do_what_their_scenarios_say(file: str) -> None:
    done = heald(str(CHECKOUT / file))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("scenarios: all hold")


def test_all_hold() -> None:
    done = heald("good.yaml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "ok  good.yaml: healed\nok  good.yaml: left alone\n2 scenarios: all hold\n"


def test_what_does_not_hold_is_shown_with_the_timeline_around_it() -> None:
    done = heald("broken.yaml", "good.yaml")
    assert (done.exit_code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "FAILED  broken.yaml: healed"
    assert lines[1] == "  broken.yaml:7:14: {count: 2, attempt: restart, verified: effective}"
    assert lines[2].startswith("    expected 2, and there were 1: command:api@node at 1m")
    assert lines[3] == "    >         1m  api-down on api: inactive → firing: up = 0"
    assert lines[-1] == "4 scenarios: 1 failed"


def test_a_wrong_file_is_located_and_nothing_is_run() -> None:
    Path("wrong.yaml").write_text(GOOD.replace("api:", "apy:").replace("restart,", "restrat,"))
    done = heald("good.yaml", "wrong.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    errors = [line for line in done.stderr.splitlines() if not line.startswith("    ")]
    assert errors[0].startswith(
        "wrong.yaml:5:16: scenarios.healed.readings.apy: there is no check apy; there are db, api,"
    )
    assert errors[1].startswith(
        "wrong.yaml:6:29: scenarios.healed.effects[0].remediation: there is no step with the rem"
    )
    assert len(errors) == 4


def test_a_file_that_is_not_there_is_wrong() -> None:
    done = heald("nowhere.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "nowhere.yaml:1:1: .: there is no such file\n"


def test_errors_of_the_rules_are_said_once_by_their_own_file() -> None:
    Path("rules.yaml").write_text(RULES.replace("up == 0", "up = 0"))
    done = heald("good.yaml", "broken.yaml")
    assert done.exit_code == 2
    assert [line for line in done.stderr.splitlines() if not line.startswith("    ")] == [
        "rules.yaml:13:14: rules.api-down.when: `=` is not an operator; write == to compare"
    ]


def test_show_shows_the_whole_timeline() -> None:
    done = heald("good.yaml", "--show", "--only", "healed")
    assert done.stdout.splitlines()[:5] == [
        "ok  good.yaml: healed",
        "          1m  api-down on api: inactive → firing: up = 0",
        "          1m  restart of command:api@node by api-down, try 1: succeeded after 1s",
        "       1m11s  api-down on api: firing → resolved: up = 1 != 0",
        "       1m11s  restart of command:api@node by api-down was effective",
    ]


def test_only_names_scenarios() -> None:
    assert heald("broken.yaml", "--only", "left alone").stdout.splitlines()[-1] == "1 scenario: all hold"
    done = heald("good.yaml", "--only", "heald")
    assert done.exit_code == 2
    assert "there is no such scenario; did you mean healed?" in done.stderr


def test_without_a_file_the_usage_is_said() -> None:
    assert heald().exit_code == 2


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_scenario() -> None:
    assert heald("good.yaml", "broken.yaml", "--junit", "out.xml").exit_code == 1
    root = ET.parse("out.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "4", "1", "0")
    assert [(it.get("name"), it.get("tests"), it.get("failures")) for it in root] == [
        ("good.yaml", "2", "0"),
        ("broken.yaml", "2", "1"),
    ]
    case = root[1][0]
    assert (case.get("classname"), case.get("name")) == ("broken.yaml", "healed")
    assert float(case.get("time", "")) >= 0
    assert "expected 2, and there were 1" in (case[0].get("message") or "")
    assert "firing" in (case[0].text or "")


def test_junit_says_too_that_a_file_is_wrong() -> None:
    Path("wrong.yaml").write_text("version: 1\n")
    assert heald("wrong.yaml", "--junit", "out.xml").exit_code == 2
    root = ET.parse("out.xml").getroot()
    assert root.get("errors") == "1"
    assert "wrong.yaml:1:1" in (root[0][0][0].text or "")


def test_junit_that_cannot_be_written_is_said() -> None:
    done = heald("good.yaml", "--junit", "nowhere/out.xml")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


def test_many_scenarios_are_told_in_their_order_whoever_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"number {number}" for number in range(20)]
    scenarios = "".join(f"  {name}: {{expect: [{{opened: {int(place == 7)}}}]}}\n" for place, name in enumerate(names))
    Path("many.yaml").write_text(f"version: 1\nrules: rules.yaml\nscenarios:\n{scenarios}")
    monkeypatch.setattr(many, "_WORTH_IT", 1)
    done = heald("many.yaml")
    told = [line.rpartition(": ")[2] for line in done.stdout.splitlines() if line.startswith(("ok", "FAILED"))]
    assert told == names
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "20 scenarios: 1 failed")


def test_nothing_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    heald("good.yaml")
    assert capfd.readouterr().err == ""
