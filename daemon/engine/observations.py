"""What all checks saw: their newest readings, and as much of the past as conditions look back on.

Nothing is kept that was not declared, but for one reference to each subject's newest reading.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.model.check import Run, Sample

_LARGEST = sys.float_info.max  # beyond it lie the infinities, which are missing, and integers that no float holds
_TRIM = 64  # points that may be past their time before a series is cut: cutting costs as much as it copies
STALE_AFTER = 3.0  # intervals after which another check's reading is missing (docs/judgement.md, conditions)


class Series:
    """The known numbers of one sample of one subject, oldest first."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times = array("d")  # steady seconds: the ends of the runs
        self.values = array("d")

    def add(self, at: float, value: float, keep: float) -> None:
        """Add a point, and forget those older than `keep` seconds."""
        times = self.times
        if times and at < times[-1]:  # a run that was overtaken by a later one
            place = bisect_right(times, at)
            times.insert(place, at)
            self.values.insert(place, value)
            return
        times.append(at)
        self.values.append(value)
        if len(times) > _TRIM and times[_TRIM] <= at - keep:
            expired = bisect_right(times, at - keep)
            del times[:expired]
            del self.values[:expired]

    def between(self, after: float, until: float) -> tuple["array[float]", "array[float]"]:
        """Times and values of the points in (after, until]."""
        first, last = bisect_right(self.times, after), bisect_right(self.times, until)
        return self.times[first:last], self.values[first:last]


@dataclass(kw_only=True, slots=True)
class Observed:
    """One subject of a check, as it was last seen."""

    at: float  # the end of the run that last found it, steady seconds
    samples: Mapping[str, Sample]  # its reading in that run
    series: dict[str, Series] = field(default_factory=dict)  # by sample
    since: dict[str, tuple[Sample, float]] = field(default_factory=dict)  # by sample: present value, its first run


class Needs(NamedTuple):
    """What is to be kept of one check."""

    every: float  # its interval in seconds: a reading older than three of them is missing to other checks
    keep: Mapping[str, float]  # by sample, how many seconds of the past windows look back on
    unchanged: frozenset[str]  # samples whose present value's first run is asked for


@dataclass(kw_only=True, slots=True)
class _Seen:
    """What one check saw."""

    needs: Needs
    looked: float | None = None  # end of the newest run that could look
    excused: float = 0.0  # seconds since then for which heald itself stood still
    blind: str | None = None  # why the newest run could not look
    names: tuple[str, ...] = ()  # the subjects of the newest run that could look
    subjects: dict[str, Observed] = field(default_factory=dict)


class Observations:
    """Newest readings and series of every check; mutable, and pure: time comes in with the runs."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def declare(self, check: str, every: float, keep: Mapping[str, float], unchanged: frozenset[str]) -> None:
        """Say what to keep of a check (`Needs`); what was kept before stays as far as it is still asked for.

        Runs of checks that were not declared are ignored.
        """
        needs = Needs(every, keep, unchanged)
        seen = self._seen.get(check)
        if seen is None:
            self._seen[check] = _Seen(needs=needs)
            return
        if seen.needs == needs:
            return
        seen.needs = needs
        for observed in seen.subjects.values():
            observed.series = {name: series for name, series in observed.series.items() if name in needs.keep}
            observed.since = {name: since for name, since in observed.since.items() if name in needs.unchanged}

    def declare_all(self, needed: Mapping[str, Needs]) -> None:
        """The same for many checks, most of which need what they needed before."""
        for name, needs in needed.items():
            seen = self._seen.get(name)
            if seen is None or seen.needs != needs:
                self.declare(name, *needs)

    def kept(self) -> dict[str, float]:
        """By check, for how many seconds at most its samples are kept; 0 where only the newest reading is."""
        return {name: max(seen.needs.keep.values(), default=0.0) for name, seen in self._seen.items()}

    def drop(self, check: str) -> None:
        """Forget a check."""
        self._seen.pop(check, None)

    def record(self, run: Run) -> None:
        """Take in a run: once, before conditions are judged by it. One overtaken by a later one adds to series only."""
        seen = self._seen.get(run.check)
        if seen is None:
            return
        is_newest = seen.looked is None or run.ended >= seen.looked
        if run.error is not None:
            if is_newest:
                seen.blind = run.error
            return
        needs = seen.needs
        for reading in run.readings:
            observed = seen.subjects.get(reading.subject)
            if observed is None:
                observed = Observed(at=run.ended, samples=reading.samples)
                seen.subjects[reading.subject] = observed
            elif is_newest:
                observed.at, observed.samples = run.ended, reading.samples
            if needs.keep:
                _extend(observed, reading.samples, run.ended, needs.keep)
            if needs.unchanged and is_newest:
                _compare(observed, reading.samples, run.ended, needs.unchanged)
        if is_newest:
            names = tuple([reading.subject for reading in run.readings])
            if seen.looked == run.ended and not run.is_look:  # history gives one run back in parts
                names = tuple(dict.fromkeys(seen.names + names))
            seen.looked, seen.excused, seen.blind, seen.names = run.ended, 0.0, None, names
            if len(seen.subjects) > len(seen.names):
                _forget(seen, run.ended)

    def subjects(self, check: str) -> tuple[str, ...]:
        """The subjects that a check found when it last could look."""
        seen = self._seen.get(check)
        return seen.names if seen else ()

    def looked_at(self, check: str) -> float | None:
        """When a check last could look: the end of that run in steady seconds; None if it never could.

        It is later by what was excused since: for so long nobody tried.
        """
        seen = self._seen.get(check)
        return None if seen is None or seen.looked is None else seen.looked + seen.excused

    def excuse(self, check: str, seconds: float) -> None:
        """Heald itself stood still for so long during a run of a check: that is no blindness of the check."""
        seen = self._seen.get(check)
        if seen is not None:
            seen.excused += seconds

    def find(self, check: str, subject: str, *, is_exact: bool) -> Observed | str:
        """The newest reading of a subject of a check, or a sentence that says why there is none.

        Unless it must be exactly this one, a check's only subject stands for every other; not for one that it had
        and lost, as the reading of a neighbour says nothing of that.
        """
        seen = self._seen.get(check)
        if seen is None or seen.looked is None:
            why = seen.blind if seen else None
            return f"{check} could not look yet: {why}" if why else f"{check} has not looked yet"
        observed = seen.subjects.get(subject)
        if observed is not None and observed.at == seen.looked:
            return observed
        if observed is not None or is_exact:
            return f'"{subject}" is not in the newest readings of {check}'
        if len(seen.names) == 1:
            return seen.subjects[seen.names[0]]
        if not seen.names:
            return f"{check} found no subject"
        return f'{check} has {len(seen.names)} subjects and none is "{subject}"; write {check}["subject"]'

    def is_stale(self, check: str, at: float, now: float) -> bool:
        """Whether a reading of another check is older than three of its intervals."""
        return now - at > STALE_AFTER * self._seen[check].needs.every

    def every(self, check: str) -> float:
        """The interval of a declared check in seconds."""
        return self._seen[check].needs.every


def _extend(observed: Observed, samples: Mapping[str, Sample], at: float, keep: Mapping[str, float]) -> None:
    for name, seconds in keep.items():
        value = samples.get(name)
        if (value.__class__ is float or value.__class__ is int) and -_LARGEST <= value <= _LARGEST:
            series = observed.series.get(name)
            if series is None:
                series = observed.series[name] = Series()
            series.add(at, float(value), seconds)


def _compare(observed: Observed, samples: Mapping[str, Sample], at: float, names: frozenset[str]) -> None:
    for name in names:
        value = samples.get(name)
        if value is None or (not isinstance(value, str) and not -_LARGEST <= value <= _LARGEST):
            continue  # missing: the present value is still the one before
        before = observed.since.get(name)
        if before is None or before[0] != value:
            observed.since[name] = (value, at)


def _forget(seen: _Seen, now: float) -> None:
    """Forget subjects that have been gone for longer than anybody looks back."""
    longest = max((STALE_AFTER * seen.needs.every, *seen.needs.keep.values()))
    for name in [name for name, observed in seen.subjects.items() if observed.at < now - longest]:
        del seen.subjects[name]
