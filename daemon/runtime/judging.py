"""Judging one run by one rule: which subjects there are, what each condition says, from which windows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from daemon.engine.condition import ABSENT, Condition, View
from daemon.engine.lifecycle import word
from daemon.engine.observations import Observations
from daemon.engine.verification import Member, Watch
from daemon.model.check import Run, Sample
from daemon.model.rule import Verdict
from daemon.model.track import Track
from daemon.runtime.bindings import Binding, compiled

_NOTHING: Mapping[str, Sample] = {}

Memory = tuple[tuple[str, ...], ...]


class Subject(NamedTuple):
    """One subject of a run: its samples, or why there are none."""

    name: str
    samples: Mapping[str, Sample]
    blind: str | None


class Judged(NamedTuple):
    """What a rule's conditions say of one subject of one run."""

    verdict: Verdict  # of `when`
    clears: Verdict | None  # of `clear_when`; None if the rule has none
    memory: Memory  # count_of, this run included
    view: View

    @property
    def word(self) -> Verdict:
        """What verification hears: a run that neither breaches nor clears is known and not clear."""
        if self.clears is Verdict.CLEAR and self.verdict is Verdict.CLEAR:
            return Verdict.BREACHED
        return word(self.verdict, self.clears)


def subjects(binding: Binding, run: Run, observations: Observations, tracked: set[str]) -> Iterator[Subject]:
    """Every subject to judge: those of the run, and those it used to have."""
    if run.error is not None:
        known = {*observations.subjects(run.check), *tracked} if binding.check.discovers else {""}
        for name in sorted(known):
            yield Subject(name, _NOTHING, run.error)
        return
    for reading in run.readings:
        yield Subject(reading.subject, reading.samples, None)
    if tracked and binding.check.discovers:
        for name in sorted(tracked - {reading.subject for reading in run.readings}):
            yield Subject(name, _NOTHING, ABSENT)


def judge(
    when: Condition, clear_when: Condition | None, view: View, memory: Memory, *, knows_breach: bool = True
) -> Judged:
    """Judge both conditions. `clear_when` is asked only where an incident could leave FIRING (`knows_breach`)."""
    mine: Memory = ()
    if when.rings:
        view.memory = mine = when.record(view, memory[: when.rings])
    verdict = when.judge(view)
    if clear_when is None:
        return Judged(verdict, None, mine, view)
    other = view
    if clear_when.rings:
        other = View(view.check, view.subject, view.samples, view.blind, view.now, view.observations)
        other.floor, other.lenient = view.floor, view.lenient
        other.memory = clear_when.record(other, memory[when.rings :])
        mine += other.memory
    clears = clear_when.judge(other) if knows_breach else None
    return Judged(verdict, clears, mine, view)


def view_of(run: Run, subject: Subject, observations: Observations, floor: float | None, *, lenient: bool) -> View:
    """What conditions see; no window reaches behind `floor`, the settle's end of the ladder's last attempt."""
    view = View(run.check, subject.name, subject.samples, subject.blind, run.ended, observations)
    if floor is not None:
        view.floor, view.lenient = floor, lenient
    return view


class Copies:
    """What attempts' own copies of a rule say, where an edit has changed the rule since, and what they remember."""

    def __init__(self) -> None:
        self._memories: dict[tuple[str, Member], Memory] = {}  # by attempt and incident: count_of of its copy

    def begin(self, watches: Iterable[Watch], tracks: Mapping[tuple[str, str, str], Track]) -> None:
        """An edit comes: what the incidents' tracks remember up to now is the copies' memory, unless they have one."""
        before, self._memories = self._memories, {}
        for watch in watches:
            for member in watch.members:
                track = tracks.get((watch.rule.name, *member))
                key = (watch.attempt.id, member)
                self._memories[key] = before.get(key, track.memory if track else ())

    def word(self, watch: Watch, run: Run, name: str, observations: Observations) -> Verdict:
        """What an attempt's own copy says of one subject of a run."""
        when, clear_when = compiled(watch.rule, run.check)
        samples = next((reading.samples for reading in run.readings if reading.subject == name), None)
        blind = run.error if run.error is not None else ABSENT if samples is None else None
        view = view_of(run, Subject(name, samples or _NOTHING, blind), observations, watch.settled, lenient=True)
        key = (watch.attempt.id, (run.check, name))
        judged = judge(when, clear_when, view, self._memories.get(key, ()))
        self._memories[key] = judged.memory
        return judged.word
