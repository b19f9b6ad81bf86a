"""The check of systemd's units against a real systemd, healthy and sick."""

import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks import systemd
from daemon.errors import CheckError
from daemon.model.check import Reading, Sample
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context, shared
from tests.lab.processes import until
from tests.lab.systemd import LabSystemd

SLEEP = "ExecStart=sleep 600\n"
UNITS = {
    "k-web.service": f"[Service]\n{SLEEP}[Install]\nWantedBy=multi-user.target\n",
    "k-off.service": f"[Service]\n{SLEEP}",
    "k-dies.service": "[Unit]\nDescription=The one that dies\n[Service]\nExecStart=sh -c 'exit 3'\n",
    "k-dies-too.service": "[Service]\nExecStart=sh -c 'kill -SEGV $$$$'\n",
    "k-loop.service": "[Service]\nRestart=always\nRestartSec=600\nExecStart=sh -c 'exit 5'\n",
    "k-quick-loop.service": (
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=50ms\nExecStart=sleep 0.05\n"
    ),
    "k-limit.service": (
        "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n[Service]\nRestart=on-success\nRestartSec=1ms\n"
        "ExecStart=true\n"
    ),
    "k-never-ready.service": f"[Service]\nType=notify\n{SLEEP}",
    "k-stubborn.service": (
        "[Service]\nTimeoutStopSec=600\n"
        """ExecStart=sh -c 'trap "" TERM; touch /run/k-stubborn; while :; do sleep 0.2; done'\n"""
    ),
    "k-once.service": "[Service]\nType=oneshot\nExecStart=true\n",
    "k-stays.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n",
    "k-reloads.service": f"[Service]\nExecReload=sleep 600\n{SLEEP}",
    "k-wrong.service": "[Service]\nType=nonsense\nExecStart=relative/path\n",
    "k-gone.service": f"[Service]\n{SLEEP}",
    "k-ticks.timer": "[Timer]\nOnCalendar=yearly\nUnit=k-once.service\n",
}


@pytest.fixture(scope="module")
def lab(systemd_lab: LabSystemd) -> Iterator[LabSystemd]:
    systemd_lab.write(UNITS)
    systemd_lab.systemctl("start", "k-web.service")
    yield systemd_lab
    systemd_lab.stop(*UNITS)


@pytest.fixture
async def connections(lab: LabSystemd) -> AsyncIterator[Connections]:
    opened = shared(lab=("systemd", {"bus": lab.bus}))
    yield opened
    await opened.close()


async def look(connections: Connections, **options: Any) -> dict[str, Mapping[str, Sample]]:
    """The samples of every subject."""
    settings = systemd.Options.model_validate({"connection": "lab"} | options)
    readings: list[Reading] = list(await systemd.check(settings, check_context(connections=connections)))
    allowed = {spec.name for spec in systemd.SAMPLES}
    assert all(set(reading.samples) <= allowed for reading in readings)
    assert len({reading.subject for reading in readings}) == len(readings)
    return {reading.subject: reading.samples for reading in readings}


async def one(connections: Connections, unit: str) -> Mapping[str, Sample]:
    return (await look(connections, unit=unit))[""]


async def test_a_running_service_is_up(lab: LabSystemd, connections: Connections) -> None:
    found = dict(await one(connections, "k-web"))
    assert 0 < found.pop("latency_seconds") < 5  # type: ignore[operator]  # a sample may be a string
    assert 0 <= found.pop("active_seconds") < 300  # type: ignore[operator]  # as above
    accounted = lab.show("k-web", "MemoryCurrent").isdecimal()  # only where there is a memory controller
    assert (found.pop("memory_bytes", 0.0) > 0) is accounted  # type: ignore[operator]  # as above
    assert found == {
        "up": 1.0,
        "error": "",
        "detail": "",
        "state": "active",
        "sub_state": "running",
        "result": "success",
        "restarts": 0.0,
        "unit_file_state": "disabled",
    }


async def test_a_stopped_service_is_not_up(connections: Connections) -> None:
    found = await one(connections, "k-off.service")
    assert (found["up"], found["error"], found["state"], found["sub_state"]) == (0.0, "inactive", "inactive", "dead")
    assert found["detail"] == "k-off.service is inactive (dead)"
    assert "active_seconds" not in found


async def test_a_failed_service_says_how_it_failed(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-dies.service")
    await until(lambda: lab.show("k-dies", "ActiveState") == "failed")
    found = await one(connections, "k-dies")
    assert (found["up"], found["error"], found["result"], found["exit_code"]) == (0.0, "failed", "exit-code", 3.0)
    assert found["detail"] == "k-dies.service is failed: exit-code (it exited, exit code 3)"


async def test_a_killed_service_has_no_exit_code(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-dies-too.service")
    await until(lambda: lab.show("k-dies-too", "ActiveState") == "failed")
    found = await one(connections, "k-dies-too")
    assert (found["up"], found["error"]) == (0.0, "failed")
    assert found["result"] in ("signal", "core-dump")
    assert "exit_code" not in found
    assert "SIGSEGV" in str(found["detail"])


async def test_a_service_that_waits_for_its_restart_is_in_a_crash_loop(
    lab: LabSystemd, connections: Connections
) -> None:
    lab.systemctl("start", "k-loop.service")
    await until(lambda: lab.show("k-loop", "SubState") == "auto-restart")
    found = await one(connections, "k-loop")
    assert (found["up"], found["error"]) == (0.0, "auto_restart")
    assert (found["state"], found["sub_state"]) == ("activating", "auto-restart")
    assert "exit code 5" in str(found["detail"])


async def test_restarts_are_counted(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-quick-loop.service")
    before = (await one(connections, "k-quick-loop"))["restarts"]
    await until(lambda: int(lab.show("k-quick-loop", "NRestarts")) > 3)
    assert (await one(connections, "k-quick-loop"))["restarts"] > before  # type: ignore[operator]  # it is a number
    lab.stop("k-quick-loop.service")


async def test_a_start_limit_is_a_result_of_its_own(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-limit.service")
    await until(lambda: lab.show("k-limit", "ActiveState") == "failed")
    found = await one(connections, "k-limit")
    assert (found["up"], found["error"], found["result"]) == (0.0, "failed", "start-limit-hit")
    assert "it was started too often in too short a time" in str(found["detail"])


async def test_a_service_that_is_starting_or_stopping_is_not_up(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "--no-block", "k-never-ready.service")
    await until(lambda: lab.show("k-never-ready", "ActiveState") == "activating")
    found = await one(connections, "k-never-ready")
    assert (found["up"], found["error"], found["sub_state"]) == (0.0, "activating", "start")
    lab.stop("k-never-ready.service")

    lab.systemctl("start", "k-stubborn.service")
    await until(lambda: (lab.root / "run/k-stubborn").exists())
    lab.systemctl("stop", "--no-block", "k-stubborn.service")
    await until(lambda: lab.show("k-stubborn", "ActiveState") == "deactivating")
    found = await one(connections, "k-stubborn")
    assert (found["up"], found["error"]) == (0.0, "deactivating")
    lab.stop("k-stubborn.service")


async def test_a_service_that_is_reloading_is_up(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-reloads.service")
    lab.systemctl("reload", "--no-block", "k-reloads.service")
    await until(lambda: lab.show("k-reloads", "ActiveState") == "reloading")
    found = await one(connections, "k-reloads")
    assert (found["up"], found["error"], found["state"]) == (1.0, "", "reloading")
    lab.stop("k-reloads.service")


async def test_a_oneshot_service_is_up_only_if_it_remains(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-once.service", "k-stays.service")
    found = await look(connections, units=["k-once", "k-stays"])
    once, stays = found["k-once.service"], found["k-stays.service"]
    assert (once["up"], once["state"], once["result"]) == (0.0, "inactive", "success")
    assert (stays["up"], stays["state"], stays["sub_state"]) == (1.0, "active", "exited")


async def test_a_unit_that_is_no_service_has_what_its_kind_has(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("start", "k-ticks.timer")
    found = await one(connections, "k-ticks.timer")
    assert (found["up"], found["sub_state"], found["result"]) == (1.0, "waiting", "success")
    assert not {"restarts", "exit_code"} & set(found)


async def test_a_unit_that_cannot_be_started_is_sick(lab: LabSystemd, connections: Connections) -> None:
    lab.systemctl("mask", "--runtime", "k-masked.service")
    found = await look(connections, units=["k-masked", "k-wrong"])
    assert [samples["error"] for samples in found.values()] == ["masked", "bad_setting"]
    assert {samples["up"] for samples in found.values()} == {0.0}
    assert "bad unit file setting" in str(found["k-wrong.service"]["detail"])


async def test_several_units_are_subjects_by_their_full_names(connections: Connections) -> None:
    found = await look(connections, units=["k-web", "k-off.service", "basic.target"])
    assert {name: samples["up"] for name, samples in found.items()} == {
        "k-web.service": 1.0,
        "k-off.service": 0.0,
        "basic.target": 1.0,
    }


async def test_a_unit_that_systemd_does_not_know_makes_us_blind(connections: Connections) -> None:
    with pytest.raises(CheckError, match=r"^systemd knows no unit k-wbe\.service; did you mean k-web\.service\?$"):
        await look(connections, unit="k-wbe")
    with pytest.raises(CheckError, match=r"^systemd knows no unit qqqqqq\.service, zzzzzz\.timer$"):
        await look(connections, units=["k-web", "qqqqqq", "zzzzzz.timer"])


async def test_a_service_whose_file_was_removed_is_looked_at_while_it_runs(
    lab: LabSystemd, connections: Connections
) -> None:
    lab.systemctl("start", "k-gone.service")
    pid = lab.outer_pid(int(lab.show("k-gone", "MainPID")))
    lab.remove("k-gone.service")
    assert (await one(connections, "k-gone"))["up"] == 1.0
    os.kill(pid, signal.SIGKILL)
    await until(lambda: lab.show("k-gone", "ActiveState") == "failed")
    assert (await one(connections, "k-gone"))["error"] == "failed"
    lab.reset("k-gone.service")
    with pytest.raises(CheckError, match=r"systemd knows no unit k-gone\.service"):
        await one(connections, "k-gone")


async def test_every_failed_unit_of_the_host_is_a_subject(lab: LabSystemd, connections: Connections) -> None:
    lab.reset()  # whatever other tests left
    found = await look(connections, failed=True)
    assert list(found) == [""]
    assert (found[""]["up"], found[""]["failed_units"], found[""]["state"]) == (1.0, 0.0, "running")

    lab.systemctl("start", "k-dies.service", "k-dies-too.service")
    await until(lambda: {lab.show(f"k-{name}", "ActiveState") for name in ("dies", "dies-too")} == {"failed"})
    found = await look(connections, failed=True)
    assert list(found) == ["", "k-dies-too.service", "k-dies.service"]
    assert (found[""]["up"], found[""]["failed_units"]) == (0.0, 2.0)
    assert (found[""]["error"], found[""]["state"]) == ("failed", "degraded")
    assert found[""]["detail"] == "failed: k-dies-too.service k-dies.service"
    assert (found["k-dies.service"]["up"], found["k-dies.service"]["state"]) == (0.0, "failed")
    assert found["k-dies.service"]["detail"] == "k-dies.service has failed (The one that dies)"

    found = await look(connections, failed=True, ignore=["*-too.service"])
    assert (found[""]["failed_units"], found[""]["detail"]) == (1.0, "failed: k-dies.service")
    lab.reset("k-dies.service", "k-dies-too.service")
    assert (await look(connections, failed=True))[""]["failed_units"] == 0.0


async def test_a_wrong_socket_makes_us_blind(tmp_path: Path) -> None:
    connections = shared(lab=("systemd", {"bus": f"unix:path={tmp_path}/none"}))
    for options in ({"unit": "k-web"}, {"failed": True}):
        with pytest.raises(CheckError, match=r"there is no socket .*/none"):
            await look(connections, **options)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "none is given; write exactly one of unit, units and failed: true"),
        ({"unit": "a", "failed": True}, "unit and failed are given"),
        ({"units": ["a", "a.service"]}, r"a\.service is in units twice"),
        ({"unit": "a", "ignore": ["b"]}, "ignore has no effect without failed: true"),
        ({"unit": "a@"}, "is a template"),
    ],
)
def test_options_that_say_nothing_or_two_things_are_refused(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        systemd.Options.model_validate(options)
