"""Holds in force and incidents handed over to people."""

from collections.abc import Callable, Iterable

from daemon.engine.counting import age
from daemon.engine.guards import HANDED_OVER_AT_ONCE, NOT_ESCALATED, Proposal
from daemon.logs import log
from daemon.metrics import Metrics
from daemon.model.incident import Hold, HoldReason, Incident, IncidentState
from daemon.model.quick import replace
from daemon.model.rule import Rule
from daemon.model.track import HoldRecord, Track
from daemon.protocols import Clock
from daemon.runtime.answers import lasting
from daemon.runtime.board import Board, LadderKey
from daemon.runtime.flaps import Flaps
from daemon.runtime.health import Health


def key_of(proposal: Proposal) -> LadderKey:
    """The ladder that proposes."""
    return proposal.ladder.rule, proposal.ladder.resource


_OF_A_LOOK = (HoldReason.BLIND_NOW, HoldReason.CLEAR_NOW, HoldReason.RESOURCE_BUSY)  # what a second look may find


class Holds:
    """Why nothing is done, in words, and whether people were told."""

    def __init__(self, board: Board, clock: Clock, metrics: Metrics, flaps: Flaps, health: Health) -> None:
        self._board = board
        self._health = health
        self._flaps = flaps
        self._clock = clock
        self._metrics = metrics
        self.is_quiet: Callable[[Incident], bool] = lambda incident: False  # whether people want to be left in peace
        self.is_planned: Callable[[Incident], bool] = lambda incident: False  # whether maintenance covers it
        self.on_cut_off: Callable[[], None] = lambda: None  # when the self test holds something
        self.is_stormy: Callable[[], bool] = lambda: False  # whether an incident of its own tells of a storm
        self._held_at: dict[LadderKey, float] = {}
        self._recorded: dict[LadderKey, HoldReason] = {}
        self._words: dict[LadderKey, Hold] = {}  # the newest: the same reason may last longer than was recorded

    def put(self, proposal: Proposal, hold: Hold, *, goes_on: bool = False) -> None:
        """Keep the hold in force; record it when its reason changes; tell people where it is for them.

        On paper `mode` comes before every second look (`goes_on`). Where the look keeps finding the same, neither is
        recorded again: two reasons that take turns at every run are no change.
        """
        key, now = key_of(proposal), self._clock.stamp()
        hold = replace(hold, sentence=lasting(hold, now))
        ladder = self._board.ladders[key]
        held_for, since = ladder.held_for, self._held_at.get(key)
        told = [it for it in self._firing(key) if not self._is_muted(it)]
        if since is not None and told and ladder.hold is not None and self._counts(ladder.hold):
            held_for += now.boottime - since
        self._held_at[key] = now.boottime
        recorded = self._recorded.get(key, ladder.hold)
        is_said = goes_on and recorded in _OF_A_LOOK
        is_change = recorded is not hold.reason and not is_said
        kept = replace(ladder, hold=hold.reason, held_for=held_for)
        if not self._firing(key):  # the second look found that nothing is to be held any more
            kept = replace(ladder, hold=None, held_for=0.0)
        self._board.put_ladder(kept, is_change=is_change)
        if is_change:
            self._recorded[key] = hold.reason
            self._record(proposal, hold)
        if kept.hold is None:
            self._recorded.pop(key, None)
        self._words[key] = hold
        for incident in self._firing(key):
            if incident.hold is not hold.reason and not is_said:
                self._board.put_incident(self._said(incident, hold))
        if hold.reason is HoldReason.SELF_TEST:
            self.on_cut_off()
        if hold.reason is HoldReason.UPSTREAM:  # of it alone: the root may share the ladder
            self._mute(it for it in self._firing(key) if self._health.sick_upstream(it.service) is not None)
        elif hold.reason in (HoldReason.MAINTENANCE, HoldReason.SILENCED):
            self._heed(proposal, hold)
        elif hold.reason is HoldReason.FLAPPING:
            self._tell_of_flapping(proposal, hold.sentence, held_for)
        elif hold.reason in HANDED_OVER_AT_ONCE or held_for >= proposal.rule.escalate_after:
            self.hand_over(key, hold.reason, hold.sentence)

    def _counts(self, reason: HoldReason) -> bool:
        """Whether time so held counts towards `escalate_after`; of a storm once its own incident is over."""
        return not self.is_stormy() if reason is HoldReason.STORM else reason not in NOT_ESCALATED

    def now(self, incident: Incident) -> Incident:
        """The incident as it is held now; what was recorded are the words of when its reason changed."""
        hold = self._words.get(self._board.ladder_of.get(incident.id, ("", "")))
        return incident if hold is None or hold.reason is not incident.hold else self._said(incident, hold)

    def _said(self, incident: Incident, hold: Hold) -> Incident:
        return replace(incident, hold=hold.reason, hold_sentence=hold.sentence)

    def end(self, key: LadderKey) -> None:
        """Nothing holds the ladder any more: it acts, or it is quiet."""
        self._held_at.pop(key, None)
        self._words.pop(key, None)
        self._recorded.pop(key, None)
        for incident in self._board.open_incidents(key):
            if incident.hold is not None:
                self._board.put_incident(replace(incident, hold=None, hold_sentence=""))

    def _record(self, proposal: Proposal, hold: Hold) -> None:
        self._note(proposal.rule.name, proposal.resource, proposal.incident, proposal.step.remediation, hold)
        log.info(
            "held",
            f"Rule {proposal.rule.name}: {proposal.step.remediation} of {proposal.resource} is held: {hold.sentence}.",
            rule=proposal.rule.name,
            reason=str(hold.reason),
            incident=proposal.incident,
        )

    def _note(self, rule: str, resource: str, incident: str, remediation: str, hold: Hold) -> None:
        self._board.note(
            HoldRecord(
                rule=rule,
                resource=resource,
                incident=incident,
                remediation=remediation,
                reason=hold.reason,
                sentence=hold.sentence,
                at=self._clock.stamp(),
            )
        )
        self._metrics.held(rule, hold.reason)

    def _mute(self, incidents: Iterable[Incident]) -> None:
        """What a sick upstream or maintenance holds is counted anew when that ends, and told only then."""
        for incident in incidents:
            track = self._track(incident)
            if track is not None and not track.muted:
                self._board.put_track(replace(track, muted=True, counted=0.0), is_change=True)

    def _heed(self, proposal: Proposal, hold: Hold) -> None:
        """People want one left alone: others that share its ladder and are not covered are held with it, not hidden."""
        firing, now = self._firing(key_of(proposal)), self._clock.stamp()
        others = [it for it in firing if it.id != proposal.incident and not self.is_quiet(it)]
        if hold.reason is HoldReason.MAINTENANCE:
            seen = {it.id for it in others}
            self._mute(it for it in firing if it.id not in seen)
        for incident in others:
            if age(incident.opened, now) >= proposal.rule.escalate_after:
                self.tell(incident, hold.reason, hold.sentence)

    def _is_muted(self, incident: Incident) -> bool:
        """Whether people are not told of an incident yet: it opened or was held under what mutes."""
        track = self._track(incident)
        return track is not None and track.muted

    def _track(self, incident: Incident) -> Track | None:
        return self._board.tracks.get((incident.rule, incident.check, incident.subject))

    def _firing(self, key: LadderKey) -> list[Incident]:
        return [it for it in self._board.open_incidents(key) if it.state is IncidentState.FIRING]

    def hand_over(self, key: LadderKey, reason: HoldReason, sentence: str) -> None:
        """Tell people of what fires and shares a ladder."""
        for incident in self._firing(key):
            self.tell(incident, reason, sentence)

    def _tell_of_flapping(self, proposal: Proposal, sentence: str, held_for: float) -> None:
        """Tell people once while it flaps; of a relapse, and of what only waits with it, if that is held for long."""
        key, now = key_of(proposal), self._clock.stamp()
        for incident in self._firing(key):
            track = self._track(incident)
            is_told = track is not None and track.told_flapping
            flaps = self._board.ladders[key].flapping or incident.id == proposal.incident
            is_due = min(held_for, age(incident.opened, now)) >= proposal.rule.escalate_after
            if not is_due and (is_told or not flaps):
                continue
            self.tell(incident, HoldReason.FLAPPING, sentence)
            was_told = self._board.incidents[incident.id].handed_over is HoldReason.FLAPPING
            if track is not None and was_told:
                self._told_flapping(track)

    def _told_flapping(self, track: Track) -> None:
        if not track.told_flapping:
            self._board.put_track(replace(track, told_flapping=True), is_change=True)

    def untell(self, key: LadderKey) -> None:
        """What people were told of is over: it is told anew."""
        for incident in list(self._board.open_incidents(key)):
            self._board.put_incident(replace(incident, handed_over=None, handed_over_at=None))
            if (track := self._track(incident)) is not None and track.told_flapping:
                self._board.put_track(replace(track, told_flapping=False), is_change=True)

    def tell(self, incident: Incident, reason: HoldReason, sentence: str, *, though_muted: bool = False) -> None:
        """Tell people, once per incident; `exhausted` is told even if something else was told before."""
        is_told = incident.handed_over is not None
        if is_told and (reason is not HoldReason.EXHAUSTED or incident.handed_over is reason):
            return
        if (self._is_muted(incident) and not though_muted) or self.is_quiet(incident):
            return
        self._board.put_incident(replace(incident, handed_over=reason, handed_over_at=self._clock.stamp()))
        log.error(
            "handed_over",
            f"Incident {incident.id} of rule {incident.rule} needs people: {sentence}.",
            incident=incident.id,
            rule=incident.rule,
            reason=str(reason),
        )

    def told(self) -> int:
        """How much people were told of that is not over: open incidents, and what flaps, be it well just now."""
        board = self._board
        found = {(it.rule, it.check, it.subject) for it in board.incidents.values() if it.handed_over is not None}
        return len(found.union(key for key, track in board.tracks.items() if track.told_flapping))

    def exhaust(self, key: LadderKey, rule: Rule, remediation: str, *, is_relapse: bool) -> None:
        """Every step was tried, `remediation` last: heald acts no more until it resolves or is told `heald retry`.

        While it flaps people are told once: not of each relapse of a ladder that was at its end before, unless that is
        open for `escalate_after`.
        """
        ladder = self._board.ladders[key]
        made = "would have been made, on paper," if ladder.would else "was made or ruled out"
        sentence = f"every try of every step {made} and it is not well"
        if not ladder.exhausted:
            self._board.put_ladder(replace(ladder, exhausted=True))
        hold = Hold(reason=HoldReason.EXHAUSTED, sentence=sentence)
        self._stop(key, remediation, hold)
        untold = [it for it in self._firing(key) if it.handed_over is not HoldReason.EXHAUSTED]
        self._mute(it for it in untold if self.is_planned(it))
        for incident in self._firing(key):
            track = self._track(incident)
            was_told = track is not None and track.told_flapping and incident.handed_over is None
            if was_told and is_relapse and age(incident.opened, self._clock.stamp()) < rule.escalate_after:
                continue
            self.tell(incident, hold.reason, sentence)
            flaps = ladder.flapping or self._flaps.too_many((incident.rule, incident.check, incident.subject))
            if track is not None and flaps and self._board.incidents[incident.id].handed_over is not None:
                self._told_flapping(track)

    def stop(self, key: LadderKey, remediation: str, hold: Hold) -> None:
        """The ladder is stopped without a proposal: the hold is in force on what fires, and people are told."""
        self._stop(key, remediation, hold)
        self.hand_over(key, hold.reason, hold.sentence)

    def _stop(self, key: LadderKey, remediation: str, hold: Hold) -> None:
        ladder = self._board.ladders[key]
        if self._firing(key) and ladder.hold is not hold.reason:
            self._board.put_ladder(replace(ladder, hold=hold.reason))
        found = [incident for incident in self._firing(key) if incident.hold is not hold.reason]
        if found:  # one hold, as of every other reason; people are told by `hand_over`, so not in the log
            self._note(*key, found[0].id, remediation, hold)
        for incident in found:
            self._board.put_incident(self._said(incident, hold))
