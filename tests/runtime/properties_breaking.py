"""How a line of heald is broken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from daemon.engine import counting, guards, orders
from daemon.errors import StoreError
from daemon.model.incident import HoldReason
from daemon.model.remediation import AttemptState
from daemon.model.rule import Verdict
from daemon.runtime import board, healing, pipeline
from daemon.store import store

Break = Callable[[pytest.MonkeyPatch], None]


def without(*reasons: HoldReason) -> Break:
    """These guards let everything pass."""

    def do(patch: pytest.MonkeyPatch) -> None:
        left = tuple((it, (lambda *_: None) if it in reasons else guard) for it, guard in guards.GUARDS)
        patch.setattr(guards, "GUARDS", left)

    return do


def asked(reason: HoldReason, change: Callable[..., Any]) -> Break:
    """This guard is asked about something else."""

    def do(patch: pytest.MonkeyPatch) -> None:
        left = tuple(
            (it, (lambda proposal, facts, guard=guard: guard(*change(proposal, facts))) if it is reason else guard)
            for it, guard in guards.GUARDS
        )
        patch.setattr(guards, "GUARDS", left)

    return do


def for_real(reason: HoldReason) -> Break:
    """Without the guard, and what would be made on paper is made."""

    def do(patch: pytest.MonkeyPatch) -> None:
        without(reason)(patch)
        real = instead(healing.Healing, "propose", lambda old, *given: replace(old(*given), would=False))
        real(patch)

    return do


def instead(owner: Any, name: str, new: Callable[..., Any]) -> Break:
    """This function does something else; it gets the old one first."""
    old = getattr(owner, name)
    return lambda patch: patch.setattr(owner, name, lambda *given, **named: new(old, *given, **named))


def never(owner: Any, name: str) -> Break:
    """This function does nothing."""
    return instead(owner, name, lambda old, *given, **named: None)


def unwritten(name: str) -> Break:
    """What this verb of the board keeps is no row."""

    def do(old: Any, self: board.Board, it: Any, **named: Any) -> Any:
        rows = self.take_rows()
        found = old(self, it, **named)
        self.take_rows()
        self._later.clear()
        self._rows.extend(rows)
        return found

    return instead(board.Board, name, do)


def taken_for(verdict: Verdict) -> Break:
    """UNKNOWN counts as something."""

    def do(old: Any, *given: Any, **named: Any) -> Any:
        found = old(*given, **named)
        return found._replace(verdict=verdict) if found.verdict is Verdict.UNKNOWN else found

    return instead(pipeline, "judge", do)


def unknown_fits(word: Verdict) -> Break:
    """An `only_if` that nobody can tell says this."""

    def do(old: Any, *given: Any) -> Any:
        found = old(*given)
        return replace(found, verdict=word) if found.verdict is Verdict.UNKNOWN else found

    return instead(healing, "fit_of", do)


def found_breached(word: Verdict) -> Break:
    """A second look that found this found it breached."""

    def do(old: Any, self: Any, rule: str, found: Any, subject: str, verdict: Verdict, view: Any = None) -> None:
        old(self, rule, found, subject, Verdict.BREACHED if verdict is word else verdict, view)

    return instead(healing.Healing, "looked", do)


def believed(patch: pytest.MonkeyPatch) -> None:
    """Without the guard, and a claim that could not be written is taken for written."""

    async def do(old: Any, *given: Any, **named: Any) -> Any:
        try:
            return await old(*given, **named)
        except StoreError:
            return None

    without(HoldReason.STORE_UNAVAILABLE)(patch)
    instead(store.Store, "claim", do)(patch)


def by_the_wall(patch: pytest.MonkeyPatch) -> None:
    """Attempts are as old as the clock on the wall says."""
    patch.setattr(counting, "age", lambda row, now: now.wall - row.wall)


def deaf_to(field: str) -> Break:
    """Orders about this match nothing."""
    return instead(orders, "_matches", lambda old, matcher, scope: matcher[0] != field and old(matcher, scope))


def since_claim(old: Any, attempt: Any, now: Any) -> float:
    return counting.age(attempt.claimed, now)


def one_more(old: Any, attempts: Any, limit: Any, now: Any) -> Any:
    return old(attempts, replace(limit, count=limit.count + 1), now)


def breached(old: Any, self: Any, rule: str, found: Any, subject: str, verdict: Verdict, view: Any = None) -> None:
    old(self, rule, found, subject, Verdict.BREACHED, view)


async def claimed_later(old: Any, self: Any, attempt: Any, rows: Any, permits: Any, **named: Any) -> None:
    self.submit(*rows)


def soon(old: Any, track: Any, at: float, vanish_after: float) -> Any:
    return old(track, at, vanish_after / 2)


def with_the_one_acted_on(old: Any, self: Any, service: Any, acted_on: str, others: Any) -> Any:
    return old(self, replace(service, min_healthy=service.min_healthy - 1), acted_on, others)


def rounded_down(old: Any, self: Any, service: Any, *given: Any) -> Any:
    least = service.min_healthy * 3 // 100 if service.min_healthy_percent else service.min_healthy
    return old(self, replace(service, min_healthy=float(least), min_healthy_percent=False), *given)


def no_resume(old: Any, self: Any) -> Any:
    before, why = self.readings_from, old(self)
    self.readings_from = before
    return why


def as_if_new(proposal: Any, facts: Any) -> Any:
    return replace(proposal, run_ended=facts.now.boottime), facts


def unless_failed(old: Any, self: Any, attempt: Any, *given: Any) -> None:
    if attempt.state is not AttemptState.FAILED:
        old(self, attempt, *given)


def unchanged(old: Any, found: Any, *given: Any) -> Any:
    return found


def one_try_more(old: Any, found: Any, steps: Any, index: int) -> Any:
    return max(0, old(found, steps, index) - 1)


def goes_on(old: Any, found: Any, *given: Any) -> Any:
    return replace(old(found, *given), flapping=found.flapping)


def asked_anyway(old: Any, self: Any, proposal: Any, *, found: Any) -> Any:
    return old(self, proposal, found=replace(found, hold=None))


def idle(old: Any, *given: Any, **named: Any) -> Any:
    return replace(old(*given, **named), manager_busy=None)
