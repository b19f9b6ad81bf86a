"""Carries proposals out: second look, claim, effect. The only place that waits for them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Never

from daemon.engine.guards import Proposal
from daemon.errors import CheckError, RemediationError, SickError, StoreError
from daemon.logs import log
from daemon.model.check import Check
from daemon.model.incident import Hold, HoldReason
from daemon.model.remediation import Attempt, AttemptState, Outcome, Plan
from daemon.protocols import Clock
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.approvals import Approvals
from daemon.runtime.asking import ASK_GRACE, Asking
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.connections import Connections
from daemon.runtime.drive import Drive, driven
from daemon.runtime.faults import in_bounds, is_ours, named, words_of
from daemon.runtime.healing import Healing
from daemon.runtime.runs import Runs
from daemon.runtime.situation import Found
from daemon.runtime.tasks import drain
from daemon.runtime.threads import caller
from daemon.runtime.toolbox import ActToolbox
from daemon.store.store import Store

BEGIN_WITHIN = 5.0  # seconds after its claim by which an effect begins, or never (docs/judgement.md, ladder)
ASK_PLAN = 10.0  # seconds a remediation may take to say what it would do
_CANCEL_GRACE = 5.0  # seconds a cancelled remediation may take to end; then it is closed by force


class Executor:
    """From proposals to ended effects."""

    def __init__(
        self,
        bindings: Bindings,
        *,
        board: Board,
        healing: Healing,
        approvals: Approvals,
        aftercare: Aftercare,
        runs: Runs,
        store: Store,
        clock: Clock,
        node: str,
        connections: Connections,
    ) -> None:
        self._bindings = bindings
        self._board = board
        self._healing = healing
        self._approvals = approvals
        self._aftercare = aftercare
        self._runs = runs
        self._store = store
        self._clock = clock
        self._node = node
        self._connections = connections
        self._asking = Asking(board=board, connections=connections, clock=clock, node=node)
        self._tasks: set[asyncio.Task[None]] = set()
        self._undecided = 0  # proposals that neither became a claim nor are held yet
        self._places = asyncio.Semaphore(bindings.setup.settings.concurrency)  # for second looks

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; what is under way ends under the old one."""
        self._bindings = bindings
        self._places = asyncio.Semaphore(bindings.setup.settings.concurrency)

    def is_deciding(self) -> bool:
        """Whether anything is on its way to a claim: what else there is to do can wait for a moment."""
        return self._undecided > 0 or self._healing.has_proposals

    @property
    def claiming(self) -> "asyncio.Future[Any] | None":
        """The newest claim, while the store's thread is about it."""
        return self._store.claiming

    async def run(self) -> Never:
        """The standing task: weigh the proposals of each instant, most severe first."""
        async with asyncio.TaskGroup() as group:  # a bug of ours ends the daemon; the row says what was claimed
            while True:
                await self._runs.proposed.wait()
                self._runs.proposed.clear()
                await asyncio.sleep(0)  # runs that end at this very instant propose too
                for proposal in self._healing.drain():
                    if self._healing.weigh(proposal):
                        self._begin(group, self._heal(proposal, self._bindings))
                self._ask_people(group)
                self._runs.flush()

    def _begin(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ask_people(self, group: asyncio.TaskGroup) -> None:
        asking, self._healing.to_ask = self._healing.to_ask, {}
        for proposal in asking.values():
            self._begin(group, self._ask(proposal, self._bindings))

    async def _ask(self, proposal: Proposal, bindings: Bindings) -> None:
        """Ask people for an attempt as it is planned now."""
        plan = await self.ask_plan(proposal, bindings)
        if self._approvals.of(proposal) is None and proposal.incident in self._board.incidents:
            self._approvals.ask(proposal, plan)
        self._runs.flush()

    async def drain(self, grace: float) -> None:
        """Let what is under way end within `grace` seconds, then cancel it: its attempts will be found lost."""
        await drain(self._tasks, grace=grace, cancelled=_CANCEL_GRACE)

    # ---- one proposal -------------------------------------------------------------------------------------------

    async def _heal(self, proposal: Proposal, bindings: Bindings) -> None:
        self._undecided += 1
        try:
            attempt = await self._decide(proposal, bindings)
        finally:
            self._undecided -= 1
        if attempt is None:
            self._runs.flush()
        elif attempt.would:
            self._aftercare.would(attempt)
            self._runs.flush()
            self._aftercare.planned(attempt.id, (await self.ask_plan(proposal, bindings)).summary)
            self._runs.flush()
        else:
            await self._effect(proposal, attempt, bindings)
            self._runs.flush()

    async def _decide(self, proposal: Proposal, bindings: Bindings) -> Attempt | None:
        """The attempt, committed unless nothing is to be done; None if it is held."""
        await self._look_again(proposal, bindings)
        found = await self.ask_around(proposal, bindings)
        if proposal.step.needs_approval and not proposal.would:
            self._approvals.fits(proposal, await self.ask_plan(proposal, bindings))
        attempt = self._healing.after_look(proposal, found=found)
        if attempt is None or attempt.would or await self._claim(proposal, attempt):
            return attempt
        return None

    async def _look_again(self, proposal: Proposal, bindings: Bindings) -> None:
        """Run the check and those of all upstream services once more, each with its own timeout."""
        setup = bindings.setup
        upstream = setup.upstream.get(proposal.service or "", ())
        names = [name for service in upstream for name in bindings.checks_of.get(service, ())]
        checks: list[Check] = [setup.checks[name] for name in dict.fromkeys([*names, proposal.check])]
        if len(checks) == 1:
            await self._look(checks[0])  # a task for it would wait for its turn of the loop, and so would we for it
            caller.set(None)  # what comes now is heald's own: its threads are not the check's
        else:
            await asyncio.gather(*(self._look(check) for check in checks))

    async def _look(self, check: Check) -> None:
        """Look and judge at once: a regular run that ends later must be judged later too."""
        async with self._places:
            await self._runs.look_and_judge(check, is_look=True)

    async def ask_around(self, proposal: Proposal, bindings: Bindings) -> Found:
        """What the resource's own manager, and units that must not be disturbed, say now."""
        return await self._asking.ask(proposal, bindings)

    async def _claim(self, proposal: Proposal, attempt: Attempt) -> bool:
        """Commit the claim with everything that led to it; false if the store's own rows or its state forbid it."""
        rows = self._board.take_rows()
        try:
            hold = await self._store.claim(
                attempt,
                rows,
                lambda counted: self._healing.claims.permits(proposal, counted),
                longest=self._bindings.longest_window,
            )
        except StoreError as error:
            hold = Hold(reason=HoldReason.STORE_UNAVAILABLE, sentence=f"the claim could not be written: {error}")
        if hold is None:
            self._healing.claims.committed(attempt)
            return True
        self._healing.claims.take_back(proposal, attempt, hold)
        self._store.submit(*rows, *self._board.take_rows())  # together: half of it would spend the try
        return False

    async def _effect(self, proposal: Proposal, attempt: Attempt, bindings: Bindings) -> None:
        late = self._clock.steady() - attempt.claimed.boottime
        if late > BEGIN_WITHIN or late >= attempt.timeout:
            summary = f"the claim took {late:.1f}s to be written: too late to begin"
            self._aftercare.finish(attempt.id, AttemptState.LAPSED, Outcome(summary=summary))
            return
        log.info(
            "attempt_begun",
            f"Attempt {attempt.remediation} of {attempt.resource} by rule {attempt.rule} begins.",
            attempt=attempt.id,
            rule=attempt.rule,
            resource=attempt.resource,
        )
        try:
            outcome = await self._act(proposal, attempt, bindings, within=attempt.timeout - late)
        except RemediationError as error:
            failed = _masked(Outcome(summary=str(error), details=error.details), bindings)
            self._aftercare.finish(attempt.id, AttemptState.FAILED, failed, permanent=error.permanent)
        else:
            self._aftercare.finish(attempt.id, AttemptState.SUCCEEDED, _masked(outcome, bindings))

    async def _act(self, proposal: Proposal, attempt: Attempt, bindings: Bindings, *, within: float) -> Outcome:
        """Run the remediation within what its claim left of its timeout, enforced from outside.

        Were heald killed now, the next one would count the effect as over at claim + timeout.

        Raises:
            RemediationError: it failed, or did not end in time.
        """
        kind = bindings.setup.types.remediations[attempt.remediation]
        target = bindings.target(bindings.setup.checks[proposal.check], proposal.subject)
        context = self._context(proposal, attempt.id, within, bindings)
        try:
            drive = await driven(
                kind.act(proposal.step.options, target, context),
                self._clock,
                within=within,
                grace=_CANCEL_GRACE,
            )
        except RemediationError:
            raise
        except (CheckError, SickError) as error:  # a connection, or a manager, that could not be asked
            raise RemediationError(str(error)) from error
        except BaseException as error:  # whatever a plug-in raises, SystemExit too, fails its own attempt only
            if is_ours(error):
                raise
            sentence = f"bug in remediation {attempt.remediation}: {named(error)}"
            log.error("remediation_bug", f"There is a {sentence}.", exc_info=error)
            raise RemediationError(sentence) from error
        if drive.is_late:
            raise RemediationError(_ending(attempt, drive))
        outcome = drive.value
        if not isinstance(outcome, Outcome):
            sentence = f"bug in remediation {attempt.remediation}: it returned {type(outcome).__name__}, not an Outcome"
            log.error("remediation_bug", f"There is a {sentence}.")
            raise RemediationError(sentence)
        return outcome

    async def ask_plan(self, proposal: Proposal, bindings: Bindings) -> Plan:
        """What the remediation would do, in its own words; why it cannot say, where it cannot."""
        name = proposal.step.remediation
        kind = bindings.setup.types.remediations[name]
        target = bindings.target(bindings.setup.checks[proposal.check], proposal.subject)
        context = self._context(proposal, "", ASK_PLAN, bindings)
        try:
            drive = await driven(
                kind.plan(proposal.step.options, target, context), self._clock, within=ASK_PLAN, grace=ASK_GRACE
            )
        except (CheckError, SickError, RemediationError) as error:
            return Plan(summary=f"its plan is not known: {words_of(error)}")
        except BaseException as error:  # a plug-in's bug costs its own plan only
            if is_ours(error):
                raise
            return Plan(summary=f"its plan is not known: bug in remediation {name}: {named(error)}")
        if drive.is_late:
            return Plan(summary=f"its plan is not known: it did not say within {ASK_PLAN:.0f}s")
        if not isinstance(drive.value, Plan):
            sentence = f"its plan is {type(drive.value).__name__}, not a sentence"
            return Plan(summary=f"its plan is not known: bug in remediation {name}: {sentence}")
        masks = bindings.setup.masks
        return Plan(summary=in_bounds(masks.text(drive.value.summary)), facts=masks.values(drive.value.facts))

    def _context(self, proposal: Proposal, attempt: str, timeout: float, bindings: Bindings) -> ActToolbox:
        incident = self._board.incidents.get(proposal.incident)
        return ActToolbox(
            node=self._node,
            clock=self._clock,
            timeout=timeout,
            connections=self._connections,
            withhold=bindings.setup.secret_variables,
            own_stops=self._asking.own_stops(proposal.resource, besides=attempt),
            incident=proposal.incident,
            rule=proposal.rule.name,
            because=incident.because if incident else "",
            attempt=attempt,
        )


def _masked(outcome: Outcome, bindings: Bindings) -> Outcome:
    """The outcome without a secret of the rules file: a command's arguments and its output are in it."""
    masks = bindings.setup.masks
    return Outcome(summary=masks.text(outcome.summary), details=masks.values(outcome.details)) if masks else outcome


def _ending(attempt: Attempt, drive: Drive) -> str:
    """How a remediation ended that took too long; one that did not want to is also told to who reads the log."""
    sentence = f"it did not end within {attempt.timeout:g}s"
    if not drive.is_stubborn:
        return f"{sentence} and was ended"
    sentence += f" and ignored its cancellation: it was {'closed by force' if drive.is_over else 'abandoned'}"
    log.error("remediation_stubborn", f"Remediation {attempt.remediation}: {sentence}.", attempt=attempt.id)
    return sentence
