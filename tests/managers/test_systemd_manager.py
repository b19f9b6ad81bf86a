"""The manager for systemd against a real one, healthy and sick."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.errors import CheckError, RemediationError
from daemon.managers import systemd
from daemon.model.service import Service, ServiceState
from daemon.runtime.connections import Connections
from tests.lab.contexts import act_context, check_context, shared
from tests.lab.processes import until
from tests.lab.systemd import LabSystemd

CHECKOUT = Path(__file__).parents[2]
SLEEP = "ExecStart=sleep 600\n"
UNITS = {
    "m-web.service": f"[Service]\nExecReload=true\n{SLEEP}",
    "m-plain.service": f"[Service]\n{SLEEP}",
    "m-worker@.service": "[Service]\nExecStart=sleep 6%i0\n",
    "m-dies.service": "[Service]\nExecStart=sh -c 'echo cannot open the database >&2; exit 3'\n",
    "m-dies-soon.service": "[Service]\nExecStart=sh -c 'sleep 0.2; exit 4'\n",
    "m-ends.service": "[Service]\nExecStart=true\n",
    "m-killed.service": f"[Service]\nRestart=no\n{SLEEP}",
    "m-loop.service": "[Service]\nRestart=always\nRestartSec=600\nExecStart=sh -c 'exit 5'\n",
    "m-quick-loop.service": (
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=50ms\nExecStart=sleep 0.15\n"
    ),
    "m-once.service": "[Service]\nType=oneshot\nExecStart=true\n",
    "m-once-fails.service": "[Service]\nType=oneshot\nExecStart=false\n",
    "m-never-ready.service": f"[Service]\nType=notify\nTimeoutStopSec=1\n{SLEEP}",
    "m-late.service": f"[Service]\nType=notify\nTimeoutStartSec=500ms\n{SLEEP}",
    "m-stubborn.service": (
        "[Service]\nTimeoutStopSec=600\n"
        """ExecStart=sh -c 'trap "" TERM; touch /run/m-stubborn; while :; do sleep 0.2; done'\n"""
    ),
    "m-condition.service": f"[Unit]\nConditionPathExists=/nowhere\n[Service]\n{SLEEP}",
    "m-once-condition.service": "[Unit]\nConditionPathExists=!/etc\n[Service]\nType=oneshot\nExecStart=true\n",
    "m-assertion.service": f"[Unit]\nAssertPathExists=/nowhere\n[Service]\n{SLEEP}",
    "m-needs.service": (f"[Unit]\nRequires=m-once-fails.service\nAfter=m-once-fails.service\n[Service]\n{SLEEP}"),
    "m-hasty.service": f"[Unit]\nJobTimeoutSec=500ms\n[Service]\nType=notify\n{SLEEP}",
    "m-reload-fails.service": f"[Service]\nExecReload=false\n{SLEEP}",
    "m-limited.service": f"[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n[Service]\n{SLEEP}",
    "m-limited-fails.service": (
        "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n[Service]\nType=oneshot\nExecStart=false\n"
    ),
    "m-waits.service": f"[Unit]\nAfter=m-never-ready.service\n[Service]\n{SLEEP}",
    "m-given-up.service": ("[Service]\nRestart=always\nRestartPreventExitStatus=3\nExecStart=sh -c 'exit 3'\n"),
    "m-wrong.service": "[Service]\nType=nonsense\nExecStart=relative/path\n",
    "m-not-by-hand.service": f"[Unit]\nRefuseManualStart=yes\n[Service]\n{SLEEP}",
    "m-again.service": f"[Service]\n{SLEEP}",
    "m-ticks.timer": "[Timer]\nOnCalendar=yearly\nUnit=m-once.service\n",
}
RULE = """\
polkit.addRule(function(action, subject) {
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "nobody" &&
      ["m-limited.service"].indexOf(action.lookup("unit")) >= 0 &&
      ["start", "stop", "restart", "reload", "reset-failed", "ref"].indexOf(action.lookup("verb")) >= 0)
    return polkit.Result.YES;
});
"""


@pytest.fixture(scope="module")
def lab(systemd_lab: LabSystemd) -> Iterator[LabSystemd]:
    systemd_lab.write(UNITS)
    yield systemd_lab
    systemd_lab.stop(*UNITS)


@pytest.fixture
async def connections(lab: LabSystemd) -> AsyncIterator[Connections]:
    opened = shared(lab=("systemd", {"bus": lab.bus}))
    yield opened
    await opened.close()


@pytest.fixture
def acts(connections: Connections) -> "Acts":
    return Acts(connections)


class Acts:
    """The manager's verbs on the units of this file, by what comes after m-."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    async def start(self, name: str, timeout: float = 20.0) -> str:
        return await systemd.start(options(name), act_context(timeout, connections=self.connections))

    async def stop(self, name: str, timeout: float = 20.0) -> str:
        return await systemd.stop(options(name), act_context(timeout, connections=self.connections))

    async def restart(self, name: str, timeout: float = 20.0) -> str:
        return await systemd.restart(options(name), act_context(timeout, connections=self.connections))

    async def reload(self, name: str) -> str:
        return await systemd.reload(options(name), act_context(connections=self.connections))

    async def status(self, name: str) -> tuple[ServiceState, str]:
        found = await systemd.status(options(name), check_context(connections=self.connections))
        return found.state, found.detail


def options(name: str) -> systemd.Options:
    return systemd.Options(unit=f"m-{name}", connection="lab")


# ---- what succeeds --------------------------------------------------------------------------------------------------


async def test_start_restart_and_stop_are_done_and_seen(lab: LabSystemd, acts: Acts) -> None:
    started = await acts.start("web")
    first = lab.show("m-web", "MainPID")
    assert started == f"started m-web.service, now pid {first}"
    assert (await acts.status("web"))[0] is ServiceState.RUNNING
    assert await acts.start("web") == started  # one that runs is left alone

    restarted = await acts.restart("web")
    second = lab.show("m-web", "MainPID")
    assert second not in ("0", first)
    assert restarted.startswith(f"restarted m-web.service, now pid {second}; it was active (running) for ")

    assert await acts.stop("web") == "stopped m-web.service: inactive (dead)"
    assert await acts.status("web") == (ServiceState.STOPPED, "inactive (dead)")
    assert await acts.stop("web") == "stopped m-web.service: inactive (dead)"
    assert (await acts.restart("web")).endswith("; it was inactive (dead)")


async def test_what_a_person_stopped_is_told_from_what_failed(lab: LabSystemd, acts: Acts) -> None:
    async def is_left_stopped() -> bool:
        return (await systemd.status(options("web"), check_context(connections=acts.connections))).by_operator

    await acts.start("web")
    assert not await is_left_stopped()
    lab.systemctl("kill", "--signal=KILL", "m-web")
    await until(lambda: lab.show("m-web", "ActiveState") == "failed")
    assert not await is_left_stopped()
    await acts.start("web")
    lab.systemctl("stop", "m-web")
    assert await is_left_stopped()
    status = await systemd.status(options("web"), check_context(connections=acts.connections))
    assert (status.stopped_for or 0.0) < 10  # systemd forgets when it was, of a unit that nothing refers to


async def test_a_running_service_reads_its_settings_anew(lab: LabSystemd, acts: Acts) -> None:
    await acts.start("web")
    pid = lab.show("m-web", "MainPID")
    assert (await acts.reload("web")).startswith("reloaded m-web.service, now active (running) for ")
    assert lab.show("m-web", "MainPID") == pid


async def test_one_instance_of_a_template_is_acted_on(lab: LabSystemd, acts: Acts) -> None:
    await acts.start("worker@1")
    await acts.start("worker@2")
    await acts.stop("worker@1")
    assert (await acts.status("worker@1.service"))[0] is ServiceState.STOPPED
    assert lab.show("m-worker@2", "ActiveState") == "active"


async def test_a_oneshot_service_that_ran_to_its_end_was_started(acts: Acts) -> None:
    assert await acts.start("once") == "started m-once.service, which ran to its end"
    assert (await acts.status("once"))[0] is ServiceState.STOPPED


async def test_a_unit_that_is_no_service_is_acted_on_too(acts: Acts) -> None:
    assert (await acts.start("ticks.timer")).startswith("started m-ticks.timer, now active (waiting) for ")
    assert (await acts.status("ticks.timer"))[0] is ServiceState.RUNNING
    assert await acts.stop("ticks.timer") == "stopped m-ticks.timer: inactive (dead)"


async def test_a_failed_service_is_restarted(lab: LabSystemd, acts: Acts) -> None:
    await acts.start("killed")
    os.kill(lab.outer_pid(int(lab.show("m-killed", "MainPID"))), signal.SIGKILL)
    await until(lambda: lab.show("m-killed", "ActiveState") == "failed")
    assert await acts.status("killed") == (ServiceState.FAILED, "failed: signal (it was killed, SIGKILL)")
    assert (await acts.restart("killed")).endswith("; it was failed: signal (it was killed, SIGKILL)")
    assert (await acts.status("killed"))[0] is ServiceState.RUNNING


async def test_many_are_acted_on_at_once(lab: LabSystemd, acts: Acts) -> None:
    names = [f"worker@{number}" for number in range(3, 9)]
    await asyncio.gather(*(acts.start(name) for name in names))
    assert {lab.show(f"m-{name}", "ActiveState") for name in names} == {"active"}
    await asyncio.gather(*(acts.stop(name) for name in names))
    assert {lab.show(f"m-{name}", "ActiveState") for name in names} == {"inactive"}


# ---- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dies", "it ended at once, now failed: exit-code (it exited, exit code 3)"),
        ("dies-soon", "it ended at once, now failed: exit-code (it exited, exit code 4)"),
        ("ends", "it ended at once, now inactive (dead)"),
        ("loop", "it ended at once, now activating (auto-restart)"),
        ("quick-loop", "it ended at once"),
        ("once-fails", "it failed, now failed: exit-code (it exited, exit code 1)"),
        ("late", "it failed, now failed: timeout (it ran into a time-out"),
        ("condition", "ConditionPathExists=/nowhere is not met, now inactive (dead)"),
        ("once-condition", "ConditionPathExists=!/etc is not met, now inactive (dead)"),
        ("assertion", "AssertPathExists=/nowhere is not met, now inactive (dead)"),
        ("needs", "a unit that it needs failed, now inactive (dead)"),
        ("hasty", "its order ran into a time-out (JobTimeoutSec=), now activating (start)"),
    ],
)
async def test_what_does_not_come_up_says_why(lab: LabSystemd, acts: Acts, name: str, why: str) -> None:
    lab.reset(f"m-{name}.service")
    with pytest.raises(RemediationError) as caught:
        await acts.restart(name)
    assert f"m-{name}.service was not restarted: {why}" in str(caught.value)
    assert not caught.value.permanent
    lab.stop(f"m-{name}.service")


async def test_the_last_line_of_the_journal_is_quoted(
    lab: LabSystemd, acts: Acts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "journalctl"  # the journal of the systemd that is asked, which is not this host's
    inside.write_text(f'#!/bin/sh\nexec nsenter -t {lab.pid} -a journalctl "$@"\n')
    inside.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RemediationError, match=r"; it said: cannot open the database$") as caught:
        await acts.start("dies")
    assert caught.value.details["last_line"] == "cannot open the database"
    assert caught.value.details["exit_code"] == 3


async def test_a_start_limit_is_reset_once(lab: LabSystemd, acts: Acts) -> None:
    lab.reset("m-limited.service")
    assert "start limit" not in await acts.restart("limited")
    assert ", its start limit was reset first; it was active" in await acts.restart("limited")
    assert (await acts.status("limited"))[0] is ServiceState.RUNNING


async def test_what_fails_after_its_start_limit_was_reset_fails_for_good(lab: LabSystemd, acts: Acts) -> None:
    lab.reset("m-limited-fails.service")
    with pytest.raises(RemediationError) as caught:
        await acts.start("limited-fails")
    assert not caught.value.permanent
    with pytest.raises(RemediationError, match=r"now failed: exit-code .*, its start limit was reset first") as caught:
        await acts.start("limited-fails")
    assert caught.value.permanent


async def test_what_is_still_starting_when_the_time_is_up_says_so_and_is_busy(lab: LabSystemd, acts: Acts) -> None:
    with pytest.raises(
        RemediationError, match=r"m-never-ready\.service is still activating \(start\) when the"
    ) as caught:
        await acts.start("never-ready", timeout=0.5)
    assert not caught.value.permanent
    assert await acts.status("never-ready") == (ServiceState.BUSY, "activating (start)")
    lab.stop("m-never-ready.service")


async def test_what_does_not_stop_in_time_is_busy(lab: LabSystemd, acts: Acts) -> None:
    await acts.start("stubborn")
    await until(lambda: (lab.root / "run/m-stubborn").exists())
    with pytest.raises(RemediationError, match=r"is still deactivating \(stop-sigterm\) when the time is up"):
        await acts.stop("stubborn", timeout=0.5)
    assert await acts.status("stubborn") == (ServiceState.BUSY, "deactivating (stop-sigterm)")
    lab.systemctl("kill", "--signal=KILL", "m-stubborn.service")
    await until(lambda: lab.show("m-stubborn", "ActiveState") == "failed")
    assert (await acts.status("stubborn"))[0] is ServiceState.FAILED


async def test_an_order_of_somebody_else_takes_the_place_of_ours(lab: LabSystemd, acts: Acts) -> None:
    starting = asyncio.create_task(acts.start("never-ready"))
    await until(lambda: lab.show("m-never-ready", "ActiveState") == "activating")
    lab.systemctl("stop", "m-never-ready.service")
    with pytest.raises(RemediationError, match=r"was not started: somebody else's order took its place, now inactive"):
        await starting


@pytest.mark.parametrize("name", ["plain", "reload-fails"])
async def test_a_reload_that_cannot_be_done_leaves_the_service_running(lab: LabSystemd, acts: Acts, name: str) -> None:
    await acts.start(name)
    with pytest.raises(RemediationError) as caught:
        await acts.reload(name)
    said = {
        "plain": "systemd refuses to reload m-plain.service: Job type reload is not applicable for unit",
        "reload-fails": "m-reload-fails.service was not reloaded: exit-code, now active (running) for ",
    }
    assert str(caught.value).startswith(said[name])
    assert caught.value.permanent is (name == "plain")
    assert (await acts.status(name))[0] is ServiceState.RUNNING


async def test_a_stopped_service_cannot_be_reloaded(acts: Acts) -> None:
    await acts.stop("web")
    with pytest.raises(RemediationError, match=r"cannot be reloaded: it is inactive \(dead\)$") as caught:
        await acts.reload("web")
    assert not caught.value.permanent


# ---- what nobody can do ---------------------------------------------------------------------------------------------


async def test_a_unit_that_systemd_does_not_know_is_a_permanent_error(acts: Acts) -> None:
    for verb in (acts.start, acts.stop, acts.restart, acts.reload):
        with pytest.raises(RemediationError, match=r"^systemd knows no unit m-nothing\.service$") as caught:
            await verb("nothing")
        assert caught.value.permanent
    assert await acts.status("nothing") == (ServiceState.UNKNOWN, "systemd knows no unit m-nothing.service")


async def test_a_masked_unit_is_a_permanent_error(lab: LabSystemd, acts: Acts) -> None:
    lab.systemctl("mask", "--runtime", "m-masked.service")
    for verb, done in ((acts.start, "started"), (acts.restart, "restarted"), (acts.reload, "reloaded")):
        with pytest.raises(RemediationError, match=rf"^m-masked\.service cannot be {done}: it is masked$") as caught:
            await verb("masked")
        assert caught.value.permanent
    assert await acts.status("masked") == (ServiceState.STOPPED, "masked: Unit m-masked.service is masked.")


async def test_a_unit_file_that_cannot_be_loaded_is_a_permanent_error(acts: Acts) -> None:
    with pytest.raises(RemediationError, match=r"cannot be restarted: Unit .* has a bad unit file setting") as caught:
        await acts.restart("wrong")
    assert caught.value.permanent


async def test_what_its_unit_file_forbids_is_a_permanent_error(acts: Acts) -> None:
    with pytest.raises(
        RemediationError, match=r"systemd refuses to start m-not-by-hand\.service: .*refuse manual"
    ) as caught:
        await acts.start("not-by-hand")
    assert caught.value.permanent


async def test_a_service_whose_file_was_removed_can_be_stopped_but_not_restarted(lab: LabSystemd, acts: Acts) -> None:
    await acts.start("again")
    lab.remove("m-again.service")
    assert (await acts.status("again"))[0] is ServiceState.RUNNING
    with pytest.raises(RemediationError, match=r"m-again\.service cannot be restarted: its file is gone") as caught:
        await acts.restart("again")
    assert caught.value.permanent
    assert (await acts.status("again"))[0] is ServiceState.RUNNING
    assert await acts.stop("again") == "stopped m-again.service: inactive (dead)"
    assert (await acts.status("again"))[0] is ServiceState.UNKNOWN
    lab.write({"m-again.service": UNITS["m-again.service"]})


# ---- busy -----------------------------------------------------------------------------------------------------------


async def test_a_service_that_waits_for_systemds_own_restart_is_busy(lab: LabSystemd, acts: Acts) -> None:
    lab.systemctl("start", "m-loop.service")
    await until(lambda: lab.show("m-loop", "SubState") == "auto-restart")
    state, said = await acts.status("loop")
    assert state is ServiceState.BUSY
    assert said == "activating (auto-restart): exit-code (it exited, exit code 5)"
    lab.stop("m-loop.service")


async def test_a_unit_with_an_order_before_it_is_busy(lab: LabSystemd, acts: Acts) -> None:
    lab.systemctl("start", "--no-block", "m-never-ready.service", "m-waits.service")
    await until(lambda: lab.show("m-waits", "Job") not in ("", "0"))
    assert await acts.status("waits") == (ServiceState.BUSY, "inactive (dead)")
    lab.stop("m-never-ready.service", "m-waits.service")


async def test_a_failure_is_one_once_systemd_can_be_seen_not_to_restart(lab: LabSystemd, acts: Acts) -> None:
    lab.systemctl("start", "m-given-up.service")
    await until(lambda: lab.show("m-given-up", "ActiveState") == "failed")
    seen = []
    while ServiceState.FAILED not in seen:  # it may be about to restart it, as far as anybody can see at first
        seen.append((await acts.status("given-up"))[0])
    assert set(seen) <= {ServiceState.BUSY, ServiceState.FAILED}

    async with check_context(connections=acts.connections).connection("systemd", "lab") as client:
        unit = await client.unit("m-given-up.service", within=5.0)
    assert not unit.may_restart
    assert replace(unit, changed_seconds=0.2).may_restart
    assert not replace(unit, changed_seconds=0.2, restart_policy="no").may_restart
    assert not replace(unit, changed_seconds=0.2, result="start-limit-hit").may_restart


async def test_a_crash_loop_is_never_anything_to_act_on(lab: LabSystemd, acts: Acts) -> None:
    lab.systemctl("start", "m-quick-loop.service")
    await until(lambda: int(lab.show("m-quick-loop", "NRestarts")) > 0)
    seen = {(await acts.status("quick-loop"))[0] for _ in range(200)}
    assert seen <= {ServiceState.BUSY, ServiceState.RUNNING}
    assert ServiceState.BUSY in seen
    lab.stop("m-quick-loop.service")


# ---- rights ---------------------------------------------------------------------------------------------------------

AS_USER = """\
import asyncio, os, sys
from daemon.errors import RemediationError
from daemon.managers import systemd
from tests.lab.contexts import act_context, shared
import dbus_fast.aio

folder, verb, *units = sys.argv[1:]
opened = os.open(folder, os.O_PATH)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)

async def main():
    connections = shared(lab=("systemd", {"bus": f"unix:path=/proc/self/fd/{opened}/system_bus_socket"}))
    for unit in units:
        options = systemd.Options(unit=unit, connection="lab")
        try:
            print(await getattr(systemd, verb)(options, act_context(connections=connections)))
        except RemediationError as error:
            print(f"{'permanent' if error.permanent else 'for now'}: {error}")
    await connections.close()

asyncio.run(main())
"""


def as_nobody(lab: LabSystemd, verb: str, *units: str) -> list[str]:
    """What the manager says to a user without rights; polkit wants to see the process inside."""
    done = subprocess.run(
        [
            "nsenter",
            "-t",
            str(lab.pid),
            "-p",
            sys.executable,
            "-c",
            AS_USER,
            str(Path(lab.socket).parent),
            verb,
            *units,
        ],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_a_rule_access_is_denied_and_with_one_only_what_it_names_is_done(lab: LabSystemd) -> None:
    lab.reset("m-limited.service")
    denied = (
        "permanent: access denied: polkit does not let us restart {}; name the unit in heald's rule in "
        "/etc/polkit-1/rules.d: Interactive authentication required."
    )
    assert as_nobody(lab, "restart", "m-limited.service") == [denied.format("m-limited.service")]
    rules = lab.root / "etc/polkit-1/rules.d"
    rules.mkdir(parents=True, exist_ok=True)
    (rules / "50-m.rules").write_text(RULE)
    try:
        lab.systemctl("try-restart", "polkit.service")  # that it has read the rule
        said = as_nobody(lab, "restart", "m-limited.service", "m-limited.service", "m-web.service")
    finally:
        (rules / "50-m.rules").unlink()
    assert said[0].startswith("restarted m-limited.service, now pid ")
    assert "its start limit was reset first" in said[1]
    assert said[2] == denied.format("m-web.service")


# ---- blind ----------------------------------------------------------------------------------------------------------


async def test_without_a_bus_we_are_blind_and_acting_fails_for_now(tmp_path: Path) -> None:
    connections = shared(lab=("systemd", {"bus": f"unix:path={tmp_path}/none"}))
    with pytest.raises(CheckError, match=r"there is no socket .*/none: D-Bus does not run here"):
        await systemd.status(options("web"), check_context(connections=connections))
    with pytest.raises(RemediationError, match=r"there is no socket .*/none") as caught:
        await systemd.restart(options("web"), act_context(connections=connections))
    assert not caught.value.permanent


# ---- names ----------------------------------------------------------------------------------------------------------


def test_one_unit_has_one_name() -> None:
    names = ("nginx", "nginx.service")
    found = {systemd.resource(systemd.Options(unit=name), Service(name=name), "node") for name in names}
    assert found == {"systemd:nginx.service@node"}
    other = systemd.Options(unit="nginx", connection="user")
    assert systemd.resource(other, Service(name="nginx"), "node") == "systemd:user/nginx.service@node"
    assert systemd.Options(unit="foo.bar").unit == "foo.bar.service"


@pytest.mark.parametrize(
    ("unit", "hint"),
    [
        ("", "is not the name of a systemd unit"),
        ("a b", "is not the name of a systemd unit"),
        ("/etc/x.service", "is not the name of a systemd unit"),
        ("x" * 250, "is not the name of a systemd unit"),
        ("worker@.service", r"is a template; name an instance of it, such as worker@one\.service"),
        ("worker@", "is a template"),
    ],
)
def test_what_is_no_unit_is_refused(unit: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        systemd.Options.model_validate({"unit": unit})


def test_no_option_is_forgotten_and_none_invented() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        systemd.Options.model_validate({"unit": "web", "socket": "/run/x"})
