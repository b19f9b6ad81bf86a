"""Every refusal of a condition, whole: what was found, where, and what to write instead."""

import pytest

from daemon.engine.condition import OtherCheck, Scope
from tests.engine.looking import SAMPLES, refused

HAS = "it has up, latency_seconds, status, body_bytes, used_percent, io, state, ok, a, b, c"
LIST = "a list stands only on the right of in and not in, or on the left of contains"
KEYWORD = "is not a keyword, as keywords are lower case; did you mean"
UNITS = "units are ms s m h d w B kB MB GB TB KiB MiB GiB TiB %, any of them also /s /m /h"
NUMBERS = "write numbers as 5, 0.5 or 1e6, with a unit as 5s, 1m30s, 2GiB or 85%"
BOOLEAN = "and a condition is true or false; compare it, such as"
APART = "stand apart; a unit belongs to its number without a space"
BEFORE = "an operator belongs before it, such as and, or, ==, >"
HERE = "a value, a sample or a function belongs here"
WHOLE = "count_of counts whole runs, 1 to 1000, and here are"
FUNCTIONS = "functions are has, avg, min, max, sum, delta, rate, trend, time_until, unchanged, age, count_of, percent"
EQUAL = "only equal ones are"
TIMES = "and cannot be multiplied by"
OVER = "and cannot be divided by"
PLAIN = "only by a plain number"


@pytest.mark.parametrize(
    ("text", "sentence", "position"),
    [
        ("1 < status < 5", "comparisons do not chain; write 1 < status and status < 5", 11),
        ("1 < a < b < c", "comparisons do not chain; write 1 < a and a < b", 6),
        ("a == b == c", "comparisons do not chain; write a == b and b == c", 7),
        ("up = 0", "`=` is not an operator; write == to compare", 3),
        ("up == 0 && a == 1", "`&&` is not an operator; write and", 8),
        ("up == 0 || a == 1", "`||` is not an operator; write or", 8),
        ("!ok", "not is written `not`; write not, or != to compare", 0),
        ("up => 1", "`=>` is not an operator; write >=", 3),
        ("up =< 1", "`=<` is not an operator; write <=", 3),
        ("up <> 1", "`<>` is not an operator; write !=", 4),
        ("up < > 1", "`<>` is not an operator; write !=", 5),
        ("up === 1", "`=` is not an operator; write == to compare", 5),
        ("up == 0 AND a == 1", f"AND {KEYWORD} and?", 8),
        ("up == 0 Or a == 1", f"Or {KEYWORD} or?", 8),
        ("NOT up == 0", f"NOT {KEYWORD} not?", 0),
        ("status In [5]", f"In {KEYWORD} in?", 7),
        ("ok == True", "True is no sample, and keywords are lower case; write true", 6),
        ("up is 0", "`is` is not an operator; write ==", 3),
        ("up is not 0", "`is` is not an operator; write !=", 3),
        ("up == null", "there is no value null; write not has(x) for a missing value", 6),
        (
            "up == 0 for 1m",
            "`for` is not an operator; `for` is a key of the rule and does not stand in its condition",
            8,
        ),
        ("up == 0 # down", "there are no comments in a condition; leave it out", 8),
        ("up == 0 -- down", f"api (http) has no sample down; {HAS}", 11),
        ("a > 1and b > 1", f"1and has an unknown unit and; {UNITS}", 4),
        ("a % 2 == 0", "% stands only behind a number; write 85%, without a space", 2),
        ("a ** 2 == 4", "there is no power; the operators are + - * /", 3),
        ("a == +5", "a number has no + before it; leave the + out", 5),
        ("state =~ 'x'", "there are no regular expressions here; write contains", 6),
        ("state == 'x", "the text is not closed on its line; end it with '", 9),
        ("(up == 0", "the condition ends too early: a bracket is open; close it", 8),
        ("up == 0)", "unexpected ); a value belongs before it, or it closes nothing", 7),
        ("up ==", "the condition ends too early; a value, a sample or a comparison belongs here", 5),
        ("", "the condition is empty; write one such as up == 0", 0),
        ("  \n ", "the condition is empty; write one such as up == 0", 4),
        ("up == 0 a == 1", f"unexpected a; {BEFORE}", 8),
        ("a == not ok", "`not` binds looser than a comparison; write not in, or set brackets: x == (not y)", 5),
        ("status in [500,]", "a value is missing here; write [1, 2]", 15),
        ("status in []", "the list is empty, so nothing is in it; write at least one value", 10),
        ("status in [[1]]", f"{LIST}; write x in [1]", 11),
        ("[1] + 1 == 2", f"{LIST}; write x in [1]", 0),
        ('status in ["x"]', f'status is a plain number and "x" is a string; {EQUAL} compared', 11),
        ("status in [a]", "a list holds literals, and a is none; compare it with == instead", 11),
        ('status in [500, "a"]', f'500 is a plain number and "a" is a string; {EQUAL} in one list', 16),
        ("status == [500]", f"{LIST}; write x in [500]", 10),
        ("status in 500", "in needs a list or a string on its right, and 500 is a plain number; write [500]", 10),
        ("status contains 5", "contains needs a list or a string on its left, and status is a plain number", 0),
        ("[5] in status", f"{LIST}; write x in [5]", 0),
        ('state > "a"', "> compares numbers, and state is a string; write ==, !=, in or contains", 6),
        ("ok < true", "< compares numbers, and ok is true or false; write == or !=", 3),
        (
            "ä == 1",
            "unexpected character 'ä'; texts stand in quotes; other words are names of letters, digits and _",
            0,
        ),
        ("up == 0; a == 1", "a condition is one expression; join two with and, or", 7),
        ("api.db.x == 1", "a `.` stands only between a check and its sample; write check.sample", 6),
        ("up\n== 0 and\nlatency_seconds > 5", "latency_seconds is seconds; write 5s", 30),
        ('state == "x', 'the text is not closed on its line; end it with "', 9),
        ("Not up == 0", f"Not {KEYWORD} not?", 0),
        ("up == 0 AND", f"AND {KEYWORD} and?", 8),
        ("up == 0 and NOT ", "NOT is no sample, and keywords are lower case; write not", 12),
        ("(up == 0 and NOT", f"NOT {KEYWORD} not?", 13),
        ("(up == 0 and nothing", "the condition ends too early: a bracket is open; close it", 20),
        ("status in [500] and", "the condition ends too early; a value, a sample or a comparison belongs here", 19),
        ("status in [500", "the condition ends too early: a bracket is open; close it", 14),
        ("state == '(' and", "the condition ends too early; a value, a sample or a comparison belongs here", 16),
        ("(up == 0) and", "the condition ends too early; a value, a sample or a comparison belongs here", 13),
        ('up == 0 "x"', f'unexpected "x"; {BEFORE}', 8),
        ("up == 0 5", f"unexpected 5; {BEFORE}", 8),
        ("up == 0 true", f"unexpected true; {BEFORE}", 8),
        ("up == 0 false", f"unexpected false; {BEFORE}", 8),
        ("up == 0]", "unexpected ]; a value belongs before it, or it closes nothing", 7),
        ("up IS NOT 0", "`IS` is not an operator; write !=", 3),
        ("a // b > 1", "there is no `//`; write /", 3),
        ("a ++ b > 1", "there is no `++`; the operators are + - * /", 3),
        ("status in [,5]", "a value is missing here; write [1, 2]", 11),
        ("avg(,5m) > 5", f"unexpected ,; {HERE}", 4),
        ("up == * 5", f"unexpected *; {HERE}", 6),
        ("* 5 == a", f"unexpected *; {HERE}", 0),
        ("a > 5 5s", f"unexpected 5s; {BEFORE}", 6),
        ("a > 5s 5", f"unexpected 5; {BEFORE}", 7),
        ("a > 5s true", f"unexpected true; {BEFORE}", 7),
        ("ABC up == 0", f"unexpected up; {BEFORE}", 4),
        ("a in ok", "in needs a list or a string on its right, and ok is true or false", 5),
    ],
)
def test_a_wrong_condition_says_what_was_found_and_how_to_write_it(text: str, sentence: str, position: int) -> None:
    error = refused(text)
    assert (str(error), error.position) == (sentence, position)


@pytest.mark.parametrize(
    ("text", "sentence", "position"),
    [
        ("up", f"up is a plain number, {BOOLEAN} up == 1", 0),
        ("latency_seconds", f"latency_seconds is seconds, {BOOLEAN} latency_seconds == 1s", 0),
        ("state", f'state is a string, {BOOLEAN} state == "…"', 0),
        ("up and a == 1", f"up is a plain number, {BOOLEAN} up == 1", 0),
        ("not up", f"up is a plain number, {BOOLEAN} up == 1", 4),
        ("[1, 2]", f"{LIST}; write x in [1, 2]", 0),
        ("age()", f"age() is seconds, {BOOLEAN} age() == 1s", 0),
        ("count_of(up, 3, 5)", f"up is a plain number, {BOOLEAN} up == 1", 9),
    ],
)
def test_what_is_no_boolean_is_no_condition(text: str, sentence: str, position: int) -> None:
    error = refused(text)
    assert (str(error), error.position) == (sentence, position)


@pytest.mark.parametrize(
    ("text", "sentence", "position"),
    [
        ("lateny_seconds > 5s", f"api (http) has no sample lateny_seconds; {HAS}; did you mean latency_seconds?", 0),
        ("up == 0 or statsu == 5", f"api (http) has no sample statsu; {HAS}; did you mean status?", 11),
        ("nothing_like_it == 1", f"api (http) has no sample nothing_like_it; {HAS}", 0),
        (
            "db.conections > 5",
            "db (postgres) has no sample conections; it has up, connections; did you mean connections?",
            3,
        ),
        ("dbb.connections > 5", "there is no check dbb; checks are api, db, disk; did you mean db?", 0),
        ("zzz.connections > 5", "there is no check zzz; checks are api, db, disk", 0),
        ("db > 5", "db is a check; a condition compares its samples; write db.up", 0),
        ("avg > 5", "avg is a function; write avg(x, 5m)", 0),
        ("averge(up, 5m) > 5", "there is no function averge; did you mean avg?", 0),
        ("p99(up, 5m) > 5", f"there is no function p99; {FUNCTIONS}", 0),
        ("avg(up) > 5", "avg takes 2 arguments, and here are 1; write avg(x, 5m)", 0),
        ("age(up) > 5s", "age takes no arguments, and here are 1; write age()", 0),
        ("has(up == 0)", "has looks at a sample, and up == 0 is none; write has(x)", 4),
        ("avg(up + 1, 5m) > 5", "avg looks at a sample, and up + 1 is none; write avg(x, 5m)", 4),
        ("avg(state, 5m) > 5", "state is a string, and avg takes numbers", 4),
        ("avg(up, 5) > 5", "the window of avg is a duration, and 5 is none; write 5s or 5m", 8),
        ("avg(up, a) > 5", "the window of avg is a duration, and a is none; write avg(x, 5m)", 8),
        ("avg(up, 0s) > 5", "a window has a length; write avg(x, 5m)", 8),
        ("avg(up, -5m) > 5", "a window has a length; write avg(x, 5m)", 8),
        (
            "rate(io, 5m) > 5B/s",
            "io is bytes per second already, and rate would be per second once more; write delta, avg, min or max",
            5,
        ),
        ("time_until(used_percent, 100, 6h) < 4h", "used_percent is percent; write 100%", 25),
        ("count_of(up == 0, 5, 3)", "5 of the last 3 runs cannot be; write count_of(…, 3, 5)", 18),
        ("count_of(up == 0, 0, 3)", f"{WHOLE} 0; write count_of(up == 0, 3, 5)", 18),
        ("count_of(up == 0, 1, 1001)", f"{WHOLE} 1001; write count_of(up == 0, 3, 5)", 21),
        ("count_of(up == 0, 1.5, 3)", f"{WHOLE} 1.5; write count_of(up == 0, 3, 5)", 18),
        ("count_of(up == 0, a, 3)", "count_of counts runs, and a is no number of them; write 3", 18),
        ('disk["/"].up == 0', "disk has no sample up; it has used_percent, state", 10),
        ("api.nothing > 5", f"api (http) has no sample nothing; {HAS}", 4),
        ("NULL == up", "there is no value NULL; write not has(x) for a missing value", 0),
        ("count_of(ok, 3s, 5)", "count_of counts runs, and 3s is no number of them; write 3", 13),
        ("unchanged() > 5s", "unchanged takes 1 argument, and here are 0; write unchanged(x)", 0),
        ("percent(ok, a) > 5%", "ok is true or false, and percent takes numbers", 8),
        ("time_until(up, state, 6h) > 5s", "state is a string, and time_until takes numbers", 15),
        (
            "time_until(up, latency_seconds, 6h) > 5s",
            f"up is a plain number and latency_seconds is seconds; {EQUAL} compared",
            15,
        ),
        ("time_until(state, 5, 6h) > 5s", "state is a string, and time_until takes numbers", 11),
    ],
)
def test_unknown_names_and_wrong_arguments_say_which_there_are(text: str, sentence: str, position: int) -> None:
    error = refused(text)
    assert (str(error), error.position) == (sentence, position)


@pytest.mark.parametrize(
    ("text", "sentence", "position"),
    [
        ("latency_seconds > 5", "latency_seconds is seconds; write 5s", 18),
        ("latency_seconds == 5", "latency_seconds is seconds; write 5s", 19),
        ("5 < latency_seconds", "latency_seconds is seconds; write 5s", 0),
        ("body_bytes > 5", "body_bytes is bytes; write 5B", 13),
        ("used_percent > 85", "used_percent is percent; write 85%", 15),
        ("io > 5", "io is bytes per second; write 5B/s", 5),
        ("io > 5B", "io is bytes per second; write 5B/s", 5),
        ("body_bytes > 5GB/s", "body_bytes is bytes; write 5GB", 13),
        ("latency_seconds > -5", "latency_seconds is seconds; write -5s", 18),
        ("latency_seconds + 5 > 5s", "latency_seconds is seconds; write 5s", 18),
        ("latency_seconds in [5s, 5]", f"5s is seconds and 5 is a plain number; {EQUAL} in one list", 24),
        ("latency_seconds in [5]", "latency_seconds is seconds; write 5s", 20),
        ("avg(latency_seconds, 5m) > 5", "avg(latency_seconds, 5m) is seconds; write 5s", 27),
        ("up == 0s", "up is a plain number; write 0", 6),
        ("status == 500%", "status is a plain number; write 500", 10),
        ("up == true", "up is a plain number; write 1", 6),
        ('up == "0"', "up is a plain number; write 0", 6),
        ("ok == 1", "ok is true or false; write true", 6),
        ("state == 5", 'state is a string; write "5"', 9),
        (
            "latency_seconds > used_percent",
            f"latency_seconds is seconds and used_percent is percent; {EQUAL} compared",
            18,
        ),
        ("latency_seconds > status", f"latency_seconds is seconds and status is a plain number; {EQUAL} compared", 18),
        (
            "latency_seconds - body_bytes > 5s",
            f"latency_seconds is seconds and body_bytes is bytes; {EQUAL} added or subtracted",
            18,
        ),
        (
            "latency_seconds * latency_seconds > 5s",
            f"latency_seconds is seconds {TIMES} latency_seconds, which is seconds; {PLAIN}",
            18,
        ),
        (
            "body_bytes / latency_seconds > 5B/s",
            f"body_bytes is bytes {OVER} latency_seconds, which is seconds; {PLAIN} or by bytes",
            13,
        ),
        ("1 / latency_seconds > 5/s", f"1 is a plain number {OVER} latency_seconds, which is seconds; {PLAIN}", 4),
        ("used_percent * body_bytes > 5B", f"used_percent is percent {TIMES} body_bytes, which is bytes; {PLAIN}", 15),
        (
            "percent(latency_seconds, body_bytes) > 5%",
            f"latency_seconds is seconds and body_bytes is bytes; {EQUAL} taken as a share of each other",
            25,
        ),
        ("-state == 5", "state is a string, and a minus sign takes numbers", 1),
        ("ok + 1 > 5", "ok is true or false, and arithmetic takes numbers", 0),
        ('latency_seconds == "5s"', "latency_seconds is seconds; write 5s", 19),
        ('latency_seconds == "x"', f'latency_seconds is seconds and "x" is a string; {EQUAL} compared', 19),
        ("latency_seconds > false", "latency_seconds is seconds; write 0s", 18),
        ("io > 5s", f"io is bytes per second and 5s is seconds; {EQUAL} compared", 5),
        ("ok == 0", "ok is true or false; write false", 6),
        ("ok == 2", "ok is true or false; write true or false", 6),
        ('ok == "false"', "ok is true or false; write false", 6),
        ("rate(a, 5m) > 5", "rate(a, 5m) is a number per second; write 5/s", 14),
        ("ok * 2 > 5", "ok is true or false, and arithmetic takes numbers", 0),
        ("2 * ok > 5", "ok is true or false, and arithmetic takes numbers", 4),
        (
            "latency_seconds * 2 * latency_seconds > 5s",
            f"latency_seconds * 2 is seconds {TIMES} latency_seconds, which is seconds; {PLAIN}",
            22,
        ),
        ('ok == "true"', "ok is true or false; write true", 6),
        ("state == true", 'state is a string; write "true"', 9),
        ('a > "-5"', "a is a plain number; write -5", 4),
        ("5 in state", 'state is a string; write "5"', 0),
        ("ok in state", f"ok is true or false and state is a string; {EQUAL} compared", 6),
        (
            "(latency_seconds + 5s) * io > 5",
            f"(latency_seconds + 5s) is seconds {TIMES} io, which is bytes per second; {PLAIN}",
            25,
        ),
        (
            "io / latency_seconds > 5",
            f"io is bytes per second {OVER} latency_seconds, which is seconds; {PLAIN} or by bytes per second",
            5,
        ),
    ],
)
def test_other_dimensions_say_which_they_are_and_how_to_write_it(text: str, sentence: str, position: int) -> None:
    error = refused(text)
    assert (str(error), error.position) == (sentence, position)


@pytest.mark.parametrize(
    ("text", "sentence", "position"),
    [
        ("latency_seconds > 5sec", "5sec has an unknown unit sec; write 5s", 18),
        ("latency_seconds > 5min", "5min has an unknown unit min; write 5m", 18),
        ("latency_seconds > 5 sec", f"5 and sec {APART}; write 5s", 20),
        ("latency_seconds > 5 s", f"5 and s {APART}; write 5s", 20),
        ("latency_seconds > 1m 30s", "the parts of a duration stand together; write 1m30s", 21),
        (
            "latency_seconds > 30s1m",
            "'30s1m': the units of a duration go from large to small, each once, such as 1h30m",
            18,
        ),
        ("body_bytes > 2 GiB", f"2 and GiB {APART}; write 2GiB", 15),
        ("body_bytes > 5KB", "5KB has an unknown unit KB; write 5KiB or 5kB", 13),
        ("body_bytes > 5KB up == 0", "5KB has an unknown unit KB; write 5KiB or 5kB", 13),
        ("body_bytes > 5gb", "5gb has an unknown unit gb; write 5GiB or 5GB", 13),
        ("body_bytes > 5XB", f"5XB has an unknown unit XB; {UNITS}", 13),
        ("used_percent > 85 %", "% stands only behind a number; write 85%, without a space", 18),
        ("a > .5", f".5 is not a number; {NUMBERS}", 4),
        ("a > 5.", f"5. is not a number; {NUMBERS}", 4),
        ("a > 1_000", f"1_000 is not a number; {NUMBERS}", 4),
        ("a > 012", "012 begins with a zero; write 12", 4),
        ("a > 0x1F", f"0x1F is not a number; {NUMBERS}", 4),
        ("a > 1e999", "1e999 is too large a number", 4),
        ("rate(a, 5m) > 1e999/s", "1e999/s is too large a number", 14),
        ("latency_seconds > 1e3s", f"1e3s is not a number; {NUMBERS}", 18),
        ("latency_seconds > 1.5 s", f"1.5 and s {APART}; write 1.5s", 22),
        ("body_bytes > 5k", "5k has an unknown unit k; write 5KiB or 5kB", 13),
        ("io > 5kb/s", "5kb has an unknown unit kb; write 5KiB or 5kB", 5),
        ("used_percent > 5pct", "5pct has an unknown unit pct; write 5%", 15),
        ("00 > a", "00 begins with a zero; write 0", 0),
        ("latency_seconds > 05s", "05s begins with a zero; write 5s", 18),
        ("5.5.5 > a", f"5.5.5 is not a number; {NUMBERS}", 0),
        ("5x/s > io", f"5x has an unknown unit x; {UNITS}", 0),
    ],
)
def test_a_wrong_literal_says_how_to_write_it(text: str, sentence: str, position: int) -> None:
    error = refused(text)
    assert (str(error), error.position) == (sentence, position)


@pytest.mark.parametrize(
    ("operator", "found", "write"),
    [
        ("≥", "`≥` is not an operator", "write >="),
        ("≤", "`≤` is not an operator", "write <="),
        ("≠", "`≠` is not an operator", "write !="),
        ("&", "there is no operator &", "write and"),
        ("|", "there is no operator |", "write or"),
        ("~", "there are no regular expressions here", "write contains"),
        ("!~", "there are no regular expressions here", "write not (… contains …)"),
        ("!in", "`!in` is not an operator", "write not in"),
        ("?", "there is no operator ?", "join conditions with and, or"),
        ("equals", "`equals` is not an operator", "write =="),
        ("ne", "`ne` is not an operator", "write !="),
        ("GE", "`GE` is not an operator", "write >="),
        ("like", "`like` is not an operator", "write contains"),
        ("between", "`between` is not an operator", "write x >= 1 and x <= 5"),
        ("mod", "`mod` is not an operator", "the operators are + - * /"),
    ],
)
def test_an_operator_of_another_language_is_refused_with_ours(operator: str, found: str, write: str) -> None:
    error = refused(f"a {operator} 5")
    assert (error.message, error.hint, error.position) == (found, write, 2)


@pytest.mark.parametrize("word", ["null", "none", "nil", "NaN", "missing"])
def test_there_is_no_word_for_a_missing_value(word: str) -> None:
    error = refused(f"up == {word}")
    assert str(error) == f"there is no value {word}; write not has(x) for a missing value"


def test_of_a_check_without_samples_it_is_said_that_it_has_none() -> None:
    bare = Scope(check="web", type="command", samples={}, others={"jet": OtherCheck(type="command", samples={})})
    assert str(refused("jet > 5", bare)) == "jet is a check; a condition compares its samples; write jet.sample"
    assert str(refused("up == 0", bare)) == "web (command) has no sample up; it has none"
    assert str(refused("true", bare)) == "the condition names no sample"


def test_a_check_that_is_called_as_its_type_is_named_once() -> None:
    assert (
        str(refused("zzz == 0", Scope(check="http", type="http", samples=SAMPLES))) == f"http has no sample zzz; {HAS}"
    )
