"""Where a redirect leads, and what goes along, whoever speaks HTTP."""

from typing import Any

import pytest
from yarl import URL

from checks._http_message import Request, redirected
from daemon.errors import SickError


def asked(**changes: Any) -> Request:
    given: dict[str, Any] = {
        "method": "GET", "url": URL("http://shop.example/a?b=1#c"), "headers": (("Authorization", "Bearer x"),),
        "host": "virtual.example", "body": None, "body_limit": 10, "follow_redirects": True, "verify_tls": True,
        "ca_file": None,
    }  # fmt: skip
    return Request(**{**given, **changes})


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"), (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "HEAD", "HEAD"),
        (303, "PUT", "GET"), (307, "POST", "POST"), (308, "POST", "POST"), (301, "PUT", "PUT"),
    ],
)  # fmt: skip
def test_the_method_changes_as_every_client_does_it(status: int, method: str, then: str) -> None:
    found = redirected(asked(method=method, body=b"x" if method != "GET" else None), status, "/there")
    assert (found.method, found.body) == (then, None if then == "GET" else b"x")


def test_within_the_origin_all_of_it_goes_along_but_the_fragment() -> None:
    found = redirected(asked(), 302, "there#part")
    assert (str(found.url), found.headers, found.host) == ("http://shop.example/there", asked().headers, asked().host)


@pytest.mark.parametrize("location", ["http://other.example/", "https://shop.example/", "http://shop.example:81/"])
def test_to_another_origin_go_no_headers_and_no_host(location: str) -> None:
    found = redirected(asked(), 302, location)
    assert (found.headers, found.host, found.url.user) == ((), None, None)


def test_credentials_in_a_location_are_not_used() -> None:
    assert redirected(asked(), 302, "http://anna:secret@other.example/").url.password is None


def test_a_body_does_not_go_to_another_origin() -> None:
    with pytest.raises(SickError, match="would carry the request's body"):
        redirected(asked(method="POST", body=b"x"), 307, "http://other.example/")


@pytest.mark.parametrize("location", ["mailto:a@b", "ftp://x/", "http://[::1:/", f"http://{'a.' * 127}a/"])
def test_what_is_no_url_of_http_is_a_fault_of_the_target(location: str) -> None:
    with pytest.raises(SickError, match="no http or https URL") as raised:
        redirected(asked(), 302, location)
    assert raised.value.word == "redirects"


@pytest.mark.parametrize(
    "host",
    [
        "224.0.0.1", "255.255.255.255", "[fe80::1]", "[ff02::1]", "3758096385", "0xe0000001", "4294967295", "224.1",
        "0340.0.0.1", "[::ffff:224.0.0.1]", "[::ffff:255.255.255.255]",
    ],
)  # fmt: skip
def test_an_address_that_no_server_has_is_a_fault_of_the_target(host: str) -> None:
    """There is no route to it from here, which would be UNKNOWN."""
    with pytest.raises(SickError, match="no server's") as raised:
        redirected(asked(), 302, f"http://{host}/")
    assert raised.value.word == "redirects"
    assert redirected(asked(), 302, "http://[2001:db8::1]/").place == "2001:db8::1 port 80"
