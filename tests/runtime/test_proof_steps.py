"""What `heald explain` and `plan` say of a ladder that no step fits, and of one that did harm."""

from pathlib import Path

from daemon.model.explanation import Explanation, PlanEntry
from daemon.model.incident import HoldReason
from tests.runtime.world import DOWN, HEAD, World, up, worlds_end

__all__ = ["worlds_end"]  # a fixture of every test here
FITTING = """rules:
  api-down:
    check: api
    when: up == 0 or latency_seconds > 5s
    for: 0s
    steps: [{restart: {service: db}, only_if: latency_seconds > 5s}, {restart: {}, only_if: has(dns_seconds)}]
"""
HARMFUL = """rules:
  db-down: {check: db, when: up == 0, for: 0s, steps: [{restart: {}, tries: 3, cooldown: 0s, verify: 40s}]}
"""


def explain(world: World, name: str) -> Explanation:
    return world.simulation.ask(world.simulation.assembly.proof.explain(name))


def plan(world: World) -> list[PlanEntry]:
    return world.simulation.ask(world.simulation.assembly.proof.plan())


def test_where_no_step_fits_the_last_that_was_looked_at_is_told_with_its_operands(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + FITTING).at(10, api=up(0.0, latency_seconds=1.0)).run(45)
    told = explain(world, "api-down")
    says = (
        "restart of command:api@node is held by only_if: no step that is left is for this: the only_if of restart does"
    )
    assert says in told.answer
    assert "dns_seconds" in told.answer
    step = told.standings[0].next
    assert step is not None
    assert (step.step, [it.reason for it in step.held]) == (2, [HoldReason.ONLY_IF])
    (entry,) = plan(world)
    assert entry.next is not None
    assert [it.reason for it in entry.next.held] == [HoldReason.ONLY_IF]


def test_the_step_is_told_that_would_be_taken_now(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + FITTING.replace("for: 0s", "for: 1m")).at(10, api=up(latency_seconds=7.0)).run(45)
    assert "then restart of command:db@node would be done" in explain(world, "api-down").answer


def test_a_ladder_that_did_harm_says_what_became_worse_and_how_it_ends(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + HARMFUL).at(10, db=DOWN).at(25, api=DOWN).run(90)
    told = explain(world, "db-down")
    assert "is held by worse: after restart of command:db@node something became worse: api, which depends on it" in (
        told.answer
    )
    assert f"`heald retry {told.standings[0].incident}`" in told.answer
    assert told.standings[0].handed_over is HoldReason.WORSE
    (entry,) = [it for it in plan(world) if it.rule == "db-down"]
    assert entry.next is not None
    assert entry.next.held[0].reason is HoldReason.WORSE
