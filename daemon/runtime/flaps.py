"""Too many changes: the weighted share of runs that changed, over the last twenty, as Icinga 2 has it."""

from collections.abc import Iterable

from daemon.engine.ladder import is_flapping
from daemon.model.moment import Stamp
from daemon.model.rule import Rule, Verdict
from daemon.model.track import Ladder, Track
from daemon.runtime.board import TrackKey

RUNS = 20
HIGH, LOW = 30.0, 25.0  # percent: above the first it flaps, until it is below the second (Icinga 2, flapping_threshold)
_OLDEST, _WHOLE = 40, 10  # weights in fiftieths: 0.8 for the oldest, 0.02 more for each newer (Icinga 2); exact
_MASK = (1 << RUNS) - 1


class _Ring:
    __slots__ = ("bits", "doubt", "flaps", "last")

    def __init__(self, *, doubt: int = 0) -> None:
        self.doubt = doubt  # known runs to come before its share can deny what flapped before a restart
        self.bits = 0  # the newest run's change is bit 0
        self.last = Verdict.CLEAR
        self.flaps = False

    @property
    def percent(self) -> float:
        """The weighted share of changes, 0 to 100."""
        newest = RUNS - 1
        return sum(_OLDEST + newest - age for age in range(RUNS) if self.bits >> age & 1) / _WHOLE


class Flaps:
    """The changes of every rule x check x subject that was breached lately; the others cost nothing."""

    def __init__(self) -> None:
        self.rings: dict[TrackKey, _Ring] = {}

    def saw(self, key: TrackKey, verdict: Verdict) -> None:
        """Note a known verdict; UNKNOWN is no change."""
        ring = self.rings.get(key)
        if ring is None:
            if verdict is not Verdict.BREACHED:
                return
            ring = self.rings[key] = _Ring()
        if verdict is Verdict.UNKNOWN:
            return
        ring.bits = (ring.bits << 1 | (verdict is not ring.last)) & _MASK
        ring.last = verdict
        ring.doubt = max(0, ring.doubt - 1)
        if not ring.bits and verdict is Verdict.CLEAR and not ring.doubt:
            del self.rings[key]
            return
        ring.flaps = ring.percent > (LOW if ring.flaps else HIGH)

    def too_many(self, key: TrackKey) -> float | None:
        """The share of changes in percent where it flaps, else None."""
        ring = self.rings.get(key)
        return ring.percent if ring is not None and ring.flaps else None

    def is_over(self, key: TrackKey, ladder: Ladder | None, rule: Rule, now: Stamp) -> bool:
        """Whether what people were told of flaps no more: neither by changes nor by the looks of its ladder."""
        if ladder is not None and is_flapping(ladder, rule, now):
            return False
        ring = self.rings.get(key)
        return ring is None or not (ring.flaps or ring.doubt)

    def resume(self, tracks: Iterable[Track]) -> None:
        """Go on after a restart, which forgot the changes: what people were told of goes on until new ones deny it."""
        for track in tracks:
            if track.told_flapping:
                self.rings[track.rule, track.check, track.subject] = _Ring(doubt=RUNS)

    def forget(self, keep: frozenset[tuple[str, str]]) -> None:
        """Drop what is of no rule x check any more."""
        self.rings = {key: ring for key, ring in self.rings.items() if key[:2] in keep}
