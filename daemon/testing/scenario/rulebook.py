"""The rules that scenarios test: each file read once, with every reference in it made up."""

from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.document import Document, Node, place_in
from daemon.config.load import ConfigError, load
from daemon.config.placeholders import Placeholders
from daemon.config.problems import Problem
from daemon.config.setup import Setup, Types
from daemon.testing.scenario.names import NODE


@dataclass(kw_only=True, slots=True)
class Rulebook:
    """Rules by where they stand; `problems` are those of the files."""

    types: Types | None = None  # the plug-ins, by default all that are found
    problems: list[Problem] = field(default_factory=list)
    _files: dict[Path, Setup | None] = field(default_factory=dict)
    _texts: dict[str, Setup] = field(default_factory=dict)

    def of(self, document: Document, node: Node, path: str, *, is_text: bool) -> Setup | None:
        """The rules of the file that a value names, or of the value itself; None if that is reported."""
        return self._text(document, node, path) if is_text else self._file(document, node, path)

    def _file(self, document: Document, node: Node, path: str) -> Setup | None:
        file = document.path.parent / node.text
        if not file.exists():
            document.report.add(node.place, path, f"there is no file {file}; a path is from the folder of this file")
            return None
        if file not in self._files:
            try:
                self._files[file] = self._load(file)
            except ConfigError as error:
                self._files[file] = None
                self.problems += error.problems
        return self._files[file]

    def _text(self, document: Document, node: Node, path: str) -> Setup | None:
        if node.text not in self._texts:
            try:
                self._texts[node.text] = self._load(document.path, node.text)
            except ConfigError as error:
                starts = [0]
                for line in node.text.split("\n"):
                    starts.append(starts[-1] + len(line) + 1)
                self.problems += [it for it in error.problems if it.file != str(document.path)]  # of what it includes
                for it in error.problems:
                    if it.file != str(document.path):
                        continue
                    offset = min(starts[it.line - 1] + it.column - 1, len(node.text))
                    inside = f"{path}.{it.path}" if it.path != "." else path
                    document.report.add(place_in(document.report, node, offset), inside, it.text)
                return None
        return self._texts[node.text]

    def _load(self, file: Path, text: str | None = None) -> Setup:
        return load(file, node=NODE, types=self.types, text=text, secrets=Placeholders(folder=file.parent))
