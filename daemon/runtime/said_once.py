"""What holds all acting is told once: one incident of heald's own, however many others it holds."""

from dataclasses import replace

from daemon.logs import log
from daemon.model.incident import OWN, HoldReason, Incident, IncidentState
from daemon.model.order import Scope
from daemon.model.rule import Severity
from daemon.protocols import Clock
from daemon.runtime.board import Board
from daemon.runtime.health import Health
from daemon.runtime.orders import Orders


class SaidOnce:
    """The one incident that says of a hold that it holds everything."""

    def __init__(self, reason: HoldReason, sentence: str, *, board: Board, orders: Orders, clock: Clock) -> None:
        self._reason = reason
        self._sentence = sentence
        self._board = board
        self._orders = orders
        self._clock = clock
        self._rule = f"{OWN}{reason}"  # no rule of a file can have this name

    def open(self, because: str) -> bool:
        """Open it, unless it is; whether it was not. People are told of it."""
        if self.incident() is not None:
            self.tell()
            return False
        incident = Incident(
            id=f"INC-{self._clock.now():%Y%m%d-%H%M%S}-{self._reason}",
            rule=self._rule,
            check="",
            subject="",
            service=None,
            severity=Severity.P0,
            state=IncidentState.FIRING,
            opened=self._clock.stamp(),
            because=because,
            hold=self._reason,
            hold_sentence=self._sentence,
        )
        self._board.put_incident(incident)
        self.tell()
        return True

    def tell(self) -> None:
        """Tell people, once, and not while they want to be left in peace."""
        incident = self.incident()
        if incident is None or incident.handed_over is not None:
            return
        scope = Scope(rule=self._rule, check="", service=None, subject="", severity=str(incident.severity))
        if not self._orders.is_quiet(scope):
            told = replace(incident, handed_over=self._reason, handed_over_at=self._clock.stamp())
            self._board.put_incident(told)

    def close(self) -> None:
        """It holds no more."""
        if (incident := self.incident()) is not None:
            over = replace(incident, state=IncidentState.RESOLVED, closed=self._clock.stamp(), hold=None)
            self._board.put_incident(replace(over, hold_sentence=""))

    def incident(self) -> Incident | None:
        """The one that is open, be it of an earlier life of heald."""
        return next((it for it in self._board.incidents.values() if it.rule == self._rule), None)


class CutOff:
    """Says once that heald itself seems to be cut off, when that keeps it from acting."""

    def __init__(self, health: Health, *, board: Board, orders: Orders, clock: Clock) -> None:
        sentence = "nothing is acted on until every check of settings.self_test is up"
        self._health = health
        self._said = SaidOnce(HoldReason.SELF_TEST, sentence, board=board, orders=orders, clock=clock)

    def held(self) -> None:
        """Something was held for it; before all its checks have run, heald is only starting."""
        if (why := self._health.self_test(known=True)) is not None and self._said.open(f"heald may be cut off: {why}"):
            log.error("cut_off", f"heald may be cut off: {why}. Nothing is done until that is over.")

    def tick(self) -> None:
        """See its end, which no proposal may come to tell of."""
        if self._said.incident() is None:
            return
        if self._health.self_test() is not None:
            self._said.tell()
        else:
            log.info("cut_off_no_more", "Every check of settings.self_test is up again.")
            self._said.close()
