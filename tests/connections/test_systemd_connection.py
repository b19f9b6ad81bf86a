"""The connection to systemd: each way not to get an answer, against real buses."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from pydantic import ValidationError

from daemon.connections import systemd
from daemon.errors import CheckError
from daemon.runtime.connections import Connections
from tests.lab.contexts import check_context, shared
from tests.lab.processes import open_files, until
from tests.lab.systemd import LabSystemd

CHECKOUT = Path(__file__).parents[2]
SETTINGS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">{policy}</policy>
</busconfig>
"""
OPEN = '<allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/>'
NOBODY_MAY = '<deny user="*"/>'


@contextlib.contextmanager
def bus(folder: Path, policy: str) -> Iterator[Path]:
    """A bus without a systemd on it; gives its socket."""
    if shutil.which("dbus-daemon") is None:
        assert os.environ.get("CI") != "true", "dbus-daemon is missing"
        pytest.skip("dbus-daemon is missing")
    place = folder / "bus"
    settings = folder / "bus.conf"
    settings.write_text(SETTINGS.format(socket=place, policy=policy))
    started = subprocess.Popen(
        ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={settings}"], stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while not place.exists():
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield place
    finally:
        started.kill()
        started.wait()


async def blindness(place: Path | str, timeout: float = 5.0) -> str:
    """Why systemd cannot be asked at this socket."""
    connections = shared(lab=("systemd", {"bus": f"unix:path={place}"}))
    before = open_files()
    with pytest.raises(CheckError) as caught:
        await ask(connections, timeout)
    await connections.close()
    assert open_files() == before
    return str(caught.value)


async def ask(connections: Connections, timeout: float = 5.0) -> str:
    """The state of a unit that every systemd has."""
    async with check_context(timeout, connections=connections).connection("systemd", "lab") as client:
        return str((await client.unit("init.scope", within=timeout)).state)


@pytest.fixture
async def connections(systemd_lab: LabSystemd) -> AsyncIterator[Connections]:
    opened = shared(lab=("systemd", {"bus": systemd_lab.bus}))
    yield opened
    await opened.close()


async def test_a_client_is_shared_and_leaves_nothing_open(systemd_lab: LabSystemd) -> None:
    before = open_files()
    connections = shared(lab=("systemd", {"bus": systemd_lab.bus}))
    assert {await ask(connections) for _ in range(3)} == {"active"}
    assert open_files() == before + 1
    await connections.close()
    assert open_files() == before


async def test_asking_does_not_block_the_loop(connections: Connections) -> None:
    await ask(connections)
    with blockbuster_ctx():
        assert await ask(connections) == "active"


async def test_without_a_socket_we_are_blind(tmp_path: Path) -> None:
    said = await blindness(tmp_path / "none")
    assert said == f"there is no socket {tmp_path}/none: D-Bus does not run here, or its socket is elsewhere"


async def test_a_socket_that_nobody_listens_at_is_told_from_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    assert await blindness(tmp_path / "left") == f"nobody listens at {tmp_path}/left: D-Bus does not run"


AS_NOBODY = """\
import asyncio, os, sys
from daemon.connections import systemd
from daemon.errors import CheckError
from tests.lab.contexts import check_context
import dbus_fast.aio

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    asyncio.run(systemd.connect(systemd.Options(bus=sys.argv[1]), check_context()))
except CheckError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not use a socket")
def test_a_socket_that_we_may_not_use_says_so(tmp_path: Path) -> None:
    place = tmp_path / "closed"
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(place))
        closed.listen()
        place.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, f"unix:path={place}"],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr) == (f"we may not use the socket {place}\n", "")


async def test_a_bus_that_does_not_let_us_in_says_so(tmp_path: Path) -> None:
    with bus(tmp_path, NOBODY_MAY) as place:
        said = await blindness(place)
    assert said.startswith(f"the D-Bus at {place} does not let us in: ")


async def test_a_bus_without_systemd_says_so(tmp_path: Path) -> None:
    with bus(tmp_path, OPEN) as place:
        said = await blindness(place)
    assert said.startswith(
        f"systemd cannot be asked by the D-Bus at {place}: The name org.freedesktop.systemd1 was not"
    )


async def test_a_socket_that_says_nothing_is_a_time_out(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        said = await blindness(tmp_path / "silent", timeout=2.0)
    assert said == f"the D-Bus at {tmp_path}/silent did not answer within 1.9s"


async def test_a_systemd_that_does_not_answer_is_a_time_out_and_answers_again(
    systemd_lab: LabSystemd, connections: Connections
) -> None:
    await ask(connections)
    frozen = systemd_lab.outer_pid(int(systemd_lab.show("dbus.service", "MainPID")))
    os.kill(frozen, signal.SIGSTOP)
    try:
        with pytest.raises(CheckError, match=r"^systemd did not answer by the D-Bus at /proc/.* within 0\.2s$"):
            await ask(connections, 0.2)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert await ask(connections) == "active"


async def test_a_dead_bus_costs_one_reading(systemd_lab: LabSystemd, connections: Connections) -> None:
    assert await ask(connections) == "active"
    inner = systemd_lab.show("dbus.service", "MainPID")
    os.kill(systemd_lab.outer_pid(int(inner)), signal.SIGKILL)
    await until(lambda: systemd_lab.show("dbus.service", "MainPID") != inner)
    with pytest.raises(CheckError, match=r"^the D-Bus at /proc/.* closed the connection$|has closed the connection$"):
        await ask(connections)
    systemd_lab.systemctl("start", "dbus.service")  # PID 1 joins it again by itself
    await until(lambda: systemd_lab.run("busctl", "status", "org.freedesktop.systemd1").returncode == 0)
    assert await ask(connections) == "active"


async def test_an_order_under_way_ends_with_the_bus(systemd_lab: LabSystemd, connections: Connections) -> None:
    systemd_lab.write({"c-slow.service": "[Service]\nType=notify\nExecStart=sleep 600\n"})
    deadline = asyncio.get_running_loop().time() + 20

    async def start() -> str:
        async with check_context(20, connections=connections).connection("systemd", "lab") as client:
            return str(await client.carry_out("StartUnit", "c-slow.service", deadline=deadline))

    starting = asyncio.create_task(start())
    await until(lambda: systemd_lab.show("c-slow.service", "ActiveState") == "activating")
    os.kill(systemd_lab.outer_pid(int(systemd_lab.show("dbus.service", "MainPID"))), signal.SIGKILL)
    with pytest.raises(CheckError, match="closed the connection before systemd was done"):
        await starting
    systemd_lab.stop("c-slow.service")
    systemd_lab.systemctl("start", "dbus.service")
    await until(lambda: systemd_lab.run("busctl", "status", "org.freedesktop.systemd1").returncode == 0)


@pytest.mark.parametrize("is_whole", [True, False])
async def test_an_end_that_somebody_else_tells_us_of_is_not_believed(
    systemd_lab: LabSystemd, connections: Connections, caplog: pytest.LogCaptureFixture, is_whole: bool
) -> None:
    systemd_lab.write({"c-feigned.service": "[Service]\nType=notify\nExecStart=sleep 600\n"})
    deadline = asyncio.get_running_loop().time() + 20
    async with check_context(20, connections=connections).connection("systemd", "lab") as client:
        starting = asyncio.create_task(client.carry_out("StartUnit", "c-feigned.service", deadline=deadline))
        await until(lambda: systemd_lab.show("c-feigned.service", "ActiveState") == "activating")
        job = systemd_lab.show("c-feigned.service", "Job")
        told = [1, f"/org/freedesktop/systemd1/job/{job}", "c-feigned.service", "done"]
        other = await MessageBus(bus_address=systemd_lab.bus).connect()
        feigned = Message(
            destination=client._bus.unique_name,
            path="/org/freedesktop/systemd1",
            interface="org.freedesktop.systemd1.Manager",
            member="JobRemoved",
            message_type=MessageType.SIGNAL,
            signature="uoss" if is_whole else "s",
            body=told if is_whole else ["done"],
        )
        await other.send(feigned)
        await other.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")  # by then the bus has passed it on
        other.disconnect()
        assert (await client.unit("init.scope", within=5.0)).is_up  # and by then we have got it
        systemd_lab.stop("c-feigned.service")
        assert await starting == "canceled"
    assert "message handler raised" not in caplog.text


@pytest.mark.parametrize(
    "address", ["/run/dbus/system_bus_socket", "tcp:host=localhost", "unix:path=/a b", "unix:path="]
)
def test_what_is_no_bus_of_this_host_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match=r"write one such as unix:path=/run/dbus/system_bus_socket"):
        systemd.Options.model_validate({"bus": address})


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="longer than the 107 bytes"):
        systemd.Options.model_validate({"bus": f"unix:path=/{'x' * 107}"})
