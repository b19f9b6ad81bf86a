"""What the witness knows of ladders: tries, second looks, changes, and what settles.

Where it may be wrong it knows less: of a ladder whose rule was edited, or of which rows were lost, what came since.
"""

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from daemon.engine.guards import Proposal
from daemon.model.check import Run
from daemon.model.incident import IncidentState
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Verdict
from tests.runtime.model_scene import Rule
from tests.runtime.properties_broken import ROUNDING
from tests.runtime.properties_scene import Scene, touched

if TYPE_CHECKING:
    from tests.runtime.properties_witness import Witness

Key = tuple[str, str]
"""rule, resource of its first step"""
Place = tuple[str, str, str]
"""rule, check, subject"""
OPEN = (IncidentState.FIRING, IncidentState.RECOVERING)
CLEAR_LOOKS = 3
RUNS, FLAPS, FLAPS_NO_MORE = 20, 30, 25  # known verdicts that count, and percent of weighted changes among them


@dataclass(kw_only=True)
class Climb:
    """One ladder, from when it began anew to when it does so again."""

    is_whole: bool  # whether all of it was seen
    tries: Counter[int] = field(default_factory=Counter)  # by place of the step in its rule
    place: int = 0  # of the step that was tried last
    clear_looks: int = 0  # in a row
    flaps: bool = False  # three of them
    worse: str = ""  # what an attempt made worse
    closed: float | None = None
    is_old: bool = False  # the host booted since it closed: heald may find that less time has passed


@dataclass(kw_only=True)
class Touched:
    """A resource from a claim to the settle's end: until then runs judge nothing for its ladders. In steady seconds."""

    resource: str
    key: Key
    over: float  # claim + timeout + settle: when it has settled if heald is killed meanwhile
    settled: float = math.inf  # until its effect ended
    doubt: float = 0.0  # seconds by which heald may find otherwise: it worked it out anew after a start

    def is_settling(self, began: float) -> bool | None:
        """Whether a run that began then judges nothing; None if nobody can tell."""
        return None if abs(began - self.settled) < self.doubt else began < self.settled


class Ladders:
    """By rule and resource; and the changes of each rule x check x subject."""

    def __init__(self, seen: "Witness") -> None:
        self._seen = seen
        self.climbs: dict[Key, Climb] = {}
        self.places: dict[str, int] = {}  # by attempt: the place of its step
        self.touched: dict[str, Touched] = {}  # by attempt
        self.looking: set[Key] = set()  # second looks that will count
        self.flapping: set[Place] = set()  # by changes
        self._known: dict[Place, deque[Verdict]] = {}
        self._blurred: set[Place] = set()  # of which it is not certain what heald has counted since its start

    def key(self, rule: Rule, check: str, subject: str) -> Key:
        return rule.name, touched(rule.steps[0], self._seen.service(check), subject)

    def climb(self, key: Key) -> Climb:
        return self.climbs.setdefault(key, Climb(is_whole=False))

    # ---- when one begins anew ---------------------------------------------------------------------------------------

    def opens(self, key: Key, relapse: float) -> None:
        """An incident opened: the ladder goes on where it was, or begins anew."""
        before = self.climbs.get(key)
        is_over = before is not None and before.closed is not None
        if before is None or (is_over and self._seen.now - before.closed >= relapse - ROUNDING):
            self.anew(key)
            self.climbs[key].is_whole = before is None or not before.is_old
        self.climbs[key].closed = None

    def anew(self, key: Key) -> None:
        self.climbs[key] = Climb(is_whole=True)
        self.looking.discard(key)
        self._seen.harm.forgets(key)

    def forgets(self, key: Key) -> None:
        """Nobody here can tell what heald knows of it."""
        self.anew(key)
        self.climbs[key].is_whole = False

    def closes(self, key: Key, rule: Rule) -> None:
        """One of its incidents closed; the ladder with the last of them."""
        states = self._seen.states
        if not any(it in OPEN and at[0] == rule.name and self.key(rule, *at[1:]) == key for at, it in states.items()):
            self.climb(key).closed = self._seen.now

    def reloads(self, old: Scene, new: Scene) -> None:
        self.looking.clear()
        went_to_act = new.config.is_act and not old.config.is_act
        for key in self.climbs:
            if went_to_act or old.rule(key[0]) != new.rule(key[0]):
                self.forgets(key)
        pairs = {(rule.name, check) for rule in new.config.rules for check in rule.checks}
        self._known = {at: found for at, found in self._known.items() if at[:2] in pairs}
        self.flapping &= self._known.keys()

    def begins_anew(self) -> None:
        """heald starts: it has forgotten all changes."""
        for found in (self.looking, self.flapping, self._known, self._blurred):
            found.clear()

    def killed(self, *, host: bool, would: set[Key]) -> None:
        """`would` are ladders of which something was tried on paper: heald may begin them anew."""
        self.looking.clear()
        for key in would & self.climbs.keys():
            self.forgets(key)
        for climb in self.climbs.values():
            climb.is_old = climb.closed is not None and (climb.is_old or host)
        for it in self.touched.values():
            it.settled = min(it.settled, it.over)
            it.doubt = math.inf if host else max(it.doubt, ROUNDING)

    def lost_rows(self) -> None:
        for key in self.climbs:
            self.forgets(key)
        for it in self.touched.values():
            it.doubt = math.inf

    # ---- attempts ---------------------------------------------------------------------------------------------------

    def looked_again(self, proposal: Proposal, attempt: Attempt | None, run: Run | None, *, is_blind: bool) -> None:
        """The guards had their second say: an attempt, or a hold; `is_blind` where a manager could not be asked."""
        key = (proposal.rule.name, proposal.ladder.resource)
        climb = self.climb(key)
        is_known = run is not None and self.is_settling(key, run.began) is False
        verdict = self._seen.verdict(run, proposal.subject) if run and is_known else Verdict.UNKNOWN
        if attempt is not None or verdict is Verdict.UNKNOWN or is_blind:
            climb.clear_looks = 0
        elif verdict is Verdict.CLEAR and key in self.looking:
            climb.clear_looks += 1
            climb.flaps = climb.flaps or climb.clear_looks >= CLEAR_LOOKS
        self.looking.discard(key)
        if attempt is not None:
            self.places[attempt.id] = proposal.index
            if attempt.would:
                self._spends(climb, proposal.index)

    def _spends(self, climb: Climb, place: int) -> None:
        climb.tries[place] += 1
        climb.place = place

    def claimed(self, attempt: Attempt, key: Key) -> None:
        self._spends(self.climb(key), self.places[attempt.id])
        over = self._seen.steady() + attempt.timeout + attempt.settle
        self.touched[attempt.id] = Touched(resource=attempt.resource, key=key, over=over)

    def ended(self, attempt: Attempt) -> None:
        """Its effect ended, and heald saw it."""
        key = (attempt.rule, attempt.ladder)
        if attempt.state is AttemptState.SUCCEEDED:
            self.touched[attempt.id].settled = self._seen.steady() + attempt.settle
        else:
            del self.touched[attempt.id]
        rule, climb, place = self._seen.scene.rule(attempt.rule), self.climb(key), self.places[attempt.id]
        if attempt.permanent and rule is not None and climb.tries[place]:
            climb.tries[place] = rule.steps[place].tries

    def is_settling(self, key: Key, began: float) -> bool | None:
        """Whether a run that began then judges nothing for a ladder; None if nobody can tell."""
        words = [it.is_settling(began) for it in self.touched.values() if it.resource == key[1] or it.key == key]
        return True if True in words else None if None in words else False

    # ---- changes ----------------------------------------------------------------------------------------------------

    def saw(self, run: Run) -> None:
        """Count the changes of a regular run, as Icinga does: the newest counts 1.18 times, the oldest 0.8."""
        for rule in self._seen.scene.config.rules:
            if run.check not in rule.checks:
                continue
            for subject in [it.subject for it in run.readings]:
                at, verdict = (rule.name, run.check, subject), self._seen.verdict(run, subject)
                is_settling = self.is_settling(self.key(rule, run.check, subject), run.began)
                if is_settling is None:
                    self._blurred.add(at)
                    self.flapping.discard(at)
                elif verdict is not Verdict.UNKNOWN and not is_settling and at not in self._blurred:
                    self._count(at, verdict)

    def _count(self, at: Place, verdict: Verdict) -> None:
        if at not in self._known and verdict is Verdict.CLEAR:
            return
        known = self._known.setdefault(at, deque([Verdict.CLEAR] * (RUNS + 1), maxlen=RUNS + 1))
        known.append(verdict)
        changes = enumerate(pairwise(known))
        percent = sum(40 + place for place, (one, other) in changes if one is not other) / 10
        is_high = percent > (FLAPS_NO_MORE if at in self.flapping else FLAPS)
        (self.flapping.add if is_high else self.flapping.discard)(at)
