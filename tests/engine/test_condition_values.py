"""Values, literals and dimensions."""

import math
import sys

import pytest

from tests.engine.looking import BREACHED, CLEAR, UNKNOWN, World, judged, refused


@pytest.mark.parametrize(
    ("literal", "value"),
    [("5", 5.0), ("0.5", 0.5), ("1e6", 1e6), ("1.5e-3", 0.0015), ("0", 0.0)],
)
def test_a_bare_number_is_a_plain_number(literal: str, value: float) -> None:
    assert judged(f"a == {literal}", a=value) is BREACHED
    assert "a is a plain number" in str(refused(f"a == {literal}/s"))


@pytest.mark.parametrize(
    ("literal", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("2m", 120), ("1h", 3600), ("3d", 259200), ("1w", 604800), ("1m30s", 90)],
)
def test_a_duration_is_seconds(literal: str, seconds: float) -> None:
    assert judged(f"latency_seconds == {literal}", latency_seconds=seconds) is BREACHED


@pytest.mark.parametrize(
    ("literal", "size"),
    [
        ("10B", 10),
        ("4KiB", 4096),
        ("3MiB", 3 * 2**20),
        ("2GiB", 2**31),
        ("1TiB", 2**40),
        ("1kB", 1e3),
        ("1MB", 1e6),
        ("1GB", 1e9),
        ("1TB", 1e12),
    ],
)
def test_a_size_is_bytes(literal: str, size: float) -> None:
    assert judged(f"body_bytes == {literal}", body_bytes=size) is BREACHED


@pytest.mark.parametrize(("literal", "rate"), [("5B/s", 5), ("60B/m", 1), ("3600B/h", 1), ("1MiB/s", 2**20)])
def test_any_literal_may_be_per_time(literal: str, rate: float) -> None:
    assert judged(f"io == {literal}", io=rate) is BREACHED


def test_a_share_is_percent() -> None:
    assert judged("used_percent > 85%", used_percent=86) is BREACHED
    assert judged("used_percent > 85%", used_percent=85) is CLEAR
    assert judged("used_percent == 0.5%", used_percent=0.5) is BREACHED


def test_texts_stand_in_either_quotes() -> None:
    assert judged('state == "it\'s"', state="it's") is BREACHED
    assert judged("state == 'say \"x\"'", state='say "x"') is BREACHED


def test_booleans_are_true_and_false() -> None:
    assert judged("ok == true", ok=True) is BREACHED
    assert judged("ok != false", ok=False) is CLEAR
    assert judged("ok", ok=True) is BREACHED
    assert judged("not ok", ok=True) is CLEAR


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, None, "1", True])
def test_nan_infinities_and_what_is_no_number_are_missing(number: float | str | None) -> None:
    given = {} if number is None else {"a": number}
    assert judged("a > 0", **given) is UNKNOWN
    assert judged("a <= 0", **given) is UNKNOWN
    assert judged("a in [1, 2]", **given) is UNKNOWN
    assert judged("has(a)", **given) is CLEAR


@pytest.mark.parametrize("number", [sys.float_info.max, -sys.float_info.max])
def test_the_largest_finite_numbers_are_numbers(number: float) -> None:
    assert judged("has(a)", a=number) is BREACHED
    assert judged("a + 0 == a and max(a, 5m) == a and unchanged(a) == 0s", a=number) is BREACHED
    other = World("has(db.connections)")
    other.saw("db", 0.0, connections=number)
    assert other.run(1.0) is BREACHED
    assert judged(f"a == {number:.0f}", a=number) is BREACHED


@pytest.mark.parametrize(
    ("text", "sample"), [('state == "x"', {"state": 1}), ("ok", {"ok": 1}), ("ok", {"ok": "true"})]
)
def test_nothing_is_coerced(text: str, sample: dict[str, float | str]) -> None:
    assert judged(text, **sample) is UNKNOWN


def test_a_whole_number_counts_as_a_number() -> None:
    assert judged("a == 2", a=2) is BREACHED
    assert judged("a + a > 1", a=int(1e308)) is UNKNOWN  # too large: 3e308 is no finite number
    assert judged("a * a / a > 1", a=10**300) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "samples", "verdict"),
    [
        ("latency_seconds * 2 == 10s", {"latency_seconds": 5}, BREACHED),
        ("2 * latency_seconds == 10s", {"latency_seconds": 5}, BREACHED),
        ("latency_seconds / 2 == 2500ms", {"latency_seconds": 5}, BREACHED),
        ("body_bytes / 2GiB == 0.5", {"body_bytes": 2**30}, BREACHED),
        ("io / 1MiB/s == 2", {"io": 2**21}, BREACHED),
        ("a / b / c == 1", {"a": 8, "b": 4, "c": 2}, BREACHED),
        ("a - b - c == 1", {"a": 8, "b": 4, "c": 3}, BREACHED),
        ("percent(body_bytes, 4GiB) == 25%", {"body_bytes": 2**30}, BREACHED),
        ("percent(a, b) > 50%", {"a": 3, "b": 4}, BREACHED),
        ("latency_seconds + 1s > 1m", {"latency_seconds": 59.5}, BREACHED),
        ("a * b > 5", {"a": 2, "b": 2}, CLEAR),
        ("-a == -5", {"a": 5}, BREACHED),
        ("- -a == 5", {"a": 5}, BREACHED),
        ("body_bytes / body_bytes * latency_seconds == 3s", {"body_bytes": 7, "latency_seconds": 3}, BREACHED),
    ],
)
def test_arithmetic_keeps_dimensions(text: str, samples: dict[str, float], verdict: object) -> None:
    assert judged(text, **samples) is verdict


@pytest.mark.parametrize("text", ["a / b > 1", "a / b <= 1", "percent(a, b) > 1%", "a / (b - b) == 0", "a / 0 > 1"])
def test_division_by_zero_gives_missing(text: str) -> None:
    assert judged(text, a=1, b=0) is UNKNOWN
    assert judged(text, a=0, b=0.0) is UNKNOWN


@pytest.mark.parametrize("text", ["a * 1e300 > 1", "a * 1e300 - a * 1e300 == 0", "-(a * 1e300) < 1"])
def test_a_result_that_is_no_finite_number_is_missing(text: str) -> None:
    assert judged(text, a=1e300) is UNKNOWN
