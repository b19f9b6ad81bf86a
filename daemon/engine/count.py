"""Functions that ask about runs: `has age unchanged count_of`.

A ring of count_of is a tuple of strings, as the store keeps it: the inner condition's text, then one entry per run,
the newest last. An entry is a letter and the run's end in steady seconds, `B 1234.5`: B breached, C clear, U unknown;
small letters where the run was blind and only other checks or age() decided.
"""

from daemon.engine.expression import Judge, Node, Why, stands
from daemon.engine.references import Reference
from daemon.engine.values import Value
from daemon.engine.view import ALWAYS, View
from daemon.model.check import Dimension

Ring = tuple[str, ...]


class Has(Node):
    """Whether a sample is not missing; UNKNOWN where nobody looked."""

    def __init__(self, text: str, start: int, end: int, reference: Reference) -> None:
        super().__init__(text, start, end, Dimension.BOOLEAN, reference.has)
        self.adopt([reference])

    def whys(self, view: View) -> list[Why]:
        """Why nobody looked."""
        return [(self.text, why) for child in self.children for _, why in child.whys(view)]


class Age(Node):
    """Seconds since the rule's own check last could look."""

    is_foreign = True  # it is what a blind run leaves to judge by

    def __init__(self, text: str, start: int, end: int) -> None:
        super().__init__(text, start, end, Dimension.SECONDS, _age)

    def whys(self, view: View) -> list[Why]:
        """It never could."""
        return [(self.text, "the check never could look" + (f": {view.blind}" if view.blind else ""))]


def _age(view: View) -> Value:
    looked = view.observations.looked_at(view.check)
    return None if looked is None else max(0.0, view.now - looked)


class Unchanged(Node):
    """Seconds since the first run of a sample's present value."""

    def __init__(self, text: str, start: int, end: int, reference: Reference) -> None:
        super().__init__(text, start, end, Dimension.SECONDS, _unchanged(reference))
        self.adopt([reference])
        self.reference = reference

    def whys(self, view: View) -> list[Why]:
        """Why there is no present value."""
        if self.reference.value(view) is None:
            return self.reference.whys(view)
        return [(self.text, "no run of its present value is remembered")]


def _unchanged(reference: Reference) -> Judge:
    def value(view: View) -> Value:
        if reference.value(view) is None:
            return None
        since = reference.since(view)
        return None if since is None else max(0.0, view.now - since)

    return value


class CountOf(Node):
    """Whether a condition breached in at least `least` of the last `most` runs."""

    index = 0  # its place among the rings of the whole condition

    def __init__(self, text: str, start: int, end: int, condition: Node, least: int, most: int) -> None:
        super().__init__(text, start, end, Dimension.BOOLEAN, self._value)
        self.adopt([condition])
        self._condition = condition
        self._least = least
        self.most = most

    def append(self, view: View, ring: Ring) -> Ring:
        """The ring with this run in it. One that belongs to another condition starts anew."""
        condition, now = self._condition, view.now
        entries = ring[1:] if ring and ring[0] == condition.text else ()
        if entries and _time(entries[-1]) > now:  # of an earlier boot: runs all the same, but before any floor
            entries = tuple(f"{entry[0]} {ALWAYS}" for entry in entries)
        verdict = condition.value(view)
        if verdict is not None and not stands(condition, view):
            verdict = None
        letter = "U" if verdict is None else "B" if verdict else "C"
        if view.blind is not None and verdict is not None:
            letter = letter.lower()
        return (condition.text, *entries[max(0, len(entries) + 1 - self.most) :], f"{letter} {now!r}")

    def _letters(self, view: View) -> str:
        """The last runs, newest last, as B, C and U: U for those that were unknown or do not count as known here."""
        entries = view.memory[self.index][1:] if self.index < len(view.memory) else ()
        if view.floor > ALWAYS:
            letters = [entry[0] if _time(entry) > view.floor else "U" for entry in entries]
        else:
            letters = [entry[0] for entry in entries]
        if view.blind is not None and self._condition.is_own:
            letters = [letter if letter.islower() else "U" for letter in letters]
        return "".join(letters).upper()[-self.most :].rjust(self.most, "U")

    def _value(self, view: View) -> Value:
        letters = self._letters(view)
        breached = letters.count("B")
        if breached >= self._least:
            return True
        return False if breached + letters.count("U") < self._least else None

    def _tally(self, view: View) -> str:
        letters = self._letters(view)
        breached, clear, unknown = (letters.count(letter) for letter in "BCU")
        return f"of the last {self.most} runs {breached} breached, {clear} clear, {unknown} unknown"

    def because(self, view: View) -> list[str]:
        """The value, and how the runs were."""
        return [f"{self.shown(view)} ({self._tally(view)})"]

    def whys(self, view: View) -> list[Why]:
        """How the runs were, and what was missing in this one."""
        this = self._condition.whys(view) if self._condition.value(view) is None else []
        return [(self.text, self._tally(view)), *this]


def _time(entry: str) -> float:
    return float(entry[2:])
