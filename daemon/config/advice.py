"""Advice on a valid file: where it belongs, how it is silenced, and what every piece of it may look at."""

import re
from dataclasses import dataclass, field

from daemon.config.document import Document, Node, Place
from daemon.config.problems import Problem
from daemon.config.reading import BREAK
from daemon.config.setup import Setup

CODES = {
    "never-fires": "A condition that no run can breach.",
    "never-clears": "A condition that every run breaches, or an incident that nothing can close.",
    "short-window": "A window that never holds as many runs as its function needs.",
    "short-for": "`for` is shorter than the interval of a check.",
    "for-over-count": "`for` is asked on top of count_of, which counts runs already.",
    "short-verify": "`verify` is shorter than the interval of a check.",
    "loose-limit": "A limit that is never reached, as another or a cooldown holds before it.",
    "loose-service-limit": "A service's limit that is never reached, as the rules' own limits hold before it.",
    "long-timeout": "A check's `timeout` is longer than its interval.",
    "unused-check": "A check that no rule uses.",
    "unused-connection": "A connection that nobody uses.",
    "unchecked-service": "A service that no check looks at.",
    "stateful-restart": "A stateful service is restarted or stopped without a person's approval.",
}
"""Every code with its meaning: operators' files name them, so they stay."""
_IGNORE = re.compile(r"#\s*heald:\s*ignore\s+([a-z-]+(?:\s*,\s*[a-z-]+)*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """One piece of advice, located."""

    code: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.problem} [{self.code}]"


@dataclass(slots=True)
class Notes:
    """What is said of one valid file, and of those that it includes."""

    setup: Setup
    documents: tuple[Document, ...]
    _found: dict[tuple[Place, str, str], Advice] = field(default_factory=dict)  # of several in one place the first

    def node(self, *keys: str) -> Node | None:
        """What stands under these keys; None if the file does not say it."""
        for document in self.documents:
            node: Node | None = document.root
            for key in keys:
                node = node.entries.get(key) if node is not None else None
            if node is not None:
                return node
        return None

    def add(self, code: str, place: Place, path: str, text: str) -> None:
        """Note a piece of advice, unless a comment at its place or right above it silences it."""
        report, key = self.documents[0].report, (place, path, code)
        if code in _ignored(report.text(place.file), place.line):
            return
        said, file = self.setup.masks.text(text), str(report.path(place.file))
        problem = Problem(file=file, line=place.line, column=place.column, path=path, text=said)
        self._found.setdefault(key, Advice(code=code, problem=problem))

    def sorted(self) -> list[Advice]:
        """All of it, in the order of the files."""
        return [it for _, it in sorted(self._found.items(), key=lambda pair: (pair[0][0].file, pair[0]))]


def _ignored(text: str, line: int) -> set[str]:
    """The codes that comments silence on a line: at its end, or on a line of their own right above it."""
    lines = BREAK.split(text)
    here = lines[line - 1] if line <= len(lines) else ""
    above = lines[line - 2] if line >= 2 else ""
    comments = [here, *([above] if above.lstrip().startswith("#") else [])]
    found = (match for comment in comments for match in _IGNORE.finditer(comment))
    return {code.strip() for match in found for code in match[1].split(",")}
