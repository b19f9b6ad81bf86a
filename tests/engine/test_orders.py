"""Which orders and windows cover what, and when windows are open: changes of time included."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.engine.orders import covers, find, is_in_force, left_of, open_until, window_covers
from daemon.model.moment import Stamp
from daemon.model.order import Order, OrderKind, Scope, Window

NOW = Stamp(wall=1e9, boot="b", boottime=5000.0, host="n", synchronised=True)
SCOPE = Scope(
    rule="api-down", check="api_health", service="api", subject="", severity="P1", labels={"tier": "web", "site": "eu"}
)
ORDER = Order(
    id="silence-1",
    kind=OrderKind.SILENCE,
    matchers=(("rule", "=", "api-*"),),
    holds=False,
    who="ann",
    why="x",
    made=NOW,
    lasts=600.0,
)


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        ("rule=api-down", True),
        ("rule=api-*", True),
        ("rule=api-?own", True),
        ("rule=api", False),
        ("rule!=db-*", True),
        ("rule!=api-*", False),
        ("service=api severity=P1", True),
        ("service=api severity=P2", False),
        ("label:tier=web", True),
        ("label:tier=store", False),
        ("label:none=", True),  # what is not there is empty
        ("label:none!=x", True),
        ("subject=", True),
        ("check=API_health", False),  # letters count as they are
    ],
)
def test_an_order_covers_what_all_its_matchers_match(matchers: str, fits: bool) -> None:
    parsed = []
    for word in matchers.split():
        operator = "!=" if "!=" in word else "="
        field, _, pattern = word.partition(operator)
        parsed.append((field, operator, pattern))
    assert covers(replace(ORDER, matchers=tuple(parsed)), SCOPE) is fits


@pytest.mark.parametrize(("pattern", "fits"), [("[::1]:443", True), ("[*]:443", True), ("[:1]*", False)])
def test_a_bracket_in_a_matcher_is_one(pattern: str, fits: bool) -> None:
    assert covers(replace(ORDER, matchers=(("subject", "=", pattern),)), replace(SCOPE, subject="[::1]:443")) is fits


def test_a_check_without_a_service_matches_the_empty_one() -> None:
    assert covers(replace(ORDER, matchers=(("service", "=", ""),)), replace(SCOPE, service=None))


def later(seconds: float, **changes: object) -> Stamp:
    return replace(NOW, wall=NOW.wall + seconds, boottime=NOW.boottime + seconds, **changes)


def test_an_order_ends_by_the_steady_clock_whatever_the_wall_clock_does() -> None:
    assert is_in_force(ORDER, later(599))
    assert not is_in_force(ORDER, later(600))
    assert is_in_force(ORDER, replace(later(300), wall=NOW.wall + 1e6))
    assert left_of(ORDER, later(100)) == 500.0
    assert left_of(ORDER, later(700)) == 0.0
    assert left_of(replace(ORDER, lasts=None), later(1e6)) is None
    assert is_in_force(replace(ORDER, lasts=None), later(1e6))
    assert not is_in_force(replace(ORDER, ended=later(1)), later(2))


def test_only_orders_of_the_kind_that_hold_if_asked_are_found() -> None:
    holding = replace(ORDER, id="silence-2", holds=True)
    assert find([ORDER, holding], OrderKind.SILENCE, SCOPE, NOW) is ORDER
    assert find([ORDER, holding], OrderKind.SILENCE, SCOPE, NOW, holding=True) is holding
    assert find([ORDER], OrderKind.PAUSE, SCOPE, NOW) is None


WINDOW = Window(name="w", cron="0 3 * * *", lasts=7200.0, zone="UTC")


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"rules": ("api-down",)}, True),
        ({"checks": ("api_health",)}, True),
        ({"services": ("api",)}, True),
        ({"labels": {"tier": "web"}}, True),
        ({"labels": {"tier": "web", "site": "eu"}}, True),  # these and no others
        ({"labels": {"tier": "web", "site": "us"}}, False),
        ({"is_for_all": True}, True),
        ({"services": ("db",), "rules": ("db-down",)}, False),
        ({}, False),  # nothing named is nothing
    ],
)
def test_a_window_covers_what_any_of_its_lists_names(changes: dict[str, object], fits: bool) -> None:
    assert window_covers(replace(WINDOW, **changes), SCOPE) is fits


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_is_open_from_its_start_until_just_before_its_end() -> None:
    assert open_until(WINDOW, at("2026-11-22T02:59:59")) is None
    assert open_until(WINDOW, at("2026-11-22T03:00:00")) == at("2026-11-22T05:00:00")
    assert open_until(WINDOW, at("2026-11-22T04:59:59")) == at("2026-11-22T05:00:00")
    assert open_until(WINDOW, at("2026-11-22T05:00:00")) is None


def test_a_window_may_last_past_midnight_and_past_its_next_start() -> None:
    night = replace(WINDOW, cron="0 23 * * SAT", lasts=6 * 3600.0)
    assert open_until(night, at("2026-11-22T04:00:00")) == at("2026-11-22T05:00:00")
    always = replace(WINDOW, cron="0 * * * *", lasts=2 * 3600.0)
    assert open_until(always, at("2026-11-22T04:30:00")) == at("2026-11-22T06:00:00")
    assert open_until(always, at("2026-11-22T04:59:30")) == at("2026-11-22T06:00:00")  # half a minute before the next


def openings(window: Window, day: str) -> list[str]:
    """The minutes of a day, in UTC, at which the window opens."""
    begin = at(f"{day}T00:00:00") - timedelta(hours=3)  # of the night before
    found, was_open = [], False
    for minute in range(24 * 60):
        moment = begin + timedelta(minutes=minute)
        is_open = open_until(window, moment) is not None
        if is_open and not was_open:
            found.append(f"{moment:%H:%M}")
        was_open = is_open
    return found


BERLIN = replace(WINDOW, cron="30 2 * * *", lasts=60.0 * 20, zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("2026-01-15", "01:30"),  # winter time
        ("2026-07-15", "00:30"),  # summer time
        ("2026-03-29", "01:00"),  # there is no 02:30 that night: at once after the change, at 03:00
        ("2026-10-25", "00:30"),  # 02:30 comes twice: the first counts
    ],
)
def test_a_window_opens_once_a_night_changes_of_time_included(day: str, opens: str) -> None:
    assert openings(BERLIN, day) == [opens]


def test_a_window_across_a_change_of_time_is_as_long_as_any() -> None:
    night = replace(BERLIN, cron="0 1 * * *", lasts=4 * 3600.0)
    assert open_until(night, at("2026-03-29T00:30:00")) == at("2026-03-29T04:00:00")
    assert open_until(night, at("2026-10-25T00:30:00")) == at("2026-10-25T03:00:00")


def test_a_window_goes_on_through_the_hour_that_comes_twice() -> None:
    night = replace(BERLIN, lasts=3600.0)  # from 02:30, summer time; at 03:00 the clocks on walls show 02:00 again
    assert open_until(night, at("2026-10-25T01:10:00")) == at("2026-10-25T01:30:00")
    assert open_until(night, at("2026-10-25T01:30:00")) is None  # 02:30 once more, which is no start
    quarters = replace(BERLIN, cron="*/15 * * * *", lasts=600.0)
    assert open_until(quarters, at("2026-10-25T01:20:00")) == at("2026-10-25T01:25:00")
    assert open_until(quarters, at("2026-10-25T00:59:00")) is None


def test_a_window_that_opens_every_four_years_is_found() -> None:
    leap = replace(WINDOW, cron="0 3 29 2 *", lasts=40 * 86400.0)
    assert open_until(leap, at("2028-04-01T00:00:00")) == at("2028-04-09T03:00:00")
    assert open_until(leap, at("2026-04-01T00:00:00")) is None
