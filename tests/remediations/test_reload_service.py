"""The reload_service remediation: a real program that reads its settings anew, and managers that know no way to it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.errors import RemediationError
from daemon.managers import command, supervisor
from remediations import reload_service
from tests.lab.contexts import act_context, target
from tests.lab.managers import bound
from tests.lab.processes import until

# No shell: Debian's forgets now and then a signal that comes while it starts a command.
SERVICE = """
import pathlib, signal, time
def read_it(*_):
    pathlib.Path("read").write_text(pathlib.Path("settings").read_text())
signal.signal(signal.SIGHUP, read_it)
read_it()
while True:
    time.sleep(0.01)
"""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that reads `settings` at its start and at SIGHUP, and writes what it read into `read`."""
    (tmp_path / "settings").write_text("old")
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, cwd=tmp_path, stdin=subprocess.DEVNULL
    )
    try:
        await until(lambda: has_read(tmp_path, "old"))
        yield program
    finally:
        program.kill()
        await program.wait()


def has_read(folder: Path, text: str) -> bool:
    return (folder / "read").exists() and (folder / "read").read_text() == text


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_service_reads_its_settings_anew_and_goes_on(
    service: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    web = bound(command, "web", restart=["false"], reload=["sh", "-c", f"kill -HUP {service.pid}; echo asked"])
    aim = target("web", web=web)
    (tmp_path / "settings").write_text("new")
    outcome = await reload_service.act(reload_service.Options(), aim, act_context())
    await until(lambda: has_read(tmp_path, "new"))
    assert service.returncode is None
    assert outcome.summary == "reloaded service web"
    assert outcome.details["manager"] == "command"
    assert str(outcome.details["said"]).startswith("reloaded by sh -c kill -HUP")
    assert str(outcome.details["said"]).endswith("which said: asked")
    assert reload_service.resource(reload_service.Options(), aim) == web.resource == "command:web@node"


async def test_a_named_service_is_reloaded_instead(tmp_path: Path) -> None:
    web = bound(command, "web", restart=["true"], reload=["touch", str(tmp_path / "web")])
    proxy = bound(command, "proxy", restart=["true"], reload=["touch", str(tmp_path / "proxy")])
    options, aim = reload_service.Options(service="proxy"), target("web", web=web, proxy=proxy)
    outcome = await reload_service.act(options, aim, act_context())
    assert outcome.summary == "reloaded service proxy"
    assert names_in(tmp_path) == ["proxy"]
    assert reload_service.resource(options, aim) == proxy.resource


async def test_the_plan_says_what_would_be_reloaded_and_reloads_nothing(tmp_path: Path) -> None:
    web = bound(command, "web", restart=["true"], status=["true"], reload=["touch", str(tmp_path / "web")])
    plan = await reload_service.plan(reload_service.Options(), target("web", web=web), act_context())
    assert plan == "reload service web (command:web@node), which command calls running: running (exit code 0)"
    assert names_in(tmp_path) == []


async def test_a_manager_that_knows_no_way_to_reload_is_a_permanent_error_before_anything_is_done() -> None:
    web = bound(supervisor, "web", socket="/nowhere/s", program="web")
    assert not web.can_reload
    for asked in (
        lambda: reload_service.resource(reload_service.Options(), target("web", web=web)),
        lambda: asyncio.run(reload_service.act(reload_service.Options(), target("web", web=web), act_context())),
    ):
        with pytest.raises(RemediationError, match="supervisor knows no way to reload a service") as caught:
            await asyncio.to_thread(asked)
        assert caught.value.permanent


async def test_a_service_that_nobody_runs_is_a_permanent_error() -> None:
    with pytest.raises(RemediationError, match="service web has no run_by") as caught:
        await reload_service.act(reload_service.Options(), target("web"), act_context())
    assert caught.value.permanent
    with pytest.raises(RemediationError, match="service web has no run_by"):
        reload_service.resource(reload_service.Options(), target("web"))


@pytest.mark.parametrize(("code", "is_permanent"), [(1, False), (5, True), (6, True)])
async def test_what_the_manager_says_of_a_failure_is_passed_on(code: int, is_permanent: bool) -> None:
    web = bound(command, "web", restart=["true"], reload=["sh", "-c", f"echo bad line >&2; exit {code}"])
    with pytest.raises(RemediationError, match=f"reload command sh failed: exit code {code}: bad line") as caught:
        await reload_service.act(reload_service.Options(), target("web", web=web), act_context())
    assert caught.value.permanent is is_permanent


async def test_a_service_without_a_reload_command_is_a_permanent_error() -> None:
    web = bound(command, "web", restart=["true"])
    with pytest.raises(RemediationError, match="no reload command is set") as caught:
        await reload_service.act(reload_service.Options(), target("web", web=web), act_context())
    assert caught.value.permanent
