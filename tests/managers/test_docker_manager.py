"""The manager for containers against a real engine, healthy and sick."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.errors import RemediationError
from daemon.managers import docker as manager
from daemon.model.service import Service, ServiceState
from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context
from tests.lab.docker import WEB, LabEngine
from tests.lab.processes import until

FAILS = "echo starting; echo cannot open the database >&2; exit 3"


@pytest.fixture
def context(docker_context: Toolbox) -> Toolbox:
    return docker_context


@pytest.fixture
def name(docker: LabEngine) -> Iterator[str]:
    """A name that no other test has; its container is removed."""
    own = f"web-{uuid.uuid4().hex[:8]}"
    yield own
    docker._run("rm", "-f", own, check=False)


def options(name: str) -> manager.Options:
    return manager.Options(container=name, connection="engine")


async def test_a_running_container_is_running_and_says_since_when(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name)
    status = await manager.status(options(name), context)
    assert status.state is ServiceState.RUNNING
    assert status.detail.startswith("running for ")


async def test_restart_stop_and_start_are_seen_by_the_engine(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name)
    before = docker.inspect(name)["State"]["StartedAt"]
    said = await manager.restart(options(name), context)
    assert said.startswith(f"restarted container {name}, now running for ")
    assert "; it was running for " in said
    assert docker.inspect(name)["State"]["StartedAt"] > before
    said = await manager.stop(options(name), context)
    assert said.startswith(f"stopped container {name}, now exited with exit code 0; it was running for ")
    status = await manager.status(options(name), context)
    assert (status.state, status.detail) == (ServiceState.STOPPED, "exited with exit code 0")
    await manager.stop(options(name), context)  # nothing to do is no error
    assert (await manager.start(options(name), context)).startswith(f"started container {name}, now running")
    started = docker.inspect(name)["State"]["StartedAt"]
    await manager.start(options(name), context)
    assert docker.inspect(name)["State"]["StartedAt"] == started


async def test_what_a_person_stopped_is_told_from_what_ended(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name)
    assert not (await manager.status(options(name), context)).by_operator
    docker.docker("kill", name)
    await until(lambda: docker.state(name) == "exited")
    assert not (await manager.status(options(name), context)).by_operator
    docker.docker("start", name)
    docker.docker("stop", name)
    status = await manager.status(options(name), context)
    assert status.by_operator
    assert status.stopped_for is not None
    assert 0 <= status.stopped_for < 10
    docker.docker("start", name)
    assert not (await manager.status(options(name), context)).by_operator


async def test_a_sigterm_that_nobody_had_the_engine_send_is_no_stop(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name, command="exit 143")
    await until(lambda: docker.state(name) == "exited")
    ended = datetime.fromisoformat(docker.inspect(name)["State"]["FinishedAt"])
    await until(lambda: datetime.now(UTC) - ended > timedelta(seconds=5.5))  # the engine would have said so by then
    assert not (await manager.status(options(name), context)).by_operator
    docker.docker("start", name)
    await until(lambda: docker.state(name) == "exited")
    assert (await manager.status(options(name), context)).by_operator  # nobody can tell yet


async def test_a_container_that_came_to_its_end_was_stopped_by_nobody(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name, command="true")
    await until(lambda: docker.state(name) == "exited")
    status = await manager.status(options(name), context)
    assert (status.state, status.by_operator) == (ServiceState.STOPPED, False)


async def test_a_stopped_container_is_restarted_too(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name)
    docker.docker("stop", name)
    assert (await manager.restart(options(name), context)).endswith("; it was exited with exit code 0")
    assert docker.state(name) == "running"


async def test_a_healthcheck_is_waited_for(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name, image=WEB)
    status = await manager.status(options(name), context)
    assert (status.state, status.detail.partition(", ")[2]) == (ServiceState.BUSY, "starting")
    said = await manager.restart(options(name), context)
    assert docker.health(name) == "healthy"
    assert ", healthy; it was" in said
    assert (await manager.status(options(name), context)).state is ServiceState.RUNNING


async def test_an_unhealthy_container_runs_and_is_healed_by_a_restart(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    # What a crash left behind is gone after a restart: the page is there again.
    docker.run(name, image=WEB, command="touch /www/health; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait")
    docker.docker("exec", name, "rm", "/www/health")
    await until(lambda: docker.health(name) == "unhealthy")
    status = await manager.status(options(name), context)
    assert (status.state, status.detail.endswith(", unhealthy")) == (ServiceState.RUNNING, True)
    assert ", healthy; it was running for" in await manager.restart(options(name), context)


async def test_a_container_that_turns_unhealthy_has_failed_and_says_why(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name, image=WEB)
    docker.docker("exec", name, "rm", "/www/health")
    with pytest.raises(RemediationError, match=r"did not come up: .*, unhealthy; it said: .*404") as caught:
        await manager.restart(options(name), context)
    assert (caught.value.permanent, caught.value.details["health"]) == (False, "unhealthy")


async def test_a_container_that_ends_at_once_has_failed_with_exit_code_and_last_line(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name, command=FAILS)
    for verb in (manager.start, manager.restart):
        with pytest.raises(RemediationError) as caught:
            await verb(options(name), context)
        assert str(caught.value) == (
            f"container {name} did not come up: it is exited with exit code 3; it said: cannot open the database"
        )
        assert caught.value.details["exit_code"] == 3
    status = await manager.status(options(name), context)
    assert (status.state, status.detail) == (ServiceState.FAILED, "exited with exit code 3")


async def test_a_container_that_the_engine_restarts_over_and_over_is_busy_and_given_up(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name, "--restart", "always", command=FAILS)
    await until(lambda: docker.state(name) == "restarting")
    status = await manager.status(options(name), context)
    while status.state is ServiceState.RUNNING:  # for a moment between two ends
        status = await manager.status(options(name), context)
    assert (status.state, status.detail) == (ServiceState.BUSY, "restarting with exit code 3")
    with pytest.raises(RemediationError, match=r"did not come up: .*; it said: cannot open the database") as caught:
        await manager.restart(options(name), context)
    assert int(str(caught.value.details["restarts"])) >= 3


async def test_a_container_killed_for_want_of_memory_is_failed(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name, "-m", "16m", "--memory-swap", "16m", command="x=a; while :; do x=$x$x; done")
    await until(lambda: docker.state(name) == "exited")
    status = await manager.status(options(name), context)
    assert status.state is ServiceState.FAILED
    assert status.detail == "exited with exit code 137, killed for want of memory"


async def test_a_paused_container_is_stopped_and_goes_on_when_started(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name)
    before = docker.inspect(name)["State"]["StartedAt"]
    docker.docker("pause", name)
    status = await manager.status(options(name), context)
    assert (status.state, status.detail) == (ServiceState.STOPPED, "paused")
    await manager.start(options(name), context)
    assert (docker.state(name), docker.inspect(name)["State"]["StartedAt"]) == ("running", before)
    docker.docker("pause", name)
    await manager.restart(options(name), context)
    assert docker.state(name) == "running"
    assert docker.inspect(name)["State"]["StartedAt"] > before


async def test_a_container_that_was_made_and_not_started_is_stopped(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.docker("create", "--pull", "never", "--network", "none", "--name", name, "local/idle:1")
    status = await manager.status(options(name), context)
    assert (status.state, status.detail) == (ServiceState.STOPPED, "created")
    await manager.start(options(name), context)


async def test_a_command_that_is_not_there_is_a_permanent_error(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.docker("create", "--pull", "never", "--network", "none", "--name", name, "local/idle:1", "no-such-program")
    with pytest.raises(RemediationError, match=rf"cannot start container {name}: .*no-such-program") as caught:
        await manager.start(options(name), context)
    assert caught.value.permanent
    assert (await manager.status(options(name), context)).state is ServiceState.FAILED


async def test_a_container_that_does_not_stop_in_time_fails(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name, "--stop-timeout", "600", command="trap '' TERM; while :; do sleep 1; done")
    short = check_context(3.0, connections=context.connections)
    with pytest.raises(RemediationError, match=rf"cannot restart container {name}: .* did not restart it within \d"):
        await manager.restart(options(name), short)


async def test_a_removed_container_is_a_permanent_error_with_a_guess(
    docker: LabEngine, name: str, context: Toolbox
) -> None:
    docker.run(name)
    wrong = name.replace("web-", "wbe-")
    status = await manager.status(options(wrong), context)
    assert status.state is ServiceState.UNKNOWN
    for verb in (manager.start, manager.stop, manager.restart):
        with pytest.raises(RemediationError) as caught:
            await verb(options(wrong), context)
        assert caught.value.permanent
        assert str(caught.value) == status.detail or "has no container" in str(caught.value)
        assert str(caught.value).startswith(f"the Docker engine has no container {wrong}; it has ")
        assert str(caught.value).endswith(f"; did you mean {name}?")


async def test_an_id_is_not_a_name(docker: LabEngine, name: str, context: Toolbox) -> None:
    docker.run(name)
    wrong = docker.inspect(name)["Id"][:12]
    assert (await manager.status(options(wrong), context)).state is ServiceState.UNKNOWN


def test_the_resource_is_the_container_on_the_node() -> None:
    assert manager.resource(options("web"), Service(name="shop"), "node7") == "docker:web@node7"


@pytest.mark.parametrize("given", [{}, {"container": ""}, {"container": "/web"}, {"container": "a b"}, {"name": "web"}])
def test_wrong_options_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manager.Options.model_validate(given)
