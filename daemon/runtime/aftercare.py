"""From a claim's effect to its release: settle, verification, what it means for the ladder. Nothing here waits."""

from collections.abc import Callable, Mapping
from typing import Protocol

from daemon.engine import ladder as ladders
from daemon.engine.counting import age, steady_of
from daemon.engine.verification import Member, Watch, gives_up, heard, result, settling, without
from daemon.logs import log
from daemon.metrics import Metrics
from daemon.model.incident import HoldReason, Incident, IncidentState
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.remediation import Attempt, AttemptState, Outcome, Verification
from daemon.model.rule import Rule, Verdict
from daemon.model.track import Ladder
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board, LadderKey
from daemon.runtime.doubts import BLIND_FOR, Doubts
from daemon.runtime.holds import Holds


class Timetable(Protocol):
    """What aftercare asks of the scheduler."""

    def due(self, name: str, at: float | None = None) -> None:
        """Run a check at once, or at that steady time."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> object:
        """Call back at that steady time."""
        ...


class Aftercare:
    """Attempts under way."""

    def __init__(self, bindings: Bindings, *, board: Board, holds: Holds, clock: Clock, metrics: Metrics) -> None:
        self._bindings = bindings
        self._board = board
        self._holds = holds
        self._clock = clock
        self._metrics = metrics
        self.doubts = Doubts(board, holds)
        self.timetable: Timetable | None = None

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; attempts under way keep their own copies."""
        self._bindings = bindings

    # ---- the effect's end ---------------------------------------------------------------------------------------

    def finish(self, attempt_id: str, state: AttemptState, outcome: Outcome, *, permanent: bool = False) -> None:
        """An attempt's effect ended."""
        watch = self._board.watches[attempt_id]
        now = self._clock.stamp()
        attempt = replace(
            watch.attempt,
            state=state,
            ended=now,
            summary=outcome.summary,
            details=outcome.details,
            permanent=permanent,
        )
        self._board.put_attempt(attempt)
        self._metrics.attempted(attempt.remediation, state)
        say = log.info if state is AttemptState.SUCCEEDED else log.error
        say(
            f"attempt_{state}",
            f"Attempt {attempt.remediation} of {attempt.resource} by rule {attempt.rule} {state}: {outcome.summary}.",
            attempt=attempt.id,
            rule=attempt.rule,
            resource=attempt.resource,
        )
        if state is AttemptState.SUCCEEDED:
            self.settle(self._board.watches[attempt_id], now.boottime)
        else:
            self._release(self._board.watches[attempt_id], None)

    def would(self, attempt: Attempt) -> None:
        """A would-be attempt was made on paper: it is busy for settle and verify like a real one."""
        self._metrics.attempted(attempt.remediation, attempt.state)
        self._plan(self._board.watches[attempt.id])

    def planned(self, attempt_id: str, plan: str) -> None:
        """Record what a would-be attempt would have done, arguments and all; the log says only that."""
        attempt = self._board.attempts.get(attempt_id)
        if attempt is None:
            return
        self._board.put_attempt(replace(attempt, summary=plan))
        log.info(
            "attempt_would",
            f"Would {attempt.remediation} {attempt.resource} by rule {attempt.rule}; nothing was done.",
            attempt=attempt.id,
            rule=attempt.rule,
            resource=attempt.resource,
        )

    def settle(self, watch: Watch, ended: float) -> None:
        """Wait for the effect to take hold, then verify; `ended` is the effect's end in steady seconds."""
        watch = self._board.watches[watch.attempt.id] = settling(watch, ended)
        ladder = self._board.ladders.get((watch.attempt.rule, watch.attempt.ladder))
        if ladder is not None and not watch.attempt.would:
            now, until = self._clock.stamp(), ended + watch.attempt.settle
            floor = replace(now, boottime=until, wall=now.wall + until - now.boottime)
            self._board.put_ladder(replace(ladder, floor=floor))
        self._plan(watch)

    def _plan(self, watch: Watch) -> None:
        """Make the members' checks due when settle ends; the rest follows from their runs."""
        if self.timetable is None or watch.settled is None:
            return
        for check in {check for check, _ in watch.members}:
            if not watch.attempt.would:
                self.timetable.due(check, max(watch.settled, self._clock.steady()))
        self.timetable.call_at(watch.settled, self.release_empty)
        self._plan_deadline(watch)

    def _plan_deadline(self, watch: Watch) -> None:
        """Make the members' checks due at the deadline, and look after those that never run."""
        if self.timetable is None:
            return
        for check in {check for check, _ in watch.members}:
            self.timetable.due(check, watch.deadline)
        self.timetable.call_at(gives_up(watch), lambda: self._expire(watch.attempt.id))

    def _expire(self, attempt_id: str) -> None:
        watch = self._board.watches.get(attempt_id)
        if watch is None or watch.settled is None:
            return
        at = self._clock.steady()
        if at < gives_up(watch):
            return
        found = result(watch, at)
        if found is not None:
            self._release(watch, found)

    # ---- verification -------------------------------------------------------------------------------------------

    def heard(self, watch: Watch, said: Mapping[Member, Verdict], at: float) -> None:
        """A run that began after settle said this of an attempt's incidents."""
        after = self._board.watches[watch.attempt.id] = heard(watch, said, at)
        found = result(after, at)
        if found is not None:
            self._release(after, found)
        elif after.deadline != watch.deadline and not after.is_clear:  # while it is clear the deadline stands still
            self._plan_deadline(after)

    def left(self, incident: Incident) -> None:
        """An incident vanished or was withdrawn: it leaves every verification."""
        member = (incident.check, incident.subject)
        for watch in list(self._board.watches.values()):
            if watch.members.get(member) == incident.id:
                self._board.watches[watch.attempt.id] = without(watch, member)
        self.release_empty()

    def release_empty(self) -> None:
        """End verification where no incident is left to verify; what was done settles first."""
        for watch in list(self._board.watches.values()):
            if not watch.members and watch.settled is not None and self._clock.steady() >= watch.settled:
                self._release(watch, Verification.UNVERIFIED)

    def _release(self, watch: Watch, found: Verification | None) -> None:
        """The resource is free, its cooldown begins; `found` is None where nothing was to be verified."""
        now = self._clock.stamp()
        del self._board.watches[watch.attempt.id]
        attempt = replace(watch.attempt, verification=found, released=now)
        self._board.put_attempt(attempt)
        if found is not None:
            self._metrics.verified(attempt.remediation, found)
            say = log.info if found is Verification.EFFECTIVE else log.warning
            say(
                f"attempt_{found}",
                f"Attempt {attempt.remediation} of {attempt.resource} by rule {attempt.rule} was {found}.",
                attempt=attempt.id,
                rule=attempt.rule,
            )
        key = (attempt.rule, attempt.ladder)
        ladder = self._board.ladders.get(key)
        if ladder is not None and ladder.attempt == attempt.id:
            self._go_on(key, ladder, attempt, found, is_empty=not watch.members)

    def _go_on(
        self, key: LadderKey, ladder: Ladder, attempt: Attempt, found: Verification | None, *, is_empty: bool
    ) -> None:
        """What an attempt's end means for its ladder: the next try, the next step, waiting, or people."""
        ladder = replace(ladder, attempt=None)
        rule = self._bindings.rules.get(attempt.rule)
        if attempt.permanent and rule is not None:
            ladder = ladders.given_up(ladder, rule.steps)
        waits = found is Verification.UNVERIFIED and not is_empty and not attempt.would
        if waits:
            ladder = replace(ladder, waiting_since=self._clock.stamp())
            self.watch_blindness(key)
        self._board.put_ladder(ladder)
        if rule is None or waits or found is Verification.EFFECTIVE or ladder.closed is not None:
            return
        if ladders.current(ladder, rule) is None:
            self._holds.exhaust(key, rule, attempt.remediation, is_relapse=False)

    def watch_blindness(self, key: LadderKey) -> None:
        """Tell people if an unverified ladder stays blind for too long."""
        if self.timetable is None:
            return
        ladder = self._board.ladders[key]
        waited = age(ladder.waiting_since, self._clock.stamp()) if ladder.waiting_since else 0.0
        self.timetable.call_at(self._clock.steady() + BLIND_FOR - waited, lambda: self._tell_blind(key))

    def _tell_blind(self, key: LadderKey) -> None:
        ladder = self._board.ladders.get(key)
        if ladder is None or ladder.waiting_since is None:
            return
        if age(ladder.waiting_since, self._clock.stamp()) >= BLIND_FOR:
            sentence = "an attempt was made, and for ten minutes nobody could look whether it helped"
            self._holds.hand_over(key, HoldReason.BLIND_NOW, sentence)

    def knows(self, key: LadderKey) -> None:
        """A known run came: an unverified ladder waits no longer."""
        ladder = self._board.ladders.get(key)
        if ladder is not None and ladder.waiting_since is not None:
            self._board.put_ladder(replace(ladder, waiting_since=None))

    # ---- closing ------------------------------------------------------------------------------------------------

    def closed(self, key: LadderKey, incident: str, at: Stamp) -> None:
        """One of a ladder's incidents closed; with the last of them the ladder closes."""
        ladder = self._board.ladders.get(key)
        if ladder is None:
            return
        self._board.put_ladder(replace(ladder, last_incident=incident))
        self.close_empty(at)

    def close_empty(self, at: Stamp) -> None:
        """Close every ladder that no open incident shares any more."""
        shared = {self._board.ladder_of.get(incident) for incident in self._board.incidents}
        for key, ladder in list(self._board.ladders.items()):
            if ladder.closed is None and key not in shared:
                self._holds.end(key)
                self._board.put_ladder(
                    replace(ladder, closed=at, exhausted=False, hold=None, held_for=0.0, waiting_since=None)
                )

    def recovering(self, key: LadderKey) -> None:
        """An incident left FIRING: what held its ladder holds no more once none is firing."""
        if not any(it.state is IncidentState.FIRING for it in self._board.open_incidents(key)):
            self._holds.end(key)
            if (ladder := self._board.ladders.get(key)) is not None:
                self._board.put_ladder(replace(ladder, hold=None, held_for=0.0))

    def needs_runs(self, check: str) -> bool:
        """Whether an attempt is being verified by this check now."""
        now = self._clock.steady()
        for watch in self._board.watches.values():  # after every run, with as many attempts as are under way
            if watch.settled is not None and now >= watch.settled:
                for name, _ in watch.members:
                    if name == check:
                        return True
        return False

    # ---- start --------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with what an earlier daemon left under way; what it left running is lost."""
        now = self._clock.stamp()
        for attempt in list(self._board.attempts.values()):
            if attempt.released is not None:
                continue
            if attempt.state is AttemptState.RUNNING:
                attempt = replace(attempt, state=AttemptState.LOST, summary="heald ended while it ran")
                self._board.put_attempt(attempt)
                self._metrics.attempted(attempt.remediation, attempt.state)
                log.warning("attempt_lost", f"Attempt {attempt.remediation} of {attempt.resource} is lost.")
            self._resume(attempt, now)
        self._board.resolved.clear()
        for key, ladder in list(self._board.ladders.items()):
            if ladder.attempt is not None and ladder.attempt not in self._board.watches:
                self._board.put_ladder(replace(ladder, attempt=None))
            if ladder.waiting_since is not None:
                self.watch_blindness(key)

    def _resume(self, attempt: Attempt, now: Stamp) -> None:
        rule = self._bindings.rules.get(attempt.rule) or Rule(
            name=attempt.rule, order=0, checks=(), when={}, for_seconds={}
        )
        members = {
            (it.check, it.subject): it.id
            for it in (*self._board.incidents.values(), *self._board.resolved.values())
            if it.id in attempt.incidents and it.check in rule.checks
        }
        begun = steady_of(attempt.claimed, now)
        ended = begun + attempt.timeout if attempt.ended is None else steady_of(attempt.ended, now)
        every = max((self._bindings.setup.checks[check].every for check, _ in members), default=0.0)
        watch = Watch(attempt=attempt, rule=rule, members=members, every=every, since=now.boottime)
        self._board.watches[attempt.id] = watch
        self.settle(watch, ended)
