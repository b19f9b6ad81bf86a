"""What a condition sees of one subject at one run."""

from collections.abc import Mapping

from daemon.engine.observations import Observations
from daemon.model.check import Sample

Memory = tuple[tuple[str, ...], ...]
"""One ring per count_of of a condition (see `daemon.engine.count`)."""

ALWAYS = float("-inf")
ABSENT = "the subject is no longer in the readings"
"""`View.blind` of a subject that its check no longer finds: nothing at all is known of it."""


class View:
    """One subject at one run. Cheap to make: one per evaluation.

    Args:
        check: the rule's own check.
        subject: the subject that is judged.
        samples: its own reading of this run; empty if the run was blind or the subject is absent.
        blind: why there is no reading (why the run was blind, or that the subject is no longer there), else None.
        now: the run's end, steady seconds.
        observations: what was seen before, and what other checks saw; this run included.
        floor: steady seconds; no window, and none of the runs that count_of counts, reaches behind it.
        lenient: windows do not ask for half their length (while an attempt is verified).
        memory: the rings of count_of, this run included.
    """

    __slots__ = ("blind", "check", "floor", "lenient", "memory", "now", "observations", "samples", "subject")

    def __init__(
        self,
        check: str,
        subject: str,
        samples: Mapping[str, Sample],
        blind: str | None,
        now: float,
        observations: Observations,
        floor: float = ALWAYS,
        lenient: bool = False,
        memory: Memory = (),
    ) -> None:
        self.check = check
        self.subject = subject
        self.samples = samples
        self.blind = blind
        self.now = now
        self.observations = observations
        self.floor = floor
        self.lenient = lenient
        self.memory = memory
