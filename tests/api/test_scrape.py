"""A scrape is packed as the client likes it, and made in turns."""

import asyncio
import gzip
import zlib

import pytest

from daemon.api import scrape
from daemon.api.scrape import body_of, coding_of
from daemon.metrics import Metrics, RunResult, Sources
from daemon.model.settings import Mode


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("deflate, gzip", "gzip"),
        ("GZIP;q=0.5, *;q=0.1", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.000", None),
        ("br, identity", None),
        ("x-gzip", None),
    ],
)
def test_a_coding_that_the_client_named_is_used(accept: str, coding: str | None) -> None:
    assert coding_of(accept) == coding


def measured() -> Metrics:
    metrics = Metrics(version="0")
    for number in range(300):
        metrics.check(f"c{number}").observe(RunResult.OK, 0.01)
    return metrics


@pytest.mark.parametrize("turn", [0, 100, 10**9])
async def test_whatever_the_coding_and_the_turns_it_is_the_same_page(
    monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setattr(scrape, "TURN", turn)
    metrics = measured()
    expected = "".join(metrics.page().rows())
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}
    for coding, unpacked in unpack.items():
        body = unpacked(await body_of(metrics.page(), coding)).decode()
        assert body.endswith(expected)
        assert body.startswith("# HELP process_")


async def test_the_loop_goes_round_between_two_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "TURN", 0)
    task = asyncio.create_task(body_of(measured().page(), "gzip"))
    rounds = 0
    while not task.done():
        await asyncio.sleep(0)
        rounds += 1
    assert rounds > 300


async def test_a_source_that_fails_in_the_middle_fails_the_whole_page() -> None:
    def broken() -> bool:
        raise RuntimeError("broken")

    metrics = measured()
    metrics.read_from(
        Sources(
            readings=tuple,
            incidents=tuple,
            handed_over=lambda: 0,
            rules=tuple,
            budgets=tuple,
            mode=lambda: Mode.ACT,
            is_paused=broken,
            is_store_writable=lambda: True,
            store_writes=dict,
        )
    )
    with pytest.raises(RuntimeError):
        await body_of(metrics.page(), "gzip")
