"""Samples that a condition names: of the rule's own reading, and of what other checks saw."""

from abc import ABC, abstractmethod

from daemon.engine.expression import Judge, Node, Why
from daemon.engine.observations import Observed, Series
from daemon.engine.values import LARGEST, Value, is_number
from daemon.engine.view import View
from daemon.model.check import Dimension, Sample, SampleSpec
from daemon.model.units import format_duration


class Reference(Node, ABC):
    """A sample of a check. `check` is the check's name, `sample` the sample's."""

    check: str
    sample: str

    @abstractmethod
    def observed(self, view: View) -> Observed | str:
        """The subject's observations that belong to it, or a sentence that says why there are none."""

    @abstractmethod
    def has(self, view: View) -> bool | None:
        """Whether there is a value; None where nobody looked."""

    def series(self, view: View) -> Series | None:
        """What windows look back on; None where there is nothing."""
        observed = self.observed(view)
        return None if isinstance(observed, str) else observed.series.get(self.sample)

    def since(self, view: View) -> float | None:
        """The end of the first run of the present value, steady seconds."""
        observed = self.observed(view)
        known = None if isinstance(observed, str) else observed.since.get(self.sample)
        return known[1] if known else None

    def why_invalid(self, found: Sample | None) -> str:
        """Why a sample of a reading is no value."""
        if found is None:
            return "the reading has no such sample"
        if is_number(self.dimension) and isinstance(found, float | int) and not isinstance(found, bool):
            return "it is no finite number"
        kind = {Dimension.BOOLEAN: "true or false", Dimension.STRING: "a string"}.get(self.dimension, "a number")
        return f"the reading has {type(found).__name__} where {kind} belongs"


class Own(Reference):
    """A sample of the rule's own check: of this run's reading of this subject."""

    is_own = True

    def __init__(self, text: str, start: int, end: int, check: str, spec: SampleSpec) -> None:
        super().__init__(text, start, end, spec.dimension, _own_value(spec))
        self.check = check
        self.sample = spec.name

    def observed(self, view: View) -> Observed | str:
        """What this subject was before; nothing in a blind run, as no verdict rests on what we cannot see now."""
        if view.blind is not None:
            return view.blind
        return view.observations.find(view.check, view.subject, is_exact=True)

    def has(self, view: View) -> bool | None:
        """Whether there is a value; None where the run was blind."""
        return None if view.blind is not None else self.value(view) is not None

    def whys(self, view: View) -> list[Why]:
        """Why there is no value."""
        return [(self.text, view.blind or self.why_invalid(view.samples.get(self.sample)))]


def _finite(found: float) -> float | None:
    """A number as float; NaN, which fails every comparison, and infinities are missing."""
    return float(found) if -LARGEST <= found <= LARGEST else None


def _valid(found: Sample | None, dimension: Dimension) -> Value:
    """A sample's value if it is what its dimension promises, else None."""
    if is_number(dimension):
        return _finite(found) if isinstance(found, float | int) and not isinstance(found, bool) else None
    return found if isinstance(found, bool if dimension is Dimension.BOOLEAN else str) else None


def _own_value(spec: SampleSpec) -> Judge:
    """The same for a sample of this run's reading, where speed counts."""
    name, dimension = spec.name, spec.dimension

    def number(view: View) -> Value:
        found = view.samples.get(name)
        if found.__class__ is float:
            return found if -LARGEST <= found <= LARGEST else None
        return _finite(found) if found.__class__ is int else None

    def word(view: View) -> Value:
        return _valid(view.samples.get(name), dimension)

    return number if is_number(dimension) else word


class Other(Reference):
    """A sample of another check's newest reading, or of another subject of the own check."""

    def __init__(
        self, text: str, start: int, end: int, check: str, spec: SampleSpec, *, subject: str | None, is_own: bool
    ) -> None:
        self.check = check
        self.sample = spec.name
        self.subject = subject
        self.is_own = is_own
        self.is_foreign = not is_own
        super().__init__(text, start, end, spec.dimension, self._value)

    def observed(self, view: View) -> Observed | str:
        """The subject that is named, else the same subject, else the only one."""
        if self.is_own and view.blind is not None:
            return view.blind
        if self.subject is not None:
            return view.observations.find(self.check, self.subject, is_exact=True)
        return view.observations.find(self.check, view.subject, is_exact=False)

    def _fresh(self, view: View) -> Observed | str:
        observed = self.observed(view)
        if isinstance(observed, str) or not view.observations.is_stale(self.check, observed.at, view.now):
            return observed
        age = format_duration(float(round(view.now - observed.at)))
        every = format_duration(view.observations.every(self.check))
        return f"the newest reading of {self.check} is {age} old, which is more than three of its intervals of {every}"

    def _value(self, view: View) -> Value:
        observed = self._fresh(view)
        return None if isinstance(observed, str) else _valid(observed.samples.get(self.sample), self.dimension)

    def has(self, view: View) -> bool | None:
        """Whether there is a value; None where nobody looked, or not lately enough."""
        return None if isinstance(self._fresh(view), str) else self._value(view) is not None

    def whys(self, view: View) -> list[Why]:
        """Why there is no value."""
        observed = self._fresh(view)
        if isinstance(observed, str):
            return [(self.text, observed)]
        return [(self.text, self.why_invalid(observed.samples.get(self.sample)))]
