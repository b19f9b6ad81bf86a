"""Reads a rules file: the whole configuration, or every error in it."""

import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.config.discover import discover_types
from daemon.config.document import Document, Node, parse_document
from daemon.config.link_checks import link_checks
from daemon.config.link_connections import link_connections
from daemon.config.link_maintenance import link_maintenance
from daemon.config.link_rules import link_rules
from daemon.config.link_services import link_services
from daemon.config.linking import Linking
from daemon.config.problems import ConfigError
from daemon.config.reading import read_text
from daemon.config.schema import FileKeys, SettingsKeys
from daemon.config.secrets import Secrets
from daemon.config.setup import Setup, Types
from daemon.config.validation import Reader
from daemon.config.wording import found
from daemon.model.masks import Masks
from daemon.model.settings import Mode, Settings, StormSettings

VERSION = 1
"""The version of the file's format that is read."""
_SECTIONS = ("settings", "connections", "services", "checks", "maintenance", "rules")

__all__ = ["ConfigError", "load"]


def load(path: Path, *, node: str | None = None, types: Types | None = None) -> Setup:
    """Read a rules file.

    Args:
        path: the file; references to other files are relative to its folder.
        node: this host's name, by default the system's.
        types: the plug-ins, by default all that are found.

    Raises:
        ConfigError: every problem of the file, in the file's order.
    """
    types = types or discover_types()
    with _no_collector():
        document = parse_document(path, read_text(path))
        reader = Reader(document, Secrets(folder=path.parent))
        setup = _link(document, Linking(reader=reader, types=types, node=node or socket.gethostname()))
    document.report.finish()
    return setup


@contextmanager
def _no_collector() -> Iterator[None]:
    """A file of thousands of rules is all live objects: the collector would look through them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _link(document: Document, linking: Linking) -> Setup:
    root = document.root
    if not isinstance(root.value, dict):
        said = f"found {found(root, is_secret=False)}; expected a mapping that begins with version: {VERSION}"
        linking.add(root.place, ".", said)
        document.report.finish()
    keys = linking.reader.keys(FileKeys, root, ".", omit=_SECTIONS).model
    if keys is not None and keys.version != VERSION:
        said = f"found version {keys.version}; this heald reads version {VERSION}"
        linking.add(root.entries["version"].place, "version", said)
    settings = _settings(linking, root)
    link_connections(linking, root)
    services = link_services(linking, root)
    checks = link_checks(linking, root, services)
    rules = link_rules(linking, root, checks, services)
    return Setup(
        path=document.path,
        settings=settings,
        services=services.services,
        managers=services.managers,
        upstream=services.upstream,
        checks=checks.checks,
        rules=rules,
        types=linking.types,
        windows=link_maintenance(linking, root),
        connections=linking.connections.connections,
        secret_variables=frozenset(linking.reader.secrets.withheld),
        masks=Masks(linking.reader.secrets.guarded),
    )


def _settings(linking: Linking, root: Node) -> Settings:
    node = root.entries.get("settings")
    if node is None or not linking.section(root, "settings", "{mode: observe}"):
        return Settings()
    read = linking.reader.keys(SettingsKeys, node, "settings")
    keys = read.model or SettingsKeys()
    names = node.entries.get("allow") if "allow" not in read.wrong else None
    allowed = linking.names(names, "settings.allow", "remediation", linking.types.remediations)
    tests = node.entries.get("self_test") if "self_test" not in read.wrong else None
    checks = root.entries.get("checks")
    return Settings(
        self_test=tuple(linking.names(tests, "settings.self_test", "check", tuple(checks.entries if checks else ()))),
        mode=Mode(keys.mode),
        allow=frozenset(allowed),
        budget=tuple(keys.budget),
        storm=StormSettings(share=keys.storm.share, quiet=keys.storm.quiet) if keys.storm else None,
        conflicts=tuple(keys.conflicts),
        escalate_after=keys.escalate_after,
        startup_grace=keys.startup_grace,
        shutdown_grace=keys.shutdown_grace,
        concurrency=keys.concurrency,
        history_for=keys.history.for_,
        history_size=int(keys.history.size),
        listen=keys.listen,
    )
