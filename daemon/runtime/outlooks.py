"""Asking those who know more of a next step than the board: the resource's manager, and the remediation itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemon.engine.proof import answers
from daemon.engine.verification import Member
from daemon.model.explanation import GuardAnswer
from daemon.model.remediation import Attempt
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.executor import Executor
from daemon.runtime.healing import Healing
from daemon.runtime.holds import key_of
from daemon.runtime.standing import Outlook, next_step

_AT_ONCE = 16  # outlooks whose manager and remediation are asked side by side


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An attempt that would be claimed, and the members that it would be for."""

    attempt: Attempt
    members: tuple[Member, ...]


class Outlooks:
    """Completes outlooks. Raises nothing: what cannot be asked is an answer."""

    def __init__(self, bindings: Bindings, board: Board, *, healing: Healing, executor: Executor) -> None:
        self._bindings = bindings
        self._board = board
        self._healing = healing
        self._executor = executor
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def asked(self, outlook: Outlook) -> Outlook:
        """The outlook with what the manager and the remediation say of it."""
        proposal, facts = outlook.proposal, outlook.facts
        if proposal is None or facts is None:
            return outlook
        async with self._places:
            found, plan = await asyncio.gather(
                self._executor.ask_around(proposal, self._bindings),
                self._executor.ask_plan(proposal, self._bindings),
            )
        facts = replace(
            facts,
            manager_busy=found.busy,
            stopped_why=found.stopped,
            conflict_why=facts.conflict_why or found.conflict,
        )
        is_left = outlook.next is None or outlook.next.is_left
        step = replace(next_step(proposal, facts), plan=plan.summary, is_left=is_left)
        if found.hold is not None:  # it could not be asked
            step = replace(step, guards=(*step.guards, GuardAnswer(reason=found.hold.reason, hold=found.hold)))
        return Outlook(proposal=proposal, facts=facts, next=step)

    def after(self, outlook: Outlook, made: Sequence[Draft]) -> Outlook:
        """The outlook once these attempts were claimed too: they count, and what they touch is taken."""
        proposal, facts, step = outlook.proposal, outlook.facts, outlook.next
        if proposal is None or facts is None or step is None or not made:
            return outlook
        taken = {it.attempt.resource: it.attempt.rule for it in made}
        facts = replace(
            facts,
            attempts=[*facts.attempts, *(it.attempt for it in made)],
            reserved={**taken, **facts.reserved},
            min_healthy_why=self._healing.too_few(proposal, [member for it in made for member in it.members]),
        )
        again = answers(proposal, facts)
        return replace(outlook, facts=facts, next=replace(step, guards=(*again, *step.guards[len(again) :])))

    def draft(self, outlook: Outlook) -> Draft | None:
        """The attempt that would be claimed; None where nothing would."""
        facts, step = outlook.facts, outlook.next
        if outlook.proposal is None or facts is None or step is None or step.held or not step.is_left:
            return None
        joined = self._board.open_incidents(key_of(outlook.proposal))
        return Draft(
            attempt=self._healing.claims.draft(outlook.proposal, (), facts.now),
            members=tuple((it.check, it.subject) for it in joined),
        )
