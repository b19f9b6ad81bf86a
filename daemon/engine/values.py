"""Numbers with dimensions: literals as operators write them, values as people read them, and what may be computed."""

import re
import sys

from daemon.model.check import Dimension
from daemon.model.units import (
    DURATION_UNITS,
    SIZE_UNITS,
    format_duration,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)

Value = float | str | bool | None
"""What an expression comes to for one run; None is missing, or UNKNOWN where it is a boolean."""

LARGEST = sys.float_info.max
PER_SECOND = {
    Dimension.NONE: Dimension.NONE_PER_SECOND,
    Dimension.SECONDS: Dimension.SECONDS_PER_SECOND,
    Dimension.BYTES: Dimension.BYTES_PER_SECOND,
    Dimension.PERCENT: Dimension.PERCENT_PER_SECOND,
}
"""The dimension of a change per second; what is per second already has none."""
_BASE = {per: base for base, per in PER_SECOND.items()}
_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SUFFIX = {Dimension.NONE: "", Dimension.SECONDS: "s", Dimension.BYTES: "B", Dimension.PERCENT: "%"}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)([eE][+-]?[0-9]+)?")
_UNIT = re.compile(r"[0-9.]+(.*)")
_KNOWN_DURATION = re.compile(rf"(?:[0-9.]+(?:{'|'.join(DURATION_UNITS)}))+")
_MEANT = {
    **dict.fromkeys(("msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("S", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("H", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("D", "day", "days"), "d"),
    **dict.fromkeys(("W", "week", "weeks"), "w"),
    **dict.fromkeys(("b", "byte", "bytes"), "B"),
    **dict.fromkeys(("k", "K", "KB", "kb", "kib", "Kib", "kiB", "KIB"), "KiB"),
    **dict.fromkeys(("M", "Mb", "mb", "mib", "Mib", "miB", "MIB"), "MiB"),
    **dict.fromkeys(("g", "G", "Gb", "gb", "gib", "Gib", "giB", "GIB"), "GiB"),
    **dict.fromkeys(("t", "T", "Tb", "tb", "tib", "Tib", "tiB", "TIB"), "TiB"),
    **dict.fromkeys(("pct", "percent"), "%"),
}
UNITS = (*DURATION_UNITS, *SIZE_UNITS, "%")


def is_number(dimension: Dimension) -> bool:
    """Whether values of this dimension are numbers."""
    return dimension is not Dimension.BOOLEAN and dimension is not Dimension.STRING


def is_per_second(dimension: Dimension) -> bool:
    """Whether this is a change per second already."""
    return dimension in _BASE


def named(dimension: Dimension) -> str:
    """A dimension in a sentence: `seconds`, `a plain number`, `a string`."""
    names = {
        Dimension.NONE: "a plain number",
        Dimension.NONE_PER_SECOND: "a number per second",
        Dimension.BOOLEAN: "true or false",
        Dimension.STRING: "a string",
    }
    return names.get(dimension) or dimension.value.replace("/s", " per second")


def unit_meant(word: str) -> str | None:
    """The unit that somebody who writes this word means, if that is known."""
    return word if word in UNITS else _MEANT.get(word)


def with_unit(number: str, dimension: Dimension) -> str:
    """A bare number as it is written in a dimension: `5` in seconds is `5s`."""
    base = _BASE.get(dimension, dimension)
    return f"{number}{_SUFFIX[base]}{'/s' if dimension in _BASE else ''}"


def read_literal(text: str) -> tuple[float, Dimension]:
    """The number and the dimension of a literal such as `5`, `1m30s`, `2GiB`, `85%`, `10MB/s`.

    Raises:
        ValueError: with a sentence that says what is allowed.
    """
    body, slash, per = text.rpartition("/")
    if not slash:
        return _finite(text, *_read(text))
    value, dimension = _read(body)
    return _finite(text, value / _PER[per], PER_SECOND[dimension])


def _finite(text: str, value: float, dimension: Dimension) -> tuple[float, Dimension]:
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{text} is too large a number")
    return value, dimension


def _read(text: str) -> tuple[float, Dimension]:
    if text[0] == "0" and text[1:2].isdigit():
        raise ValueError(f"{text} begins with a zero; write {text.lstrip('0') or '0'}")
    number = _NUMBER.fullmatch(text)
    if number:
        return float(text), Dimension.NONE
    if text.endswith("%"):
        return parse_percent(text), Dimension.PERCENT
    if _KNOWN_DURATION.fullmatch(text):
        return parse_duration(text), Dimension.SECONDS
    unit = _UNIT.fullmatch(text)
    if unit and unit[1] in SIZE_UNITS:
        return parse_size(text), Dimension.BYTES
    raise ValueError(_wrong_literal(text, unit[1] if unit else ""))


def _wrong_literal(text: str, unit: str) -> str:
    if not unit or not unit.isalpha():
        return f"{text} is not a number; write numbers as 5, 0.5 or 1e6, with a unit as 5s, 1m30s, 2GiB or 85%"
    said = f"{text} has an unknown unit {unit}"
    meant = unit_meant(unit)
    if meant:
        number = text.removesuffix(unit)
        decimal = f" or {number}{meant.replace('KiB', 'kB').replace('iB', 'B')}" if "iB" in meant else ""
        return f"{said}; write {number}{meant}{decimal}"
    return f"{said}; units are {' '.join(UNITS)}, any of them also /s /m /h"


def human(value: Value, dimension: Dimension) -> str:
    """A value as people read it: `7.2s`, `1.5GiB`, `91%`, `"failed"`; rounded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 120 else f'"{value[:120]}…"'
    if value is None:
        return "missing"
    base = _BASE.get(dimension, dimension)
    return _number(value, base) + ("/s" if dimension in _BASE else "")


def _number(value: float, dimension: Dimension) -> str:
    if dimension is Dimension.SECONDS:
        return _seconds(value)
    if dimension is Dimension.BYTES:
        return format_size(value)
    if dimension is Dimension.PERCENT:
        return f"{value:.4g}%"
    if abs(value) < 1e15 and value == int(value):
        return str(int(value))
    return f"{value:.6g}"


def _seconds(value: float) -> str:
    if value == 0:
        return "0s"
    if abs(value) < 1:
        return f"{value * 1000:.4g}ms"
    if abs(value) < 60:
        return f"{value:.4g}s"
    return format_duration(float(round(value)))


def exact(value: float, dimension: Dimension) -> str:
    """A number with all its digits: for two that differ and would read the same."""
    return with_unit(repr(value), dimension)
