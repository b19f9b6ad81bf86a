"""What the remediations of a service share: whose it is, and what its manager says of it."""

from daemon.plugin import ActContext, CheckError, Outcome, RemediationError, ServiceManager, Target


def name_of(service: str | None, target: Target) -> str:
    """The named service, or else the target's own."""
    return service or (target.service.name if target.service else "")


def done(verb: str, service: str | None, target: Target, said: str) -> Outcome:
    """What is recorded of it; `said` is the manager's sentence."""
    manager = target.manager(service)
    return Outcome(
        summary=f"{verb} service {name_of(service, target)}",
        details={"manager": manager.kind, "resource": manager.resource, "said": said},
    )


async def planned(verb: str, service: str | None, target: Target, context: ActContext) -> str:
    """What would be done, and to what: `restart service web (supervisor:...), which supervisor calls running: ...`."""
    try:
        manager = target.manager(service)
    except RemediationError as error:
        return f"nothing can be done: {error}"
    return f"{verb} service {name_of(service, target)} ({manager.resource}), {await _found(manager, context)}"


async def _found(manager: ServiceManager, context: ActContext) -> str:
    try:
        status = await manager.status(context)
    except CheckError as error:
        return f"whose {manager.kind} cannot be asked: {error}"
    return f"which {manager.kind} calls {status.state}: {status.detail}"
