"""Every bad file of `bad/`: what is said of it, and where, stands beside it."""

import gc
from pathlib import Path

import pytest

from daemon.config.discover import discover_types
from daemon.config.problems import ConfigError
from daemon.model.incident import HoldReason
from daemon.testing.scenario.file import read_scenarios

BAD = Path(__file__).with_name("bad")
FILES = sorted(BAD.glob("*.yaml"))


def problems(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        read_scenarios(path)
    return raised.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_gets_all_its_located_errors(path: Path) -> None:
    text = path.with_suffix(".expected").read_text()
    types = discover_types()
    for mark, names in (
        ("<remediations>", types.remediations),
        ("<samples of http>", types.checks["http"].samples),
        ("<holds>", list(HoldReason)),
    ):
        text = text.replace(mark, ", ".join(names))
    said = [str(problem).replace(f"{BAD}/", "") for problem in problems(path).problems]
    assert said == text.splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_error_shows_its_line_with_a_caret_under_the_place(path: Path) -> None:
    for problem in problems(path).problems:
        rendered = problem.render().splitlines()
        assert rendered[0] == str(problem)
        assert rendered[2].strip() == "^"


def test_each_has_its_expectation() -> None:
    assert {path.stem for path in FILES} == {path.stem for path in BAD.glob("*.expected")}


def test_the_collector_is_at_work_again_after_a_bad_file() -> None:
    problems(BAD / "file.yaml")
    assert gc.isenabled()
