"""Words of YAML: the core schema of 1.2, and nothing that surprises."""

import pytest

from daemon.config.scalars import ScalarError, read_plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("off", "off"),
        ("tRUE", "tRUE"),
        ("10:30", "10:30"),
        ("1_000", "1_000"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("5m", "5m"),
        ("1.2.3", "1.2.3"),
        ("3/1h", "3/1h"),
        ("-", "-"),
        ("=", "="),
        ("１２", "１２"),
    ],
)
def test_a_word_is_what_yaml_1_2_says(word: str, value: object) -> None:
    read = read_plain(word)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("012", 'write 12, or "012" as text'),
        ("-007", 'write -7, or "-007" as text'),
        ("00", 'write 0, or "00" as text'),
        ("0o17", 'write 15, or "0o17" as text'),
        ("0x1F", 'write 31, or "0x1F" as text'),
        ("0b101", 'write 5, or "0b101" as text'),
        (".inf", "no number that a setting can have"),
        ("-.INF", "no number that a setting can have"),
        (".NaN", "no number that a setting can have"),
        ("1e999", "larger than any number"),
        ("9" * 50, "a number of 50 characters"),
    ],
)
def test_what_readers_of_yaml_disagree_about_is_refused_with_how_to_write_it(word: str, said: str) -> None:
    with pytest.raises(ScalarError) as raised:
        read_plain(word)
    assert said in str(raised.value)
