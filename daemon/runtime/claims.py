"""The claim of an attempt: on the board first, then in the store, and taken back if the store does not commit it."""

import secrets
from collections.abc import Iterable, Sequence

from daemon.engine import ladder as ladders
from daemon.engine.guards import Facts, Proposal, over_limit
from daemon.engine.verification import Watch, settling
from daemon.model.approval import Approval
from daemon.model.incident import Hold
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.remediation import Attempt, AttemptState
from daemon.protocols import Clock
from daemon.runtime.approvals import Approvals
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.holds import Holds, key_of
from daemon.runtime.worse import Worse


class Claims:
    """Attempts as they are claimed."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        holds: Holds,
        approvals: Approvals,
        worse: Worse,
        clock: Clock,
    ) -> None:
        self._bindings = bindings
        self._worse = worse
        self._board = board
        self._holds = holds
        self._approvals = approvals
        self._used: dict[str, Approval] = {}  # by attempt: the approval it was claimed on, until the claim is committed
        self._clock = clock

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings

    def make(self, proposal: Proposal, now: Stamp) -> Attempt:
        """Put the attempt on the board: the try is spent, the resource busy. The store's commit comes next."""
        board, key = self._board, key_of(proposal)
        joined = {(it.check, it.subject): it.id for it in board.open_incidents(key)}
        attempt = self._worse.watch(self.draft(proposal, joined.values(), now), {check for check, _ in joined})
        checks = self._bindings.setup.checks
        every = max(checks[check].every for check, _ in joined)
        watch = Watch(attempt=attempt, rule=proposal.rule, members=joined, every=every)
        board.watches[attempt.id] = settling(watch, attempt.claimed.boottime) if proposal.would else watch
        if not proposal.would:
            board.claiming.add(attempt.id)
        board.put_attempt(attempt)
        self._used = {it: given for it, given in self._used.items() if it in board.watches}
        if (approval := self._approvals.use(proposal)) is not None:
            self._used[attempt.id] = approval
        board.put_ladder(
            ladders.claimed(proposal.ladder, proposal.rule, proposal.index, attempt.id, would=proposal.would)
        )
        if not proposal.would:
            self._holds.end(key)
        return attempt

    def draft(self, proposal: Proposal, incidents: Iterable[str], now: Stamp) -> Attempt:
        """The attempt as it would be claimed `now`, when the guards were asked; nothing is kept of it."""
        step = proposal.step
        try_number = ladders.spent(proposal.ladder, proposal.rule.steps, proposal.index) + 1
        return Attempt(
            id=f"{int(now.wall * 1000):013d}-{secrets.token_hex(3)}",
            rule=proposal.rule.name,
            resource=proposal.resource,
            ladder=proposal.ladder.resource,
            remediation=step.remediation,
            step=step.key,
            try_number=try_number,
            incidents=(proposal.incident, *(it for it in incidents if it != proposal.incident)),
            claimed=now,
            timeout=step.timeout,
            settle=step.settle,
            verify=step.verify,
            cooldown=ladders.cooldown_of(step, try_number),
            state=AttemptState.WOULD if proposal.would else AttemptState.RUNNING,
            ended=now if proposal.would else None,
            summary="nothing was done: heald only observes here" if proposal.would else "",
            would=proposal.would,
        )

    def permits(self, proposal: Proposal, attempts: Sequence[Attempt]) -> Hold | None:
        """What the limits say of the store's own rows, asked within the claim's transaction."""
        now = self._clock.stamp()
        return over_limit(proposal, Facts(now=now, settings=self._bindings.setup.settings, attempts=attempts))

    def committed(self, attempt: Attempt) -> None:
        """The store has the claim; what became of the attempt meanwhile is written now."""
        board = self._board
        board.claiming.discard(attempt.id)
        if (now := board.attempts.get(attempt.id, attempt)) is not attempt:
            board.put_attempt(now)

    def take_back(self, proposal: Proposal, attempt: Attempt, hold: Hold) -> None:
        """Take a claim back that the store did not commit: nothing was done, no try was spent."""
        board, key = self._board, key_of(proposal)
        board.claiming.discard(attempt.id)
        board.watches.pop(attempt.id, None)
        board.attempts.pop(attempt.id, None)
        if (approval := self._used.pop(attempt.id, None)) is not None:
            self._approvals.give_back(approval)
        before, ladder = proposal.ladder, board.ladders.get(key)
        if ladder is not None and ladder.attempt == attempt.id:
            board.put_ladder(
                replace(ladder, attempt=None, step=before.step, nth=before.nth, tries=before.tries, would=before.would)
            )
            self._holds.put(proposal, hold)
