"""One supervisor program, or all of a group: what it is, in words, and how it is started and stopped."""

import asyncio
from collections.abc import Sequence
from typing import Any

from daemon.managers._supervisor_rpc import (
    ALREADY_STARTED,
    BAD_NAME,
    NOT_RUNNING,
    SPAWN_ERROR,
    SUCCESS,
    FaultError,
    Supervisord,
    UnreachableError,
)
from daemon.plugin import RemediationError, ServiceState, format_duration

STATES = {
    "RUNNING": ServiceState.RUNNING,
    "STOPPED": ServiceState.STOPPED,
    "EXITED": ServiceState.FAILED,
    "FATAL": ServiceState.FAILED,
    "STARTING": ServiceState.BUSY,
    "BACKOFF": ServiceState.BUSY,
    "STOPPING": ServiceState.BUSY,
}
"""supervisord's states; any other one is UNKNOWN."""
Info = dict[str, Any]
"""What supervisord says of one process (getProcessInfo)."""

_POLL = 0.1  # seconds between looks at a program that is starting or stopping
_MOST_LOG = 4000  # bytes of a program's log that are kept
_MOST_LOGS = 3  # processes of a group whose logs are read


class Program:
    """One program, or all of a group, while it is acted on. Its verbs return what was done, in a sentence.

    They raise RemediationError, and what `Supervisord.call` raises.
    """

    def __init__(self, supervisord: Supervisord, program: str, deadline: float) -> None:
        self._supervisord = supervisord
        self._program = program
        self._deadline = deadline  # by the loop's clock

    async def start(self) -> str:
        """Start it and wait until it runs."""
        return f"started supervisor program {self._program}, {_pids(await self._start())}"

    async def stop(self) -> str:
        """Stop it and wait until it has ended."""
        infos = await self._stop()
        if any(info["statename"] == "RUNNING" for info in infos):
            raise RemediationError(f"supervisor program {self._program} did not stop: {described(infos)}")
        return f"stopped supervisor program {self._program}: {described(infos)}"

    async def restart(self) -> str:
        """Stop it if it runs, start it, and wait until it runs."""
        before = described(await look(self._supervisord, self._program))
        await self._stop()
        infos = await self._start()
        return f"restarted supervisor program {self._program}, {_pids(infos)}; it was {before}"

    async def _stop(self) -> Sequence[Info]:
        await self._order("stop")
        return await self._settled()

    async def _start(self) -> Sequence[Info]:
        names = [full_name(info) for info in await look(self._supervisord, self._program)]
        sizes = {name: await self._log_sizes(name) for name in names}
        await self._order("start")
        infos = await self._settled()
        failed = [info for info in infos if info["statename"] != "RUNNING"]
        if not failed:
            return infos
        logs = {name: await self._log_since(name, sizes[name]) for name in map(full_name, failed[:_MOST_LOGS])}
        last = next((line.strip() for log in logs.values() for line in reversed(log.splitlines()) if line.strip()), "")
        raise RemediationError(
            f"supervisor program {self._program} did not start: {described(failed)}"
            + (f"; it said: {last[:300]}" if last else ""),
            details={"states": {full_name(info): described([info]) for info in infos}, "output": logs},
        )

    async def _order(self, verb: str) -> None:
        """Tell supervisord to start or stop what is not yet so."""
        group, _, name = self._program.partition(":")
        if name == "*":
            for each in await self._supervisord.call(f"{verb}ProcessGroup", group, False):
                self._accept(each["status"], each["description"])
            return
        try:
            await self._supervisord.call(f"{verb}Process", self._program, False)
        except FaultError as fault:
            self._accept(fault.code, str(fault))

    def _accept(self, code: int, text: str) -> None:
        # After SPAWN_ERROR supervisord tries again by itself, and what comes of that is what counts.
        if code not in (SUCCESS, ALREADY_STARTED, NOT_RUNNING, SPAWN_ERROR):
            raise FaultError(code, text)

    async def _settled(self) -> Sequence[Info]:
        """What the program is once supervisord is not acting on it any more."""
        loop = asyncio.get_running_loop()
        while True:
            infos = await look(self._supervisord, self._program)
            if all(STATES.get(info["statename"]) != ServiceState.BUSY for info in infos):
                return infos
            if loop.time() + _POLL > self._deadline:
                sentence = f"supervisor program {self._program} is still {described(infos)} when the time is up"
                raise RemediationError(sentence)
            await asyncio.sleep(_POLL)

    async def _log_sizes(self, name: str) -> dict[str, int]:
        return {
            channel: int((await self._supervisord.call(f"tailProcess{channel}Log", name, 0, 0))[1])
            for channel in ("Stderr", "Stdout")
        }

    async def _log_since(self, name: str, sizes: dict[str, int]) -> str:
        """The end of what the program has written since then: to stderr, or else to stdout."""
        try:
            for channel, now in (await self._log_sizes(name)).items():
                start = max(sizes[channel] if sizes[channel] <= now else 0, now - _MOST_LOG)
                if now > start:
                    text = str(await self._supervisord.call(f"readProcess{channel}Log", name, start, now - start))
                    if text.strip():
                        return text
        except (FaultError, UnreachableError) as error:  # e.g. HTTP status 500: the log is no UTF-8
            return f"(its log cannot be read: {error})"
        return ""


async def look(supervisord: Supervisord, program: str) -> Sequence[Info]:
    """What supervisord says of each process of the program. Raises FaultError BAD_NAME if there is none."""
    group, _, name = program.partition(":")
    if name != "*":
        return [await supervisord.call("getProcessInfo", program)]
    infos = [info for info in await supervisord.call("getAllProcessInfo") if info["group"] == group]
    if not infos:
        raise FaultError(BAD_NAME, program)
    return infos


def full_name(info: Info) -> str:
    """As supervisorctl writes it: NAME, or GROUP:NAME."""
    return str(info["name"]) if info["name"] == info["group"] else f"{info['group']}:{info['name']}"


def described(infos: Sequence[Info]) -> str:
    """`RUNNING for 3h`, or `2 of 3 RUNNING; worker:worker_02 FATAL: ...`."""
    if len(infos) == 1:
        return _state(infos[0])
    running = sum(info["statename"] == "RUNNING" for info in infos)
    others = [f"{full_name(info)} {_state(info)}" for info in infos if info["statename"] != "RUNNING"]
    return "; ".join([f"{running} of {len(infos)} RUNNING", *others])


def _state(info: Info) -> str:
    state = str(info["statename"])
    if state == "RUNNING":
        return f"RUNNING for {format_duration(max(0, info['now'] - info['start']))}"
    if state == "EXITED":
        return f"EXITED with exit code {info['exitstatus']}"
    return f"{state}: {info['spawnerr']}" if info["spawnerr"] else state


def _pids(infos: Sequence[Info]) -> str:
    return "now pid " + ", ".join(str(info["pid"]) for info in infos)
