"""What an HTTP answer is worth, without a server: statuses, texts, JSON and the samples in it."""

import contextlib
import encodings
import gc
from typing import Any

import pytest
from context import LocalContext

from checks._http_judge import judge_json, judge_pattern, judge_status, judge_text, parse_json, read_sample
from checks._http_message import Answer
from checks._net import Look
from daemon.plugin import Sample, SickError

DOCUMENT = {
    "status": "UP",
    "ok": True,
    "count": 3,
    "none": None,
    "a.b": {"c": 1},
    "items": [{"name": "first"}, {"name": "second"}],
    "huge": 10**400,
    "nan": float("nan"),
    "long": "x" * 1000,
    "half": "a\ud800b",
}


def answer(body: bytes = b"", *, status: int = 200, is_cut: bool = False, charset: str | None = None) -> Answer:
    return Answer(status=status, body=body, is_cut=is_cut, charset=charset)


def why(error: pytest.ExceptionInfo[SickError]) -> str:
    return str(error.value)


@pytest.mark.parametrize("status", [200, 204, 299, 404])
def test_a_status_of_a_range_is_well(status: int) -> None:
    judge_status(answer(status=status), [(200, 299), (404, 404)])


@pytest.mark.parametrize("status", [199, 300, 403, 405, 500])
def test_any_other_status_says_what_was_expected(status: int) -> None:
    with pytest.raises(SickError) as error:
        judge_status(answer(status=status), [(200, 299), (404, 404)])
    assert why(error) == f"the status is {status}, expected is 200-299, 404"


async def test_a_body_has_to_contain_and_to_match() -> None:
    look = Look(LocalContext())
    judge_text(answer(b"all is fine"), "is fine")
    judge_text(answer(b"\xff\x00"), None)  # nobody asks
    await judge_pattern(answer(b"all is fine"), r"^all\b", look)
    with pytest.raises(SickError, match=r"^the body does not contain expect_body$"):
        judge_text(answer(b"all is lost"), "fine")
    with pytest.raises(SickError, match=r"^the part of the body that was read does not match expect_regex$"):
        await judge_pattern(answer(b"all is lost", is_cut=True), "fine", look)


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("Grüße".encode(), None),
        ("Grüße".encode("latin-1"), "iso-8859-1"),
        ("Grüße".encode("utf-16"), "utf-16"),
        ("Grüße".encode(), "no-such-charset"),
        ("Grüße".encode(), "idna"),  # a codec that is no charset
        ("Grüße".encode(), "\0"),
    ],
)
def test_text_is_read_in_the_charset_that_was_named_or_in_utf_8(body: bytes, charset: str | None) -> None:
    judge_text(answer(body, charset=charset), "Grüße")


def test_the_names_of_charsets_that_servers_make_up_are_not_remembered() -> None:
    known = len(encodings._cache)  # where codecs.lookup keeps what it was asked
    for number in range(3):
        judge_text(answer(b"hello", charset=f"made-up-{number}"), "hello")
    assert len(encodings._cache) == known


def test_what_is_no_text_is_survived() -> None:
    with pytest.raises(SickError, match="does not contain"):
        judge_text(answer(b"\xff\xfe\xfd"), "x")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"up", b"\xff", b"[" * 100_000], ids=["empty", "cut", "bare", "binary", "deep"]
)
def test_what_is_not_json_is_sick(body: bytes) -> None:
    with pytest.raises(SickError, match=r"^the body is not JSON$"):
        parse_json(answer(body))


@pytest.mark.parametrize("body", [b"[" + b"[]," * 100_000 + b"[]]", b"[" * 100_000])
def test_nothing_is_collected_while_json_is_read(body: bytes) -> None:
    before = gc.get_stats()
    with contextlib.suppress(SickError):
        parse_json(answer(body))
    assert gc.isenabled()
    # one after it may be: what was allocated meanwhile counts
    assert sum(of["collections"] for of in gc.get_stats()) - sum(of["collections"] for of in before) <= 2


def test_json_that_was_cut_is_not_guessed() -> None:
    assert parse_json(answer(b'{"a": [1]}')) == {"a": [1]}
    with pytest.raises(SickError, match="longer than body_limit"):
        parse_json(answer(b"1", is_cut=True))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("status", "UP"),
        ("ok", True),
        ("count", 3),
        ("count", 3.0),
        ("none", None),
        (r"a\.b.c", 1),
        ("items.1.name", "second"),
    ],
)
def test_a_path_has_the_expected_value(path: str, wanted: object) -> None:
    judge_json(DOCUMENT, {path: wanted})


@pytest.mark.parametrize(
    ("path", "wanted", "says"),
    [
        ("status", "DOWN", 'status is not "DOWN"'),
        ("ok", 1, "ok is not 1"),  # true is not 1 here
        ("count", True, "count is not true"),
        ("none", 0, "none is not 0"),
        ("a.b", 1, "the answer has no a.b"),
        ("items.2.name", "third", "the answer has no items.2.name"),
        ("items.-1", 1, "the answer has no items.-1"),
        ("items.\u0661", 1, "the answer has no items.\u0661"),
        ("status.0", "U", "the answer has no status.0"),
    ],
)
def test_another_value_is_said_by_its_path_and_never_by_what_was_found(path: str, wanted: Any, says: str) -> None:
    with pytest.raises(SickError) as error:
        judge_json(DOCUMENT, {path: wanted})
    assert why(error) == says


@pytest.mark.parametrize(
    ("path", "unit", "sample"),
    [
        ("count", "none", 3.0),
        ("count", "seconds", 3.0),
        ("ok", "boolean", True),
        ("status", "string", "UP"),
        ("long", "string", "x" * 256),
        ("half", "string", "a\ufffdb"),
        ("ok", "none", None),
        ("count", "boolean", None),
        ("count", "string", None),
        ("status", "none", None),
        ("huge", "none", None),
        ("nan", "none", None),
        ("none", "none", None),
        ("items", "none", None),
        ("nowhere", "none", None),
    ],
)
def test_a_sample_has_its_units_type_or_is_missing(path: str, unit: str, sample: Sample | None) -> None:
    found = read_sample(DOCUMENT, path, unit)
    assert found == sample
    assert type(found) is type(sample)
