"""What is wrong with a condition, where, and how to write it."""

import difflib
from collections.abc import Iterable

from daemon.errors import HealdError


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
        """The line of the condition that is meant, a caret under the place, and the sentence."""
        start = self.text.rfind("\n", 0, self.position) + 1
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")
        shown = "".join(character if character.isprintable() else " " for character in line)
        return f"{shown}\n{' ' * (self.position - start)}^\n{self}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the nearest of the known names, or nothing if none is near."""
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]}?" if near else ""
