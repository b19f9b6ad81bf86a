"""What is asked around just before an effect: the resource's own manager, and units that must not be disturbed."""

from collections.abc import Sequence

from daemon.config.setup import Setup
from daemon.engine.counting import age, since_end
from daemon.engine.guards import Proposal
from daemon.errors import CheckError, SickError
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.service import Service, ServiceState, ServiceStatus
from daemon.protocols import Clock, ServiceManager
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.connections import Connections
from daemon.runtime.drive import driven
from daemon.runtime.faults import is_ours, named
from daemon.runtime.situation import NOTHING, Found
from daemon.runtime.toolbox import Toolbox

ASK_MANAGER = 10.0  # seconds a service manager may take to say what a service is doing
ASK_GRACE = 1.0  # seconds who was asked for too long may take to end
FAILED_ENDS_WITHIN = 90.0  # seconds for which a manager may go on stopping what heald gave up (systemd's own patience)
STOP_SEEN_WITHIN = 5.0  # seconds between the end of a stop and what a manager wrote down; supervisord counts whole ones
_WHOLE_SECOND = 1.0
_AT_WORK = (ServiceState.RUNNING, ServiceState.BUSY)


class Asking:
    """Asks, and makes facts of the answers."""

    def __init__(self, *, board: Board, connections: Connections, clock: Clock, node: str) -> None:
        self._board = board
        self._connections = connections
        self._clock = clock
        self._node = node

    async def ask(self, proposal: Proposal, bindings: Bindings) -> Found:
        """What is going on around the resource."""
        setup = bindings.setup
        services = {proposal.service, *bindings.acted_on(proposal.resource, proposal.service)}
        for unit in (name for name in bindings.conflicts(services) if not name.startswith("/")):
            conflict = await self._conflict(unit, setup)
            if conflict is not None:
                return Found(conflict=conflict)
        manager = next((it for it in setup.managers.values() if it.resource == proposal.resource), None)
        found = NOTHING if manager is None else await self._manager(manager, setup)
        own = setup.managers.get(proposal.service or "")
        if found is not NOTHING or own is None or own.resource == proposal.resource:
            return found
        stopped = (await self._manager(own, setup)).stopped  # that is no reason to act on something else either
        return NOTHING if stopped is None else Found(stopped=f"{stopped} of {own.resource}")

    async def _conflict(self, unit: str, setup: Setup) -> str | None:
        kind = setup.types.managers.get("systemd")
        if kind is None:
            return f"nobody here can say whether {unit} is at work: this heald has no systemd client"
        manager = kind.bind(kind.options.model_validate({"unit": unit}), Service(name=unit), self._node)
        status = await self._status(manager, unit, setup)
        if isinstance(status, Hold):
            return f"it is not known whether {unit} is at work: {status.sentence}"
        return f"{unit} is {status.detail}, and must not be disturbed" if status.state in _AT_WORK else None

    async def _manager(self, manager: ServiceManager, setup: Setup) -> Found:
        status = await self._status(manager, manager.resource, setup)
        if isinstance(status, Hold):
            return Found(hold=status)
        if status.state is ServiceState.BUSY:
            return Found(busy=f"{manager.kind} says {status.detail}")
        if status.by_operator and not self._is_own_stop(manager.resource, status):
            return Found(stopped=f"{manager.kind} says {status.detail}")
        return NOTHING

    def _is_own_stop(self, resource: str, status: ServiceStatus) -> bool:
        """Whether heald itself stopped it last: by `stop`, or by a restart that did not come to its end.

        What was stopped later than that can account for was stopped by somebody else. An attempt is passed over if it
        was stopped before that already: it neither stopped it nor started it. Where the manager does not know when it
        was, what a failed attempt left lasts as long as its incidents: they close once it was well again.
        """
        now, stopped_for = self._clock.stamp(), status.stopped_for
        for attempt in reversed(self._board.attempts.values()):  # ids are of the wall clock, which may be set back
            if attempt.resource != resource or attempt.would:
                continue
            if _leaves_stopped(attempt):
                if stopped_for is None:
                    is_open = any(it in self._board.incidents for it in attempt.incidents)
                    return attempt.state is AttemptState.SUCCEEDED or is_open
                if stopped_for > age(attempt.claimed, now) + _WHOLE_SECOND:
                    continue
                return since_end(attempt, now) - stopped_for <= _slack(attempt)
            if stopped_for is None or stopped_for + _WHOLE_SECOND < age(attempt.claimed, now):
                return False
        return False

    def own_stops(self, resource: str, *, besides: str) -> Sequence[tuple[float, float]]:
        """From when to when (steady seconds) heald may have stopped parts of a resource and left them stopped.

        Another part, such as one of its containers, may have been stopped by a person before or since. `besides` is the
        attempt that asks.
        """
        now = self._clock.stamp()
        return [
            (now.boottime - age(it.claimed, now) - _WHOLE_SECOND, now.boottime - since_end(it, now) + _slack(it))
            for it in self._board.attempts.values()
            if it.resource == resource and it.id != besides and not it.would and _leaves_stopped(it)
        ]

    async def _status(self, manager: ServiceManager, what: str, setup: Setup) -> ServiceStatus | Hold:
        """What a manager says; a hold where it cannot be asked."""
        context = Toolbox(
            node=self._node,
            clock=self._clock,
            timeout=ASK_MANAGER,
            connections=self._connections,
            withhold=setup.secret_variables,
        )
        try:
            drive = await driven(manager.status(context), self._clock, within=ASK_MANAGER, grace=ASK_GRACE)
            if drive.is_late:
                raise CheckError(f"it did not say within {ASK_MANAGER:.0f}s what {what} is doing")
            status = drive.value
            if not isinstance(status, ServiceStatus):
                raise TypeError(f"its status is {type(status).__name__}, not a ServiceStatus")
        except (CheckError, SickError) as error:
            return Hold(reason=HoldReason.BLIND_NOW, sentence=f"{manager.kind} could not be asked: {error}")
        except BaseException as error:  # a plug-in's bug blinds us for its own resource only
            if is_ours(error):
                raise
            return Hold(reason=HoldReason.BLIND_NOW, sentence=f"bug in manager {manager.kind}: {named(error)}")
        return status


def _leaves_stopped(attempt: Attempt) -> bool:
    """Whether it may have stopped what it did not start again."""
    return attempt.remediation == "stop" or attempt.state is not AttemptState.SUCCEEDED


def _slack(attempt: Attempt) -> float:
    """Seconds after an attempt's end by which what it stopped was stopped."""
    return STOP_SEEN_WITHIN if attempt.state is AttemptState.SUCCEEDED else FAILED_ENDS_WITHIN
