"""The load as the kernel counts it: against what Python and psutil say, and under a real load."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from context import LocalContext

from checks import load
from daemon.errors import CheckError


async def look() -> dict[str, Any]:
    [reading] = await load.check(load.Options(), LocalContext())
    return dict(reading.samples)


async def test_the_load_is_what_the_system_says() -> None:
    before = os.getloadavg()
    found = await look()
    after = os.getloadavg()
    for place, minutes in enumerate((1, 5, 15)):
        low, high = sorted((before[place], after[place]))
        assert low - 0.01 <= found[f"load{minutes}"] <= high + 0.01  # the kernel shows two digits
        assert found[f"load{minutes}_per_cpu"] == found[f"load{minutes}"] / found["cpus"]
        assert found[f"load{minutes}_percent"] == pytest.approx(100 * found[f"load{minutes}_per_cpu"])
    assert found["up"] == 1
    assert found["cpus"] == psutil.cpu_count()
    assert found["threads"] >= len(psutil.pids())
    assert set(found) == {sample.name for sample in load.SAMPLES}


async def test_cpus_are_the_hosts_whatever_heald_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert (await look())["cpus"] == psutil.cpu_count()
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture
def busy() -> Iterator[int]:
    """That many processes that want nothing but the CPU."""
    count = 2 * (psutil.cpu_count() or 1) + 1
    children = [subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL) for _ in range(count)]
    yield count
    for child in children:
        child.kill()
        child.wait()


async def test_processes_that_want_the_cpu_are_seen_running(busy: int) -> None:
    deadline = time.monotonic() + 20
    while (await look())["running"] < busy:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("text", [None, "", "0.1 0.2\n", "a b c 1/2 3\n"])
def test_a_load_that_cannot_be_read_makes_us_blind(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "loadavg"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CheckError, match="cannot read the load from "):
        load._look(file)
