"""Where each rule stands with each subject now: read off the board, changing nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from daemon.engine import ladder as ladders
from daemon.engine.condition import ABSENT, Condition, View
from daemon.engine.counting import steady_of
from daemon.engine.facts import FITS
from daemon.engine.guards import Facts, Proposal
from daemon.engine.observations import Observations
from daemon.engine.proof import allowances, answers
from daemon.errors import RemediationError
from daemon.model.check import Run
from daemon.model.explanation import NextStep, Operand, Standing
from daemon.model.incident import IncidentState
from daemon.model.moment import Stamp
from daemon.model.rule import Verdict
from daemon.model.settings import Mode
from daemon.model.track import Ladder, Track
from daemon.protocols import Clock
from daemon.runtime.answers import Situation, answer, counts_anew, under_way
from daemon.runtime.bindings import Binding, Bindings, fit_of
from daemon.runtime.board import Board, LadderKey
from daemon.runtime.healing import Healing
from daemon.runtime.judging import Subject, subjects, view_of

_WORST = (IncidentState.FIRING, IncidentState.RECOVERING, IncidentState.PENDING)
_VERDICTS = (Verdict.BREACHED, Verdict.UNKNOWN, None, Verdict.CLEAR)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One rule x check x subject, and what its newest run says of it."""

    binding: Binding
    subject: str
    run: Run | None
    view: View | None  # None: the check has not run
    verdict: Verdict | None
    track: Track

    @property
    def rank(self) -> tuple[int, int, bool, str, int, str]:
        """The worst sorts first: what fires, then what may; what could be healed; the severest; order of the file."""
        state = _WORST.index(self.track.state) if self.track.state in _WORST else len(_WORST)
        rule = self.binding.rule
        return state, _VERDICTS.index(self.verdict), not rule.steps, rule.severity.value, rule.order, self.subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """The next step of a place: its proposal with what the guards may look at, or why there is none."""

    proposal: Proposal | None = None
    facts: Facts | None = None
    next: NextStep | None = None
    impossible: str | None = None  # why it cannot be done at all


class Standings:
    """The reading half of `heald explain` and `heald plan`."""

    def __init__(
        self,
        bindings: Bindings,
        board: Board,
        observations: Observations,
        healing: Healing,
        newest: Mapping[str, Run],
        clock: Clock,
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._observations = observations
        self._healing = healing
        self._newest = newest
        self._clock = clock

    def places(self, bindings: Iterable[Binding]) -> list[Place]:
        """Every subject of some rules on their checks, the worst first."""
        return sorted((place for it in bindings for place in self._places(it)), key=lambda place: place.rank)

    def _places(self, binding: Binding) -> Iterable[Place]:
        run = self._newest.get(binding.check.name)
        tracked = self._board.subjects.get((binding.rule.name, binding.check.name), set())
        if run is None:
            for name in sorted(tracked) or [""]:
                yield self._place(binding, name, None, None)
            return
        for subject in subjects(binding, run, self._observations, tracked):
            yield self._place(binding, subject.name, run, self._view(binding, run, subject))

    def _place(self, binding: Binding, name: str, run: Run | None, view: View | None) -> Place:
        rule, check = binding.rule.name, binding.check.name
        track = self._board.tracks.get((rule, check, name)) or Track(rule=rule, check=check, subject=name)
        if view is not None:
            _remember(binding.when, view, track.memory[: binding.rings])
        verdict = binding.when.judge(view) if view is not None else None
        return Place(binding=binding, subject=name, run=run, view=view, verdict=verdict, track=track)

    def _view(self, binding: Binding, run: Run, subject: Subject) -> View:
        """What the condition sees of that run, as the pipeline showed it."""
        key = self._key(binding, subject.name)
        ladder = self._board.ladders.get(key) if key else None
        floor = steady_of(ladder.floor, self._clock.stamp()) if ladder is not None and ladder.floor else None
        lenient = ladder is not None and ladder.attempt is not None
        return view_of(run, subject, self._observations, floor, lenient=lenient)

    def _key(self, binding: Binding, subject: str) -> LadderKey | None:
        resource = self._bindings.ladder_resource(binding, subject)
        return (binding.rule.name, resource) if resource is not None else None

    # ---- the next step ------------------------------------------------------------------------------------------

    def outlook(self, place: Place, *, acts: bool = False) -> Outlook:
        """What would be done next; `acts`: if heald were in act mode."""
        binding, key = place.binding, self._key(place.binding, place.subject)
        settings = self._bindings.setup.settings
        if key is None or place.run is None:
            return Outlook(impossible=self._why_no_ladder(place))
        goes_to_act = acts and settings.mode is not Mode.ACT
        ladder = self._ladder(binding, key, goes_to_act=goes_to_act)
        view = place.view
        found = ladders.chosen(ladder, binding.rule, lambda step: fit_of(step, view) if view is not None else FITS)
        index, fit = found or (len(binding.rule.steps) - 1, FITS)  # none is left: the last one's guards and limits
        try:
            proposal = self._healing.propose(binding, ladder, index, place.track, place.run, fit)
        except RemediationError as error:
            return Outlook(impossible=self._bindings.setup.masks.text(str(error)))
        if goes_to_act:
            proposal = replace(proposal, would=False)  # nothing on paper holds it
        facts = self._healing.facts(proposal)
        if goes_to_act:  # would-be counts and ladders start anew then
            proposal = replace(proposal, would=proposal.step.remediation not in settings.allow)
            real = [it for it in facts.attempts if not it.would]
            facts = replace(facts, settings=replace(settings, mode=Mode.ACT), attempts=real, would_watches={})
        step = replace(next_step(proposal, facts), is_left=found is not None)
        return Outlook(proposal=proposal, facts=facts, next=step)

    def _why_no_ladder(self, place: Place) -> str | None:
        binding = place.binding
        try:
            for step in binding.rule.steps[:1]:
                self._bindings.resource(step, binding.check, place.subject)
        except RemediationError as error:
            return self._bindings.setup.masks.text(str(error))
        return None

    def _ladder(self, binding: Binding, key: LadderKey, *, goes_to_act: bool) -> Ladder:
        """The ladder as it is, or as it would be if the rule fired now."""
        ladder = self._board.ladders.get(key) or Ladder(rule=key[0], resource=key[1])
        if goes_to_act:
            return ladders.anew(ladder)
        return ladders.reopened(ladder, binding.rule, self._clock.stamp())[0]

    def under_way(self, place: Place, *, acts: bool = False) -> str | None:
        """What is under way for its ladder, in a sentence; `acts`: what would be in act mode, so nothing on paper."""
        key = self._key(place.binding, place.subject)
        ladder = self._board.ladders.get(key) if key else None
        watch = self._board.watches.get(ladder.attempt or "") if ladder is not None else None
        is_paper = watch is not None and watch.attempt.would and self._bindings.setup.settings.mode is not Mode.ACT
        if watch is None or (acts and is_paper):
            return None
        now, observes = self._clock.stamp(), self._bindings.setup.settings.mode is not Mode.ACT
        return under_way(watch, now.boottime, now.wall, observes=observes)

    def counts_anew(self, place: Place, outlook: Outlook) -> str | None:
        """Why nothing is proposed yet of what was held by planned work or a sick upstream, in a sentence."""
        waits = place.track.muted and outlook.next is not None and not outlook.next.held
        return counts_anew(place.track, *self._healing.counts_anew(place.binding)) if waits else None

    # ---- the whole of it ----------------------------------------------------------------------------------------

    def standing(self, place: Place, outlook: Outlook, since: Stamp | None = None) -> Standing:
        """The description of a place; `since` is when its state began, if that is known."""
        rule, track, view = place.binding.rule, place.track, place.view
        incident = self._board.incidents.get(track.incident or "")
        because = place.binding.when.because(view) if view is not None else ""
        return Standing(
            rule=rule.name,
            check=track.check,
            subject=track.subject,
            service=place.binding.check.service,
            severity=rule.severity,
            answer=self.answer(place, outlook),
            condition=place.binding.when.text,
            clear_when=place.binding.clear_when.text if place.binding.clear_when is not None else None,
            verdict=place.verdict,
            because=because,
            operands=_operands(place),
            ran=place.run.at if place.run is not None else None,
            state=track.state,
            since=since or (incident.opened if incident is not None else None),
            counted=track.counted,
            needed=self._needed(place),
            incident=track.incident,
            hold=incident.hold if incident is not None else None,
            hold_sentence=incident.hold_sentence if incident is not None else "",
            handed_over=incident.handed_over if incident is not None else None,
            next=outlook.next,
        )

    def answer(self, place: Place, outlook: Outlook) -> str:
        """Why nothing is done there, or what is, in one sentence."""
        now, key = self._clock.stamp(), self._key(place.binding, place.subject)
        ladder = self._board.ladders.get(key) if key else None
        blind = place.view.blind if place.view is not None else None
        return answer(
            Situation(
                rule=place.binding.rule,
                check=place.track.check,
                track=place.track,
                verdict=place.verdict,
                because=place.binding.when.because(place.view) if place.view is not None else "",
                blind=blind if blind is not ABSENT else f"it finds {place.subject} no more",
                needed=self._needed(place),
                ladder=ladder,
                root=self._healing.counts_anew(place.binding)[1],
                watch=self._board.watches.get(ladder.attempt or "") if ladder is not None else None,
                is_looking=key is not None and self._healing.is_looking(key),
                came_back=self._came_back(place.track.incident),
                impossible=outlook.impossible,
                next=outlook.next,
                observes=self._bindings.setup.settings.mode is not Mode.ACT,
                now=now.boottime,
                wall=now.wall,
            )
        )

    def _came_back(self, incident_id: str | None) -> bool:
        """Whether an incident is a relapse for which nothing was tried."""
        incident = self._board.incidents.get(incident_id or "")
        if incident is None or incident.linked_to is None:
            return False
        return not any(incident.id in attempt.incidents for attempt in self._board.attempts.values())

    def _needed(self, place: Place) -> float:
        """Seconds that must count for the next state, or before it is proposed."""
        timing, track = place.binding.timing, place.track
        if track.state is IncidentState.RECOVERING:
            return timing.clear_for
        if track.state is IncidentState.PENDING:
            return timing.for_seconds
        return self._healing.counts_anew(place.binding)[0] if track.muted else 0.0


def next_step(proposal: Proposal, facts: Facts) -> NextStep:
    """The description of a proposal; its plan is not asked for."""
    steps = proposal.rule.steps
    return NextStep(
        remediation=proposal.step.remediation,
        resource=proposal.resource,
        step=proposal.index + 1,
        steps=len(steps),
        try_number=min(ladders.spent(proposal.ladder, steps, proposal.index) + 1, proposal.step.tries),
        tries=proposal.step.tries,
        would=proposal.would,
        guards=answers(proposal, facts),
        allowances=allowances(proposal, facts),
    )


def _operands(place: Place) -> tuple[Operand, ...]:
    """What `when` looks at, and what only `clear_when` does, with its values."""
    when, clear_when, view = place.binding.when, place.binding.clear_when, place.view
    if view is None:
        return ()
    found = when.operands(view)
    if clear_when is None:
        return found
    other = View(view.check, view.subject, view.samples, view.blind, view.now, view.observations)
    other.floor, other.lenient = view.floor, view.lenient
    _remember(clear_when, other, place.track.memory[place.binding.rings :])
    texts = {it.text for it in found}
    return (*found, *(it for it in clear_when.operands(other) if it.text not in texts))


def _remember(condition: Condition, view: View, memory: tuple[tuple[str, ...], ...]) -> None:
    """Give a view the rings that the run was judged with."""
    if condition.rings:
        view.memory = memory if len(memory) == condition.rings else condition.record(view, ())
