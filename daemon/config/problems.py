"""What is wrong with a file: where, and in words."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.errors import HealdError

_WIDEST = 160  # characters of a source line that are shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One error of a file, located."""

    file: str  # as it was named
    line: int  # 1-based
    column: int  # 1-based, in characters
    path: str  # such as rules.api-down.steps[0].restart; "." is the file as a whole
    text: str  # what was found; what is allowed; did you mean
    source: str = ""  # the line as it stands in the file, without secrets; "" where there is none

    def __str__(self) -> str:
        return f"{_clean(self.file)}:{self.line}:{self.column}: {_clean(self.path)}: {_clean(self.text)}"

    def render(self) -> str:
        """The sentence, the line of the file and a caret under the place."""
        if not self.source.strip():
            return str(self)
        place = self.column - 1
        first = max(0, place - _WIDEST // 2) if len(self.source) > _WIDEST else 0
        shown = _visible(self.source[first : first + _WIDEST])
        before = shown[: place - first]
        gap = "".join("\t" if sign == "\t" else " " * _width(sign) for sign in before) + " " * (
            place - first - len(before)
        )
        return f"{self}\n    {shown}\n    {gap}^"


class ConfigError(HealdError):
    """A file that cannot be used. Its text is every problem on a line of its own."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def render(self) -> str:
        """Every problem with its line of the file and a caret."""
        return "\n".join(problem.render() for problem in self.problems)


def _clean(text: str) -> str:
    """On one line, and without what would steer a terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _visible(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign == "\t" else "\ufffd" for sign in text)


def _width(sign: str) -> int:
    """Columns of a terminal that a character takes (Unicode Standard Annex 11)."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
