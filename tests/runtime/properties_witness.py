"""What heald must keep, whatever happens: judged by the world itself, which sees effects, people and readings.

Times are seconds since the world's start, whatever the clocks say. Nothing here asks the engine or the store, but for
rows that only say what was meant: whose attempt it is, what was asked of people. What must hold when an attempt is
claimed stands in `properties_claims.py`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from daemon.model.approval import Approval
from daemon.model.check import Run
from daemon.model.incident import OWN, HoldReason, Incident, IncidentState, Transition
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict
from daemon.runtime.board import Board
from tests.runtime.model_scene import Rule
from tests.runtime.properties_broken import ROUNDING, require
from tests.runtime.properties_claims import PROPERTIES, Claim
from tests.runtime.properties_scene import VANISH_AFTER, Scene

JUMP, BOOT_GRACE, LEAST_SICK = 30.0, 300.0, 5
LASTING = (HoldReason.MODE, HoldReason.PAUSED, HoldReason.MAINTENANCE, HoldReason.SILENCED)
SICK = (IncidentState.PENDING, IncidentState.FIRING)


@dataclass(kw_only=True)
class Deed:
    """One effect, as who is acted on sees it."""

    attempt: Attempt
    claimed: float
    began: float
    ends: float
    lives_on: bool  # a kill of heald does not end it
    settles: bool = True


@dataclass(kw_only=True)
class Wish:
    """One order of a person."""

    kind: OrderKind
    field: str
    pattern: str
    holds: bool
    until: float

    def covers(self, scope: Mapping[str, str]) -> bool:
        return fnmatchcase(scope[self.field], self.pattern)


class Notes(Board):
    """A board whose transitions are heard."""

    def __init__(self, hear: Callable[[Transition], None]) -> None:
        super().__init__()
        self._hear = hear

    def note(self, row: Any) -> None:
        if isinstance(row, Transition):
            self._hear(row)
        super().note(row)


class Witness:
    """Sees what happens, and raises Broken when it must not."""

    def __init__(self, scene: Scene, is_stored: Callable[[str], bool]) -> None:
        self.scene, self.is_stored = scene, is_stored
        self.now = 0.0
        self.deeds: list[Deed] = []
        self.fired: set[str] = set()  # incidents
        self.states: dict[tuple[str, str, str], IncidentState] = {}  # by rule, check and subject
        self.paused = False
        self.wishes: dict[str, Wish] = {}
        self.granted: list[tuple[float, Approval]] = []  # when it was asked, and what
        self.managers: dict[str, str] = {}  # by resource: what its manager says when it is asked
        self.released: dict[str, float] = {}  # by attempt: when its resource was free again
        self.excused: set[str] = set()  # services that were sick under a sick upstream, and not well since
        self.storm_seen: float | None = None
        self.booted = -math.inf
        self.begin_anew()

    def begin_anew(self) -> None:
        """heald starts: what it saw before is not what it knows now."""
        self.judging: Run | None = None
        self.looked: dict[str, tuple[float, Run]] = {}  # by check: its newest second look
        self.known: dict[str, Run] = {}  # by check: its newest run that could look
        self.blind: set[str] = set()  # checks whose newest run could not look
        self.missing: dict[tuple[str, str], float] = {}  # by check and subject: since when it is not found
        self.offset: float | None = None
        self.jumped = -math.inf
        self.was_storm = False
        grace = float(self.scene.config.startup_grace)
        self.grace_until = max(self.now + grace, self.booted + BOOT_GRACE) if grace else -math.inf
        self.not_clear_yet = self._pairs()

    def reloads(self, scene: Scene) -> None:
        before, self.scene = self._pairs(), scene
        kept = {it.name for it in scene.config.checks}
        self.known = {check: run for check, run in self.known.items() if check in kept}
        self.missing = {key: at for key, at in self.missing.items() if key[0] in kept}
        pairs = self._pairs()
        if self.not_clear_yet:
            self.not_clear_yet = (self.not_clear_yet & pairs) | (pairs - before)

    def _pairs(self) -> set[tuple[str, str]]:
        return {(rule.name, check) for rule in self.scene.config.rules for check in rule.checks}

    # ---- what is where ----------------------------------------------------------------------------------------------

    def service(self, check: str) -> str:
        found = self.scene.check(check)
        return found.service if found else ""

    def scope(self, it: Incident) -> dict[str, str]:
        return {"rule": it.rule, "check": it.check, "service": self.service(it.check), "subject": it.subject}

    def upstream(self, service: str) -> tuple[str, ...]:
        return self.scene.config.depends_on.get(service, ())

    def members(self, check: str) -> dict[str, bool]:
        """Who of a check's subjects is up, as far as is known."""
        run = self.known.get(check)
        return {it.subject: it.samples.get("up") == 1 for it in run.readings} if run else {}

    def up(self, check: str) -> int | None:
        members = self.members(check)
        return int(all(members.values())) if check in self.known else None

    def is_sick(self, service: str) -> bool:
        """A check of it has `up` 0, or a P0 or P1 rule on it is pending or firing."""
        checks = [it.name for it in self.scene.config.checks if it.service == service]
        if any(self.up(check) == 0 for check in checks):
            return True
        severe = {it.name for it in self.scene.config.rules if it.severity <= 1}
        return any(
            state in SICK and rule in severe and check in checks for (rule, check, _), state in self.states.items()
        )

    def is_storm(self) -> bool:
        if self.scene.storm is None:
            return False
        services = {it.service for it in self.scene.config.checks if it.service}
        free = [it for it in services if not any(map(self.is_sick, self.upstream(it)))]
        sick = [it for it in free if self.is_sick(it) and it not in self.excused]
        return len(sick) >= LEAST_SICK and 100 * len(sick) > self.scene.storm.share * len(free)

    # ---- readings -------------------------------------------------------------------------------------------------

    def sees(self, run: Run) -> None:
        """A run is about to be judged."""
        self.judging = run
        if run.is_look:
            self.looked[run.check] = (self.now, run)
        self.blind.discard(run.check)
        if run.error is not None:
            self.blind.add(run.check)
            return
        before, self.known[run.check] = self.members(run.check), run
        subjects = {it.subject for it in run.readings}
        for name in {*before, *(key[2] for key in self.states if key[1] == run.check)} - subjects:
            self.missing.setdefault((run.check, name), self.now)
        for name in subjects:
            self.missing.pop((run.check, name), None)
        if all(self.verdict(run, name) is Verdict.CLEAR for name in subjects):
            self.not_clear_yet = {it for it in self.not_clear_yet if it[1] != run.check}

    def judged(self, run: Run) -> None:
        """A run was judged."""
        self.judging = None
        if not run.is_look:
            self.was_storm = self.was_storm and self.is_storm()

    def verdict(self, run: Run, subject: str) -> Verdict:
        """What every rule's `when` says of a run: `v == 0`."""
        samples = next((it.samples for it in run.readings if it.subject == subject), {})
        value = samples.get("v")
        if value is None:
            return Verdict.UNKNOWN
        return Verdict.BREACHED if value == 0 else Verdict.CLEAR

    def word(self, run: Run, subject: str, rule: Rule) -> Verdict:
        """The same for what is open, where `clear_when` (`v != 1`) has its say."""
        verdict = self.verdict(run, subject)
        is_near = any(it.samples.get("v") == 1 for it in run.readings if it.subject == subject)
        return Verdict.UNKNOWN if verdict is Verdict.CLEAR and rule.has_clear_when and is_near else verdict

    def hears(self, moved: Transition) -> None:
        """A rule x check x subject changed its state."""
        run, rule = self.judging, self.scene.rule(moved.rule)
        self.states[moved.rule, moved.check, moved.subject] = moved.new
        is_there = rule is not None and moved.check in rule.checks
        if moved.new is IncidentState.WITHDRAWN:
            require(not is_there, "withdrawn", moved)
            return
        require(is_there and run is not None and run.check == moved.check, "a guess", moved)
        if moved.new is IncidentState.VANISHED:
            since = self.missing.get((moved.check, moved.subject), math.inf)
            require(self.now - since >= VANISH_AFTER - ROUNDING, "vanished", moved, since)
        elif moved.new in SICK:
            require(self.verdict(run, moved.subject) is Verdict.BREACHED, "unknown opens", moved, run)
        elif moved.old is IncidentState.PENDING:
            require(self.verdict(run, moved.subject) is Verdict.CLEAR, "unknown resolves", moved, run)
        else:
            require(self.word(run, moved.subject, rule) is Verdict.CLEAR, "unknown resolves", moved, run)
        if moved.new is IncidentState.FIRING:
            self.fired.add(moved.incident or "")

    # ---- attempts -------------------------------------------------------------------------------------------------

    def claimed(self, attempt: Attempt, board: Board) -> None:
        """An attempt was claimed, and its effect may begin."""
        incident = board.incidents[attempt.incidents[0]]
        rule = self.scene.rule(attempt.rule)
        claim = Claim(attempt=attempt, incident=incident, rule=rule, now=self.now, board=board, seen=self)
        for holds in PROPERTIES:
            holds(claim)

    # ---- time, kills ------------------------------------------------------------------------------------------------

    def begins_instant(self, offset: float, now: float, board: Board) -> None:
        """An instant begins; the wall clock is off by so much."""
        self.now = now
        if self.offset is not None and abs(offset - self.offset) > JUMP:
            self.jumped = now
        self.offset = offset
        self.was_storm = self.is_storm()
        is_said = any(it.rule == f"{OWN}storm" for it in board.incidents.values())
        self.storm_seen = (now if self.was_storm else self.storm_seen) if is_said else None

    def ends_instant(self, board: Board) -> None:
        for attempt in board.attempts.values():
            if attempt.released is not None and attempt.id not in self.released:
                self.released[attempt.id] = self.now
        if self.scene.storm is not None:
            for service in {it.service for it in self.scene.config.checks}:
                if not self.is_sick(service):
                    self.excused.discard(service)
                elif any(map(self.is_sick, self.upstream(service))):
                    self.excused.add(service)

    def killed(self, *, host: bool) -> None:
        """heald, or all of its host, was killed: what it did ends, or goes on as long as it may."""
        for deed in self.deeds:
            if deed.ends > self.now:
                latest = deed.ends if deed.lives_on and not host else self.now
                deed.ends, deed.settles = max(deed.began, latest), True

    # ---- the end ----------------------------------------------------------------------------------------------------

    def is_withdrawn(self, board: Board) -> None:
        """After a reload nothing is open for a rule or a check that is gone."""
        pairs = self._pairs()
        for it in board.incidents.values():
            require(it.rule.startswith(OWN) or (it.rule, it.check) in pairs, "not withdrawn", it)

    def is_settled(self, it: Incident, incidents: Iterable[Incident]) -> bool:
        """Whether it is closed, or people know of it, or wanted it so, or it waits for what it depends on."""
        if it.closed is not None or it.handed_over is not None or it.hold in LASTING:
            return True
        if any(map(self.is_sick, self.upstream(self.service(it.check)))):
            return True
        if self._is_between(it):
            return True
        quiet, scope = (OrderKind.SILENCE, OrderKind.MAINTENANCE), self.scope(it)
        if any(wish.kind in quiet and wish.covers(scope) and self.now < wish.until for wish in self.wishes.values()):
            return it.hold is not None or it.rule.startswith(OWN) or not self._is_breached(it)
        blind = [other for other in incidents if other.rule == f"{OWN}blind" and other.check == it.check]
        return any(other.closed is None and other.handed_over is not None for other in blind)

    def _is_breached(self, it: Incident) -> bool:
        """Whether its newest run found it breached: then something is proposed, and done or held."""
        run = self.known.get(it.check)
        is_seen = run is not None and it.check not in self.blind
        return is_seen and self.verdict(run, it.subject) is Verdict.BREACHED

    def _is_between(self, it: Incident) -> bool:
        """Whether neither `when` nor `clear_when` holds: then the state stays, as whoever wrote them wants it."""
        run, rule = self.known.get(it.check), self.scene.rule(it.rule)
        if run is None or rule is None or self.verdict(run, it.subject) is not Verdict.CLEAR:
            return False
        return self.word(run, it.subject, rule) is Verdict.UNKNOWN
