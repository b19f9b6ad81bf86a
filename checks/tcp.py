"""Whether a TCP port takes connections and, if asked, answers as it should.

`up` is 0 with `error` refused, reset, closed, timeout, unreachable, name_not_found or unexpected. We are blind, and the
run is UNKNOWN, where there is no route from here, the resolver does not answer, or we are out of descriptors or ports.

It needs no rights.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from checks._names import Host, resolve
from checks._net import NET_SAMPLES, Look, connect
from checks._once import is_found, look_once
from checks._patterns import Pattern, Search
from daemon.plugin import CheckContext, Dimension, Field, OptionsModel, Reading, SecretStr, SickError, sample, translate

EXAMPLE = """
checks:
  redis_port: {tcp: {host: localhost, port: 6379, send: "PING\\r\\n", expect_regex: '^(\\+PONG|-NOAUTH)'}}
rules:
  redis-down: {check: redis_port, when: up == 0, for: 30s, severity: P1}
  redis-slow: {check: redis_port, when: "avg(first_byte_seconds, 1m) > 100ms"}
"""
_MOST_READ = 16384  # bytes of an answer that are searched

SAMPLES = (
    *NET_SAMPLES,
    sample(
        "first_byte_seconds",
        Dimension.SECONDS,
        "From the open connection, with `send` sent, to the first byte; only where an answer is expected.",
    ),
)


class Options(OptionsModel):
    """A port, and what is said there."""

    host: Host = Field(description="Host name or address, IPv6 without brackets. Every address of a name is tried.")
    port: int = Field(ge=1, le=65535, description="TCP port, 1 to 65535.")
    send: SecretStr | None = Field(
        default=None,
        description=r'Text to send once connected, as UTF-8. Double quotes in the file make escapes: "PING\r\n".',
    )
    expect: str | None = Field(
        default=None,
        min_length=1,
        description="Text that the answer has to contain, within its first 16 KiB.",
    )
    expect_regex: Pattern | None = Field(
        default=None,
        min_length=1,
        description="Regular expression (Python's re) to be found in the first 16 KiB of the answer, read as UTF-8. "
        "A run that searches for 0.5s is blind.",
    )

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.expect is not None and self.expect_regex is not None:
            raise ValueError("expect and expect_regex are both given; write one of them")
        return self


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Connect, speak if asked to, close.

    Raises:
        CheckError: we could not look.
    """

    async def work(look: Look) -> None:
        if (addresses := look.literal(options.host, options.port)) is None:
            with look.measure("dns_seconds"):
                addresses = await resolve(options.host, options.port)
        place = f"{options.host} port {options.port}"
        with look.measure("connect_seconds"):
            connection = await connect(addresses, place)
        try:
            if options.send is not None or options.expect is not None or options.expect_regex is not None:
                await _talk(options, look, connection)
        except OSError as error:
            raise translate(error, place) from error
        finally:
            connection.close()
        look.answered()

    return [await look_once(context, work)]


async def _talk(options: Options, look: Look, connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if options.send is not None:
        look.stage = "send"
        await loop.sock_sendall(connection, options.send.get_secret_value().encode())
    if options.expect is None and options.expect_regex is None:
        return
    with look.measure("first_byte_seconds"):
        received = await loop.sock_recv(connection, _MOST_READ)
        if not received:
            raise SickError("closed", "the connection was closed without an answer")
    answer = bytearray(received)
    search = Search(options.expect_regex) if options.expect_regex is not None else None
    while not await _is_expected(options, answer, search, look):
        if not received:
            raise SickError("unexpected", "the answer ended without what is expected")
        if len(answer) >= _MOST_READ:
            raise SickError("unexpected", f"what is expected is not in the first {_MOST_READ} bytes of the answer")
        received = await loop.sock_recv(connection, _MOST_READ - len(answer))
        answer += received


async def _is_expected(options: Options, answer: bytearray, search: Search | None, look: Look) -> bool:
    if search is None:
        return (options.expect or "").encode() in answer
    return await is_found(search, answer.decode(errors="replace"), look)
