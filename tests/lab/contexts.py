"""The daemon's own contexts, as tests of plug-ins pass them."""

from collections.abc import Mapping

from daemon.clock import SystemClock
from daemon.config.discover import discover_types
from daemon.model.connection import Connection
from daemon.model.service import Service
from daemon.model.target import Target
from daemon.protocols import ServiceManager
from daemon.runtime.connections import Connections
from daemon.runtime.toolbox import ActToolbox, Toolbox


def shared(**options: tuple[str, Mapping[str, object]]) -> Connections:
    """The clients of a test, by name: kind and options. Whoever made them closes them."""
    types = discover_types().connections
    configured = {
        name: Connection(name=name, kind=kind, options=types[kind].options.model_validate(given))
        for name, (kind, given) in options.items()
    }
    return Connections(types=types, configured=configured)


def check_context(timeout: float = 10.0, *, connections: Connections | None = None) -> Toolbox:
    """The context of a check, or of a question to a service manager."""
    return Toolbox(node="node", clock=SystemClock(), timeout=timeout, connections=connections or shared())


def act_context(timeout: float = 30.0, *, connections: Connections | None = None) -> ActToolbox:
    """The context of an attempt."""
    return ActToolbox(
        connections=connections or shared(),
        node="node",
        clock=SystemClock(),
        timeout=timeout,
        incident="INC-20261122-100000-abcd",
        rule="web-down",
        because="up == 0",
        attempt="1",
    )


def target(service: str | None = "web", **managers: ServiceManager) -> Target:
    """A target whose own service is `service`; `managers` are who runs the services, by name."""
    own = Service(name=service) if service else None
    return Target(node="node", check="web_health", service=own, managers=managers)
