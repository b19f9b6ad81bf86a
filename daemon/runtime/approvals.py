"""Approvals: whom heald asked, what they said, and whether that still holds."""

import secrets

from daemon.engine import ladder as ladders
from daemon.engine.counting import age
from daemon.engine.guards import Proposal
from daemon.logs import log
from daemon.model.approval import Approval, ApprovalState
from daemon.model.incident import Incident
from daemon.model.quick import replace
from daemon.model.remediation import Plan
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board


class Approvals:
    """What people were asked."""

    def __init__(self, bindings: Bindings, board: Board, clock: Clock) -> None:
        self._bindings = bindings
        self._board = board
        self._clock = clock

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; what was asked for stays asked for."""
        self._bindings = bindings

    def of(self, proposal: Proposal) -> Approval | None:
        """What was asked for this step of this ladder, if something can still come of it."""
        for approval in self._board.approvals.values():
            of_ladder = (approval.rule, approval.ladder) == (proposal.rule.name, proposal.ladder.resource)
            of_step = (approval.step, approval.resource) == (proposal.step.key, proposal.resource)
            if of_ladder and of_step and self._is_alive(approval):
                return approval
        return None

    def ask(self, proposal: Proposal, plan: Plan) -> Approval:
        """Ask people for one attempt, as it is planned now."""
        approval = Approval(
            id=f"approval-{secrets.token_hex(3)}",
            rule=proposal.rule.name,
            ladder=proposal.ladder.resource,
            incident=proposal.incident,
            remediation=proposal.step.remediation,
            resource=proposal.resource,
            step=proposal.step.key,
            plan=plan.summary,
            facts=plan.facts,
            asked=self._clock.stamp(),
        )
        self._board.put_approval(approval)
        incident = self._board.incidents.get(proposal.incident)
        if incident is not None:
            said = f"{approval.remediation} of {approval.resource} needs a person to agree: heald approve {approval.id}"
            self._board.put_incident(replace(incident, hold_sentence=said))
        log.warning(
            "approval_asked",
            f"Somebody must agree before rule {approval.rule} may {approval.plan}: heald approve {approval.id}",
            approval=approval.id,
            incident=approval.incident,
            rule=approval.rule,
        )
        return approval

    def fits(self, proposal: Proposal, plan: Plan) -> bool:
        """Whether what was agreed to is what would be done now; if not, that approval is over."""
        approval = self.of(proposal)
        if approval is None or dict(approval.facts) == dict(plan.facts):
            return True
        self._end(approval, ApprovalState.LAPSED, why="what would be done is not what was planned any more")
        return False

    def use(self, proposal: Proposal) -> Approval | None:
        """An attempt is claimed: the approval it needed is used up, and returned."""
        approval = self.of(proposal) if proposal.step.needs_approval else None
        if approval is not None:
            self._board.put_approval(replace(approval, state=ApprovalState.USED))
        return approval

    def give_back(self, approval: Approval) -> None:
        """The claim was not committed: nothing was done with the approval."""
        self._board.put_approval(approval)

    # ---- what people say ----------------------------------------------------------------------------------------

    def approve(self, approval_id: str, *, who: str) -> Approval:
        """Somebody agrees. Raises LookupError if it cannot be agreed to any more."""
        return self._decide(approval_id, ApprovalState.APPROVED, who, "")

    def reject(self, approval_id: str, *, who: str, why: str) -> Approval:
        """Somebody refuses: the step is over. Raises LookupError if it cannot be refused any more."""
        approval = self._decide(approval_id, ApprovalState.REJECTED, who, why)
        ladder = self._board.ladders.get((approval.rule, approval.ladder))
        rule = self._bindings.rules.get(approval.rule)
        if ladder is not None and rule is not None:
            first = ladders.current(ladder, rule)
            left = range(first, len(rule.steps)) if first is not None else range(0)
            index = next((it for it in left if rule.steps[it].key == approval.step), None)
            if index is not None:
                self._board.put_ladder(ladders.over(ladder, rule.steps, index))
        return approval

    def _decide(self, approval_id: str, state: ApprovalState, who: str, why: str) -> Approval:
        approval = self._board.approvals.get(approval_id)
        if approval is None or not self._is_alive(approval):
            raise LookupError(f"nothing waits for approval by the id {approval_id}")
        if approval.state is not ApprovalState.ASKED and state is ApprovalState.APPROVED:
            raise LookupError(f"{approval_id} was approved already, by {approval.who}")
        return self._end(approval, state, who=who, why=why)

    def _end(self, approval: Approval, state: ApprovalState, *, who: str = "", why: str = "") -> Approval:
        decided = replace(approval, state=state, decided=self._clock.stamp(), who=who or approval.who, why=why)
        self._board.put_approval(decided)
        return decided

    # ---- time ---------------------------------------------------------------------------------------------------

    def _is_alive(self, approval: Approval) -> bool:
        return approval.incident in self._board.incidents and self._age(approval) < approval.expires

    def _age(self, approval: Approval) -> float:
        return age(approval.asked, self._clock.stamp())

    def tick(self) -> None:
        """Take out what is too old, or of an incident that closed."""
        for approval in list(self._board.approvals.values()):
            if approval.incident not in self._board.incidents:
                self._end(approval, ApprovalState.LAPSED, why="the incident closed")
            elif self._age(approval) >= approval.expires:
                self._end(approval, ApprovalState.EXPIRED)
            elif self._is_passed(approval):
                self._end(approval, ApprovalState.LAPSED, why="its step will not be taken any more")

    def _is_passed(self, approval: Approval) -> bool:
        """Whether the ladder can come to its step no more: it is over, further on, or an edit removed it."""
        rule = self._bindings.rules.get(approval.rule)
        ladder = self._board.ladders.get((approval.rule, approval.ladder))
        first = ladders.current(ladder, rule) if ladder is not None and rule is not None else None
        return rule is None or first is None or all(step.key != approval.step for step in rule.steps[first:])

    def waiting(self) -> list[tuple[Approval, Incident]]:
        """Every one that somebody can still decide on, with its incident, oldest first."""
        alive = (it for it in self._board.approvals.values() if self._is_alive(it))
        return [(it, self._board.incidents[it.incident]) for it in alive]
