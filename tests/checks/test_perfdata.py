"""Performance data of Nagios plug-ins, as the guidelines write them and as plug-ins really do."""

import pytest

from checks._perfdata import parse_perfdata, split_output
from daemon.plugin import Dimension


@pytest.mark.parametrize(
    ("data", "items"),
    [
        ("a=1 b=2", [("a", 1.0), ("b", 2.0)]),
        ("'it''s = here'=3;4;5", [("it's = here", 3.0)]),
        ("a=1;2;3;4;5   b=-0.5e1", [("a", 1.0), ("b", -5.0)]),
        ("a=.5s b=5.s c=1us d=1µs", [("a", 0.5), ("b", 5.0), ("c", 1e-6), ("d", 1e-6)]),
        ("a=1KB b=1KiB c=1TB d=1B", [("a", 1024.0), ("b", 1024.0), ("c", 2.0**40), ("d", 1.0)]),
        ("a=U b=1", [("a", None), ("b", 1.0)]),
        ("a=0:5;~:6;@1:2 b=1;~:6;@1:2", [("b", 1.0)]),
        ("garbage a=x =4 'open=1 b=2", [("b", 2.0)]),
        ("a=1,5s", []),
        ("", []),
    ],
)
def test_performance_data_are_read_as_the_guidelines_say(data: str, items: list[tuple[str, float | None]]) -> None:
    assert [(item.label, item.value) for item in parse_perfdata(data)] == items


def test_reading_performance_data_takes_time_in_proportion() -> None:
    assert parse_perfdata("'" * 60_000) == []
    assert len(parse_perfdata("a=1;" * 15_000 + " b='" * 1000)) == 1


def test_output_of_several_lines_is_text_then_performance_data() -> None:
    text, data = split_output("OK - fine | a=1\nmore\nlines | b=2\nc=3\n")
    assert text == "OK - fine\nmore\nlines"
    assert [item.label for item in parse_perfdata(data)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("written", "unit", "dimension", "value"),
    [
        ("2s", "s", Dimension.SECONDS, 2.0),
        ("2ms", "ms", Dimension.SECONDS, 0.002),
        ("2ns", "ns", Dimension.SECONDS, 2e-9),
        ("85%", "%", Dimension.PERCENT, 85.0),
        ("2MB", "MB", Dimension.BYTES, 2.0 * 2**20),
        ("2GiB", "GiB", Dimension.BYTES, 2.0 * 2**30),
        ("7c", "c", None, 7.0),  # a counter says nothing of what it counts
        ("7rpm", "rpm", None, 7.0),
        ("7", "", None, 7.0),
        ("U", "", None, None),
    ],
)
def test_a_unit_says_what_is_measured_and_the_value_is_in_its_base(
    written: str, unit: str, dimension: Dimension | None, value: float | None
) -> None:
    (item,) = parse_perfdata(f"it={written};1;2;0;9")
    assert (item.label, item.unit, item.dimension) == ("it", unit, dimension)
    assert item.value == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("output", "text", "data"),
    [
        ("OK", "OK", []),
        ("OK | a=1", "OK", ["a"]),
        ("\nOK | a=1\n", "OK", ["a"]),
        ("OK\nmore", "OK\nmore", []),
        ("OK\n | b=2", "OK", ["b"]),
        ("| a=1", "", ["a"]),
        ("", "", []),
    ],
)
def test_text_and_data_are_parted_wherever_they_stand(output: str, text: str, data: list[str]) -> None:
    said, found = split_output(output)
    assert said == text
    assert [item.label for item in parse_perfdata(found)] == data
