"""Durations, sizes and shares as operators write them: `1m30s`, `2GiB`, `85%`, `3/1h`."""

import re
from functools import lru_cache

DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZE_UNITS = {
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_SIZE = re.compile(rf"({_NUMBER})({'|'.join(SIZE_UNITS)})")
_PERCENT = re.compile(rf"({_NUMBER})%")
_ORDER = ["w", "d", "h", "m", "s", "ms"]


@lru_cache(maxsize=256)  # a file repeats its own
def parse_duration(text: str) -> float:
    """Seconds of a duration such as `250ms`, `5s`, `1m30s` (units from large to small, each once).

    Raises:
        ValueError: with a sentence that says what is allowed.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write a number with ms, s, m, h, d or w, such as 30s or 1m30s")
    places = [_ORDER.index(unit) for _, unit in parts]
    if places != sorted(set(places)):
        raise ValueError(f"{text!r}: the units of a duration go from large to small, each once, such as 1h30m")
    return sum(float(number) * DURATION_UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The shortest exact way to write a duration; what is below a millisecond is rounded away."""
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    sign = "-" if left < 0 else ""
    left = abs(left)
    text = ""
    for unit in _ORDER:
        size = round(DURATION_UNITS[unit] * 1000)
        if unit == "w" and left % size:
            continue  # 8d reads better than 1w1d
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return sign + text


def rough_duration(seconds: float) -> str:
    """A duration for a sentence: to the second above ten, to the minute above an hour."""
    if seconds >= 3600:
        return format_duration(round(seconds / 60) * 60)
    return format_duration(round(seconds) if seconds >= 10 else round(seconds, 1))


def parse_size(text: str) -> float:
    """Bytes of a size such as `2GiB`. Raises ValueError with what is allowed."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a size; write a number with {', '.join(SIZE_UNITS)}, such as 512MiB")
    return float(found[1]) * SIZE_UNITS[found[2]]


def format_size(size: float) -> str:
    """A size for people, in the largest binary unit that keeps it at 1 or more."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if abs(size) >= SIZE_UNITS[unit]:
            return f"{size / SIZE_UNITS[unit]:.4g}{unit}"
    return f"{size:.4g}B"


def parse_percent(text: str) -> float:
    """The number of a share such as `85%`. Raises ValueError with what is allowed."""
    found = _PERCENT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a share; write a number with %, such as 85%")
    return float(found[1])
