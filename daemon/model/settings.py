"""The settings of the whole daemon, as the operator wrote them."""

from dataclasses import dataclass
from enum import StrEnum

from daemon.model.rule import Limit


class Mode(StrEnum):
    """Whether heald may act at all."""

    OBSERVE = "observe"
    ACT = "act"


@dataclass(frozen=True, kw_only=True, slots=True)
class StormSettings:
    """When many sick services are a storm."""

    share: float  # percent of the services without a sick upstream
    quiet: float = 600.0  # seconds without a storm before acting again


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """`settings:` of the file, defaults filled in; durations are seconds."""

    mode: Mode = Mode.OBSERVE
    allow: frozenset[str] = frozenset()  # remediations that may act; nothing else ever does
    budget: tuple[Limit, ...] = (Limit(count=20, window=3600.0),)  # all remediations together
    self_test: tuple[str, ...] = ()  # checks that tell whether it is heald itself that is cut off
    storm: StormSettings | None = None  # None: off
    conflicts: tuple[str, ...] = ()  # files or units that hold all acting while they are there or at work
    escalate_after: float = 600.0  # held longer than this: people are told
    startup_grace: float = 60.0  # no acting so soon after start; 0 switches it off, the boot grace too
    shutdown_grace: float = 20.0  # how long running attempts may take to end when heald stops
    concurrency: int = 512  # most runs in flight
    history_for: float = 7 * 86400.0  # how long run history is kept
    history_size: int = 256 * 2**20  # bytes of run history kept at most
    listen: str = "127.0.0.1:9797"  # HOST:PORT of metrics and health pages
    uvloop: bool = False  # run on uvloop where it is installed
