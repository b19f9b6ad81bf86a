"""Whose an exception is, and what is said of it."""

import asyncio

import pytest

from daemon.runtime.faults import is_ours, named, words_of


def test_a_cancellation_is_ours_only_if_somebody_asked_for_it() -> None:
    async def scenario() -> tuple[bool, bool]:
        before = is_ours(asyncio.CancelledError())
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        after = is_ours(asyncio.CancelledError())
        task.uncancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return before, after
        raise AssertionError("it was not cancelled")

    assert asyncio.run(scenario()) == (False, True)
    assert not is_ours(asyncio.CancelledError())  # without a loop nobody can have asked


@pytest.mark.parametrize(("error", "ours"), [(KeyboardInterrupt(), True), (SystemExit(1), False), (OSError(), False)])
def test_only_who_sits_at_the_terminal_ends_heald(error: BaseException, ours: bool) -> None:
    assert is_ours(error) is ours


def test_what_is_said_is_one_line_in_bounds_without_controls() -> None:
    assert words_of(ValueError("a\nb\x1b[31m\udc80 c")) == "a b\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER} c"
    assert len(words_of(ValueError("x" * 10_000))) == 501
    assert named(ValueError()) == "ValueError"
    assert named(ValueError("of a kind")) == "ValueError: of a kind"


def test_an_exception_that_cannot_say_what_it_is_is_told_all_the_same() -> None:
    class DumbError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert named(DumbError()) == "DumbError: without words, because its own text raises RuntimeError"
