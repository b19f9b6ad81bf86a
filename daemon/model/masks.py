"""The values of secrets, so that nothing which repeats one is recorded: a command may print what it was given."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_SHORTEST = 4  # characters; what is shorter is in half of all words, and nothing would be left to read
MASK = "**********"


class Masks:
    """Takes secrets out of what plug-ins say. False if there are none."""

    __slots__ = ("_pattern",)

    def __init__(self, values: Iterable[str] = ()) -> None:
        long = sorted({value for value in values if len(value) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, long))) if long else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __repr__(self) -> str:
        return f"Masks({'some' if self else 'none'})"

    def text(self, text: str) -> str:
        """The text with stars for each secret in it."""
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def values(self, value: Any) -> Any:
        """JSON values with stars for each secret in their texts, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.values(key): self.values(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(inner) for inner in value]
        return value
