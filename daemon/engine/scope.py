"""What names a condition may use."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.engine.condition_error import ConditionError, did_you_mean
from daemon.engine.functions import EXAMPLES
from daemon.engine.references import Other, Own, Reference
from daemon.engine.syntax import KEYWORDS
from daemon.model.check import SampleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherCheck:
    """Another check, as far as conditions may name it."""

    type: str  # its type, for sentences
    samples: Mapping[str, SampleSpec]  # every sample that it may yield
    discovers: bool = False  # its subjects are found at run time
    every: float = 30.0  # its interval in seconds
    subjects: tuple[str, ...] | None = None  # those that the file names; None: "" alone, unless it discovers them

    @property
    def known_subjects(self) -> tuple[str, ...] | None:
        """Its subjects, if the file tells."""
        return self.subjects if self.subjects is not None or self.discovers else ("",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """The check that a condition judges, and the others that it may name."""

    check: str  # the rule's own check
    type: str  # its type, for sentences
    samples: Mapping[str, SampleSpec]  # every sample that it may yield
    others: Mapping[str, OtherCheck] = field(default_factory=dict)  # by name; may hold the own check too
    subjects: tuple[str, ...] | None = None  # the own check's, where the file tells


class Names:
    """Finds what the names in one condition stand for. Every method raises ConditionError."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._scope = scope

    def own(self, place: tuple[int, int], name: str) -> Reference:
        """A sample of the own check."""
        scope = self._scope
        spec = scope.samples.get(name)
        if spec is not None:
            return Own(self._text, *place, scope.check, spec)
        if name in scope.others:
            hint = f"write {name}.{next(iter(scope.others[name].samples), 'sample')}"
            raise self._error(f"{name} is a check; a condition compares its samples", place[0], hint)
        if name in EXAMPLES:
            raise self._error(f"{name} is a function", place[0], f"write {EXAMPLES[name]}")
        if name.lower() in ("null", "none", "nil", "nan", "missing"):
            raise self._error(f"there is no value {name}", place[0], "write not has(x) for a missing value")
        if name.lower() in KEYWORDS:
            raise self._error(f"{name} is no sample, and keywords are lower case", place[0], f"write {name.lower()}")
        raise self._unknown_sample(name, scope.check, scope.type, scope.samples, place[0])

    def other(self, place: tuple[int, int], check: str, sample: str, sample_at: int, subject: str | None) -> Reference:
        """A sample of another check, or of the own one by its name."""
        scope = self._scope
        if check == scope.check:
            if subject is None:
                spec = self._spec(check, scope.type, scope.samples, sample, sample_at)
                return Own(self._text, *place, check, spec)
            other = OtherCheck(type=scope.type, samples=scope.samples, discovers=True, subjects=scope.subjects)
            if check in scope.others:
                other = scope.others[check]
        elif check in scope.others:
            other = scope.others[check]
        else:
            raise self._unknown_check(check, place[0])
        spec = self._spec(check, other.type, other.samples, sample, sample_at)
        self._check_subject(place[0], check, other, subject, sample)
        return Other(self._text, *place, check, spec, subject=subject, is_own=check == scope.check)

    def _spec(self, check: str, kind: str, samples: Mapping[str, SampleSpec], sample: str, position: int) -> SampleSpec:
        spec = samples.get(sample)
        if spec is None:
            raise self._unknown_sample(sample, check, kind, samples, position)
        return spec

    def _check_subject(self, position: int, check: str, other: OtherCheck, subject: str | None, sample: str) -> None:
        """Refuse a subject that the file rules out, and a choice among several that it leaves open."""
        known = other.known_subjects
        if known is None:
            return
        listed = ", ".join(f'"{name}"' for name in known)
        if subject is not None:
            if subject in known:
                return
            if known == ("",):
                message, hint = f"{check} has no subjects", f"write {check}.{sample}"
            else:
                message, hint = f'{check} has no subject "{subject}"; it has {listed}', did_you_mean(subject, known)
            raise self._error(message, position, hint)
        mine = self._scope.subjects
        if len(known) > 1 and mine is not None and not set(mine) <= set(known):
            message = f"{check} has {len(known)} subjects, {listed}, and this condition is of none of them"
            raise self._error(message, position, f'write {check}["{known[0]}"].{sample}')

    def _unknown_sample(
        self, name: str, check: str, kind: str, samples: Mapping[str, SampleSpec], position: int
    ) -> ConditionError:
        where = check if check == kind else f"{check} ({kind})"
        has = f"it has {', '.join(samples)}" if samples else "it has none"
        return self._error(f"{where} has no sample {name}; {has}", position, did_you_mean(name, samples))

    def _unknown_check(self, name: str, position: int) -> ConditionError:
        others = [other for other in self._scope.others if other != self._scope.check]
        known = f"checks are {', '.join([self._scope.check, *others])}"
        return self._error(f"there is no check {name}; {known}", position, did_you_mean(name, others))

    def _error(self, message: str, position: int, hint: str) -> ConditionError:
        return ConditionError(message, text=self._text, position=position, hint=hint)
