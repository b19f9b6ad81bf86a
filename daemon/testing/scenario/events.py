"""`events` of a scenario: what happens to heald and its host. A kind of event is one line of `KINDS`.

What is done by a person goes through the same parts of the daemon as the command of that name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.config.document import Node
from daemon.config.scenario_schema import (
    ClockKeys,
    CrashKeys,
    DecisionKeys,
    EventKeys,
    OrderKeys,
    PauseKeys,
    RebootKeys,
    RejectKeys,
    ReloadKeys,
    ResumeKeys,
)
from daemon.config.setup import Setup
from daemon.engine.condition_error import did_you_mean
from daemon.engine.orders import matches
from daemon.model.incident import OWN
from daemon.model.order import OrderKind
from daemon.model.units import format_duration
from daemon.testing.scenario import people
from daemon.testing.scenario.model import Event
from daemon.testing.scenario.names import Scene
from daemon.testing.simulation import Simulation

EXAMPLE = "{at: 3m, do: crash}"
_TEXT = "rules_text"  # of a reload: the rules themselves, in which references may stand


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of event. `make` gets its keys and, of a reload, the configuration."""

    keys: type[EventKeys]
    make: Callable[[Any, Setup | None], Callable[[Simulation], None]]
    words: Callable[[Any], str] = lambda keys: keys.do
    is_of_host: bool = False
    needs_directory: bool = False


def _reload(_: ReloadKeys, setup: Setup | None) -> Callable[[Simulation], None]:
    def happens(simulation: Simulation) -> None:
        if setup is not None:
            simulation.reload(setup)

    return happens


def _clock(keys: ClockKeys, _: Setup | None) -> Callable[[Simulation], None]:
    def happens(simulation: Simulation) -> None:
        simulation.clock.wall_offset += keys.by

    return happens


def _synchronise(_: EventKeys, __: Setup | None) -> Callable[[Simulation], None]:
    def happens(simulation: Simulation) -> None:
        simulation.clock.wall_offset, simulation.clock.synchronised = 0.0, True

    return happens


def _crash(keys: CrashKeys, _: Setup | None) -> Callable[[Simulation], None]:
    return lambda simulation: simulation.crash(keys.down)


def _reboot(keys: RebootKeys, _: Setup | None) -> Callable[[Simulation], None]:
    return lambda simulation: simulation.reboot(keys.down, clock=keys.clock, synchronised=keys.synchronised)


def _down(keys: CrashKeys | RebootKeys) -> str:
    return f"{keys.do}, down for {format_duration(keys.down)}" if keys.down else keys.do


KINDS: Mapping[str, Kind] = {
    "crash": Kind(keys=CrashKeys, make=_crash, words=_down),
    "reload": Kind(keys=ReloadKeys, make=_reload, words=lambda keys: f"reload {keys.rules or ''}".rstrip()),
    "pause": Kind(keys=PauseKeys, make=people.pause, words=people.words, needs_directory=True),
    "resume": Kind(keys=ResumeKeys, make=people.resume, words=people.words, needs_directory=True),
    "silence": Kind(keys=OrderKeys, make=people.order(OrderKind.SILENCE), words=people.words),
    "maintenance": Kind(keys=OrderKeys, make=people.order(OrderKind.MAINTENANCE), words=people.words),
    "approve": Kind(keys=DecisionKeys, make=people.approve, words=people.words),
    "reject": Kind(keys=RejectKeys, make=people.reject, words=people.words),
    "clock": Kind(
        keys=ClockKeys, make=_clock, words=lambda keys: f"clock by {format_duration(keys.by)}", is_of_host=True
    ),
    "reboot": Kind(keys=RebootKeys, make=_reboot, words=_down),
    "synchronise": Kind(keys=EventKeys, make=_synchronise, is_of_host=True),
}
"""What can happen, by the word behind `do`."""


def read_kind(scene: Scene, node: Node, path: str) -> Kind | None:
    """Which kind an event is; None if that is reported."""
    if not scene.linking.reader.is_mapping(node, path):
        return None
    do = node.entries.get("do")
    if do is None:
        scene.linking.reader.keys(EventKeys, node, path, omit=[key for key in node.entries if key != "at"])
        return None
    at = f"{path}.do"
    if do.text not in KINDS:
        near = did_you_mean(do.text, KINDS)
        said = f"there is no event {do.text}; there are {', '.join(KINDS)}"
        scene.add(do.place, at, said + (f"; {near}" if near else ""))
    return KINDS.get(do.text)


def read_events(
    scene: Scene, node: Node | None, path: str, rules: Callable[[Node, str, str], Setup | None]
) -> Sequence[tuple[Event, Setup | None]]:
    """The events in the order of their times, each with the configuration that it brings; what is wrong is reported.

    `rules` reads what a value names: the value, its path and its key.
    """
    read: list[tuple[Event, Setup | None, Node, str]] = []
    for item, at in scene.items(node, path, EXAMPLE):
        kind = read_kind(scene, item, at)
        omit = [_TEXT] if kind is not None and kind.keys is ReloadKeys else []
        keys = scene.linking.reader.keys(kind.keys, item, at, omit=omit).model if kind is not None else None
        if kind is None or keys is None:
            continue
        setup = _rules(scene, item, at, rules) if isinstance(keys, ReloadKeys) else None
        place = item.entries["at"].place
        scene.times.append((keys.at, place, f"{at}.at"))
        event = Event(
            at=keys.at,
            words=kind.words(keys),
            happens=kind.make(keys, setup),
            down=keys.down if isinstance(keys, CrashKeys | RebootKeys) else 0.0,
            is_of_host=kind.is_of_host,
            needs_directory=kind.needs_directory,
        )
        read.append((event, setup, item, at))
    read.sort(key=lambda it: it[0].at)
    _refuse_while_down(scene, read)
    return [(event, setup) for event, setup, _, _ in read]


def check_names(scene: Scene, node: Node | None, path: str) -> None:
    """Report the rule, service or resource of an event that is not there, once all that reloads bring is known."""
    if scene.names is None or node is None:
        return
    known = {"rule": scene.names.rules, "service": scene.names.services}
    for place, item in enumerate(node.items):
        for key, names in known.items():
            named = item.entries.get(key)
            if named is None or not isinstance(named.value, str) or named.text.startswith(OWN):
                continue
            if not any(matches(name, named.text) for name in names):  # an order's name may be a pattern
                scene.known(named, f"{path}[{place}].{key}", key, names)
        scene.resource(item.entries.get("resource"), f"{path}[{place}].resource")


def _rules(scene: Scene, node: Node, path: str, rules: Callable[[Node, str, str], Setup | None]) -> Setup | None:
    keys = [key for key in ("rules", _TEXT) if key in node.entries]
    if len(keys) == 1:
        return rules(node.entries[keys[0]], f"{path}.{keys[0]}", keys[0])
    said = "rules and rules_text are both here; write one of them" if keys else "a reload names no rules; write rules"
    scene.add(node.entries[keys[1]].key if keys else node.place, f"{path}.{keys[1]}" if keys else path, said)
    return None


def _refuse_while_down(scene: Scene, events: Sequence[tuple[Event, Setup | None, Node, str]]) -> None:
    """While heald is down nobody can tell it anything, and it cannot be killed."""
    until, why = -1.0, ""
    for event, _, node, path in events:
        if event.at < until and not event.is_of_host:
            said = f"heald is down then, from the {why} until {format_duration(until)}; nothing reaches it"
            scene.add(node.entries["at"].place, f"{path}.at", said)
        elif event.down:
            until, why = event.at + event.down, f"{event.words.split(',')[0]} at {format_duration(event.at)}"
