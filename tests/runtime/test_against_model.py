"""The daemon's own judging against a second, naive reading of docs/judgement.md, in random worlds.

`HEALD_WORLDS=20000 pytest tests/runtime/test_against_model.py` compares more of them; `HEALD_FIRST_WORLD` says from
which seed on. Both readings say after every instant each rule x check's state, hold and whether people were told, and
at the end each attempt's claim, resource, outcome and verification; they must be equal.
"""

import os
from pathlib import Path

import pytest

from tests.runtime.model_scene import World
from tests.runtime.model_worlds import Daemon, Entry, random_world
from tests.runtime.reference_model import Model

WORLDS = int(os.environ.get("HEALD_WORLDS", "320"))
FIRST = int(os.environ.get("HEALD_FIRST_WORLD", "0"))
PARTS = 8  # tests that share them, so that they run in parallel


def changes(log: list[Entry]) -> list[Entry]:
    """Only the entries that differ from the one before of the same rule x check."""
    newest: dict[tuple[str, str], tuple[str, str | None, str | None]] = {}
    found = []
    for entry in log:
        if newest.get(entry[1:3]) != entry[3:]:
            newest[entry[1:3]] = entry[3:]
            found.append(entry)
    return found


def both(world: World, folder: Path) -> tuple[list[object], list[object]]:
    """What the model says and what the daemon does."""
    model = Model(world)
    said: list[object] = [*changes(model.run())]
    said += sorted(
        (it.began, it.rule.name, it.resource, it.state, it.verification or "", it.would) for it in model.attempts
    )
    daemon = Daemon(world, folder)
    try:
        daemon.run(world.lasts)
        done: list[object] = [*changes(daemon.log), *sorted(daemon.attempts())]
    finally:
        daemon.close()
    return said, done


@pytest.mark.timeout(120 + WORLDS)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_daemon_judges_as_the_page_says_in_random_worlds(part: int, tmp_path: Path) -> None:
    compared = attempts = 0
    for seed in range(FIRST + part, FIRST + WORLDS, PARTS):
        world = random_world(seed)
        said, done = both(world, tmp_path / str(seed))
        assert done == said, f"world {seed}: {world}"
        compared += 1
        attempts += sum(1 for entry in said if len(entry) == 6 and isinstance(entry[5], bool))
    assert compared == len(range(part, WORLDS, PARTS))
    assert attempts > compared  # these worlds do heal


@pytest.mark.parametrize("seed", [2558], ids=["an attempt that is over, after a boot on a clock set back"])
def test_worlds_in_which_they_once_differed(seed: int, tmp_path: Path) -> None:
    said, done = both(random_world(seed), tmp_path)
    assert done == said
