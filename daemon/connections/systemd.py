"""A systemd manager over D-Bus: the host's own, or that of another bus of this machine.

Looking needs no rights: every user may ask systemd. Acting needs root, or a polkit rule that names the unit.
A bus whose socket is missing, refuses us or may not be used by us makes what uses it blind, and so does one that
systemd is not on, or a systemd that does not answer: we are on the same host, and what we cannot ask is not sick.
Give each bus one name only: limits are counted by the name of the connection and the unit.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from daemon.connections._systemd_bus import Systemd
from daemon.plugin import OWN_SHARE, CheckContext, CheckError, Field, OptionsModel

EXAMPLE = """
connections:
  host: {systemd: {bus: "unix:path=/run/host/dbus/system_bus_socket"}}
checks:
  units: {systemd: {failed: true, connection: host}}
"""
_DEFAULT = "unix:path=/run/dbus/system_bus_socket"
_MOST_PATH = 107  # bytes of a unix socket's path


def _bus(value: str) -> str:
    if not re.fullmatch(r"unix:(path=/|abstract=)[-0-9A-Za-z_/.%]+", value):
        raise ValueError(f"{value!r} is not the address of a bus of this host; write one such as {_DEFAULT}")
    if len(value.partition("=")[2].encode()) > _MOST_PATH:
        raise ValueError(f"{value!r} is longer than the {_MOST_PATH} bytes that a unix socket's path may have")
    return value


class Options(OptionsModel):
    """Which bus."""

    bus: Annotated[str, AfterValidator(_bus)] = Field(
        default=_DEFAULT, description="D-Bus address of the bus that systemd is on: unix:path=... or unix:abstract=..."
    )


async def connect(options: Options, context: CheckContext) -> Systemd:
    """A client of the bus. Raises CheckError."""
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, AuthTimeoutError, DBusFastError

    place = options.bus.partition("=")[2]
    within = context.timeout * OWN_SHARE
    bus = MessageBus(bus_address=options.bus, auth_timeout=within)
    try:
        await bus.connect()
    except FileNotFoundError as error:
        raise CheckError(f"there is no socket {place}: D-Bus does not run here, or its socket is elsewhere") from error
    except ConnectionRefusedError as error:
        raise CheckError(f"nobody listens at {place}: D-Bus does not run") from error
    except PermissionError as error:
        raise CheckError(f"we may not use the socket {place}") from error
    except AuthTimeoutError as error:
        raise CheckError(f"the D-Bus at {place} did not answer within {within:g}s") from error
    except (AuthError, ConnectionError, EOFError) as error:  # who is not allowed by its policy is just hung up on
        raise CheckError(f"the D-Bus at {place} does not let us in: {error or type(error).__name__}") from error
    except (OSError, DBusFastError) as error:
        raise CheckError(f"cannot connect to the D-Bus at {place}: {error or type(error).__name__}") from error
    return Systemd(bus, place)


async def close(client: Systemd) -> None:
    """Leave the bus."""
    await client.close()
