"""Durations, sizes and shares as operators write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.units import format_duration, format_size, parse_duration, parse_percent, parse_size, rough_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("2m", 120), ("1h", 3600), ("3d", 259200), ("1w", 604800), ("1m30s", 90), ("0s", 0)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "5sec", "-5s", "s", "1e3s", "30s1m", "1m1m", "1.5.5s", "5S"])
def test_what_is_no_duration_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_every_duration_is_read_back_as_it_was_written(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.84, "800ms"), (3579.824, "59m40s"), (12.3, "12s"), (7325.0, "2h2m"), (86400.0, "1d")]
)
def test_a_sentence_rounds_what_nobody_wants_to_know(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


def test_sizes_and_shares_are_read_and_shown() -> None:
    assert (parse_size("2GiB"), parse_size("1kB"), parse_percent("85%")) == (2 * 2**30, 1000, 85)
    assert (format_size(2 * 2**30), format_size(10)) == ("2GiB", "10B")
    for wrong in ("2gb", "2", "2 GiB", "GiB"):
        with pytest.raises(ValueError, match="size"):
            parse_size(wrong)
    with pytest.raises(ValueError, match="share"):
        parse_percent("85")
