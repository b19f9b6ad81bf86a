"""A scenario as it was read: what happens in its world, and what is expected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from daemon.config.document import Place
from daemon.config.scenario_schema import ExpectKeys
from daemon.config.setup import Setup
from daemon.model.check import Reading
from daemon.model.remediation import AttemptState
from daemon.testing.simulation import Simulation


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What a check sees."""

    seen: Sequence[Reading] | str  # its readings, or why it could not look
    takes: float = 0.0  # seconds that a run takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What a check sees from a time on."""

    at: float  # seconds since the start, as all times here
    sight: Sight
    look: Sight | None = None  # what a second look sees instead


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """What attempts of a remediation do."""

    remediation: str
    resource: str | None  # None: on any
    nth: int | None  # None: every
    begins: float
    takes: float
    state: AttemptState
    permanent: bool
    then: Mapping[str, Sight]  # by check: what is seen from its end on


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happens to heald or its host."""

    at: float
    words: str  # as the timeline says it
    happens: Callable[[Simulation], None]
    down: float = 0.0  # seconds for which heald is gone from then on
    is_of_host: bool = False  # it happens to the host's clock, whether heald runs or not
    needs_directory: bool = False  # heald writes a file


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What must hold."""

    keys: ExpectKeys
    first: float
    last: float
    place: Place
    text: str  # as it is written


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One world and what is expected of heald in it."""

    file: Path
    name: str
    place: Place
    setup: Setup
    start: datetime
    lasts: float
    readings: Mapping[str, Sequence[Stage]] = field(default_factory=dict)
    deeds: Sequence[Deed] = ()
    events: Sequence[Event] = ()
    expected: Sequence[Expectation] = ()


def is_same_resource(resource: str, named: str, node: str = "node") -> bool:
    """Whether a resource is the one that is named; `@node` may be left out."""
    return resource in (named, f"{named}@{node}")
