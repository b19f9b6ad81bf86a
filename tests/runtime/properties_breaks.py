"""Lines of heald that guard a property, each broken in turn: the property must be seen to fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from daemon.engine import counting, guards, orders
from daemon.model.incident import HoldReason
from daemon.model.rule import Verdict
from daemon.runtime import approvals, board, circumstances, doubts, healing, health, holds, pipeline, situation
from daemon.runtime import orders as standing_orders
from daemon.store import store

Break = Callable[[pytest.MonkeyPatch], None]
FLEET, POOL = {"shape": "fleet", "rare": 1}, {"shape": "pool", "rare": 2}  # scenes that are about it
SHARING = {"shape": "chain", "rare": 0, "shares": True}
MEMBERS = {"shape": "pool", "rare": 1}  # of whom two must stay healthy


@dataclass(frozen=True)
class Line:
    """A line that is broken, and the property (a pattern of its names) that is to fail then."""

    property: str
    what: str
    breaks: Break
    where: Mapping[str, Any] = field(default_factory=dict)  # the scenes in which it is looked for (`scenes`)
    number: int = 0  # of the examples to begin with: one by which it is found soon, as things are now

    def __str__(self) -> str:
        return f"{self.property}: {self.what}"


# ---- how something is broken ------------------------------------------------------------------------------------


def without(*reasons: HoldReason) -> Break:
    """These guards let everything pass."""

    def do(patch: pytest.MonkeyPatch) -> None:
        left = tuple((it, (lambda *_: None) if it in reasons else guard) for it, guard in guards.GUARDS)
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


def by_the_wall(patch: pytest.MonkeyPatch) -> None:
    """Attempts are as old as the clock on the wall says."""
    patch.setattr(counting, "age", lambda row, now: now.wall - row.wall)


def deaf_to(field: str) -> Break:
    """Orders about this match nothing."""
    return instead(orders, "_matches", lambda old, matcher, scope: matcher[0] != field and old(matcher, scope))


def _since_claim(old: Any, attempt: Any, now: Any) -> float:
    return counting.age(attempt.claimed, now)


def _one_more(old: Any, attempts: Any, limit: Any, now: Any) -> Any:
    return old(attempts, replace(limit, count=limit.count + 1), now)


def _breached(old: Any, self: Any, rule: str, found: Any, subject: str, verdict: Verdict, view: Any = None) -> None:
    old(self, rule, found, subject, Verdict.BREACHED, view)


async def _claimed_later(old: Any, self: Any, attempt: Any, rows: Any, permits: Any, **named: Any) -> None:
    self.submit(*rows)


def _soon(old: Any, track: Any, at: float, vanish_after: float) -> Any:
    return old(track, at, vanish_after / 2)


def _with_the_one_acted_on(old: Any, self: Any, service: Any, acted_on: str, others: Any) -> Any:
    return old(self, replace(service, min_healthy=service.min_healthy - 1), acted_on, others)


def _idle(old: Any, *given: Any, **named: Any) -> Any:
    return replace(old(*given, **named), manager_busy=None)


# ---- what is broken ---------------------------------------------------------------------------------------------

H = HoldReason
BREAKS = [
    # how often
    Line("limit of rule", "the guard", without(H.LIMIT_RULE), number=2),
    Line("limit of resource", "the guard", without(H.LIMIT_RESOURCE)),
    Line("budget", "the guard", without(H.BUDGET), number=2),
    Line("limit|budget|cooldown|one at a time", "counting by the wall clock", by_the_wall, number=19),
    Line("limit|budget", "a lost attempt is over at its claim", instead(counting, "since_end", _since_claim)),
    Line("limit|budget", "one more than the limit", instead(counting, "free_in", _one_more)),
    Line("cooldown", "the guard", without(H.COOLDOWN)),
    Line("one at a time|manager busy", "both guards", without(H.RESOURCE_BUSY, H.SETTLING), number=2),
    Line("one at a time|manager busy", "busy", without(H.RESOURCE_BUSY), number=2),
    Line("one at a time", "settling", without(H.SETTLING), SHARING, number=6),
    # people
    Line(
        "all is paused", "of all", instead(circumstances.Circumstances, "watch_pause", lambda old, self: None), number=1
    ),
    Line(
        "pause",
        "of a service, a rule, a check",
        instead(standing_orders.Orders, "paused_why", lambda *_: None),
        number=8,
    ),
    Line("pause|silence|maintenance", "orders about a service", deaf_to("service"), number=2),
    Line("pause|silence|maintenance", "orders about a rule", deaf_to("rule"), number=11),
    Line("pause|silence|maintenance", "orders about a subject", deaf_to("subject"), POOL, number=16),
    Line("maintenance", "the guard", without(H.MAINTENANCE), number=2),
    Line("silence", "the guard", without(H.SILENCED), number=7),
    Line("approval", "the guard", without(H.APPROVAL)),
    Line("approval", "one is used twice", never(approvals.Approvals, "use")),
    Line("mode", "the guard", for_real(H.MODE), {"rare": 14}),
    Line("not allowed", "the guard", for_real(H.NOT_ALLOWED), {"rare": 13}),
    # the world
    Line("manager busy", "nobody hears it", instead(situation.Situation, "facts", _idle), number=2),
    Line("manager stopped", "the guard", without(H.STOPPED_BY_OPERATOR)),
    Line("manager conflict", "the guard", without(H.CONFLICT)),
    Line("upstream", "the guard", without(H.UPSTREAM), number=1),
    Line("clock jumped", "the guard", without(H.CLOCK_JUMPED), number=2),
    Line("self test", "the guard", without(H.SELF_TEST), {"rare": 15}),
    Line("storm", "the guard", without(H.STORM), FLEET),
    Line("min_healthy", "the guard", without(H.MIN_HEALTHY), MEMBERS),
    Line(
        "min_healthy", "the member acted on counts", instead(health.Health, "too_few", _with_the_one_acted_on), MEMBERS
    ),
    Line("startup grace", "the guard", without(H.STARTUP_GRACE), {"rare": 12}),
    # what is known
    Line("unknown opens|a guess", "UNKNOWN is BREACHED", taken_for(Verdict.BREACHED), number=1),
    Line("unknown resolves", "UNKNOWN is CLEAR", taken_for(Verdict.CLEAR), number=1),
    Line("a guess", "no second look", instead(healing.Healing, "looked", _breached)),
    Line("vanished", "too soon", instead(pipeline, "absent", _soon), POOL, number=3),
    # every firing has an end
    Line("an end", "nobody is told", never(holds.Holds, "tell")),
    Line("an end", "nobody is told that a value is missing", never(doubts.Doubts, "heard"), number=15),
    Line("an end", "nobody is told that every step was tried", never(holds.Holds, "exhaust")),
    Line(
        "not withdrawn",
        "what a removed rule leaves behind",
        instead(pipeline.Pipeline, "_can_be_judged", lambda *_: True),
        number=2,
    ),
    # rows
    Line("recorded", "the effect before the claim", instead(store.Store, "claim", _claimed_later)),
    Line("replay", "an order is no row", unwritten("put_order")),
    Line("replay", "an approval is no row", unwritten("put_approval")),
    Line("replay|an end", "an incident is no row", unwritten("put_incident")),
    Line("replay|an end", "a track is no row", unwritten("put_track")),
    Line("replay", "a ladder is no row", unwritten("put_ladder")),
    Line("replay|one at a time", "the end of an attempt is no row", unwritten("put_attempt")),
]
