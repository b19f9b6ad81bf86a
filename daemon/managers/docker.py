"""Containers of a Docker engine on this host, by their names.

Starting and restarting wait until the container is healthy, or has run for a second where it has no HEALTHCHECK. One
that ends at once, turns unhealthy or is restarted three times by the engine has failed; the record has its exit code
and the last line it wrote. A paused container goes on when it is started.

While the engine restarts or removes the container, or its HEALTHCHECK has not answered yet, the service is busy and
heald waits. An engine that is stopped, hangs or is not ours to use makes heald blind; a container that is not there is
an error that no further try will mend. heald's user has to be in the group of the engine's socket, which is as much as
being root on the host. There is no `reload`: a SIGHUP ends most programs that do not know it.
"""

import difflib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import AfterValidator

from daemon.managers._docker_container import (
    Container,
    Info,
    deadline_of,
    described,
    engine_of,
    is_left_stopped,
    name_of,
    state_of,
    stopped_for,
)
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
)

EXAMPLE = """
services:
  cache: {run_by: {docker: {container: cache}}}
checks:
  cache_container: {service: cache, docker: {containers: [cache]}}
rules:
  cache-down: {check: cache_container, when: up == 0, for: 30s, steps: [restart: {}]}
"""
_MOST_NAMES = 20  # containers named in an error


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ValueError(f"{value!r} is not a container's name; write it as `docker ps` shows it under NAMES")
    return value


class Options(OptionsModel):
    """A container of one engine."""

    container: Annotated[str, AfterValidator(_name)] = Field(
        description="The container's name, as `docker ps` shows it under NAMES; an id is not a name."
    )
    connection: Annotated[str | None, ConnectionOf("docker")] = Field(
        default=None, description="Name of the connection to the engine; that of the usual socket if not set."
    )


def resource(options: Options, service: Service, node: str) -> str:
    """The container on this node, whichever service or rule names it."""
    return f"docker:{options.container}@{node}"


async def start(options: Options, context: CheckContext) -> str:
    """Start the container unless it runs, and wait until it is up. Raises RemediationError."""
    return await _act("started", Container.start, options, context)


async def stop(options: Options, context: CheckContext) -> str:
    """Stop the container and wait until it has ended. Raises RemediationError."""
    return await _act("stopped", Container.stop, options, context)


async def restart(options: Options, context: CheckContext) -> str:
    """Stop the container if it runs, start it, and wait until it is up. Raises RemediationError."""
    return await _act("restarted", Container.restart, options, context)


async def status(options: Options, context: CheckContext) -> ServiceStatus:
    """What the engine says of it; UNKNOWN if there is none of that name, so that acting fails and says so.

    Raises:
        CheckError: the engine cannot be asked.
    """
    async with engine_of(options.connection, context) as engine:
        info = await _find(engine, options)
        if info is None:
            return ServiceStatus(state=ServiceState.UNKNOWN, detail=await _unknown_container(engine, options))
        by_operator = await is_left_stopped(engine, info)
    state, ended = state_of(info), stopped_for([info])
    return ServiceStatus(state=state, detail=described(info), by_operator=by_operator, stopped_for=ended)


async def _act(done: str, verb: Callable[[Container], Awaitable[str]], options: Options, context: CheckContext) -> str:
    deadline = deadline_of(context)
    try:
        async with engine_of(options.connection, context) as engine:
            info = await _find(engine, options)
            if info is None:
                raise RemediationError(await _unknown_container(engine, options), permanent=True)
            now = await verb(Container(engine, info, deadline))
    except CheckError as error:
        raise RemediationError(str(error)) from error
    return f"{done} container {options.container}, now {now}; it was {described(info)}"


async def _find(engine: Any, options: Options) -> Info | None:
    """The container of exactly that name: the engine would also take the beginning of another one's id for one."""
    info: Info | None = await engine.inspect(options.container)
    return info if info is not None and name_of(info) == options.container else None


async def _unknown_container(engine: Any, options: Options) -> str:
    names = sorted(each["Names"][0].removeprefix("/") for each in await engine.containers() if each["Names"])
    near = difflib.get_close_matches(options.container, names, n=1)
    listed = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return (
        f"the Docker engine has no container {options.container}; "
        + (f"it has {listed}" if names else "it has none")
        + (f"; did you mean {near[0]}?" if near else "")
    )
