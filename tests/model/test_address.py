"""Where a server listens, as operators write it."""

import pytest

from daemon.model.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9797", "127.0.0.1", 9797),
        ("localhost:0", "localhost", 0),
        ("[::1]:9797", "::1", 9797),
        (":9797", "", 9797),
    ],
)
def test_an_address_reads_and_writes_alike(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host=host, port=port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "has no port"),
        ("localhost:", "has no port"),
        ("localhost:http", "has no port"),
        ("localhost:٣", "has no port"),
        ("localhost:-1", "has no port"),
        ("localhost:65536", "above 65535"),
        ("::1:9797", "in brackets"),
        ("[]:9797", "in brackets"),
        ("a b:9797", "a blank"),
        ("a\0b:9797", "a control character"),
        ("", "has no port"),
    ],
)
def test_what_is_no_address_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)
