"""The small duties: a pause and its end are said once each, by whoever knows of them first."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemon.control import Desk
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.circumstances import Circumstances
from daemon.runtime.janitor import Janitor
from tests.runtime.shop import Shop, in_a_shop

Story = Callable[[Desk, Janitor], Awaitable[None]]


def told(folder: Path, caplog: pytest.LogCaptureFixture, story: Story) -> list[str]:
    """What the log says of pauses while the story is told."""

    async def opened(shop: Shop) -> None:
        around = Circumstances(shop.clock, shop.setup.settings, folder / "pause")
        shop.assembly.circumstances = around
        bindings = Bindings(shop.setup, "node")
        janitor = Janitor(
            bindings,
            board=Board(),
            circumstances=around,
            store=shop.store,
            clock=shop.clock,
            flush=shop.assembly.runs.flush,
        )
        desk = Desk(
            assembly=lambda: shop.assembly,
            reload=lambda: pytest.fail("nobody reloads"),
            readiness=lambda: None,
            listen=lambda: None,
            clock=shop.clock,
            node="node",
            state_dir=folder,
        )
        await story(desk, janitor)

    with caplog.at_level("INFO", logger="heald"):
        in_a_shop(folder, opened)
    return [line.getMessage() for line in caplog.records if "pause" in line.getMessage()]


def test_a_pause_by_command_and_its_end_are_each_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(desk: Desk, janitor: Janitor) -> None:
        await desk.pause(why="upgrade", who="root")
        await janitor.round()
        await janitor.round()
        await desk.resume(who="root")
        await janitor.round()

    assert told(tmp_path, caplog, story) == ["root paused all acting: upgrade.", "root ended the pause."]


def test_a_kill_switch_made_by_hand_is_said_once_and_so_is_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(desk: Desk, janitor: Janitor) -> None:
        (tmp_path / "pause").write_text("release\n")
        await janitor.round()
        await janitor.round()
        (tmp_path / "pause").unlink()
        await janitor.round()
        await janitor.round()

    assert told(tmp_path, caplog, story) == [
        "Acting is paused: release (by whoever made the file).",
        "Acting is not paused any more.",
    ]


def test_a_pause_that_was_there_at_the_start_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "pause").write_text("")

    async def story(desk: Desk, janitor: Janitor) -> None:
        await janitor.round()
        await desk.resume(who="root")
        await janitor.round()

    first, second = told(tmp_path, caplog, story)
    assert first.startswith("Acting is paused: ")
    assert second == "root ended the pause."
