"""The process check looks at real processes: running, stopped, dead, zombies, and pid files that lie."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks import _proc, process
from daemon.errors import CheckError
from daemon.model.check import Sample
from tests.lab.contexts import check_context
from tests.lab.processes import is_alive, open_files, until

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sleeping program under a name of its own."""
    children = []

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        if not program.exists():
            shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
        child = subprocess.Popen([str(program), *(arguments or ("60",))])
        children.append(child)
        proc, deadline = Path(f"/proc/{child.pid}/cmdline"), time.monotonic() + 10
        while proc.read_bytes() == b"" and time.monotonic() < deadline:
            pass  # exec has begun when Popen returns; its arguments are there a moment later
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


async def look(**options: Any) -> Mapping[str, Sample]:
    [reading] = await process.check(process.Options.model_validate(options), check_context())
    assert reading.subject == ""
    return reading.samples


def unique() -> str:
    return f"h{uuid.uuid4().hex[:12]}"


async def test_a_running_process_is_found_by_its_name(start: Start) -> None:
    name = unique()
    start(name)
    samples = await look(name=name)
    assert set(samples) == {spec.name for spec in process.SAMPLES}
    assert (samples["up"], samples["count"], samples["error"], samples["stopped"]) == (1.0, 1.0, "", 0.0)
    assert 100_000 < float(samples["memory_bytes"]) < 100_000_000
    assert 0 <= float(samples["age_seconds"]) < 30
    assert 0 <= float(samples["cpu_seconds"]) < 1
    assert 0 <= float(samples["cpu_percent"]) < 50


async def test_a_name_longer_than_the_kernel_keeps_is_matched_whole(start: Start) -> None:
    name = f"{unique()}-long-server"
    start(name)
    assert (await look(name=name))["up"] == 1
    assert (await look(name=f"{name}-other"))["up"] == 0
    assert (await look(name=name[:-1]))["up"] == 0


async def test_a_part_of_a_name_is_no_match(start: Start) -> None:
    name = unique()
    start(name)
    assert (await look(name=name[:-1]))["error"] == "not_running"


async def test_a_process_that_does_not_run_is_down_and_named() -> None:
    samples = await look(name="no-such-process")
    assert (samples["up"], samples["count"], samples["error"]) == (0.0, 0.0, "not_running")
    assert samples["detail"] == "no process is named no-such-process"
    assert "memory_bytes" not in samples


async def test_command_lines_are_searched_with_their_arguments(start: Start) -> None:
    name = unique()
    start(name, "61")
    start(name, "62")
    assert (await look(command_line=rf"{name} 6[12]$"))["count"] == 2
    assert (await look(command_line=rf"{name} 62$"))["count"] == 1
    assert (await look(command_line=rf"{name} 63$"))["up"] == 0


async def test_several_processes_are_summed_and_the_oldest_tells_the_age(start: Start) -> None:
    name = unique()
    first = start(name)
    one = await look(name=name)
    start(name)
    two = await look(name=name)
    assert two["count"] == 2
    assert float(two["memory_bytes"]) > 1.5 * float(one["memory_bytes"])
    assert "cpu_seconds" not in two, "a sum over processes is no counter"
    oldest = _proc.read_process(first.pid)
    assert oldest is not None
    assert float(two["age_seconds"]) == pytest.approx(check_context().clock.steady() - oldest.started, abs=5)
    assert float(two["age_seconds"]) > float(one["age_seconds"])


async def test_cpu_use_is_measured() -> None:
    mark = unique()
    busy = subprocess.Popen([sys.executable, "-c", f"'{mark}'\nwhile True: pass"])  # noqa: ASYNC220  # takes no time
    try:
        samples = await look(command_line=mark)
        more = await look(command_line=mark)
    finally:
        busy.kill()
        busy.wait()
    assert 5 < float(samples["cpu_percent"]) < 130
    assert float(more["cpu_seconds"]) > float(samples["cpu_seconds"])


async def test_a_zombie_does_not_run(start: Start) -> None:
    name = unique()
    child = start(name)
    child.kill()
    await until(lambda: not is_alive(child.pid))
    samples = await look(name=name)
    assert (samples["up"], samples["count"], samples["zombies"], samples["error"]) == (0.0, 0.0, 1.0, "zombie")


async def test_a_zombie_beside_a_running_process_is_counted(start: Start) -> None:
    name = unique()
    dead = start(name)
    start(name)
    dead.kill()
    await until(lambda: not is_alive(dead.pid))
    samples = await look(name=name)
    assert (samples["up"], samples["count"], samples["zombies"]) == (1.0, 1.0, 1.0)


async def test_a_stopped_process_is_up_and_counted_as_stopped(start: Start) -> None:
    name = unique()
    child = start(name)
    child.send_signal(signal.SIGSTOP)
    await until(lambda: (seen := _proc.read_process(child.pid)) and seen.is_stopped)
    samples = await look(name=name)
    assert (samples["up"], samples["count"], samples["stopped"]) == (1.0, 1.0, 1.0)


async def test_a_killed_process_is_seen_as_gone(start: Start) -> None:
    name = unique()
    child = start(name)
    assert (await look(name=name))["up"] == 1
    child.kill()
    child.wait()
    assert (await look(name=name))["up"] == 0


async def test_a_pid_file_names_its_process(start: Start, tmp_path: Path) -> None:
    child = start(unique())
    file = tmp_path / "web.pid"
    file.write_text(f"{child.pid}\n/var/lib/web\n5432\n")  # as PostgreSQL writes it
    samples = await look(pid_file=str(file))
    assert (samples["up"], samples["count"]) == (1.0, 1.0)
    child.kill()
    await until(lambda: not is_alive(child.pid))
    assert (await look(pid_file=str(file)))["error"] == "zombie"
    child.wait()
    samples = await look(pid_file=str(file))
    assert (samples["up"], samples["error"]) == (0.0, "gone")
    assert samples["detail"] == f"process {child.pid} of {file} is gone"


async def test_a_pid_file_that_is_missing_is_down(tmp_path: Path) -> None:
    assert (await look(pid_file=str(tmp_path / "web.pid")))["error"] == "pid_file_missing"
    assert (await look(pid_file=str(tmp_path / "nowhere/web.pid")))["error"] == "pid_file_missing"


@pytest.mark.parametrize("content", [b"", b"\n", b"web", b"-1", b"0", b"99999999999999999999", b"\xff\xfe", b"1.5"])
async def test_a_pid_file_with_garbage_is_down(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "web.pid"
    file.write_bytes(content)
    samples = await look(pid_file=str(file))
    assert (samples["up"], samples["error"]) == (0.0, "pid_file_garbage")


async def test_a_pid_file_that_cannot_be_read_makes_us_blind(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"cannot read the pid file .*: Is a directory"):
        await look(pid_file=str(tmp_path))


async def test_a_named_pipe_in_place_of_a_pid_file_does_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "web.pid")
    assert (await look(pid_file=str(tmp_path / "web.pid")))["error"] == "pid_file_garbage"


async def test_a_pid_that_was_given_to_another_process_is_down(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(unique())
    file = tmp_path / "web.pid"
    file.write_text(str(child.pid))
    os.utime(file, times=(time.time() - 3600, time.time() - 3600))
    monkeypatch.setattr(process, "is_in_memory", lambda _: False)  # wherever tests keep their files
    samples = await look(pid_file=str(file))
    assert (samples["up"], samples["error"]) == (0.0, "pid_reused")
    os.utime(file, times=(time.time() - 30, time.time() - 30))
    assert (await look(pid_file=str(file)))["up"] == 1, "a small step of the clock is no other process"


@pytest.mark.skipif(not _proc.is_in_memory(Path("/dev/shm")), reason="no tmpfs at /dev/shm")
async def test_a_clock_that_was_set_after_the_file_was_written_kills_nobody(start: Start) -> None:
    child = start(unique())
    file = Path("/dev/shm") / f"{unique()}.pid"
    try:
        file.write_text(str(child.pid))
        os.utime(file, times=(0, 0))  # written in 1970, by a clock that knew no better, on a tmpfs that did not exist
        assert (await look(pid_file=str(file)))["up"] == 1
    finally:
        file.unlink()


async def test_where_others_are_hidden_finding_none_makes_us_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "walk", lambda _: _proc.Walk(found=(), is_partial=True))
    with pytest.raises(CheckError, match="hidepid"):
        await look(name="web")


async def test_where_others_are_hidden_what_is_found_is_up_and_no_more(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _proc.read_process(start(unique()).pid)
    assert found is not None
    monkeypatch.setattr(process, "walk", lambda _: _proc.Walk(found=(found,), is_partial=True))
    assert await look(name="web") == {"up": 1.0, "error": "", "detail": ""}


def test_a_process_list_without_init_or_with_closed_folders_is_partial(tmp_path: Path) -> None:
    (tmp_path / "77").mkdir()
    assert _proc.walk(lambda _: False, tmp_path).is_partial
    (tmp_path / "1").mkdir()
    assert not _proc.walk(lambda _: False, tmp_path).is_partial

    def closed(folder: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(folder))

    assert _proc.walk(closed, tmp_path).is_partial


async def test_processes_that_end_while_we_look_are_not_there(start: Start) -> None:
    children = [start(unique()) for _ in range(10)]
    for child in children:
        child.kill()
    assert (await look(command_line="no such command line anywhere"))["up"] == 0


async def test_nothing_stays_open() -> None:
    await look(name="no-such-process")
    before = open_files()
    for _ in range(3):
        await look(name="no-such-process")
    await until(lambda: open_files() <= before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "none is given; write exactly one of name, pid_file and command_line"),
        ({"name": "a", "pid_file": "/b"}, "name and pid_file are given"),
        ({"name": "/usr/bin/web"}, "has a /"),
        ({"name": ""}, "at least 1"),
        ({"pid_file": "web.pid"}, "not an absolute path"),
        ({"command_line": "("}, "not a regular expression"),
        ({"name": 5}, "string"),
    ],
)
def test_wrong_options_are_refused_and_say_why(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        process.Options.model_validate(options)
