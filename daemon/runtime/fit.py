"""Whether what a check plug-in returned is what its type and its options promise."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from daemon.model.check import Check, Dimension, Reading, Sample, SampleSpec

LONGEST_SUBJECT = 1024  # characters; a mount, a topic (249 at most) or a container is far shorter
LONGEST_TEXT = 65536  # characters of a string sample: as much as is kept of a command's output
_KINDS: Mapping[Dimension, type] = {Dimension.BOOLEAN: bool, Dimension.STRING: str}
_NAMES: Mapping[type, str] = {float: "a number", bool: "true or false", str: "a string"}
_BREAKING = {"Cc", "Cs", "Zl", "Zp"}  # controls, lone surrogates, line and paragraph separators (Unicode categories)
_SHOWN = 80  # characters of a strange value that a sentence quotes


class UnfitError(Exception):
    """What was returned cannot be used; says what was found and what is allowed."""


class Fit:
    """What one check may return, worked out once: a run is held against it in about a microsecond."""

    __slots__ = ("_discovers", "_kinds", "_most")

    def __init__(self, check: Check, samples: Mapping[str, SampleSpec]) -> None:
        self._kinds = {name: _KINDS.get(spec.dimension, float) for name, spec in samples.items()}
        self._most = check.max_subjects
        self._discovers = check.discovers

    def readings(self, returned: Any) -> tuple[Reading, ...]:
        """The readings, without samples that are NaN or infinite: those are missing.

        Raises:
            UnfitError: they are not what the check type promises.
        """
        if type(returned) is not list and (not isinstance(returned, Sequence) or isinstance(returned, str | bytes)):
            raise UnfitError(f"it returned {_shown(returned)}, not a list of readings")
        count = len(returned)
        if count > self._most:  # first of all, and without a look at any of them
            raise UnfitError(f"it returned {count} subjects; at most {self._most} (max_subjects)")
        if not self._discovers and count != 1:
            raise UnfitError(f"it returned {count} readings; a check that does not discover subjects returns one")
        if count == 1:
            return (self._reading(returned[0]),)
        readings = tuple([self._reading(each) for each in returned])
        if len({reading.subject for reading in readings}) < count:
            raise UnfitError(f"it returned subject {_shown(_doubled(readings))} more than once")
        return readings

    def _reading(self, reading: Any) -> Reading:
        if type(reading) is not Reading:
            raise UnfitError(f"it returned {_shown(reading)} among its readings, which is no Reading")
        if reading.subject != "":
            self._check_subject(reading.subject)
        kinds, samples = self._kinds, reading.samples
        missing: list[str] = []
        if type(samples) is not dict and not isinstance(samples, Mapping):
            raise UnfitError(f"it returned {_shown(samples)} as samples, not a mapping of names to values")
        for name, value in samples.items():
            kind = kinds.get(name)
            if kind is float and type(value) is float:  # the usual cases first; all else is looked at more closely
                if not isfinite(value):
                    missing.append(name)
            elif kind is str and type(value) is str and len(value) <= LONGEST_TEXT:
                pass
            elif not (kind is bool and type(value) is bool) and not self._is_usable(name, value):
                missing.append(name)
        if not missing:
            return reading
        left: dict[str, Sample] = {name: value for name, value in samples.items() if name not in missing}
        return replace(reading, samples=left)

    def _is_usable(self, name: Any, value: Any) -> bool:
        """Whether a value may stand; false if it is a number that counts as missing. Raises UnfitError."""
        if type(name) is not str or name not in self._kinds:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise UnfitError(f"it returned a sample {_shown(name)} that it does not declare; SAMPLES has {known}")
        kind = self._kinds[name]
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return isfinite(value)
            except OverflowError:
                raise UnfitError(f"its sample {name} is too large for a number") from None
        if kind is str and isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise UnfitError(f"its sample {name} is {len(value)} characters long; at most {LONGEST_TEXT}")
            return True
        missing = "; a missing one is left out" if value is None else ""
        raise UnfitError(f"its sample {name} is {_shown(value)}, not {_NAMES[kind]}{missing}")

    def _check_subject(self, subject: Any) -> None:
        if not isinstance(subject, str):
            raise UnfitError(f"it returned {_shown(subject)} as a subject, not a string")
        if not self._discovers:
            raise UnfitError(f"it named a subject, {_shown(subject)}, but does not discover any (DISCOVERS)")
        if len(subject) > LONGEST_SUBJECT:
            raise UnfitError(f"it returned a subject of {len(subject)} characters; at most {LONGEST_SUBJECT}")
        if not subject.isprintable() and any(unicodedata.category(sign) in _BREAKING for sign in subject):
            raise UnfitError(f"it returned subject {_shown(subject)}, which has a control character")


def _doubled(readings: tuple[Reading, ...]) -> str:
    seen: set[str] = set()
    for reading in readings:
        if reading.subject in seen:
            break
        seen.add(reading.subject)
    return reading.subject


def _shown(value: object) -> str:
    """A short form of anything for a sentence; of something large only its type, for its repr would cost too much."""
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
