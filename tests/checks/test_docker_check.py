"""The check of containers against a real engine: each state that a container can be in."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks import docker as docker_check
from daemon.errors import CheckError
from daemon.model.check import Sample
from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context, shared
from tests.lab.docker import WEB, LabEngine
from tests.lab.processes import until

DECLARED = {spec.name for spec in docker_check.SAMPLES}


@dataclass(kw_only=True)
class Scene:
    """Containers of one test: all carry its label, and their names begin with its name."""

    lab: LabEngine
    name: str
    context: Toolbox

    def run(self, name: str, *options: str, **more: str) -> str:
        return self.lab.run(f"{self.name}-{name}", "--label", f"scene={self.name}", *options, **more)

    async def look(self, **options: Any) -> dict[str, dict[str, Sample]]:
        """The samples by subject, without the scene's name."""
        given = options or {"label": f"scene={self.name}"}
        settings = docker_check.Options.model_validate(given | {"connection": "engine"})
        readings = await docker_check.check(settings, self.context)
        assert all(set(reading.samples) <= DECLARED for reading in readings)
        return {reading.subject.removeprefix(f"{self.name}-"): dict(reading.samples) for reading in readings}


@pytest.fixture
def scene(docker: LabEngine, docker_context: Toolbox) -> Iterator[Scene]:
    own = Scene(lab=docker, name=f"c{uuid.uuid4().hex[:8]}", context=docker_context)
    yield own
    for kind in (f"label=scene={own.name}", f"label=com.docker.compose.project={own.name}"):
        if names := docker.docker("ps", "-aq", "--filter", kind).split():
            docker.docker("rm", "-f", *names)


def some(samples: dict[str, Sample], *names: str) -> tuple[Sample, ...]:
    return tuple(samples[name] for name in names)


async def test_every_state_of_a_container_has_its_word(scene: Scene) -> None:
    scene.run("running")
    scene.run("paused")
    scene.lab.docker("pause", f"{scene.name}-paused")
    scene.run("exited", command="exit 3")
    scene.run("done", command="exit 0")
    scene.run("loop", "--restart", "always", command="exit 5")
    scene.run("oom", "-m", "16m", "--memory-swap", "16m", command="x=a; while :; do x=$x$x; done")
    scene.lab.docker("create", "--name", f"{scene.name}-created", "--label", f"scene={scene.name}", "local/idle:1")
    await until(lambda: scene.lab.state(f"{scene.name}-oom") == "exited")
    await until(lambda: scene.lab.inspect(f"{scene.name}-loop")["RestartCount"] >= 3)
    found = await scene.look()
    while found["loop"]["state"] == "running":  # for a moment between two ends
        found = await scene.look()
    assert {name: some(samples, "up", "error", "state") for name, samples in found.items()} == {
        "running": (1, "", "running"),
        "paused": (0, "paused", "paused"),
        "exited": (0, "exited", "exited"),
        "done": (0, "exited", "exited"),
        "loop": (0, "restarting", "restarting"),
        "oom": (0, "oom_killed", "exited"),
        "created": (0, "created", "created"),
    }
    assert some(found["running"], "health", "restarts", "oom_killed", "detail") == ("none", 0, False, "")
    assert 0 <= float(found["running"]["running_seconds"]) < 60
    assert 0 < float(found["running"]["latency_seconds"]) < 10
    assert "exit_code" not in found["running"]
    assert some(found["exited"], "exit_code", "detail") == (
        3,
        f"container {scene.name}-exited has ended with exit code 3",
    )
    assert "running_seconds" not in found["exited"]
    assert found["done"]["exit_code"] == 0
    assert float(found["loop"]["restarts"]) >= 3
    assert some(found["oom"], "oom_killed", "exit_code", "memory_limit_bytes") == (True, 137, 16 * 2**20)
    assert "exit_code" not in found["created"]


async def test_health_is_told_from_running(scene: Scene) -> None:
    name = scene.run("web", image=WEB)
    slow = scene.run("slow", "--health-interval", "60s", image=WEB)
    await until(lambda: scene.lab.health(name) == "healthy")
    found = await scene.look()
    assert some(found["web"], "up", "health", "error") == (1, "healthy", "")
    assert some(found["slow"], "up", "health", "error") == (1, "starting", "")
    assert scene.lab.state(slow) == "running"
    scene.lab.docker("exec", name, "rm", "/www/health")
    await until(lambda: scene.lab.health(name) == "unhealthy")
    found = await scene.look()
    assert some(found["web"], "up", "health", "error", "state") == (0, "unhealthy", "unhealthy", "running")
    assert "its HEALTHCHECK said: wget:" in str(found["web"]["detail"])


async def test_a_named_container_that_was_removed_has_a_reading_and_others_vanish(scene: Scene) -> None:
    kept, removed = scene.run("kept"), scene.run("removed")
    assert set(await scene.look()) == {"kept", "removed"}
    scene.lab.docker("rm", "-f", removed)
    assert set(await scene.look()) == {"kept"}
    found = await scene.look(containers=[kept, removed])
    assert {name: some(samples, "up", "state") for name, samples in found.items()} == {
        "kept": (1, "running"),
        "removed": (0, "not_found"),
    }
    assert some(found["removed"], "error", "detail") == ("not_found", f"there is no container {removed}")


async def test_an_id_is_not_a_name(scene: Scene) -> None:
    short = scene.lab.inspect(scene.run("web"))["Id"][:12]
    assert (await scene.look(containers=[short]))[short]["error"] == "not_found"


async def test_a_compose_project_has_a_reading_for_what_is_named(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    service = {"image": "local/idle:1", "pull_policy": "never", "network_mode": "none"}
    file.write_text(json.dumps({"services": {"api": service, "db": service, "migrate": service | {"command": "true"}}}))
    assert await scene.look(project=scene.name) == {
        scene.name: {
            "up": 0,
            "error": "not_found",
            "detail": f"compose project {scene.name} has no container",
            "state": "not_found",
            "health": "none",
        }
    }
    scene.lab.compose(scene.name, file, "up", "-d", "--scale", "api=2")
    scene.lab.compose(scene.name, file, "run", "-d", "db")
    assert set(await scene.look(project=scene.name)) == {"api-1", "api-2", "db-1", "migrate-1"}
    assert set(await scene.look(project=scene.name, without=["migrate"])) == {"api-1", "api-2", "db-1"}
    assert set(await scene.look(project=scene.name, without=[f"{scene.name}-db-1"])) == {"api-1", "api-2", "migrate-1"}
    scene.lab.docker("rm", "-f", f"{scene.name}-db-1")
    found = await scene.look(project=scene.name, services=["api", "db"])
    assert {name: samples["error"] for name, samples in found.items()} == {
        "api-1": "",
        "api-2": "",
        "db-1": "not_found",
    }
    assert set(await scene.look(project=scene.name)) == {"api-1", "api-2", "migrate-1"}


async def test_all_containers_are_found(scene: Scene) -> None:
    scene.run("one")
    assert "one" in await scene.look(all=True)


async def test_missing_variables_are_named_and_values_never_shown(scene: Scene) -> None:
    name = scene.run("web", "-e", "ECAP_SECRET_KEY=hunter2", "-e", "ECAP_DATABASE_URL=", "-e", "PREFIX_ECAP_X=1")
    found = await scene.look(containers=[name], environment=["ECAP_SECRET_KEY", "ECAP_DATABASE_URL", "ECAP_X"])
    assert found["web"]["missing_environment"] == "ECAP_DATABASE_URL,ECAP_X"
    assert "hunter2" not in str(found)
    found = await scene.look(containers=[name], environment=["ECAP_SECRET_KEY"])
    assert found["web"]["missing_environment"] == ""
    assert "missing_environment" not in (await scene.look())["web"]


async def test_cpu_and_memory_are_measured_only_when_asked_for(scene: Scene) -> None:
    scene.run("busy", "-m", "64m", command="while :; do :; done")
    scene.run("idle")
    scene.run("exited", command="true")
    measured = {"memory_bytes", "cpu_percent", "cpu_seconds"}
    assert not measured & set((await scene.look())["busy"])
    found = await scene.look(label=f"scene={scene.name}", stats=True)
    assert measured | {"memory_percent"} <= set(found["busy"])
    assert 10 < float(found["busy"]["cpu_percent"]) < 150
    assert 0 < float(found["busy"]["memory_percent"]) < 50
    memory, limit = some(found["busy"], "memory_bytes", "memory_limit_bytes")
    assert found["busy"]["memory_percent"] == pytest.approx(100 * float(memory) / float(limit))
    assert measured <= set(found["idle"])
    assert float(found["idle"]["cpu_percent"]) < 5
    assert "memory_percent" not in found["idle"]
    assert not measured & set(found["exited"])
    again = await scene.look(label=f"scene={scene.name}", stats=True)
    assert float(again["busy"]["cpu_seconds"]) > float(found["busy"]["cpu_seconds"])


async def test_that_counting_takes_too_long_blinds_nobody(scene: Scene) -> None:
    name = scene.run("web")
    options = docker_check.Options(containers=[name], stats=True, connection="engine")
    await docker_check.check(options, scene.context)  # the connection is open
    [reading] = await docker_check.check(options, check_context(0.2, connections=scene.context.connections))
    assert reading.samples["up"] == 1
    assert "cpu_percent" not in reading.samples


async def test_without_an_engine_we_are_blind(tmp_path: Path) -> None:
    connections = shared(engine=("docker", {"url": f"unix://{tmp_path}/s"}))
    options = docker_check.Options(containers=["web"], connection="engine")
    with pytest.raises(CheckError, match="there is no socket"):
        await docker_check.check(options, check_context(connections=connections))
    await connections.close()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "none is given; write exactly one of"),
        ({"all": False}, "none is given"),
        ({"containers": ["a"], "all": True}, "containers and all are given"),
        ({"containers": ["../images"]}, "pattern"),
        ({"containers": ["a", "a"]}, "names one twice"),
        ({"containers": ["a"], "without": ["b"]}, "leave them out of containers"),
        ({"label": "a", "services": ["b"]}, "without their project"),
        ({"containers": ["a"], "stats": "yes"}, "stats"),
    ],
)
def test_wrong_options_are_refused_and_say_why(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        docker_check.Options.model_validate(given)
