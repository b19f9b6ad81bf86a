"""A page of families as text, a row at a time: prometheus_client says how a row looks, we fill in what differs.

Whoever asks for the rows may do other things between two of them: a page of 100 000 series is work for a tenth of a
second and more, of which no part is long. Nothing is kept of a page, and nothing is copied for it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_END = "# EOF\n"  # of OpenMetrics
_PLACE = re.compile("\0([0-9]+)\0")
_as_go: Callable[[float], str] = floatToGoString


def place(number: int) -> str:
    """What stands for the label value of this place of every row, in the row that a family has as its example."""
    return f"\0{number}\0"


def label(value: str) -> str:
    """A label's value as it stands on the page; a name that is not UTF-8 would cost Prometheus the whole scrape."""
    if not value or value.isidentifier():  # most: nothing of it can need an escape
        return value
    value = value.encode(errors="replace").decode()
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def whole(count: int) -> str:
    """A count as it stands on the page."""
    return f"{count}.0" if count < 1_000_000 else _as_go(count)


def number(value: float) -> str:
    """A number as it stands on the page."""
    value = float(value)
    return repr(value) if 0.0 <= value < 1_000_000 else _as_go(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A metric of any number of series."""

    metric: Metric  # with its samples, or with those of one row as an example
    # Of every row the texts of its places, then the numbers of its samples in their order. None: the metric has all.
    rows: Iterable[tuple[str, ...]] | None = None


class Page:
    """What one scrape is answered with."""

    def __init__(self, families: Iterable[Family], host: Iterable[Collector], accept: str = "") -> None:
        try:
            self._encode, self.content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # an Accept header with a version that is none
            self._encode, self.content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        self._families = families
        self._host = host

    def host(self) -> str:
        """What stands before the rows: of the process, which is read from files and may be asked for in a thread."""
        return "".join(self._text(collector) for collector in self._host)

    def rows(self) -> Iterator[str]:
        """heald's own families. What is counted meanwhile may be in it or not, but each row is of one moment."""
        for family in self._families:
            text = self._text(_One(family.metric))
            if family.rows is None:
                yield text
            else:
                lines = text.splitlines(keepends=True)
                yield "".join(line for line in lines if line.startswith("# "))
                yield from map(_filler([line for line in lines if not line.startswith("# ")]), family.rows)
        yield self._text(_None(), end=True)

    def _text(self, families: Collector, *, end: bool = False) -> str:
        text = self._encode(families).decode()
        return text if end else text.removesuffix(_END)


class _None(Collector):
    def collect(self) -> Iterable[Metric]:
        return ()


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _filler(lines: list[str]) -> Callable[[tuple[str, ...]], str]:
    """What makes a row's text of its places and numbers, from the lines of the example."""
    labels = len({found for line in lines for found in _PLACE.findall(line)})
    pattern = ""
    for at, line in enumerate(lines):
        series, _, _ = line.replace("{", "{{").replace("}", "}}").rpartition(" ")
        series = _PLACE.sub(r"{\1}", series)
        pattern += f"{series} {{{labels + at}}}\n"
    fill = pattern.format
    return lambda row: fill(*row)
