"""A plug-in's module as the rest of heald sees it, once discovery has checked it.

These are not frozen, as the protocols they fulfil have plain attributes; nothing changes them.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from daemon.errors import CheckError, RemediationError
from daemon.model.check import Reading, SampleSpec
from daemon.model.remediation import Outcome, Plan
from daemon.model.service import Service, ServiceStatus
from daemon.model.target import Target
from daemon.protocols import ActContext, CheckContext, ServiceManager


@dataclass(eq=False, kw_only=True, slots=True)
class FoundCheckType:
    """A module of checks (`daemon.protocols.CheckType`)."""

    name: str
    module: ModuleType
    options: type[BaseModel]
    samples: Mapping[str, SampleSpec]
    discovers: bool

    def samples_of(self, options: BaseModel) -> Mapping[str, SampleSpec]:
        """Every sample that a check with these options may yield."""
        offered = getattr(self.module, "samples", None)
        return {**self.samples, **{spec.name: spec for spec in offered(options)}} if offered else self.samples

    def check(self, options: Any, context: CheckContext) -> Awaitable[Sequence[Reading]]:
        """Look once. Raises CheckError if we could not look."""
        running: Awaitable[Sequence[Reading]] = self.module.check(options, context)
        return running


@dataclass(eq=False, kw_only=True, slots=True)
class FoundRemediationType:
    """A module of remediations (`daemon.protocols.RemediationType`)."""

    name: str
    module: ModuleType
    options: type[BaseModel]
    asks: bool
    harmless: bool

    def resource(self, options: Any, target: Target) -> str:
        """What will be touched: the key of all limits. Raises RemediationError."""
        touched: str = self.module.resource(options, target)
        return touched

    def act(self, options: Any, target: Target, context: ActContext) -> Awaitable[Outcome]:
        """Do it. Raises RemediationError."""
        running: Awaitable[Outcome] = self.module.act(options, target, context)
        return running

    async def plan(self, options: Any, target: Target, context: ActContext) -> Plan:
        """What `act` would do; where the module does not offer it, what it would touch."""
        offered = getattr(self.module, "plan", None)
        if offered is None:
            return Plan(summary=f"{self.name} {self.resource(options, target)}")
        said: Plan | str = await offered(options, target, context)
        return Plan(summary=said) if isinstance(said, str) else said


@dataclass(eq=False, kw_only=True, slots=True)
class FoundManagerType:
    """A module of managers (`daemon.protocols.ManagerType`)."""

    name: str
    module: ModuleType
    options: type[BaseModel]

    def bind(self, options: Any, service: Service, node: str) -> ServiceManager:
        """The manager of one service. Raises RemediationError if it cannot be named."""
        resource = self.module.resource(options, service, node)
        can_reload = hasattr(self.module, "reload")
        return BoundManager(
            kind=self.name, resource=resource, module=self.module, options=options, can_reload=can_reload
        )


@dataclass(eq=False, kw_only=True, slots=True)
class FoundConnectionType:
    """A module of connections (`daemon.protocols.ConnectionType`)."""

    name: str
    module: ModuleType
    options: type[BaseModel]

    def connect(self, options: Any, context: CheckContext) -> Awaitable[Any]:
        """A client. Raises CheckError or SickError."""
        opening: Awaitable[Any] = self.module.connect(options, context)
        return opening

    def close(self, client: Any) -> Awaitable[None]:
        """Let a client go."""
        closing: Awaitable[None] = self.module.close(client)
        return closing


@dataclass(eq=False, kw_only=True, slots=True)
class BoundManager:
    """Who runs one service (`daemon.protocols.ServiceManager`)."""

    kind: str
    resource: str
    module: ModuleType
    options: Any = field(repr=False)  # it may hold a secret
    can_reload: bool = False

    async def start(self, context: CheckContext) -> str:
        """Start it; returns what was done, in a sentence. Raises RemediationError."""
        done: str = await self.module.start(self.options, context)
        return done

    async def stop(self, context: CheckContext) -> str:
        """Stop it; as `start`."""
        done: str = await self.module.stop(self.options, context)
        return done

    async def restart(self, context: CheckContext) -> str:
        """Restart it, or start it if it is stopped; as `start`."""
        done: str = await self.module.restart(self.options, context)
        return done

    async def reload(self, context: CheckContext) -> str:
        """Have it read its settings anew; as `start`."""
        if not self.can_reload:
            raise RemediationError(f"{self.kind} knows no way to reload a service", permanent=True)
        done: str = await self.module.reload(self.options, context)
        return done

    async def status(self, context: CheckContext) -> ServiceStatus:
        """What its manager says of it. Raises CheckError if the manager cannot be asked."""
        status: ServiceStatus = await self.module.status(self.options, context)
        return status


@dataclass(eq=False, kw_only=True, slots=True)
class Unlinked:
    """Stands for the manager of a service that has a problem of its own, so that it is not said in other words too."""

    resource: str
    kind: str = "unlinked"
    can_reload: bool = True

    async def start(self, context: CheckContext) -> str:
        """Never called: the file it is of is refused."""
        raise RemediationError(f"{self.resource} was never linked", permanent=True)

    stop = restart = reload = start

    async def status(self, context: CheckContext) -> ServiceStatus:
        """As `start`."""
        raise CheckError(f"{self.resource} was never linked")
