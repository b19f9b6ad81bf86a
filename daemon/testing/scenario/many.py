"""Runs many scenarios, on all processors where that is worth it, and tells of each in words."""

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from daemon.testing.scenario.model import Scenario
from daemon.testing.scenario.report import failed
from daemon.testing.scenario.run import run_scenario

_WORTH_IT = 50  # scenarios: fewer are over sooner than processes are started
_AT_ONCE = 8  # scenarios that a process takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What came of a scenario, as far as others need to know."""

    file: str
    name: str
    line: int  # of the file, 1-based
    seconds: float  # that it took
    lived: float  # seconds that passed in its world
    why: str  # what does not hold; empty if all holds
    failed: tuple[str, ...]  # the same at length, with the timeline around it
    lines: tuple[str, ...]  # the whole timeline, where that is wanted

    @property
    def holds(self) -> bool:
        """Whether all that is expected holds."""
        return not self.failed


def run_all(scenarios: Sequence[Scenario], *, show: bool = False) -> Iterator[Told]:
    """What came of each, in their order, as soon as it is known; `show`: with the whole timeline."""
    processes = min(len(os.sched_getaffinity(0)), len(scenarios) // _AT_ONCE)
    if len(scenarios) < _WORTH_IT or processes < 2:
        for scenario in scenarios:
            yield _tell(scenario, show=show)
        return
    with _shared(scenarios, show=show), multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_tell_one, range(len(scenarios)), chunksize=_AT_ONCE)


_work: list[tuple[Scenario, bool]] = []  # what forked processes find: plug-ins are modules, which none can be sent


@contextmanager
def _shared(scenarios: Sequence[Scenario], *, show: bool) -> Iterator[None]:
    _work[:] = [(scenario, show) for scenario in scenarios]
    gc.freeze()  # else each process copies all of it as soon as its collector looks through it
    try:
        yield
    finally:
        gc.unfreeze()
        _work.clear()


def _tell_one(place: int) -> Told:
    scenario, show = _work[place]
    return _tell(scenario, show=show)


def _tell(scenario: Scenario, *, show: bool) -> Told:
    began = time.perf_counter()
    result = run_scenario(scenario)
    return Told(
        file=str(scenario.file),
        name=scenario.name,
        line=scenario.place.line,
        seconds=time.perf_counter() - began,
        lived=scenario.lasts,
        why="; ".join(it.why for it in result.failures),
        failed=tuple(line for it in result.failures for line in failed(it, result)),
        lines=tuple(str(line) for line in result.timeline.lines()) if show else (),
    )
