"""The start remediation through real service managers."""

from collections.abc import Iterator

import pytest

from daemon.errors import RemediationError
from daemon.managers import command, supervisor
from remediations import start
from tests.lab.contexts import act_context, target
from tests.lab.managers import bound
from tests.lab.supervisor import LabSupervisord, supervisord

PROGRAMS = """
[program:web]
command=sleep 600
startsecs=0
autostart=false
[program:db]
command=sleep 600
startsecs=0
autostart=false
"""


@pytest.fixture
def lab() -> Iterator[LabSupervisord]:
    with supervisord(PROGRAMS) as started:
        yield started


async def test_a_stopped_service_is_started_and_one_that_runs_is_left_alone(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    aim = target("web", web=web)
    outcome = await start.act(start.Options(), aim, act_context())
    pid = lab.pid("web")
    assert pid
    assert (outcome.summary, outcome.details["manager"]) == ("started service web", "supervisor")
    assert outcome.details["resource"] == web.resource == start.resource(start.Options(), aim)
    await start.act(start.Options(), aim, act_context())
    assert lab.pid("web") == pid


async def test_a_named_service_is_started_instead(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    database = bound(supervisor, "database", socket=lab.socket, program="db")
    options, aim = start.Options(service="database"), target("web", web=web, database=database)
    outcome = await start.act(options, aim, act_context())
    assert outcome.summary == "started service database"
    assert (lab.pid("web"), bool(lab.pid("db"))) == (0, True)
    assert start.resource(options, aim) == database.resource


async def test_the_plan_says_what_would_be_started_and_starts_nothing(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    plan = await start.plan(start.Options(), target("web", web=web), act_context())
    assert plan.startswith(f"start service web ({web.resource}), which supervisor calls stopped: ")
    assert lab.pid("web") == 0


async def test_a_service_that_nobody_runs_is_a_permanent_error() -> None:
    with pytest.raises(RemediationError, match="service web has no run_by") as caught:
        await start.act(start.Options(), target("web"), act_context())
    assert caught.value.permanent
    with pytest.raises(RemediationError, match="service web has no run_by"):
        start.resource(start.Options(), target("web"))
    assert "nothing can be done: " in await start.plan(start.Options(), target("web"), act_context())


async def test_what_the_manager_says_of_a_failure_is_passed_on() -> None:
    web = bound(command, "web", start=["sh", "-c", "echo port taken >&2; exit 1"])
    with pytest.raises(RemediationError, match="exit code 1: port taken") as caught:
        await start.act(start.Options(), target("web", web=web), act_context())
    assert not caught.value.permanent
    web = bound(command, "web", restart=["true"])
    with pytest.raises(RemediationError, match="no start command is set") as caught:
        await start.act(start.Options(), target("web", web=web), act_context())
    assert caught.value.permanent
