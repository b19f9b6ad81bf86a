"""Services of a Docker Compose project on this host: all containers that carry its labels.

A restart takes the sick containers first, and only them if there are any: those that do not run or are unhealthy. If
none looks sick, all are restarted. One goes after the other, each waited for until it is healthy, or has run for a
second where it has no HEALTHCHECK; if a well one does not come back, the others are left alone. So is, by starting and
restarting, a container that a person stopped, while others are down for another reason.

Where no container is left, starting and restarting create them by `docker compose up`, from `file` or else from where
the project's other containers say that they were made. That needs the command `docker` with its plug-in compose; all
else is done through the engine's API. Variables in the compose file come from its `.env` file, not from the shell of
whoever made the project. Images are not built.

While the engine restarts or removes a container, or a HEALTHCHECK has not answered yet, the service is busy and heald
waits. An engine that is stopped, hangs or is not ours to use makes heald blind. A project or service that is not there,
or a compose file that has moved, is an error that no further try will mend. heald's user has to be in the group of the
engine's socket, which is as much as being root on the host.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from daemon.managers._compose_command import PROJECT, SERVICE, Compose, meant
from daemon.managers._docker_container import (
    Container,
    Info,
    deadline_of,
    described,
    engine_of,
    is_left_stopped,
    is_sick,
    name_of,
    state_of,
    stopped_for,
    worst_of,
)
from daemon.plugin import (
    CheckContext,
    CheckError,
    ConnectionOf,
    Field,
    Folder,
    OptionsModel,
    RemediationError,
    Service,
    ServiceState,
    ServiceStatus,
)

EXAMPLE = """
services:
  api: {run_by: {compose: {project: shop, service: api, file: /srv/shop/compose.yaml}}}
checks:
  api_health: {service: api, http: {url: "http://localhost:8000/health"}}
rules:
  api-down: {check: api_health, when: up == 0, for: 30s, steps: [{restart: {}, settle: 10s, verify: 1m}]}
"""
_ONE_OFF = "com.docker.compose.oneoff"  # a container of `docker compose run`: nobody's service


def _project(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError(f"{value!r} is not a project; write it in lower case, as `docker compose ls` shows it")
    return value


def _service(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
        raise ValueError(f"{value!r} is not a service; write it as in the compose file")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


File = Annotated[
    list[Folder],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Options(OptionsModel):
    """A service of one project."""

    project: Annotated[str, AfterValidator(_project)] = Field(
        description="The project's name, as `docker compose ls` shows it."
    )
    service: Annotated[str, AfterValidator(_service)] = Field(description="The service, as in the compose file.")
    file: File = Field(
        default_factory=list,
        description=(
            "Absolute path of the compose file, or a list of them; if not set, where the project's containers say "
            "that they were made from. Used only where no container of the service is left."
        ),
    )
    connection: Annotated[str | None, ConnectionOf("docker")] = Field(
        default=None, description="Name of the connection to the engine; that of the usual socket if not set."
    )


def resource(options: Options, service: Service, node: str) -> str:
    """The service on this node, whichever service or rule names it."""
    return f"compose:{options.project}/{options.service}@{node}"


async def start(options: Options, context: CheckContext) -> str:
    """Start what does not run, or create it where none is left, and wait until it is up. Raises RemediationError."""
    return await _act(options, context, _start)


async def stop(options: Options, context: CheckContext) -> str:
    """Stop all its containers and wait until they have ended. Raises RemediationError."""
    return await _act(options, context, _stop)


async def restart(options: Options, context: CheckContext) -> str:
    """Restart the sick containers, or all if none is sick, one by one; create them where none is left.

    Raises:
        RemediationError: one did not come back.
    """
    return await _act(options, context, _restart)


async def status(options: Options, context: CheckContext) -> ServiceStatus:
    """What the engine says of its containers together; UNKNOWN if nobody knows the service.

    Raises:
        CheckError: the engine cannot be asked.
    """
    async with engine_of(options.connection, context) as engine:
        infos = await _containers(engine, options)
        if not infos:
            labels = await _labels_seen(engine)
            if _may_create(options, labels):
                return ServiceStatus(state=ServiceState.STOPPED, detail="no container of it is left")
            return ServiceStatus(state=ServiceState.UNKNOWN, detail=_unknown(options, labels))
        down = [info for info in infos if state_of(info) is not ServiceState.RUNNING]
        by_operator = bool(down) and all([await is_left_stopped(engine, info) for info in down])
    states = {name_of(info): state_of(info) for info in infos}
    state, ended = worst_of(states), stopped_for(infos)
    return ServiceStatus(state=state, detail=_described(infos), by_operator=by_operator, stopped_for=ended)


class _Work:
    """One attempt: the service's containers as they were found, and what it has to be done with."""

    def __init__(self, options: Options, context: CheckContext, engine: Any, infos: Sequence[Info]) -> None:
        self.options = options
        self.context = context
        self.engine = engine
        self.infos = infos
        self.deadline = deadline_of(context)

    def container(self, info: Info) -> Container:
        return Container(self.engine, info, self.deadline)


async def _act(options: Options, context: CheckContext, verb: Callable[[_Work], Awaitable[str]]) -> str:
    try:
        async with engine_of(options.connection, context) as engine:
            infos = await _containers(engine, options)
            return await verb(_Work(options, context, engine, infos))
    except CheckError as error:
        raise RemediationError(str(error)) from error


async def _start(work: _Work) -> str:
    if not work.infos:
        return await _create(work)
    down = [info for info in work.infos if info["State"]["Status"] != "running"]
    if not down:
        return f"{_title(work.options)} runs already: {_described(work.infos)}"
    chosen, left = await _chosen(work, down)
    return await _one_by_one(work, "started", Container.start, chosen, goes_on=True) + left


async def _stop(work: _Work) -> str:
    if not work.infos:
        labels = await _labels_seen(work.engine)
        if not _may_create(work.options, labels):
            raise RemediationError(_unknown(work.options, labels), permanent=True)
        return f"{_title(work.options)} has no container to stop"
    return await _one_by_one(work, "stopped", Container.stop, work.infos, goes_on=True)


async def _restart(work: _Work) -> str:
    if not work.infos:
        return await _create(work)
    sick = [info for info in work.infos if is_sick(info)]
    chosen, left = await _chosen(work, sick or work.infos)
    return await _one_by_one(work, "restarted", Container.restart, chosen, goes_on=bool(sick)) + left


async def _chosen(work: _Work, infos: Sequence[Info]) -> tuple[Sequence[Info], str]:
    """Those that no person stopped, and what is said of the others; all, where a person stopped them all.

    Then heald was told to start them, or a person stopped them after it had asked: what the guards found counts.
    """
    left = [info for info in infos if await is_left_stopped(work.engine, info) and not _is_own_stop(info, work.context)]
    chosen = [info for info in infos if info not in left]
    if not left or not chosen:
        return infos, ""
    return chosen, f"; left alone, as a person stopped it: {', '.join(map(name_of, left))}"


def _is_own_stop(info: Info, context: CheckContext) -> bool:
    stopped_at = context.clock.steady() - (stopped_for([info]) or 0.0)
    return any(since <= stopped_at <= until for since, until in context.own_stops)


async def _one_by_one(
    work: _Work,
    done: str,
    verb: Callable[[Container], Awaitable[str]],
    infos: Sequence[Info],
    *,
    goes_on: bool,
) -> str:
    """Do it to each in turn. Where `goes_on`, one that fails keeps the others from nothing: they are down as well."""
    said: list[str] = []
    failed: list[RemediationError] = []
    for info in infos:
        try:
            now = await verb(work.container(info))
        except RemediationError as error:
            failed.append(error)
            if not goes_on:
                break
        else:
            said.append(f"{done} {name_of(info)}, now {now}; it was {described(info)}")
    if not failed:
        return f"{_title(work.options)}: {'; '.join(said)}"
    raise RemediationError(
        f"{len(said)} of {len(infos)} containers {done}; {'; '.join(map(str, failed))}",
        permanent=all(error.permanent for error in failed),
        details={"done": said, "failed": [dict(error.details) or str(error) for error in failed]},
    )


async def _create(work: _Work) -> str:
    labels = await _labels_seen(work.engine)
    options = work.options
    if not _may_create(options, labels):
        raise RemediationError(_unknown(options, labels), permanent=True)
    siblings = next((each for each in labels if each.get(PROJECT) == options.project), {})
    compose = Compose(work.context, url=work.engine.url, project=options.project, service=options.service)
    command = await compose.create(options.file, siblings, work.deadline)
    infos = await _containers(work.engine, options)
    if not infos:
        raise RemediationError(f"{command} left no container of {_title(options)}")
    said = await _one_by_one(work, "started", Container.start, infos, goes_on=True)  # they run: it only waits
    return f"created by {command}: {said}"


async def _containers(engine: Any, options: Options) -> Sequence[Info]:
    """The service's containers, in the order of their numbers."""
    found = await engine.containers(f"{PROJECT}={options.project}", f"{SERVICE}={options.service}")
    infos = [await engine.inspect(each["Id"]) for each in found if each["Labels"].get(_ONE_OFF) != "True"]
    return sorted((info for info in infos if info is not None), key=lambda info: (len(name_of(info)), name_of(info)))


async def _labels_seen(engine: Any) -> Sequence[Mapping[str, str]]:
    """The labels of all containers that compose made."""
    return [each["Labels"] for each in await engine.containers(PROJECT)]


def _may_create(options: Options, labels: Sequence[Mapping[str, str]]) -> bool:
    return bool(options.file) or any(each.get(PROJECT) == options.project for each in labels)


def _unknown(options: Options, labels: Sequence[Mapping[str, str]]) -> str:
    projects = sorted({each.get(PROJECT, "") for each in labels})
    sentence = "the Docker engine has no compose project " + options.project + meant(options.project, projects)
    return f"{sentence}; if all its containers were removed, set `file`"


def _title(options: Options) -> str:
    return f"service {options.service} of compose project {options.project}"


def _described(infos: Sequence[Info]) -> str:
    if len(infos) == 1:
        return described(infos[0])
    well = [info for info in infos if not is_sick(info)]
    others = [f"{name_of(info)} {described(info)}" for info in infos if is_sick(info)]
    return "; ".join([f"{len(well)} of {len(infos)} run", *others])
