"""What heald remembers of one rule x check x subject, and of one rule x resource, between runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.model.approval import Approval
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.moment import Stamp
from daemon.model.order import Order
from daemon.model.quick import quick
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """The lifecycle of one rule x check x subject."""

    rule: str
    check: str
    subject: str
    state: IncidentState = IncidentState.INACTIVE  # never a closed state: closing goes back to INACTIVE
    counted: float = 0.0  # steady seconds that count towards `for`, or in RECOVERING towards `clear_for`
    incident: str | None = None  # the open incident's id
    muted: bool = False  # held by a sick upstream: when that ends `for` counts anew before it is proposed and told
    told_flapping: bool = False  # people were told that it flaps, and it does still: its relapses are not told again
    # What follows is not kept across a restart: no time counts across the gap.
    last: Verdict | None = None  # the verdict of the newest judged run; None after runs that judged nothing
    last_at: float = 0.0  # that run's end, steady seconds
    missing_since: float | None = None  # first run that could look and did not find the subject, steady seconds
    memory: tuple[tuple[str, ...], ...] = ()  # count_of: verdicts of its inner conditions, newest last; kept

    @property
    def is_remembered(self) -> bool:
        """Whether there is more to it than what it sees now, even while it is INACTIVE."""
        return bool(self.memory) or self.told_flapping


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """How far one rule has come with one resource."""

    rule: str
    resource: str  # of the rule's first step
    step: str = ""  # the current step's key; "" is the first step
    nth: int = 0  # which of several equal steps
    tries: Mapping[str, int] = field(default_factory=dict)  # tries spent, by "KEY#NTH"
    attempt: str | None = None  # the attempt under way, from its claim to the end of its verification
    clear_streak: int = 0  # second looks in a row that found it clear
    flapping: bool = False  # three of them: held until it has been closed for `relapse`
    worse: str = ""  # what became sick after its newest attempt, in words: held as `flapping` is
    exhausted: bool = False  # every step was tried
    waiting_since: Stamp | None = None  # unverified: waits for the first known run
    floor: Stamp | None = None  # the settle's end behind which no window of its incidents reaches
    closed: Stamp | None = None  # when its last open incident closed
    last_incident: str | None = None  # the last of its incidents to close: a relapse links to it
    held_for: float = 0.0  # seconds of being held that count towards `escalate_after`
    hold: HoldReason | None = None  # the hold in force
    would: bool = False  # it has would-be attempts: going to act mode resets it


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class HoldRecord:
    """A hold as it is recorded: when its reason changed, not at every run."""

    rule: str
    resource: str
    incident: str
    remediation: str
    reason: HoldReason
    sentence: str
    at: Stamp


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryRow:
    """One run's readings of one subject, for windows after a restart and for people."""

    check: str
    subject: str
    at: Stamp
    ok: bool  # false: the run was blind
    samples: Mapping[str, float | str | bool]
    error: str = ""  # why it was blind


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """All that the store gives back at start."""

    incidents: tuple[Incident, ...]  # the open ones, and those closed recently enough for a relapse
    tracks: tuple[Track, ...]  # those not INACTIVE, and those that are remembered all the same
    ladders: tuple[Ladder, ...]
    attempts: tuple[Attempt, ...]  # every one that a limit could still count, oldest first
    orders: tuple[Order, ...] = ()  # those that nobody ended; time may have
    approvals: tuple[Approval, ...] = ()  # those of which something can still come
