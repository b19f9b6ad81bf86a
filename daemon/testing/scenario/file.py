"""Reads a file of scenarios: all of it, or every error in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config.discover import discover_types
from daemon.config.document import Document, Node, join, parse_document
from daemon.config.linking import Linking
from daemon.config.load import no_collector
from daemon.config.problems import ConfigError
from daemon.config.reading import read_text
from daemon.config.scenario_schema import FileKeys, ScenarioKeys
from daemon.config.secrets import Secrets
from daemon.config.setup import Setup
from daemon.config.validation import Reader
from daemon.config.wording import found
from daemon.model.settings import Mode
from daemon.model.units import format_duration
from daemon.testing.scenario.effects import read_changes, read_effects
from daemon.testing.scenario.events import check_names, read_events
from daemon.testing.scenario.expect import read_expectations
from daemon.testing.scenario.model import Event, Scenario
from daemon.testing.scenario.names import NODE, Names, Scene
from daemon.testing.scenario.readings import read_readings
from daemon.testing.scenario.rulebook import Rulebook

VERSION = 1
"""The version of the format that is read."""
AFTERWARDS = 600.0
"""Seconds that a scenario goes on after the last thing that is named, where it does not say how long it lasts."""
_PARTS = ("readings", "effects", "events", "expect")


def read_scenarios(path: Path, rulebook: Rulebook | None = None) -> Sequence[Scenario]:
    """Read a file of scenarios and the rules that it tests, which `rulebook` keeps for other files.

    Raises:
        ConfigError: every problem of the file, and of the rules that it names.
    """
    rulebook = rulebook or Rulebook()
    before = len(rulebook.problems)
    with no_collector():
        document = parse_document(path, read_text(path))
        scenarios = _File(document, rulebook).read()
    problems = list(rulebook.problems[before:])
    try:
        document.report.finish()
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return scenarios


@dataclass(slots=True)
class _File:
    """One file while it is read."""

    document: Document
    rulebook: Rulebook
    known: dict[tuple[int, ...], Names] = field(default_factory=dict)  # by the configurations, which live as long
    modes: dict[tuple[int, Mode], Setup] = field(default_factory=dict)

    def read(self) -> Sequence[Scenario]:
        root = self.document.root
        types = self.rulebook.types or discover_types()
        reader = Reader(self.document.report, [Secrets(folder=self.document.path.parent)])
        linking = Linking(reader=reader, types=types, node=NODE, roots=[root])
        if not isinstance(root.value, dict):
            said = f"found {found(root, is_secret=False)}; expected a mapping that begins with version: {VERSION}"
            linking.add(root.place, ".", said)
            return ()
        keys = reader.keys(FileKeys, root, ".", omit=["scenarios", "rules_text"]).model
        if keys is not None and keys.version != VERSION:
            said = f"found version {keys.version}; this heald reads version {VERSION} of scenarios"
            linking.add(root.entries["version"].place, "version", said)
        setup = self._rules(linking, root)
        nodes = Scene(linking=linking).entries(
            root.entries.get("scenarios", Node(value=None, place=root.place, key=root.place)),
            "scenarios",
            "{api goes down: {expect: [...]}}",
        )
        read = [self._scenario(linking, name, node, setup) for name, node in nodes.items()]
        return [scenario for scenario in read if scenario is not None]

    def _rules(self, linking: Linking, root: Node) -> Setup | None:
        keys = [key for key in ("rules", "rules_text") if key in root.entries]
        if not keys:
            linking.add(root.place, ".", "the file names no rules; write rules: FILE or rules_text: |")
        elif len(keys) == 2:
            said = "rules and rules_text are both here; write one of them"
            linking.add(root.entries["rules_text"].key, "rules_text", said)
        else:
            return self._named(root.entries[keys[0]], keys[0], keys[0])
        return None

    def _named(self, node: Node, path: str, key: str) -> Setup | None:
        if not isinstance(node.value, str) or not node.value:
            said = f"found {found(node, is_secret=False)}; expected text"
            self.document.report.add(node.key if node.value is None else node.place, path, said)
            return None
        return self.rulebook.of(self.document, node, path, is_text=key == "rules_text")

    def _scenario(self, linking: Linking, name: str, node: Node, setup: Setup | None) -> Scenario | None:
        path, scene = join("scenarios", name), Scene(linking=linking)
        read = linking.reader.keys(ScenarioKeys, node, path, omit=_PARTS)
        keys = read.model
        if keys is None:
            return None
        parts = {part: (node.entries.get(part), join(path, part)) for part in _PARTS}
        mode = Mode(keys.mode) if keys.mode is not None else None

        def rules(value: Node, at: str, key: str) -> Setup | None:
            return self._in_mode(self._named(value, at, key), mode)

        setup = self._in_mode(setup, mode)
        events = read_events(scene, *parts["events"], rules)
        brought = [it for _, it in events if it is not None]
        scene.names = self._names_of([setup, *brought]) if setup is not None else None
        readings = read_readings(scene, *parts["readings"])
        read_changes(scene, parts["effects"][0], parts["effects"][1])
        scene.resources = scene.names.resources(scene.subjects) if scene.names is not None else []
        check_names(scene, *parts["events"])
        deeds = read_effects(scene, *parts["effects"])
        expected = read_expectations(scene, *parts["expect"], self.document.report.text(0))
        lasts = self._lasts(scene, keys, node, path, [event for event, _ in events])
        if setup is None or read.wrong:
            return None
        return Scenario(
            file=self.document.path,
            name=name,
            place=node.key,
            setup=setup,
            start=keys.start,
            lasts=lasts,
            readings=readings,
            deeds=deeds,
            events=[event for event, _ in events],
            expected=expected,
        )

    def _lasts(self, scene: Scene, keys: ScenarioKeys, node: Node, path: str, events: Sequence[Event]) -> float:
        """How long the scenario goes on; what comes after its end is reported."""
        if keys.lasts is None:
            named = [*(seconds for seconds, _, _ in scene.times), *(it.at + it.down for it in events)]
            return max(named, default=0.0) + AFTERWARDS
        scene.refuse_later(keys.lasts)
        ups = [it.at + it.down for it in events if it.at <= keys.lasts < it.at + it.down]
        if ups:
            said = f"heald comes up again only at {format_duration(max(ups))}, after the end; make lasts longer"
            scene.add(node.entries["lasts"].place, join(path, "lasts"), said)
        return keys.lasts

    def _names_of(self, setups: Sequence[Setup]) -> Names:
        key = tuple(id(setup) for setup in setups)
        if key not in self.known:
            self.known[key] = Names(setups)
        return self.known[key]

    def _in_mode(self, setup: Setup | None, mode: Mode | None) -> Setup | None:
        if setup is None or mode is None or setup.settings.mode is mode:
            return setup
        key = (id(setup), mode)
        if key not in self.modes:
            self.modes[key] = replace(setup, settings=replace(setup.settings, mode=mode))
        return self.modes[key]
