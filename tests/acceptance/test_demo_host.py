"""`make demo-host`, as a newcomer sees it: real containers under an engine of its own."""

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.composed import Composed
from demo.stage import StageError
from tests.acceptance.demo_process import left_of, lines_until, start
from tests.lab.docker import needs_docker

FAULTS = 6


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets are deep in it."""
    needs_docker()
    with tempfile.TemporaryDirectory(prefix="heald-h-", dir="/tmp") as made:
        yield Path(made)


def networks() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


@pytest.mark.timeout(400)
def test_every_fault_of_containers_is_found_and_healed_within_the_limits(folder: Path) -> None:
    before = networks()
    with start("--host", "--once", folder=folder) as demo:
        said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    for number in range(1, FAULTS + 1):
        assert re.search(rf"^ *[\d.]+s  {number}/{FAULTS} as it should be$", said, re.MULTILINE), said
    assert "The services' own counts, heald's record and heald's metrics agree." in said
    for sentence in (
        "is unhealthy; its HEALTHCHECK said",
        "service store of project shop has no container",
        "restart of compose:shop/api@[^ ]+ is held: api depends on store",
        "has used 4 of 4/1h",
    ):
        assert re.search(sentence, said), said
    assert left_of(folder) == []
    assert networks() == before


@pytest.mark.timeout(120)
@pytest.mark.parametrize("wanted", ["starting", "1/6"])
def test_an_end_in_the_middle_leaves_nothing(folder: Path, wanted: str) -> None:
    with start("--host", folder=folder) as demo:
        said = list(lines_until(demo, wanted))
        assert left_of(folder), said
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=90)
    assert demo.returncode == 128 + signal.SIGINT, "".join(said) + rest
    assert left_of(folder) == []


@pytest.mark.timeout(120)
def test_a_conductor_that_is_killed_takes_engine_and_containers_with_it(folder: Path) -> None:
    with start("--host", folder=folder) as demo:
        said = list(lines_until(demo, "1/6"))
        assert "1/6" in said[-1], said
        of_it = [process for process in psutil.process_iter(["cmdline"]) if _speaks_of(process, folder)]
        assert len(of_it) >= 6  # heald, the engine, its containerd, three services
        demo.kill()
    _, alive = psutil.wait_procs(of_it, timeout=60)
    (log,) = folder.glob("*/engine/log")
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == [], log.read_text()
    assert log.read_text().count("Processing signal 'terminated'") == 1  # a third would end it without its containers


def _speaks_of(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in part for part in process.info["cmdline"] or [])


async def test_without_root_it_says_so_plainly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StageError, match=r"^a Docker engine of its own needs root; try sudo make demo-host$"):
        await Composed(folder).start_services()
