"""`make demo`, as a newcomer sees it."""

import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.acceptance.demo_process import left_of, lines_until, start


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short: sockets are in it


@pytest.mark.timeout(300)
def test_every_fault_is_found_and_healed_within_the_limits(folder: Path) -> None:
    with start("--once", folder=folder) as demo:
        said, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, said
    for number in range(1, 6):
        assert re.search(rf"^ *[\d.]+s  {number}/5 as it should be$", said, re.MULTILINE), said
    assert "The services' own counts, heald's record and heald's metrics agree." in said
    assert left_of(folder) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_in_the_middle_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    with start(folder=folder) as demo:
        said = list(lines_until(demo, "1/5"))
        assert left_of(folder), said
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number, "".join(said) + rest
    assert left_of(folder) == []


@pytest.mark.timeout(120)
def test_a_conductor_that_is_killed_takes_everything_with_it(folder: Path) -> None:
    with start(folder=folder) as demo:
        said = list(lines_until(demo, "1/5"))
        assert "1/5" in said[-1], said
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 5
        demo.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
