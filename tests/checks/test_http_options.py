"""What the http and tcp checks take as options, and what they say of the rest."""

from typing import Any

import pytest
from pydantic import ValidationError

from checks import http, tcp

URL = "http://localhost:8000/health"


def complaint(module: Any, **options: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        module.Options(**options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://localhost/", "starts with http:// or https://"),
        ("localhost:8000/health", "starts with http:// or https://"),
        ("http:///health", "host"),
        ("/health", "starts with http:// or https://"),
        ("", "a URL has no blanks"),
        ("http://local host/", "a URL has no blanks"),
        ("http://localhost/\r\nX: y", "a URL has no blanks"),
        ("http://localhost:70000/", "the host or the port of this URL cannot be"),
        ("http://localhost:0/", "http"),
        ("http://[::1/", "the host or the port of this URL cannot be"),
        ("http://" + "a" * 64 + ".example/", "the host or the port of this URL cannot be"),
        ("http://anna:hunter2@localhost/", "write them as basic:"),
        ("http://anna@localhost/", "write them as basic:"),
        ("ftp://anna:hunter2@localhost/", "write them as basic:"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_with_a_hint(url: str, sentence: str) -> None:
    text = complaint(http, url=url)
    assert sentence in text
    assert "hunter2" not in text


@pytest.mark.parametrize("url", ["https://[::1]:8443/", "http://münchen.example/ä?q=ü", "HTTP://LOCALHOST", URL])
def test_a_good_url_is_taken(url: str) -> None:
    assert http.Options(url=url).url == url


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"expect_status": [99]}, "99 is not a status; write a number from 100 to 599 or a range such as 200-299"),
        ({"expect_status": ["299-200"]}, "'299-200' is not a status"),
        ({"expect_status": ["2xx"]}, "'2xx' is not a status"),
        ({"expect_status": [True]}, "True is not a status"),
        ({"expect_status": 200}, "list"),
        ({"expect_regex": "("}, "this is not a regular expression"),
        ({"expect_json": {"a..b": 1}}, "'a..b' is not a path"),
        ({"expect_json": {"": 1}}, "'' is not a path"),
        ({"json_samples": {"queue-length": "a"}}, "'queue-length' in json_samples cannot be a sample's name"),
        ({"json_samples": {"not": "a"}}, "'not' in json_samples cannot be a sample's name"),
        ({"json_samples": {"status": "a"}}, "status in json_samples is a sample of every http check"),
        ({"json_samples": {"a": {"path": "a", "unit": "GiB"}}}, "'none', 'seconds', 'bytes'"),
        ({"method": "get"}, "'GET', 'HEAD'"),
        ({"method": "HEAD", "expect_body": "x"}, "nothing can be expected of a body that is not read"),
        ({"body_limit": "0B", "json_samples": {"a": "a"}}, "nothing can be expected of a body that is not read"),
        ({"body_limit": "1GiB"}, "less than or equal to 67108864"),
        ({"ca_file": "ca.pem", "verify_tls": False}, "ca_file has no effect with verify_tls: false"),
        ({"ca_file": "ca.pem", "follow_redirects": False}, "ca_file has no effect on a URL without https"),
        ({"basic": {"user": "a", "password": "b"}, "bearer": "c"}, "basic and bearer are both given"),
        ({"headers": {"authorization": "x"}, "bearer": "c"}, "write basic or bearer"),
        ({"headers": {"Host": "x"}}, "write the option host"),
        ({"headers": {"Content-Length": "4"}}, "the header Content-Length is written by heald"),
        ({"headers": {"X Team": "x"}}, "'X Team' is not the name of a header"),
        ({"headers": {"X-Team": "hunter2\r\nX: y"}}, "the value of the header X-Team has control characters"),
        ({"bearer": "hunter2\n"}, "the value of the header Authorization has control characters"),
        ({"basic": {"user": "an:na", "password": "hunter2"}}, "pattern"),
        ({"host": "http://shop.example"}, "'http://shop.example' is not a host name"),
        ({"host": "two words"}, "'two words' is not a host name"),
        ({"timeout": 5}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(options: dict[str, Any], sentence: str) -> None:
    text = complaint(http, url=URL, **options)
    assert sentence in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"host": "", "port": 80}, "is not a host name or an address"),
        ({"host": "http://localhost", "port": 80}, "is not a host name or an address"),
        ({"host": "[::1]", "port": 80}, "write it alone, such as db1.example or ::1"),
        ({"host": "a" * 64, "port": 80}, "is not a host name or an address"),
        ({"host": "a." * 127 + "a", "port": 80}, "is not a host name or an address"),
        ({"host": "a..b", "port": 80}, "is not a host name or an address"),
        ({"host": "local host", "port": 80}, "is not a host name or an address"),
        ({"host": "localhost\n", "port": 80}, "is not a host name or an address"),
        ({"host": "localhost", "port": 0}, "greater than or equal to 1"),
        ({"host": "localhost", "port": 65536}, "less than or equal to 65535"),
        ({"host": "localhost", "port": "80"}, "valid integer"),
        ({"host": "localhost", "port": 80, "expect": "a", "expect_regex": "b"}, "write one of them"),
        ({"host": "localhost", "port": 80, "expect_regex": "["}, "is not a regular expression"),
        ({"host": "localhost", "port": 80, "expect": ""}, "at least 1 character"),
    ],
)
def test_a_port_that_cannot_be_is_refused_with_what_can(options: dict[str, Any], sentence: str) -> None:
    assert sentence in complaint(tcp, **options)


@pytest.mark.parametrize("module", [http, tcp])
def test_every_option_has_a_description_and_every_sample_a_meaning(module: Any) -> None:
    assert all(field.description for field in module.Options.model_fields.values())
    names = [spec.name for spec in module.SAMPLES]
    assert len(names) == len(set(names))
    assert all(spec.meaning.endswith(".") for spec in module.SAMPLES)


def test_secrets_are_not_in_the_options_text() -> None:
    options = http.Options(
        url=URL, headers={"X-Key": "hunter2"}, basic={"user": "anna", "password": "hunter2"}, body="hunter2"
    )
    assert "hunter2" not in repr(options)
    assert "hunter2" not in repr(tcp.Options(host="localhost", port=80, send="hunter2"))


@pytest.mark.parametrize("module", [http, tcp])
def test_the_options_have_a_schema_for_editors(module: Any) -> None:
    assert module.Options.model_json_schema()["additionalProperties"] is False


def test_the_schema_knows_both_ways_to_write_a_json_sample() -> None:
    written = http.Options.model_json_schema()["properties"]["json_samples"]["additionalProperties"]
    assert written["anyOf"] == [{"type": "string"}, {"$ref": "#/$defs/JsonSample"}]
