"""The river: a run comes in; verdicts, transitions and proposals come out, in this order and in this file.

Nothing here waits. What becomes of a proposal stands in `healing.py`; who carries it out, in `executor.py`.
"""

from daemon.engine.condition import ABSENT, View
from daemon.engine.counting import steady_of
from daemon.engine.lifecycle import absent, advance, passed_over
from daemon.engine.observations import Observations
from daemon.metrics import Metrics
from daemon.model.check import Check, Run
from daemon.model.incident import OWN, IncidentState
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.rule import Verdict
from daemon.model.track import Ladder, Track
from daemon.protocols import Clock
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.blindness import Blindness
from daemon.runtime.board import Board
from daemon.runtime.circumstances import Circumstances
from daemon.runtime.flaps import Flaps
from daemon.runtime.healing import Healing
from daemon.runtime.health import Health
from daemon.runtime.incidents import Incidents
from daemon.runtime.judging import Judged, Subject, judge, subjects, view_of
from daemon.runtime.look import CANCEL_GRACE
from daemon.runtime.orders import Orders
from daemon.runtime.situation import Situation
from daemon.runtime.verifying import Verifying
from daemon.runtime.worse import Worse

_REMOVED = "the rule, the check or its subject was removed"
_STALL = 0.25  # seconds past its timeout after which a run says more of heald than of its target
_ENDING = CANCEL_GRACE + 1.0  # seconds past its timeout that a run may take that has to be ended
_NO_SUBJECTS: set[str] = set()
_CLOSED = (IncidentState.RESOLVED, IncidentState.VANISHED, IncidentState.WITHDRAWN)
Key = tuple[str, str]
"""rule and subject, within the run of one check"""
Breach = tuple[Binding, Track, View]
"""a track that is firing and breached, and what its conditions saw"""


class Pipeline:
    """Judges runs and keeps what follows from them on the board."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        observations: Observations,
        circumstances: Circumstances,
        health: Health,
        healing: Healing,
        orders: Orders,
        situation: Situation,
        flaps: Flaps,
        aftercare: Aftercare,
        worse: Worse,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._observations = observations
        self._circumstances = circumstances
        self._health = health
        self._healing = healing
        self._aftercare = aftercare
        self._worse = worse
        self._flaps = flaps
        self._incidents = Incidents(
            board,
            health=health,
            orders=orders,
            situation=situation,
            aftercare=aftercare,
            clock=clock,
            metrics=metrics,
        )
        self._clock = clock
        self._blindness = Blindness(bindings, board=board, situation=situation, clock=clock)
        self._verifying = Verifying(bindings, board=board, observations=observations, aftercare=aftercare)
        bindings.declare(observations)

    def replace(self, bindings: Bindings) -> None:
        """Judge by another configuration from the next run on. State is keyed by names and stays."""
        for name in self._bindings.by_check.keys() - bindings.by_check.keys():
            self._observations.drop(name)
        self._bindings = bindings
        self._verifying.replace(bindings)
        self._health.replace(bindings)
        self._flaps.forget(bindings.pairs)
        self._blindness.replace(bindings)
        self._healing.replace(bindings)
        self._aftercare.replace(bindings)
        self.withdraw_missing()

    def interval(self, check: Check) -> float:
        """Seconds to a check's next run: `retry_every` while a rule on it is pending or a step is verified by it."""
        if self._board.tracks or self._board.watches:
            for binding in self._bindings.by_check.get(check.name, ()):
                for subject in self._board.subjects.get((binding.rule.name, check.name), ()):
                    if self._board.tracks[binding.rule.name, check.name, subject].state is IncidentState.PENDING:
                        return check.retry_every
            if self._aftercare.needs_runs(check.name):
                return check.retry_every
        return check.every

    def withdraw_missing(self) -> None:
        """Close what a removed or renamed rule or check leaves behind; the rest shares ladders as the rules are now."""
        now = self._clock.stamp()
        for track in list(self._board.tracks.values()):
            if not self._can_be_judged(track):
                self._move(track, replace(track, state=IncidentState.WITHDRAWN, memory=()), now, _REMOVED)
        for incident in list(self._board.incidents.values()):
            is_own = incident.rule.startswith(OWN)  # of heald itself: it has no track
            if not is_own and (incident.rule, incident.check, incident.subject) not in self._board.tracks:
                self._incidents.close(incident, IncidentState.WITHDRAWN, now)
        self._incidents.rejoin(self._bindings, now)
        self._aftercare.release_empty()

    def _can_be_judged(self, track: Track) -> bool:
        """Whether any run could still move a track; a check edited to discover no subjects has none but ""."""
        is_there = (track.rule, track.check) in self._bindings.pairs
        return is_there and (track.subject == "" or self._bindings.setup.checks[track.check].discovers)

    def take(self, run: Run) -> None:
        """Judge one run: observations, verdicts, transitions, verification, proposals; in this order."""
        check = self._bindings.setup.checks.get(run.check)
        if check is None:
            return
        if run.ended - run.began - check.timeout > _STALL:
            run = self._stalled(run, run.ended - run.began - check.timeout)
        self._observations.record(run)
        self._health.saw(run)
        self._blindness.saw(run)
        breached: list[Breach] = []
        said: dict[Key, Judged] = {}
        for binding in self._bindings.by_check[run.check]:
            if not self._is_well(binding, run):
                breached += self._judge(binding, run, said)
        if self._board.watches:
            self._verifying.hear(run, said)
        self._worse.hear(run, said)
        self._health.judged(check, run.ended)
        if not run.is_look:
            for binding, track, view in breached:
                self._healing.breached(binding, track, run, view)

    def _stalled(self, run: Run, over: float) -> Run:
        """The run, blind: heald stood still meanwhile (SIGSTOP, no CPU), so it says nothing of its target."""
        self._observations.excuse(run.check, over)
        if run.error is not None and over <= _ENDING:
            return run  # it was slow to end, or heald to see it: it is blind all the same
        return replace(run, readings=(), error=f"heald itself stood still for {over:.1f}s during this run")

    def _judge(self, binding: Binding, run: Run, said: dict[Key, Judged]) -> list[Breach]:
        """Judge one rule over every subject of a run; returns the tracks that are firing and breached."""
        breached: list[Breach] = []
        verdicts: set[Verdict | None] = set()
        tracked = self._board.subjects.get((binding.rule.name, run.check), _NO_SUBJECTS)
        for subject in subjects(binding, run, self._observations, tracked):
            judged, track = self._judge_subject(binding, run, subject, said)
            verdicts.add(judged and judged.verdict)
            if judged is not None and judged.verdict is Verdict.BREACHED and track is not None:
                breached += [(binding, track, judged.view)] if track.state is IncidentState.FIRING else []
        if self._circumstances.is_graced and verdicts == {Verdict.CLEAR}:
            self._circumstances.was_clear(binding.rule.name, run.check)
        return breached

    def _is_well(self, binding: Binding, run: Run) -> bool:
        """Whether this is the usual run, to be judged at little cost: one subject, nothing remembered, all clear."""
        board, key = self._board, binding.key
        if key is None or run.is_look or run.error is not None or len(run.readings) != 1:
            return False
        if key in board.tracks or key in self._flaps.rings:
            return False
        if board.ladders or board.watches:
            rule, resource = key[0], self._bindings.ladder_resource(binding, "") or ""
            if (rule, resource) in board.ladders or self._verifying.concerns(rule, resource):
                return False
        view = View(run.check, "", run.readings[0].samples, None, run.ended, self._observations)
        if binding.when.judge(view) is not Verdict.CLEAR:
            return False
        if self._circumstances.grace_until > 0:
            self._circumstances.was_clear(binding.rule.name, run.check)
        return True

    def _judge_subject(
        self, binding: Binding, run: Run, subject: Subject, said: dict[Key, Judged]
    ) -> tuple[Judged | None, Track | None]:
        """What the rule says, None if this run judges nothing, and the track after it, None if there is none."""
        rule, board = binding.rule, self._board
        track = board.tracks.get(key := (rule.name, run.check, subject.name))
        resource = self._bindings.ladder_resource(binding, subject.name)
        if board.watches and resource and self._verifying.is_settling(rule.name, resource, run.began):
            if track is not None:
                board.put_track(passed_over(track), is_change=False)
            if run.is_look:
                self._healing.looked(rule.name, run, subject.name, Verdict.UNKNOWN)
            return None, track
        ladder = board.ladders.get((rule.name, resource)) if resource and board.ladders else None
        lenient = ladder is not None and ladder.attempt is not None
        judged = judge(
            binding.when,
            binding.clear_when,
            view_of(run, subject, self._observations, self._floor(ladder), lenient=lenient),
            track.memory if track else (),
            knows_breach=track is not None or bool(board.watches),
        )
        if not run.is_look:
            self._flaps.saw(key, judged.verdict)
            if track and track.told_flapping and self._flaps.is_over(key, ladder, rule, self._clock.stamp()):
                track = board.put_track(replace(track, told_flapping=False), is_change=True)
        said[rule.name, subject.name] = judged
        if run.is_look:
            self._healing.looked(rule.name, run, subject.name, judged.verdict, judged.view)
        if ladder is not None and ladder.waiting_since is not None and judged.verdict is not Verdict.UNKNOWN:
            self._aftercare.knows((ladder.rule, ladder.resource))
        if track is None and judged.verdict is not Verdict.BREACHED and not judged.memory:
            return judged, None
        track, sick = self._advance(binding, run, subject, judged, track), self._health.sick_upstream
        if subject.blind is None:
            self._aftercare.doubts.heard(track, judged.verdict, run.ended, lambda: sick(binding.check.service))
        return judged, track

    def _advance(
        self, binding: Binding, run: Run, subject: Subject, judged: Judged, track: Track | None
    ) -> Track | None:
        """Move a track by one run, and record what that changed; None if nothing is left to track."""
        before = track or Track(rule=binding.rule.name, check=run.check, subject=subject.name)
        after = replace(before, memory=judged.memory) if judged.memory != before.memory else before
        after = advance(after, judged.verdict, judged.clears, run.ended, binding.timing)
        if after.muted and after.state is IncidentState.FIRING:
            well_for = self._health.upstream_well_for(binding.check.service, run.ended)
            if self._incidents.was_in_maintenance(binding, subject.name):
                well_for = 0.0
            after = replace(after, counted=min(after.counted, well_for))
        if subject.blind is ABSENT:
            after = absent(after, run.ended, binding.check.vanish_after)
        elif after.missing_since is not None and run.error is None:
            after = replace(after, missing_since=None)
        because = "" if after.state is before.state else _because(binding, judged, subject)
        self._move(before, after, run.at or self._clock.stamp(), because, binding)
        return self._board.tracks.get((before.rule, before.check, before.subject))

    def _floor(self, ladder: Ladder | None) -> float | None:
        if ladder is None or ladder.floor is None:
            return None
        return steady_of(ladder.floor, self._clock.stamp())

    # ---- transitions --------------------------------------------------------------------------------------------

    def _move(self, before: Track, after: Track, at: Stamp, because: str, binding: Binding | None = None) -> None:
        """Keep the new track; open or close its incident."""
        if after.state is before.state:
            if after is not before:
                self._board.put_track(after, is_change=False)
            return
        if after.state is IncidentState.FIRING and before.incident is None and binding is not None:
            resource = self._bindings.ladder_resource(binding, after.subject)
            after = self._incidents.open(binding, resource, after, at, because)
        kept = after
        if after.state in _CLOSED:
            is_there = after.state is IncidentState.RESOLVED
            kept = replace(
                after,
                state=IncidentState.INACTIVE,
                incident=None,
                counted=0.0,
                muted=False,
                missing_since=None,
                memory=after.memory if is_there else (),
                told_flapping=after.told_flapping and is_there,
            )
        self._board.put_track(kept, is_change=True)
        self._incidents.note(before, after, at, because)
        incident = self._board.incidents.get(after.incident or "")
        if incident is None:
            return
        if after.state in _CLOSED:
            self._incidents.close(incident, after.state, at)
        elif after.state is IncidentState.RECOVERING:
            self._board.put_incident(replace(incident, state=after.state, hold=None, hold_sentence=""))
            if (key := self._board.ladder_of.get(incident.id)) is not None:
                self._aftercare.recovering(key)
        else:
            self._board.put_incident(replace(incident, state=after.state))


def _because(binding: Binding, judged: Judged, subject: Subject) -> str:
    """The operands that made the verdict so, and what the check itself says of it in a sentence."""
    detail = subject.samples.get("detail")
    because = binding.when.because(judged.view)
    return f"{because} ({detail})" if judged.verdict is Verdict.BREACHED and detail else because
