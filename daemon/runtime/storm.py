"""Many sick at once is not many faults: something under them all is, or heald itself is cut off."""

from daemon.logs import log
from daemon.model.incident import OWN, Hold, HoldReason
from daemon.model.units import format_duration
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.health import Health
from daemon.runtime.orders import Orders, scope_of
from daemon.runtime.said_once import SaidOnce

LEAST_SICK = 5  # services (docs/judgement.md, guards)
_LOOK_AGAIN = 0.2  # seconds for which the count holds: one coalesced start of runs


class Storm:
    """Whether there is a storm, and what it leaves behind."""

    def __init__(self, bindings: Bindings, *, board: Board, health: Health, orders: Orders, clock: Clock) -> None:
        self._bindings = bindings
        sentence = "nothing is acted on until it is over, and then on one service at a time, the lowest first"
        self._said = SaidOnce(HoldReason.STORM, sentence, board=board, orders=orders, clock=clock)
        self._board, self._health, self._orders = board, health, orders
        self._clock = clock
        self._looked = float("-inf")
        self._newest: float | None = None  # when it was last seen, steady seconds; None: none, and none to wait for
        self._left: set[str] = set()  # services that were sick in it and are not well yet
        self._excused: set[str] = set()  # held by a sick upstream, and not CLEAR since: they do not count

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings
        self._left &= bindings.setup.services.keys()
        self._excused &= bindings.setup.services.keys()

    @property
    def is_on(self) -> bool:
        """Whether it rages, or was over too short a while ago."""
        return self._newest is not None

    def hold(self, service: str | None) -> Hold | None:
        """Why nothing is done to a service, if that is because of a storm."""
        settings = self._bindings.setup.settings.storm
        if settings is None:
            return None
        self._look()
        if self._newest is not None:
            waits = f"it waits for {format_duration(settings.quiet)} of quiet"
            if self._newest >= self._looked:  # nobody knows how long it lasts
                sentence = f"too many services are sick at once to be faults of their own; {waits}"
                return Hold(reason=HoldReason.STORM, sentence=sentence)
            sentence = f"too many services were sick at once; {waits}"
            return Hold(reason=HoldReason.STORM, sentence=sentence, until=self._newest + settings.quiet)
        return self._one_at_a_time(service)

    def _one_at_a_time(self, service: str | None) -> Hold | None:
        """After a storm: the lowest service first, and the next once that is well."""
        if service not in self._left:
            return None
        first = min(self._left, key=lambda name: (len(self._bindings.setup.upstream.get(name, ())), name))
        if service == first:
            return None
        waits = f"{first} is not well yet, see `heald explain {first}`"
        sentence = f"after a storm one service is healed at a time, the lowest first: {waits}"
        return Hold(reason=HoldReason.STORM, sentence=sentence)

    def _look(self) -> None:
        steady, settings = self._clock.steady(), self._bindings.setup.settings.storm
        if settings is None:  # a reload switched it off
            if self._newest is not None or self._left:
                self._newest, self._left = None, set()
                self._close()
            self._excused.clear()
            return
        if steady - self._looked < _LOOK_AGAIN:
            return
        self._looked = steady
        sick, counted = self._count()
        if len(sick) >= LEAST_SICK and 100.0 * len(sick) > settings.share * counted:
            if self._newest is None:
                self._say(sick, counted)
            self._said.tell()
            self._newest, self._left = steady, self._left | sick
        elif self._newest is not None and steady - self._newest >= settings.quiet:
            self._newest = None
            self._close()

    def _count(self) -> tuple[set[str], int]:
        """Services that are sick for themselves, and how many have no sick upstream at all.

        One that is sick while maintenance covers all its checks is meant to be: it neither counts nor is waited for.
        """
        sick, counted = set(), 0
        for name in self._bindings.setup.services:
            if not self._bindings.checks_of[name]:
                continue
            is_sick = self._health.why_sick(name) is not None
            if not is_sick:
                self._excused.discard(name)
                if name in self._left and all(map(self._health.has_seen, self._bindings.checks_of[name])):
                    self._left.discard(name)
            elif self._is_planned(name):
                self._left.discard(name)
                continue
            if self._health.sick_upstream(name) is not None:
                if is_sick:
                    self._excused.add(name)
                continue
            counted += 1
            if is_sick and name not in self._excused:
                sick.add(name)
        return sick, counted

    def _is_planned(self, service: str) -> bool:
        checks = [self._bindings.setup.checks[name] for name in self._bindings.checks_of[service]]
        return all(self._orders.maintenance(scope_of(self._bindings, "", it, "", "")) is not None for it in checks)

    def tick(self) -> None:
        """Look without a proposal: when nothing is proposed any more, who is well again and a storm's end are seen."""
        if self._newest is not None or self._left or self._excused:
            self._look()

    # ---- the one incident ---------------------------------------------------------------------------------------

    def _say(self, sick: set[str], counted: int) -> None:
        because = f"{len(sick)} of {counted} services are sick: {', '.join(sorted(sick)[:10])}"
        log.error("storm", f"A storm: {because}. Nothing is done until it is over.")
        self._said.open(because)

    def _close(self) -> None:
        log.info("storm_over", "The storm is over; what is still sick is healed one service at a time.")
        self._said.close()

    def resume(self) -> None:
        """Go on after a restart: a storm that nobody saw end is taken for one that rages.

        Where one holds anything, who has an open incident is taken for who was sick in it, until its checks have run.
        """
        if self._said.incident() is not None:
            self._newest = self._clock.steady()
        mine = [incident for incident in self._board.incidents.values() if not incident.rule.startswith(OWN)]
        if any(incident.hold is HoldReason.STORM for incident in mine):
            services = self._bindings.setup.services
            self._left = {name for it in mine if (name := it.service) is not None and name in services}
