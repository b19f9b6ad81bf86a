"""Restarts a service through whoever runs it: the service of the check, or the one that is named.

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
  web-down:
    check: web_port
    when: up == 0
    for: 30s
    steps:
      - restart: {}
        tries: 2
        settle: 10s
        verify: 1m
    limit: [3/1h]
"""


class Options(OptionsModel):
    """Which service."""

    service: str | None = Field(
        default=None, min_length=1, description="Name of the service to restart; the check's own if not set."
    )


def resource(options: Options, target: Target) -> str:
    """What the service's manager calls it. Raises RemediationError (permanent) if nobody is named who runs it."""
    return target.manager(options.service).resource


async def act(options: Options, target: Target, context: ActContext) -> Outcome:
    """Restart it and wait until its manager calls it started. Raises RemediationError."""
    said = await target.manager(options.service).restart(context)
    return done("restarted", options.service, target, said)


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """What restarting would find."""
    return await planned("restart", options.service, target, context)
