"""Standing orders and maintenance windows: what covers an incident now, what people add and end."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace

from daemon.engine.condition_error import did_you_mean
from daemon.engine.orders import find, is_in_force, left_of, matches, open_until, window_covers
from daemon.logs import log
from daemon.model.check import Check
from daemon.model.incident import OWN, Hold, HoldReason
from daemon.model.moment import Stamp, age
from daemon.model.order import Matcher, Order, OrderKind, Scope, Window
from daemon.model.rule import Severity
from daemon.model.units import rough_duration
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board

_LOOK_AGAIN = 1.0  # seconds for which a window counts as open or not: a schedule is minutes, and is asked at every run


class Orders:
    """What people want left alone, or kept quiet."""

    def __init__(self, bindings: Bindings, board: Board, clock: Clock) -> None:
        self._bindings = bindings
        self._board = board
        self._clock = clock
        self._open: tuple[float, list[tuple[Window, float]]] = (float("-inf"), [])
        self._over_at = float("-inf")  # as `over_at`, of the orders that are not on the board any more

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; orders of people stay, and one that covers nothing by now is said."""
        before = {order.id for order in self.in_force() if self._idle(order)}
        self._bindings = bindings
        self._open = (float("-inf"), [])
        for order in self.in_force():
            if order.id not in before and (wrong := self._idle(order)) is not None:
                said = f"{order.id} of {order.who} ({words(order.matchers)}) covers nothing any more: {wrong}."
                log.warning("order_idle", said, order=order.id, who=order.who)

    # ---- what covers it -----------------------------------------------------------------------------------------

    def paused_why(self, scope: Scope) -> str | None:
        """The pause of this service or rule, in words."""
        order = self._find(OrderKind.PAUSE, scope)
        return f"{order.why} (by {order.who}, {words(order.matchers)})" if order else None

    def maintenance(self, scope: Scope) -> Hold | None:
        """The maintenance that covers this: a window of the rules file that is open, or an order."""
        for window, ends in self._open_windows():
            if window_covers(window, scope):
                left = rough_duration(ends - self._clock.steady())
                sentence = f"maintenance window {window.name} is open for another {left}"
                return Hold(reason=HoldReason.MAINTENANCE, sentence=sentence, until=ends)
        order = self._find(OrderKind.MAINTENANCE, scope)
        return self._hold(HoldReason.MAINTENANCE, "maintenance", order) if order else None

    def silence(self, scope: Scope) -> Order | None:
        """The silence that keeps this quiet, whether or not it holds acting."""
        return self._find(OrderKind.SILENCE, scope)

    def silenced(self, scope: Scope) -> Hold | None:
        """The silence that also holds acting."""
        order = find(self._board.orders.values(), OrderKind.SILENCE, scope, self._clock.stamp(), holding=True)
        return self._hold(HoldReason.SILENCED, "a silence with --hold", order) if order else None

    def is_quiet(self, scope: Scope) -> bool:
        """Whether people are not to be told of this now."""
        return self.silence(scope) is not None or self.maintenance(scope) is not None

    def _find(self, kind: OrderKind, scope: Scope) -> Order | None:
        return find(self._board.orders.values(), kind, scope, self._clock.stamp()) if self._board.orders else None

    def _hold(self, reason: HoldReason, what: str, order: Order) -> Hold:
        left = left_of(order, self._clock.stamp())
        ends = "until somebody ends it" if left is None else f"for another {rough_duration(left)}"
        sentence = f"{what} by {order.who} {ends}: {order.why} ({order.id})"
        return Hold(reason=reason, sentence=sentence, until=None if left is None else self._clock.steady() + left)

    def _open_windows(self) -> list[tuple[Window, float]]:
        windows, steady = self._bindings.setup.windows, self._clock.steady()
        if windows and steady - self._open[0] >= _LOOK_AGAIN:
            now = self._clock.now()
            found = [(window, open_until(window, now)) for window in windows]
            still = [(window, steady + (ends - now).total_seconds()) for window, ends in found if ends is not None]
            self._open = (steady, still)
        return self._open[1]

    # ---- what people say ----------------------------------------------------------------------------------------

    def make(
        self,
        kind: OrderKind,
        matchers: Sequence[Matcher],
        *,
        who: str,
        why: str,
        lasts: float | None,
        holds: bool = True,
    ) -> Order:
        """Add an order. Raises ValueError if it is about everything: nothing named is a mistake, not all."""
        if not matchers:
            raise ValueError("nothing is named that it is about; name a service, a rule or something to match")
        order = Order(
            id=f"{kind}-{secrets.token_hex(3)}",
            kind=kind,
            matchers=tuple(tuple(matcher) for matcher in matchers),
            holds=holds,
            who=who,
            why=why,
            made=self._clock.stamp(),
            lasts=lasts,
        )
        self._board.put_order(order)
        return order

    def must_exist(self, matchers: Sequence[Matcher]) -> None:
        """Raises ValueError for a name that covers nothing: who believes it does works on what heald will act on."""
        if (unknown := self._unknown(matchers)) is not None:
            field, pattern, names = unknown
            near = did_you_mean(pattern, list(names))
            raise ValueError(f"there is no {field} {pattern}" + (f"; {near}" if near else ""))

    def _unknown(self, matchers: Sequence[Matcher]) -> tuple[str, str, Collection[str]] | None:
        """The first matcher that is of no name: its field, its pattern, and the names that there are."""
        setup = self._bindings.setup
        known: dict[str, Collection[str]] = {
            "rule": self._bindings.rules,
            "check": setup.checks,
            "service": setup.services,
            "severity": [severity.value for severity in Severity],
        }
        for field, operator, pattern in matchers:
            names = known.get(field)  # subjects come and go, and labels may be missing
            if names is None or operator != "=" or pattern.startswith(OWN) or pattern in names:
                continue
            if not any(matches(name, pattern) for name in names):
                return field, pattern, names
        return None

    def _idle(self, order: Order) -> str | None:
        """Why an order covers nothing; without the nearest name, for which a reload would stand still for long."""
        unknown = self._unknown(order.matchers)
        return None if unknown is None else f"there is no {unknown[0]} {unknown[1]}"

    def end(self, order_id: str, *, who: str) -> Order:
        """End an order. Raises LookupError if there is none in force of that id."""
        order = self._board.orders.get(order_id)
        if order is None or not is_in_force(order, self._clock.stamp()):
            raise LookupError(f"no order {order_id} is in force")
        return self._ended(order, who)

    def end_all(self, kind: OrderKind, matchers: Sequence[Matcher], *, who: str) -> list[Order]:
        """End the orders of a kind with exactly these matchers; without any, all of that kind."""
        wanted = {tuple(matcher) for matcher in matchers}
        now = self._clock.stamp()
        found = [
            order
            for order in self._board.orders.values()
            if order.kind is kind and is_in_force(order, now) and (not wanted or set(order.matchers) == wanted)
        ]
        return [self._ended(order, who) for order in found]

    def _ended(self, order: Order, who: str) -> Order:
        ended = replace(order, ended=self._clock.stamp(), ended_by=who)
        self._board.put_order(ended)
        return ended

    def over_at(self, now: Stamp) -> float:
        """When time last ended an order that held acting, in steady seconds: runs that began before decide nothing."""
        over = self._over_at
        for order in self._board.orders.values():
            if order.holds and order.lasts is not None and not is_in_force(order, now):
                over = max(over, now.boottime - age(order.made, now) + order.lasts)
        return over

    def tick(self) -> None:
        """Take out orders that time has ended."""
        now = self._clock.stamp()
        self._over_at = self.over_at(now)
        for order in [it for it in self._board.orders.values() if not is_in_force(it, now)]:
            self._ended(order, "time")

    def in_force(self) -> list[Order]:
        """Every order in force, oldest first."""
        now = self._clock.stamp()
        return [order for order in self._board.orders.values() if is_in_force(order, now)]


def words(matchers: Sequence[Matcher]) -> str:
    """Matchers as people write them: `service=api severity!=P3`."""
    return " ".join("".join(matcher) for matcher in matchers)


def scope_of(bindings: Bindings, rule: str, check: Check, subject: str, severity: str) -> Scope:
    """What an incident is about; a check's own labels count before those of its service."""
    service = bindings.setup.services.get(check.service or "")
    labels = {**(service.labels if service else {}), **check.labels}
    return Scope(rule=rule, check=check.name, service=check.service, subject=subject, severity=severity, labels=labels)
