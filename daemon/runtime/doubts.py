"""Open incidents of which nothing is known any more, though their checks can look: people are told."""

from collections.abc import Callable

from daemon.model.incident import HoldReason
from daemon.model.rule import Verdict
from daemon.model.track import Track
from daemon.runtime.board import Board, TrackKey
from daemon.runtime.holds import Holds

BLIND_FOR = 600.0  # seconds without a known run after which people are told (docs/judgement.md)


class Doubts:
    """Since when a condition has been UNKNOWN for want of a value. A check that cannot look is told of as blind."""

    def __init__(self, board: Board, holds: Holds) -> None:
        self._board = board
        self._holds = holds
        self._since: dict[TrackKey, tuple[str, float]] = {}  # by track: its incident, and its first run without a value

    def heard(self, track: Track | None, verdict: Verdict, at: float, sick_upstream: Callable[[], str | None]) -> None:
        """A run that could look ended at `at` (steady seconds), and left the track like this.

        While what it depends on is sick people are told of that; once it is well it must not stay muted for ever.
        """
        if track is None:
            return
        key = (track.rule, track.check, track.subject)
        if track.incident is None or verdict is not Verdict.UNKNOWN:
            self._since.pop(key, None)
            return
        incident, since = self._since.get(key, ("", at))
        if incident != track.incident:
            incident, since = self._since[key] = (track.incident, at)
        if at - since >= BLIND_FOR and incident in self._board.incidents and sick_upstream() is None:
            sentence = "for ten minutes its value has been missing, so nobody can say whether it is well"
            self._holds.tell(self._board.incidents[incident], HoldReason.BLIND_NOW, sentence, though_muted=True)
