"""Restarts a service through whoever runs it: the service of the check, or the one that is named."""

from daemon.plugin import ActContext, CheckError, Field, OptionsModel, Outcome, RemediationError, ServiceManager, Target


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
    manager = target.manager(options.service)
    said = await manager.restart(context)
    return Outcome(
        summary=f"restarted service {_name(options, target)}",
        details={"manager": manager.kind, "resource": manager.resource, "said": said},
    )


async def plan(options: Options, target: Target, context: ActContext) -> str:
    """What a restart would find."""
    try:
        manager = target.manager(options.service)
    except RemediationError as error:
        return f"nothing can be restarted: {error}"
    return f"restart service {_name(options, target)} ({manager.resource}), {await _found(manager, context)}"


async def _found(manager: ServiceManager, context: ActContext) -> str:
    try:
        status = await manager.status(context)
    except CheckError as error:
        return f"whose {manager.kind} cannot be asked: {error}"
    return f"which {manager.kind} calls {status.state}: {status.detail}"


def _name(options: Options, target: Target) -> str:
    return options.service or (target.service.name if target.service else "")
