"""What happens while something is on its way: a claim to the disk, a second look through a reload."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.config.load import load
from daemon.errors import StoreError
from daemon.model.incident import HoldReason
from daemon.plugin import Outcome, Reading
from daemon.runtime.threads import caller
from daemon.testing.virtual import pass_time
from tests.runtime.shop import DOWN, RULES, Shop, in_a_shop
from tests.runtime.world import World, worlds_end  # noqa: F401  # a fixture


def failing(seconds: float) -> Callable[..., Awaitable[Any]]:
    """A claim on a disk that hangs, and then fails."""

    async def claim(*_: Any, **__: Any) -> Any:
        await pass_time(seconds)
        raise StoreError("disk I/O error")

    return claim


def test_a_claim_that_was_not_written_leaves_no_row_whatever_happened_meanwhile(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        shop.store.claim = failing(15)  # type: ignore[method-assign]  # of a disk that no test can have fail so slowly

        async def retry() -> None:
            await pass_time(2)
            shop.assembly.retry((await shop.incident()).id)  # the ladder begins anew: nothing is laid at its door

        retrying = asyncio.ensure_future(retry())
        await shop.live(20)
        await retrying
        assert shop.went == 0
        assert await shop.attempts() == []

    in_a_shop(tmp_path, story)


def test_what_became_of_an_attempt_while_its_claim_was_on_its_way_is_written_after_it(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        claim = shop.store.claim

        async def slow(*arguments: Any, **options: Any) -> Any:
            hold = await claim(*arguments, **options)
            await pass_time(1)
            board = shop.assembly.board
            attempt = next(reversed(board.attempts.values()))
            board.put_attempt(replace(attempt, sick=(*attempt.sick, "over")))
            return hold

        shop.store.claim = slow  # type: ignore[method-assign]  # as above
        await shop.live(12)
        first, *_ = await shop.attempts()
        assert "over" in first.sick
        assert shop.assembly.board.claiming == set()

    in_a_shop(tmp_path, story)


def test_a_clock_that_jumps_between_the_guards_and_the_claim_is_not_the_claims(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN})
    facts, clock, asked = world.simulation.assembly.situation.facts, world.simulation.clock, list[Any]()

    def then_jumps(*arguments: Any, **options: Any) -> Any:
        found = facts(*arguments, **options)
        asked.append(found)
        if len(asked) == 2:  # when it is proposed, and after the second look
            clock.wall_offset = 86400.0
        return found

    world.simulation.assembly.situation.facts = then_jumps  # type: ignore[method-assign]  # no test could be so quick
    world.run(55)
    assert world.claims() == [0.0]  # by the clock that the guards saw
    assert world.incident().hold is HoldReason.CLOCK_JUMPED


def test_the_threads_of_an_effect_are_not_those_of_the_check_that_was_looked_at(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        seen = []

        async def act() -> Outcome:
            seen.append(caller.get())
            return Outcome(summary="done")

        shop.act = act
        await shop.live(6)
        assert set(seen) == {None}

    in_a_shop(tmp_path, story)


def test_a_second_look_of_what_a_reload_edited_leaves_its_time_out_to_nobody(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.live(1)
        runs, (name, former) = shop.assembly.runs, next(iter(shop.assembly.setup.checks.items()))
        file = tmp_path / "edited.yaml"
        file.write_text(RULES.replace("every: 10s", "every: 10s, timeout: 1s"))
        edited = load(file, node="node", types=shop.assembly.setup.types)
        assert edited.checks[name].timeout != former.timeout

        async def look(_: int) -> Sequence[Reading]:
            return DOWN

        shop.look = look
        shop.assembly.replace(edited)
        await runs.look_and_judge(former, is_look=True)
        await runs.start(edited.checks[name])
        assert runs._toolboxes[name].timeout == edited.checks[name].timeout

    in_a_shop(tmp_path, story)
