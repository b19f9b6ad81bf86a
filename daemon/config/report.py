"""Collects every problem of one file, so that all are said at once."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.problems import ConfigError, Problem
from daemon.config.reading import BREAK


@dataclass(slots=True)
class Report:
    """The problems found so far; of several at one place and path the first counts."""

    path: Path
    text: str
    _found: dict[tuple[tuple[int, int], str], str] = field(default_factory=dict)
    _secret: list[tuple[int, int]] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def add(self, place: tuple[int, int], path: str, text: str) -> None:
        """Note a problem at a 1-based line and column."""
        self._found.setdefault((place, path), text)

    def hide(self, span: tuple[int, int]) -> None:
        """Never show this part of the text: it is a secret that stands in the file."""
        self._secret.append(span)

    def place(self, index: int) -> tuple[int, int]:
        """The 1-based line and column of a 0-based index of the text."""
        if not self._starts:
            self._starts = [0, *(found.end() for found in BREAK.finditer(self.text))]
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not self._found

    def finish(self) -> None:
        """Raises ConfigError if there is a problem."""
        if self._found:
            raise ConfigError(self._problems())

    def _problems(self) -> Sequence[Problem]:
        lines = BREAK.split(self._masked())
        return [
            Problem(
                file=str(self.path),
                line=line,
                column=column,
                path=path,
                text=text,
                source=lines[line - 1] if line <= len(lines) else "",
            )
            for ((line, column), path), text in sorted(self._found.items(), key=lambda found: found[0][0])
        ]

    def _masked(self) -> str:
        if not self._secret:
            return self.text
        signs = list(self.text)
        for start, end in self._secret:
            signs[start:end] = [sign if sign in "\r\n" else "*" for sign in signs[start:end]]
        return "".join(signs)
