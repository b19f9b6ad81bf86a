"""What lasts is kept from the collector; what came of an error is not."""

import gc
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.problems import ConfigError
from daemon.runtime.lasting import lasting


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
