"""Reads a rules file: the whole configuration, or every error in it."""

import gc
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon.config.breath import breathe
from daemon.config.discover import discover_types
from daemon.config.document import Document, Node
from daemon.config.including import read_files
from daemon.config.link_checks import link_checks
from daemon.config.link_connections import link_connections
from daemon.config.link_defaults import link_defaults
from daemon.config.link_maintenance import link_maintenance
from daemon.config.link_rules import link_rules
from daemon.config.link_services import link_services
from daemon.config.linking import Linking
from daemon.config.problems import ConfigError
from daemon.config.schema import FileKeys, IncludedKeys, SettingsKeys
from daemon.config.secrets import Secrets
from daemon.config.setup import Setup, Types
from daemon.config.validation import Reader
from daemon.config.wording import found
from daemon.model.masks import Masks
from daemon.model.settings import Mode, Settings, StormSettings

VERSION = 1
"""The version of the file's format that is read."""
_PARTS = ("connections", "services", "checks", "maintenance", "rules")
_SECTIONS = ("settings", "defaults", *_PARTS)
_ONLY_IN_MAIN = ("include", "settings", "defaults")
_NO_VARS = (
    "vars are not offered: a text made of pieces cannot be checked where it stands; write keys that many share under "
    "defaults, split the file with include, and take what differs from host to host from ${env:NAME}"
)

__all__ = ["ConfigError", "load"]


def load(
    path: Path,
    *,
    node: str | None = None,
    types: Types | None = None,
    text: str | None = None,
    secrets: Secrets | None = None,
) -> Setup:
    """Read a rules file, and those that it includes.

    Args:
        path: the file; references to other files are relative to its folder.
        node: this host's name, by default the system's.
        types: the plug-ins, by default all that are found.
        text: what stands in the file, where it is not to be read from there.
        secrets: what references stand for, by default what they say.

    Raises:
        ConfigError: every problem of the files, in their order.
    """
    try:
        setup, documents = load_with_text(path, node=node, types=types, text=text, secrets=secrets)
    except ConfigError as error:
        raise error.with_traceback(None) from None  # else all that was read would live as long as the error
    _let_go(documents)
    return setup


def load_with_text(
    path: Path,
    *,
    node: str | None = None,
    types: Types | None = None,
    text: str | None = None,
    secrets: Secrets | None = None,
) -> tuple[Setup, tuple[Document, ...]]:
    """As `load`, with what was read: for who says something of a place in it."""
    types = types or discover_types()
    with no_collector():
        documents = read_files(path, text)
        report = documents[0].report
        main = secrets or Secrets(folder=path.parent)
        beside = [main, *(main.beside(document.path.parent) for document in documents[1:])]
        roots = [document.root for document in documents]
        node = node or socket.gethostname()
        linking = Linking(reader=Reader(report, beside), types=types, node=node, roots=roots)
        setup = _link(documents, linking, main)
    try:
        report.finish()
    except ConfigError:
        _let_go(documents)
        raise
    return setup, tuple(documents)


def _let_go(documents: Sequence[Document]) -> None:
    """Free what was read part by part: all at once that takes long, and nobody else gets the interpreter meanwhile."""
    for document in documents:
        for section in document.root.entries.values():
            while section.entries:
                section.entries.popitem()
                breathe()


@contextmanager
def no_collector() -> Iterator[None]:
    """A file of thousands of rules is all live objects: the collector would look through them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _link(documents: Sequence[Document], linking: Linking, secrets: Secrets) -> Setup:
    root = documents[0].root
    for document in documents:
        _file_keys(linking, document, documents[0])
    settings = _settings(linking, root)
    link_defaults(linking, root)
    link_connections(linking)
    services = link_services(linking)
    checks = link_checks(linking, services)
    rules = link_rules(linking, checks, services, settings)
    return Setup(
        path=documents[0].path,
        included=tuple(document.path for document in documents[1:]),
        settings=settings,
        services=services.services,
        managers=services.managers,
        upstream=services.upstream,
        checks=checks.checks,
        rules=rules,
        types=linking.types,
        windows=link_maintenance(linking),
        connections=linking.connections.connections,
        secret_variables=frozenset(secrets.withheld),
        masks=Masks(secrets.guarded),
    )


def _file_keys(linking: Linking, document: Document, main: Document) -> None:
    """The keys of a file at its top; the parts under them are read one by one."""
    root, is_main = document.root, document is main
    if not isinstance(root.value, dict):
        said = f"found {found(root, is_secret=False)}; expected a mapping that begins with version: {VERSION}"
        linking.add(root.place, ".", said)
        document.report.finish()
    if "vars" in root.entries:
        linking.add(root.entries["vars"].key, "vars", _NO_VARS)
    elsewhere = [] if is_main else [key for key in _ONLY_IN_MAIN if key in root.entries]
    for key in elsewhere:
        said = f"{key} stands only in the file that includes this one, {main.path}; write it there"
        linking.add(root.entries[key].key, key, said)
    model: type[FileKeys | IncludedKeys] = FileKeys if is_main else IncludedKeys
    keys = linking.reader.keys(model, root, ".", omit=[*_SECTIONS, *elsewhere, "vars"]).model
    if keys is not None and keys.version != VERSION:
        said = f"found version {keys.version}; this heald reads version {VERSION}"
        linking.add(root.entries["version"].place, "version", said)


def _settings(linking: Linking, root: Node) -> Settings:
    node = root.entries.get("settings")
    if node is None or not linking.section("settings", "setting", "{mode: observe}", [root]):
        return Settings()
    read = linking.reader.keys(SettingsKeys, node, "settings")
    keys = read.model or SettingsKeys()
    names = node.entries.get("allow") if "allow" not in read.wrong else None
    allowed = linking.names(names, "settings.allow", "remediation", linking.types.remediations)
    tests = node.entries.get("self_test") if "self_test" not in read.wrong else None
    sections = [it.entries["checks"] for it in linking.roots if "checks" in it.entries]
    checks = tuple(name for section in sections for name in section.entries)
    return Settings(
        self_test=tuple(linking.names(tests, "settings.self_test", "check", checks)),
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
        uvloop=keys.uvloop,
    )
