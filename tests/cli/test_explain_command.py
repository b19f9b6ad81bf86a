"""`heald explain`, `plan` and `report`, asked over a real socket: what people read, and what programs do."""

import json

import pytest

from daemon.model.explanation import WouldReport
from tests.api.fake_control import FakeControl
from tests.cli.conftest import Heald


async def test_the_first_line_is_the_answer_and_all_of_it_is_one_screen(heald: Heald, control: FakeControl) -> None:
    said = (await heald("explain", "api-down")).output
    lines = said.splitlines()
    assert lines[0] == "rule api-down on api_health eu: restart of it is held by cooldown"
    assert len(lines) <= 50
    assert control.calls == [("explain", "api-down")]


async def test_the_worst_is_told_in_full(heald: Heald, control: FakeControl) -> None:
    said = (await heald("explain", "api-down")).output
    for line in (
        "  rule      api-down (P1) · check api_health eu · service api · INC-1\n",
        "  when      up == 0 or avg(latency_seconds, 1m) > 5s · BREACHED, run ",
        "            up = 0\n",
        "            avg(latency_seconds, 1m) = missing: nothing there (0 samples in 1m, over 0s)\n",
        "  clears    up == 1\n",
        "  state     firing since 2023-11-14 22:13:20Z (",
        ", 20s of 1m count\n",
        "  people    were told because of budget\n",
        "  next      restart of supervisor:/run/s.sock/api@node (step 1 of 2, try 2 of 3)\n",
        "  plan      restart service api, which supervisor calls running\n",
        "  guards    pass  paused flapping\n",
        "\n            HOLD  cooldown: 40s of cooldown left, until 2023-11-14 22:14:00Z\n            pass  mode\n",
        "  budget    3/1h of rule api-down: 3 used, 0 left, one more in 12m\n",
        "\n            0/1h of all: 0 used, 0 left, never more\n",
    ):
        assert line in said, (line, said)


async def test_others_are_told_in_a_line_each_and_the_rest_is_counted(heald: Heald, control: FakeControl) -> None:
    said = (await heald("explain", "api-down")).output
    assert "\n  also\n  P1  firing  api-down on api_health us\ufffd[2J: restart of it is held by cooldown" in said
    assert "\n  … and 7 more, none of them worse\n" in said


async def test_an_incidents_story_is_told_in_the_order_of_time_and_in_bounds(
    heald: Heald, control: FakeControl
) -> None:
    lines = (await heald("explain", "api-down")).output.splitlines()
    story = lines[next(at for at, line in enumerate(lines) if line.startswith("  incident")) :]
    assert story[0] == "  incident  INC-1 · rule api-down · because up == 0"
    assert story[1].startswith("  happened  2023-11-14 22:13:20Z  ")
    assert story[2] == "            … 13 more"
    assert story[-1] == "            2023-11-14 22:13:49Z  firing → recovering: change 29"
    assert len(story) == 2 + 20


async def test_an_unknown_name_is_refused_with_what_was_meant(heald: Heald, control: FakeControl) -> None:
    done = await heald("explain", "api-dwn")
    assert done.exit_code == 1
    assert done.output == "Error: there is no rule, service or incident api-dwn; did you mean api-down?\n"


async def test_programs_get_the_daemons_own_words(heald: Heald, control: FakeControl) -> None:
    told = json.loads((await heald("explain", "api-down", "--json")).output)
    assert told == await control.explain("api-down")
    guards = told["standings"][0]["next"]["guards"]
    assert guards[2] == {
        "guard": "cooldown",
        "holds": True,
        "sentence": "40s of cooldown left",
        "until_at": "2023-11-14T22:14:00.250Z",
    }
    assert told["standings"][0]["next"]["budget"][1]["free_in_seconds"] is None
    assert json.loads((await heald("plan", "--json")).output) == await control.plan()
    assert json.loads((await heald("report", "--would", "--json")).output) == await control.would(seconds=86400.0)


async def test_a_plan_is_numbered_in_the_order_in_which_heald_would(heald: Heald, control: FakeControl) -> None:
    control.entries *= 2
    said = (await heald("plan")).output
    assert said.startswith("1. P1 api-down on api_health eu: restart of it would be done now\n  next      restart of ")
    assert "\n\n2. P1 api-down on api_health eu: restart of it would be done now\n" in said
    control.entries = []
    assert (await heald("plan")).output == "nothing would be done: no incident is firing and breached\n"


async def test_that_a_plan_may_go_on_is_said(heald: Heald, control: FakeControl) -> None:
    assert "…" not in (await heald("plan")).output
    control.entries = control.entries[:1] * 50
    assert (await heald("plan")).output.endswith("\n\n… and what comes after these 50, if there is more\n")


async def test_a_report_says_what_would_have_been_done(heald: Heald, control: FakeControl) -> None:
    said = (await heald("report", "--would", "--since", "2d")).output
    assert control.calls == [("would", "172800.0")]
    assert said.startswith("since 2023-11-14 22:13:20Z (")
    for line in (
        "): 22 attempts would have been made, 1 incident handed to people\n",
        "the record of that time is too long to read as a whole",
        "  limit 20/1h of all: at most 2 counted at once\n",
        "\napi-down · supervisor:/run/s.sock/api@node: 22 attempts\n",
        "  2023-11-14 22:13:20Z  restart, try 2, ineffective: restarted\ufffd[31m api\n",
        "  … 2 older\n",
        "  limit 3/1h of rule api-down: at most 2 counted at once\n",
        "  held by limit_rule 4×, mode 1×\n",
        "  people were told of INC-1 because of limit_rule, 2023-11-14 22:13:20Z (",
    ):
        assert line in said, (line, said)


async def test_a_report_of_nothing_is_one_line(heald: Heald, control: FakeControl) -> None:
    control.report = WouldReport(since=control.report.since, rows=(), budget=())
    assert (await heald("report", "--would")).output.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["report"], ["report", "--would", "--since", "x"], ["report", "--would", "--since", "500d"]]
)
async def test_a_report_that_means_nothing_is_a_wrong_usage(
    heald: Heald, control: FakeControl, arguments: list[str]
) -> None:
    assert (await heald(*arguments)).exit_code == 2
