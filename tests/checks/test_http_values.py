"""What http's options take, and what they say of what they do not."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from checks._http_values import HeaderHost, JsonPath, StatusRange, Url, check_header, keys_of
from checks._patterns import Pattern


def refused(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(value)
    return str(error.value.errors()[0]["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/health", "https://[::1]/", "http://a.example/a%20b?q=1", "HTTP://A.example"]
)
def test_a_url_is_kept_as_it_was_written(url: str) -> None:
    assert TypeAdapter(Url).validate_python(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8000", "a URL starts with http:// or https:// and a host, such as http://localhost:8000/health"),
        ("ftp://a.example/", "a URL starts with http:// or https:// and a host, such as http://localhost:8000/health"),
        ("http://", "a URL starts with http:// or https:// and a host, such as http://localhost:8000/health"),
        ("http://a.example/a b", "a URL has no blanks and no control characters; write them as %20 and so on"),
        ("http://a.example/\x07", "a URL has no blanks and no control characters; write them as %20 and so on"),
        ("", "a URL has no blanks and no control characters; write them as %20 and so on"),
        ("http://a.example:99999/", "the host or the port of this URL cannot be; write http://HOST:PORT/PATH"),
    ],
)
def test_what_is_no_url_is_refused_with_what_is_one(url: str, says: str) -> None:
    assert refused(Url, url) == says


def test_a_password_in_a_url_is_refused_and_not_told() -> None:
    said = refused(Url, "http://anna:swordfish@a.example/")
    assert said == "credentials do not belong in a URL; write them as basic: {user: ..., password: ...}"


@pytest.mark.parametrize(
    ("written", "found"), [(200, (200, 200)), ("404", (404, 404)), ("200-299", (200, 299)), ("100-599", (100, 599))]
)
def test_a_status_is_a_number_or_a_range(written: object, found: tuple[int, int]) -> None:
    assert TypeAdapter(StatusRange).validate_python(written) == found


@pytest.mark.parametrize("written", [99, 600, "2xx", "299-200", True, 200.0, None, [200], "200-", "٢٠٠"])
def test_what_is_no_status_is_named(written: object) -> None:
    said = f"{written!r} is not a status; write a number from 100 to 599 or a range such as 200-299"
    assert refused(StatusRange, written) == said


@pytest.mark.parametrize(
    ("path", "keys"),
    [("a", ["a"]), ("a.0.b", ["a", "0", "b"]), (r"a\.b.c", ["a.b", "c"]), (r"\.", ["."])],
)
def test_a_path_is_keys_with_dots_between(path: str, keys: list[str]) -> None:
    assert keys_of(path) == keys
    assert TypeAdapter(JsonPath).validate_python(path) == path


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b"])
def test_a_path_without_a_key_is_refused(path: str) -> None:
    assert refused(JsonPath, path).startswith(f"{path!r} is not a path; write keys with dots between")


def test_a_regular_expression_that_is_none_says_why() -> None:
    assert TypeAdapter(Pattern).validate_python("^a+$") == "^a+$"
    assert refused(Pattern, "(").startswith("this is not a regular expression: missing ), unterminated subpattern")


@pytest.mark.parametrize("host", ["shop.example", "shop.example:8443", "[::1]:80"])
def test_a_host_may_have_a_port(host: str) -> None:
    assert TypeAdapter(HeaderHost).validate_python(host) == host


@pytest.mark.parametrize("host", ["", "shop.example/path", "shop example", "shop.example:x"])
def test_what_is_no_host_is_refused(host: str) -> None:
    assert refused(HeaderHost, host).startswith(f"{host!r} is not a host name")


def test_a_header_is_a_token_and_a_value_of_one_line() -> None:
    check_header("X-Token", "a\tb c")
    for name in ("", "a b", "a:", "ä"):
        with pytest.raises(ValueError, match="is not the name of a header"):
            check_header(name, "x")
    for value in ("swordfish\r\nX: y", " swordfish", "swordfish\0"):
        with pytest.raises(ValueError, match="control characters or blanks around it") as error:
            check_header("X-Token", value)
        assert "swordfish" not in str(error.value)
