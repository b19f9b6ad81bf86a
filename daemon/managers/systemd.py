"""Services run by systemd, asked over D-Bus.

Every verb waits until systemd has done it, then looks at the unit: a service that ends right after its start was not
started. A oneshot service that ran to its end was. Where systemd refuses because a unit was started too often (its
start limit), that is reset and it is tried once more. A unit that systemd does not know, one that is masked or cannot
be loaded, and a denied access are errors that another try does not mend.

A unit that is activating, deactivating, reloading, that waits for systemd's own restart (`auto-restart`) or has an
order of somebody else before it, is busy: heald holds.

Acting needs root, or a polkit rule for `org.freedesktop.systemd1.manage-units` that names the unit and the verbs start,
stop, restart, reload and reset-failed, and best ref: without it systemd may forget how a unit ended. To quote the last
line that a failed service wrote, heald has to be in the group systemd-journal. Without a socket, with one that we may
not use, or with a systemd that does not answer, we are blind.
"""

from collections.abc import Awaitable, Callable
from math import isfinite
from typing import Annotated

from daemon.managers._systemd_verbs import Verbs
from daemon.plugin import (
    CheckContext,
    CheckError,
    ConnectionOf,
    Field,
    OptionsModel,
    RemediationError,
    Service,
    ServiceState,
    ServiceStatus,
    UnitName,
)

EXAMPLE = """
services:
  web: {run_by: {systemd: {unit: nginx.service}}}
checks:
  web_unit: {service: web, systemd: {unit: nginx.service}}
rules:
  web-down: {check: web_unit, when: up == 0, for: 30s, steps: [restart: {}]}
"""
_STATES = {
    "active": ServiceState.RUNNING,
    "inactive": ServiceState.STOPPED,
    "failed": ServiceState.FAILED,
    "activating": ServiceState.BUSY,
    "deactivating": ServiceState.BUSY,
    "reloading": ServiceState.BUSY,
    "refreshing": ServiceState.BUSY,
    "maintenance": ServiceState.BUSY,
}
"""systemd's ActiveState; any other one is UNKNOWN."""


class Options(OptionsModel):
    """A unit of one systemd."""

    unit: UnitName = Field(
        description="Full name of the unit, such as nginx.service or worker@2.service, not an alias; "
        ".service is added where no kind of unit is written."
    )
    connection: Annotated[str | None, ConnectionOf("systemd")] = Field(
        default=None, description="Name of a systemd connection; the system's own bus if not set."
    )


def resource(options: Options, service: Service, node: str) -> str:
    """The unit on this node, whichever service or rule names it."""
    bus = f"{options.connection}/" if options.connection else ""
    return f"systemd:{bus}{options.unit}@{node}"


async def start(options: Options, context: CheckContext) -> str:
    """Start the unit and look that it stays up. Raises RemediationError."""
    return await _act(options, context, Verbs.start)


async def stop(options: Options, context: CheckContext) -> str:
    """Stop the unit and wait until it has ended. Raises RemediationError."""
    return await _act(options, context, Verbs.stop)


async def restart(options: Options, context: CheckContext) -> str:
    """Restart the unit, or start it if it is stopped, and look that it stays up. Raises RemediationError."""
    return await _act(options, context, Verbs.restart)


async def reload(options: Options, context: CheckContext) -> str:
    """Have the service read its settings anew (ExecReload=). Raises RemediationError."""
    return await _act(options, context, Verbs.reload)


async def status(options: Options, context: CheckContext) -> ServiceStatus:
    """What systemd says of the unit; UNKNOWN if it knows none of that name, so that acting fails and says so.

    Raises:
        CheckError: systemd cannot be asked.
    """
    async with context.connection("systemd", options.connection) as systemd:
        unit = await systemd.unit(options.unit, within=context.timeout)
    if unit.is_unknown:
        return ServiceStatus(state=ServiceState.UNKNOWN, detail=f"systemd knows no unit {options.unit}")
    if unit.is_pending or unit.is_restarting or unit.may_restart:
        return ServiceStatus(state=ServiceState.BUSY, detail=unit.described)
    # An explicit stop is no failure: what fails is `failed`. A unit that ended well by itself is inactive too, and is
    # left alone likewise, as nothing tells the two apart.
    state = _STATES.get(unit.state, ServiceState.UNKNOWN)
    is_inactive = unit.state == "inactive"
    stopped_for = unit.changed_seconds if is_inactive and isfinite(unit.changed_seconds) else None
    return ServiceStatus(state=state, detail=unit.described, by_operator=is_inactive, stopped_for=stopped_for)


async def _act(options: Options, context: CheckContext, verb: Callable[[Verbs], Awaitable[str]]) -> str:
    try:
        async with context.connection("systemd", options.connection) as systemd:
            try:
                verbs = Verbs(systemd, options.unit, context)
                async with verbs.kept():
                    return await verb(verbs)
            except RemediationError as error:  # it says nothing against the connection, so it is raised outside
                refused = error
    except CheckError as error:
        raise RemediationError(str(error)) from error
    raise refused
