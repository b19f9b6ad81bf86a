"""heald as a service of a real systemd heals containers of a real engine, shut in, with the shipped drop-in alone."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import wait_until
from tests.lab.docker import IDLE, LabEngine, needs_docker
from tests.lab.host import Host, host

COMPOSE = f"""services:
  api: {{image: "{IDLE}", pull_policy: never, network_mode: none}}
"""
RULES = """version: 1
settings: {mode: act, allow: [restart], startup_grace: 0s, budget: [1000/1h]}
services:
  api: {run_by: {compose: {project: shop, service: api, file: /mnt/compose.yaml}}, limit: [1000/1h]}
checks:
  api: {service: api, docker: {project: shop, services: [api], stats: true}, every: 300ms}
rules:
  api-down:
    check: api
    when: up == 0
    for: 0s
    limit: [1000/1h]
    steps: [{restart: {}, tries: 5, cooldown: 0s, settle: 0s, verify: 2s, timeout: 30s}]
"""


@pytest.fixture
def engine() -> Iterator[tuple[Host, LabEngine]]:
    """A host with heald on it, and an engine whose socket is where the engine's is: the group docker's."""
    needs_docker()
    with host({}) as clean:
        (clean.lab.folder / "e").mkdir()
        lab = LabEngine(clean.lab.folder / "e")
        clean.installer("install")
        try:
            lab.start()
            lab.make_images()
            clean.lab.run("groupadd", "--force", "docker")
            clean.lab.run("chmod", "a+x", "/mnt", "/mnt/e")  # as /run is
            clean.lab.run("chgrp", "docker", "/mnt/e/s")
            clean.lab.run("ln", "-s", "/mnt/e/s", "/run/docker.sock")
            have_compose(clean)
            yield clean, lab
        finally:
            lab.remove()


def have_compose(clean: Host) -> None:
    """The plug-in compose where a host has it."""
    spec = importlib.util.find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    plugins = clean.root / "usr/local/lib/docker/cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(spec.origin).with_name("docker-compose"), plugins)


def up(clean: Host) -> bool:
    [check] = clean.status()["checks"]
    return bool(check["state"] == "up")


def test_a_service_of_compose_is_restarted_and_made_anew_once_the_drop_in_is_there(
    engine: tuple[Host, LabEngine],
) -> None:
    clean, lab = engine
    file = clean.lab.folder / "compose.yaml"
    file.write_text(COMPOSE)
    lab.compose("shop", file, "up", "-d")
    clean.start(RULES)
    [check] = wait_until(lambda: [check for check in clean.status()["checks"] if check["ran_at"]])
    assert (check["state"], clean.incidents()) == ("blind", [])
    assert "its user is not in the group of the socket" in check["error"]

    with clean.with_drop_in("docker"):
        clean.start(RULES)
        wait_until(lambda: up(clean))
        lab.docker("kill", "shop-api-1")
        healed = wait_until(lambda: (found := clean.incident("api-down")).get("state") == "resolved" and found)
        assert healed["attempts"][-1]["verification"] == "effective"
        before = lab.inspect("shop-api-1")["Id"]
        lab.docker("rm", "--force", "shop-api-1")
        wait_until(lambda: clean.incident("api-down")["id"] != healed["id"])
        made = wait_until(lambda: (found := clean.incident("api-down"))["state"] == "resolved" and found, within=40.0)
        assert [attempt["state"] for attempt in made["attempts"]] == ["succeeded"]
        assert (lab.state("shop-api-1"), lab.inspect("shop-api-1")["Id"] != before) == ("running", True)
        assert clean.exposure() <= 1.5
