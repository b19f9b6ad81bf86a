"""What tcp and http share: connections opened in measured stages, sickness told from blindness."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from checks._names import Address, literal
from daemon.plugin import CheckContext, Dimension, Sample, SickError, sample, translate

if TYPE_CHECKING:
    _Socket = socket.socket
else:
    _Socket = socket.SocketType  # the class below it: what Python adds to that nobody asks for here

_NEXT_ADDRESS_AFTER = 0.25  # seconds; RFC 8305 section 5: Connection Attempt Delay
OWN_STAGE = "own"  # of a look: nothing was asked of the target yet
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK

NET_SAMPLES = (
    sample("up", Dimension.NONE, "1 if the target answered as it should, 0 if it did not."),
    sample("error", Dimension.STRING, "Why up is 0, one word of the check's list; empty while up is 1."),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("latency_seconds", Dimension.SECONDS, "From the start of the run to the end of the whole answer."),
    sample("dns_seconds", Dimension.SECONDS, "Waiting for the target's addresses; 0 for an IPv4 address."),
    sample("connect_seconds", Dimension.SECONDS, "From the first packet to an open TCP connection."),
)
"""Samples of every check that connects. Where a stage was not completed, its sample is missing."""


class Look:
    """What one run has measured so far: `samples`, and the stage it is in."""

    __slots__ = ("_stage_began", "began", "context", "samples", "stage")

    def __init__(self, context: CheckContext) -> None:
        self.samples: dict[str, Sample] = {}
        self.context = context
        self.stage = ""
        self.began = context.clock.steady()

    def literal(self, host: str, port: int) -> list[Address] | None:
        """The address that `host` is, if it is one that nobody needs to be asked for: `dns_seconds` is 0 then."""
        addresses = literal(host, port)
        if addresses is not None:
            self.add("dns_seconds", 0.0)
        return addresses

    def measure(self, name: str) -> Self:
        """Add the seconds of the block to the sample `name`, unless the block fails. No block is in another."""
        self.stage = name
        self._stage_began = self.context.clock.steady()
        return self

    def __enter__(self) -> None:
        """Begin the block of `measure`."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            name, self.stage = self.stage, ""
            self.add(name, self.context.clock.steady() - self._stage_began)

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave the seconds of the block out of the latency: they are our own preparations."""
        began = self._stage_began = self.context.clock.steady()
        self.stage = OWN_STAGE
        yield
        self.stage = ""
        self.began += self.context.clock.steady() - began

    def has_been_for(self, seconds: float) -> bool:
        """Whether it is in its stage, which `measure` or `uncounted` began, for so long."""
        return self.context.clock.steady() - self._stage_began >= seconds

    def add(self, name: str, seconds: float) -> None:
        """Add to a sample that is a sum over several connections."""
        self.samples[name] = _whole(float(self.samples.get(name, 0.0)) + seconds)

    def answered(self) -> None:
        """The whole answer is there: the latency is known, whatever the answer is worth."""
        self.samples["latency_seconds"] = _whole(self.context.clock.steady() - self.began)


def _whole(seconds: float) -> float:
    """Seconds in whole nanoseconds, as the clock has them: more digits are a float's own, and cost 1 µs to write."""
    return int(seconds * 1e9 + 0.5) / 1e9


async def connect(addresses: Sequence[Address], place: str) -> socket.socket:
    """An open connection to the first of `addresses` that takes one, the later ones starting a little later.

    Raises:
        SickError: the target did not take it. CheckError: none could be tried from here.
    """
    errors: list[OSError] = []
    try:
        if len(addresses) == 1:  # the usual case, without tasks
            connection, is_open = _begun(*addresses[0])
            return connection if is_open else await _opened(connection, addresses[0][1])
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


def _begun(family: int, address: Any) -> tuple[socket.socket, bool]:
    """A connection, and whether it is open already, as on one host it is. Raises OSError if it is refused already."""
    connection = _Socket(family, _STREAM)
    try:
        why = connection.connect_ex(address)
        if why == errno.EINPROGRESS:
            why = connection.connect_ex(address)  # what became of it by now: connect(2), EALREADY while it goes on
        if why in (errno.EALREADY, errno.EINPROGRESS):
            return connection, False
        if why not in (0, errno.EISCONN):
            raise OSError(why, os.strerror(why))
        _check_peer(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection, True


async def _opened(connection: socket.socket, address: Any) -> socket.socket:
    """A connection that was begun, once it is open. Raises OSError."""
    try:
        await asyncio.get_running_loop().sock_connect(connection, address)
        _check_peer(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _connect_to(family: int, address: Any) -> socket.socket:
    connection, is_open = _begun(family, address)
    return connection if is_open else await _opened(connection, address)


def _check_peer(connection: socket.socket, address: Any) -> None:
    """Refuse TCP's simultaneous open: nobody listens, and the kernel gave us the very port that we called."""
    own = connection.getsockname()
    if own[1] == address[1] and own[0] == address[0]:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")
