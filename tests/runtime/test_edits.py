"""What an edited check leaves behind, in virtual time: runs in flight, subjects."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.setup import Setup
from daemon.model.incident import IncidentState
from daemon.plugin import Reading
from tests.runtime.shop import DOWN, RULES, UP, Shop, in_a_shop


@pytest.mark.parametrize(
    ("edit", "is_judged"),
    [
        (("port: 1", "port: 2"), False),
        (("every: 10s", "every: 10s, labels: {tier: web}"), True),  # it looks at the same thing still
        (("  shop: {service: shop, tcp", "  shop: {service: shop, process: {name: shop}}\n  other: {tcp"), False),
    ],
)
def test_a_run_of_what_a_check_was_before_is_not_judged_as_one_of_what_it_is(
    tmp_path: Path, edit: tuple[str, str], is_judged: bool
) -> None:
    edited = RULES.replace(*edit)
    assert edited != RULES

    async def story(shop: Shop) -> None:
        async def look(number: int) -> Sequence[Reading]:
            if number > 1:
                return UP
            await asyncio.sleep(0.01)
            shop.assembly.replace(shop.read(edited))
            return DOWN

        shop.look = look
        await shop.live(5)
        assert len(await shop.store.incidents(limit=10, closed=True)) == is_judged
        assert shop.went == 0

    in_a_shop(tmp_path, story)


def test_a_subject_of_a_check_that_discovers_none_any_more_is_withdrawn(tmp_path: Path) -> None:
    def read(shop: Shop, *, discovers: bool) -> Setup:
        setup = shop.read(RULES.replace("mode: act", "mode: observe"))
        return replace(setup, checks={"shop": replace(setup.checks["shop"], discovers=discovers)})

    async def story(shop: Shop) -> None:
        async def look(number: int) -> Sequence[Reading]:
            return [Reading(subject="till", samples={"up": 0.0})] if number < 3 else UP

        shop.look = look
        shop.assembly.replace(read(shop, discovers=True))
        await shop.live(5)
        assert (await shop.incident()).state is IncidentState.FIRING
        shop.assembly.replace(read(shop, discovers=False))
        await shop.live(25)
        assert (await shop.incident()).state is IncidentState.WITHDRAWN
        assert shop.assembly.board.tracks == {}

    in_a_shop(tmp_path, story)


def test_a_check_that_was_not_edited_stays_the_same_object(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        before = shop.assembly.setup.checks
        more = RULES.replace("rules:\n", "  extra: {tcp: {host: h, port: 2}, every: 10s}\nrules:\n")
        shop.assembly.replace(shop.read(more))
        assert shop.assembly.setup.checks["shop"] is before["shop"]
        shop.assembly.replace(shop.read(more.replace("port: 1", "port: 3")))
        assert shop.assembly.setup.checks["shop"] is not before["shop"]
        await shop.live(15)  # and it is looked at as what it is now
        assert shop.assembly.runs.newest["shop"].error is None

    in_a_shop(tmp_path, story)


def test_an_edited_timeout_is_what_the_next_run_is_told(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.live(15)
        runs = shop.assembly.runs
        before = runs._toolboxes["shop"]
        shop.assembly.replace(shop.read(RULES))
        await shop.live(15)
        assert runs._toolboxes["shop"] is before
        shop.assembly.replace(shop.read(RULES.replace("every: 10s", "every: 10s, timeout: 3s")))
        await shop.live(15)
        assert runs._toolboxes["shop"].timeout == 3.0

    in_a_shop(tmp_path, story)
