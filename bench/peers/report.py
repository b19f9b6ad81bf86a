"""Figures beside their targets."""

import math
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured number; without a target it only explains the others."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None  # the target, if more is worse
    least: float | None = None  # the target, if less is worse

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is; None without one. What could not be measured, NaN, reaches nothing."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def shortfall(self) -> float:
        """How many times the value is beyond its target; 1 or less where it is reached."""
        if self.most is not None:
            return self.value / self.most if self.most else math.inf
        return (self.least or 0.0) / self.value if self.value else math.inf


def percentile(values: Iterable[float], share: float) -> float:
    """The least value that at least this share of all is not above (nearest rank); NaN of none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


def number(value: float, unit: str = "") -> str:
    """Three digits that count, and the unit."""
    if not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{min(digits, 4)}f}".replace(",", " ")
    return f"{text} {unit}".strip()


def _target(figure: Figure) -> str:
    parts = [f"≤ {number(figure.most, figure.unit)}"] if figure.most is not None else []
    parts += [f"≥ {number(figure.least, figure.unit)}"] if figure.least is not None else []
    return ", ".join(parts)


def _verdict(figure: Figure) -> str:
    if figure.is_reached is None:
        return ""
    if math.isnan(figure.value):
        return "not measured"
    return "yes" if figure.is_reached else f"no, {number(figure.shortfall)} times"


def table(figures: Sequence[Figure]) -> str:
    """As Markdown."""
    rows = [("measure", "measured", "target", "reached")]
    rows += [(it.name, number(it.value, it.unit), _target(it), _verdict(it)) for it in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def closing(*figures: Figure) -> int:
    """Print them beside their targets, and say how a bench exits: 1 if one is missed."""
    print(table(figures))
    return 1 if any(it.is_reached is False for it in figures) else 0


def machine() -> str:
    """What this was measured on, in a line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    model = _first("/proc/cpuinfo", lambda line: line.startswith("model name")).partition(":")[2].strip()
    system = _first("/etc/os-release", lambda line: line.startswith("PRETTY_NAME=")).partition("=")[2].strip('"')
    load = ", ".join(f"{it:.1f}" for it in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({model or platform.machine()}), {memory:.0f} GB, {system or platform.system()}, "
        f"Python {platform.python_version()}; load before {load}"
    )


def _first(file: str, wanted: Callable[[str], bool]) -> str:
    try:
        return next((line for line in Path(file).read_text().splitlines() if wanted(line)), "")
    except OSError:
        return ""
