"""Which event loop the daemon runs on, and what is said of it."""

import asyncio
import sys

import pytest
import uvloop

from daemon.loop import loop_factory, loop_name, say_if_another


def test_without_the_wish_it_is_asyncios_own() -> None:
    assert loop_factory(uvloop=False) is None


def test_uvloop_is_taken_where_it_is_wanted_and_there() -> None:
    async def name() -> str:
        return loop_name()

    for wanted, expected in ((False, "asyncio"), (True, "uvloop")):
        with asyncio.Runner(loop_factory=loop_factory(uvloop=wanted)) as runner:
            assert runner.run(name()) == expected


def test_where_it_is_missing_heald_watches_all_the_same_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as Python marks what cannot be imported
    assert loop_factory(uvloop=True) is None
    assert "heald runs on asyncio's own loop" in caplog.text


@pytest.mark.parametrize(("runs_on", "wanted"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_reload_that_wants_another_says_that_it_takes_a_start(
    runs_on: bool, wanted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def reload() -> None:
        say_if_another(uvloop=wanted)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if runs_on else None) as runner:
        runner.run(reload())
    assert ("takes effect when heald is started again" in caplog.text) == (runs_on != wanted)


async def test_where_it_is_missing_a_reload_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    say_if_another(uvloop=True)
    assert caplog.text == ""
