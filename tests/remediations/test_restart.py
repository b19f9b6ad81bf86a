"""The restart remediation through real service managers."""

from collections.abc import Iterator

import pytest

from daemon.errors import RemediationError
from daemon.managers import command, supervisor
from remediations import restart
from tests.lab.contexts import act_context, target
from tests.lab.managers import bound
from tests.lab.supervisor import LabSupervisord, supervisord


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSupervisord]:
    programs = "[program:web]\ncommand=sleep 600\nstartsecs=0\n[program:db]\ncommand=sleep 600\nstartsecs=0\n"
    with supervisord(programs) as started:
        yield started


async def test_the_targets_own_service_is_restarted(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    aim = target("web", web=web)
    before = lab.pid("web")
    outcome = await restart.act(restart.Options(), aim, act_context())
    assert lab.pid("web") not in (0, before)
    assert outcome.summary == "restarted service web"
    assert outcome.details["manager"] == "supervisor"
    assert str(outcome.details["said"]).startswith("restarted supervisor program web, now pid")
    assert restart.resource(restart.Options(), aim) == web.resource == f"supervisor:{lab.socket}/web@node"


async def test_a_named_service_is_restarted_instead(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    database = bound(supervisor, "database", socket=lab.socket, program="db")
    options, aim = restart.Options(service="database"), target("web", web=web, database=database)
    before = lab.pid("web"), lab.pid("db")
    outcome = await restart.act(options, aim, act_context())
    assert outcome.summary == "restarted service database"
    assert lab.pid("web") == before[0]
    assert lab.pid("db") not in (0, before[1])
    assert restart.resource(options, aim) == database.resource


async def test_the_plan_says_what_would_be_restarted_and_how_it_is(lab: LabSupervisord) -> None:
    web = bound(supervisor, "web", socket=lab.socket, program="web")
    await web.start(act_context())
    before = lab.pid("web")
    plan = await restart.plan(restart.Options(), target("web", web=web), act_context())
    assert plan.startswith(f"restart service web ({web.resource}), which supervisor calls running: RUNNING for ")
    assert lab.pid("web") == before


async def test_the_plan_says_if_the_manager_cannot_be_asked() -> None:
    web = bound(supervisor, "web", socket="/nowhere/s", program="web")
    plan = await restart.plan(restart.Options(), target("web", web=web), act_context())
    assert "whose supervisor cannot be asked: there is no socket /nowhere/s" in plan


@pytest.mark.parametrize(
    ("service", "named", "text"),
    [
        (None, None, "check web_health has no service"),
        ("web", None, "service web has no run_by"),
        ("web", "other", "service other has no run_by, or there is no such service"),
    ],
)
async def test_a_service_that_nobody_runs_is_a_permanent_error(
    service: str | None, named: str | None, text: str
) -> None:
    options, aim = restart.Options(service=named), target(service)
    with pytest.raises(RemediationError, match=text) as caught:
        await restart.act(options, aim, act_context())
    assert caught.value.permanent
    with pytest.raises(RemediationError, match=text):
        restart.resource(options, aim)
    assert text in await restart.plan(options, aim, act_context())


async def test_what_the_manager_says_of_a_failure_is_passed_on() -> None:
    web = bound(command, "web", restart=["sh", "-c", "echo disk full >&2; exit 5"])
    with pytest.raises(RemediationError, match="exit code 5: disk full") as caught:
        await restart.act(restart.Options(), target("web", web=web), act_context())
    assert caught.value.permanent
    assert caught.value.details["exit_code"] == 5
