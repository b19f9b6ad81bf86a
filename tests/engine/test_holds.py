"""Every hold three ways: it alone holds in a world, it lets pass in one, and it says its sentence.

The worlds are scenarios named `HOLD holds ...` and `HOLD lets pass ...`, and for what no scenario can say WORLDS here.
What each guard makes of its facts alone, and the order of all, is in test_guards.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.model.incident import HoldReason as H
from daemon.runtime.situation import Found
from daemon.testing.scenario.model import Scenario
from daemon.testing.scenario.run import run_scenario
from tests.engine.test_scenarios import OTHERS, SCENARIOS
from tests.runtime.world import DOWN, World, worlds_end
from tests.testing.scene import holds

__all__ = ["worlds_end"]  # a fixture
SAYS: dict[H, str] = {
    H.SHUTTING_DOWN: "heald is stopping",
    H.STORE_UNAVAILABLE: "the store cannot be written, so nothing could be recorded before it is done: no space left",
    H.PAUSED: "acting is paused: release 42 (by the scenario, service=api); `heald resume` ends it",
    H.STARTUP_GRACE: "heald or its host started too recently (over sooner once every check that a rule uses was clear)",
    H.CLOCK_JUMPED: "the wall clock jumped, and has to go on steadily for a minute",
    H.STALE_READING: "the deciding run began before the last clock jump or resume",
    H.SELF_TEST: "it may be heald's own host or network that is broken: gateway has up 0; held until every check of "
    "settings.self_test is up",
    H.MAINTENANCE: "maintenance by the scenario for another 1m: a new disk (ID)",
    H.SILENCED: "a silence with --hold by the scenario for another 1m: known (ID)",
    H.STOPPED_BY_OPERATOR: "a person stopped or never started it, so it is left alone until it is started: STOPPED",
    H.FLAPPING: "it changed in 28% of its last 20 runs: held until that is below 25%",
    H.WORSE: "after restart of command:db@node something became worse: mail, which depends on it, is sick since: mail "
    "has up 0",
    H.UPSTREAM: "api depends on store, where store has up 0",
    H.STORM: "too many services are sick at once to be faults of their own; it waits for 1m of quiet",
    H.MIN_HEALTHY: "1 of 3 members of workers would stay healthy, and min_healthy is 2",
    H.ONLY_IF: "no step that is left is for this: the only_if of restart does not hold: status = 500 != 503",
    H.RESOURCE_BUSY: "command:api@node is being verified after restart by rule api-down",
    H.SETTLING: "restart by rule api-down was done, and settles, on command:api@node",
    H.COOLDOWN: "command:api@node was touched too recently, and has its cooldown",
    H.LIMIT_RULE: "rule db-down has used 2 of 2/1h",
    H.LIMIT_RESOURCE: "command:till@node has used 2 of 2/1h",
    H.BUDGET: "heald has used 4 of 4/1h",
    H.CONFLICT: "backup.service is active (running), and must not be disturbed",
    H.MODE: "observe mode: heald decides everything and does nothing",
    H.NOT_ALLOWED: "start is not in settings.allow, so it never acts",
    H.APPROVAL: "restart of command:api@node needs a person to agree, who is asked as soon as nothing else holds it",
    H.CLEAR_NOW: "it was clear when heald looked again, just before acting",
    H.BLIND_NOW: "heald could not look again: no route to host",
    H.EXHAUSTED: "every try of every step was made or ruled out and it is not well",
}
"""What each says in its world, but for the moment until which it holds."""


def stops(world: World, is_so: bool) -> None:
    world.simulation.assembly.circumstances.shutting_down = is_so


def loses_its_disk(world: World, is_so: bool) -> None:
    world.simulation.assembly.circumstances.store_why = lambda: "no space left" if is_so else None


def is_stopped(world: World, is_so: bool) -> None:
    world.simulation.found = lambda _: Found(stopped="STOPPED" if is_so else None)


def is_backed_up(world: World, is_so: bool) -> None:
    world.simulation.found = lambda _: Found(conflict=SAYS[H.CONFLICT] if is_so else None)


WORLDS: dict[H, Callable[[World, bool], None]] = {
    H.SHUTTING_DOWN: stops,
    H.STORE_UNAVAILABLE: loses_its_disk,
    H.STOPPED_BY_OPERATOR: is_stopped,
    H.CONFLICT: is_backed_up,
}
"""What is so of heald's own end, its disk, managers and units, of which a scenario knows nothing."""


def named(word: str) -> dict[H, list[Scenario]]:
    """The scenarios `HOLD word ...`."""
    found: dict[H, list[Scenario]] = {}
    for scenario in SCENARIOS:
        first, second, *_ = scenario.name.split()
        if first in set(H) and second == word:
            found.setdefault(H(first), []).append(scenario)
    return found


def test_every_hold_is_tried_three_ways() -> None:
    every = set(H)
    assert every == set(SAYS)
    assert every == {*named("holds"), *WORLDS}
    assert every == {*named("lets"), *WORLDS}
    tried = [it for word in ("holds", "lets") for found in named(word).values() for it in found]
    assert len(tried) == len(SCENARIOS) - len(OTHERS)


@pytest.mark.parametrize("reason", named("holds"), ids=str)
def test_it_alone_holds_and_says_its_sentence(reason: H) -> None:
    for scenario in named("holds")[reason]:
        result = run_scenario(scenario)
        holds(result)
        rows = [row for _, row in result.timeline.holds]
        assert {row.reason for row in rows} == {reason}
        assert len(rows) == len({row.incident for row in rows})  # when its reason changes, not at every run
        said = {re.sub(r"\((maintenance|silence)-\w+\)", "(ID)", row.sentence) for row in rows}
        assert {it.split(", until 20")[0] for it in said} == {SAYS[reason]}


@pytest.mark.parametrize("reason", named("lets"), ids=str)
def test_it_lets_pass(reason: H) -> None:
    for scenario in named("lets")[reason]:
        result = run_scenario(scenario)
        holds(result)
        assert list(result.timeline.attempts(would=False))


@pytest.mark.parametrize("reason", WORLDS, ids=str)
def test_what_no_scenario_can_say_holds_alone_from_then_on_and_no_longer(tmp_path: Path, reason: H) -> None:
    world = World(tmp_path).at(5, api=DOWN).run(10)
    assert world.claims() == [10]  # before it was so
    world = World(tmp_path / "then", reality={"api": DOWN})
    WORLDS[reason](world, True)
    assert world.run(15).holds() == [reason]
    assert world.incident().hold_sentence == SAYS[reason]
    assert world.claims() == []
    WORLDS[reason](world, False)
    assert world.run(25).claims() == [20]
