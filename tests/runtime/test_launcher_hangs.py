"""A launcher that does not answer, and commands whose folder or file does not: who is blind, and what is run once."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.runtime import launcher
from daemon.runtime.process import run_command
from daemon.runtime.threads import MOST, caller
from tests.lab.launchers import launchers, the_launcher
from tests.lab.processes import is_alive, open_files, pids_in, until

AS_IT_IS = f"import runpy\nrunpy.run_path({launcher.__file__!r}, run_name='__main__')\n"
LOOK = "daemon.runtime.starter._LOOK"
SHORT = 0.02  # seconds; for as long as there is a launcher that shall be found silent, since others need their time


async def test_whoever_waits_for_one_that_does_not_answer_is_begun_by_another_and_only_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    stopped = the_launcher()
    stopped.suspend()
    argv = ["sh", "-c", f"echo begun >>{tmp_path}/lines"]
    with monkeypatch.context() as patch:
        patch.setattr(LOOK, SHORT)
        waiting = [asyncio.create_task(run_command(argv, timeout=60)) for _ in range(21)]  # more than it is asked for
        await until(lambda: caplog.records)
    assert {(await it).exit_code for it in waiting} == {0}
    assert (tmp_path / "lines").read_text() == 21 * "begun\n"
    await until(lambda: not is_alive(stopped.pid))
    assert the_launcher().pid != stopped.pid
    [said] = caplog.records
    assert said.message.startswith("The process that starts commands did not answer for 0.1s")
    assert open_files() == before


async def test_it_is_left_to_what_it_has_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It may be an hour's backup."""
    script = f"echo $$ >{tmp_path}/pids; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo whole"
    backup = asyncio.create_task(run_command(["sh", "-c", script], timeout=60))
    await until(lambda: pids_in(tmp_path / "pids", 1))
    stopped = the_launcher()
    stopped.suspend()
    argv = ["sh", "-c", f"echo begun >>{tmp_path}/lines"]
    with monkeypatch.context() as patch:
        patch.setattr(LOOK, SHORT)
        waiting = [asyncio.create_task(run_command(argv, timeout=60)) for _ in range(3)]
        await until(lambda: caplog.records)
    assert {(await it).exit_code for it in waiting} == {0}
    stopped.resume()  # the requests are still in its socket
    (tmp_path / "go").touch()
    done = await backup
    assert (done.exit_code, done.stdout) == (0, "whole\n")
    await until(lambda: not is_alive(stopped.pid))
    assert (tmp_path / "lines").read_text() == 3 * "begun\n"


async def test_what_it_had_started_and_has_ended_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    script = f"echo $$ >{tmp_path}/pids; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    started = asyncio.create_task(run_command(["sh", "-c", script], timeout=60))
    await until(lambda: pids_in(tmp_path / "pids", 1))
    stopped = the_launcher()
    stopped.suspend()
    with monkeypatch.context() as patch:
        patch.setattr(LOOK, SHORT)
        other = asyncio.create_task(run_command(["true"], timeout=60))
        await until(lambda: caplog.records)
    await other
    (tmp_path / "go").touch()
    with pytest.raises(OSError, match=r"ended, and the process .* did not answer for 0\.1s, did not say how"):
        await started
    await until(lambda: not is_alive(stopped.pid))


async def test_a_command_that_has_ended_is_no_time_out_because_nobody_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("daemon.runtime.process._REAP", 0.05)
    await run_command(["true"], timeout=10)
    script = f"echo $$ >{tmp_path}/pids; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    started = asyncio.create_task(run_command(["sh", "-c", script], timeout=2))
    await until(lambda: pids_in(tmp_path / "pids", 1))
    the_launcher().suspend()
    (tmp_path / "go").touch()
    with pytest.raises(OSError, match="it ended, and the process that starts commands did not say how"):
        await started


async def test_a_command_whose_first_thread_alone_has_ended_is_a_time_out_and_is_ended() -> None:
    """To the kernel it is a zombie that has threads."""
    threads = "import ctypes, threading; threading.Thread(target=threading.Event().wait).start()"
    script = f"{threads}; ctypes.CDLL(None).pthread_exit(0)"
    done = await run_command([sys.executable, "-c", script], timeout=2)
    assert (done.timed_out, done.signal) == (True, signal.SIGTERM)


async def test_each_waits_no_longer_than_its_own_time_out_and_is_not_begun_afterwards(tmp_path: Path) -> None:
    await run_command(["true"], timeout=10)
    stopped = the_launcher()
    stopped.suspend()
    long = [asyncio.create_task(run_command(["true"], timeout=60)) for _ in range(16)]
    argv = ["touch", str(tmp_path / "made")]
    short = [asyncio.create_task(run_command(argv, timeout=0.1)) for _ in range(20)]
    began = asyncio.get_running_loop().time()
    said = await asyncio.gather(*short, return_exceptions=True)
    assert {str(it) for it in said} == {"it was not begun within 0.1s"}
    assert asyncio.get_running_loop().time() - began < 4  # sooner than it is found silent
    stopped.resume()
    assert {(await it).exit_code for it in long} == {0}
    assert the_launcher().pid == stopped.pid
    assert not (tmp_path / "made").exists()


async def test_what_is_withdrawn_before_it_was_read_is_not_begun(tmp_path: Path) -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    the_launcher().suspend()
    argv = ["touch", str(tmp_path / "made")]
    with pytest.raises(OSError, match="not begun within"):
        await run_command(argv, timeout=0.05)
    cancelled = asyncio.create_task(run_command(argv, timeout=60))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    the_launcher().resume()
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    assert not (tmp_path / "made").exists()
    await until(lambda: open_files() == before)


async def test_two_that_do_not_answer_are_one_error_and_said_once(
    instead: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LOOK, SHORT)
    instead("import signal\nsignal.pause()\n")
    for _ in range(2):
        with pytest.raises(OSError, match=r"^the process that starts commands did not answer for 0.1s$"):
            await run_command(["true"], timeout=60)
    await until(lambda: launchers() == [])
    assert len(caplog.records) == 1


async def test_a_command_that_it_hangs_with_may_have_begun_and_is_not_begun_again(
    instead: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    instead(f"import os, signal\nos.fork = signal.pause\n{AS_IT_IS}")
    with monkeypatch.context() as patch:
        patch.setattr(LOOK, SHORT * 10)  # it shall have come to its fork
        with pytest.raises(OSError, match=r"did not answer for 1s .*, and what it had started died with it"):
            await run_command(["touch", str(tmp_path / "made")], timeout=60)
    await until(lambda: launchers() == [])
    instead(AS_IT_IS)
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("call", ["chdir", "execve"])
async def test_a_folder_or_a_file_that_hangs_is_no_time_out_and_holds_nobody_else(
    instead: Callable[[str], object], tmp_path: Path, call: str
) -> None:
    instead(
        "import os, signal\n"
        f"call = os.{call}\n"
        f"os.{call} = lambda path, *more: signal.pause() if b'hang' in path else call(path, *more)\n"
        f"{AS_IT_IS}"
    )
    (tmp_path / "hang").mkdir()
    await run_command(["true"], timeout=10)
    before = open_files()
    hanging = [
        asyncio.create_task(run_command([str(tmp_path / "hang" / "true")], timeout=2, cwd=str(tmp_path / "hang")))
        for _ in range(20)  # more than are asked for at once
    ]
    await until(lambda: len(the_launcher().children()) == 20)
    done = [await run_command(["true"], timeout=10) for _ in range(3)]
    assert [it.exit_code for it in done] == [0] * 3
    said = await asyncio.gather(*hanging, return_exceptions=True)
    assert {str(it) for it in said} == {"it was not begun within 2s"}
    await until(lambda: the_launcher().children() == [])
    assert open_files() == before


async def test_a_check_whose_commands_cannot_be_ended_begins_no_more_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    await run_command(["true"], timeout=10)
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr("daemon.runtime.process.signal_group", lambda *_: False)  # as in an uninterruptible sleep
        patch.setattr("daemon.runtime.process._REAP", 0.02)
        caller.set("shop")
        done = await asyncio.gather(*(run_command(["sleep", "60"], timeout=2) for _ in range(MOST)))
    assert {it.timed_out for it in done} == {True}
    with pytest.raises(OSError, match="16 of its earlier commands were killed and have not ended yet"):
        await run_command(["true"], timeout=10)
    caller.set("bank")
    assert (await run_command(["true"], timeout=10)).exit_code == 0
    caller.set("shop")
    for stuck in the_launcher().children():
        stuck.kill()
    await until(lambda: open_files() == before)  # each end was heard
    assert (await run_command(["true"], timeout=10)).exit_code == 0
