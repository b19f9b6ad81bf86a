"""A Docker engine on this host, asked over its unix socket.

Engines of other hosts are not offered: what is started, stopped and limited belongs to this node. Whoever may write to
the socket is root on the host, so heald's user is put into the socket's group only where heald is to heal or watch
containers. Several containers are asked about at once, eight at most (64 where it is about CPU and memory).
An engine that is stopped, hangs or is not ours to use, and what is no engine, make blind what uses the connection.
Where there are several engines, the limits of a container are counted by its name alone: name no two alike.
"""

import asyncio
import contextlib
import errno
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from daemon.plugin import CheckContext, CheckError, Field, OptionsModel, RemediationError, translate

if TYPE_CHECKING:
    from aiodocker import Docker

EXAMPLE = """
connections:
  builds: {docker: {url: "unix:///run/builds/docker.sock"}}
checks:
  build_containers: {docker: {all: true, connection: builds}}
rules:
  build-down: {check: build_containers, when: up == 0, for: 5m}
"""
Info = dict[str, Any]
"""What the engine says of a container, as its API has it."""

_SCHEME = "unix://"
_ANSWER_WITHIN = 10.0  # seconds; an engine answers in milliseconds, or hangs
_OWN_SHARE = 0.9  # of the time for connecting: we say that it hangs before the daemon says that we did
_MOST_QUESTIONS = 8  # at once: a host may have hundreds of containers, and the engine has work of its own
_MOST_COUNTS = 64  # readings of counters at once: Docker 20.10 lets each wait for up to a second
_LAST_LINES = 10  # of a log that are read to find one that says something
_STOP_FOLLOWS_WITHIN = 5.0  # seconds after a container's end for which the engine may still have to say who stopped it
_SIGTERM = 128 + 15  # how a shell and Docker say that it ended a process
_CONNECTION_LOST = 900  # aiodocker's own status


def _url(value: str) -> str:
    path = value.removeprefix(_SCHEME)
    if not value.startswith(_SCHEME) or not path.startswith("/") or "\0" in path:
        raise ValueError(f"{value!r} is no unix socket; write one such as unix:///var/run/docker.sock")
    if len(path.encode()) > 107:
        raise ValueError(f"{path!r} is longer than the 107 bytes that a unix socket's path may have")
    return value


class Options(OptionsModel):
    """Where the engine listens."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        default="unix:///var/run/docker.sock",
        description="The engine's unix socket, unix:///PATH; other addresses are not offered.",
    )


class Engine:
    """A Docker engine. Whatever is asked of it raises CheckError if it cannot be asked.

    Names are given without the `/` that the API puts before them; an id does as well where one is known.
    """

    def __init__(self, url: str, client: "Docker") -> None:
        self.url = url
        self._client = client
        self._questions = asyncio.Semaphore(_MOST_QUESTIONS)
        self._counts = asyncio.Semaphore(_MOST_COUNTS)

    async def close(self) -> None:
        """Let its connections go."""
        await self._client.close()

    async def version(self) -> str:
        """The engine's own version."""
        async with self._asked():
            return str((await self._client.version())["Version"])

    async def containers(self, *labels: str) -> Sequence[Info]:
        """All containers, be they running or not, that have these labels (`KEY` or `KEY=VALUE`); in short."""
        async with self._asked():
            found = await self._client.containers.list(all=True, filters=json.dumps({"label": list(labels)}))
            infos = [container._container for container in found]
            for info in infos:
                _ = info["Id"], info["Names"], info["Labels"]  # what answers without them is no engine
            return infos

    async def inspect(self, name: str) -> Info | None:
        """All that is known of one container; None if there is none."""
        from aiodocker import DockerError

        async with self._asked():
            try:
                return _shaped(await self._client.containers.container(name).show())
            except DockerError as error:
                if error.status == 404:
                    return None
                raise

    async def usage(self, name: str) -> Info | None:
        """The counters of CPU and memory of one container, read now; None if there is none."""
        from aiodocker import DockerError

        # aiodocker's own `stats` knows no `one-shot`, without which the engine always takes a second or two.
        path, how = f"containers/{name}/stats", {"stream": False, "one-shot": True}
        async with self._asked(self._counts):
            try:
                found: Info = await self._client._query_json(path, params=how)
            except DockerError as error:
                if error.status in (404, 409):  # 409: it is being removed
                    return None
                raise
            return found

    async def last_line(self, name: str, since: float) -> str:
        """The last line that is not blank of what a container wrote since then (seconds of the wall clock).

        To stderr, or else to stdout: the engine reads them apart and may mix up their order. Empty if it wrote nothing,
        or if its logs go where the engine cannot read them.
        """
        from aiodocker import DockerError

        container = self._client.containers.container(name)
        # The engine wants fractions of a second with a fixed number of digits.
        how: dict[str, Any] = {"tail": _LAST_LINES, "since": f"{since:.9f}"}
        async with self._asked():
            try:
                lines = [*await container.log(stdout=True, **how), *await container.log(stderr=True, **how)]
            except DockerError as error:
                if error.status == _CONNECTION_LOST:
                    raise
                return ""
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")

    async def was_stopped(self, info: Info) -> bool:
        """Whether somebody told the engine to stop a container since its start, as its events say.

        The engine keeps its newest 256 events, and none across its own restart; where they do not even know of its end,
        or that is only just over, as `stop` comes after `die`, a SIGTERM has to be taken for it.
        """
        began = datetime.fromisoformat(info["State"]["StartedAt"]).timestamp()
        how = {
            "since": f"{began:.9f}",
            "until": f"{time.time():.9f}",
            "filters": json.dumps({"container": [info["Id"]], "event": ["stop", "die"]}),
        }
        async with self._asked(), self._client._query("events", params=how) as response:
            events = [json.loads(line) for line in (await response.text()).splitlines() if line.strip()]
        if any(event.get("Action") == "stop" for event in events):
            return True
        ended = datetime.fromisoformat(info["State"]["FinishedAt"]).timestamp()
        is_known = bool(events) and time.time() - ended > _STOP_FOLLOWS_WITHIN
        return not is_known and info["State"]["ExitCode"] == _SIGTERM and not info["State"]["OOMKilled"]

    async def order(self, verb: str, name: str, within: float) -> None:
        """Tell it to `start`, `stop`, `restart` or `unpause` a container; a stop is waited for.

        Raises:
            RemediationError: it refuses, or is not done within this many seconds.
        """
        from aiodocker import DockerError

        container = self._client.containers.container(name)
        async with _translated(self.url, within):
            try:
                async with asyncio.timeout(max(0.0, within)):
                    await getattr(container, verb)()
            except TimeoutError as error:
                raise RemediationError(f"the engine did not {verb} it within {within:.1f}s") from error
            except DockerError as error:
                if error.status == _CONNECTION_LOST:
                    raise
                # 400: its command is not there or cannot be run. 404: the container is not there.
                raise RemediationError(error.message, permanent=error.status in (400, 404)) from error

    @contextlib.asynccontextmanager
    async def _asked(self, places: asyncio.Semaphore | None = None) -> AsyncIterator[None]:
        async with _translated(self.url, _ANSWER_WITHIN), asyncio.timeout(_ANSWER_WITHIN), places or self._questions:
            yield


def _shaped(info: Info) -> Info:
    """A container that has what we read of every one. Raises LookupError, TypeError or ValueError."""
    state = info["State"]
    _ = info["Id"], info["Name"], state["Status"], state["Running"], state["OOMKilled"], state["Error"]
    _ = int(state["ExitCode"]), int(info["RestartCount"]), datetime.fromisoformat(state["StartedAt"])
    return info


async def connect(options: Options, context: CheckContext) -> Engine:
    """An engine that has answered.

    Raises:
        CheckError: the socket is missing, is not ours to use, nobody listens at it, or nobody answers.
    """
    try:
        import aiohttp
        from aiodocker import Docker
    except ImportError as error:
        raise CheckError(f"a Docker engine cannot be asked without {error.name}: install heald[docker]") from error
    engine = Engine(options.url, Docker(options.url, timeout=aiohttp.ClientTimeout(total=None)))
    within = min(_ANSWER_WITHIN, context.timeout * _OWN_SHARE)
    try:
        async with _translated(options.url, within), asyncio.timeout(within):
            await engine.version()
    except BaseException:
        await engine.close()
        raise
    return engine


async def close(client: Engine) -> None:
    """Let an engine go."""
    await client.close()


@contextlib.asynccontextmanager
async def _translated(url: str, within: float) -> AsyncIterator[None]:
    """Turns what may go wrong on the way to the engine into a CheckError."""
    import aiohttp
    from aiodocker import DockerError

    try:
        yield
    except TimeoutError as error:
        raise CheckError(f"the Docker engine at {url} did not answer within {within:.1f}s") from error
    except DockerError as error:
        if error.status == _CONNECTION_LOST:
            raise CheckError(_unreachable(url, error.__context__)) from error
        raise CheckError(f"the Docker engine at {url} refuses: {error.message}") from error
    except aiohttp.ClientResponseError as error:  # no HTTP
        raise CheckError(f"what answers at {url} is no Docker engine: {error.message.splitlines()[0]}") from error
    except aiohttp.ClientError as error:
        raise CheckError(_unreachable(url, error)) from error
    except (ValueError, LookupError, TypeError) as error:  # not JSON, or not in the API's shape
        raise CheckError(f"what answers at {url} is no Docker engine: {error}") from error


def _unreachable(url: str, error: BaseException | None) -> str:
    """Why the engine cannot be reached, in a sentence; aiodocker keeps the reason as the context of its own error."""
    reason = getattr(error, "os_error", error)
    number = reason.errno if isinstance(reason, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no socket {url}: no Docker engine is installed, it is stopped, or it listens elsewhere"
    if number == errno.ECONNREFUSED:
        return f"nobody listens at {url}: the Docker engine is stopped"
    if number in (errno.EACCES, errno.EPERM):
        return f"heald may not use {url}: its user is not in the group of the socket"
    if isinstance(reason, OSError) and number is not None:
        return str(translate(reason, url))
    return f"the Docker engine at {url} hung up: {error or 'no reason given'}"
