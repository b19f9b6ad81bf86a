"""Which orders and maintenance windows cover an incident now, and until when. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from cronsim import CronSim

from daemon.model.moment import Stamp, age
from daemon.model.order import Matcher, Order, OrderKind, Scope, Window

_DAYS_BACK = (1, 7, 31, 366, 9 * 366)
"""How far back the last start is looked for: 29 February may be eight years ago. From a noon, when no clock changes."""


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
    return matches(value, pattern) is (operator == "=")


def matches(value: str, pattern: str) -> bool:
    """Whether a pattern of * and ? is of this; a bracket is itself, as in `[::1]:443`."""
    return fnmatchcase(value, pattern.replace("[", "[[]"))


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
    earliest = now - timedelta(seconds=window.lasts)
    for days in _DAYS_BACK:
        noon = now.astimezone(ZoneInfo(window.zone)).replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
        since = noon - timedelta(days=days)  # by the wall clock
        began = None
        for start in CronSim(window.cron, since):
            if start.astimezone(UTC) > now:  # within one zone `>` would compare what the clocks on walls show
                break
            began = start.astimezone(UTC)
        if began is not None or since.astimezone(UTC) < earliest:
            break
    if began is None or now >= began + timedelta(seconds=window.lasts):
        return None
    return began + timedelta(seconds=window.lasts)
