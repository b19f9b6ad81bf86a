"""What lasts is kept from the collector; what came of an error is not."""

import gc
import weakref
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.runtime.lasting import Settling, lasting


def test_what_lasts_is_not_looked_through_any_more() -> None:
    try:
        before = gc.get_freeze_count()
        with lasting():
            assert not gc.isenabled()
            made: list[list[int]] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() - before >= len(made)
    finally:
        gc.unfreeze()


def test_after_an_error_the_collector_looks_at_everything() -> None:
    before = gc.get_freeze_count()
    with pytest.raises(ValueError, match="bad"), lasting():
        raise ValueError("bad")
    assert gc.isenabled()
    assert gc.get_freeze_count() == before


@pytest.mark.parametrize("text", ["rules: {r: {check: none, when: up == 0}}", "version: 1\nchecks: [", ""])
def test_what_was_read_of_a_bad_file_does_not_live_as_long_as_its_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    frames, traceback = [], raised.value.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    assert [frame.f_code.co_name for frame in frames][1:] == ["load"]
    assert not {"documents", "setup"} & frames[-1].f_locals.keys()
    assert raised.value.__cause__ is None


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the collector's callback, to be set."""
    time = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


def test_what_is_there_is_looked_through_ever_more_seldom(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[float] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(now[0]))
    settling = Settling()
    for second in range(1, 1000):
        now[0] = 100.0 + second
        for generation in (0, 1, 2):
            settling("start", {"generation": generation})
            settling("stop", {"generation": generation})
    assert frozen == [115.0, 145.0, 235.0, 505.0]


def test_only_what_a_collection_of_all_left_is_kept(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[float] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(now[0]))
    settling = Settling()
    for second in range(1, 100):
        now[0] = 100.0 + second
        for generation in (0, 1, *([2] if second % 20 == 0 else [])):
            settling("start", {"generation": generation})
            settling("stop", {"generation": generation})
    assert frozen == [120.0, 160.0]  # the first of all after 15 s, and after three times 20 s


class Circle:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_in_the_oldest_generation_is_freed_and_not_kept_for_good(now: list[float]) -> None:
    settling = Settling()
    now[0] += 3600
    circle = Circle()
    gc.collect()  # it lives, and is in the oldest generation now
    seen = weakref.ref(circle)
    del circle
    before = gc.get_freeze_count()
    gc.callbacks.append(settling)
    try:
        gc.collect(1)
        assert (seen() is not None, gc.get_freeze_count()) == (True, before)
        gc.collect()
        assert seen() is None
        assert gc.get_freeze_count() > before
    finally:
        gc.callbacks.remove(settling)
        gc.unfreeze()
