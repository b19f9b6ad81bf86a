"""Service managers bound to a service, as the configuration binds them."""

from types import ModuleType
from typing import Any

from daemon.config.plugin_types import BoundManager
from daemon.model.service import Service


def bound(module: ModuleType, name: str, **given: Any) -> BoundManager:
    """The manager `module`, with the options `given`, of the service `name`."""
    options = module.Options.model_validate(given)
    return BoundManager(
        kind=module.__name__.rpartition(".")[2],
        resource=module.resource(options, Service(name=name), "node"),
        module=module,
        options=options,
        can_reload=hasattr(module, "reload"),
    )
