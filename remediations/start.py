"""Starts a service through whoever runs it: the service of the check, or the one that is named.

A service that runs is left alone.

It needs the rights that the service's manager needs.
"""

from daemon.plugin import ActContext, Field, OptionsModel, Outcome, Target
from remediations._service import done, planned

EXAMPLE = """
services:
  web: {run_by: {command: {start: [/opt/web/start], stop: [/opt/web/stop], reload: [/opt/web/reload]}}}
checks:
  web_port: {service: web, tcp: {host: localhost, port: 8000}}
rules:
  web-down: {check: web_port, when: up == 0, for: 30s, steps: [start: {}]}
"""


class Options(OptionsModel):
    """Which service."""

    service: str | None = Field(
        default=None, min_length=1, description="Name of the service to start; the check's own if not set."
    )


def resource(options: Options, target: Target) -> str:
    """What the service's manager calls it. Raises RemediationError (permanent) if nobody is named who runs it."""
    return target.manager(options.service).resource


async def act(options: Options, target: Target, context: ActContext) -> Outcome:
    """Start it and wait until its manager calls it started. Raises RemediationError."""
    said = await target.manager(options.service).start(context)
    return done("started", options.service, target, said)


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """What starting would find."""
    return await planned("start", options.service, target, context)
