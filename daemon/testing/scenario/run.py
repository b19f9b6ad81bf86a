"""Runs a scenario: the daemon's own code in its world, and what was expected held against what happened."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.logs import log
from daemon.model.remediation import Attempt
from daemon.store.memory import Memory
from daemon.testing.scenario.model import Event, Expectation, Scenario
from daemon.testing.scenario.stage import Reality
from daemon.testing.scenario.timeline import Timeline
from daemon.testing.scenario.verdict import why_not
from daemon.testing.simulation import Simulation
from daemon.testing.world import Effect


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An expectation that does not hold."""

    expectation: Expectation
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a scenario."""

    scenario: Scenario
    timeline: Timeline
    failures: tuple[Failure, ...]

    @property
    def holds(self) -> bool:
        """Whether all that is expected holds."""
        return not self.failures


def run_scenario(scenario: Scenario) -> Result:
    """Let a scenario's time pass, and look what held."""
    with log.silent():
        if any(event.needs_directory for event in scenario.events):
            with tempfile.TemporaryDirectory(prefix="heald-test-") as folder:
                timeline = _live(scenario, Path(folder))
        else:
            timeline = _live(scenario, None)
    found = ((it, why_not(it, timeline, scenario.lasts)) for it in scenario.expected)
    failures = tuple(Failure(expectation=it, why=why) for it, why in found if why is not None)
    return Result(scenario=scenario, timeline=timeline, failures=failures)


def _live(scenario: Scenario, directory: Path | None) -> Timeline:
    worlds: list[Simulation] = []  # none while it is being made, when its time is 0
    timeline = Timeline(now=lambda: worlds[0].now if worlds else 0.0)
    reality = Reality(scenario, now=timeline.at, checks=lambda: worlds[0].setup.checks)
    memory = Memory()

    def effect(attempt: Attempt) -> Effect:
        timeline.claimed(attempt)
        return reality.effect(attempt)

    simulation = Simulation(
        scenario.setup,
        directory,
        see=reality.see,
        effect=effect,
        start=scenario.start,
        memory=memory,
        board=timeline.board,
    )
    worlds.append(simulation)
    try:
        for event in scenario.events:
            simulation.at(event.at, _happening(simulation, timeline, event), is_of_host=event.is_of_host)
        simulation.run(scenario.lasts)
    finally:
        simulation.close()
        memory.close()
    timeline.now = lambda: scenario.lasts
    return timeline


def _happening(simulation: Simulation, timeline: Timeline, event: Event) -> Callable[[], None]:
    def happens() -> None:
        timeline.say(event.words)
        event.happens(simulation)

    return happens
