"""docs/explain.md: its examples are what the commands print, to the letter, of a world that its rules live in."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.api.wire_explain import explanation_to_json, plan_entry_to_json, would_to_json
from daemon.cli import explain, main, plan, tables
from tests.runtime.world import HEAD, START, World, up, worlds_end

__all__ = ["worlds_end"]  # a fixture of every test here

PAGE = (Path(__file__).parents[2] / "docs" / "explain.md").read_text()
RULES, *SHOWN = re.findall(r"^```(?:yaml)?\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LASTS = 120.0  # seconds for which each world lives


def world(folder: Path, head: str = HEAD) -> World:
    """The API goes down after ten seconds, and no restart helps."""
    return World(folder, head + RULES).at(10, api=up(0.0, latency_seconds=2.0)).run(LASTS)


@pytest.fixture(autouse=True)
def _at_the_worlds_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told as so long ago is counted from there."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Then":
            return cls.fromisoformat((START + timedelta(seconds=LASTS)).astimezone(tz or UTC).isoformat())

    monkeypatch.setattr(tables, "datetime", Then)


def printed(monkeypatch: pytest.MonkeyPatch, answer: object, *arguments: str) -> str:
    """What a command prints of the daemon's answer; how an incident's name ends is by chance."""
    for module in (explain, plan):
        monkeypatch.setattr(module, "ask", lambda *_, **__: answer)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return _without_chance(done.output)


def _without_chance(text: str) -> str:
    return re.sub(r"(INC-\d+-\d+)-[0-9a-f]{4}", r"\1", text)


def test_explain_prints_what_its_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path).simulation
    answer = explanation_to_json(it.ask(it.assembly.proof.explain("api-down")))
    assert printed(monkeypatch, answer, "explain", "api-down") == _without_chance(SHOWN[0])


OBSERVES = HEAD.replace("mode: act", "mode: observe")


def test_plan_prints_what_its_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path, OBSERVES).simulation
    entries = [plan_entry_to_json(entry) for entry in it.ask(it.assembly.proof.plan())]
    assert printed(monkeypatch, {"plan": entries}, "plan") == _without_chance(SHOWN[1])


def test_report_prints_what_its_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path, OBSERVES).simulation
    (attempt,) = it.assembly.board.attempts
    (entry,) = it.ask(it.assembly.proof.plan())
    assert entry.next is not None
    it.assembly.aftercare.planned(attempt, entry.next.plan)  # a simulation asks no remediation; the executor does
    it.assembly.runs.flush()
    answer = would_to_json(it.ask(it.assembly.proof.would(86400.0)))
    assert printed(monkeypatch, answer, "report", "--would") == _without_chance(SHOWN[2])
