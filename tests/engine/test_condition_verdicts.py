"""Kleene logic, blindness, other checks, and because."""

import pytest

from daemon.engine.condition import ABSENT, View
from tests.engine.looking import BREACHED, CLEAR, UNKNOWN, World, because, blind, judged


@pytest.mark.parametrize(
    "text",
    ["a == 1", "a != 1", "a < 1", "a >= 1", "a in [1]", "a not in [1]", "[1] contains a", "a == b", "a + 1 == 2"],
)
def test_a_comparison_with_a_missing_operand_is_unknown(text: str) -> None:
    assert judged(text, b=1) is UNKNOWN
    assert judged(f"not {text}", b=1) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("a == 1 and b == 1", CLEAR),  # UNKNOWN and false
        ("b == 1 and a == 1", CLEAR),
        ("a == 1 or b == 0", BREACHED),  # UNKNOWN or true
        ("b == 0 or a == 1", BREACHED),
        ("a == 1 and b == 0", UNKNOWN),
        ("b == 0 and a == 1", UNKNOWN),
        ("a == 1 or b == 1", UNKNOWN),
        ("b == 1 or a == 1", UNKNOWN),
        ("not a == 1", UNKNOWN),
        ("b == 0 and c == 0 and a == 1", UNKNOWN),
        ("a == 1 and b == 0 and c == 1", CLEAR),
        ("a == 1 or b == 1 or c == 0", BREACHED),
        ("(a == 1) == (b == 0)", UNKNOWN),
    ],
)
def test_unknown_goes_by_kleene(text: str, verdict: object) -> None:
    assert judged(text, b=0, c=0) is verdict


@pytest.mark.parametrize(
    "text",
    [
        "up == 0",
        "up != 0",
        "api.up == 0",
        "has(up)",
        "not has(up)",
        "avg(up, 5m) < 1",
        "unchanged(up) > 1s",
        "count_of(up == 0, 1, 2)",
        "up == 0 or true",
        "up == 0 or 1 < 2",
        "not (up == 0 and false)",
    ],
)
def test_a_blind_run_is_unknown_to_its_own_subjects(text: str) -> None:
    world = World(text)
    for at in (0.0, 10.0, 20.0, 30.0):
        world.run(at, up=0)
    assert world.run(40.0, error="no route to host") is UNKNOWN
    assert "no route to host" in world.because
    assert blind(text) is UNKNOWN


def test_a_blind_run_is_known_where_other_checks_decide() -> None:
    world = World("up == 0 or db.connections > 90")
    world.saw("db", 5.0, connections=95)
    assert world.run(10.0, error="EMFILE") is BREACHED
    assert world.because == "db.connections = 95 > 90"
    world.saw("db", 15.0, connections=5)
    assert world.run(20.0, error="EMFILE") is UNKNOWN
    assert world.because == "up is missing: EMFILE"
    nested = World("(up == 0 or db.connections > 90) and (db.connections < 99 and db.connections > 1)")
    nested.saw("db", 5.0, connections=95)
    assert nested.run(10.0, error="EMFILE") is BREACHED
    both = World("up == 0 and db.connections > 90")
    both.saw("db", 5.0, connections=5)
    assert both.run(10.0, error="EMFILE") is CLEAR


def test_in_a_blind_run_has_is_unknown_and_not_false() -> None:
    world = World("has(up) == (db.up == 0)")
    world.saw("db", 0.0, up=1)
    assert world.run(1.0) is BREACHED  # both are false
    assert world.run(2.0, error="EMFILE") is UNKNOWN


def test_a_blind_run_is_known_where_age_decides() -> None:
    world = World("up == 0 or age() > 5m")
    assert world.run(0.0, error="EMFILE") is UNKNOWN  # it never could look
    assert world.because == "up is missing: EMFILE; age() is missing: the check never could look: EMFILE"
    assert world.run(10.0, up=1) is CLEAR
    assert world.because == "up = 1 != 0; age() = 0s <= 5m"
    assert world.run(310.0, error="EMFILE") is UNKNOWN  # 5m is not more than 5m, and up is missing
    assert world.run(311.0, error="EMFILE") is BREACHED
    assert world.because == "age() = 5m1s > 5m"


def test_age_is_missing_before_the_first_run() -> None:
    world = World("age() > 1m")
    view = View("api", "", {}, None, 0.0, world.observations)
    assert world.condition.judge(view) is UNKNOWN
    assert world.condition.because(view) == "age() is missing: the check never could look"


def test_age_alone_is_a_condition() -> None:
    world = World("age() > 1m")
    assert world.run(0.0, up=1) is CLEAR
    assert world.run(61.0, error="EMFILE") is BREACHED


@pytest.mark.parametrize(
    "text", ["up == 0", "up == 0 or age() < 5m", "up == 0 or db.up == 0", "count_of(db.up == 0, 1, 1)"]
)
def test_a_subject_that_is_gone_is_unknown_whatever_other_checks_say(text: str) -> None:
    world = World(text, subject="web")
    world.saw("db", 0.0, up=0)
    assert world.run(0.0, up=0) is BREACHED
    world.observations.declare("api", 10.0, {}, frozenset())
    world.saw("api", 10.0, {"other": {"up": 0}})
    view = world.view
    assert view is not None
    view.samples, view.blind, view.now = {}, ABSENT, 10.0
    view.memory = world.condition.record(view, ())
    assert world.condition.judge(view) is UNKNOWN
    assert ABSENT in world.because or "1 unknown" in world.because


def test_has_tells_whether_there_is_a_value() -> None:
    assert judged("has(body_bytes)", body_bytes=0) is BREACHED
    assert judged("has(body_bytes)", up=1) is CLEAR
    assert judged("has(state)", state="") is BREACHED
    assert judged("has(ok)", ok=False) is BREACHED


def test_has_of_another_check_is_unknown_where_nobody_looked_lately() -> None:
    world = World("has(db.connections)")
    assert world.run(0.0) is UNKNOWN
    assert world.because == "has(db.connections) is unknown: db has not looked yet"
    world.saw("db", 10.0, up=1)
    assert world.run(11.0) is CLEAR
    world.saw("db", 20.0, connections=0)
    assert world.run(110.0) is BREACHED
    assert world.run(110.1) is UNKNOWN
    assert "more than three of its intervals" in world.because


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        ({"up": 1}, "the reading has no such sample"),
        ({"connections": float("inf")}, "it is no finite number"),
        ({"connections": "many"}, "the reading has str where a number belongs"),
        ({"connections": True}, "the reading has bool where a number belongs"),
    ],
)
def test_what_is_missing_of_another_check_says_why(reading: dict[str, float | str], why: str) -> None:
    world = World("db.connections > 90")
    world.saw("db", 0.0, **reading)
    assert world.run(1.0) is UNKNOWN
    assert world.because == f"db.connections is missing: {why}"


def test_another_checks_reading_is_that_of_the_same_subject() -> None:
    world = World("disk.used_percent > 85%", subject="/var")
    world.saw("disk", 0.0, {"/": {"used_percent": 10}, "/var": {"used_percent": 90}})
    assert world.run(1.0) is BREACHED


def test_another_checks_only_subject_stands_for_every_other() -> None:
    world = World("disk.used_percent > 85%", subject="web")
    world.saw("disk", 0.0, {"/": {"used_percent": 90}})
    assert world.run(1.0) is BREACHED
    assert World("db.up == 0", subject="web").run(1.0) is UNKNOWN


def test_one_of_several_other_subjects_must_be_named() -> None:
    world = World("disk.used_percent > 85%")
    world.saw("disk", 0.0, {"/": {"used_percent": 90}, "/var": {"used_percent": 90}})
    assert world.run(1.0) is UNKNOWN
    assert 'disk has 2 subjects and none is ""; write disk["subject"]' in world.because
    named = World('disk["/var"].used_percent > 85%')
    named.saw("disk", 0.0, {"/": {"used_percent": 10}, "/var": {"used_percent": 90}})
    assert named.run(1.0) is BREACHED
    assert named.because == 'disk["/var"].used_percent = 90% > 85%'


def test_a_subject_that_is_named_is_that_one_and_no_other() -> None:
    world = World('disk["/var"].used_percent > 85%')
    world.saw("disk", 0.0, {"/": {"used_percent": 90}})
    assert world.run(1.0) is UNKNOWN
    assert world.because == 'disk["/var"].used_percent is missing: "/var" is not in the newest readings of disk'


def test_a_text_of_another_check_is_a_text() -> None:
    world = World('disk.state == "full"')
    world.saw("disk", 0.0, {"/": {"state": "full"}})
    assert world.run(1.0) is BREACHED
    world.saw("disk", 2.0, {"/": {"state": 5}})
    assert world.run(3.0) is UNKNOWN


def test_a_neighbour_does_not_stand_for_a_subject_that_is_gone() -> None:
    world = World("disk.used_percent > 85%", subject="/var")
    world.saw("disk", 0.0, {"/": {"used_percent": 90}, "/var": {"used_percent": 10}})
    assert world.run(1.0) is CLEAR
    world.saw("disk", 2.0, {"/": {"used_percent": 90}})
    assert world.run(3.0) is UNKNOWN
    assert '"/var" is not in the newest readings of disk' in world.because


def test_a_reading_older_than_three_intervals_is_missing() -> None:
    world = World("db.connections > 90")
    assert world.run(0.0) is UNKNOWN
    assert "db has not looked yet" in world.because
    world.saw("db", 10.0, connections=95)
    world.blind("db", 40.0)
    assert world.run(100.0) is BREACHED  # exactly three intervals of 30s
    assert world.run(100.1) is UNKNOWN
    why = "the newest reading of db is 1m30s old, which is more than three of its intervals of 30s"
    assert world.because == f"db.connections is missing: {why}"


def test_another_check_that_never_could_look_says_why() -> None:
    world = World("db.up == 0 or has(db.up)")
    world.blind("db", 1.0, "wrong password")
    assert world.run(2.0) is UNKNOWN
    assert "db could not look yet: wrong password" in world.because


def test_another_subject_of_the_own_check_may_be_named() -> None:
    world = World('api["standby"].up == 1', subject="main")
    world.saw("api", 0.0, {"main": {"up": 0}, "standby": {"up": 1}})
    assert world.condition.others == frozenset()
    assert world.condition.judge(View("api", "main", {"up": 0}, None, 0.0, world.observations)) is BREACHED
    blind_now = View("api", "main", {}, "EMFILE", 0.0, world.observations)
    assert world.condition.judge(blind_now) is UNKNOWN  # it is of the same run
    assert world.condition.because(blind_now) == 'api["standby"].up is missing: EMFILE'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("up == 0 or latency_seconds > 5s", "up = 0; latency_seconds = 7.2s > 5s"),  # true or: the true sides
        ("up == 1 or latency_seconds > 5s", "latency_seconds = 7.2s > 5s"),
        ("latency_seconds > 5s or up == 0", "latency_seconds = 7.2s > 5s; up = 0"),  # in order of the text
        ("up == 0 and latency_seconds < 5s", "latency_seconds = 7.2s >= 5s"),  # false and: the false sides
        ("up == 0 and latency_seconds > 5s", "up = 0; latency_seconds = 7.2s > 5s"),  # true and: all
        ("up == 1 or latency_seconds < 5s", "up = 0 != 1; latency_seconds = 7.2s >= 5s"),  # false or: all
        ("not (up == 1 or status == 200)", "up = 0 != 1; status = 503 != 200"),
        ("up == 0 or a == 1", "up = 0"),
        ("up == 0 and (status in [200] or state == 'failed')", 'up = 0; state = "failed"'),
        ("5s < latency_seconds", "5s < latency_seconds = 7.2s"),
        ("status in [500, 503]", "status = 503 in [500, 503]"),
        ("status not in [500, 503]", "status = 503 in [500, 503]"),
        ("status in [500, 503] and up == 0", "status = 503 in [500, 503]; up = 0"),
        ("state contains 'fail'", "state = \"failed\" contains 'fail'"),
        ("state contains 'run'", "state = \"failed\" does not contain 'run'"),
        ("ok", "ok = true"),
        ("has(a)", "has(a) = false"),
        ("body_bytes > 1MiB", "body_bytes = 1.5GiB > 1MiB"),
        ("used_percent > 85%", "used_percent = 91% > 85%"),
        ("body_bytes / 3GiB > 0.4", "body_bytes / 3GiB = 0.5 > 0.4"),
        ("io > 1MB/s", "io = 2MiB/s > 1MB/s"),
        ("latency_seconds > 7199ms", "latency_seconds = 7.2s > 7199ms"),
        ("used_percent > 90.9999999%", "used_percent = 91.0% > 90.9999999%"),  # no `91% > 91%`
        ("avg(latency_seconds, 1m) > 5s", "avg(latency_seconds, 1m) = 7.2s > 5s"),
        ("status - 3 == 500", "status - 3 = 500"),
        ("status\n  - 3 == 500", "status - 3 = 500"),  # on one line
        ("up == 0 and -(status) < 1 and ok", "up = 0; -(status) = -503 < 1; ok = true"),
        ("up == 0 and not has(a) and ok", "up = 0; has(a) = false; ok = true"),
        (
            "up == 0 and count_of(ok, 1, 1) and ok",
            "up = 0; count_of(ok, 1, 1) = true (of the last 1 runs 1 breached, 0 clear, 0 unknown); ok = true",
        ),
        ("a == 1", "a is missing: the reading has no such sample"),
        ("status > a", "a is missing: the reading has no such sample"),
        ("a == 1 or b == 1 or up == 1", "a and b are missing: the reading has no such sample"),
        ("a + b == 1 and up == 0", "a and b are missing: the reading has no such sample"),
        ("status / (up * 2) > 1", "status / (up * 2) is missing: up * 2 is 0, and nothing is divided by 0"),
        ("c == 1", "c is missing: it is no finite number"),
        ("status * 1e307 * up > 1", "status * 1e307 * up is missing: the result is too large a number"),
        ("status / 1e-307 > 1", "status / 1e-307 is missing: the result is too large a number"),
        ("delta(up, 5m) > 1", "delta(up, 5m) is missing: there is 1 known sample in the last 5m, and it needs 2"),
        ("db.up == 0", "db.up is missing: db has not looked yet"),
        (
            "count_of(up == 0, 1, 3)",
            "count_of(up == 0, 1, 3) = true (of the last 3 runs 1 breached, 0 clear, 2 unknown)",
        ),
        (
            "count_of(up == 0, 2, 3)",
            "count_of(up == 0, 2, 3) is unknown: of the last 3 runs 1 breached, 0 clear, 2 unknown",
        ),
    ],
)
def test_because_lists_the_operands_that_made_it_so(text: str, says: str) -> None:
    samples = {"up": 0, "latency_seconds": 7.2, "status": 503, "state": "failed", "ok": True}
    more = {"body_bytes": 1.5 * 2**30, "used_percent": 91.0, "io": 2**21, "c": float("nan")}
    assert because(text, **samples, **more) == says


@pytest.mark.parametrize(
    ("text", "sample", "why"),
    [
        ("ok", 1, "the reading has int where true or false belongs"),
        ('state == "x"', 5.0, "the reading has float where a string belongs"),
        ('state == "x"', True, "the reading has bool where a string belongs"),
        ("a == 1", "1", "the reading has str where a number belongs"),
        ("a == 1", True, "the reading has bool where a number belongs"),
        ("a == 1", 10**400, "it is no finite number"),
    ],
)
def test_what_is_of_another_kind_is_missing_and_says_so(text: str, sample: float | str, why: str) -> None:
    name = text.split()[0]
    assert because(text, **{name: sample}) == f"{name} is missing: {why}"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.25, "250ms"),
        (0.0, "0s"),
        (1.0, "1s"),
        (1.5, "1.5s"),
        (59.94, "59.94s"),
        (60.0, "1m"),
        (60.4, "1m"),
        (90.0, "1m30s"),
        (90061.0, "1d1h1m1s"),
        (-0.5, "-500ms"),
    ],
)
def test_seconds_are_shown_as_people_read_them(seconds: float, shown: str) -> None:
    assert because("latency_seconds < 9999h", latency_seconds=seconds) == f"latency_seconds = {shown} < 9999h"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (5.0, "5"),
        (0.5, "0.5"),
        (1234567.5, "1.23457e+06"),
        (999_999_999_999_999.0, "999999999999999"),
        (1e15, "1e+15"),
        (-1e15, "-1e+15"),
    ],
)
def test_plain_numbers_are_shown_as_people_read_them(number: float, shown: str) -> None:
    assert because("a < 1e99", a=number) == f"a = {shown} < 1e99"


@pytest.mark.parametrize(("length", "end"), [(120, '"'), (121, '…"')])
def test_a_long_text_is_cut(length: int, end: str) -> None:
    assert because("state != 'x'", state="é" * length) == f"state = \"{'é' * 120}{end} != 'x'"
