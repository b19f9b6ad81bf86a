"""All that is measured, in order."""

from collections.abc import Callable
from pathlib import Path

from bench.peers import compare
from bench.peers.report import Figure

MEASURES: dict[str, Callable[[Path], list[Figure]]] = {
    "tcp": compare.tcp,
    "http": compare.http,
}
