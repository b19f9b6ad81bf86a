"""The process that starts commands: one a loop, gone with its loop; and what becomes of commands when it dies."""

import asyncio
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from daemon.runtime import launcher
from daemon.runtime.process import run_command
from daemon.runtime.request import encode
from tests.lab.launchers import IDLE, files_of, launchers, the_launcher
from tests.lab.processes import is_alive, open_files, pids_in, until

ROOT = Path(__file__).parents[2]
UNDER_WAY = 200


async def test_the_first_command_of_a_loop_begins_it_and_all_others_use_it() -> None:
    assert launchers() == []
    await run_command(["true"], timeout=10)
    first = the_launcher().pid
    await asyncio.gather(*(run_command(["true"], timeout=10) for _ in range(3)))
    assert the_launcher().pid == first
    assert first == os.getsid(first)  # what a terminal sends to heald's group does not reach it


async def test_two_hundred_commands_at_once_have_each_its_own_output_and_end() -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    script = 'echo "out $0"; echo "err $0" >&2; exit $(($0 % 7))'
    done = await asyncio.gather(
        *(run_command(["sh", "-c", script, str(number)], timeout=60) for number in range(UNDER_WAY))
    )
    assert [(it.stdout, it.stderr, it.exit_code) for it in done] == [
        (f"out {number}\n", f"err {number}\n", number % 7) for number in range(UNDER_WAY)
    ]
    assert the_launcher().children() == []
    assert open_files() == before
    await until(lambda: files_of(the_launcher().pid) == IDLE)


async def test_arguments_and_environment_may_be_large() -> None:
    words = ["x" * 10_000] * 30
    done = await run_command(
        ["sh", "-c", 'printf %s "$*" | wc -c; env | grep -c ^LARGE_', "sh", *words],
        timeout=30,
        env={f"LARGE_{number}": "é" * 5_000 for number in range(30)},
    )
    assert done.stdout.split() == [str(30 * 10_000 + 29), "30"]


@pytest.mark.parametrize("words", [["x" * 200_000], ["x" * 100_000] * 100], ids=["one word", "all together"])
async def test_more_than_the_kernel_takes_is_its_own_error(words: list[str]) -> None:
    with pytest.raises(OSError, match="Argument list too long") as raised:
        await run_command(["true", *words], timeout=30)
    assert raised.value.errno == errno.E2BIG
    assert (await run_command(["true"], timeout=10)).exit_code == 0


@pytest.mark.parametrize(
    ("argv", "env"),
    [(["true", "a\0b"], {}), (["true"], {"A": "a\0b"}), (["true"], {"A=B": "1"}), (["true"], {"": "1"})],
)
async def test_what_no_process_can_be_given_is_refused(argv: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"embedded null byte|illegal environment variable name"):
        await run_command(argv, timeout=10, env=env)


async def test_an_error_has_nothing_of_the_environment_in_it() -> None:
    with pytest.raises(ValueError, match="embedded lone surrogate") as raised:
        await run_command(["true", "\ud800"], timeout=10, env={"PASSWORD": "hunter2"})
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__suppress_context__


async def test_a_command_has_exactly_the_environment_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name != "PATH":
            monkeypatch.delenv(name)
    done = await run_command(["env"], timeout=10, env={"NOT_TEXT": "\udcff", "EMPTY": ""})
    assert sorted(done.stdout.splitlines()) == ["EMPTY=", "NOT_TEXT=\ufffd", f"PATH={os.environ['PATH']}"]


async def test_a_variable_without_a_name_in_healds_own_environment_keeps_no_command_from_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ._data, b"", b"1")  # as `environ` is where heald was begun with "=1"
    done = await run_command(["env"], timeout=10)
    assert done.exit_code == 0
    assert "\n=" not in f"\n{done.stdout}"


async def test_a_command_is_sought_in_its_own_path(tmp_path: Path) -> None:
    for place, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / place).mkdir()
        script = tmp_path / place / "shop-status"
        script.write_text(f"#!/bin/sh\necho {place}\n")
        script.chmod(mode)
    path = f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second"
    done = await run_command(["shop-status"], timeout=10, env={"PATH": path})
    assert done.stdout == "second\n"  # what may not be executed is passed over
    with pytest.raises(PermissionError, match="shop-status"):
        await run_command(["shop-status"], timeout=10, env={"PATH": f"{tmp_path}/first:{tmp_path}/none"})


async def test_no_signal_is_ignored_or_blocked_in_a_command() -> None:
    done = await run_command(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"], timeout=10)
    ours = sum(1 << (number - 1) for number in signal.valid_signals())  # without 32 and 33: glibc keeps them ignored
    assert {int(line.split()[1], 16) & ours for line in done.stdout.splitlines()} == {0}


async def test_what_is_blocked_in_heald_keeps_no_end_from_being_heard() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    try:
        done = await run_command(["grep", "SigBlk", "/proc/self/status"], timeout=5)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (done.timed_out, done.stdout.split()) == (False, ["SigBlk:", "0" * 16])


async def test_no_file_of_other_commands_is_open_in_a_command() -> None:
    others = [asyncio.create_task(run_command(["sleep", "60"], timeout=60)) for _ in range(5)]
    await until(lambda: launchers() and len(the_launcher().children()) == 5)
    done = await run_command(["ls", "/proc/self/fd"], timeout=10)
    assert set(done.stdout.split()) <= {"0", "1", "2", "3"}  # 3 is the folder that ls reads
    for other in others:
        other.cancel()
    await asyncio.wait(others)


async def test_nothing_stays_open_in_it() -> None:
    await run_command(["true"], timeout=10)
    pid = the_launcher().pid
    for _ in range(5):
        await run_command(["true"], timeout=10)
        await run_command(["sleep", "60"], timeout=0.05)
        with pytest.raises(FileNotFoundError):
            await run_command(["no-such-command"], timeout=10)
    await until(lambda: files_of(pid) == IDLE)
    assert the_launcher().pid == pid


async def test_commands_under_way_are_lost_with_it_and_the_next_one_begins_another(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    script = f"(echo $$ >>{file}; sleep 60 & echo $! >>{file}; wait)"
    running = [asyncio.create_task(run_command(["sh", "-c", script], timeout=60)) for _ in range(2)]
    await until(lambda: pids_in(file, 4))
    killed = the_launcher()
    killed.kill()
    await asyncio.wait(running, timeout=10)
    for task in running:
        with pytest.raises(OSError, match=r"the process that starts commands ended .*\(signal 9, Killed\), and what"):
            await task
    await until(lambda: not any(map(is_alive, pids_in(file, 4))))
    assert (await run_command(["echo", "again"], timeout=10)).stdout == "again\n"
    assert the_launcher().pid != killed.pid


async def test_one_that_died_while_nothing_was_under_way_is_replaced() -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    the_launcher().kill()
    await until(lambda: launchers() == [])  # reaped, too
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    assert open_files() == before


async def test_one_that_has_just_died_costs_the_next_command_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    died = the_launcher()
    died.kill()
    os.waitid(os.P_PID, died.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # the loop shall not hear of it before
    assert (await run_command(["echo", "again"], timeout=10)).stdout == "again\n"
    assert [record.message for record in caplog.records] == [
        "The process that starts commands ended (signal 9, Killed): the next command begins another."
    ]
    assert open_files() == before


async def test_it_does_not_end_by_what_asks_heald_to_stop() -> None:
    await run_command(["true"], timeout=10)
    before = the_launcher()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        before.send_signal(number)
    await run_command(["true"], timeout=10)
    assert the_launcher().pid == before.pid


async def test_one_that_cannot_be_started_is_not_taken_for_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", "/no/such/python")
        with pytest.raises(OSError, match="cannot be started: /no/such/python: No such file") as raised:
            await run_command(["true"], timeout=10)
    assert not isinstance(raised.value, FileNotFoundError)
    assert open_files() == before
    assert (await run_command(["true"], timeout=10)).exit_code == 0


async def test_one_that_says_what_means_nothing_is_given_up(instead: Callable[[str], object]) -> None:
    instead(
        "import os, signal, socket, sys\n"
        "control = socket.socket(fileno=int(sys.argv[1]))\n"
        "_, (status, *_), _, _ = socket.recv_fds(control, 1, 4)\n"
        "os.write(status, b'pid one\\n')\n"
        "signal.pause()\n"
    )
    with pytest.raises(OSError, match=r"said b'pid one', which means nothing"):
        await run_command(["true"], timeout=10)
    assert launchers() == []


async def test_a_fork_that_fails_is_that_commands_error(instead: Callable[[str], object]) -> None:
    instead(
        "import errno, os, runpy\n"
        "fork = os.fork\n"
        "def no_fork():\n"
        "    os.fork = fork\n"
        "    raise OSError(errno.EAGAIN, 'no more processes')\n"
        "os.fork = no_fork\n"
        f"runpy.run_path({launcher.__file__!r}, run_name='__main__')\n"
    )
    with pytest.raises(BlockingIOError, match=r"Resource temporarily unavailable: 'true'"):
        await run_command(["true"], timeout=10)
    failed = the_launcher().pid
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    assert the_launcher().pid == failed
    await until(lambda: files_of(failed) == IDLE)


async def test_one_with_no_room_for_more_files_says_so_and_lives_on(instead: Callable[[str], object]) -> None:
    instead(
        "import resource, runpy\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({IDLE} + 2, {IDLE} + 2))\n"
        f"runpy.run_path({launcher.__file__!r}, run_name='__main__')\n"
    )
    for _ in range(2):
        with pytest.raises(OSError, match=r"Too many open files: 'true'"):
            await run_command(["true"], timeout=10)
    await until(lambda: files_of(the_launcher().pid) == IDLE)


async def test_no_command_is_run_of_which_a_part_is_missing() -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            await run_command(["echo", "x" * 5000], timeout=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.errno == errno.EFBIG
    assert open_files() == before


async def test_a_command_of_which_a_part_cannot_be_read_is_not_run(instead: Callable[[str], object]) -> None:
    instead(
        "import os, runpy\n"
        "read = os.pread\n"
        "os.pread = lambda file, size, at: read(file, size - 3, at)\n"
        f"runpy.run_path({launcher.__file__!r}, run_name='__main__')\n"
    )
    with pytest.raises(OSError, match="Input/output error: 'true'"):
        await run_command(["true"], timeout=10)


async def test_commands_that_found_no_room_for_their_output_take_no_place_from_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_room(_: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    await run_command(["true"], timeout=10)
    with monkeypatch.context() as patch:
        patch.setattr("os.pipe2", no_room)
        for _ in range(20):  # more than are asked for at once
            with pytest.raises(OSError, match="Too many open files"):
                await run_command(["true"], timeout=10)
    assert (await run_command(["true"], timeout=10)).exit_code == 0


async def test_whenever_it_is_cancelled_no_command_is_left() -> None:
    await run_command(["true"], timeout=10)
    for turns in range(0, 400, 10):
        running = asyncio.create_task(run_command(["sleep", "60"], timeout=60))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await until(lambda: the_launcher().children() == [])


@pytest.mark.parametrize("has_begun", [True, False])
async def test_one_whose_caller_is_closed_by_force_is_killed(tmp_path: Path, has_begun: bool) -> None:
    """As it happens to a plug-in that runs another command where it is told to end."""
    await run_command(["true"], timeout=10)
    file = tmp_path / "pids"
    running = run_command(["sh", "-c", f"echo $$ >>{file}; sleep 60 & echo $! >>{file}; wait"], timeout=60)
    running.send(None)
    if has_begun:
        await until(lambda: pids_in(file, 2))
    running.close()
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    await until(lambda: the_launcher().children() == [])
    await until(lambda: not any(map(is_alive, pids_in(file, 2))))


async def pid_of_the_launcher() -> int:
    await run_command(["true"], timeout=10)
    return the_launcher().pid


def test_it_is_gone_when_its_loop_has_ended() -> None:
    before = open_files()
    pid = asyncio.run(pid_of_the_launcher())
    assert not psutil.pid_exists(pid)  # nor is it a zombie
    assert open_files() == before


def test_it_is_gone_when_its_loop_is_closed_while_an_error_still_holds_its_frames() -> None:
    async def fail() -> None:
        await run_command(["no-such-command"], timeout=10)

    loop = asyncio.new_event_loop()
    with pytest.raises(FileNotFoundError):
        loop.run_until_complete(fail())
    assert len(launchers()) == 1
    loop.close()
    assert launchers() == []


def test_a_loop_that_is_closed_while_a_command_runs_takes_it_along(tmp_path: Path) -> None:
    before = open_files()
    file = tmp_path / "pids"
    loop = asyncio.new_event_loop()
    running = loop.create_task(run_command(["sh", "-c", f"echo $$ >{file}; exec sleep 60"], timeout=60))
    loop.run_until_complete(until(lambda: pids_in(file, 1)))
    loop.close()
    asyncio.run(until(lambda: not any(map(is_alive, pids_in(file, 1)))))
    running._log_destroy_pending = False  # that it is pending is meant
    running.get_coro().close()
    assert open_files() == before


def test_each_loop_has_its_own() -> None:
    async def both() -> None:
        mine = await pid_of_the_launcher()
        other = await asyncio.to_thread(asyncio.run, other_pid())
        assert mine != other
        assert the_launcher().pid == mine

    async def other_pid() -> int:
        before = {it.pid for it in launchers()}
        await run_command(["true"], timeout=10)
        [new] = {it.pid for it in launchers()} - before
        return new

    asyncio.run(both())


async def test_it_and_all_commands_die_with_heald_however_busy_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    script = f"""
        import asyncio
        from daemon.runtime.process import run_command

        async def main():
            stay = [run_command(["sh", "-c", "echo $$ >>{file}; exec sleep 60"], timeout=60) for _ in range(20)]
            await asyncio.gather(*stay, *map(again, range(20)))

        async def again(_):
            while True:
                await run_command(["true"], timeout=60)

        asyncio.run(main())
    """
    heald = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)  # noqa: ASYNC220  # it takes no time
    try:
        await until(lambda: pids_in(file, 20))
        [begun] = launchers(heald.pid)
        family = [begun, *begun.children()]
    finally:
        heald.kill()
        heald.wait()
    await until(lambda: not any(is_alive(it.pid) for it in family))
    assert not any(map(is_alive, pids_in(file, 20)))


async def test_a_large_request_leaves_nothing_in_its_memory() -> None:
    await run_command(["true"], timeout=10)
    before = the_launcher().memory_info().rss
    with pytest.raises(OSError, match="Argument list too long"):
        await run_command(["true", *["x" * 50_000] * 600], timeout=30)
    assert the_launcher().memory_info().rss < before + 2**20


async def test_of_healds_environment_it_has_nothing_but_where_libraries_are(monkeypatch: pytest.MonkeyPatch) -> None:
    place = os.environ.get("LD_LIBRARY_PATH", "/usr/lib")
    variables = {"LD_LIBRARY_PATH": place, "LD_BIND_NOW": "1", "LD_PRELOAD": "", "PYTHONSTARTUP": "", "PASSWORD": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = await run_command(["env"], timeout=10)
    assert the_launcher().environ() == {"LD_LIBRARY_PATH": place}
    assert variables.items() <= dict(line.split("=", 1) for line in done.stdout.splitlines()).items()


def test_one_whose_parent_has_died_starts_nothing(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    request = os.memfd_create("request")
    os.write(request, encode(["touch", str(tmp_path / "made")], dict(os.environ), None))
    with ours, theirs:
        socket.send_fds(ours, [b"c"], [writing, 1, 2, request])
        subprocess.run(
            [sys.executable, "-I", "-S", launcher.__file__, str(theirs.fileno()), "1"],
            pass_fds=(theirs.fileno(),),
            check=False,
        )
    os.close(writing)
    os.close(request)
    assert os.read(reading, 64) == b""
    os.close(reading)
    assert not (tmp_path / "made").exists()
