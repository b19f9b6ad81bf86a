"""Commands really run, and really end: their output, their environment, their process group, and heald's own death."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from daemon.runtime.process import run_command
from tests.lab.processes import is_alive, open_files, pids_in, until

STUBBORN = (
    "trap '' TERM; echo $$ >>{file}; (trap '' TERM; sh -c 'echo $$ >>{file}; sleep 60; sleep 60') & sleep 60; wait"
)
ROOT = Path(__file__).parents[2]


async def test_output_exit_code_and_time_are_kept() -> None:
    done = await run_command(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)
    assert (done.exit_code, done.signal, done.timed_out) == (3, None, False)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert 0 < done.seconds < 10
    assert done.ending == "exit code 3"
    assert done.last_line == "err"


async def test_no_shell_reads_the_arguments() -> None:
    done = await run_command(["echo", "$HOME", "|", "a b", "*", "é"], timeout=10)
    assert done.stdout == "$HOME | a b * é\n"


async def test_a_command_killed_by_a_signal_has_no_exit_code() -> None:
    done = await run_command(["sh", "-c", "kill -SEGV $$"], timeout=10)
    assert (done.exit_code, done.signal) == (None, signal.SIGSEGV)
    assert done.ending == "killed by SIGSEGV"


async def test_stdin_is_empty() -> None:
    done = await run_command(["cat"], timeout=10)
    assert (done.exit_code, done.stdout) == (0, "")


async def test_a_command_that_is_not_there_is_file_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        await run_command(["no-such-command"], timeout=10)


async def test_a_file_that_may_not_be_executed_is_a_permission_error(tmp_path: Path) -> None:
    script = tmp_path / "plain.txt"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(PermissionError, match=r"plain\.txt"):
        await run_command([str(script)], timeout=10)


async def test_a_file_of_no_executable_format_is_not_given_to_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "no-shebang"
    script.write_text("touch made-by-a-shell\n")
    script.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        await run_command([str(script)], timeout=10, cwd=str(tmp_path))
    assert not (tmp_path / "made-by-a-shell").exists()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        await run_command(["true"], timeout=10, cwd=str(tmp_path / "no-such-folder"))


async def test_it_runs_in_the_folder_it_is_given_and_finds_relative_commands_there(tmp_path: Path) -> None:
    script = tmp_path / "here.sh"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o755)
    done = await run_command(["./here.sh"], timeout=10, cwd=str(tmp_path))
    assert done.stdout.strip() == str(tmp_path)


async def test_a_launcher_that_fails_is_not_taken_for_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "launcher.py"
    broken.write_text("import no_such_module\n")
    monkeypatch.setattr("daemon.runtime.launcher_process._LAUNCHER", str(broken))
    with pytest.raises(OSError, match=r"starts commands ended .*no_such_module"):
        await run_command(["true"], timeout=10)


async def test_the_environment_is_healds_without_what_is_healds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "CREDENTIALS_DIRECTORY"]
    for name in [*alone, "DATABASE_PASSWORD", "SHOP"]:
        monkeypatch.setenv(name, "1")
    done = await run_command(["env"], timeout=10, env={"ADDED": "2"}, withhold=["DATABASE_PASSWORD"])
    seen = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert not {*alone, "DATABASE_PASSWORD"} & set(seen)
    assert (seen["SHOP"], seen["ADDED"]) == ("1", "2")
    assert seen["PATH"] == os.environ["PATH"]


async def test_signals_are_as_a_command_expects_them() -> None:
    """Python ignores SIGPIPE, and what is ignored stays so: a pipeline whose reader leaves would go on for ever."""
    ignored = await run_command(["grep", "SigIgn", "/proc/self/status"], timeout=10)
    assert int(ignored.stdout.split()[1], 16) & (1 << (signal.SIGPIPE - 1)) == 0


async def test_no_file_of_healds_is_open_in_a_command(tmp_path: Path) -> None:
    with (tmp_path / "heald.db").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        done = await run_command(["ls", "/proc/self/fd"], timeout=10)
    assert set(done.stdout.split()) <= {"0", "1", "2", "3"}  # 3 is the folder that ls reads


async def test_text_that_is_not_utf8_is_replaced_and_nul_is_shown() -> None:
    done = await run_command(["printf", r"a\0b\377\033[1m"], timeout=10)
    assert done.stdout == "a\u2400b\ufffd\033[1m"


async def test_a_flood_of_output_keeps_head_and_tail_and_says_what_was_cut() -> None:
    script = "echo BEGIN; head -c 100000000 /dev/zero | tr '\\0' x; echo END; head -c 1000000 /dev/zero >&2"
    done = await run_command(["sh", "-c", script], timeout=60, output_limit=1000)
    assert done.exit_code == 0
    assert done.stdout.startswith("BEGIN\nxxx")
    assert done.stdout.endswith("xxxEND\n")
    assert f"\n[... {100_000_010 - 1000} bytes left out ...]\n" in done.stdout
    assert len(done.stdout) < 1100
    assert len(done.stderr) < 1100


async def test_output_at_the_limit_is_whole() -> None:
    done = await run_command(["printf", "x" * 1000], timeout=10, output_limit=1000)
    assert done.stdout == "x" * 1000


async def test_a_time_out_ends_the_command_and_keeps_what_it_said() -> None:
    began = time.monotonic()
    done = await run_command(["sh", "-c", "echo so far; sleep 60"], timeout=0.2)
    assert time.monotonic() - began < 5
    assert done.timed_out
    assert (done.exit_code, done.stdout) == (None, "so far\n")
    assert "ended by heald after" in done.ending


async def test_a_time_out_ends_the_whole_group_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    done = await run_command(["sh", "-c", STUBBORN.format(file=file)], timeout=1.0, grace=0.2)
    assert (done.timed_out, done.signal) == (True, signal.SIGKILL)
    pids = pids_in(file, 2)
    assert len(pids) == 2
    await until(lambda: not any(map(is_alive, pids)))


async def test_a_polite_command_has_its_grace_to_end(tmp_path: Path) -> None:
    script = f"trap 'echo bye >{tmp_path}/said; exit 0' TERM; sleep 60 & wait"
    done = await run_command(["sh", "-c", script], timeout=0.3, grace=10)
    assert (done.timed_out, done.exit_code, done.signal) == (True, None, None)
    assert (tmp_path / "said").read_text() == "bye\n"
    assert done.seconds < 9


async def test_what_a_lazy_init_has_not_reaped_is_not_waited_for() -> None:
    """Children of the killed shell end as zombies of PID 1, which in a container may never ask for them."""
    done = await run_command(["sh", "-c", "sleep 60 & sleep 60; true"], timeout=0.3, grace=20)
    assert (done.timed_out, done.signal) == (True, signal.SIGTERM)
    assert done.seconds < 10


async def test_a_stopped_command_is_ended_too() -> None:
    done = await run_command(["sh", "-c", "kill -STOP $$; sleep 60"], timeout=0.3, grace=10)
    assert (done.timed_out, done.signal) == (True, signal.SIGTERM)
    assert done.seconds < 9


async def test_cancellation_ends_the_whole_group(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    running = asyncio.create_task(run_command(["sh", "-c", STUBBORN.format(file=file)], timeout=60, grace=0.2))
    await until(lambda: pids_in(file, 2))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not any(map(is_alive, pids_in(file, 2))))


async def test_a_second_cancellation_ends_it_at_once(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    running = asyncio.create_task(run_command(["sh", "-c", STUBBORN.format(file=file)], timeout=60, grace=60))
    await until(lambda: pids_in(file, 2))
    for _ in range(2):
        running.cancel()
        await asyncio.wait({running}, timeout=0.05)
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not any(map(is_alive, pids_in(file, 2))))


async def test_a_grandchild_that_keeps_the_pipe_does_not_hold_us_and_lives_on(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    began = time.monotonic()
    done = await run_command(["sh", "-c", f"sleep 60 & echo $! >{file}; echo started"], timeout=30)
    assert time.monotonic() - began < 5
    assert (done.exit_code, done.stdout) == (0, "started\n")
    [pid] = pids_in(file, 1)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    await run_command(["true"], timeout=10)  # the event loop opens its own on first use
    before = open_files()
    for _ in range(5):
        await run_command(["true"], timeout=10)
        await run_command(["sleep", "60"], timeout=0.05)
        with pytest.raises(FileNotFoundError):
            await run_command(["no-such-command"], timeout=10)
        await asyncio.sleep(0)
    await until(lambda: open_files() <= before)


async def test_the_loop_goes_on_while_a_command_runs() -> None:
    running = asyncio.create_task(run_command(["sh", "-c", "yes | head -c 20000000"], timeout=30))
    turns = 0
    while not running.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 5
    assert running.result().exit_code == 0


async def test_a_command_dies_with_heald(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    script = f"""
        import asyncio
        from daemon.runtime.process import run_command
        asyncio.run(run_command(["sh", "-c", "echo $$ >{file}; exec sleep 60"], timeout=60))
    """
    heald = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)  # noqa: ASYNC220  # it takes no time
    try:
        await until(lambda: pids_in(file, 1))
        [pid] = pids_in(file, 1)
        assert is_alive(pid)
    finally:
        heald.kill()
        heald.wait()
    await until(lambda: not is_alive(pid))
