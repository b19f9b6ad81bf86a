"""Performance data of Nagios plug-ins: `'label'=value[unit];warn;crit;min;max`, parted by blanks.

Source: Monitoring Plugins Development Guidelines, section "Performance data"
(https://www.monitoring-plugins.org/doc/guidelines.html), and Nagios Core's "Plugin API" for output of several lines.
"""

import re
from dataclasses import dataclass

from daemon.plugin import Dimension

_ITEM = re.compile(
    r"""\s*(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^\s=']+))
        =(?P<value>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|U)
        (?P<unit>[A-Za-zµ%]*)(?:;[^\s;]*)*(?=\s|$)""",
    re.VERBOSE,
)
_UNITS: dict[str, tuple[Dimension, float]] = {
    "s": (Dimension.SECONDS, 1.0),
    "ms": (Dimension.SECONDS, 1e-3),
    "us": (Dimension.SECONDS, 1e-6),
    "µs": (Dimension.SECONDS, 1e-6),
    "ns": (Dimension.SECONDS, 1e-9),
    "%": (Dimension.PERCENT, 1.0),
    "b": (Dimension.BYTES, 1.0),
    # The plug-ins mean powers of 1024 by these (check_disk's MB is 2^20 bytes), and so do Nagios and Icinga.
    "kb": (Dimension.BYTES, 2.0**10),
    "mb": (Dimension.BYTES, 2.0**20),
    "gb": (Dimension.BYTES, 2.0**30),
    "tb": (Dimension.BYTES, 2.0**40),
    "kib": (Dimension.BYTES, 2.0**10),
    "mib": (Dimension.BYTES, 2.0**20),
    "gib": (Dimension.BYTES, 2.0**30),
    "tib": (Dimension.BYTES, 2.0**40),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One value of performance data."""

    label: str
    value: float | None  # in the base unit: seconds, bytes, percent; None: the plug-in says that it does not know (U)
    unit: str  # as the plug-in wrote it; "" or "c" (a counter) say nothing of what is counted
    dimension: Dimension | None  # None: the unit says nothing, or is none that is known


def split_output(output: str) -> tuple[str, str]:
    """The text and the performance data of a plug-in's output.

    The first line is text, with performance data after a `|`; more text may follow, and after the next `|` all that
    is left is performance data.
    """
    first, _, rest = output.strip("\n").partition("\n")
    text, _, data = first.partition("|")
    more, _, more_data = rest.partition("|")
    return "\n".join(part for part in (text.strip(), more.strip()) if part), f"{data}\n{more_data}"


def parse_perfdata(data: str) -> list[Item]:
    """Every well-formed item; what is not is passed over, as Nagios does."""
    items = []
    place = 0
    while place < len(data):
        found = _ITEM.match(data, place)
        if found:
            items.append(_item(found))
            place = found.end()
        else:  # on to the next blank
            blank = re.compile(r"\s+\S*|\S+").match(data, place)
            place = blank.end() if blank else len(data)
    return items


def _item(found: re.Match[str]) -> Item:
    label = found["plain"] or found["quoted"].replace("''", "'")
    dimension, factor = _UNITS.get(found["unit"].lower(), (None, 1.0))
    value = None if found["value"] == "U" else float(found["value"]) * factor
    return Item(label=label, value=value, unit=found["unit"], dimension=dimension)
