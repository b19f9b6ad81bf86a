"""What plug-ins and surfaces see of the rest of heald: interfaces only."""

import signal
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, Protocol

from pydantic import BaseModel

from daemon.model.check import Reading, SampleSpec
from daemon.model.moment import Stamp
from daemon.model.order import Matcher, OrderKind
from daemon.model.remediation import Outcome, Plan
from daemon.model.service import Service, ServiceStatus
from daemon.model.target import Target


class Clock(Protocol):
    """Where time comes from; tests pass another one."""

    def steady(self) -> float:
        """Seconds since boot that never jump (CLOCK_BOOTTIME)."""
        ...

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        ...

    def stamp(self) -> Stamp:
        """This moment as rows keep it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """A finished command: what is kept of it. Output is bounded; the cut is marked in the text."""

    argv: tuple[str, ...]
    exit_code: int | None  # None: it was killed by heald or by a signal (then `signal` says which)
    signal: int | None
    stdout: str
    stderr: str
    timed_out: bool
    seconds: float

    @property
    def ending(self) -> str:
        """How it ended, in words: `exit code 3`, `killed by SIGSEGV`, `ended by heald after 5.0s`."""
        if self.timed_out:
            return f"ended by heald after {self.seconds:.1f}s"
        if self.exit_code is None:
            return f"killed by {_signal_name(self.signal)}"
        return f"exit code {self.exit_code}"

    @property
    def last_line(self) -> str:
        """The last line that is not blank of stderr, or else of stdout; at most 300 characters of it."""
        lines = [line.strip() for text in (self.stderr, self.stdout) for line in reversed(text.splitlines())]
        return next((line[:300] for line in lines if line), "")

    @property
    def details(self) -> dict[str, object]:
        """What the record keeps of it, as JSON values."""
        return {
            "argv": list(self.argv),
            "exit_code": self.exit_code,
            "signal": self.signal,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "seconds": round(self.seconds, 3),
        }


def _signal_name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:  # a real-time signal has no name of its own
        return f"signal {number}"


class CheckContext(Protocol):
    """What a check may use."""

    node: str
    clock: Clock
    timeout: float  # seconds this run may take before it is cancelled; silence is a reading only if told before that
    own_stops: Sequence[tuple[float, float]]  # of an attempt: when heald may have stopped its resource, steady seconds

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        output_limit: int = 65536,
    ) -> Completed:
        """Run a command: no shell, no stdin, own process group, killed on time-out or cancellation and with heald.

        Raises OSError if it could not be started.
        """
        ...

    def connection(self, kind: str, name: str | None) -> AbstractAsyncContextManager[Any]:
        """A connection's client, shared with others and opened when first used; None: the kind's defaults.

        An error that leaves the block makes the next use open it anew: what the client takes well is caught inside.

        Raises:
            CheckError: it cannot be opened from here. SickError: its server is at fault.
        """
        ...


class ActContext(CheckContext, Protocol):
    """What a remediation may use: as a check, and the incident it acts for."""

    incident: str  # its id
    rule: str
    because: str  # what breached, in words
    attempt: str  # this attempt's id


class ServiceManager(Protocol):
    """Who runs one service, bound to it (a module of `daemon.managers` with its Options filled in)."""

    kind: str  # supervisor, command, ...
    resource: str  # the key of limits, e.g. supervisor:/run/supervisor.sock/web@node
    can_reload: bool  # its manager knows a way to reload a service

    async def start(self, context: CheckContext) -> str:
        """Start it; returns what was done, in a sentence. Raises RemediationError."""
        ...

    async def stop(self, context: CheckContext) -> str:
        """Stop it; as `start`."""
        ...

    async def restart(self, context: CheckContext) -> str:
        """Restart it, or start it if it is stopped; as `start`."""
        ...

    async def reload(self, context: CheckContext) -> str:
        """Have it read its settings anew without a restart; as `start`. Only where `can_reload`."""
        ...

    async def status(self, context: CheckContext) -> ServiceStatus:
        """What its manager says of it. Raises CheckError if the manager cannot be asked."""
        ...


class CheckType(Protocol):
    """A module of `checks`, as discovery has checked it."""

    name: str
    module: ModuleType
    options: type[BaseModel]
    samples: Mapping[str, SampleSpec]  # SAMPLES; what the options add comes from `samples_of`
    discovers: bool  # DISCOVERS: subjects are found at run time

    def samples_of(self, options: BaseModel) -> Mapping[str, SampleSpec]:
        """Every sample that a check with these options may yield."""
        ...

    def check(self, options: Any, context: CheckContext) -> Awaitable[Sequence[Reading]]:
        """Look once. Raises CheckError if we could not look."""
        ...


class RemediationType(Protocol):
    """A module of `remediations`, as discovery has checked it."""

    name: str
    module: ModuleType
    options: type[BaseModel]
    asks: bool  # needs approval unless the operator waives it by name
    harmless: bool  # gathers, changes nothing

    def resource(self, options: Any, target: Target) -> str:
        """What will be touched: the key of all limits. Pure and quick. Raises RemediationError (permanent)."""
        ...

    def act(self, options: Any, target: Target, context: ActContext) -> Awaitable[Outcome]:
        """Do it. Raises RemediationError."""
        ...

    def plan(self, options: Any, target: Target, context: ActContext) -> Awaitable[Plan]:
        """What `act` would do, and the facts that it rests on."""
        ...


class ManagerType(Protocol):
    """A module of `daemon.managers`, as discovery has checked it."""

    name: str
    module: ModuleType
    options: type[BaseModel]

    def bind(self, options: Any, service: Service, node: str) -> ServiceManager:
        """The manager of one service."""
        ...


class ConnectionType(Protocol):
    """A module of `daemon.connections`, as discovery has checked it."""

    name: str
    module: ModuleType
    options: type[BaseModel]

    def connect(self, options: Any, context: CheckContext) -> Awaitable[Any]:
        """A client. Raises CheckError if it cannot be opened from here, SickError if its server is at fault."""
        ...

    def close(self, client: Any) -> Awaitable[None]:
        """Let a client go. Raises nothing."""
        ...


class Control(Protocol):
    """What surfaces (control socket, pages) may ask of the running daemon."""

    async def reload(self) -> list[str]:
        """Build all, then swap. Returns the errors that kept the old configuration, empty if it was swapped."""
        ...

    async def pause(self, *, why: str, who: str) -> None:
        """Hold all acting until `resume`, across restarts."""
        ...

    async def resume(self, *, who: str) -> bool:
        """End a pause; false if there was none."""
        ...

    async def orders(self, *, everything: bool) -> list[Mapping[str, object]]:
        """Standing orders in force, or with `everything` ended ones too, newest first, as JSON values."""
        ...

    async def order(
        self,
        *,
        kind: OrderKind,
        matchers: Sequence[Matcher],
        why: str,
        who: str,
        lasts: float | None,
        holds: bool,
    ) -> Mapping[str, object]:
        """Add a standing order. Raises HealdError if it is about nothing named, or could not be kept."""
        ...

    async def end_order(self, order_id: str, *, who: str) -> list[Mapping[str, object]]:
        """End one order. Raises LookupError."""
        ...

    async def end_orders(self, kind: OrderKind, matchers: Sequence[Matcher], *, who: str) -> list[Mapping[str, object]]:
        """End the orders of a kind with just these matchers; without any, all of the kind. Raises LookupError."""
        ...

    async def approvals(self, *, everything: bool) -> list[Mapping[str, object]]:
        """What waits for a person to agree, or with `everything` decided ones too, newest first."""
        ...

    async def approve(self, approval_id: str, *, who: str) -> Mapping[str, object]:
        """Agree to one attempt. Raises LookupError."""
        ...

    async def reject(self, approval_id: str, *, who: str, why: str) -> Mapping[str, object]:
        """Refuse an attempt; its step is over. Raises LookupError."""
        ...

    async def retry(self, incident: str, *, who: str) -> str:
        """Start an incident's ladder anew. Returns a sentence. Raises LookupError for an unknown incident."""
        ...

    def status(self) -> Mapping[str, object]:
        """What the daemon is doing now, as JSON values (`daemon.api.wire` knows the shape)."""
        ...

    async def incidents(self, *, limit: int, closed: bool) -> list[Mapping[str, object]]:
        """Incidents with their attempts, newest first, as JSON values."""
        ...

    async def explain(self, name: str) -> Mapping[str, object]:
        """Why nothing is done about a rule, a service or an incident, or what is, as JSON values.

        Raises LookupError for an unknown name, with what was probably meant.
        """
        ...

    async def plan(self) -> list[Mapping[str, object]]:
        """What heald would do now in act mode, in the order in which it would, as JSON values."""
        ...

    async def would(self, *, seconds: float) -> Mapping[str, object]:
        """What observe mode would have done in the last so many seconds, as JSON values."""
        ...
