"""Which orders and maintenance windows cover an incident now, and until when. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from cronsim import CronSim

from daemon.model.moment import Stamp, age
from daemon.model.order import Matcher, Order, OrderKind, Scope, Window


def is_in_force(order: Order, now: Stamp) -> bool:
    """Whether nobody and no time has ended it yet."""
    return order.ended is None and (order.lasts is None or age(order.made, now) < order.lasts)


def left_of(order: Order, now: Stamp) -> float | None:
    """Seconds until an order ends by itself; None if it does not."""
    return None if order.lasts is None else max(0.0, order.lasts - age(order.made, now))


def covers(order: Order, scope: Scope) -> bool:
    """Whether an order is about this: every matcher matches."""
    return all(_matches(matcher, scope) for matcher in order.matchers)


def _matches(matcher: Matcher, scope: Scope) -> bool:
    field, operator, pattern = matcher
    if field.startswith("label:"):
        value = scope.labels.get(field.removeprefix("label:"), "")
    else:
        value = getattr(scope, field) or ""
    return fnmatchcase(value, pattern) is (operator == "=")


def find(orders: Iterable[Order], kind: OrderKind, scope: Scope, now: Stamp, *, holding: bool = False) -> Order | None:
    """The first order of a kind that covers this now; with `holding` only one that holds acting."""
    for order in orders:
        if order.kind is kind and (order.holds or not holding) and is_in_force(order, now) and covers(order, scope):
            return order
    return None


def window_covers(window: Window, scope: Scope) -> bool:
    """Whether a maintenance window is about this: by its rule, its check, its service or its labels."""
    return (
        window.is_for_all
        or scope.rule in window.rules
        or scope.check in window.checks
        or scope.service in window.services
        or (bool(window.labels) and window.labels.items() <= dict(scope.labels).items())
    )


def open_until(window: Window, now: datetime) -> datetime | None:
    """When the window that is open now ends; None if it is not open. `now` is aware; cron is read in its zone.

    As Debian's cron does it, a start that a change of time skips is made up for at once, and one that it repeats
    happens once (cronsim).
    """
    local = now.astimezone(ZoneInfo(window.zone))
    began = next(CronSim(window.cron, local + timedelta(minutes=1), reverse=True), None)
    while began is not None and began > local:
        began = next(CronSim(window.cron, began, reverse=True), None)
    if began is None:
        return None
    ends = began.astimezone(UTC) + timedelta(seconds=window.lasts)
    return ends if now < ends else None
