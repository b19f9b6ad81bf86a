"""What guards are asked about: a proposal, and the facts at that moment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.engine.lifecycle import Timing
from daemon.engine.verification import Watch
from daemon.model.approval import Approval
from daemon.model.incident import Hold
from daemon.model.moment import Stamp
from daemon.model.order import Scope
from daemon.model.quick import quick
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit, Rule, Step, Verdict
from daemon.model.settings import Settings
from daemon.model.track import Ladder


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a step is for what is wrong now: what its `only_if` says, and its operands in words."""

    verdict: Verdict = Verdict.BREACHED
    because: str = ""


FITS = Fit()
"""Of a step without `only_if`."""


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A step that a ladder would take now, for the incident that breached."""

    rule: Rule
    ladder: Ladder
    index: int  # of the step in the rule
    step: Step
    fit: Fit = FITS
    resource: str  # of this step
    incident: str  # the proposing incident's id
    check: str
    subject: str
    service: str | None
    timing: Timing
    firing_since: float  # steady seconds; the oldest goes first
    run_began: float  # of the deciding run, steady seconds
    run_ended: float
    limit: tuple[Limit, ...]  # of the resource
    scope: Scope  # what the incident is about, as orders and windows select it
    would: bool  # observe mode, or the remediation is not allowed: nothing will be done


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What guards may look at. Times are steady seconds."""

    now: Stamp
    settings: Settings
    shutting_down: bool = False
    store_why: str | None = None  # why the store cannot be written
    paused_why: str | None = None  # who paused, and why
    grace_until: float = 0.0  # of the startup grace; 0 when it is over
    jumped_until: float = 0.0  # acting is held until then after a clock jump
    readings_from: float = 0.0  # the last clock jump or resume: runs that began before it decide nothing
    maintenance: Hold | None = None  # the window or order that covers the proposal
    silenced: Hold | None = None  # the silence that holds it
    stopped_why: str | None = None  # how its manager knows that a person stopped the service
    flap_percent: float | None = None  # weighted share of changes, where it is too high
    storm: Hold | None = None
    min_healthy_why: str | None = None  # which members would have to stay healthy, and do not
    conflict_why: str | None = None  # what is going on that heald must not disturb
    approval: Approval | None = None  # of this step of this ladder, where somebody was asked
    self_test_why: str | None = None  # what says that heald's own network is broken
    attempts: Sequence[Attempt] = ()  # every one that a limit or cooldown could still count
    watches: Mapping[str, Watch] = field(default_factory=dict)  # by resource: attempts under way on the proposal's
    would_watches: Mapping[str, Watch] = field(default_factory=dict)  # the same of would-be attempts
    reserved: Mapping[str, str] = field(default_factory=dict)  # resources in their second look: the rule that proposed
    manager_busy: str | None = None  # what the resource's own manager is doing to it
    upstream_sick: Mapping[str, str] = field(default_factory=dict)  # by service: which upstream is sick and why


Guard = Callable[[Proposal, Facts], Hold | None]
"""A pure function: a hold, or None to let pass."""
