"""Which hosts are taken, which of them need no look-up, and what the resolver's words come to."""

import socket
from typing import Any

import pytest

from checks import _names
from checks._names import check_host, literal, resolve
from daemon.errors import CheckError, SickError


@pytest.mark.parametrize("host", ["db1.example", "db1.example.", "127.0.0.1", "::1", "fe80::1%lo", "größe.example"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a@b", "a/b", "[::1]", "a\tb", "a\0b", "a..b", f"{'a' * 64}.example", f"{'a.' * 128}b"]
)
def test_what_can_never_be_looked_up_is_refused_and_shown(host: str) -> None:
    with pytest.raises(ValueError, match="is not a host name or an address"):
        check_host(host)


def test_an_address_of_ipv4_in_its_usual_form_needs_no_look_up() -> None:
    assert literal("192.0.2.1", 80) == [(socket.AF_INET, ("192.0.2.1", 80))]


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "192.0.2.1.", "192.0.2.256", "::1", "db1.example", "1\0"])
def test_everything_else_is_for_the_system_to_read(host: str) -> None:
    assert literal(host, 80) is None


async def test_other_forms_of_addresses_are_read_without_asking_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(host: str) -> Any:
        raise AssertionError(f"{host} was looked up")

    monkeypatch.setattr(_names._lookups, "join", never)
    assert await resolve("127.1", 80) == [(socket.AF_INET, ("127.0.0.1", 80))]
    ((family, address),) = await resolve("::1", 80)
    assert (family, address[:2]) == (socket.AF_INET6, ("::1", 80))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            SickError,
            "there is no address for the name",
        ),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), CheckError, "cannot look up shop.example: Temporary"),
        (OSError(24, "Too many open files"), CheckError, "cannot look up shop.example: .*Too many open files"),
    ],
    ids=["no such name", "no answer", "short of something"],
)
async def test_only_the_word_that_there_is_no_such_name_is_the_targets(
    said: OSError, kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: int, family: int, type_: int, proto: int, flags: int) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no address") if flags else said

    monkeypatch.setattr("checks._names.socket.getaddrinfo", getaddrinfo)
    with pytest.raises(kind, match=words) as raised:
        await resolve("shop.example", 80)
    assert type(raised.value) is kind
