"""Checks that stay blind, or are blind too often: an incident of their own, which only tells people."""

import secrets

from daemon.logs import log
from daemon.model.check import Run
from daemon.model.incident import OWN, HoldReason, Incident, IncidentState
from daemon.model.quick import replace
from daemon.model.rule import Severity
from daemon.model.units import rough_duration
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.situation import Situation

RULE = f"{OWN}blind"
"""The rule that such an incident is of; no rule of a file can have this name."""
RUNS = 20
OFTEN, SELDOM = 10, 5  # blind runs of the last twenty: so many are too often, until they are fewer than that
_MASK = (1 << RUNS) - 1


class _Sight:
    __slots__ = ("bits", "first", "runs", "since")

    def __init__(self, since: float) -> None:
        self.first = since  # when it began to be blind now and then
        self.since = since  # when it could look last, as far as this daemon knows; steady seconds
        self.bits = 0  # blind runs of the last twenty, the newest in bit 0
        self.runs = 0

    @property
    def blind(self) -> int:
        """How many of the last twenty runs were blind."""
        return self.bits.bit_count()


class Blindness:
    """What is remembered of checks that were blind lately; the others cost nothing."""

    def __init__(self, bindings: Bindings, *, board: Board, situation: Situation, clock: Clock) -> None:
        self._bindings = bindings
        self._board = board
        self._situation = situation
        self._clock = clock
        self._sights: dict[str, _Sight] = {}

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration: what removed checks did not see is of no interest."""
        self._bindings = bindings
        self._sights = {check: sight for check, sight in self._sights.items() if check in bindings.by_check}
        for incident in self._incidents():
            if incident.check not in bindings.by_check:
                self._close(incident, IncidentState.WITHDRAWN)

    def saw(self, run: Run) -> None:
        """Note whether a run could look."""
        sight = self._sights.get(run.check)
        if sight is None and run.error is None and not self._board.incidents:
            return
        incident = next((it for it in self._incidents() if it.check == run.check), None)
        if sight is None:
            if run.error is None and incident is None:
                return
            sight = self._sights[run.check] = _Sight(run.began)
        sight.bits = (sight.bits << 1 | (run.error is not None)) & _MASK
        sight.runs += 1
        if run.error is None:
            sight.since = run.ended
            if incident is not None and sight.blind < SELDOM:
                self._close(incident, IncidentState.RESOLVED)
            if not sight.bits:
                del self._sights[run.check]
        elif incident is None and (why := self._why(sight, run)) is not None:
            self._open(run, why)
        elif incident is not None:
            self._tell(incident)

    def _why(self, sight: _Sight, run: Run) -> str | None:
        """What is wrong with it, in words; None while it is a passing thing."""
        patience = self._bindings.setup.settings.escalate_after
        blind_for = run.ended - sight.since
        if blind_for >= patience:
            return f"{run.check} could not look for {rough_duration(blind_for)}: {run.error}"
        if run.ended - sight.first >= patience and sight.runs >= RUNS and sight.blind >= OFTEN:
            return f"{run.check} could not look in {sight.blind} of its last {RUNS} runs; now: {run.error}"
        return None

    def _open(self, run: Run, why: str) -> None:
        check = self._bindings.setup.checks[run.check]
        incident = Incident(
            id=f"INC-{self._clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            rule=RULE,
            check=run.check,
            subject="",
            service=check.service,
            severity=Severity.P2,
            state=IncidentState.FIRING,
            opened=self._clock.stamp(),
            because=why,
        )
        log.error("check_blind", f"heald is blind: {why}.", check=run.check, incident=incident.id)
        self._board.put_incident(incident)
        self._tell(incident)

    def _tell(self, incident: Incident) -> None:
        """Tell people, once, and not while they want to be left in peace."""
        if incident.handed_over is None and not self._situation.is_quiet(incident):
            told = replace(incident, handed_over=HoldReason.BLIND_NOW, handed_over_at=self._clock.stamp())
            self._board.put_incident(told)

    def _close(self, incident: Incident, state: IncidentState) -> None:
        log.info("check_sees", f"Incident {incident.id}: {incident.check} is {state}.", check=incident.check)
        self._board.put_incident(replace(incident, state=state, closed=self._clock.stamp()))

    def _incidents(self) -> list[Incident]:
        return [incident for incident in self._board.incidents.values() if incident.rule == RULE]
