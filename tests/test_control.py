"""What people are told of the running daemon, whatever the store can say."""

from pathlib import Path

import pytest

from daemon.control import Desk
from daemon.errors import StoreError
from tests.runtime.world import DOWN, HEAD, RULE, World, worlds_end  # noqa: F401  # a fixture

DB_RULE = RULE.removeprefix("rules:\n").replace("api-down", "db-down").replace("check: api", "check: db")
BOTH = HEAD.replace("depends_on: [db], ", "") + RULE + DB_RULE


@pytest.mark.parametrize("is_readable", [True, False])
def test_incidents_are_told_newest_first_even_where_the_store_cannot_be_read(tmp_path: Path, is_readable: bool) -> None:
    world = World(tmp_path, BOTH, reality={"db": DOWN}).at(50, api=DOWN).run(100)
    simulation = world.simulation
    desk = Desk(
        assembly=lambda: simulation.assembly,
        reload=lambda: pytest.fail("nobody reloads"),
        readiness=lambda: None,
        listen=lambda: None,
        clock=simulation.clock,
        node="node",
        state_dir=tmp_path,
    )
    if not is_readable:

        async def fails(*_: object) -> None:
            raise StoreError("the disk is gone")

        simulation.store.attempts_of = fails
    told = simulation.ask(desk.incidents(limit=10, closed=False))
    assert [it["rule"] for it in told] == ["api-down", "db-down"]
    assert [it["rule"] for it in simulation.ask(desk.incidents(limit=1, closed=False))] == ["api-down"]
