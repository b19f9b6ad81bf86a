"""The reference pages: made from the code, none stale, nothing without words, every example valid."""

import re
from pathlib import Path

import pytest

from daemon.config.discover import discover_types
from daemon.config.load import load
from daemon.config.schema import FileKeys
from daemon.engine.guards import GUARDS
from daemon.model.holds import HOLDS
from daemon.model.incident import HoldReason
from daemon.reference.__main__ import write
from daemon.reference.page import KINDS, Page, markdown, pages_of, plain
from daemon.reference.pages import PARTS, families, first_sentence, part_rows, reference

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
TYPES = discover_types(installed=False)
PAGES = [page for kind in KINDS for page in pages_of(TYPES, kind)]
VALUES = {
    "URL": "postgresql://heald@localhost/shop",
    "DSN": "postgresql://heald@localhost/shop",
}  # of variables, by end


def each(pages: list[Page]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: f"{page.kind}.{page.name}")


def test_no_page_is_stale() -> None:
    made = reference(TYPES)
    there = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}
    assert sorted(there) == sorted(made), "make reference"
    assert [name for name, text in made.items() if there[name] != text] == [], "make reference"


def test_writing_removes_the_page_of_what_is_gone_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "gone.md").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    write(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "notes.txt",
        *reference(TYPES),
    }


@each(PAGES)
def test_nothing_on_a_page_is_without_words(page: Page) -> None:
    assert page.text
    assert [row.name for row in page.options if not (row.meaning.strip() and row.takes.strip())] == []
    assert [name for name, unit, meaning in page.samples if not (unit and meaning.strip())] == []


@each([page for page in PAGES if page.kind == "checks"])
def test_a_check_says_what_is_sick_and_what_is_blind(page: Page) -> None:
    assert re.search(r"`up`\s+(is\s+)?(always\s+)?[01]|\bsick\b", page.text)
    assert re.search(r"\bblind\b|UNKNOWN", page.text)


@each(PAGES)
def test_a_page_says_what_rights_are_needed(page: Page) -> None:
    assert re.search(r"(?i)\brights?\b|permission|privilege|\bgroup\b|\bruns? as\b|\broot\b", page.text)


@each(PAGES)
def test_the_example_of_a_page_is_valid_and_uses_it(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page.example, f"write EXAMPLE in the module of {page.name}"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    for kind, name in re.findall(r"\$\{(env|credential):([^}]+)\}", page.example):
        text = next((it for end, it in VALUES.items() if name.endswith(end)), "example")
        if kind == "env":
            monkeypatch.setenv(name, text)
        else:
            (credentials / name).write_text(text)
    path = tmp_path / "rules.yaml"
    path.write_text(f"version: 1\n{page.example}\n")
    setup = load(path, node="node")
    used = {
        "checks": {check.type for check in setup.checks.values()},
        "remediations": {step.remediation for rule in setup.rules for step in rule.steps},
        "managers": {service.run_by.manager for service in setup.services.values() if service.run_by},
        "connections": {connection.kind for connection in setup.connections.values()},
    }
    assert page.name in used[page.kind]


def test_every_key_of_the_file_is_on_its_page_with_words() -> None:
    silent = [f"{part.title}: {row.name}" for part in PARTS for row in part_rows(part) if not row.meaning.strip()]
    assert silent == []
    models = {part.model for part in PARTS}
    text = (FOLDER / "rules-file.md").read_text()
    assert FileKeys in models
    assert all(f"`{row.name}`" in text for part in PARTS for row in part_rows(part))
    assert "| value |" not in text


def test_every_hold_is_explained_in_the_order_of_the_guards() -> None:
    assert list(HOLDS) == list(HoldReason)
    assert [reason for reason in HOLDS if reason in dict(GUARDS)] == [reason for reason, _ in GUARDS]
    assert [reason for reason, words in HOLDS.items() if not (words.meaning.strip() and words.ends.strip())] == []


def test_every_metric_says_what_it_means() -> None:
    assert [family.name for family in families() if not family.documentation.strip()] == []
    assert len(families()) >= 20


@each(PAGES)
def test_the_terminal_is_told_the_same(page: Page) -> None:
    shown, written = plain(page, 100), markdown(page)
    for text in (page.text, page.example, *page.flags):
        assert text in written
    words = " ".join(shown.split())
    for row in page.options:
        assert f"`{row.name}`" in written
        assert f"{row.name} ({row.takes}" in words
        assert " ".join(row.meaning.split()) in words
    for name, unit, meaning in page.samples:
        assert f"{name} ({unit}) {' '.join(meaning.split())}" in words


def test_every_link_of_the_reference_leads_somewhere() -> None:
    broken = []
    for path in FOLDER.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []


def test_the_index_has_one_sentence_for_each() -> None:
    index = (FOLDER / "README.md").read_text()
    for page in PAGES:
        assert f"[{page.name}]({page.kind}/{page.name}.md): {first_sentence(page.text)}" in index
