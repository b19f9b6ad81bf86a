"""What binds tighter, what is refused, and where."""

import pytest

from daemon.engine.condition import OtherCheck, Scope, compile_condition
from daemon.model.check import Dimension
from tests.engine.looking import BREACHED, CLEAR, SAMPLES, SCOPE, judged, refused, specs


@pytest.mark.parametrize(
    ("text", "samples", "verdict"),
    [
        ("a == 1 or b == 1 and c == 1", {"a": 1, "b": 0, "c": 0}, BREACHED),  # and before or
        ("(a == 1 or b == 1) and c == 1", {"a": 1, "b": 0, "c": 0}, CLEAR),
        ("not a == 1 and b == 1", {"a": 0, "b": 0}, CLEAR),  # not before and
        ("not (a == 1 and b == 1)", {"a": 0, "b": 0}, BREACHED),
        ("not a == 1", {"a": 1}, CLEAR),  # comparison before not
        ("not not a == 1", {"a": 1}, BREACHED),
        ("a + b * c == 7", {"a": 1, "b": 2, "c": 3}, BREACHED),  # * before +
        ("(a + b) * c == 9", {"a": 1, "b": 2, "c": 3}, BREACHED),
        ("-a * b == -6", {"a": 2, "b": 3}, BREACHED),  # unary minus tightest
        ("a - -b == 5", {"a": 2, "b": 3}, BREACHED),
        ("a + 1 in [3, 4]", {"a": 2}, BREACHED),  # arithmetic before in
        ("(a > 1) == (b > 1)", {"a": 2, "b": 2}, BREACHED),
        ("a\n  ==\t1 or\r\n b == 1", {"a": 1}, BREACHED),
    ],
)
def test_operators_bind_from_loose_to_tight(text: str, samples: dict[str, float], verdict: object) -> None:
    assert judged(text, **samples) is verdict


@pytest.mark.parametrize(
    ("text", "samples", "verdict"),
    [
        ("status in [500, 502]", {"status": 502}, BREACHED),
        ("status in [500, 502]", {"status": 200}, CLEAR),
        ("status not in [500, 502]", {"status": 200}, BREACHED),
        ("latency_seconds in [500ms, 5s]", {"latency_seconds": 0.5}, BREACHED),
        ("a in [-1, 1]", {"a": -1}, BREACHED),
        ('state in ["failed", "dead"]', {"state": "dead"}, BREACHED),
        ("ok in [true]", {"ok": False}, CLEAR),
        ("[1, 2] contains a", {"a": 2}, BREACHED),
        ('state contains "fail"', {"state": "has failed"}, BREACHED),
        ('state contains "fail"', {"state": "running"}, CLEAR),
        ('not state contains "fail"', {"state": "running"}, BREACHED),
        ('"fail" in state', {"state": "has failed"}, BREACHED),
        ('"fail" not in state', {"state": "has failed"}, CLEAR),
        ('state in "failed dead"', {"state": "dead"}, BREACHED),
    ],
)
def test_membership_is_of_lists_and_of_texts(text: str, samples: dict[str, float], verdict: object) -> None:
    assert judged(text, **samples) is verdict


@pytest.mark.parametrize(
    ("text", "says", "position"),
    [
        ("1 < status < 5", "comparisons do not chain; write 1 < status and status < 5", 11),
        ("a == b == c", "write a == b and b == c", 7),
        ("up = 0", "write ==", 3),
        ("up == 0 && a == 1", "write and", 8),
        ("up == 0 || a == 1", "write or", 8),
        ("!ok", "write not", 0),
        ("up => 1", "write >=", 3),
        ("up =< 1", "write <=", 3),
        ("up <> 1", "write !=", 4),
        ("up === 1", "write ==", 5),
        ("up == 0 AND a == 1", "did you mean and?", 8),
        ("up == 0 Or a == 1", "did you mean or?", 8),
        ("NOT up == 0", "did you mean not?", 0),
        ("status In [5]", "did you mean in?", 7),
        ("ok == True", "write true", 6),
        ("up is 0", "write ==", 3),
        ("up is not 0", "write !=", 3),
        ("up == null", "write not has(x)", 6),
        ("up == 0 for 1m", "key of the rule", 8),
        ("up == 0 # down", "no comments", 8),
        ("up == 0 -- down", "has no sample down", 11),
        ("a > 1and b > 1", "1and has an unknown unit and", 4),
        ("a % 2 == 0", "% stands only behind a number", 2),
        ("a ** 2 == 4", "there is no power", 3),
        ("a == +5", "leave the + out", 5),
        ("state =~ 'x'", "write contains", 6),
        ("state == 'x", "not closed", 9),
        ("(up == 0", "close it", 8),
        ("up == 0)", "closes nothing", 7),
        ("up ==", "ends too early", 5),
        ("", "the condition is empty", 0),
        ("  \n ", "the condition is empty", 4),
        ("up == 0 a == 1", "an operator belongs before it", 8),
        ("a == not ok", "set brackets", 5),
        ("status in [500,]", "a value is missing", 15),
        ("status in []", "the list is empty", 10),
        ("status in [[1]]", "a list stands only", 11),
        ("status in [a]", "a list holds literals", 11),
        ('status in [500, "a"]', "only equal ones are in one list", 16),
        ("status == [500]", "write x in [500]", 10),
        ("status in 500", "write [500]", 10),
        ("status contains 5", "needs a list or a string on its left", 0),
        ("[5] in status", "a list stands only", 0),
        ('state > "a"', "> compares numbers", 6),
        ("ok < true", "write == or !=", 3),
        ("ä == 1", "unexpected character", 0),
        ("up == 0; a == 1", "join two with", 7),
        ("api.db.x == 1", "write check.sample", 6),
        ("up\n== 0 and\nlatency_seconds > 5", "write 5s", 30),
    ],
)
def test_a_wrong_condition_says_where_and_how_to_write_it(text: str, says: str, position: int) -> None:
    error = refused(text)
    assert says in str(error)
    assert error.position == position


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("up", "up is a plain number, and a condition is true or false; compare it, such as up == 1"),
        ("latency_seconds", "such as latency_seconds == 1s"),
        ("state", "a condition is true or false"),
        ("up and a == 1", "a condition is true or false"),
        ("not up", "a condition is true or false"),
        ("[1, 2]", "a list stands only"),
        ("age()", "age() is seconds"),
    ],
)
def test_a_condition_is_a_boolean(text: str, says: str) -> None:
    assert says in str(refused(text))


@pytest.mark.parametrize("text", ["true", "1 < 2", "not false", "1 in [1, 2]", "'a' == 'a' or true"])
def test_a_condition_that_names_no_sample_is_refused(text: str) -> None:
    error = refused(text)
    assert "names no sample" in str(error)
    assert "up" in error.hint


@pytest.mark.parametrize(
    ("text", "says", "position"),
    [
        ("lateny_seconds > 5s", "did you mean latency_seconds?", 0),
        ("up == 0 or statsu == 5", "did you mean status?", 11),
        ("nothing_like_it == 1", "it has up, latency_seconds", 0),
        ("db.conections > 5", "did you mean connections?", 3),
        ("dbb.connections > 5", "did you mean db?", 0),
        ("zzz.connections > 5", "checks are api, db, disk", 0),
        ("db > 5", "write db.up", 0),
        ("avg > 5", "write avg(x, 5m)", 0),
        ("averge(up, 5m) > 5", "did you mean", 0),
        ("p99(up, 5m) > 5", "functions are", 0),
        ("avg(up) > 5", "avg takes 2 arguments, and here are 1; write avg(x, 5m)", 0),
        ("age(up) > 5s", "age takes no arguments", 0),
        ("has(up == 0)", "has looks at a sample", 4),
        ("avg(up + 1, 5m) > 5", "avg looks at a sample", 4),
        ("avg(state, 5m) > 5", "avg takes numbers", 4),
        ("avg(up, 5) > 5", "write 5s or 5m", 8),
        ("avg(up, a) > 5", "is a duration", 8),
        ("avg(up, 0s) > 5", "a window has a length", 8),
        ("avg(up, -5m) > 5", "a window has a length", 8),
        ("rate(io, 5m) > 5B/s", "per second already", 5),
        ("time_until(used_percent, 100, 6h) < 4h", "write 100%", 25),
        ("count_of(up, 3, 5)", "a condition is true or false", 9),
        ("count_of(up == 0, 5, 3)", "write count_of(…, 3, 5)", 18),
        ("count_of(up == 0, 0, 3)", "1 to 1000", 18),
        ("count_of(up == 0, 1, 1001)", "1 to 1000", 21),
        ("count_of(up == 0, 1.5, 3)", "whole runs", 18),
        ("count_of(up == 0, a, 3)", "counts runs", 18),
    ],
)
def test_unknown_names_and_wrong_arguments_are_refused(text: str, says: str, position: int) -> None:
    error = refused(text)
    assert says in str(error)
    assert error.position == position


def test_an_error_renders_its_line_a_caret_and_a_sentence() -> None:
    text = "up == 0 or\n\tlatency_seconds > 5"
    assert refused(text).render().split("\n") == [
        " latency_seconds > 5",
        "                   ^",
        "line 2, column 20: latency_seconds is seconds; write 5s",
    ]


def test_of_a_very_long_condition_the_part_around_the_error_is_shown() -> None:
    shown, caret, sentence = refused("up == 0 or " * 300 + "latency_seconds > 5").render().split("\n")
    assert len(shown) <= 160
    assert shown[caret.index("^")] == "5"
    assert sentence == "column 3319: latency_seconds is seconds; write 5s"


def test_a_condition_of_four_kib_is_allowed_and_a_longer_one_refused() -> None:
    condition = "up == 0"
    compile_condition(condition + " " * (4096 - len(condition)), SCOPE)
    error = refused(condition + " " * (4097 - len(condition)))
    assert "4 KiB" in str(error)
    assert "4 KiB" in str(refused(f"state == '{'é' * 2048}'"))  # bytes, not characters


@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: "(" * depth + "up == 0" + ")" * depth,
        lambda depth: "not " * depth + "ok",
        lambda depth: "- " * depth + "up == 0",
        lambda depth: "(not " * (depth // 2) + "not " * (depth % 2) + "ok" + ")" * (depth // 2),
    ],
)
def test_nesting_of_sixty_four_is_allowed_and_a_deeper_one_refused(nest) -> None:
    assert judged(nest(64), up=1, ok=True) is not None
    assert "deeper than 64" in str(refused(nest(65)))
    assert "deeper than 64" in str(refused(nest(500)))


def test_a_long_condition_is_not_a_deep_one() -> None:
    assert judged("up" + " + up" * 800 + " == 801", up=1) is BREACHED
    assert judged("ok" + " and ok" * 500, ok=True) is BREACHED
    assert judged("1 + 2 * (" * 64 + "up" + ")" * 64 + " > 1", up=1) is BREACHED


def test_what_a_condition_looks_at_is_known() -> None:
    condition = compile_condition(
        "avg(latency_seconds, 5m) > 5s or max(latency_seconds, 1h) > 9s or unchanged(disk.state) > 1h"
        " or delta(db.connections, 10m) > 5 or api.up == 0 or count_of(db.up == 0, 3, 5)",
        SCOPE,
    )
    assert condition.others == {"db", "disk"}
    assert condition.windows == {("api", "latency_seconds"): 3600.0, ("db", "connections"): 600.0}
    assert condition.unchanged == {("disk", "state")}
    assert condition.rings == 1
    assert condition.needs_window
    assert condition.text.startswith("avg(latency_seconds")


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("up == 0", False),
        ("age() > 5m", False),
        ("has(up)", False),
        ("db.up == 0", False),
        ("count_of(up == 0, 1, 1)", False),
        ("count_of(up == 0, 1, 2)", True),
        ("avg(up, 5m) > 1", True),
        ("unchanged(up) > 5m", True),
    ],
)
def test_whether_a_condition_needs_more_than_one_run_is_known(text: str, needs: bool) -> None:
    assert compile_condition(text, SCOPE).needs_window is needs


def test_a_check_whose_subjects_the_file_names_needs_one_of_them() -> None:
    mounts = OtherCheck(type="disk", samples=specs(used_percent=Dimension.PERCENT), subjects=("/", "/var"))
    scope = Scope(check="api", type="http", samples=SAMPLES, others={"mounts": mounts}, subjects=("",))
    error = refused("mounts.used_percent > 5%", scope)
    assert 'write mounts["/"].used_percent' in str(error)
    assert error.position == 0
    compile_condition('mounts["/var"].used_percent > 5%', scope)
    assert 'it has "/", "/var"; did you mean /var?' in str(refused('mounts["/vra"].used_percent > 5%', scope))
    same = Scope(check="inodes", type="disk", samples=SAMPLES, others={"mounts": mounts}, subjects=("/",))
    compile_condition("mounts.used_percent > 5%", same)


def test_a_check_without_subjects_takes_none() -> None:
    error = refused('db["x"].connections > 5')
    assert "db has no subjects; write db.connections" in str(error)
