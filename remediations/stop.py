"""Stops a service through whoever runs it: that of the check, or the one that is named. It stays stopped.

It needs the rights that the service's manager needs.
"""

from daemon.plugin import ActContext, Field, OptionsModel, Outcome, Target
from remediations._service import done, planned

EXAMPLE = """
services:
  web: {run_by: {command: {start: [/opt/web/start], stop: [/opt/web/stop], reload: [/opt/web/reload]}}}
  batch: {run_by: {command: {start: [/opt/batch/start], stop: [/opt/batch/stop]}}}
checks:
  web_port: {service: web, tcp: {host: localhost, port: 8000}}
rules:
  web-slow: {check: web_port, when: "avg(latency_seconds, 1m) > 2s", for: 2m, steps: [stop: {service: batch}]}
"""


class Options(OptionsModel):
    """Which service."""

    service: str | None = Field(
        default=None, min_length=1, description="Name of the service to stop; the check's own if not set."
    )


def resource(options: Options, target: Target) -> str:
    """What the service's manager calls it. Raises RemediationError (permanent) if nobody is named who runs it."""
    return target.manager(options.service).resource


async def act(options: Options, target: Target, context: ActContext) -> Outcome:
    """Stop it and wait until it has ended. Raises RemediationError."""
    said = await target.manager(options.service).stop(context)
    return done("stopped", options.service, target, said)


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """What stopping would find."""
    return await planned("stop", options.service, target, context)
