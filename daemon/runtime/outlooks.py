"""Asking those who know more of a next step than the board: the resource's manager, and the remediation itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemon.engine.proof import answers
from daemon.model.explanation import GuardAnswer
from daemon.model.remediation import Attempt
from daemon.runtime.bindings import Bindings
from daemon.runtime.claims import Claims
from daemon.runtime.executor import Executor
from daemon.runtime.standing import Outlook, next_step

_AT_ONCE = 16  # outlooks whose manager and remediation are asked side by side


class Outlooks:
    """Completes outlooks. Raises nothing: what cannot be asked is an answer."""

    def __init__(self, bindings: Bindings, *, executor: Executor, claims: Claims) -> None:
        self._bindings = bindings
        self._executor = executor
        self._claims = claims
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

    def after(self, outlook: Outlook, made: Sequence[Attempt], taken: Mapping[str, str]) -> Outlook:
        """The outlook once these attempts were claimed too, and these resources taken (by which rule)."""
        proposal, facts, step = outlook.proposal, outlook.facts, outlook.next
        if proposal is None or facts is None or step is None:
            return outlook
        facts = replace(facts, attempts=[*facts.attempts, *made], reserved={**taken, **facts.reserved})
        again = answers(proposal, facts)
        return replace(outlook, facts=facts, next=replace(step, guards=(*again, *step.guards[len(again) :])))

    def draft(self, outlook: Outlook) -> Attempt | None:
        """The attempt that would be claimed; None where nothing would."""
        if outlook.proposal is None or outlook.next is None or outlook.next.held or not outlook.next.is_left:
            return None
        return self._claims.draft(outlook.proposal, ())
