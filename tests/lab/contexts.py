"""The daemon's own contexts, as tests of plug-ins pass them."""

from daemon.clock import SystemClock
from daemon.model.service import Service
from daemon.model.target import Target
from daemon.protocols import ServiceManager
from daemon.runtime.toolbox import ActToolbox, Toolbox


def check_context(timeout: float = 10.0) -> Toolbox:
    """The context of a check, or of a question to a service manager."""
    return Toolbox(node="node", clock=SystemClock(), timeout=timeout)


def act_context(timeout: float = 30.0) -> ActToolbox:
    """The context of an attempt."""
    return ActToolbox(
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
