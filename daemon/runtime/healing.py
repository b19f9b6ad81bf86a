"""From a breach to a claim: proposals, guards, holds, the second look. Nothing here waits."""

from collections.abc import Iterable

from daemon.engine import ladder as ladders
from daemon.engine.condition import View
from daemon.engine.counting import steady_of
from daemon.engine.facts import FITS, Fit
from daemon.engine.guards import Facts, Proposal, decide
from daemon.engine.verification import Member
from daemon.errors import RemediationError
from daemon.logs import log
from daemon.model.check import Run
from daemon.model.incident import Hold, HoldReason, IncidentState
from daemon.model.quick import replace
from daemon.model.remediation import Attempt
from daemon.model.rule import Rule, Verdict
from daemon.model.settings import Mode
from daemon.model.track import Ladder, Track
from daemon.protocols import Clock
from daemon.runtime.approvals import Approvals
from daemon.runtime.bindings import Binding, Bindings, fit_of
from daemon.runtime.board import Board, LadderKey, TrackKey
from daemon.runtime.claims import Claims
from daemon.runtime.health import Health
from daemon.runtime.holds import Holds, key_of
from daemon.runtime.orders import Orders
from daemon.runtime.situation import NOTHING, Found, Situation
from daemon.runtime.worse import Worse


class Healing:
    """The ladders: what would be done now, what holds it, and the claim of an attempt."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        health: Health,
        holds: Holds,
        situation: Situation,
        approvals: Approvals,
        orders: Orders,
        worse: Worse,
        clock: Clock,
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._health = health
        self._holds = holds
        self.claims = Claims(bindings, board=board, holds=holds, approvals=approvals, worse=worse, clock=clock)
        self.to_ask: dict[LadderKey, Proposal] = {}  # those for which people must be asked
        self._situation = situation
        self._orders = orders
        self._clock = clock
        self._queue: dict[LadderKey, Proposal] = {}
        self._reserved: dict[tuple[str, bool], LadderKey] = {}  # resources (and: only would be) in their second look
        self._looking: set[LadderKey] = set()
        self._looks: dict[TrackKey, tuple[Verdict, Run, View | None]] = {}

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration: what was proposed under the old one is proposed anew from the next run."""
        went_to_act = bindings.setup.settings.mode is Mode.ACT and self._bindings.setup.settings.mode is not Mode.ACT
        self._bindings = bindings
        self.claims.replace(bindings)
        self._situation.replace(bindings)
        self._queue.clear()
        self.to_ask.clear()
        if went_to_act:
            self.forget_would()
            for key in list(self._board.ladders):
                self._anew(key)

    def forget_would(self, *, allowed: frozenset[str] | None = None) -> None:
        """Would-be counts, and the ladders that have some, start anew.

        At start nobody knows whether heald observed before: it did where a remediation that is `allowed` now was only
        tried on paper, and nothing was really done on that ladder since.
        """
        attempts = list(self._board.attempts.values())  # oldest first, whatever the wall clock did
        acted = {(it.rule, it.ladder): place for place, it in enumerate(attempts) if not it.would}
        for place, attempt in enumerate(attempts):
            key = (attempt.rule, attempt.ladder)
            if allowed is not None and (attempt.remediation not in allowed or acted.get(key, -1) > place):
                continue
            if attempt.would and not attempt.void:
                self._board.watches.pop(attempt.id, None)
                released = attempt.released or self._clock.stamp()
                self._board.put_attempt(replace(attempt, void=True, released=released))
                self._anew(key)

    def _anew(self, key: LadderKey) -> None:
        """Begin a ladder anew; a real attempt under way goes on."""
        if (ladder := self._board.ladders.get(key)) is not None:
            attempt = self._board.attempts.get(ladder.attempt or "")
            self.retry(key, keeps=attempt is not None and not attempt.void)

    def retry(self, key: LadderKey, *, keeps: bool = True) -> None:
        """Begin a ladder anew, as `heald retry` asks: what people were told of before is over, and told anew.

        An attempt under way goes on unless it is not kept (`keeps`).
        """
        ladder = self._board.ladders[key]
        attempt = ladder.attempt if keeps else None
        self._board.put_ladder(replace(ladders.anew(ladder), attempt=attempt, closed=ladder.closed))
        self._holds.end(key)
        self._holds.untell(key)

    # ---- proposals ----------------------------------------------------------------------------------------------

    def breached(self, binding: Binding, track: Track, run: Run, view: View) -> None:
        """A firing incident was breached once more: propose its ladder's current step, if that is for it."""
        rule = binding.rule
        resource = self._bindings.ladder_resource(binding, track.subject)
        if resource is None or track.incident is None:
            return
        key = (rule.name, resource)
        ladder = self._board.ladders.get(key)
        if ladder is None or ladder.attempt is not None or key in self._looking:
            return
        if track.muted and not self._may_be_told(binding, track):
            return
        found = ladders.chosen(ladder, rule, lambda step: fit_of(step, view))
        if found is None:
            self._holds.exhaust(key, rule, rule.steps[-1].remediation, is_relapse=True)
            return
        index, fit = found
        try:
            proposal = self.propose(binding, ladder, index, track, run, fit)
        except RemediationError as error:
            self._give_up(ladder, rule, index, str(error))
            return
        waiting = self._queue.get(key)
        if waiting is None or self._health.turn(proposal) < self._health.turn(waiting):
            self._queue[key] = proposal

    def _give_up(self, ladder: Ladder, rule: Rule, index: int, why: str) -> None:
        step = rule.steps[index].remediation
        log.error("step_impossible", f"Rule {rule.name}: {step} cannot be done: {why}", rule=rule.name)
        self._board.put_ladder(ladders.over(ladder, rule.steps, index))

    def propose(
        self, binding: Binding, ladder: Ladder, index: int, track: Track, run: Run, fit: Fit = FITS
    ) -> Proposal:
        """The proposal of a step; nothing is queued. Without an open incident: as if one opened now.

        Raises:
            RemediationError: nobody can say what it would touch.
        """
        rule, step = binding.rule, binding.rule.steps[index]
        resource = self._bindings.resource(step, binding.check, track.subject)
        settings, now = self._bindings.setup.settings, self._clock.stamp()
        incident = self._board.incidents.get(track.incident or "")
        return Proposal(
            rule=rule,
            ladder=ladder,
            index=index,
            step=step,
            fit=fit,
            resource=resource,
            incident=incident.id if incident else "",
            check=track.check,
            subject=track.subject,
            service=binding.check.service,
            timing=binding.timing,
            firing_since=steady_of(incident.opened, now) if incident else now.boottime,
            run_began=run.began,
            run_ended=run.ended,
            limit=self._bindings.limit_of(resource),
            scope=self._situation.scope(binding, track.subject),
            would=settings.mode is not Mode.ACT or step.remediation not in settings.allow,
        )

    def _may_be_told(self, binding: Binding, track: Track) -> bool:
        """Whether a muted incident goes to the guards: while what muted it holds, or once `for` counted anew."""
        if self._health.sick_upstream(binding.check.service) is not None:
            return True
        if self._orders.maintenance(self._situation.scope(binding, track.subject)) is not None:
            return True
        if track.counted < self.counts_anew(binding)[0]:
            return False
        self._board.put_track(replace(track, muted=False), is_change=True)
        return True

    def counts_anew(self, binding: Binding) -> tuple[float, str | None]:
        """Seconds that count anew after what muted an incident, and the root whose settle they are, if they are one."""
        return self._health.counts_anew(binding)

    def drain(self) -> list[Proposal]:
        """The proposals of this instant: highest severity, then oldest firing, then order in the file."""
        queue, self._queue = self._queue, {}
        return sorted(queue.values(), key=lambda it: (it.rule.severity, it.firing_since, it.rule.order))

    @property
    def has_proposals(self) -> bool:
        """Whether `drain` would return any."""
        return bool(self._queue)

    @property
    def is_deciding(self) -> bool:
        """Whether anything is proposed, or in its second look: a claim may be about to come."""
        return bool(self._queue or self._looking)

    def is_looking(self, key: LadderKey) -> bool:
        """Whether the ladder's second look is under way."""
        return key in self._looking

    # ---- guards -------------------------------------------------------------------------------------------------

    def facts(self, proposal: Proposal, *, found: Found = NOTHING) -> Facts:
        """What the guards may look at, now."""
        own, would = key_of(proposal), proposal.would
        others = {
            it: key[0] for (it, of_would), key in self._reserved.items() if key != own and (would or not of_would)
        }
        return self._situation.facts(proposal, reserved=others, found=found)

    def too_few(self, proposal: Proposal, besides: Iterable[Member]) -> str | None:
        """Why `min_healthy` would hold a proposal if these incidents' members were acted on too."""
        return self._situation.too_few(proposal, besides)

    def weigh(self, proposal: Proposal) -> bool:
        """Ask the guards; true if the proposal goes on to its second look. Its resource is then reserved."""
        key = key_of(proposal)
        incident = self._board.incidents.get(proposal.incident)
        if incident is None or incident.state is not IncidentState.FIRING or key in self._looking:
            return False
        proposal = replace(proposal, ladder=self._board.ladders[key])  # another run of this instant may have stopped it
        hold, goes_on = decide(proposal, self.facts(proposal))
        if hold is not None:
            self._holds.put(proposal, hold, goes_on=goes_on)
            self._ask_people(proposal, hold)
        if goes_on:
            self._looks.pop((proposal.rule.name, proposal.check, proposal.subject), None)  # of somebody else's look
            self._looking.add(key)
            self._reserved.setdefault((proposal.resource, proposal.would), key)
        return goes_on

    def _ask_people(self, proposal: Proposal, hold: Hold) -> None:
        """Have people asked where nothing else holds; once."""
        if hold.reason is HoldReason.APPROVAL and self._situation.approval(proposal) is None:
            self.to_ask[key_of(proposal)] = proposal

    def looked(self, rule: str, run: Run, subject: str, verdict: Verdict, view: View | None = None) -> None:
        """Note what a second look found, and what conditions see of it."""
        if self._looking:
            self._looks[rule, run.check, subject] = (verdict, run, view)

    def after_look(self, proposal: Proposal, *, found: Found = NOTHING) -> Attempt | None:
        """Ask the guards again with what the second look found; claim the attempt if none holds."""
        key = key_of(proposal)
        self._looking.discard(key)
        if self._reserved.get(place := (proposal.resource, proposal.would)) == key:
            del self._reserved[place]
        looked = (proposal.rule.name, proposal.check, proposal.subject)
        verdict, run, view = self._looks.pop(looked, (None, None, None))
        if not self._looking:
            self._looks.clear()
        ladder = self._board.ladders.get(key)
        if ladder is None or self._bindings.rules.get(proposal.rule.name) is not proposal.rule:
            return None  # a reload came between: judged anew from the next run
        if ladders.current(ladder, proposal.rule) != ladders.current(proposal.ladder, proposal.rule):
            return None  # so did `heald retry`: another step's turn has come
        if verdict is Verdict.BREACHED and run is not None and view is not None:
            return self._breached_still(replace(proposal, ladder=ladder), run, view, found)
        if verdict is Verdict.CLEAR:
            self._board.put_ladder(ladders.found_clear(ladder))
            sentence = "it was clear when heald looked again, just before acting"
            self._holds.put(proposal, Hold(reason=HoldReason.CLEAR_NOW, sentence=sentence))
        else:
            self._board.put_ladder(replace(ladder, clear_streak=0))
            why = (run.error if run else None) or "the second look found no value"
            self._holds.put(proposal, Hold(reason=HoldReason.BLIND_NOW, sentence=f"heald could not look again: {why}"))
        return None

    def _breached_still(self, proposal: Proposal, run: Run, view: View, found: Found) -> Attempt | None:
        """The second look found it breached: the guards once more, and the claim."""
        incident = self._board.incidents.get(proposal.incident)
        if incident is None or incident.state is not IncidentState.FIRING:
            return None  # a run that ended while heald looked found it clear: judged anew from the next run
        chosen = ladders.chosen(proposal.ladder, proposal.rule, lambda step: fit_of(step, view))
        if chosen is None:
            return None
        if chosen[0] != proposal.index:
            places = [f"step {it + 1} ({proposal.rule.steps[it].remediation})" for it in (chosen[0], proposal.index)]
            sentence = f"what heald found when it looked again is for {places[0]}, not for {places[1]}"
            self._holds.put(proposal, Hold(reason=HoldReason.ONLY_IF, sentence=sentence))
            return None  # if that is so it is proposed by the next run
        proposal = replace(proposal, fit=chosen[1], run_began=run.began, run_ended=run.ended)
        facts = self.facts(proposal, found=found)
        hold, goes_on = decide(proposal, facts)
        if goes_on and found.hold is not None:
            hold, goes_on = found.hold, False
        if hold is not None and hold.reason is HoldReason.BLIND_NOW:
            self._board.put_ladder(replace(proposal.ladder, clear_streak=0))
        if hold is not None:
            self._holds.put(proposal, hold)
            self._ask_people(proposal, hold)
        return self.claims.make(proposal, facts.now) if goes_on else None
