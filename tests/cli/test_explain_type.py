"""`heald explain-type`: the reference page in the terminal."""

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.config.discover import discover_types
from daemon.reference.page import KINDS, pages_of, plain

TYPES = discover_types()


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain-type", *arguments], env={"COLUMNS": "100"})


@pytest.mark.parametrize("name", sorted({name for kind in KINDS for name in getattr(TYPES, kind)}))
def test_every_type_is_explained_and_of_one_name_all_kinds(name: str) -> None:
    done = explain(name)
    assert done.exit_code == 0
    pages = [page for kind in KINDS for page in pages_of(TYPES, kind) if page.name == name]
    assert [page.title for page in pages if page.title not in done.stdout] == []
    assert all(plain(page, 100).rstrip() in done.stdout for page in pages)


def test_command_is_a_check_type_and_a_manager() -> None:
    said = explain("command").stdout
    assert said.index("command: a check type") < said.index("command: a service manager")


def test_no_line_of_options_is_wider_than_the_terminal() -> None:
    said = CliRunner().invoke(main, ["explain-type", "http"], env={"COLUMNS": "60"}).stdout
    options = said.split("\noptions\n")[1].split("\nsamples\n")[0]
    assert all(len(line) <= 60 for line in options.splitlines() if line.startswith("      "))


def test_a_mistyped_name_is_told_what_there_is() -> None:
    done = explain("htpp")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: there is no type htpp; there are ")
    assert done.stderr.rstrip().endswith("; did you mean http?")


def test_without_a_name_it_is_a_wrong_usage() -> None:
    assert explain().exit_code == 2
