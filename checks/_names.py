"""What stands before every connection: a name is looked up, by the system's own resolver."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Annotated, Any

from pydantic import AfterValidator

from daemon.plugin import CheckError, SickError

_LONGEST_HOST = 254  # RFC 1035 section 2.3.4, and a dot at its end
_MOST_LOOKUPS = 64  # names looked up at once; each holds a thread until the resolver gives up
_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5), getattr(socket, "EAI_ADDRFAMILY", -9)}


def check_host(value: str) -> str:
    """A host name or address that can be looked up. Raises ValueError with what is wrong."""
    try:
        value.encode("idna")  # as getaddrinfo will: an empty or too long label is refused while the file is loaded
    except UnicodeError as error:
        raise ValueError(f"{value!r} is not a host name or an address: {error}") from error
    is_word = value.split() == [value] and value.isprintable() and not set(value) & set("/@[]")
    if not is_word or len(value) > _LONGEST_HOST:
        raise ValueError(f"{value!r} is not a host name or an address; write it alone, such as db1.example or ::1")
    return value


Host = Annotated[str, AfterValidator(check_host)]
"""A host name, or an IPv4 or IPv6 address without brackets."""
Address = tuple[int, Any]
"""A family of addresses and a socket address of it, as getaddrinfo gives them."""


class _Lookups:
    """Names being looked up, each once, each in a thread of its own that nobody waits for when heald ends.

    getaddrinfo cannot be cancelled. A run that gave up leaves its look-up behind and the next run for that name joins
    it, so a dead resolver holds one thread a name, and not a place in the pool that everything else works in.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, Future[list[Address]]] = {}
        self._lock = threading.Lock()

    def join(self, host: str) -> Future[list[Address]]:
        """The look-up of `host` that is under way, or a new one. Raises CheckError if there are too many."""
        with self._lock:
            if host in self._under_way:
                return self._under_way[host]
            if len(self._under_way) >= _MOST_LOOKUPS:
                raise CheckError(f"{_MOST_LOOKUPS} names are waiting for the resolver, no more are asked for")
            future: Future[list[Address]] = Future()
            future.set_running_or_notify_cancel()  # from here on no waiter can cancel it for the others
            try:
                threading.Thread(target=self._look_up, args=(host, future), name="heald-dns", daemon=True).start()
            except RuntimeError as error:
                raise CheckError(f"no thread to look up a name in: {error}") from error
            self._under_way[host] = future
            return future

    def _look_up(self, host: str, future: Future[list[Address]]) -> None:
        try:
            found: list[Address] | Exception = _addresses(host)
        except Exception as error:  # noqa: BLE001  # carried to the waiting run, which knows what to make of it
            found = error
        with self._lock:
            del self._under_way[host]
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)


_lookups = _Lookups()  # threads belong to the process, not to a run


def _addresses(host: str, *, flags: int = 0) -> list[Address]:
    return [
        (family, address) for family, _, _, _, address in socket.getaddrinfo(host, 0, 0, socket.SOCK_STREAM, 0, flags)
    ]


def literal(host: str, port: int) -> list[Address] | None:
    """The address that `host` is if it is one of IPv4 in the usual form: getaddrinfo would take 10 µs for it."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        return None
    return [(socket.AF_INET, (host, port))]


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of `host`, in the system's order, with `port`.

    Raises:
        SickError: there is no such name. CheckError: the resolver could not tell.
    """
    try:
        try:
            found = _addresses(host, flags=socket.AI_NUMERICHOST)  # an address as text: never asks anybody
        except socket.gaierror:
            found = await asyncio.wrap_future(_lookups.join(host))
    except socket.gaierror as error:
        if error.errno in _UNKNOWN_NAME:
            raise SickError("name_not_found", f"there is no address for the name {host}") from error
        raise CheckError(f"cannot look up {host}: {error.strerror}") from error
    except OSError as error:
        raise CheckError(f"cannot look up {host}: {error}") from error
    return [(family, (address[0], port, *address[2:])) for family, address in found]
