"""Has a service read its settings anew, without a restart, where whoever runs it knows a way.

It needs the rights that the service's manager needs.
"""

from daemon.plugin import ActContext, Field, OptionsModel, Outcome, RemediationError, Target
from remediations._service import done, planned

EXAMPLE = """
services:
  web: {run_by: {command: {start: [/opt/web/start], stop: [/opt/web/stop], reload: [/opt/web/reload]}}}
checks:
  web_port: {service: web, tcp: {host: localhost, port: 8000}}
rules:
  web-down: {check: web_port, when: up == 0, for: 30s, steps: [reload_service: {}, restart: {}]}
"""


class Options(OptionsModel):
    """Which service."""

    service: str | None = Field(
        default=None, min_length=1, description="Name of the service to reload; the check's own if not set."
    )


def resource(options: Options, target: Target) -> str:
    """What the service's manager calls it.

    Raises:
        RemediationError: permanent; nobody is named who runs it, or they know no way to reload a service.
    """
    manager = target.manager(options.service)
    if not manager.can_reload:
        raise RemediationError(f"{manager.kind} knows no way to reload a service", permanent=True)
    return manager.resource


async def act(options: Options, target: Target, context: ActContext) -> Outcome:
    """Reload it and wait until its manager calls that done. Raises RemediationError."""
    said = await target.manager(options.service).reload(context)
    return done("reloaded", options.service, target, said)


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """What reloading would find."""
    return await planned("reload", options.service, target, context)
