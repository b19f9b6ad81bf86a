"""What heald must keep, whatever happens: judged by the world itself, which sees effects, people and readings.

Times are seconds since the world's start, whatever the clocks say. Nothing here asks the engine or the store, but for
rows that only say what was meant: whose attempt it is, what was asked of people.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from daemon.model.approval import EXPIRES, Approval
from daemon.model.check import Run
from daemon.model.incident import HoldReason, Incident, IncidentState, Transition
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Verdict
from daemon.runtime.board import Board
from tests.runtime.model_scene import Config, Rule

JUMP, JUMP_HOLD = 30.0, 60.0
LASTING = (HoldReason.MODE, HoldReason.PAUSED, HoldReason.MAINTENANCE, HoldReason.SILENCED, HoldReason.UPSTREAM)
ROUNDING = 1e-3  # seconds: rows keep milliseconds


class Broken(AssertionError):  # noqa: N818  # it says what is broken
    """A property does not hold; its name comes first."""


def require(holds: object, name: str, *said: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(f"{name}: {' '.join(map(str, said))}")


@dataclass(kw_only=True)
class Deed:
    """One effect, as who is acted on sees it."""

    attempt: Attempt
    began: float
    ends: float
    lives_on: bool  # a kill of heald does not end it, as in a transient unit of its own
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

    def __init__(self, hear: Any) -> None:
        super().__init__()
        self._hear = hear

    def note(self, row: Any) -> None:
        if isinstance(row, Transition):
            self._hear(row)
        super().note(row)


class Witness:
    """Sees what happens, and raises Broken when it must not."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.deeds: list[Deed] = []
        self.fired: set[str] = set()
        self.paused = False
        self.wishes: dict[str, Wish] = {}
        self.granted: list[tuple[float, Approval]] = []  # when it was asked, and what
        self.released: dict[str, float] = {}
        self.jumped = -math.inf
        self.begin_anew()

    def begin_anew(self) -> None:
        """heald starts: what it saw before is not what it knows now."""
        self.judging: Run | None = None
        self.looked: dict[str, Run] = {}
        self.up: dict[str, float] = {}
        self.offset: float | None = None
        self.jumped = -math.inf

    def reloads(self, config: Config) -> None:
        self.config = config
        kept = {it.name for it in config.checks}
        self.up = {check: up for check, up in self.up.items() if check in kept}

    def rule(self, name: str) -> Rule | None:
        return next((it for it in self.config.rules if it.name == name), None)

    # ---- readings -------------------------------------------------------------------------------------------------

    def sees(self, run: Run) -> None:
        """A run is about to be judged."""
        self.judging = run
        if run.is_look:
            self.looked[run.check] = run
        if run.error is None:
            self.up[run.check] = float(run.readings[0].samples.get("up", 1.0))

    def verdict(self, run: Run) -> Verdict:
        """What every rule's `when` says of a run: `v == 0`."""
        value = run.readings[0].samples.get("v") if run.error is None else None
        if value is None:
            return Verdict.UNKNOWN
        return Verdict.BREACHED if value == 0 else Verdict.CLEAR

    def word(self, run: Run, rule: Rule) -> Verdict:
        """The same for what is open, where `clear_when` (`v != 1`) has its say."""
        verdict = self.verdict(run)
        if verdict is Verdict.CLEAR and rule.has_clear_when and run.readings[0].samples["v"] == 1:
            return Verdict.UNKNOWN
        return verdict

    def hears(self, moved: Transition) -> None:
        """A rule x check changed its state."""
        run, rule = self.judging, self.rule(moved.rule)
        is_there = rule is not None and moved.check in rule.checks
        if moved.new is IncidentState.WITHDRAWN:
            require(not is_there, "withdrawn", moved)
            return
        require(is_there and run is not None and run.check == moved.check, "a guess", moved)
        if moved.new in (IncidentState.PENDING, IncidentState.FIRING):
            require(self.verdict(run) is Verdict.BREACHED, "unknown opens", moved, run)
        elif moved.old is IncidentState.PENDING:
            require(self.verdict(run) is Verdict.CLEAR, "unknown resolves", moved, run)
        else:
            require(self.word(run, rule) is Verdict.CLEAR, "unknown resolves", moved, run)
        if moved.new is IncidentState.FIRING:
            self.fired.add(moved.incident or "")

    # ---- attempts -------------------------------------------------------------------------------------------------

    def claimed(self, attempt: Attempt, now: float, board: Board) -> None:
        """An attempt was claimed, and its effect may begin."""
        incident = board.incidents[attempt.incidents[0]]
        rule = self.rule(attempt.rule)
        step = next((it for it in rule.steps if f"{it.name} {it.service}" == attempt.step), None) if rule else None
        require(rule is not None and step is not None, "named", attempt)
        require(incident.id in self.fired and incident.state is IncidentState.FIRING, "fired", attempt, incident)
        look = self.looked.get(incident.check)
        require(look is not None and self.verdict(look) is Verdict.BREACHED, "a guess", attempt, look)
        self._of_people(attempt, incident, now)
        self._approved(attempt, now, board)
        self._of_the_world(attempt, incident, now)
        self._one_at_a_time(attempt, now, board)
        self._limits(attempt, now, rule)

    def acts(self, deed: Deed) -> None:
        self.deeds.append(deed)

    def _of_people(self, attempt: Attempt, incident: Incident, now: float) -> None:
        service = self.service(incident.check)
        scope = {"rule": incident.rule, "check": incident.check, "service": service}
        require(not self.paused, "paused", attempt)
        require(self.config.is_act, "mode", attempt)
        require(attempt.remediation in self.config.allow, "not allowed", attempt)
        for wish in self.wishes.values():
            if now < wish.until - ROUNDING and wish.holds:
                require(not wish.covers(scope), str(wish.kind), attempt, wish)

    def service(self, check: str) -> str:
        return next((it.service for it in self.config.checks if it.name == check), "")

    def _approved(self, attempt: Attempt, now: float, board: Board) -> None:
        if attempt.remediation != "run":
            return
        for place, (asked, given) in enumerate(self.granted):
            is_step = (given.rule, given.ladder, given.step) == (attempt.rule, attempt.ladder, attempt.step)
            is_it = is_step and given.resource == attempt.resource
            if is_it and given.incident in board.incidents and now - asked < EXPIRES:
                del self.granted[place]
                return
        raise Broken(f"approval: {attempt} {self.granted}")

    def _of_the_world(self, attempt: Attempt, incident: Incident, now: float) -> None:
        needed = self.config.depends_on.get(self.service(incident.check), ())
        sick = [it.name for it in self.config.checks if it.service in needed and self.up.get(it.name) == 0]
        require(not sick, "upstream", attempt, sick)
        require(now >= self.jumped + JUMP_HOLD - ROUNDING, "clock jumped", attempt, self.jumped)

    def _one_at_a_time(self, attempt: Attempt, now: float, board: Board) -> None:
        for deed in self.deeds:
            if deed.attempt.resource == attempt.resource:
                quiet = deed.ends + (deed.attempt.settle if deed.settles else 0.0)
                require(now >= quiet - ROUNDING, "one at a time", attempt, deed)
        for other in board.attempts.values():
            if other.resource != attempt.resource or other.id == attempt.id or other.would:
                continue
            require(other.released is not None, "one at a time", attempt, other)
            rested = now - self.released.get(other.id, now)
            require(rested >= other.cooldown - ROUNDING, "cooldown", attempt, other)

    def _limits(self, attempt: Attempt, now: float, rule: Rule) -> None:
        """With this one, no window that ends now has more effects in it than a limit in force permits."""
        of_rule = [it for it in self.deeds if it.attempt.rule == attempt.rule]
        of_resource = [it for it in self.deeds if it.attempt.resource == attempt.resource]
        limits: Iterable[tuple[str, tuple[tuple[int, int], ...], list[Deed]]] = (
            ("limit of rule", rule.limit, of_rule),
            ("limit of resource", self.config.service_limit, of_resource),
            ("budget", self.config.budget, self.deeds),
        )
        for name, found, deeds in limits:
            for count, window in found:
                inside = [it for it in deeds if it.ends > now - window + ROUNDING]
                require(len(inside) < count, name, f"{count}/{window}", attempt, inside)

    # ---- time, kills ------------------------------------------------------------------------------------------------

    def watches_clock(self, offset: float, now: float) -> None:
        """An instant begins; the wall clock is off by so much."""
        if self.offset is not None and abs(offset - self.offset) > JUMP:
            self.jumped = now
        self.offset = offset

    def notes_releases(self, board: Board, now: float) -> None:
        """An instant is over: which attempts were released in it."""
        for attempt in board.attempts.values():
            if attempt.released is not None and attempt.id not in self.released:
                self.released[attempt.id] = now

    def killed(self, now: float, *, host: bool) -> None:
        """heald, or all of its host, was killed: what it did ends, or goes on as long as it may."""
        for deed in self.deeds:
            if deed.ends <= now:
                continue
            latest = deed.ends if deed.lives_on and not host else now
            deed.ends, deed.settles = max(deed.began, latest), True

    # ---- the end ----------------------------------------------------------------------------------------------------

    def is_settled(self, incident: Incident, incidents: Iterable[Incident], now: float) -> bool:
        """Whether it is closed, or people know of it, or wanted it so, or it waits for what it depends on."""
        if incident.closed is not None or incident.handed_over is not None or incident.hold in LASTING:
            return True
        scope = {"rule": incident.rule, "check": incident.check, "service": self.service(incident.check)}
        quiet = (OrderKind.SILENCE, OrderKind.MAINTENANCE)
        if any(it.kind in quiet and it.covers(scope) and now < it.until for it in self.wishes.values()):
            return incident.hold is not None or incident.rule.startswith("heald:")
        blind = [it for it in incidents if it.rule == "heald:blind" and it.check == incident.check]
        return any(it.closed is None and it.handed_over is not None for it in blind)


def picture(board: Board) -> dict[str, Any]:
    """What of a board a restart keeps: times that count, but not the run before; each lost attempt as what it is."""
    under_way = {it.id for it in board.attempts.values() if it.released is None}
    tracks = {
        key: (it.state, it.incident, round(it.counted, 3), it.muted, it.memory)
        for key, it in board.tracks.items()
        if it.state is not IncidentState.INACTIVE
    }
    ladders = {
        key: replace(it, floor=None if it.attempt in under_way else it.floor, held_for=round(it.held_for, 3))
        for key, it in board.ladders.items()
        if it.closed is None and not it.would
    }
    attempts = {}
    for it in board.attempts.values():
        lost = replace(it, state=AttemptState.LOST, summary="heald ended while it ran")
        if not it.would:
            attempts[it.id] = lost if it.state is AttemptState.RUNNING else it
    return {
        "incidents": dict(board.incidents),
        "orders": dict(board.orders),
        "approvals": dict(board.approvals),
        "tracks": tracks,
        "ladders": ladders,
        "attempts": attempts,
    }
