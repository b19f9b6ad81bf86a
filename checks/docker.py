"""Containers of a Docker engine on this host: what they are, how they fare, what they use.

The subject is the container's name, for compose that is `PROJECT-SERVICE-1`. `up` is 1 while a container runs and is
not unhealthy; one whose HEALTHCHECK has not answered yet is up, as Docker does not count against it either. `up` is 0
with `error` not_found, created, exited, oom_killed, restarting, paused, removing, dead or unhealthy.

What the options name always has a reading. A container in `containers` that is not there is `not_found`; so is
`PROJECT-SERVICE-1` for each of `services` that has no container at all, and without `services` a subject named as the
project if that has none. Other containers come and go with the engine: one that was removed has no reading any more.
Name a service with `container_name` in the compose file in `containers`: its subject would change otherwise. A
container that did its work and ended, as for a migration, is `exited` too: leave it out by `without`.

We are blind, and the run is UNKNOWN, where the engine cannot be asked: there is no socket, nobody listens at it, it is
not ours to use, or the engine does not answer in time. heald's user has to be in the group of the engine's socket,
which is as much as being root on the host.
"""

import asyncio
import contextlib
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import model_validator

from checks._container import is_missing, judge, name_of, read_usage
from daemon.plugin import (
    OWN_SHARE,
    CheckContext,
    CheckError,
    ConnectionOf,
    Dimension,
    Field,
    OptionsModel,
    Reading,
    Sample,
    sample,
)

EXAMPLE = """
services:
  api: {run_by: {compose: {project: shop, service: api}}}
checks:
  shop_containers: {docker: {project: shop, without: [shop-migrate-1]}, every: 15s}
  api_container: {service: api, docker: {project: shop, services: [api]}, every: 15s}
rules:
  container-down: {check: shop_containers, when: up == 0, for: 1m}
  api-down: {check: api_container, when: up == 0, for: 1m, steps: [restart: {}]}
"""
DISCOVERS = True
SAMPLES = (
    sample("up", Dimension.NONE, "1 if the container runs and is not unhealthy, else 0."),
    sample(
        "error",
        Dimension.STRING,
        "Why up is 0: not_found, created, exited, oom_killed, restarting, paused, removing, dead or unhealthy; "
        "else empty.",
    ),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample(
        "state",
        Dimension.STRING,
        "Docker's word: created, running, paused, restarting, removing, exited or dead; not_found if there is none.",
    ),
    sample("health", Dimension.STRING, "Of its HEALTHCHECK: healthy, unhealthy, starting; none without one."),
    sample(
        "restarts", Dimension.NONE, "Restarts by the engine since somebody started it: delta(restarts, 10m) counts."
    ),
    sample(
        "oom_killed",
        Dimension.BOOLEAN,
        "Whether the kernel ended something in it for want of memory since its start.",
    ),
    sample("exit_code", Dimension.NONE, "Exit code of its last end; missing while it runs or before it ever ran."),
    sample("running_seconds", Dimension.SECONDS, "Since its start; missing while it does not run."),
    sample(
        "missing_environment",
        Dimension.STRING,
        "Names in `environment` that are not set in it, or are empty, joined by commas; empty if all are set.",
    ),
    sample("memory_limit_bytes", Dimension.BYTES, "Most memory it may use; missing where it has no limit."),
    sample("memory_bytes", Dimension.BYTES, "Memory it uses, without files that the kernel may drop; with `stats`."),
    sample("memory_percent", Dimension.PERCENT, "Memory in use, of its limit; with `stats`, where it has a limit."),
    sample(
        "cpu_percent",
        Dimension.PERCENT,
        "CPU use for 200ms or 1s, with `stats`; 100% is one core. Average it over time: avg(cpu_percent, 5m).",
    ),
    sample("cpu_seconds", Dimension.SECONDS, "CPU time used since its start, a counter for rate(); with `stats`."),
    sample("latency_seconds", Dimension.SECONDS, "How long the engine took to tell about it."),
)

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"  # a container of `docker compose run`: nobody's service
_STATS_SHARE = 0.8  # of it, in which CPU and memory may be told; what is late is missing
_MEASURE = 0.2  # seconds over which CPU use is measured; more would hold the run, less measures noise

Name = Annotated[str, Field(min_length=1)]
Container = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Options(OptionsModel):
    """Which containers: exactly one of containers, project, label and all."""

    containers: list[Container] = Field(
        default_factory=list, description="Names of containers, as `docker ps` shows them under NAMES."
    )
    project: str | None = Field(default=None, min_length=1, description="All containers of this compose project.")
    services: list[Name] = Field(
        default_factory=list, description="With `project`: of these services only, each of which has a reading."
    )
    label: str | None = Field(
        default=None, min_length=1, description="All containers with this label, written KEY or KEY=VALUE."
    )
    all: bool = Field(default=False, description="All containers of the engine, running or not.")
    without: list[Name] = Field(
        default_factory=list,
        description="Containers to leave out, by name or by compose service; not with `containers`.",
    )
    environment: list[Name] = Field(
        default_factory=list,
        description="Variables that have to be set in each container, by name; values are never shown.",
    )
    stats: bool = Field(
        default=False,
        description=(
            "Whether to measure CPU and memory too: 200ms for all, or up to 2s where the engine counts once a second "
            "(Docker 20.10 does). What is not told within 80% of the check's time-out is missing."
        ),
    )
    connection: Annotated[str | None, ConnectionOf("docker")] = Field(
        default=None, description="Name of the connection to the engine; that of the usual socket if not set."
    )

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        given = [name for name in ("containers", "project", "label", "all") if getattr(self, name)]
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "none is given"
            raise ValueError(f"{found}; write exactly one of containers, project, label and all: true")
        if self.services and self.project is None:
            raise ValueError("services are given without their project; write project too")
        if self.without and self.containers:
            raise ValueError("without is given with containers; leave them out of containers instead")
        if len(set(self.containers)) != len(self.containers):
            raise ValueError("containers names one twice")
        return self


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask the engine about each container.

    Raises:
        CheckError: the engine cannot be asked.
    """
    within = context.timeout * OWN_SHARE
    look = _Look(options, context, until=asyncio.get_running_loop().time() + context.timeout * _STATS_SHARE)
    try:
        async with asyncio.timeout(within), context.connection("docker", options.connection) as engine:
            return await look.at(engine)
    except TimeoutError as error:
        raise CheckError(f"the Docker engine did not tell about all containers within {within:.1f}s") from error


@dataclass(frozen=True, slots=True)
class _Look:
    """One run."""

    options: Options
    context: CheckContext
    until: float  # when CPU and memory have to be told, by the loop's clock

    async def at(self, engine: Any) -> Sequence[Reading]:
        """All readings."""
        if self.options.containers:
            return await _all(self._read(engine, name) for name in self.options.containers)
        listed = await _discovered(engine, self.options)
        readings = await _all(self._read(engine, name) for name in listed)
        seen = {listed[reading.subject] for reading in readings}
        return [*readings, *_gone(self.options, seen)]

    async def _read(self, engine: Any, name: str) -> Reading | None:
        """One container; None if it went while we looked."""
        began = self.context.clock.steady()
        info = await engine.inspect(name)
        took = self.context.clock.steady() - began
        if info is None or name_of(info) != name:  # the engine also takes the beginning of an id for a name
            return is_missing(name, f"there is no container {name}") if self.options.containers else None
        samples = judge(info, self.context.clock.now().timestamp()) | {"latency_seconds": took}
        if self.options.environment:
            samples["missing_environment"] = ",".join(_unset(info, self.options.environment))
        if self.options.stats and samples["state"] == "running":
            samples |= await _measure(engine, name, info, self.until)
        return Reading(subject=name, samples=samples)


async def _discovered(engine: Any, options: Options) -> Mapping[str, str]:
    """The compose service, which may be empty, of each container that is meant, by its name."""
    labels = [options.label] if options.label else []
    if options.project is not None:
        labels = [f"{_PROJECT}={options.project}"]
    found = {}
    for each in await engine.containers(*labels):
        own = each["Labels"] or {}
        service = own.get(_SERVICE, "")
        if options.project is not None and own.get(_ONE_OFF) == "True":
            continue
        if not each["Names"] or (options.services and service not in options.services):
            continue
        # A container that others link to has their names for it too, each with a second `/`.
        name = next((name[1:] for name in each["Names"] if "/" not in name[1:]), each["Names"][0][1:])
        if name not in options.without and service not in options.without:
            found[name] = service
    return dict(sorted(found.items()))


def _gone(options: Options, seen: Collection[str]) -> Sequence[Reading]:
    """What stands for a project or a service that is named and has no container."""
    if options.services:
        return [
            # As compose will call its first.
            is_missing(f"{options.project}-{name}-1", f"service {name} of project {options.project} has no container")
            for name in options.services
            if name not in seen
        ]
    if options.project is not None and not seen:
        return [is_missing(options.project, f"compose project {options.project} has no container")]
    return []


def _unset(info: Mapping[str, Any], names: Sequence[str]) -> Sequence[str]:
    given = (info.get("Config") or {}).get("Env") or []
    is_set = {name for name, _, value in (each.partition("=") for each in given) if value}
    return [name for name in names if name not in is_set]


async def _measure(engine: Any, name: str, info: Mapping[str, Any], until: float) -> dict[str, Sample]:
    """What it uses, as far as the engine tells by then (the loop's clock)."""
    seen = []
    with contextlib.suppress(TimeoutError):  # that it is slow to count is no reason to know nothing of the container
        async with asyncio.timeout_at(until):
            seen.append(await engine.usage(name))
            await asyncio.sleep(_MEASURE)
            seen.append(await engine.usage(name))
    limit = float((info.get("HostConfig") or {}).get("Memory") or 0)
    return read_usage([usage for usage in seen if usage is not None], limit)


async def _all(readings: Iterable[Coroutine[Any, Any, Reading | None]]) -> Sequence[Reading]:
    """All of them, each asked to its end: the first error is told, and none is left behind."""
    done = await asyncio.gather(*readings, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if isinstance(each, Reading)]
