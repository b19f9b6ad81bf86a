"""Why heald acts or does not: what `heald explain`, `heald plan` and `heald report --would` are told."""

from dataclasses import dataclass

from daemon.model.incident import Hold, HoldReason, Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit, Severity, Verdict
from daemon.model.track import HoldRecord

PLANNED_AT_MOST = 50  # entries of a plan: each is asked what it would do, for ten seconds at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Operand:
    """One thing that a condition looks at, as it was in the run that is explained."""

    text: str  # as it stands in the condition: `avg(latency_seconds, 5m)`
    value: str | None  # for people, with its unit; None: missing
    missing: str = ""  # why it is
    window: float | None = None  # seconds that it looks back on
    samples: int | None = None  # known ones in that window
    span: float | None = None  # seconds from the oldest of them to the newest


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardAnswer:
    """What one guard says of a proposal."""

    reason: HoldReason  # the guard's name
    hold: Hold | None = None  # None: it lets pass
    until: float | None = None  # seconds since the epoch, where the guard knows


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What one limit still permits."""

    of: str  # "rule NAME", the resource, or "all"
    limit: Limit
    used: int
    free_in: float  # seconds until one more may begin: 0 now, infinite never


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """What would be done next, and what the guards say of it now, all of them in their order."""

    remediation: str
    resource: str
    step: int  # 1 is the rule's first
    steps: int
    try_number: int
    tries: int
    would: bool  # nothing would really be done: observe mode, or the remediation is not allowed
    guards: tuple[GuardAnswer, ...] = ()
    is_left: bool = True  # false: every try of every step was made, and this was the last
    plan: str = ""  # what the remediation says that it would do; "": it was not asked
    allowances: tuple[Allowance, ...] = ()

    @property
    def held(self) -> tuple[GuardAnswer, ...]:
        """The guards that hold, in order: the first is the decision, the others are what comes after it."""
        return tuple(answer for answer in self.guards if answer.hold is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where one rule stands with one subject of one check."""

    rule: str
    check: str
    subject: str
    service: str | None
    severity: Severity
    answer: str  # one sentence: why nothing is done, or what is
    condition: str
    clear_when: str | None
    verdict: Verdict | None  # None: the check has not run, or its newest run judged nothing
    because: str
    operands: tuple[Operand, ...]
    ran: Stamp | None  # the end of the run that is explained
    state: IncidentState
    since: Stamp | None  # when that state began, where it is known
    counted: float  # seconds that count towards `needed`
    needed: float  # seconds: `for` while pending, `clear_for` while recovering, else 0
    incident: str | None
    hold: HoldReason | None  # what is recorded as holding the incident
    hold_sentence: str
    handed_over: HoldReason | None
    next: NextStep | None = None  # None: the rule has no steps, or the check has not run


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentStory:
    """What happened to one incident, each oldest first."""

    incident: Incident
    transitions: tuple[Transition, ...]
    holds: tuple[HoldRecord, ...]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The answer to `heald explain NAME`."""

    name: str
    kind: str  # rule, service, "rule and service", incident
    answer: str  # one sentence
    standings: tuple[Standing, ...] = ()  # the worst first
    left_out: int = 0  # standings that are not told
    story: IncidentStory | None = None  # of an incident


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanEntry:
    """What heald would do about one ladder if it were in act mode now."""

    rule: str
    severity: Severity
    incident: str
    check: str
    subject: str
    answer: str  # one sentence
    next: NextStep | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """How far one limit was used within a time."""

    of: str  # "rule NAME", the resource, or "all"
    limit: Limit
    most: int  # attempts, would-be ones too, that counted at once


@dataclass(frozen=True, kw_only=True, slots=True)
class WouldRow:
    """What observe mode would have done for one rule and one resource within a time."""

    rule: str
    resource: str
    attempts: tuple[Attempt, ...]  # would-be ones, oldest first
    peaks: tuple[Peak, ...]  # of the limits in force now
    holds: tuple[tuple[HoldReason, int], ...]  # how often each was recorded
    handed_over: tuple[Incident, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class WouldReport:
    """The answer to `heald report --would`."""

    since: float  # seconds since the epoch
    rows: tuple[WouldRow, ...]
    budget: tuple[Peak, ...]
    is_cut: bool = False  # the record has more rows of that time than were read: the oldest are missing
