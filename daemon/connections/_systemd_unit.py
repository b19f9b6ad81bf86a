"""What systemd says of one unit, as numbers and in words."""

import math
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from daemon.plugin import format_duration

_UNSET = 2**64 - 1  # systemd's word for a number that it does not have
_EXITED = 1  # CLD_EXITED; the other ways to end are signals
_RESTARTS_WITHIN = 1.0  # seconds for which a failure may be the moment before systemd's own restart
_UP = ("active", "reloading", "refreshing")
_MEANINGS = {
    "exit-code": "it exited",
    "signal": "it was killed",
    "core-dump": "it crashed",
    "oom-kill": "it was killed for want of memory",
    "timeout": "it ran into a time-out",
    "watchdog": "it did not feed its watchdog",
    "start-limit-hit": "it was started too often in too short a time",
    "resources": "systemd could not give it what it needs",
    "protocol": "it did not say what its Type= promises",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A unit at one moment. What its kind of unit does not have is None or empty."""

    name: str
    load_state: str  # loaded, not-found, masked, bad-setting, error
    load_error: str
    state: str  # ActiveState: active, inactive, failed, activating, deactivating, reloading, ...
    sub_state: str
    service_type: str  # Type=: simple, oneshot, ...
    result: str  # success, or how it failed
    exit_code: int | None  # of its last main process, if that exited by itself
    signal: int | None  # that killed its last main process
    restarts: int | None  # by systemd itself, since it was last started by somebody else
    restart_policy: str  # Restart=
    memory_bytes: int | None
    active_seconds: float | None  # since it became active, while it is
    changed_seconds: float  # since its state last changed; infinite where systemd forgot it meanwhile
    pid: int  # of its main process, 0 without one
    began_at: int  # its last main process, in microseconds since 1970; 0 without one
    invocation: str  # this run's id, in hexadecimal; its journal lines have it
    unit_file_state: str  # enabled, disabled, static, ...
    reload_result: str
    unmet: str  # the condition that kept it from its last start, as a unit file writes it
    is_pending: bool  # somebody's order to start, stop, restart or reload it has not ended

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> Self:
        """From its properties on the bus."""
        now = time.monotonic()  # the clock of systemd's own times
        exited = values.get("ExecMainCode", 0) == _EXITED
        state = values["ActiveState"]
        since = values["ActiveEnterTimestampMonotonic"]
        changed = values["StateChangeTimestampMonotonic"]
        memory = values.get("MemoryCurrent", _UNSET)
        status = values.get("ExecMainStatus", 0)
        return cls(
            name=name,
            load_state=values["LoadState"],
            load_error=values["LoadError"][1],
            state=state,
            sub_state=values["SubState"],
            service_type=values.get("Type", "") if name.endswith(".service") else "",
            result=values.get("Result", ""),
            exit_code=status if exited else None,
            signal=status if values.get("ExecMainCode", 0) and not exited else None,
            restarts=values.get("NRestarts"),
            restart_policy=values.get("Restart", "no"),
            memory_bytes=None if memory == _UNSET else memory,
            active_seconds=max(0.0, now - since / 1e6) if state in _UP and since else None,
            changed_seconds=max(0.0, now - changed / 1e6) if changed else math.inf,
            pid=values.get("MainPID", 0),
            began_at=values.get("ExecMainStartTimestamp", 0),
            invocation=bytes(values["InvocationID"]).hex(),
            unit_file_state=values["UnitFileState"],
            reload_result=values.get("ReloadResult", ""),
            unmet=_unmet(values),
            is_pending=values["Job"][0] != 0,
        )

    @property
    def is_up(self) -> bool:
        """It does its work."""
        return self.state in _UP

    @property
    def is_unknown(self) -> bool:
        """systemd knows no such unit, and none of that name runs or has failed since its file was removed."""
        return self.load_state == "not-found" and self.state == "inactive"

    @property
    def is_restarting(self) -> bool:
        """systemd waits until it restarts it by itself."""
        return "auto-restart" in self.sub_state

    @property
    def may_restart(self) -> bool:
        """It failed this moment, and systemd may be about to restart it: not a fact to act on."""
        return (
            self.state == "failed"
            and self.restart_policy != "no"
            and self.result != "start-limit-hit"
            and self.changed_seconds < _RESTARTS_WITHIN
        )

    @property
    def ending(self) -> str:
        """How it ended, in words; empty if it ended well or has not."""
        if self.result in ("", "success"):
            return ""
        how = _MEANINGS.get(self.result, "")
        what = [how] if how else []
        if self.exit_code and self.result != "start-limit-hit":
            what.append(f"exit code {self.exit_code}")
        if self.signal:
            what.append(_signal_name(self.signal))
        return f"{self.result} ({', '.join(what)})" if what else self.result

    @property
    def described(self) -> str:
        """Its state in words: `active (running) for 3h`, `failed: exit-code (it exited, exit code 3)`."""
        if self.state == "inactive" and self.load_state not in ("loaded", "not-found"):
            return f"{self.load_state}: {self.load_error}" if self.load_error else self.load_state
        said = self.state if self.sub_state == self.state else f"{self.state} ({self.sub_state})"
        if self.active_seconds is not None:
            seconds = self.active_seconds
            said += f" for {format_duration(round(seconds, 1) if seconds < 10 else round(seconds))}"
        if self.is_restarting and self.restarts:
            said += f", restarted {self.restarts} times"
        return f"{said}: {self.ending}" if self.ending else said


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name of its own
        return f"signal {number}"


def _unmet(values: Mapping[str, Any]) -> str:
    """The first condition or assertion of its last start that was not met."""
    for kind in ("Condition", "Assert"):
        if values[f"{kind}Result"] or not values[f"{kind}Timestamp"]:
            continue
        for word, _, is_negated, parameter, result in values[f"{kind}s"]:
            if result < 0:
                return f"{word}={'!' if is_negated else ''}{parameter}"
    return ""
