"""Memory as the kernel counts it: against psutil's numbers, with memory really taken, with and without pressure."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from context import LocalContext

from checks import memory
from daemon.errors import CheckError

MOST_DRIFT = 256 * 2**20  # bytes that others on this machine may take or leave between two looks
TAKEN = 3 * MOST_DRIFT
HAS_PRESSURE = Path("/proc/pressure/memory").exists()
MEMINFO = "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 100 kB\nSwapTotal: {swap} kB\nSwapFree: 150 kB\n"


async def look() -> dict[str, Any]:
    [reading] = await memory.check(memory.Options(), LocalContext())
    return dict(reading.samples)


async def test_memory_is_what_psutil_says() -> None:
    found, theirs, swap = await look(), psutil.virtual_memory(), psutil.swap_memory()
    assert found["up"] == 1
    assert found["total_bytes"] == theirs.total
    assert abs(found["available_bytes"] - theirs.available) < MOST_DRIFT
    assert found["available_percent"] + found["used_percent"] == pytest.approx(100)
    assert found["available_percent"] == pytest.approx(100 * found["available_bytes"] / found["total_bytes"])
    assert found["swap_total_bytes"] == swap.total
    assert ("swap_used_percent" in found) == (swap.total > 0)


@pytest.fixture
def taker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes TAKEN bytes once it is told to, and says so."""
    program = f"input(); it = bytearray({TAKEN}); it[::4096] = b'x' * ({TAKEN} // 4096); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        yield child
        child.kill()


async def test_memory_that_a_process_takes_is_no_longer_available(taker: subprocess.Popen[bytes]) -> None:
    assert taker.stdin is not None
    assert taker.stdout is not None
    before = await look()
    taker.stdin.write(b"\n")
    taker.stdin.flush()
    await asyncio.to_thread(taker.stdout.readline)
    during = await look()
    lost = before["available_bytes"] - during["available_bytes"]
    assert lost > TAKEN - MOST_DRIFT, lost
    assert during["used_percent"] > before["used_percent"]


async def test_pressure_is_there_where_the_kernel_keeps_it() -> None:
    found = await look()
    pressures = {name for name in found if name.startswith("pressure_")}
    expected = {spec.name for spec in memory.SAMPLES if spec.name.startswith("pressure_")}
    assert len(expected) == 15
    assert pressures == (expected if HAS_PRESSURE else set())
    assert all(0 <= found[name] <= 100 for name in pressures)


def proc(tmp_path: Path, *, swap: int = 200) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO.format(swap=swap))
    return tmp_path


def test_used_swap_is_a_share_of_it(tmp_path: Path) -> None:
    found = memory._look(proc(tmp_path))
    assert (found["available_percent"], found["used_percent"]) == (10.0, 90.0)
    assert (found["swap_total_bytes"], found["swap_free_bytes"]) == (200 * 1024.0, 150 * 1024.0)
    assert found["swap_used_percent"] == 25.0


def test_without_swap_its_share_is_missing(tmp_path: Path) -> None:
    assert "swap_used_percent" not in memory._look(proc(tmp_path, swap=0))


def test_pressure_that_the_kernel_does_not_keep_is_missing_and_the_rest_is_there(tmp_path: Path) -> None:
    assert not [name for name in memory._look(proc(tmp_path)) if name.startswith("pressure_")]
    folder = tmp_path / "pressure"
    folder.mkdir()
    (folder / "cpu").write_text(
        "some avg10=1.50 avg60=2.00 avg300=3.25 total=12\nfull avg10=9.00 avg60=9 avg300=9 total=1\n"
    )
    (folder / "io").mkdir()  # cannot be read
    found = memory._look(tmp_path)
    assert {name: found[name] for name in found if name.startswith("pressure_")} == {
        "pressure_cpu_some_avg10": 1.5,
        "pressure_cpu_some_avg60": 2.0,
        "pressure_cpu_some_avg300": 3.25,
    }


@pytest.mark.parametrize(
    "text", [None, "", "MemTotal: many kB\n", "MemTotal: 10 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"]
)
def test_memory_that_cannot_be_read_makes_us_blind(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "meminfo").write_text(text)
    with pytest.raises(CheckError, match="cannot read memory from "):
        memory._look(tmp_path)
