"""What happened in a scenario: every row that its daemons recorded, with the time of the world."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from daemon.model.incident import OWN_RULES, Incident, IncidentState, Transition
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.track import HoldRecord
from daemon.model.units import format_duration
from daemon.runtime.board import Board

Key = tuple[str, str, str]
"""rule, check, subject"""
_DIGITS = 6  # of seconds that count: less is a rounding error of the steady clock


@dataclass(kw_only=True, slots=True)
class Made:
    """An attempt, real or on paper."""

    at: float  # of its claim
    attempt: Attempt  # as it was last seen
    is_claimed: bool = False  # committed; on paper there is nothing to commit
    ended: float | None = None
    verified: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the timeline."""

    at: float
    text: str

    def __str__(self) -> str:
        return f"{format_duration(self.at):>10}  {self.text}"


@dataclass(kw_only=True, slots=True)
class Timeline:
    """`now` is the time of the world, in seconds since its start, as all times here are."""

    now: Callable[[], float]
    transitions: list[tuple[float, Transition]] = field(default_factory=list)
    holds: list[tuple[float, HoldRecord]] = field(default_factory=list)
    incidents: dict[Key, list[tuple[float, Incident]]] = field(default_factory=dict)  # versions, in order
    keys: dict[str, Key] = field(default_factory=dict)  # by incident's id
    made: dict[str, Made] = field(default_factory=dict)  # by attempt's id
    _lines: list[tuple[float, Callable[[], str]]] = field(default_factory=list)

    def at(self) -> float:
        """The present time."""
        return round(self.now(), _DIGITS)

    def board(self) -> Board:
        """A board whose rows are told here."""
        return _Board(self)

    def say(self, words: str) -> None:
        """Something happened to heald or its host."""
        self._lines.append((self.at(), lambda: words))

    def claimed(self, attempt: Attempt) -> None:
        """A claim was committed."""
        self.made[attempt.id].is_claimed = True

    # ---- rows ---------------------------------------------------------------------------------------------------

    def noted(self, row: Transition | HoldRecord) -> None:
        """A row that only happens."""
        if isinstance(row, Transition):
            self.transitions.append((self.at(), row))
        else:
            self.holds.append((self.at(), row))
        self._lines.append((self.at(), functools.partial(_told, row)))

    def incident(self, row: Incident) -> None:
        """A version of an incident."""
        key = (row.rule, row.check, row.subject)
        before = self.last(row)
        self.keys[row.id] = key
        self.incidents.setdefault(key, []).append((self.at(), row))
        if row.handed_over is not None and (before is None or before.handed_over is not row.handed_over):
            words = f"{_where(row)} is handed to people: {row.handed_over}"
            self._lines.append((self.at(), lambda: words))

    def last(self, row: Incident) -> Incident | None:
        """The newest version of an incident before this one."""
        versions = self.incidents.get((row.rule, row.check, row.subject), [])
        return next((it for _, it in reversed(versions) if it.id == row.id), None)

    def attempt(self, row: Attempt) -> None:
        """A version of an attempt."""
        made = self.made.get(row.id)
        if made is None:
            made = self.made[row.id] = Made(at=self.at(), attempt=row, is_claimed=row.would)
            self._lines.append((made.at, functools.partial(_tried, made)))
        made.attempt = row
        if row.state is not AttemptState.RUNNING and made.ended is None:
            made.ended = self.at()
        if row.verification is not None and made.verified is None:
            made.verified = self.at()
            found = row.verification
            words = f"{_deed(row)} was {found}" if not row.would else f"{_deed(row)}, on paper: {found}"
            self._lines.append((self.at(), lambda: words))

    # ---- what is asked ------------------------------------------------------------------------------------------

    def attempts(self, *, would: bool) -> Iterator[Made]:
        """Attempts that were claimed, or that would have been, in their order."""
        return (made for made in self.made.values() if made.is_claimed and made.attempt.would is would)

    def states(self) -> dict[Key, list[tuple[float, IncidentState]]]:
        """By rule, check and subject: each state and since when; nothing before the first is inactive."""
        found: dict[Key, list[tuple[float, IncidentState]]] = {}
        for at, it in self.transitions:
            found.setdefault((it.rule, it.check, it.subject), []).append((at, it.new))
        for key, versions in self.incidents.items():
            if key[0] in OWN_RULES:  # they have no lifecycle of transitions
                found[key] = [(at, it.state) for at, it in versions]
        return found

    def lines(self) -> list[Line]:
        """All of it, one line each, in order."""
        told = [Line(at=at, text=words()) for at, words in self._lines]
        return [line for line in told if line.text]


class _Board(Board):
    """Tells a timeline what is put on it."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def note(self, row: Transition | HoldRecord) -> None:
        super().note(row)
        self._timeline.noted(row)

    def put_incident(self, incident: Incident) -> None:
        super().put_incident(incident)
        self._timeline.incident(incident)

    def put_attempt(self, attempt: Attempt) -> None:
        super().put_attempt(attempt)
        self._timeline.attempt(attempt)


def _where(row: Incident | Transition) -> str:
    place = f"{row.check} {row.subject}".strip()
    return f"{row.rule} on {place}"


def _told(row: Transition | HoldRecord) -> str:
    if isinstance(row, Transition):
        return f"{_where(row)}: {row.old} → {row.new}" + (f": {row.because}" if row.because else "")
    return f"{row.rule}: {row.remediation} of {row.resource} is held by {row.reason}: {row.sentence}"


def _deed(row: Attempt) -> str:
    return f"{row.remediation} of {row.resource} by {row.rule}"


def _tried(made: Made) -> str:
    """What became of an attempt; nothing if the store did not commit its claim."""
    row = made.attempt
    if not made.is_claimed:
        return ""
    if row.would:
        return f"would {_deed(row)}, try {row.try_number}; nothing is done"
    ending = f"{row.state} for good" if row.permanent else str(row.state)
    after = f" after {format_duration(made.ended - made.at)}" if made.ended is not None else ""
    return f"{_deed(row)}, try {row.try_number}: {ending}{after}"
