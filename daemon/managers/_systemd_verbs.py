"""What is done to one unit: the order, its end, and what the unit is then, in words."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from daemon.plugin import OWN_SHARE, CheckContext, RemediationError

_STAYS = 0.5  # seconds that a service has to stay up after its start to be called started
_POLL = 0.1  # seconds between looks meanwhile
_BEFORE = 0.5  # seconds; a run's first line may be older than the time at which systemd noted its begin
_LINE_WITHIN = 2.0  # seconds for the last line of the journal, which is good to have and no more
_MOST_LINE = 300  # characters
_LIMITED = "it was started too often in too short a time (start limit)"
_DONE = {"start": "started", "stop": "stopped", "restart": "restarted", "reload": "reloaded"}
_UNUSABLE = {"not-found": "its file is gone", "masked": "it is masked", "bad-setting": "", "error": ""}
"""Why a unit in this LoadState cannot be started; empty: systemd says why."""
_ENDS = {
    "failed": "it failed",
    "timeout": "its order ran into a time-out (JobTimeoutSec=)",
    "canceled": "somebody else's order took its place",
    "dependency": "a unit that it needs failed",
    "skipped": "systemd skipped it, there was nothing to do for it",
    "assert": "an assertion of its unit file is not met",
    "invalid": "it cannot be done in its present state",
    "unsupported": "this system does not support that kind of unit",
    "collected": "systemd has dropped the unit",
    "once": "it runs only once, and has",
}
"""What became of an order, by systemd's word for it."""


class Verbs:
    """One unit while it is acted on. The verbs return what was done, in a sentence.

    They raise RemediationError, and CheckError where systemd cannot be asked.
    """

    def __init__(self, systemd: Any, unit: str, context: CheckContext) -> None:
        self._systemd = systemd
        self._name = unit
        self._context = context
        self._deadline = asyncio.get_running_loop().time() + context.timeout * OWN_SHARE

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Systemd remembers how it ended inside of this block, if we may have that."""
        kept: AbstractAsyncContextManager[None] = self._systemd.kept(self._name)
        return kept

    async def start(self) -> str:
        """Start it, and look that it stays up."""
        before = await self._look_for("start")
        return f"started {self._name}{await self._up('start', before)}"

    async def restart(self) -> str:
        """Restart or start it, and look that it stays up."""
        before = await self._look_for("restart")
        return f"restarted {self._name}{await self._up('restart', before)}; it was {before.described}"

    async def stop(self) -> str:
        """Stop it and wait until it has ended."""
        await self._look()
        end = await self._order("stop")
        after = await self._systemd.unit(self._name, within=self._left)
        if after.state not in ("inactive", "failed"):
            again = "it runs again" if end == "done" else _ENDS.get(end, end)
            raise RemediationError(f"{self._name} was not stopped: {again}, now {after.described}")
        return f"stopped {self._name}: {after.described}"

    async def reload(self) -> str:
        """Have it read its settings anew."""
        before = await self._look_for("reload")
        if not before.is_up:
            raise RemediationError(f"{self._name} cannot be reloaded: it is {before.described}")
        end = await self._order("reload")
        after = await self._look()
        if end != "done" or after.reload_result not in ("", "success") or not after.is_up:
            why = after.reload_result if after.reload_result not in ("", "success") else _ENDS.get(end, end)
            raise await self._error(f"{self._name} was not reloaded: {why}, now {after.described}", after)
        return f"reloaded {self._name}, now {after.described}"

    async def _up(self, verb: str, before: Any) -> str:
        """Start or restart it, and say what it is then. Where its start limit is in the way, that is reset, once."""
        why, after = await self._tried(verb, before)
        was_reset = why == _LIMITED
        if was_reset:
            await self._systemd.reset_failed(self._name, deadline=self._deadline)
            why, after = await self._tried(verb, after)
        reset = ", its start limit was reset first" if was_reset else ""
        if not why:
            return f"{_now(after)}{reset}"
        sentence = f"{self._name} was not {_DONE[verb]}: {why}, now {after.described}{reset}"
        raise await self._error(sentence, after, permanent=was_reset)

    async def _tried(self, verb: str, before: Any) -> tuple[str, Any]:
        """Why it is not up after the order, empty if it is; and what it is then."""
        end = await self._order(verb)
        first = await self._look()
        after = await self._settled(first) if end == "done" else first
        if after.is_up and end == "done":
            again = after.invocation != first.invocation
            return "it ended at once, and systemd started it again" if again else "", after
        if after.unmet:
            return f"{after.unmet} is not met", after
        # A unit that failed before keeps that result at its limit, but no new run of it has begun.
        has_no_run = end == "failed" and after.state == "failed" and after.invocation == before.invocation
        if after.result == "start-limit-hit" or has_no_run:
            return _LIMITED, after
        if end != "done":
            return _ENDS.get(end, end), after
        return "" if _has_run(after) else "it ended at once", after

    async def _order(self, verb: str) -> str:
        """What became of the order: `done`, or a word of `_ENDS`."""
        method = f"{verb.capitalize()}Unit"
        try:
            return str(await self._systemd.carry_out(method, self._name, deadline=self._deadline))
        except TimeoutError as error:
            unit = await self._systemd.unit(self._name, within=self._left)
            raise RemediationError(f"{self._name} is still {unit.described} when the time is up") from error

    async def _settled(self, unit: Any) -> Any:
        """What it is once it has stayed up for a moment, or has not: Type=simple is started before it runs."""
        loop = asyncio.get_running_loop()
        until = min(loop.time() + _STAYS, self._deadline)
        first = unit.invocation
        while unit.pid and unit.is_up and unit.invocation == first and loop.time() + _POLL <= until:
            await asyncio.sleep(_POLL)
            unit = await self._look()
        return unit

    async def _look(self) -> Any:
        """What it is. Raises RemediationError (permanent) for one that is unknown."""
        unit = await self._systemd.unit(self._name, within=self._left)
        if unit.is_unknown:
            raise RemediationError(f"systemd knows no unit {self._name}", permanent=True)
        return unit

    async def _look_for(self, verb: str) -> Any:
        """What it is, before a verb that needs its file. Raises RemediationError (permanent) if that cannot be used."""
        unit = await self._look()
        if unit.load_state in _UNUSABLE:
            why = _UNUSABLE[unit.load_state] or unit.load_error
            raise RemediationError(f"{self._name} cannot be {_DONE[verb]}: {why}", permanent=True)
        return unit

    @property
    def _left(self) -> float:
        """Seconds that a question may take; a little more than nothing where the time is up."""
        return max(self._deadline - asyncio.get_running_loop().time(), self._context.timeout * (1 - OWN_SHARE) / 2)

    async def _error(self, sentence: str, unit: Any, *, permanent: bool = False) -> RemediationError:
        line = await self._last_line(unit)
        details = {"state": unit.described, "result": unit.result, "exit_code": unit.exit_code, "last_line": line}
        return RemediationError(sentence + (f"; it said: {line}" if line else ""), permanent=permanent, details=details)

    async def _last_line(self, unit: Any) -> str:
        """The last line that this run of it wrote to the journal, if there is one that we may read."""
        if not unit.invocation.strip("0"):
            return ""
        asked = [f"_SYSTEMD_INVOCATION_ID={unit.invocation}"]
        if unit.began_at:  # a line whose process was gone before journald looked at it has the unit, and no invocation
            asked += ["+", f"_SYSTEMD_UNIT={self._name}", f"--since=@{unit.began_at / 1e6 - _BEFORE:.6f}"]
        asked += ["--reverse", "--lines=1", "--output=cat", "--quiet", "--no-pager"]
        try:
            done = await self._context.run(["journalctl", *asked], timeout=min(_LINE_WITHIN, self._left))
        except OSError:
            return ""
        return done.stdout.strip()[-_MOST_LINE:] if done.exit_code == 0 else ""


def _has_run(unit: Any) -> bool:
    """It is of a kind that is started to run to its end, and has."""
    return unit.service_type == "oneshot" and unit.state == "inactive" and unit.result == "success" and not unit.unmet


def _now(unit: Any) -> str:
    if unit.pid:
        return f", now pid {unit.pid}"
    return ", which ran to its end" if _has_run(unit) else f", now {unit.described}"
