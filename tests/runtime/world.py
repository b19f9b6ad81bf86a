"""A world of words for the daemon's own judging and healing: rules as an operator writes them, readings by the test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.model.check import Reading, Sample
from daemon.model.incident import HoldReason, Incident, Transition
from daemon.model.remediation import Attempt, AttemptState, Verification
from daemon.testing.simulation import Effect, Simulation, Slow

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HEAD = """version: 1
settings: {mode: act, allow: [restart, run], startup_grace: 0s, budget: [100/1h]}
services:
  db: {run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}, limit: [50/1h]}
  api: {depends_on: [db], run_by: {command: {start: ["true"], stop: ["true"], status: ["true"]}}, limit: [50/1h]}
checks:
  db: {service: db, tcp: {host: localhost, port: 1}, every: 10s}
  api: {service: api, tcp: {host: localhost, port: 2}, every: 10s}
"""
RULE = """rules:
  api-down:
    check: api
    when: up == 0
    for: 0s
    severity: P1
    limit: [50/1h]
    steps:
      - restart: {}
        tries: 2
        cooldown: 0s
        settle: 10s
        verify: 30s
"""


def up(value: float = 1.0, **samples: Sample) -> list[Reading]:
    return [Reading(samples={"up": value, **samples})]


DOWN = up(0.0)


OPEN: list["World"] = []  # every world that a test has made and not closed


@pytest.fixture(autouse=True)
def worlds_end() -> Iterator[None]:
    """Import it into a test module that makes worlds: they let go of their stores."""
    yield
    while OPEN:
        OPEN.pop().simulation.close()


@dataclass
class World:
    """`reality` is what each check sees; `looks` what a second look sees instead; `effects` what the n-th does."""

    folder: Path
    rules: str = HEAD + RULE
    reality: dict[str, Sequence[Reading] | str | Slow] = field(default_factory=dict)
    looks: dict[str, Sequence[Reading] | str] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        OPEN.append(self)
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / "rules.yaml"
        self.file.write_text(self.rules)
        self.simulation = Simulation(
            load(self.file, node="node"), self.folder / "state", see=self.see, effect=self.effect, start=START
        )

    def see(self, check: str, is_look: bool) -> Sequence[Reading] | str | Slow:
        return self.looks.get(check, self.reality.get(check, up())) if is_look else self.reality.get(check, up())

    def effect(self, attempt: Attempt) -> Effect:
        return self.effects.pop(0) if self.effects else Effect()

    def run(self, until: float) -> "World":
        self.simulation.run(until)
        return self

    def at(self, seconds: float, **reality: Sequence[Reading] | str) -> "World":
        self.simulation.at(seconds, lambda: self.reality.update(reality))
        return self

    def edit(self, seconds: float, rules: str) -> "World":
        def reload() -> None:
            self.file.write_text(rules)
            self.simulation.reload(load(self.file, node="node"))

        self.simulation.at(seconds, reload)
        return self

    # ---- what came of it ----------------------------------------------------------------------------------------

    @property
    def board(self):
        return self.simulation.assembly.board

    def incident(self, rule: str = "api-down") -> Incident:
        return next(it for it in self.board.incidents.values() if it.rule == rule)

    def stored_incidents(self) -> list[Incident]:
        return self.simulation.ask(self.simulation.store.incidents(limit=100, closed=True))

    def attempts(self) -> list[Attempt]:
        ids = [incident.id for incident in self.stored_incidents()]
        return sorted(
            (it for found in self.simulation.ask(self.simulation.store.attempts_of(ids)).values() for it in found),
            key=lambda it: it.id,
        )

    def story(self) -> list[tuple[float, str, AttemptState, Verification | None]]:
        """Each attempt: seconds from the start to its claim, resource, outcome, verification."""
        zero = START.timestamp()
        return [(round(it.claimed.wall - zero, 3), it.resource, it.state, it.verification) for it in self.attempts()]

    def claims(self, resource: str = "command:api@node") -> list[float]:
        return [at for at, touched, _, _ in self.story() if touched == resource]

    def holds(self, rule: str = "api-down") -> list[HoldReason]:
        found = [
            hold
            for it in self.stored_incidents()
            for hold in self.simulation.ask(self.simulation.store.holds_of(it.id))
        ]
        return [hold.reason for hold in sorted(found, key=lambda it: it.at.wall) if hold.rule == rule]

    def transitions(self, incident: str) -> list[Transition]:
        return self.simulation.ask(self.simulation.store.transitions_of(incident))

    def ladder(self, rule: str = "api-down", resource: str = "command:api@node"):
        return self.board.ladders[rule, resource]
