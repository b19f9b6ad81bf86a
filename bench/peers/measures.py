"""All that is measured, in order."""

from collections.abc import Callable
from pathlib import Path

from bench.peers import claims, compare, hour, load, long_day, silent, surfaces
from bench.peers.report import Figure

MEASURES: dict[str, Callable[[Path], list[Figure]]] = {
    "tcp": compare.tcp,
    "http": compare.http,
    "many": load.many,
    "overload": load.overload,
    "silent": silent.silent,
    "page": surfaces.page,
    "idle": surfaces.idle,
    "start": surfaces.start,
    "claims": claims.claims,
    "long-day": long_day.long_day,
    "hour": hour.hour,
}
NAMED_ONLY = frozenset({"hour"})
"""What takes too long to be measured unless it is asked for."""
