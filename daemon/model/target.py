"""What a remediation is aimed at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from daemon.errors import RemediationError

if TYPE_CHECKING:
    from daemon.model.service import Service
    from daemon.protocols import ServiceManager


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What the incident is about: node, check, service, subject, and who runs the services."""

    node: str
    check: str
    subject: str = ""
    service: "Service | None" = None  # the check's own service
    managers: "Mapping[str, ServiceManager]" = field(default_factory=dict)  # by service name, where `run_by` is set

    def manager(self, service: str | None = None) -> "ServiceManager":
        """Who runs the named service, or the target's own.

        Raises:
            RemediationError: permanent; the target has no service, or nobody is named to run it.
        """
        name = service or (self.service.name if self.service else None)
        if name is None:
            raise RemediationError(f"check {self.check} has no service", permanent=True)
        if name not in self.managers:
            raise RemediationError(self._nobody_runs(name), permanent=True)
        return self.managers[name]

    def _nobody_runs(self, name: str) -> str:
        if self.service and name == self.service.name:
            return f"service {name} has no run_by: nobody is named who runs it"
        said = f"service {name} has no run_by, or there is no such service: nobody is named who runs it"
        if not self.managers:
            return said
        near = "".join(f"; did you mean {found}?" for found in get_close_matches(name, self.managers, n=1))
        return f"{said}; run_by is known of {', '.join(self.managers)}{near}"
