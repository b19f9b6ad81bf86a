"""What people do in a scenario: orders and decisions, through the same parts of the daemon as their commands."""

from collections.abc import Callable
from typing import Any

from daemon.config.scenario_schema import DecisionKeys, OrderKeys, PauseKeys, RejectKeys
from daemon.config.setup import Setup
from daemon.model.order import Matcher, OrderKind
from daemon.testing.scenario.model import is_same_resource
from daemon.testing.simulation import Simulation

WHO = "the scenario"
Happens = Callable[[Simulation], None]


def pause(keys: PauseKeys, _: Setup | None) -> Happens:
    """`heald pause`, of everything or of what is named."""

    def happens(simulation: Simulation) -> None:
        if matchers := _matchers(keys):
            simulation.assembly.orders.make(OrderKind.PAUSE, matchers, who=WHO, why=keys.why, lasts=None)
        else:
            simulation.assembly.circumstances.pause(why=keys.why, who=WHO)

    return happens


def resume(keys: Any, _: Setup | None) -> Happens:
    """`heald resume`, of everything or of what is named."""

    def happens(simulation: Simulation) -> None:
        if matchers := _matchers(keys):
            if simulation.assembly.orders.end_all(OrderKind.PAUSE, matchers, who=WHO):
                simulation.assembly.circumstances.acting_resumed()
        else:
            simulation.assembly.circumstances.resume()

    return happens


def order(kind: OrderKind) -> Callable[[OrderKeys, Setup | None], Happens]:
    """`heald silence add` and `heald maintenance start`."""

    def make(keys: OrderKeys, _: Setup | None) -> Happens:
        holds = keys.hold or kind is OrderKind.MAINTENANCE

        def happens(simulation: Simulation) -> None:
            orders = simulation.assembly.orders
            orders.make(kind, _matchers(keys), who=WHO, why=keys.why, lasts=keys.for_, holds=holds)

        return happens

    return make


def approve(keys: DecisionKeys, _: Setup | None) -> Happens:
    """`heald approve` of what waits, on that resource if one is named."""

    def happens(simulation: Simulation) -> None:
        for waiting in _waiting(simulation, keys.resource):
            simulation.assembly.approvals.approve(waiting, who=WHO)

    return happens


def reject(keys: RejectKeys, _: Setup | None) -> Happens:
    """`heald reject`, likewise."""

    def happens(simulation: Simulation) -> None:
        for waiting in _waiting(simulation, keys.resource):
            simulation.assembly.approvals.reject(waiting, who=WHO, why=keys.why)

    return happens


def words(keys: Any) -> str:
    """An event in the timeline: what is done, of what, and why."""
    of = [f"{field} {getattr(keys, field)}" for field in ("service", "rule", "resource") if getattr(keys, field, None)]
    why = getattr(keys, "why", "")
    return " ".join([keys.do, *of]) + (f": {why}" if why else "")


def _waiting(simulation: Simulation, resource: str | None) -> list[str]:
    found = [approval for approval, _ in simulation.assembly.approvals.waiting()]
    return [it.id for it in found if resource is None or is_same_resource(it.resource, resource)]


def _matchers(keys: Any) -> tuple[Matcher, ...]:
    named = ((field, getattr(keys, field, None)) for field in ("service", "rule"))
    return tuple((field, "=", name) for field, name in named if name)
