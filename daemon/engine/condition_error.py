"""What is wrong with a condition, where, and how to write it."""

import difflib
from collections.abc import Iterable

from daemon.errors import HealdError

_WIDEST = 160  # characters of a line that are shown


class ConditionError(HealdError):
    """A condition that cannot be used: raised when it is compiled, never when it is judged.

    Args:
        message: what was found, and what is allowed.
        text: the whole condition.
        position: 0-based offset of the offending character in `text`; its length where the text ends too early.
        hint: how to write it, or what was probably meant; may be empty.
    """

    def __init__(self, message: str, *, text: str, position: int, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.text = text
        self.position = position
        self.hint = hint

    def render(self) -> str:
        """The line of the condition that is meant, or the part of it around the place; a caret; place and sentence."""
        start = self.text.rfind("\n", 0, self.position) + 1
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")
        column = self.position - start
        first = max(0, column - _WIDEST // 2) if len(line) > _WIDEST else 0
        shown = "".join(character if character.isprintable() else " " for character in line[first : first + _WIDEST])
        number = self.text.count("\n", 0, start) + 1
        place = f"line {number}, column {column + 1}" if "\n" in self.text else f"column {column + 1}"
        return f"{shown}\n{' ' * (column - first)}^\n{place}: {self}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the nearest of the known names, or nothing if none is near."""
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]}?" if near else ""
