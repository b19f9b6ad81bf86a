"""What heald must keep, whatever happens: judged by the world itself, which sees effects, people and readings.

Times are seconds since the world's start, whatever the clocks say. Nothing here asks the engine or the store, but for
rows that only say what was meant: whose attempt it is, what was asked of people. What must hold when an attempt is
claimed stands in `properties_claims.py`, what must be true at the end in `properties_ends.py`.
"""

import math
from collections import Counter
from collections.abc import Callable

from daemon.engine.guards import Proposal
from daemon.model.approval import Approval
from daemon.model.check import Run
from daemon.model.incident import OWN, HoldReason, Incident, IncidentState, Transition
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict
from daemon.model.track import HoldRecord
from daemon.runtime.board import Board
from daemon.runtime.situation import Found
from tests.runtime.model_scene import Rule, Step
from tests.runtime.properties_broken import ROUNDING, require
from tests.runtime.properties_claims import PROPERTIES, Claim
from tests.runtime.properties_harm import Harm
from tests.runtime.properties_ladders import Ladders
from tests.runtime.properties_notes import Deed, Wish
from tests.runtime.properties_scene import VANISH_AFTER, Scene

JUMP, BOOT_GRACE, LEAST_SICK = 30.0, 300.0, 5
SICK = (IncidentState.PENDING, IncidentState.FIRING)
CLOSED = (IncidentState.RESOLVED, IncidentState.VANISHED, IncidentState.WITHDRAWN)


class Witness:
    """Sees what happens, and raises Broken when it must not."""

    def __init__(self, scene: Scene, is_stored: Callable[[str], bool], steady: Callable[[], float]) -> None:
        self.scene, self.is_stored, self.steady = scene, is_stored, steady
        self.now = 0.0
        self.ladders, self.harm = Ladders(self), Harm(self)
        self.held: Counter[HoldReason] = Counter()  # how often it was said that something is held
        self.is_disk_full = self.is_unreadable = self.is_stopping = False
        self.resumed = -math.inf  # since when what is known may be acted on: the clock jumped, or a pause ended
        self.deeds: list[Deed] = []
        self.fired: dict[str, tuple[str, str]] = {}  # incidents: their service, and the subject
        self.left: set[str] = set()  # incidents that vanished or were withdrawn
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
        self.ladders.begins_anew()
        self.judging: Run | None = None
        self.stale: set[tuple[str, str]] = set()  # ladders in their second look for a run that decides nothing
        self.regular: dict[str, float] = {}  # by check: when its newest regular run began
        self.is_stopping = False
        self.resumed = -math.inf
        self.looked: dict[str, tuple[float, Run]] = {}  # by check: its newest second look
        self.known: dict[str, Run] = {}  # by check: its newest run that could look
        self.blind: set[str] = set()  # checks whose newest run could not look
        self.missing: dict[tuple[str, str], float] = {}  # by check and subject: since when it is not found
        self.offset: float | None = None
        self.jumped = -math.inf
        self.was_storm = False
        grace = float(self.scene.config.startup_grace)
        self.grace_until = max(self.now + grace, self.booted + BOOT_GRACE) if grace else -math.inf
        self.not_clear_yet = self.pairs()

    def reloads(self, scene: Scene) -> None:
        before = self.pairs()
        self.ladders.reloads(self.scene, scene)
        self.scene = scene
        kept = {it.name for it in scene.config.checks}
        self.known = {check: run for check, run in self.known.items() if check in kept}
        self.missing = {key: at for key, at in self.missing.items() if key[0] in kept}
        self.harm.clear()
        pairs = self.pairs()
        if self.not_clear_yet:
            self.not_clear_yet = (self.not_clear_yet & pairs) | (pairs - before)

    def pairs(self) -> set[tuple[str, str]]:
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
        run = self.known.get(check)
        return int(all(it.samples.get("up") != 0 for it in run.readings)) if run else None

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
        counted = [it for it in services if not (self.is_sick(it) and self._is_planned(it))]
        free = [it for it in counted if not any(map(self.is_sick, self.upstream(it)))]
        sick = [it for it in free if self.is_sick(it) and it not in self.excused]
        return len(sick) >= LEAST_SICK and 100 * len(sick) > self.scene.storm.share * len(free)

    def _is_planned(self, service: str) -> bool:
        """Whether maintenance covers all checks of a service, whatever rule is on them."""
        scopes = [
            {"rule": "", "check": it.name, "service": service, "subject": ""}
            for it in self.scene.config.checks
            if it.service == service
        ]
        works = [
            it for it in self.wishes.values() if it.kind is OrderKind.MAINTENANCE and self.now <= it.until + ROUNDING
        ]
        return all(any(work.covers(scope) for work in works) for scope in scopes)

    # ---- readings -------------------------------------------------------------------------------------------------

    def sees(self, run: Run) -> None:
        """A run is about to be judged."""
        self.judging = run
        if run.is_look:
            self.looked[run.check] = (self.now, run)
        else:
            self.regular[run.check] = self.now - (run.ended - run.began)
        self.blind.discard(run.check)
        if run.error is not None:
            self.blind.add(run.check)
            return
        if not run.is_look:
            self.ladders.saw(run)
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
        self.harm.judged(run)
        if not run.is_look:
            self.was_storm = self.was_storm and self.is_storm()

    def verdict(self, run: Run, subject: str) -> Verdict:
        """What every rule's `when` says of a run: `v == 0`."""
        samples = next((it.samples for it in run.readings if it.subject == subject), {})
        value = samples.get("v")
        if value is None:
            return Verdict.UNKNOWN
        return Verdict.BREACHED if value == 0 else Verdict.CLEAR

    def fits(self, run: Run, subject: str, step: Step) -> Verdict:
        """What a step's `only_if` says of a run: `up == 0`."""
        samples = next((it.samples for it in run.readings if it.subject == subject), {})
        if step.is_for_down and "up" not in samples:
            return Verdict.UNKNOWN
        return Verdict.BREACHED if not step.is_for_down or samples["up"] == 0 else Verdict.CLEAR

    def word(self, run: Run, subject: str, rule: Rule) -> Verdict:
        """The same for what is open, where `clear_when` (`v != 1`) has its say."""
        verdict = self.verdict(run, subject)
        is_near = any(it.samples.get("v") == 1 for it in run.readings if it.subject == subject)
        return Verdict.UNKNOWN if verdict is Verdict.CLEAR and rule.has_clear_when and is_near else verdict

    def hears(self, row: Transition | HoldRecord) -> None:
        """A rule x check x subject changed its state, or something is held."""
        if isinstance(row, HoldRecord):
            self.held[row.reason] += 1
        elif not self.is_unreadable:  # else it knows of nothing that is open
            self._moves(row)

    def _moves(self, moved: Transition) -> None:
        run, rule = self.judging, self.scene.rule(moved.rule)
        self.states[moved.rule, moved.check, moved.subject] = moved.new
        is_there = rule is not None and moved.check in rule.checks
        if moved.new in CLOSED[1:]:
            self.left.add(moved.incident or "")
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
        key = self.ladders.key(rule, moved.check, moved.subject)
        if moved.new is IncidentState.FIRING:
            self.fired[moved.incident or ""] = (self.service(moved.check), moved.subject)
            if moved.old is not IncidentState.RECOVERING:
                self.ladders.opens(key, rule.relapse)
        elif moved.new in CLOSED:
            self.ladders.closes(key, rule)

    # ---- attempts -------------------------------------------------------------------------------------------------

    def looks_again(self, proposal: Proposal) -> None:
        """A second look begins, for what its check's newest regular run said."""
        key = (proposal.rule.name, proposal.ladder.resource)
        self.ladders.looking.add(key)
        is_stale = self.regular[proposal.check] < self.resumed - ROUNDING
        (self.stale.add if is_stale else self.stale.discard)(key)

    def looked_again(self, proposal: Proposal, attempt: Attempt | None, found: Found) -> None:
        """The guards were asked after it."""
        _, run = self.looked.get(proposal.check, (0.0, None))
        self.ladders.looked_again(proposal, attempt, run, is_blind=found.hold is not None)

    def claimed(self, attempt: Attempt, board: Board) -> None:
        """An attempt was claimed, and its effect may begin."""
        self.notes_released(board)
        incident = board.incidents[attempt.incidents[0]]
        rule = self.scene.rule(attempt.rule)
        claim = Claim(attempt=attempt, incident=incident, rule=rule, now=self.now, board=board, seen=self)
        for holds in PROPERTIES:
            holds(claim)
        key = (attempt.rule, attempt.ladder)
        self.ladders.claimed(attempt, key)
        self.harm.claimed(attempt, key, {board.incidents[it].check for it in attempt.incidents})

    def ended(self, attempt: Attempt) -> None:
        """Its effect ended, and heald saw it."""
        self.ladders.ended(attempt)
        self.harm.ended(attempt)

    # ---- time, kills ------------------------------------------------------------------------------------------------

    def begins_instant(self, offset: float, now: float, board: Board) -> None:
        """An instant begins; the wall clock is off by so much."""
        self.now = now
        if self.offset is not None and abs(offset - self.offset) > JUMP:
            self.jumped = self.resumed = now
        self.offset = offset
        self.was_storm = self.is_storm()
        is_said = any(it.rule == f"{OWN}storm" for it in board.incidents.values())
        self.storm_seen = (now if self.was_storm else self.storm_seen) if is_said else None

    def ends_instant(self, board: Board) -> None:
        self.notes_released(board)
        if self.scene.storm is not None:
            for service in {it.service for it in self.scene.config.checks}:
                if not self.is_sick(service):
                    self.excused.discard(service)
                elif any(map(self.is_sick, self.upstream(service))):
                    self.excused.add(service)

    def notes_released(self, board: Board) -> None:
        for attempt in board.attempts.values():
            if attempt.released is not None and attempt.id not in self.released:
                self.released[attempt.id] = self.now
                self.ladders.touched.pop(attempt.id, None)

    def killed(self, board: Board, *, host: bool) -> None:
        """heald, or all of its host, was killed: what it did ends, or goes on as long as it may."""
        self.ladders.killed(host=host, would={(it.rule, it.ladder) for it in board.attempts.values() if it.would})
        self.harm.killed(host=host)
        for deed in self.deeds:
            if deed.ends > self.now:
                latest = deed.ends if deed.lives_on and not host else self.now
                deed.ends, deed.settles = max(deed.began, latest), True
