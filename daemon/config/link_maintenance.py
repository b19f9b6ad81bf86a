"""`maintenance`: windows of planned work, and what they cover."""

from daemon.config.document import Node, join
from daemon.config.linking import Linking
from daemon.config.schema import MaintenanceKeys
from daemon.model.order import Window


def link_maintenance(linking: Linking) -> tuple[Window, ...]:
    """Link every window; what is wrong is reported."""
    example = '{weekly: {cron: "0 3 * * SUN", lasts: 2h, services: [db]}}'
    windows = []
    for name, node in linking.section("maintenance", "maintenance window", example).items():
        path = join("maintenance", name)
        linking.check_name(node, path, name, "maintenance window")
        keys = linking.reader.keys(MaintenanceKeys, node, path).good
        if keys is None:
            continue
        named = {kind: _names(linking, node, path, kind) for kind in ("services", "checks", "rules")}
        if not any((keys.services, keys.checks, keys.rules, keys.labels, keys.all)):
            said = "it covers nothing; write services, checks, rules or labels, or all: true for everything"
            linking.add(node.key, path, said)
            continue
        if keys.all and any((*named.values(), keys.labels)):
            said = "all has no effect beside what is named, as it covers that too; leave one of them out"
            linking.add(node.entries["all"].key, join(path, "all"), said)
            continue
        windows.append(
            Window(
                name=name,
                cron=keys.cron,
                lasts=keys.lasts,
                zone=keys.zone,
                rules=named["rules"],
                checks=named["checks"],
                services=named["services"],
                labels=keys.labels,
                is_for_all=keys.all,
            )
        )
    return tuple(windows)


def _names(linking: Linking, node: Node, path: str, kind: str) -> tuple[str, ...]:
    sections = [root.entries[kind] for root in linking.roots if kind in root.entries]
    known = tuple(name for section in sections for name in section.entries)
    return tuple(linking.names(node.entries.get(kind), join(path, kind), kind.removesuffix("s"), known))
