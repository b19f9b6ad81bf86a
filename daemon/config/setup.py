"""A configuration that was read, checked and linked: what the daemon runs on until the next reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.model.check import Check
from daemon.model.connection import Connection
from daemon.model.masks import Masks
from daemon.model.order import Window
from daemon.model.rule import DEFAULT_LIMIT, Limit, Rule
from daemon.model.service import Service
from daemon.model.settings import Mode, Settings
from daemon.protocols import CheckType, ConnectionType, ManagerType, RemediationType, ServiceManager


@dataclass(frozen=True, kw_only=True, slots=True)
class Types:
    """Every plug-in that discovery found, by name."""

    checks: Mapping[str, CheckType]
    remediations: Mapping[str, RemediationType]
    managers: Mapping[str, ManagerType]
    connections: Mapping[str, ConnectionType] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)  # "checks.kafka": why it cannot be used here


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """One whole configuration."""

    path: Path
    settings: Settings
    services: Mapping[str, Service]
    managers: Mapping[str, ServiceManager]  # by service, where `run_by` is set, bound to it
    upstream: Mapping[str, tuple[str, ...]]  # by service: all it depends on, transitively, nearest first
    checks: Mapping[str, Check]  # in the file's order
    rules: tuple[Rule, ...]  # in the file's order
    types: Types
    included: tuple[Path, ...] = ()  # the files that `path` includes, in their order
    connections: Mapping[str, Connection] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()  # of maintenance
    secret_variables: frozenset[str] = frozenset()  # of the environment, named by `${env:NAME}` in secret options
    masks: Masks = field(default_factory=Masks)  # the values of all secrets of the file

    def limits(self) -> dict[str, tuple[Limit, ...]]:
        """By resource, the limits of the service that its manager runs, where it names any; of several the first."""
        found: dict[str, tuple[Limit, ...]] = {}
        for name, manager in self.managers.items():
            limit = self.services[name].limit
            if limit is not None:
                found.setdefault(manager.resource, limit)
        return found

    def limit_of(self, resource: str) -> tuple[Limit, ...]:
        """The limits of a resource, be it the default."""
        return self.limits().get(resource, DEFAULT_LIMIT)

    def stance(self) -> str:
        """In words, what heald may do under it."""
        if self.settings.mode is Mode.OBSERVE:
            return "observes and does nothing"
        return f"acts with {', '.join(sorted(self.settings.allow)) or 'nothing'}"

    def size(self) -> str:
        """In words, how much is watched."""
        counted = (("check", self.checks), ("rule", self.rules), ("service", self.services))
        return ", ".join(f"{len(found)} {word}{'' if len(found) == 1 else 's'}" for word, found in counted)
