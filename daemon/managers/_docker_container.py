"""One container: what it is, in words, and how it is started and stopped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from daemon.plugin import CheckContext, CheckError, RemediationError, ServiceState, format_duration

Info = dict[str, Any]
"""What the engine says of a container (inspect)."""

_OWN_SHARE = 0.9  # of the given time: we ask what is still going on, and say it, before the daemon ends us
_SILENT_SHARE = 0.97  # of it, after which an engine that does not even say that is left
_POLL = 0.1  # seconds between looks at a container that is coming up
_STAYS_UP = 1.0  # seconds that a container without a HEALTHCHECK has to run before it counts as started
_MOST_RESTARTS = 3  # by the engine itself, after which a container that does not stay up is given up
_SIGTERM = 128 + 15  # exit code of a program that was asked to end
_WORDS = {
    "created": ServiceState.STOPPED,
    "running": ServiceState.RUNNING,
    "paused": ServiceState.STOPPED,  # somebody paused it: the engine never does by itself
    "restarting": ServiceState.BUSY,
    "removing": ServiceState.BUSY,
    "dead": ServiceState.FAILED,  # the engine could not remove it
}
_WORST_FIRST = (ServiceState.BUSY, ServiceState.FAILED, ServiceState.STOPPED, ServiceState.UNKNOWN)


@contextlib.asynccontextmanager
async def engine_of(connection: str | None, context: CheckContext) -> AsyncIterator[Any]:
    """The engine, for as long as there is time. Raises CheckError if it cannot be asked, or says nothing till then."""
    within = context.timeout * _SILENT_SHARE
    try:
        async with asyncio.timeout(within), context.connection("docker", connection) as engine:
            yield engine
    except TimeoutError as error:
        raise CheckError(f"the Docker engine did not answer within {within:.1f}s") from error


def deadline_of(context: CheckContext) -> float:
    """When we say what is still going on, by the loop's clock."""
    return asyncio.get_running_loop().time() + context.timeout * _OWN_SHARE


class Container:
    """One container while it is acted on. Its verbs wait, and return what it is afterwards.

    They raise RemediationError, and CheckError where the engine cannot be asked.
    """

    def __init__(self, engine: Any, info: Info, deadline: float) -> None:
        self._engine = engine  # daemon.connections.docker.Engine
        self._info = info
        self._id = str(info["Id"])
        self._deadline = deadline  # by the loop's clock
        self._ordered_at = 0.0  # by the wall clock; a quick program writes before the engine's own StartedAt
        self.name = name_of(info)

    async def start(self) -> str:
        """Start it unless it runs, and wait until it is up; a paused one goes on."""
        await self._order("unpause" if self._info["State"]["Status"] == "paused" else "start")
        return described(await self._is_up())

    async def restart(self) -> str:
        """Stop it if it runs, start it, and wait until it is up."""
        await self._order("restart")
        return described(await self._is_up())

    async def stop(self) -> str:
        """Stop it and wait until it has ended."""
        await self._order("stop")
        info = await self._look()
        if info["State"]["Running"]:
            raise RemediationError(f"container {self.name} did not stop: it is {described(info)}")
        return described(info)

    async def _order(self, verb: str) -> None:
        self._ordered_at = datetime.now(UTC).timestamp()
        try:
            await self._engine.order(verb, self._id, self._deadline - asyncio.get_running_loop().time())
        except RemediationError as error:
            sentence = f"cannot {verb} container {self.name}: {error}"
            raise RemediationError(sentence, permanent=error.permanent) from error

    async def _look(self) -> Info:
        info: Info | None = await self._engine.inspect(self._id)
        if info is None:
            raise RemediationError(f"container {self.name} was removed by somebody meanwhile")
        return info

    async def _is_up(self) -> Info:
        """Wait until it is healthy, or has run for a while if it has no HEALTHCHECK."""
        loop = asyncio.get_running_loop()
        info = await self._look()
        began = info["State"]["StartedAt"]
        seen_since = loop.time()
        while True:
            if info["State"]["StartedAt"] != began:
                began, seen_since = info["State"]["StartedAt"], loop.time()
            has_stayed = loop.time() - seen_since >= _STAYS_UP
            if _runs(info) and (health_of(info) == "healthy" or (health_of(info) == "none" and has_stayed)):
                return info
            if _is_given_up(info):
                raise await self._failed(info, "did not come up")
            if loop.time() + _POLL > self._deadline:
                raise await self._failed(info, "is not up when the time is up")
            await asyncio.sleep(_POLL)
            info = await self._look()

    async def _failed(self, info: Info, what: str) -> RemediationError:
        state = info["State"]
        said = await self._engine.last_line(self._id, self._ordered_at)
        said = said or health_output(info)
        return RemediationError(
            f"container {self.name} {what}: it is {described(info)}" + (f"; it said: {said}" if said else ""),
            details={
                "container": self.name,
                "state": state["Status"],
                "health": health_of(info),
                "exit_code": state["ExitCode"],
                "oom_killed": state["OOMKilled"],
                "restarts": info["RestartCount"],
                "said": said,
            },
        )


def name_of(info: Info) -> str:
    """Its name, without the `/` that the API puts before it."""
    return str(info["Name"]).removeprefix("/")


def health_of(info: Info) -> str:
    """Docker's word: healthy, unhealthy, starting, or none without a HEALTHCHECK."""
    return str((info["State"].get("Health") or {}).get("Status") or "none")


def health_output(info: Info) -> str:
    """The last line of what the newest HEALTHCHECK wrote that failed."""
    runs = (info["State"].get("Health") or {}).get("Log") or []
    lines = str(runs[-1]["Output"]).splitlines() if runs and runs[-1]["ExitCode"] else []
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def is_sick(info: Info) -> bool:
    """Whether it is not running, or unhealthy. One that is starting is neither."""
    return not _runs(info) or health_of(info) == "unhealthy"


def state_of(info: Info) -> ServiceState:
    """What it is for heald; only running, starting and unhealthy ones run."""
    state = info["State"]
    if state["Status"] == "running":
        return ServiceState.BUSY if health_of(info) == "starting" else ServiceState.RUNNING
    if state["Status"] == "exited" or (state["Status"] == "created" and state["ExitCode"]):
        asked = state["ExitCode"] in (0, _SIGTERM) and not state["OOMKilled"]
        return ServiceState.STOPPED if asked else ServiceState.FAILED
    return _WORDS.get(state["Status"], ServiceState.UNKNOWN)


async def is_left_stopped(engine: Any, info: Info) -> bool:
    """Whether it is down because a person stopped it, not because it ended."""
    return info["State"]["Status"] == "exited" and bool(await engine.was_stopped(info))


def stopped_for(infos: Iterable[Info]) -> float | None:
    """Seconds since the last of them came to its end; None if none did."""
    ends = [_seconds(info["State"]["FinishedAt"]) for info in infos if info["State"]["Status"] == "exited"]
    return max(0.0, datetime.now(UTC).timestamp() - max(ends)) if ends else None


def worst_of(states: Mapping[str, ServiceState]) -> ServiceState:
    """What several are together: acting while one of them is busy would be too many at it."""
    return next((state for state in _WORST_FIRST if state in states.values()), ServiceState.RUNNING)


def described(info: Info) -> str:
    """`running for 3h, healthy`, `exited with exit code 1`, `paused`."""
    state = info["State"]
    word = str(state["Status"])
    if word == "running":
        health = health_of(info)
        since = max(0.0, datetime.now(UTC).timestamp() - _seconds(state["StartedAt"]))
        return f"running for {format_duration(round(since))}" + (f", {health}" if health != "none" else "")
    if word in ("exited", "restarting", "dead") or state["ExitCode"]:
        killed = ", killed for want of memory" if state["OOMKilled"] else ""
        why = f": {state['Error'][:300]}" if state["Error"] else ""
        return f"{word} with exit code {state['ExitCode']}{killed}{why}"
    return word


def _runs(info: Info) -> bool:
    return bool(info["State"]["Status"] == "running")


def _is_given_up(info: Info) -> bool:
    """Whether it is no use to wait any longer."""
    if info["State"]["Status"] in ("exited", "dead", "created", "removing", "paused"):
        return True
    return health_of(info) == "unhealthy" or info["RestartCount"] >= _MOST_RESTARTS


def _seconds(text: str) -> float:
    """A time of the API, in seconds of the wall clock; it has nanoseconds, which Python 3.11 cuts."""
    return datetime.fromisoformat(text).timestamp()
