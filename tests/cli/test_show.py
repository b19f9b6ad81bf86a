"""Asking a daemon over its real socket: status and incidents, for people and for programs."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.cli.tables import ago, clean, show_table, since
from tests.api.fake_control import FakeControl
from tests.cli.conftest import Heald

HEALD = str(Path(sys.executable).with_name("heald"))


async def test_status_for_people_says_what_keeps_heald_from_working(heald: Heald, control: FakeControl) -> None:
    control.is_paused = True
    said = (await heald("status")).output
    assert said.startswith("heald 1.2.3 on node, process 42, mode act, started ")
    assert "3 checks · 1 rule · 1 open incident, 1 handed to people" in said
    assert "not ready: the first runs have not ended" in said
    assert "paused by ann, " in said
    assert " ago: moving house; `heald resume` ends it\n" in said
    assert "the store takes no writes" in said
    assert "\nnothing is acted on: self_test: gateway has up 0\n" in said
    assert "\nnothing is acted on: clock_jumped: it jumped, until 2023-11-14 22:14:00Z\n" in said
    assert "\n  rules.yaml:1:2: x: no\n      ax: 1\n       ^\n" in said
    assert "limit 20/1h of all: 19 left" in said
    assert "limit 3/1h of systemd:full@node: 0 left" in said
    assert "systemd:free" not in said
    assert "under way: restart of supervisor:/run/s.sock/api@node, try 2" in said


async def test_a_pause_of_unknown_age_has_none(heald: Heald, control: FakeControl) -> None:
    control.is_paused, control.paused_at = True, None
    assert "\npaused by ann: moving house; `heald resume` ends it\n" in (await heald("status")).output


async def test_status_lists_every_check_in_plain_columns_when_piped(heald: Heald, control: FakeControl) -> None:
    lines = (await heald("status")).output.splitlines()
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["CHECK", "STATE", "EVERY", "RAN", "SUBJECTS", "WHY"]
    assert [line.split()[:3] for line in table[1:]] == [
        ["api_health", "down", "1m30s"],
        ["api_health", "blind", "1m30s"],
        ["api_health", "waiting", "1m30s"],
    ]
    assert table[1].endswith("eu")
    assert table[2].endswith("no route\ufffd here")
    assert "never" in table[3]
    assert "\x1b" not in "\n".join(lines)


async def test_status_for_programs_is_what_the_daemon_said(heald: Heald, control: FakeControl) -> None:
    assert json.loads((await heald("status", "--json")).output) == control.status()


async def test_incidents_for_people_say_what_was_done_and_what_holds(heald: Heald, control: FakeControl) -> None:
    said = (await heald("incidents")).output
    assert said.startswith("INC-1  P1  firing  api-down · check api_health eu · service api\n")
    for line in (
        "  since      2023-11-14 22:13:20Z (",
        "  because    up == 0\n",
        "  relapse of INC-0\n",
        "  held       limit_rule: 3 attempts in 1h are the limit; the next is free at 12:00\n",
        "  people     told because of limit_rule, 2023-11-14 22:13:20Z",
        "  attempt    restart of supervisor:/run/s.sock/api@node, try 2, ",
        ", succeeded, ineffective: restarted\ufffd[31m api\n",
    ):
        assert line in said, line


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        ({"state": "running"}, "firing, restart under way  api-down"),
        ({}, "firing, restart being verified  api-down"),
        ({"would": True}, "firing, restart being verified on paper  api-down"),
        ({"released_at": "2023-11-14T22:13:20Z"}, "firing  api-down"),
    ],
)
async def test_the_first_line_of_an_incident_says_what_is_done_about_it_now(
    heald: Heald, control: FakeControl, monkeypatch: pytest.MonkeyPatch, attempt: dict[str, object], said: str
) -> None:
    (incident,) = await control.incidents(limit=1, closed=False)
    shown = {
        **incident,
        "attempts": [{**incident["attempts"][0], "verification": None, "released_at": None, **attempt}],
    }

    async def one(*, limit: int, closed: bool) -> list[object]:
        return [shown]

    monkeypatch.setattr(control, "incidents", one)
    assert said in (await heald("incidents")).output.splitlines()[0]


async def test_an_incident_of_no_check_names_none(
    heald: Heald, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    (incident,) = await control.incidents(limit=1, closed=False)
    shown = {**incident, "rule": "heald:storm", "check": "", "subject": "", "service": None}

    async def one(*, limit: int, closed: bool) -> list[object]:
        return [shown]

    monkeypatch.setattr(control, "incidents", one)
    assert (await heald("incidents")).output.splitlines()[0] == "INC-1  P1  firing  heald:storm"


async def test_incidents_for_programs_are_a_list(heald: Heald, control: FakeControl) -> None:
    found = json.loads((await heald("incidents", "--json", "--all", "--limit", "3")).output)
    assert [incident["id"] for incident in found] == ["INC-1"]
    assert control.calls == [("incidents", "3", "True")]


async def test_that_there_may_be_more_incidents_than_are_shown_is_said(heald: Heald, control: FakeControl) -> None:
    assert "… and those before these 1, if there are more: --limit" in (await heald("incidents", "--limit", "1")).output
    assert "…" not in (await heald("incidents", "--limit", "2")).output


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_a_limit_that_means_nothing_is_a_wrong_usage(heald: Heald, control: FakeControl, limit: str) -> None:
    assert (await heald("incidents", "--limit", limit)).exit_code == 2


async def test_no_incidents_are_said(heald: Heald, control: FakeControl, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*, limit: int, closed: bool) -> list[object]:
        return []

    monkeypatch.setattr(control, "incidents", none)
    assert (await heald("incidents")).output == "no open incidents\n"
    assert (await heald("incidents", "--all")).output == "no incidents\n"
    assert json.loads((await heald("incidents", "--json")).output) == []


async def test_a_terminal_gets_a_drawn_table_with_colours(control: FakeControl, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "STATE_DIRECTORY": str(tmp_path)}
    environment.pop("NO_COLOR", None)
    process = await asyncio.create_subprocess_exec(
        HEALD, "status", stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    said = await asyncio.to_thread(_read_all, ours)
    assert await process.wait() == 0
    assert "─" in said
    assert "\x1b[31mdown" in said
    assert "no route\ufffd here" in said


def _read_all(terminal: int) -> str:
    said = b""
    try:
        while more := os.read(terminal, 65536):
            said += more
    except OSError:  # EIO: the other end is closed
        pass
    os.close(terminal)
    return said.decode()


def test_text_from_elsewhere_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[2J\nb\tc\u202ed") == "a\ufffd[2J b c\ufffdd"


def test_moments_are_told_in_their_two_largest_units() -> None:
    now = datetime(2026, 1, 3, 12, 0, 30, tzinfo=UTC)
    assert ago(None) == "never"
    assert ago("2026-01-03T12:00:05.500Z", now) == "24s ago"
    assert ago("2026-01-03T11:57:18.000Z", now) == "3m12s ago"
    assert ago("2026-01-03T07:00:00.000Z", now) == "5h ago"
    assert ago("2026-01-01T09:00:00.000Z", now) == "2d3h ago"
    assert ago("2026-01-04T09:00:00.000Z", now) == "in the future by its clock"
    assert ago("soon\x1b", now) == "soon\ufffd"
    assert since(None) == "never"


def test_columns_of_a_piped_table_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("check", "why"), [("a_long_name", ""), ("b", "because")])
    assert capsys.readouterr().out == "CHECK        WHY\na_long_name\nb            because\n"


def test_an_id_is_in_one_piece_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    row = ("approval-40911b", "INC-20261126-013103-df9f", "restart service cache, which is stopped", "4h")
    show_table(("approval", "incident", "would", "left"), [row])
    said = capsys.readouterr().out
    assert "approval-40911b" in said
    assert "INC-20261126-013103-df9f" in said
    assert "which is stopped" not in said  # a text is broken
