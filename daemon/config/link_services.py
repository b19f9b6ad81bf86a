"""`services`: who runs what, and what needs what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.config.breath import breathe
from daemon.config.document import Node, join
from daemon.config.linking import Linking
from daemon.config.plugin_types import Unlinked
from daemon.config.schema import ServiceKeys
from daemon.engine.topology import circles, upstream_of
from daemon.errors import HealdError
from daemon.model.service import RunBy, Service
from daemon.protocols import ServiceManager


@dataclass(slots=True, kw_only=True)
class Services:
    """The services of a file, as far as they could be linked."""

    named: Mapping[str, Node]  # every one that the file names, in its order
    services: dict[str, Service] = field(default_factory=dict)  # those without a problem of their own
    managers: dict[str, ServiceManager] = field(default_factory=dict)
    targets: Mapping[str, ServiceManager] = field(default_factory=dict)  # and stand-ins for those with a problem
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)  # of every named service that has any
    upstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def link_services(linking: Linking) -> Services:
    """Link every service; what is wrong is reported."""
    nodes = linking.section("services", "service", "{api: {depends_on: [db]}}")
    linked = Services(named=nodes)
    depends_on: dict[str, list[str]] = {}
    for name, node in nodes.items():
        breathe()
        path = join("services", name)
        linking.check_name(node, path, name, "service")
        if "labels" in node.entries:
            linked.labels[name] = labels_of(node.entries["labels"])
        service = _service(linking, name, node, path, linked)
        needed = node.entries.get("depends_on")
        depends_on[name] = linking.names(needed, join(path, "depends_on"), "service", linked.named) if service else []
    for circle in circles(depends_on):
        node = nodes[circle[0]].entries["depends_on"]
        at = next(place for place, item in enumerate(node.items) if item.text == circle[1])
        path = f"{join(join('services', circle[0]), 'depends_on')}[{at}]"
        said = f"a circle: {' → '.join(circle)}; a service cannot need itself, so leave one of them out"
        linking.add(node.items[at].place, path, said)
    _refuse_idle_limits(linking, nodes, linked)
    linked.upstream = upstream_of(depends_on)
    broken = nodes.keys() - linked.services.keys()
    linked.targets = {**linked.managers, **{name: Unlinked(resource=f"unlinked:{name}") for name in sorted(broken)}}
    return linked


def labels_of(node: Node) -> dict[str, str]:
    """The words of `labels` as they are written, whatever is wrong beside them."""
    return {key: child.text for key, child in node.entries.items()}


def _service(linking: Linking, name: str, node: Node, path: str, linked: Services) -> Service | None:
    read = linking.reader.keys(ServiceKeys, node, path, omit=["run_by"])
    keys = read.model
    run_by_node = node.entries.get("run_by")
    run_by = _run_by(linking, run_by_node, join(path, "run_by")) if run_by_node else None
    if run_by_node is None and "limit" in node.entries:
        place = node.entries["limit"].key
        said = (
            "a limit has no effect on a service without run_by, which nothing can touch; write run_by or leave it out"
        )
        linking.add(place, join(path, "limit"), said)
    if keys is None:
        return None
    service = Service(
        name=name,
        depends_on=tuple(dict.fromkeys(keys.depends_on)),
        run_by=run_by,
        limit=tuple(keys.limit) if keys.limit is not None else None,
        runbook=keys.runbook,
        min_healthy=float(keys.min_healthy.removesuffix("%")) if keys.min_healthy is not None else None,
        min_healthy_percent=keys.min_healthy is not None and keys.min_healthy.endswith("%"),
        conflicts=tuple(keys.conflicts),
        labels=keys.labels,
    )
    if read.wrong or (run_by_node is not None and run_by is None):
        return service  # not linked: what would touch it cannot be judged
    linked.services[name] = service
    if run_by is not None and run_by_node is not None:
        _bind(linking, service, run_by, join(path, "run_by"), run_by_node, linked)
    return service


def _run_by(linking: Linking, node: Node, path: str) -> RunBy | None:
    if not linking.reader.is_mapping(node, path):
        return None
    chosen = linking.plugin_key(node, path, "managers", "manager", None)
    if chosen is None:
        return None
    name, options_node = chosen
    options = linking.options(linking.types.managers[name].options, options_node, join(path, name))
    return RunBy(manager=name, options=options) if options is not None else None


def _bind(linking: Linking, service: Service, run_by: RunBy, path: str, node: Node, linked: Services) -> None:
    try:
        manager = linking.types.managers[run_by.manager].bind(run_by.options, service, linking.node)
    except HealdError as error:
        del linked.services[service.name]
        where = node.entries[run_by.manager]
        linking.add(where.key, join(path, run_by.manager), linking.reader.without_secrets(str(error), where))
    else:
        linked.managers[service.name] = manager


def _refuse_idle_limits(linking: Linking, nodes: Mapping[str, Node], linked: Services) -> None:
    """One thing run as two services has one limit."""
    first: dict[str, str] = {}
    for name, manager in linked.managers.items():
        if linked.services[name].limit is None:
            continue
        if manager.resource in first:
            path = join(join("services", name), "limit")
            other = first[manager.resource]
            said = f"this limit has no effect, as service {other} is the same thing and has one; leave one of them out"
            linking.add(nodes[name].entries["limit"].key, path, said)
        first.setdefault(manager.resource, name)
