"""Restarts a service through whoever runs it: the service of the check, or the one that is named."""

from daemon.plugin import ActContext, Field, OptionsModel, Outcome, Target
from remediations._service import done, planned


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
