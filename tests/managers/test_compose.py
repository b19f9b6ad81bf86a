"""The manager for compose services against a real engine and the real plug-in."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.errors import RemediationError
from daemon.managers import compose as manager
from daemon.model.service import Service, ServiceState
from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context
from tests.lab.docker import LabEngine
from tests.lab.processes import until

COMPOSE_FILE = """\
services:
  api: {image: "local/web:1", pull_policy: never, network_mode: none, depends_on: [db]}
  db: {image: "local/idle:1", pull_policy: never, network_mode: none}
"""


@dataclass(kw_only=True)
class Project:
    """A compose project of a test, and the engine that runs it."""

    lab: LabEngine
    name: str
    file: Path

    def up(self, *arguments: str) -> None:
        self.lab.compose(self.name, self.file, "up", "-d", *arguments)

    def options(self, service: str = "api", **more: Any) -> manager.Options:
        given = {"project": self.name, "service": service, "connection": "engine"} | more
        return manager.Options.model_validate(given)

    def container(self, number: int = 1, service: str = "api") -> str:
        return f"{self.name}-{service}-{number}"

    def names(self) -> list[str]:
        found = self.lab.docker(
            "ps", "-a", "--filter", f"label=com.docker.compose.project={self.name}", "--format", "{{.Names}}"
        )
        return sorted(found.split())

    def started(self, *names: str) -> list[str]:
        return [str(self.lab.inspect(name)["State"]["StartedAt"]) for name in names]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def is_installed_for_all() -> bool:
    """Whether this host has the plug-in where no DOCKER_CONFIG hides it."""
    places = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
    return any(Path(place, "docker/cli-plugins/docker-compose").exists() for place in places)


@pytest.fixture
def context(docker_context: Toolbox, docker: LabEngine, monkeypatch: pytest.MonkeyPatch) -> Toolbox:
    monkeypatch.setenv("DOCKER_CONFIG", str(docker.config))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")  # heald's connection counts, not this
    return docker_context


@pytest.fixture
def project(docker: LabEngine, tmp_path: Path) -> Iterator[Project]:
    """A project that no other test has; its containers are removed."""
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE_FILE)
    own = Project(lab=docker, name=f"ecap{uuid.uuid4().hex[:8]}", file=file)
    yield own
    if names := own.names():
        docker.docker("rm", "-f", *names)


async def test_a_service_of_one_container_is_restarted_stopped_and_started(project: Project, context: Toolbox) -> None:
    project.up("--wait")
    [before, other] = project.started(project.container(), project.container(service="db"))
    status = await manager.status(project.options(), context)
    assert status.state is ServiceState.RUNNING
    assert status.detail.endswith(", healthy")
    said = await manager.restart(project.options(), context)
    assert said.startswith(f"service api of compose project {project.name}: restarted {project.container()}, now runn")
    assert project.started(project.container())[0] > before
    assert (await manager.stop(project.options(), context)).endswith(", healthy")
    status = await manager.status(project.options(), context)
    assert (status.state, status.detail) == (ServiceState.STOPPED, "exited with exit code 0")
    await manager.stop(project.options(), context)  # nothing to do is no error
    await manager.start(project.options(), context)
    assert project.lab.health(project.container()) == "healthy"
    assert "runs already: running for" in await manager.start(project.options(), context)
    assert project.started(project.container(service="db")) == [other]


async def test_of_several_containers_only_the_sick_are_restarted(project: Project, context: Toolbox) -> None:
    project.up("--scale", "api=3", "--wait")
    names = [project.container(number) for number in (1, 2, 3)]
    project.lab.docker("kill", names[1])
    await until(lambda: project.lab.state(names[1]) == "exited")
    status = await manager.status(project.options(), context)
    assert status.state is ServiceState.FAILED
    assert status.detail == f"2 of 3 run; {names[1]} exited with exit code 137"
    before = project.started(*names)
    said = await manager.restart(project.options(), context)
    assert f"restarted {names[1]}, now running" in said
    after = project.started(*names)
    assert [then != now for then, now in zip(before, after, strict=True)] == [False, True, False]


async def test_what_a_person_stopped_is_left_alone_while_another_is_restarted_or_started(
    project: Project, context: Toolbox
) -> None:
    project.up("--scale", "api=3", "--wait")
    names = [project.container(number) for number in (1, 2, 3)]
    for verb in (manager.restart, manager.start):
        project.lab.docker("stop", names[0])
        project.lab.docker("kill", names[1])
        await until(lambda: project.lab.state(names[1]) == "exited")
        said = await verb(project.options(), context)
        assert f"ed {names[1]}, now running" in said
        assert said.endswith(f"; left alone, as a person stopped it: {names[0]}")
        assert [project.lab.state(name) for name in names] == ["exited", "running", "running"]


async def test_what_heald_stopped_itself_is_started_again_with_the_others(project: Project, context: Toolbox) -> None:
    project.up("--scale", "api=2", "--wait")
    names = [project.container(number) for number in (1, 2)]
    project.lab.docker("kill", names[1])
    await until(lambda: project.lab.state(names[1]) == "exited")
    await manager.stop(project.options(), context)
    now = context.clock.steady()
    await manager.restart(project.options(), replace(context, own_stops=[(now - 60.0, now + 5.0)]))
    assert [project.lab.state(name) for name in names] == ["running", "running"]


async def test_an_unhealthy_one_that_does_not_come_back_keeps_no_other_sick_one_down(
    project: Project, context: Toolbox
) -> None:
    project.up("--scale", "api=3", "--wait")
    names = [project.container(number) for number in (1, 2, 3)]
    project.lab.docker("exec", names[0], "rm", "/www/health")  # and a restart does not bring it again
    project.lab.docker("kill", names[2])
    await until(lambda: project.lab.health(names[0]) == "unhealthy")
    status = await manager.status(project.options(), context)
    assert status.detail.startswith(f"1 of 3 run; {names[0]} running for ")
    with pytest.raises(RemediationError, match=rf"^1 of 2 containers restarted; container {names[0]} did") as caught:
        await manager.restart(project.options(), context)
    assert not caught.value.permanent
    assert project.lab.health(names[2]) == "healthy"


async def test_where_none_looks_sick_all_are_restarted_one_after_the_other(project: Project, context: Toolbox) -> None:
    project.up("--scale", "api=2", "--wait")
    names = [project.container(number) for number in (1, 2)]
    before = project.started(*names)
    await manager.restart(project.options(), context)
    after = project.started(*names)
    assert all(moment(now) > moment(then) for then, now in zip(before, after, strict=True))
    log = project.lab.inspect(names[0])["State"]["Health"]["Log"]
    healthy = min(moment(run["End"]) for run in log if moment(run["Start"]) > moment(after[0]))
    assert moment(after[1]) > healthy  # the second went down only once the first was healthy


async def test_a_well_one_that_does_not_come_back_spares_the_others(project: Project, context: Toolbox) -> None:
    project.file.write_text(
        'services: {api: {image: "local/idle:1", pull_policy: never, network_mode: none, '
        """command: ["sh", "-c", "test -e /once && exit 4; touch /once; trap 'exit 0' TERM; sleep 1000 & wait"]}}\n"""
    )
    project.up("--scale", "api=2")
    names = [project.container(number) for number in (1, 2)]
    before = project.started(*names)
    with pytest.raises(RemediationError, match=r"^0 of 2 containers restarted; .* exited with exit code 4"):
        await manager.restart(project.options(), context)
    assert (project.lab.state(names[1]), project.started(names[1])) == ("running", before[1:])


@pytest.mark.parametrize("verb", [manager.start, manager.restart])
async def test_a_removed_container_is_made_again_from_where_its_siblings_say(
    project: Project, context: Toolbox, verb: Any
) -> None:
    project.up("--wait")
    project.lab.docker("rm", "-f", project.container())
    before = project.started(project.container(service="db"))
    status = await manager.status(project.options(), context)
    assert (status.state, status.detail) == (ServiceState.STOPPED, "no container of it is left")
    assert "has no container to stop" in await manager.stop(project.options(), context)
    said = await verb(project.options(), context)
    assert said.startswith(f"created by docker compose --ansi never -p {project.name} -f {project.file} ")
    assert project.lab.health(project.container()) == "healthy"
    assert project.started(project.container(service="db")) == before


async def test_a_project_without_containers_is_made_from_its_file_without_what_it_depends_on(
    project: Project, context: Toolbox
) -> None:
    options = project.options(file=str(project.file))
    assert (await manager.status(options, context)).state is ServiceState.STOPPED
    await manager.start(options, context)
    assert project.names() == [project.container()]


async def test_a_project_whose_file_moved_is_a_permanent_error_until_the_option_says_where(
    project: Project, context: Toolbox, tmp_path: Path
) -> None:
    project.up("--wait")
    project.lab.docker("rm", "-f", project.container())
    moved = tmp_path / "elsewhere.yaml"
    project.file.rename(moved)
    with pytest.raises(RemediationError) as caught:
        await manager.restart(project.options(), context)
    assert caught.value.permanent
    assert str(caught.value) == (
        f"project {project.name} was made from {project.file}, which cannot be read: No such file or directory; "
        "if it has moved, set `file`"
    )
    with pytest.raises(RemediationError) as caught:
        await manager.restart(project.options(file=str(tmp_path / "wrong.yaml")), context)
    assert caught.value.permanent
    assert str(caught.value) == (
        f"project {project.name}: its `file` {tmp_path}/wrong.yaml cannot be read: No such file or directory; the "
        f"project's containers were made from {project.file}"
    )
    await manager.restart(project.options(file=[str(moved)]), context)
    assert project.lab.health(project.container()) == "healthy"


async def test_what_still_has_containers_needs_no_file(project: Project, context: Toolbox) -> None:
    project.up("--wait")
    project.file.unlink()
    await manager.restart(project.options(), context)


async def test_an_unknown_service_is_a_permanent_error_with_a_guess(project: Project, context: Toolbox) -> None:
    project.up("db")
    with pytest.raises(RemediationError) as caught:
        await manager.restart(project.options("apj"), context)
    assert caught.value.permanent
    assert str(caught.value) == (
        f"the compose file of project {project.name} has no service apj; it has api, db; did you mean api?"
    )


async def test_an_unknown_project_is_a_permanent_error_with_a_guess(project: Project, context: Toolbox) -> None:
    project.up("db")
    wrong = project.options(project=project.name.replace("ecap", "ecpa"))
    status = await manager.status(wrong, context)
    assert status.state is ServiceState.UNKNOWN
    for verb in (manager.start, manager.stop, manager.restart):
        with pytest.raises(RemediationError) as caught:
            await verb(wrong, context)
        assert caught.value.permanent
        assert f"has no compose project {wrong.project}; it has " in str(caught.value)
        assert f"; did you mean {project.name}?; if all" in str(caught.value)


async def test_a_compose_file_that_cannot_be_used_says_why(project: Project, context: Toolbox) -> None:
    project.file.write_text(COMPOSE_FILE.replace("local/web:1", "local/missing:1"))
    with pytest.raises(RemediationError, match=r"docker compose cannot create .*: exit code \d+: .*missing") as caught:
        await manager.start(project.options(file=str(project.file)), context)
    assert not caught.value.permanent
    assert caught.value.details["exit_code"]


async def test_without_docker_or_its_plugin_nothing_can_be_created(
    project: Project, context: Toolbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.up("db")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    if not is_installed_for_all():
        with pytest.raises(RemediationError, match="docker compose is not installed") as caught:
            await manager.start(project.options(), context)
        assert caught.value.permanent
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemediationError, match="without the command docker none can be created: No such") as caught:
        await manager.start(project.options(), context)
    assert caught.value.permanent


async def test_a_run_of_compose_that_is_nobodys_service_is_left_alone(project: Project, context: Toolbox) -> None:
    project.up("db")
    project.lab.compose(project.name, project.file, "run", "-d", "--no-deps", "db")
    [one_off] = [name for name in project.names() if "-run-" in name]
    before = project.started(one_off)
    await manager.restart(project.options("db"), context)
    assert project.started(one_off) == before


async def test_time_that_is_up_is_said(project: Project, context: Toolbox) -> None:
    project.file.write_text(COMPOSE_FILE.replace("api: {", "api: {healthcheck: {interval: 60s}, "))
    project.up("api")
    assert (await manager.status(project.options(), context)).state is ServiceState.BUSY
    short = check_context(6.0, connections=context.connections)
    with pytest.raises(RemediationError, match=r"is not up when the time is up: it is running for \ds, starting"):
        await manager.restart(project.options(), short)


def test_the_resource_is_the_service_on_the_node() -> None:
    options = manager.Options(project="ecap", service="api")
    assert manager.resource(options, Service(name="shop"), "node7") == "compose:ecap/api@node7"


@pytest.mark.parametrize(
    "given",
    [
        {"project": "ecap"},
        {"project": "Ecap", "service": "api"},
        {"project": "ecap", "service": "a b"},
        {"project": "ecap", "service": "api", "file": "compose.yaml"},
        {"project": "ecap", "service": "api", "file": ["/etc/ecap.yaml", 7]},
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manager.Options.model_validate(given)


def test_a_file_may_be_one_or_several() -> None:
    for file in ("/a.yaml", ["/a.yaml"]):
        options = manager.Options.model_validate({"project": "ecap", "service": "api", "file": file})
        assert options.file == ["/a.yaml"]
