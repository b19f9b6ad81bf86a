"""What every peer is given to watch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.peers.targets import Nginx


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Checks of one kind, each with one rule."""

    kind: str  # tcp, http or, for heald alone, mixed: every other one
    checks: int
    every: float  # seconds
    nginx: Nginx
    options: dict[str, str] = field(default_factory=dict)  # more of each check, for heald alone
    settings: dict[str, str] = field(default_factory=dict)  # of heald itself

    @property
    def numbers(self) -> range:
        """Of the checks."""
        return range(self.checks)


class Peer(Protocol):
    """A module of this package that starts one of those who are compared."""

    NAME: str

    def start(self, plan: Plan, folder: Path) -> AbstractContextManager[Sequence[int]]:
        """The pids at the roots of its trees, once it watches."""
