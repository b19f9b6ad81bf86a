"""What holds for every test: the environment is the test's own, and no process outlives the tests."""

import os
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from daemon.runtime.toolbox import Toolbox
from tests.lab.contexts import check_context, shared
from tests.lab.docker import LabEngine, shared_engine
from tests.lab.systemd import LabSystemd, systemd

# Of who runs the tests (systemd, an operator's shell): heald would look there instead of where a test says.
for _name in (
    "CREDENTIALS_DIRECTORY",
    "HEALD_CONFIG",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "XDG_STATE_HOME",
):
    os.environ.pop(_name, None)

# A busy machine is no failure: what an example takes is told by the bench, never by a test.
_slow = {*settings.default.suppress_health_check, HealthCheck.too_slow}
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=_slow)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """The first fixture to begin is the last to end: by then every test has waited for what it started."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    _, left = psutil.wait_procs(left, timeout=5)  # what was killed a moment ago is ending
    said = [f"{child.pid} {' '.join(_command_line(child))}" for child in left]
    assert [line for line in said if "multiprocessing.resource_tracker" not in line] == []


@pytest.fixture(scope="session")
def systemd_lab() -> Iterator[LabSystemd]:
    """One real systemd for all tests of a worker: each names its units so that no other test has them."""
    with systemd() as booted:
        yield booted


def _command_line(child: psutil.Process) -> list[str]:
    try:
        return child.cmdline() or [child.name()]
    except psutil.NoSuchProcess:
        return ["(ended)"]


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabEngine]:
    """The Docker engine that all tests share: use container names of your own, and stop it nowhere."""
    own = tmp_path_factory.getbasetemp()
    with shared_engine(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as lab:
        yield lab


@pytest.fixture
async def docker_context(docker: LabEngine) -> AsyncIterator[Toolbox]:
    """A context whose connection `engine` is that engine."""
    connections = shared(engine=("docker", {"url": docker.url}))
    yield check_context(60, connections=connections)
    await connections.close()
