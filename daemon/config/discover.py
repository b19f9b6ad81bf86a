"""Finds every plug-in: the modules of our folders by their file names, then those of installed packages.

Nothing is registered anywhere. A doubled name, a missing part or an option that shadows a common key stops the start.
"""

import functools
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel

from daemon.config.plugin_types import FoundCheckType, FoundConnectionType, FoundManagerType, FoundRemediationType
from daemon.config.problems import ConfigError, Problem
from daemon.config.schema import CheckKeys, ConnectionKeys, StepKeys
from daemon.config.setup import Types
from daemon.config.shapes import fields_of
from daemon.engine.functions import EXAMPLES
from daemon.engine.syntax import KEYWORDS
from daemon.model.check import SampleSpec

Found = TypeVar("Found")
CHECKS, REMEDIATIONS, MANAGERS, CONNECTIONS = "checks", "remediations", "managers", "connections"
_OURS = ("daemon", "checks", "remediations")


@functools.cache
def discover_types(
    *,
    checks: tuple[str, ...] = ("checks",),
    remediations: tuple[str, ...] = ("remediations",),
    managers: tuple[str, ...] = ("daemon.managers",),
    connections: tuple[str, ...] = ("daemon.connections",),
    installed: bool = True,
) -> Types:
    """Every plug-in of these packages and, if `installed`, of the entry points `heald.checks` and `heald.remediations`.

    It is done once per process: a reload uses it again.

    Raises:
        ConfigError: every plug-in that cannot be used, each by its file.
    """
    search = _Search()
    found = Types(
        checks=search.kind(CHECKS, checks, _check_type, installed=installed),
        remediations=search.kind(REMEDIATIONS, remediations, _remediation_type, installed=installed),
        managers=search.kind(MANAGERS, managers, _manager_type, installed=False),
        connections=search.kind(CONNECTIONS, connections, _connection_type, installed=False),
        unavailable=search.unavailable,
    )
    if search.problems:
        raise ConfigError(search.problems)
    return found


class PluginError(Exception):
    """What a plug-in lacks."""


@dataclass(slots=True)
class _Search:
    problems: list[Problem] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)

    def kind(
        self, kind: str, packages: Iterable[str], make: Callable[[str, ModuleType], Found], *, installed: bool
    ) -> Mapping[str, Found]:
        """The plug-ins of one kind by name."""
        types: dict[str, Found] = {}
        places: dict[str, str] = {}
        for name, place, load in self._candidates(kind, packages, installed=installed):
            path = f"{kind}.{name}"
            if name in places:
                self._refuse(place, path, f"there are two named {name}: {places[name]} and {place}; rename one of them")
                continue
            places[name] = place
            try:
                types[name] = make(name, load())
            except PluginError as error:
                self._refuse(place, path, str(error))
            except ModuleNotFoundError as error:
                package = (error.name or "").partition(".")[0]
                if package in _OURS or not package:
                    self._refuse(place, path, f"it cannot be imported: {error}")
                else:
                    self.unavailable[path] = f"{name} needs the package {package}, which is not installed here"
            except Exception as error:  # noqa: BLE001  # an import runs the author's code, which may raise anything
                self._refuse(place, path, f"it cannot be imported: {type(error).__name__}: {error}")
        return types

    def _candidates(
        self, kind: str, packages: Iterable[str], *, installed: bool
    ) -> Iterator[tuple[str, str, Callable[[], ModuleType]]]:
        for package in packages:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                if not module.name.startswith("_"):
                    full = f"{package}.{module.name}"
                    yield module.name, _place(full), functools.partial(importlib.import_module, full)
        for point in entry_points(group=f"heald.{kind}") if installed else ():
            yield point.name, _place(point.module), functools.partial(_load, point)

    def _refuse(self, place: str, path: str, text: str) -> None:
        self.problems.append(Problem(file=place, line=1, column=1, path=path, text=text))


def _place(module: str) -> str:
    """A module's file without importing it, or its name if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return module
    return (spec.origin if spec else None) or module


def _load(point: EntryPoint) -> ModuleType:
    loaded = point.load()
    if not isinstance(loaded, ModuleType):
        raise PluginError(f"the entry point {point.name} = {point.value} is no module; write the module alone")
    return loaded


def _check_type(name: str, module: ModuleType) -> FoundCheckType:
    _require_name(name, CheckKeys, "check")
    options = _options(module, CheckKeys, "check")
    _function(module, "check", "options, context", is_async=True)
    if hasattr(module, "samples"):
        _function(module, "samples", "options", is_async=False)
    return FoundCheckType(
        name=name,
        module=module,
        options=options,
        samples=_samples(module),
        discovers=_flag(module, "DISCOVERS"),
    )


def _remediation_type(name: str, module: ModuleType) -> FoundRemediationType:
    _require_name(name, StepKeys, "step")
    options = _options(module, StepKeys, "step")
    _function(module, "resource", "options, target", is_async=False)
    _function(module, "act", "options, target, context", is_async=True)
    if hasattr(module, "plan"):
        _function(module, "plan", "options, target, context", is_async=True)
    return FoundRemediationType(
        name=name, module=module, options=options, asks=_flag(module, "asks"), harmless=_flag(module, "harmless")
    )


def _manager_type(name: str, module: ModuleType) -> FoundManagerType:
    options = _options(module, None, "")
    _function(module, "resource", "options, service, node", is_async=False)
    for verb in ("start", "stop", "restart", "status"):
        _function(module, verb, "options, context", is_async=True)
    if hasattr(module, "reload"):
        _function(module, "reload", "options, context", is_async=True)
    return FoundManagerType(name=name, module=module, options=options)


def _connection_type(name: str, module: ModuleType) -> FoundConnectionType:
    _require_name(name, ConnectionKeys, "connection")
    options = _options(module, None, "")
    _function(module, "connect", "options, context", is_async=True)
    _function(module, "close", "client", is_async=True)
    return FoundConnectionType(name=name, module=module, options=options)


def _example(module: ModuleType) -> None:
    """Refuse an example that is no text: what it says is judged by who tests the plug-in."""
    example: Any = getattr(module, "EXAMPLE", "")
    if not isinstance(example, str):
        raise PluginError("its EXAMPLE is no text; write the parts of a rules file that use it, without version")


def _require_name(name: str, common: type[BaseModel], what: str) -> None:
    if name in fields_of(common):
        raise PluginError(f"the name {name} shadows the key {name} that every {what} has; rename the file")


def _options(module: ModuleType, common: type[BaseModel] | None, what: str) -> type[BaseModel]:
    _example(module)
    options: Any = getattr(module, "Options", None)
    if options is None:
        raise PluginError("it has no Options; write class Options(OptionsModel)")
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise PluginError("its Options is no pydantic model; write class Options(OptionsModel)")
    if options.model_config.get("extra") != "forbid":
        raise PluginError("its Options accepts unknown keys; write class Options(OptionsModel)")
    shadowing = [key for key in fields_of(options) if common and key in fields_of(common)]
    if shadowing:
        raise PluginError(
            f"its option {shadowing[0]} shadows the key {shadowing[0]} that every {what} has; rename the option"
        )
    if options.__module__.partition(".")[0] not in _OURS:
        options.model_rebuild()  # what OptionsModel puts off (`defer_build`): here whoever is wrong is named
    return options


def _function(module: ModuleType, name: str, takes: str, *, is_async: bool) -> None:
    """Refuse a part that is missing or cannot be called as it will be."""
    wanted = f"{'async ' if is_async else ''}def {name}({takes})"
    function = getattr(module, name, None)
    if function is None:
        raise PluginError(f"it has no {name}; write {wanted}")
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function) is not is_async:
        raise PluginError(f"its {name} is no {'async ' if is_async else 'plain '}function; write {wanted}")
    try:
        inspect.signature(function).bind(*takes.split(", "))
    except TypeError:
        raise PluginError(f"its {name} cannot be called with ({takes}); write {wanted}") from None


def _samples(module: ModuleType) -> Mapping[str, SampleSpec]:
    listed: Any = getattr(module, "SAMPLES", None)
    if listed is None:
        raise PluginError("it has no SAMPLES; write SAMPLES = (sample(NAME, DIMENSION, MEANING), ...)")
    if not isinstance(listed, tuple | list) or not listed or not all(isinstance(it, SampleSpec) for it in listed):
        raise PluginError("its SAMPLES is no tuple of samples; write sample(NAME, DIMENSION, MEANING) for each")
    samples: dict[str, SampleSpec] = {}
    for spec in listed:
        if not spec.name.isidentifier() or spec.name in KEYWORDS or spec.name in EXAMPLES:
            raise PluginError(f"the sample {spec.name!r} cannot be named in a condition; write it like queue_length")
        if spec.name in samples:
            raise PluginError(f"the sample {spec.name} is there twice; leave one out")
        samples[spec.name] = spec
    return samples


def _flag(module: ModuleType, name: str) -> bool:
    value: Any = getattr(module, name, False)
    if not isinstance(value, bool):
        raise PluginError(f"its {name} is {value!r}; write True or False")
    return value
