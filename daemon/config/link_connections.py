"""`connections`: the clients that checks, managers and remediations share."""

from daemon.config.document import join
from daemon.config.linking import Linking
from daemon.config.schema import ConnectionKeys
from daemon.config.shapes import fields_of
from daemon.model.connection import Connection


def link_connections(linking: Linking) -> None:
    """Link every connection; what is wrong is reported."""
    nodes = linking.section("connections", "connection", "{shop_db: {postgres: {dsn: ...}}}")
    linked = linking.connections
    for name, node in nodes.items():
        path = join("connections", name)
        linking.check_name(node, path, name, "connection")
        linked.kinds[name] = None
        if not linking.reader.is_mapping(node, path):
            continue
        others = [key for key in node.entries if key not in fields_of(ConnectionKeys)]
        keys = linking.reader.keys(ConnectionKeys, node, path, omit=others).model or ConnectionKeys()
        chosen = linking.plugin_key(node, path, "connections", "kind of connection", ConnectionKeys)
        if chosen is None:
            continue
        kind, options_node = chosen
        linked.kinds[name] = kind
        lacks: list[str] | None = [] if keys.optional else None
        model = linking.types.connections[kind].options
        options = linking.reader.options(model, options_node, join(path, kind), lacks=lacks)
        if options is not None or lacks:
            linked.connections[name] = Connection(
                name=name, kind=kind, options=options, lacks="; ".join(lacks) if lacks else None
            )
