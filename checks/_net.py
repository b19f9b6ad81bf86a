"""What tcp and http share: names looked up, connections opened in measured stages, sickness told from blindness."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from pydantic import AfterValidator

from daemon.plugin import CheckContext, CheckError, Dimension, Sample, SickError, sample, translate

_NEXT_ADDRESS_AFTER = 0.25  # seconds; RFC 8305 section 5: Connection Attempt Delay
_LONGEST_HOST = 254  # RFC 1035 section 2.3.4, and a dot at its end
_MOST_LOOKUPS = 64  # names looked up at once; each holds a thread until the resolver gives up


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

NET_SAMPLES = (
    sample("up", Dimension.NONE, "1 if the target answered as it should, 0 if it did not."),
    sample("error", Dimension.STRING, "Why up is 0, one word of the check's list; empty while up is 1."),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("latency_seconds", Dimension.SECONDS, "From the start of the run to the end of the whole answer."),
    sample("dns_seconds", Dimension.SECONDS, "Waiting for the target's addresses; about 0 for an address."),
    sample("connect_seconds", Dimension.SECONDS, "From the first packet to an open TCP connection."),
)
"""Samples of every check that connects. Where a stage was not completed, its sample is missing."""

_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5), getattr(socket, "EAI_ADDRFAMILY", -9)}


class Look:
    """What one run has measured so far: `samples`, and the stage it is in."""

    def __init__(self, context: CheckContext) -> None:
        self.samples: dict[str, Sample] = {}
        self.context = context
        self.stage = ""
        self.began = context.clock.steady()

    def measure(self, name: str) -> "_Stage":
        """Add the seconds of the block to the sample `name`, unless the block fails."""
        return _Stage(self, name)

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave the seconds of the block out of the latency: they are our own preparations."""
        began = self.context.clock.steady()
        yield
        self.began += self.context.clock.steady() - began

    def add(self, name: str, value: float) -> None:
        """Add to a sample that is a sum over several connections."""
        self.samples[name] = float(self.samples.get(name, 0.0)) + value

    def answered(self) -> None:
        """The whole answer is there: the latency is known, whatever the answer is worth."""
        self.samples["latency_seconds"] = self.context.clock.steady() - self.began


class _Stage:
    """A stage of a look that is measured."""

    __slots__ = ("_began", "_look", "_name")

    def __init__(self, look: Look, name: str) -> None:
        self._look = look
        self._name = name

    def __enter__(self) -> None:
        self._began = self._look.context.clock.steady()
        self._look.stage = self._name

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._look.stage = ""
            self._look.add(self._name, self._look.context.clock.steady() - self._began)


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


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of `host`, in the system's order, with `port`.

    Raises:
        SickError: there is no such name. CheckError: the resolver could not tell.
    """
    try:
        socket.inet_pton(socket.AF_INET, host)
        return [(socket.AF_INET, (host, port))]
    except (OSError, ValueError):
        pass  # the usual form of an address, for which getaddrinfo would take 10 µs
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


async def connect(addresses: Sequence[Address], place: str) -> socket.socket:
    """An open connection to the first of `addresses` that takes one, the later ones starting a little later.

    Raises:
        SickError: the target did not take it. CheckError: none could be tried from here.
    """
    errors: list[OSError] = []
    try:
        if len(addresses) == 1:  # the usual case, without tasks
            return await _connect_to(*addresses[0])
        return await _first_of(addresses, errors)
    except OSError as error:
        verdicts = [translate(each, place) for each in errors or [error]]
        # One address that answered "no" is the target's word; that others have no route from here is not.
        raise next((each for each in verdicts if isinstance(each, SickError)), verdicts[0]) from error


async def _first_of(addresses: Sequence[Address], errors: list[OSError]) -> socket.socket:
    """The first connection of a staggered race; all failed: the last error, and every one in `errors`."""
    waiting = list(reversed(addresses))
    racing: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or racing:
            if waiting:
                racing.add(asyncio.create_task(_connect_to(*waiting.pop())))
            done, _ = await asyncio.wait(
                racing, timeout=_NEXT_ADDRESS_AFTER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                racing.remove(task)
                failure = task.exception()
                if failure is None:
                    return task.result()
                if not isinstance(failure, OSError):
                    raise failure
                errors.append(failure)
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_close_late)  # nothing is awaited here: a cancellation finds nothing to leak
    raise errors[-1]


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _is_open(connection: socket.socket, address: Any) -> bool:
    """Begin to connect; true if it is done already, as on one host it is. Raises OSError if it is refused already."""
    why = connection.connect_ex(address)
    if why == errno.EINPROGRESS:
        why = connection.connect_ex(address)  # what became of it by now: connect(2), EALREADY while it goes on
    if why in (0, errno.EISCONN):
        return True
    if why in (errno.EALREADY, errno.EINPROGRESS):
        return False
    raise OSError(why, os.strerror(why))


async def _connect_to(family: int, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if not _is_open(connection, address):
            await asyncio.get_running_loop().sock_connect(connection, address)
        if connection.getsockname()[:2] == address[:2]:
            # TCP's simultaneous open: nobody listens, and the kernel gave us the very port that we called.
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")
    except BaseException:
        connection.close()
        raise
    return connection
