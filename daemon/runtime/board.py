"""What the pipeline knows now, by name; every change is also a row for the store."""

from collections.abc import Iterator, Mapping

from daemon.engine.counting import age, counts_still
from daemon.engine.verification import Watch
from daemon.model.approval import Approval
from daemon.model.incident import Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.order import Order
from daemon.model.quick import replace
from daemon.model.remediation import Attempt
from daemon.model.rule import Rule
from daemon.model.track import HoldRecord, Ladder, Remembered, Track

TrackKey = tuple[str, str, str]
"""rule, check, subject"""
LadderKey = tuple[str, str]
"""rule, resource of its first step"""
Row = Incident | Transition | HoldRecord | Attempt | Ladder | Track | Order | Approval


class Board:
    """Tracks, ladders, incidents and attempts in memory, authoritative while this daemon holds the state's lock."""

    def __init__(self) -> None:
        self.tracks: dict[TrackKey, Track] = {}
        self.ladders: dict[LadderKey, Ladder] = {}
        self.incidents: dict[str, Incident] = {}  # the open ones
        self.resolved: dict[str, Incident] = {}  # at start only: closed ones that an attempt may be verified for
        self.attempts: dict[str, Attempt] = {}  # every one that a limit could still count
        self.watches: dict[str, Watch] = {}  # attempts under way, by id
        self.claiming: set[str] = set()  # attempts whose claim is on its way: the claim alone writes them
        self.orders: dict[str, Order] = {}  # standing orders that nobody ended, oldest first
        self.approvals: dict[str, Approval] = {}  # those of which something can still come
        self.ladder_of: dict[str, LadderKey] = {}  # by open incident
        self.subjects: dict[tuple[str, str], set[str]] = {}  # by rule and check: subjects with a track
        self._rows: list[Row] = []
        self._later: dict[TrackKey | LadderKey, Track | Ladder] = {}

    def restore(self, remembered: Remembered) -> None:
        """Take over what the store remembers; nothing of it is a new row."""
        self.incidents = {incident.id: incident for incident in remembered.incidents if incident.closed is None}
        self.resolved = {it.id: it for it in remembered.incidents if it.state is IncidentState.RESOLVED}
        self.attempts = {attempt.id: attempt for attempt in remembered.attempts}
        self.orders = {order.id: order for order in remembered.orders}
        self.approvals = {approval.id: approval for approval in remembered.approvals}
        self.ladders = {(ladder.rule, ladder.resource): ladder for ladder in remembered.ladders}
        for track in remembered.tracks:
            known = track.incident is None or track.incident in self.incidents
            if (track.state is not IncidentState.INACTIVE and known) or track.is_remembered:
                self._keep(track)

    def take_rows(self) -> list[Row]:
        """The rows since the last call; of each keyed row the newest stands for all."""
        rows, self._rows = self._rows, []
        return rows

    def everything(self) -> list[Row]:
        """All that is known now, as rows: for a store that begins anew while heald runs."""
        judged: list[Row] = [*self.incidents.values(), *self.ladders.values(), *self.tracks.values()]
        return [*judged, *self.attempts.values(), *self.orders.values(), *self.approvals.values()]

    def note(self, row: Transition | HoldRecord) -> None:
        """Record what only happens."""
        self._rows.append(row)

    def put_track(self, track: Track, *, is_change: bool) -> Track:
        """Keep a track; one that is INACTIVE and not remembered is forgotten. Only a change becomes a row at once."""
        if track.state is IncidentState.INACTIVE and not track.is_remembered:
            self.tracks.pop((track.rule, track.check, track.subject), None)
            self.subjects.get((track.rule, track.check), set()).discard(track.subject)
        else:
            self._keep(track)
        key = (track.rule, track.check, track.subject)
        if is_change:
            self._later.pop(key, None)
            self._rows.append(track)
        else:
            self._later[key] = track
        return track

    def _keep(self, track: Track) -> None:
        self.tracks[track.rule, track.check, track.subject] = track
        self.subjects.setdefault((track.rule, track.check), set()).add(track.subject)

    def put_ladder(self, ladder: Ladder, *, is_change: bool = True) -> Ladder:
        """Keep a ladder. Only a change becomes a row at once."""
        self.ladders[ladder.rule, ladder.resource] = ladder
        if is_change:
            self._later.pop((ladder.rule, ladder.resource), None)
            self._rows.append(ladder)
        else:
            self._later[ladder.rule, ladder.resource] = ladder
        return ladder

    def take_measured(self) -> list[Row]:
        """What was only measured since the last call (time that counts, memories): written with the history."""
        later, self._later = self._later, {}
        return list(later.values())

    def put_incident(self, incident: Incident) -> None:
        """Keep an incident; a closed one leaves memory."""
        if incident.closed is None:
            self.incidents[incident.id] = incident
        else:
            self.incidents.pop(incident.id, None)
            self.ladder_of.pop(incident.id, None)
        self._rows.append(incident)

    def put_order(self, order: Order) -> None:
        """Keep a standing order; an ended one leaves memory."""
        if order.ended is None:
            self.orders[order.id] = order
        else:
            self.orders.pop(order.id, None)
        self._rows.append(order)

    def put_approval(self, approval: Approval) -> None:
        """Keep an approval; one of which nothing can come any more leaves memory."""
        if approval.state.is_open:
            self.approvals[approval.id] = approval
        else:
            self.approvals.pop(approval.id, None)
        self._rows.append(approval)

    def put_attempt(self, attempt: Attempt) -> None:
        """Keep an attempt; its watch sees the same."""
        self.attempts[attempt.id] = attempt
        if attempt.id in self.watches:
            self.watches[attempt.id] = replace(self.watches[attempt.id], attempt=attempt)
        if attempt.id not in self.claiming:
            self._rows.append(attempt)

    def open_incidents(self, key: LadderKey) -> Iterator[Incident]:
        """The open incidents that share a ladder, oldest first."""
        ladder_of = self.ladder_of.get
        return (incident for name, incident in self.incidents.items() if ladder_of(name) == key)

    def forget(self, now: Stamp, *, longest: float, rules: Mapping[str, Rule]) -> None:
        """Drop what no limit of at most `longest` seconds, no cooldown and no relapse can need any more."""
        for attempt in list(self.attempts.values()):
            if attempt.id not in self.watches and not counts_still(attempt, longest, now):
                del self.attempts[attempt.id]
        for key, ladder in list(self.ladders.items()):
            if ladder.closed is None or ladder.attempt is not None:
                continue
            if ladder.rule not in rules or age(ladder.closed, now) >= rules[ladder.rule].relapse:
                del self.ladders[key]
