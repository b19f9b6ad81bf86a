"""What happens in a simulated world, as far as heald meets it: what checks see, what attempts do. Times are seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.model.check import Reading
from daemon.model.remediation import AttemptState


@dataclass(frozen=True, kw_only=True, slots=True)
class Slow:
    """What a run sees that takes time: it looks when it begins, and says so `takes` seconds later."""

    seen: Sequence[Reading] | str
    takes: float


See = Callable[[str, bool], Sequence[Reading] | str | Slow]
"""What a check (by name; true: a second look) sees now: its readings, or why it is blind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What an attempt does in this world."""

    begins: float = 0.0  # seconds after the claim
    takes: float = 1.0  # seconds; infinite for one that hangs
    state: AttemptState = AttemptState.SUCCEEDED
    permanent: bool = False
    then: Callable[[], None] = lambda: None  # called at its end, never for one that a crash killed or that lapsed
