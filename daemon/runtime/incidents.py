"""Incidents: opened, told, closed, and each change of state recorded."""

import secrets

from daemon.engine.counting import age
from daemon.engine.ladder import reopened
from daemon.logs import log
from daemon.metrics import Metrics
from daemon.model.incident import Incident, IncidentState, Transition
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.rule import Rule
from daemon.model.track import Ladder, Track
from daemon.protocols import Clock
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.board import Board, TrackKey
from daemon.runtime.health import Health
from daemon.runtime.orders import Orders
from daemon.runtime.situation import Situation


class Incidents:
    """What the pipeline opens and closes."""

    def __init__(
        self,
        board: Board,
        *,
        health: Health,
        orders: Orders,
        situation: Situation,
        aftercare: Aftercare,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._board = board
        self._orders = orders
        self._situation = situation
        self._health = health
        self._aftercare = aftercare
        self._clock = clock
        self._metrics = metrics
        self._covered: set[TrackKey] = set()  # by planned work, at their newest run
        self._pending_since: dict[TrackKey, float] = {}

    def note(self, before: Track, after: Track, at: Stamp, because: str) -> None:
        """Record a change of state: a row, and a line for people."""
        if after.state is IncidentState.PENDING:
            self._pending_since[after.rule, after.check, after.subject] = after.last_at
        self._board.note(
            Transition(
                rule=after.rule,
                check=after.check,
                subject=after.subject,
                incident=after.incident,
                old=before.state,
                new=after.state,
                at=at,
                because=because,
            )
        )
        where = f"{after.check} {after.subject}".strip()
        say = log.warning if after.state is IncidentState.FIRING else log.info
        say(
            f"incident_{after.state}" if after.incident else f"rule_{after.state}",
            f"Rule {after.rule} on {where} is {after.state}" + (f": {because}" if because else "."),
            rule=after.rule,
            check=after.check,
            subject=after.subject,
            incident=after.incident,
        )

    def open(self, binding: Binding, resource: str | None, track: Track, at: Stamp, because: str) -> Track:
        """Open an incident; within `relapse` of the last one its ladder goes on where it was."""
        rule = binding.rule
        incident_id = f"INC-{self._clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        linked = self._join(rule, resource, incident_id, at)
        incident = Incident(
            id=incident_id,
            rule=rule.name,
            check=track.check,
            subject=track.subject,
            service=binding.check.service,
            severity=rule.severity,
            state=IncidentState.FIRING,
            opened=at,
            because=because,
            linked_to=linked,
        )
        self._board.put_incident(incident)
        since = self._pending_since.pop((rule.name, track.check, track.subject), at.boottime)
        self._metrics.time_to_detect.observe(max(0.0, at.boottime - since))
        muted = self._health.sick_upstream(incident.service) is not None or self.is_in_maintenance(
            binding, track.subject
        )
        return replace(track, incident=incident_id, muted=muted)

    def was_in_maintenance(self, binding: Binding, subject: str) -> bool:
        """Whether planned work covers it, or did at the run before: time up to its end does not count."""
        key = (binding.rule.name, binding.check.name, subject)
        was_covered = key in self._covered
        if self.is_in_maintenance(binding, subject):
            self._covered.add(key)
            return True
        self._covered.discard(key)
        return was_covered

    def is_in_maintenance(self, binding: Binding, subject: str) -> bool:
        """Whether planned work covers it now."""
        return self._orders.maintenance(self._situation.scope(binding, subject)) is not None

    def _join(self, rule: Rule, resource: str | None, incident_id: str, at: Stamp) -> str | None:
        """Let an incident share its ladder; returns the incident that it relapses from, if it does."""
        if resource is None:
            return None
        key = (rule.name, resource)
        before = self._board.ladders.get(key) or Ladder(rule=rule.name, resource=resource)
        ladder, is_relapse = reopened(before, rule, at)
        self._board.put_ladder(ladder)
        self._board.ladder_of[incident_id] = key
        return ladder.last_incident if is_relapse else None

    def rejoin(self, bindings: Bindings, at: Stamp) -> None:
        """Let open incidents share the ladder of their rule's first step as it is now, after an edit moved it."""
        for incident in list(self._board.incidents.values()):
            for binding in bindings.by_check.get(incident.check, ()):
                if binding.rule.name != incident.rule:
                    continue
                resource = bindings.ladder_resource(binding, incident.subject)
                key = None if resource is None else (incident.rule, resource)
                if self._board.ladder_of.get(incident.id) == key and (key is None or key in self._board.ladders):
                    continue
                self._board.ladder_of.pop(incident.id, None)
                self._join(binding.rule, resource, incident.id, at)
                self._board.put_incident(replace(incident, hold=None, hold_sentence=""))
        self._aftercare.close_empty(at)

    def close(self, incident: Incident, state: IncidentState, at: Stamp) -> None:
        """Close an incident; its ladder closes with the last of them."""
        key = self._board.ladder_of.get(incident.id)
        self._board.put_incident(replace(incident, state=state, closed=at, hold=None, hold_sentence=""))
        if state is IncidentState.RESOLVED:
            self._metrics.time_to_heal.observe(max(0.0, age(incident.opened, at)))
        else:
            self._aftercare.left(incident)
        if key is not None:
            self._aftercare.closed(key, incident.id, at)
