"""The kill switch: a file in the state directory. While it is there, nothing is acted on."""

import json
from dataclasses import dataclass

FILE = "pause"
"""Its name. Whoever can write the state directory can make it, with or without a text."""
_LONGEST = 500  # characters of a text that is not ours


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Who paused all acting, and why."""

    why: str
    who: str
    at: str | None = None  # ISO 8601; None: nobody wrote it down

    def text(self) -> str:
        """What the file holds."""
        return json.dumps({"why": self.why, "who": self.who, "at": self.at}) + "\n"


def parse_pause(text: str) -> Pause:
    """What a file says, however it was made."""
    try:
        content = json.loads(text)
        return Pause(why=str(content["why"]), who=str(content["who"]), at=str(content["at"]))
    except (ValueError, KeyError, TypeError):
        return Pause(why=text.strip()[:_LONGEST] or "the file is there", who="whoever made the file")
