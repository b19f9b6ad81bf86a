"""Units named in `conflicts`: what is at work holds, asked of a real systemd; where nobody can say, it holds too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.clock import SystemClock
from daemon.config.discover import discover_types
from daemon.engine.guards import Proposal
from daemon.runtime.asking import Asking
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.connections import Connections
from daemon.runtime.situation import NOTHING
from tests.lab.processes import until
from tests.lab.systemd import LabSystemd

UNITS = {
    "conflict-backup.service": "[Service]\nExecStart=sleep 600\n",
    "conflict-slow.service": "[Service]\nType=notify\nTimeoutStartSec=600\nTimeoutStopSec=1\nExecStart=sleep 600\n",
    "conflict-waits.service": "[Service]\nRestart=always\nRestartSec=600\nExecStart=false\n",
    "conflict-fails.service": "[Service]\nExecStart=false\n",
}


@pytest.fixture(scope="module")
def lab(systemd_lab: LabSystemd) -> Iterator[LabSystemd]:
    systemd_lab.write(UNITS)
    yield systemd_lab
    systemd_lab.stop(*UNITS)


@pytest.fixture(autouse=True)
def _stopped(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test finds a unit as another one left it."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").stop(*UNITS)


@dataclass
class Host:
    """A host whose own bus is at this address, and the managers that this heald has."""

    bus: str
    managers: Mapping[str, Any]

    async def conflict(self, *conflicts: str) -> str | None:
        """Why acting on a service with these `conflicts` holds."""
        types = discover_types().connections
        kind = types["systemd"]
        own = cast(
            Any, SimpleNamespace(options=partial(kind.options, bus=self.bus), connect=kind.connect, close=kind.close)
        )
        connections = Connections(types={**types, "systemd": own}, configured={})
        setup = SimpleNamespace(
            managers={}, secret_variables=frozenset(), types=SimpleNamespace(managers=self.managers)
        )
        bindings = cast(Bindings, SimpleNamespace(setup=setup, conflicts=lambda _: conflicts, acted_on=lambda *_: ()))
        proposal = cast(Proposal, SimpleNamespace(resource="command:api@node", service="api"))
        asking = Asking(board=Board(), connections=connections, clock=SystemClock(), node="node")
        try:
            found = await asking.ask(proposal, bindings)
        finally:
            await connections.close()
        assert replace(found, conflict=None) == NOTHING
        return found.conflict


@pytest.fixture
def host(lab: LabSystemd) -> Host:
    return Host(lab.bus, discover_types().managers)


async def test_a_unit_holds_while_it_is_active_and_no_longer(lab: LabSystemd, host: Host) -> None:
    assert await host.conflict("conflict-backup.service") is None
    lab.systemctl("start", "conflict-backup.service")
    said = await host.conflict("conflict-backup.service")
    assert said is not None
    assert said.startswith("conflict-backup.service is active (running)")
    assert said.endswith(", and must not be disturbed")
    lab.systemctl("stop", "conflict-backup.service")
    assert await host.conflict("conflict-backup.service") is None


async def test_a_unit_holds_while_it_is_on_its_way_to_be(lab: LabSystemd, host: Host) -> None:
    lab.systemctl("start", "--no-block", "conflict-slow.service")
    await until(lambda: lab.show("conflict-slow.service", "ActiveState") == "activating")
    said = await host.conflict("conflict-slow.service")
    assert said is not None
    assert said.startswith("conflict-slow.service is activating (start)")
    assert said.endswith(", and must not be disturbed")


async def test_a_unit_that_systemd_will_start_again_holds(lab: LabSystemd, host: Host) -> None:
    lab.systemctl("start", "--no-block", "conflict-waits.service")
    await until(lambda: lab.show("conflict-waits.service", "SubState") == "auto-restart")
    said = await host.conflict("conflict-waits.service")
    assert said is not None
    assert said.startswith("conflict-waits.service is activating (auto-restart)")


async def test_a_unit_that_failed_or_that_systemd_does_not_know_disturbs_nobody(lab: LabSystemd, host: Host) -> None:
    lab.systemctl("start", "conflict-fails.service")
    await until(lambda: lab.show("conflict-fails.service", "ActiveState") == "failed")
    assert await host.conflict("conflict-fails.service", "conflict-no-such.service") is None


async def test_each_named_unit_is_asked_and_a_file_is_not(lab: LabSystemd, host: Host) -> None:
    lab.systemctl("start", "conflict-backup.service")
    said = await host.conflict("/run/deploy.lock", "conflict-fails.service", "conflict-backup.service")
    assert said is not None
    assert said.startswith("conflict-backup.service is active")


async def test_without_a_systemd_to_ask_it_holds_and_says_so(tmp_path: Path) -> None:
    host = Host(f"unix:path={tmp_path}/none", discover_types().managers)
    assert await host.conflict("backup.service") == (
        "it is not known whether backup.service is at work: systemd could not be asked: "
        f"there is no socket {tmp_path}/none: D-Bus does not run here, or its socket is elsewhere"
    )


async def test_without_a_client_for_systemd_it_holds_and_says_so(tmp_path: Path) -> None:
    assert await Host(f"unix:path={tmp_path}/none", {}).conflict("backup.service") == (
        "nobody here can say whether backup.service is at work: this heald has no systemd client"
    )


async def test_where_only_files_are_named_nobody_is_asked(tmp_path: Path) -> None:
    assert await Host(f"unix:path={tmp_path}/none", {}).conflict("/run/deploy.lock") is None
