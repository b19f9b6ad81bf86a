"""Collects every problem of a rules file and of those that it includes, so that all are said at once."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.problems import ConfigError, Problem
from daemon.config.reading import BREAK

Spot = tuple[int, int, int]
"""1-based line and column, and the file's place in the order in which files were opened."""


@dataclass(slots=True)
class _File:
    """One file's text, and what of it is never shown."""

    path: Path
    text: str
    secret: list[tuple[int, int]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The lines as they may be shown."""
        if not self.secret:
            return BREAK.split(self.text)
        signs = list(self.text)
        for start, end in self.secret:
            signs[start:end] = [sign if sign in "\r\n" else "*" for sign in signs[start:end]]
        return BREAK.split("".join(signs))


@dataclass(slots=True)
class Report:
    """The problems found so far; of several at one place and path the first counts."""

    _files: list[_File] = field(default_factory=list)
    _found: dict[tuple[Spot, str], str] = field(default_factory=dict)
    _whole: list[Problem] = field(default_factory=list)  # of files that could not be read at all

    def open(self, path: Path, text: str) -> int:
        """Take a file in; returns its place in the order of files."""
        self._files.append(_File(path, text))
        return len(self._files) - 1

    def add(self, place: Spot, path: str, text: str) -> None:
        """Note a problem at a place."""
        self._found.setdefault((place, path), text)

    def add_unreadable(self, error: ConfigError) -> None:
        """Note that a file could not be read: its problems are located already."""
        self._whole += error.problems

    def hide(self, span: tuple[int, int], file: int) -> None:
        """Never show this part of a file's text: it is a secret that stands there."""
        self._files[file].secret.append(span)

    def text(self, file: int) -> str:
        """A file's text."""
        return self._files[file].text

    def path(self, file: int) -> Path:
        """A file's path, as it was named."""
        return self._files[file].path

    def place(self, index: int, file: int) -> tuple[int, int]:
        """The 1-based line and column of a 0-based index of a file's text."""
        of = self._files[file]
        if not of.starts:
            of.starts = [0, *(found.end() for found in BREAK.finditer(of.text))]
        line = bisect_right(of.starts, index)
        return line, index - of.starts[line - 1] + 1

    def shown(self, place: Spot) -> str:
        """A place for a sentence about another one: FILE:LINE."""
        return f"{self._files[place[2]].path}:{place[0]}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not self._found and not self._whole

    def finish(self) -> None:
        """Raises ConfigError if there is a problem."""
        if not self.is_empty:
            raise ConfigError(self._problems())

    def _problems(self) -> Sequence[Problem]:
        lines = {file: self._files[file].lines() for file in {place[2] for place, _ in self._found}}
        found = sorted(self._found.items(), key=lambda it: (it[0][0][2], it[0][0]))
        located = [
            Problem(
                file=str(self._files[file].path),
                line=line,
                column=column,
                path=path,
                text=text,
                source=lines[file][line - 1] if line <= len(lines[file]) else "",
            )
            for ((line, column, file), path), text in found
        ]
        return [*located, *self._whole]
