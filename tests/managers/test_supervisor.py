"""The manager for supervisord against a real one, healthy and sick."""

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.errors import CheckError, RemediationError
from daemon.managers import supervisor
from daemon.model.service import Service, ServiceState
from tests.lab.contexts import check_context
from tests.lab.processes import open_files, until
from tests.lab.supervisor import LabSupervisord, supervisord

PROGRAMS = """
[program:web]
command=sleep 600
startsecs=0
stopwaitsecs=1

[program:slow]
command={python} -c "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
startsecs=0
stopwaitsecs=1

[program:stubborn]
command={python} -c "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
startsecs=0
stopwaitsecs=600
autostart=false

[program:broken]
command=sh -c "echo $(date): cannot open the database >&2; exit 1"
startsecs=1
startretries=0
autostart=false

[program:retried]
command=sh -c "test -e {folder}/second && exec sleep 600; touch {folder}/second; exit 1"
startsecs=1
startretries=3
autostart=false

[program:loud]
command=sh -c "printf 'old\\\\n\\\\033[31mred\\\\001\\\\n'; exit 3"
startsecs=1
startretries=0
redirect_stderr=true
autostart=false

[program:gone]
command={folder}/no-such-file
autostart=false

[program:worker]
command=sleep 600
process_name=%(program_name)s_%(process_num)02d
numprocs=3
startsecs=0

[program:a]
command=sleep 600
startsecs=0

[program:b]
command=sleep 600
startsecs=0

[group:shop]
programs=a,b
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSupervisord]:
    with supervisord(PROGRAMS) as started:
        yield started


@pytest.fixture
def own_lab() -> Iterator[LabSupervisord]:
    """One that a test may break."""
    with supervisord("[program:web]\ncommand=sleep 600\nstartsecs=0\n") as started:
        yield started


def options(lab: LabSupervisord, program: str = "web", **more: Any) -> supervisor.Options:
    return supervisor.Options.model_validate({"socket": lab.socket, "program": program} | more)


async def test_a_running_program_is_running_and_says_since_when(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab), check_context())
    status = await supervisor.status(options(lab), check_context())
    assert status.state is ServiceState.RUNNING
    assert status.detail.startswith("RUNNING for ")


async def test_a_restart_gives_a_new_process(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab), check_context())
    before = lab.pid("web")
    said = await supervisor.restart(options(lab), check_context())
    assert lab.pid("web") not in (0, before)
    assert said.startswith(f"restarted supervisor program web, now pid {lab.pid('web')}; it was RUNNING for ")


async def test_stop_and_start_are_seen(lab: LabSupervisord) -> None:
    assert await supervisor.stop(options(lab), check_context()) == "stopped supervisor program web: STOPPED"
    status = await supervisor.status(options(lab), check_context())
    assert (status.state, status.by_operator) == (ServiceState.STOPPED, True)
    assert status.stopped_for is not None
    assert 0 <= status.stopped_for < 10
    await supervisor.stop(options(lab), check_context())  # nothing to do is no error
    said = await supervisor.start(options(lab), check_context())
    assert said == f"started supervisor program web, now pid {lab.pid('web')}"
    pid = lab.pid("web")
    await supervisor.start(options(lab), check_context())
    assert lab.pid("web") == pid


async def test_a_stopped_program_is_restarted_too(lab: LabSupervisord) -> None:
    await supervisor.stop(options(lab), check_context())
    assert (await supervisor.restart(options(lab), check_context())).endswith("; it was STOPPED")
    assert lab.state("web") == "RUNNING"


async def test_a_killed_program_that_is_not_restarted_by_supervisord_is_failed() -> None:
    with supervisord("[program:web]\ncommand=sleep 600\nstartsecs=0\nautorestart=false\n") as lab:
        os.kill(lab.pid("web"), signal.SIGKILL)
        await until(lambda: lab.state("web") == "EXITED")
        status = await supervisor.status(options(lab), check_context())
        assert status.state is ServiceState.FAILED
        assert "EXITED" in status.detail
        await supervisor.restart(options(lab), check_context())
        assert lab.state("web") == "RUNNING"


async def test_a_frozen_program_is_restarted(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab), check_context())
    frozen = lab.pid("web")
    os.kill(frozen, signal.SIGSTOP)
    try:
        # SIGTERM waits for a frozen process: supervisord kills it after stopwaitsecs.
        await supervisor.restart(options(lab), check_context(timeout=60))
    finally:
        if lab.pid("web") == frozen:
            os.kill(frozen, signal.SIGCONT)
    assert lab.pid("web") != frozen


async def test_a_slow_stop_is_waited_for(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab, "slow"), check_context())
    await until(lambda: "on" in lab.ask("readProcessStdoutLog", "slow", 0, 0))
    before = lab.pid("slow")
    await supervisor.restart(options(lab, "slow"), check_context(timeout=30))
    assert lab.pid("slow") not in (0, before)


async def test_a_program_that_does_not_stop_in_time_fails_and_is_busy(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab, "stubborn"), check_context())
    await until(lambda: "on" in lab.ask("readProcessStdoutLog", "stubborn", 0, 0))
    pid = lab.pid("stubborn")
    try:
        with pytest.raises(RemediationError, match="is still STOPPING when the time is up") as caught:
            await supervisor.restart(options(lab, "stubborn"), check_context(timeout=0.8))
        assert not caught.value.permanent
        status = await supervisor.status(options(lab, "stubborn"), check_context())
        assert (status.state, status.detail) == (ServiceState.BUSY, "STOPPING")
    finally:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: lab.state("stubborn") == "STOPPED")


async def test_a_program_that_does_not_start_fails_with_its_last_words(lab: LabSupervisord) -> None:
    with pytest.raises(RemediationError, match="did not start: FATAL: Exited too quickly") as caught:
        await supervisor.restart(options(lab, "broken"), check_context())
    assert str(caught.value).endswith("cannot open the database")
    assert not caught.value.permanent
    assert "cannot open the database" in str(caught.value.details["output"])
    status = await supervisor.status(options(lab, "broken"), check_context())
    assert status.state is ServiceState.FAILED
    assert status.detail.startswith("FATAL: Exited too quickly")


async def test_last_words_of_an_earlier_start_are_not_repeated(lab: LabSupervisord) -> None:
    outputs = []
    for _ in range(2):
        with pytest.raises(RemediationError) as caught:
            await supervisor.start(options(lab, "broken"), check_context())
        outputs.append(str(caught.value.details["output"]))
    assert [output.count("cannot open") for output in outputs] == [1, 1]


async def test_control_characters_in_a_log_are_no_obstacle(lab: LabSupervisord) -> None:
    with pytest.raises(RemediationError, match=r"it said: \ufffd\[31mred\ufffd$"):
        await supervisor.start(options(lab, "loud"), check_context())


async def test_supervisords_own_retries_are_waited_for(lab: LabSupervisord) -> None:
    starting = asyncio.create_task(supervisor.start(options(lab, "retried"), check_context(timeout=30)))
    seen = set()
    while not starting.done():
        seen.add((await supervisor.status(options(lab, "retried"), check_context())).state)
        await asyncio.sleep(0.02)
    assert (await starting).startswith("started supervisor program retried")
    assert ServiceState.BUSY in seen
    assert lab.state("retried") == "RUNNING"


async def test_a_program_without_its_file_is_a_permanent_error(lab: LabSupervisord) -> None:
    with pytest.raises(RemediationError, match=r"refuses for program gone: NO_FILE: .*no-such-file") as caught:
        await supervisor.start(options(lab, "gone"), check_context())
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("program", "hint"),
    [
        ("wbe", "did you mean web?"),
        ("worker", "did you mean worker:*?"),
        ("a", "did you mean shop:a?"),
        ("nothing:*", "it has broken, gone, "),
        ("shop:c", "shop:*, shop:a, shop:b"),
    ],
)
async def test_an_unknown_program_is_a_permanent_error_that_names_the_others(
    lab: LabSupervisord, program: str, hint: str
) -> None:
    for verb in (supervisor.start, supervisor.stop, supervisor.restart):
        with pytest.raises(RemediationError, match=f"knows no program {program[:2]}") as caught:
            await verb(options(lab, program), check_context())
        assert caught.value.permanent
        assert hint in str(caught.value)
    status = await supervisor.status(options(lab, program), check_context())
    assert status.state is ServiceState.UNKNOWN
    assert hint in status.detail


async def test_a_group_is_acted_on_as_a_whole(lab: LabSupervisord) -> None:
    names = [f"worker:worker_0{number}" for number in range(3)]
    await supervisor.start(options(lab, "worker:*"), check_context())
    before = [lab.pid(name) for name in names]
    await supervisor.restart(options(lab, "worker:*"), check_context())
    after = [lab.pid(name) for name in names]
    assert 0 not in after
    assert not set(before) & set(after)
    await supervisor.stop(options(lab, "worker:worker_01"), check_context())
    status = await supervisor.status(options(lab, "worker:*"), check_context())
    assert status.state is ServiceState.STOPPED
    assert status.detail == "2 of 3 RUNNING; worker:worker_01 STOPPED"
    await supervisor.stop(options(lab, "worker:*"), check_context())
    assert {lab.state(name) for name in names} == {"STOPPED"}


async def test_one_program_of_a_group_is_acted_on_alone(lab: LabSupervisord) -> None:
    await supervisor.start(options(lab, "shop:*"), check_context())
    a, b = lab.pid("shop:a"), lab.pid("shop:b")
    await supervisor.restart(options(lab, "shop:a"), check_context())
    assert lab.pid("shop:a") not in (0, a)
    assert lab.pid("shop:b") == b


async def test_without_a_socket_we_are_blind_and_acting_fails_for_now(tmp_path: Path) -> None:
    settings = supervisor.Options(socket=str(tmp_path / "none.sock"), program="web")
    with pytest.raises(CheckError, match=r"there is no socket .*none\.sock: supervisord is not running"):
        await supervisor.status(settings, check_context())
    with pytest.raises(RemediationError, match="there is no socket") as caught:
        await supervisor.restart(settings, check_context())
    assert not caught.value.permanent


async def test_a_dead_supervisord_is_told_by_its_socket(own_lab: LabSupervisord) -> None:
    assert own_lab.process is not None
    child = own_lab.pid("web")
    own_lab.process.kill()
    own_lab.process.wait()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(CheckError, match=r"nobody listens at .*: supervisord is not running"):
        await supervisor.status(options(own_lab), check_context())


async def test_a_frozen_supervisord_is_a_time_out(own_lab: LabSupervisord) -> None:
    assert own_lab.process is not None
    own_lab.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(CheckError, match=r"did not answer within 0\.19s"):
        await supervisor.status(options(own_lab), check_context(timeout=0.2))
    with pytest.raises(RemediationError, match=r"did not answer within 0\.19s"):
        await supervisor.restart(options(own_lab), check_context(timeout=0.2))
    assert time.monotonic() - began < 5


async def test_a_supervisord_that_is_shutting_down_says_so() -> None:
    programs = PROGRAMS.partition("[program:slow]")[2].partition("[program:stubborn]")[0]
    with supervisord(f"[program:slow]{programs}") as lab:
        await until(lambda: "on" in lab.ask("readProcessStdoutLog", "slow", 0, 0))
        lab.ask("shutdown")
        with pytest.raises(CheckError, match="SHUTDOWN_STATE"):
            await supervisor.status(options(lab, "slow"), check_context())
        with pytest.raises(RemediationError, match="SHUTDOWN_STATE") as caught:
            await supervisor.restart(options(lab, "slow"), check_context())
        assert not caught.value.permanent


async def test_a_password_is_used_and_its_lack_is_said() -> None:
    web = "[program:web]\ncommand=sleep 600\nstartsecs=0\n"
    with supervisord(web, server="username=heald\npassword=hunter2") as lab:
        right = options(lab, username="heald", password="hunter2")
        await supervisor.start(right, check_context())
        assert (await supervisor.status(right, check_context())).state is ServiceState.RUNNING
        with pytest.raises(CheckError, match="wants another username and password"):
            await supervisor.status(options(lab), check_context())
        assert "hunter2" not in repr(right)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "has no /RPC2"),
        (b"HTTP/1.0 500 Oops\r\n\r\n", "HTTP status 500"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "does not answer in XML-RPC"),
        (b"HTTP/1.0 200 OK\r\n\r\n<methodResponse><params></params></methodResponse>", "does not answer in XML-RPC"),
        (b'HTTP/1.0 200 OK\r\n\r\n<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>', "document type"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (17 * 2**20), "more than 16777216 bytes"),
        (b"SSH-2.0-OpenSSH\r\n", "broke the connection off"),
        (b"", "broke the connection off"),
    ],
)
async def test_a_socket_that_is_anothers_makes_us_blind(answer: bytes, text: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"</methodCall>")
        writer.write(answer)
        writer.close()

    with tempfile.TemporaryDirectory(prefix="heald-s-") as folder:  # pytest's own may be too long for a socket
        async with await asyncio.start_unix_server(serve, f"{folder}/s"):
            with pytest.raises(CheckError, match=text):
                await supervisor.status(supervisor.Options(socket=f"{folder}/s", program="web"), check_context())


async def test_nothing_stays_open(lab: LabSupervisord) -> None:
    await supervisor.status(options(lab), check_context())
    before = open_files()
    for _ in range(5):
        await supervisor.status(options(lab), check_context())
    await until(lambda: open_files() <= before)


def test_the_resource_names_socket_program_and_node() -> None:
    settings = supervisor.Options(socket="/run/supervisor.sock", program="web:web")
    service = Service(name="anything")
    assert supervisor.resource(settings, service, "node7") == "supervisor:/run/supervisor.sock/web@node7"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"socket": "run/s", "program": "web"}, "not an absolute path"),
        ({"socket": f"/{'x' * 107}", "program": "web"}, "107 bytes"),
        ({"socket": "/s", "program": ""}, "not a program"),
        ({"socket": "/s", "program": "a:b:c"}, "not a program"),
        ({"socket": "/s", "program": "web "}, "not a program"),
        ({"socket": "/s"}, "program"),
        ({"socket": "/s", "program": "web", "host": "x"}, "host"),
    ],
)
def test_wrong_options_are_refused_and_say_why(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        supervisor.Options.model_validate(given)


def test_a_path_at_the_limit_is_one_that_the_kernel_takes() -> None:
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect(f"/{'x' * 106}")
