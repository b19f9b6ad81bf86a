"""The stop remediation through real service managers."""

from collections.abc import Iterator

import pytest

from daemon.errors import RemediationError
from daemon.managers import command, supervisor
from remediations import stop
from tests.lab.contexts import act_context, target
from tests.lab.managers import bound
from tests.lab.processes import is_alive
from tests.lab.supervisor import LabSupervisord, supervisord

PROGRAMS = "[program:web]\ncommand=sleep 600\nstartsecs=0\n[program:db]\ncommand=sleep 600\nstartsecs=0\n"


@pytest.fixture
def lab() -> Iterator[LabSupervisord]:
    with supervisord(PROGRAMS) as started:
        yield started


async def test_a_service_that_runs_is_stopped_and_a_stopped_one_is_no_error(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    aim = target("web", web=web)
    pid = lab.pid("web")
    outcome = await stop.act(stop.Options(), aim, act_context())
    assert (lab.pid("web"), is_alive(pid)) == (0, False)
    assert (outcome.summary, outcome.details["manager"]) == ("stopped service web", "supervisor")
    assert outcome.details["resource"] == web.resource == stop.resource(stop.Options(), aim)
    await stop.act(stop.Options(), aim, act_context())
    assert lab.pid("web") == 0


async def test_a_named_service_is_stopped_instead(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    database = bound(supervisor, "database", socket=lab.socket, program="db")
    options, aim = stop.Options(service="database"), target("web", web=web, database=database)
    outcome = await stop.act(options, aim, act_context())
    assert outcome.summary == "stopped service database"
    assert (bool(lab.pid("web")), lab.pid("db")) == (True, 0)
    assert stop.resource(options, aim) == database.resource


async def test_the_plan_says_what_would_be_stopped_and_stops_nothing(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    await web.start(act_context())  # it waits until supervisord calls it running
    plan = await stop.plan(stop.Options(), target("web", web=web), act_context())
    assert plan.startswith(f"stop service web ({web.resource}), which supervisor calls running: ")
    assert lab.pid("web")


async def test_a_service_that_nobody_runs_is_a_permanent_error() -> None:
    with pytest.raises(RemediationError, match="service web has no run_by") as caught:
        await stop.act(stop.Options(), target("web"), act_context())
    assert caught.value.permanent
    assert "nothing can be done: " in await stop.plan(stop.Options(), target("web"), act_context())


async def test_what_the_manager_says_of_a_failure_is_passed_on() -> None:
    web = bound(command, "web", start=["true"], stop=["sh", "-c", "echo busy >&2; exit 1"])
    with pytest.raises(RemediationError, match="exit code 1: busy") as caught:
        await stop.act(stop.Options(), target("web", web=web), act_context())
    assert not caught.value.permanent
    web = bound(command, "web", start=["true"], stop=["sh", "-c", "exit 7"])  # it did not run
    outcome = await stop.act(stop.Options(), target("web", web=web), act_context())
    assert outcome.summary == "stopped service web"
    web = bound(command, "web", restart=["true"])
    with pytest.raises(RemediationError, match="no stop command is set") as caught:
        await stop.act(stop.Options(), target("web", web=web), act_context())
    assert caught.value.permanent
