"""Every bad file of `bad/`: what is said of it, and where, stands beside it."""

from pathlib import Path

import pytest

from daemon.config.discover import discover_types
from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.config.shapes import fields_of

BAD = Path(__file__).with_name("bad")
WITHOUT_A_LINE = ("empty", "only-comments")
FILES = sorted(BAD.glob("*.yaml"))


def expected(path: Path) -> list[str]:
    """What stands beside a file, with the names of the plug-ins that are there now."""
    types = discover_types()
    text = path.with_suffix(".expected").read_text()
    for mark, names in (
        ("<checks>", types.checks),
        ("<remediations>", types.remediations),
        ("<managers>", types.managers),
        ("<connections>", types.connections),
        ("<http options>", fields_of(types.checks["http"].options)),
        ("<redis options>", fields_of(types.connections["redis"].options)),
    ):
        text = text.replace(mark, ", ".join(names))
    return text.splitlines()


def problems(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load(path, node="node")
    return raised.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_gets_its_own_located_errors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEALD_NOT_SET", raising=False)
    monkeypatch.delenv("NOPE_X", raising=False)
    monkeypatch.setenv("HOME", "/")
    said = [str(problem).removeprefix(f"{path}:") for problem in problems(path).problems]
    assert said == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_error_shows_its_line_with_a_caret_under_the_place(path: Path) -> None:
    for problem in problems(path).problems:
        rendered = problem.render().splitlines()
        assert rendered[0] == str(problem)
        if path.stem in WITHOUT_A_LINE:
            assert len(rendered) == 1
            continue
        shown, caret = rendered[1:]
        assert shown.startswith("    ")
        assert caret.strip() == "^"
        assert 4 <= caret.index("^") <= len(shown)


def test_there_are_at_least_forty_of_them_and_each_has_its_expectation() -> None:
    assert len(FILES) >= 40
    assert {path.stem for path in FILES} == {path.stem for path in BAD.glob("*.expected")}


def test_all_errors_of_a_file_are_said_at_once_in_its_order() -> None:
    found = problems(BAD / "many-errors.yaml").problems
    assert len(found) >= 25
    assert [(it.line, it.column) for it in found] == sorted((it.line, it.column) for it in found)
    assert {it.path.split(".")[0] for it in found} == {"settings", "services", "checks", "rules"}


def test_a_secret_that_stands_in_the_file_is_not_repeated() -> None:
    error = problems(BAD / "secret-in-a-wrong-place.yaml")
    for secret in ("12345", "hunter2"):
        assert secret not in str(error)
        assert secret not in error.render()
    assert "bearer: *****" in error.render()
    error = problems(BAD / "connection-secret-in-url.yaml")
    assert "hunter2" not in str(error) + error.render()
