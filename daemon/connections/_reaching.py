"""What an error of connecting says, whichever client met it: the server is sick, or we are blind."""

import asyncio
import errno
import os
import re
import socket
import ssl

from daemon.plugin import CheckError, SickError, translate

_UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5), getattr(socket, "EAI_ADDRFAMILY", -9))
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def not_reached(error: OSError, place: str) -> SickError | CheckError:
    """What it says of the server at `place` (`host port 6379`, or the path of a socket).

    A socket that is not there is refused, as a port is where nobody listens: a server that ends takes its socket along.
    """
    if isinstance(error, socket.gaierror):
        if error.errno in _UNKNOWN_NAME:
            return SickError("name_not_found", f"there is no address for the name of {place}")
        return CheckError(f"cannot look up {place}: {error.strerror}")
    if isinstance(error, FileNotFoundError) and place.startswith("/"):
        return SickError("refused", f"there is no socket {place}")
    if error.errno is None and not isinstance(error, ConnectionError):
        # Where a name has several addresses, asyncio puts the errors of all into one text. One address that answered
        # "no" is the server's word; that others have no route from here is not.
        found = [translate(OSError(number, os.strerror(number)), place) for number in _numbers(error)]
        return next(
            (each for each in found if isinstance(each, SickError)), found[0] if found else translate(error, place)
        )
    return translate(error, place)


def cause_of(error: BaseException) -> OSError | None:
    """The system's error that a client put into one of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and not isinstance(seen, TimeoutError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _numbers(error: OSError) -> list[int]:
    return [int(number) for number in _NUMBER.findall(str(error)) if int(number) in errno.errorcode]


async def check_authorities(file: str, option: str = "ca_file") -> None:
    """Raise CheckError if this is no PEM file of authorities that can be read: that is no fault of a server."""
    try:
        await asyncio.to_thread(ssl.create_default_context, cafile=file)
    except OSError as error:  # ssl.SSLError is one
        raise CheckError(f"the {option} {file} cannot be used: {error.strerror or error}") from error


async def check_certificate(file: str, key: str, password: str) -> None:
    """Raise CheckError if these are not heald's own certificate and its key, as `check_authorities`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        await asyncio.to_thread(context.load_cert_chain, file, key, lambda: password)
    except OSError as error:
        raise CheckError(f"the sslcert {file} with the sslkey {key} cannot be used: {error.strerror}") from error
