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


@pytest.mark.parametrize("text", ["true", "1 < 2", "not false", "1 in [1, 2]", "'a' == 'a' or true"])
def test_a_condition_that_names_no_sample_is_refused(text: str) -> None:
    error = refused(text)
    assert error.message == "the condition names no sample"
    assert error.hint == f"name one of {', '.join(SAMPLES)}"
    assert error.position == 0


def test_an_error_renders_its_line_a_caret_and_a_sentence() -> None:
    text = "up == 0 or\n\tlatency_seconds > 5"
    assert refused(text).render().split("\n") == [
        " latency_seconds > 5",
        "                   ^",
        "line 2, column 20: latency_seconds is seconds; write 5s",
    ]


def test_of_many_lines_the_one_that_is_meant_is_shown() -> None:
    text = "\nok or\r\nlatency_seconds > 5 or \r\nok or\nok"
    assert refused(text).render().split("\n") == [
        "latency_seconds > 5 or ",
        "                  ^",
        "line 3, column 19: latency_seconds is seconds; write 5s",
    ]


def test_of_a_very_long_condition_the_part_around_the_error_is_shown() -> None:
    shown, caret, sentence = refused("up == 0 or " * 300 + "latency_seconds > 5").render().split("\n")
    assert len(shown) <= 160
    assert shown[caret.index("^")] == "5"
    assert caret.index("^") == 80
    assert sentence == "column 3319: latency_seconds is seconds; write 5s"
    first, caret, _ = refused("latency_seconds > 5" + " or up == 0" * 300).render().split("\n")
    assert first.startswith("latency_seconds > 5 or")
    assert len(first) == 160
    assert caret.index("^") == 18


def test_a_line_that_is_just_as_wide_as_what_is_shown_is_shown_whole() -> None:
    text = "up == 0 or " * 12 + "latency_seconds > 5         "
    assert len(text) == 160
    assert refused(text).render().split("\n")[:2] == [text, " " * 150 + "^"]


def test_a_condition_of_four_kib_is_allowed_and_a_longer_one_refused() -> None:
    condition = "up == 0"
    compile_condition(condition + " " * (4096 - len(condition)), SCOPE)
    error = refused(condition + " " * (4097 - len(condition)))
    allowed = "at most 4096 (4 KiB) are allowed; split it into several rules"
    assert str(error) == f"the condition is 4097 bytes long; {allowed}"
    assert error.position == 4096
    accents = refused(f"state == '{'é' * 2048}'")  # bytes, not characters
    assert str(accents) == f"the condition is 4107 bytes long; {allowed}"
    assert accents.position == 10 + 2043


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
    for depth in (65, 500):
        error = refused(nest(depth))
        assert str(error) == "the condition is nested deeper than 64; split it into several rules"
        assert error.position > 0
        for beside in (f"ok or {nest(depth)}", f"{nest(depth)} or ok"):
            assert "deeper than 64" in str(refused(beside))


def test_a_long_condition_is_not_a_deep_one() -> None:
    assert judged("up" + " + up" * 800 + " == 801", up=1) is BREACHED
    assert judged("ok" + " and ok" * 500, ok=True) is BREACHED
    assert judged("1 + 2 * (" * 64 + "up" + ")" * 64 + " > 1", up=1) is BREACHED


def test_a_window_of_half_a_second_is_one() -> None:
    assert compile_condition("avg(up, 500ms) > 1", SCOPE).windows == {("api", "up"): 0.5}


def test_of_several_windows_on_one_sample_the_longest_is_kept() -> None:
    for text in ("avg(up, 5m) > 1 or max(up, 1h) > 1", "max(up, 1h) > 1 or avg(up, 5m) > 1"):
        assert compile_condition(text, SCOPE).windows == {("api", "up"): 3600.0}


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
        ("count_of(up == 0, 1000, 1000)", True),
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
    error = refused("up == 0 or mounts.used_percent > 5%", scope)
    assert error.message == 'mounts has 2 subjects, "/", "/var", and this condition is of none of them'
    assert error.hint == 'write mounts["/"].used_percent'
    assert error.position == 11
    compile_condition('mounts["/var"].used_percent > 5%', scope)
    assert 'it has "/", "/var"; did you mean /var?' in str(refused('mounts["/vra"].used_percent > 5%', scope))
    same = Scope(check="inodes", type="disk", samples=SAMPLES, others={"mounts": mounts}, subjects=("/",))
    compile_condition("mounts.used_percent > 5%", same)
    both = Scope(check="inodes", type="disk", samples=SAMPLES, others={"mounts": mounts}, subjects=("/var", "/"))
    compile_condition("mounts.used_percent > 5%", both)


def test_the_only_subject_that_the_file_names_stands_for_every_other() -> None:
    root = OtherCheck(type="disk", samples=specs(used_percent=Dimension.PERCENT), subjects=("/",))
    scope = Scope(check="api", type="http", samples=SAMPLES, others={"root": root}, subjects=("",))
    compile_condition("root.used_percent > 5%", scope)


def test_a_check_without_subjects_takes_none() -> None:
    error = refused('up == 0 or db["x"].connections > 5')
    assert str(error) == "db has no subjects; write db.connections"
    assert error.position == 11


@pytest.mark.parametrize(
    "scope",
    [
        Scope(check="api", type="http", samples=SAMPLES, subjects=("main", "standby")),
        Scope(
            check="api",
            type="http",
            samples=SAMPLES,
            others={"api": OtherCheck(type="http", samples=SAMPLES, subjects=("main", "standby"))},
        ),
    ],
    ids=["alone", "among others"],
)
def test_the_own_check_may_be_named_with_a_subject_that_it_has(scope: Scope) -> None:
    compile_condition('api["standby"].up == 0', scope)
    assert str(refused('api["x"].up == 0', scope)) == 'api has no subject "x"; it has "main", "standby"'
    assert str(refused('api["main"].zzz == 0', scope)).startswith("api (http) has no sample zzz; it has up")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("up == 0", True),
        ("up == 0 and not (latency_seconds > 1s)", True),
        ("api.up == 0", False),
        ("db.up == 0", False),
        ("avg(latency_seconds, 1m) > 1s", False),
        ("unchanged(state) > 1m", False),
        ("count_of(up == 0, 3, 5)", False),
    ],
)
def test_a_condition_fits_all_checks_with_its_samples_if_it_names_none_and_remembers_nothing(
    text: str, fits: bool
) -> None:
    assert compile_condition(text, SCOPE).fits_all is fits
