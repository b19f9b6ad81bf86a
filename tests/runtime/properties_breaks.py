"""Lines of heald that guard a property, each broken in turn: the property must be seen to fail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.engine import counting, ladder
from daemon.model.incident import HoldReason
from daemon.model.rule import Verdict
from daemon.runtime import approvals, circumstances, doubts, flaps, harm, healing, health, holds, pipeline, situation
from daemon.runtime import orders as standing_orders
from daemon.runtime import worse as aftermath
from daemon.store import store
from tests.runtime.properties_breaking import (
    Break,
    as_if_new,
    asked,
    asked_anyway,
    believed,
    breached,
    by_the_wall,
    claimed_later,
    deaf_to,
    for_real,
    found_breached,
    goes_on,
    idle,
    instead,
    never,
    no_resume,
    one_more,
    one_try_more,
    rounded_down,
    since_claim,
    soon,
    taken_for,
    unchanged,
    unknown_fits,
    unless_failed,
    unwritten,
    with_the_one_acted_on,
    without,
)

FLEET, POOL = {"shape": "fleet", "rare": 1}, {"shape": "pool", "rare": 2}  # scenes that are about it
SHARING = {"shape": "chain", "rare": 0, "shares": True}
MEMBERS = {"shape": "pool", "rare": 1}  # of whom two must stay healthy
SHARE = {"shape": "pool", "rare": 3}  # 60% of them
UNFIT = {"fits": False}
ROOT = {"shape": "chain", "rare": 0, "harms": True}  # whose dependants each attempt harms
OTHERS = {"shape": "pool", "rare": 0, "harms": True}  # members that it harms


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


H = HoldReason
BREAKS = [
    # how often
    Line("limit of rule", "the guard", without(H.LIMIT_RULE), number=2),
    Line("limit of resource", "the guard", without(H.LIMIT_RESOURCE)),
    Line("budget", "the guard", without(H.BUDGET)),
    Line("limit|budget|cooldown|one at a time", "counting by the wall clock", by_the_wall, number=19),
    Line("limit|budget", "a lost attempt is over at its claim", instead(counting, "since_end", since_claim)),
    Line("limit|budget", "one more than the limit", instead(counting, "free_in", one_more)),
    Line("cooldown", "the guard", without(H.COOLDOWN)),
    Line("one at a time|manager busy", "both guards", without(H.RESOURCE_BUSY, H.SETTLING), number=2),
    Line("one at a time|manager busy", "busy", without(H.RESOURCE_BUSY), number=2),
    Line("one at a time", "settling", without(H.SETTLING), SHARING, number=1),
    Line("every try was made", "one try more", instead(ladder, "spent", one_try_more)),
    Line("every try was made", "what failed for good is tried again", instead(ladder, "given_up", unchanged)),
    # heald itself
    Line("shutting down", "the guard", without(H.SHUTTING_DOWN)),
    Line("store", "the guard", without(H.STORE_UNAVAILABLE), number=2),
    Line("store", "the guard, and the claim's failure", believed, number=2),
    Line("stale reading", "the guard", without(H.STALE_READING), number=6),
    Line(
        "stale reading", "of before a pause", instead(circumstances.Circumstances, "watch_pause", no_resume), number=7
    ),
    Line("stale reading", "of long ago", asked(H.STALE_READING, as_if_new), {"shape": "chain"}),
    # whether it does good
    Line("flapping", "the guard", without(H.FLAPPING), number=1),
    Line("flapping", "three clear looks", instead(ladder, "found_clear", goes_on), number=2),
    Line("flapping", "changes", instead(flaps.Flaps, "too_many", lambda *_: None), number=1),
    Line("worse", "the guard", without(H.WORSE), ROOT, number=3),
    Line("worse", "dependants", instead(harm.Harm, "_dependants", lambda *_: []), ROOT, number=3),
    Line("worse", "other subjects", instead(harm, "_joined", lambda *_: set()), OTHERS),
    Line("worse", "after a failed effect", instead(aftermath.Worse, "_look", unless_failed), ROOT, number=1),
    Line("only_if", "the guard", without(H.ONLY_IF), UNFIT),
    Line("only_if|the next step", "what is unknown is so", unknown_fits(Verdict.BREACHED), UNFIT),
    Line("the next step", "what is unknown is passed over", unknown_fits(Verdict.CLEAR), UNFIT, number=3),
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
    Line("pause|silence|maintenance", "orders about a service", deaf_to("service"), number=11),
    Line("pause|silence|maintenance", "orders about a rule", deaf_to("rule"), number=11),
    Line("pause|silence|maintenance", "orders about a subject", deaf_to("subject"), POOL, number=1),
    Line("maintenance", "the guard", without(H.MAINTENANCE), number=8),
    Line("silence", "the guard", without(H.SILENCED), number=8),
    Line("approval", "the guard", without(H.APPROVAL)),
    Line("approval", "one is used twice", never(approvals.Approvals, "use")),
    Line("mode", "the guard", for_real(H.MODE), {"rare": 14}),
    Line("not allowed", "the guard", for_real(H.NOT_ALLOWED), {"rare": 13}),
    # the world
    Line("manager busy", "nobody hears it", instead(situation.Situation, "facts", idle)),
    Line("manager stopped", "the guard", without(H.STOPPED_BY_OPERATOR)),
    Line("manager conflict", "the guard", without(H.CONFLICT), number=1),
    Line("upstream", "the guard", without(H.UPSTREAM), number=1),
    Line("clock jumped", "the guard", without(H.CLOCK_JUMPED), number=2),
    Line("self test", "the guard", without(H.SELF_TEST), {"rare": 15}, number=1),
    Line("storm", "the guard", without(H.STORM), FLEET),
    Line("min_healthy", "the guard", without(H.MIN_HEALTHY), MEMBERS),
    Line(
        "min_healthy", "the member acted on counts", instead(health.Health, "too_few", with_the_one_acted_on), MEMBERS
    ),
    Line(
        "min_healthy",
        "members under way count",
        instead(situation.Situation, "_acted_on", lambda *_: ()),
        MEMBERS,
        number=2,
    ),
    Line("min_healthy", "a share is rounded down", instead(health.Health, "too_few", rounded_down), SHARE),
    Line("startup grace", "the guard", without(H.STARTUP_GRACE), {"rare": 12}),
    # what is known
    Line("unknown opens|a guess", "UNKNOWN is BREACHED", taken_for(Verdict.BREACHED), number=2),
    Line("unknown resolves", "UNKNOWN is CLEAR", taken_for(Verdict.CLEAR), number=1),
    Line("a guess", "a second look that is blind", found_breached(Verdict.UNKNOWN), number=7),
    Line("manager unasked", "nobody cares", instead(healing.Healing, "after_look", asked_anyway), number=6),
    Line("a guess", "no second look", instead(healing.Healing, "looked", breached), number=7),
    Line("vanished", "too soon", instead(pipeline, "absent", soon), POOL, number=1),
    # every firing has an end
    Line("an end", "nobody is told", never(holds.Holds, "tell")),
    Line("an end", "nobody is told that a value is missing", never(doubts.Doubts, "heard"), number=3),
    Line("an end", "nobody is told that every step was tried", never(holds.Holds, "exhaust")),
    Line(
        "not withdrawn",
        "what a removed rule leaves behind",
        instead(pipeline.Pipeline, "_can_be_judged", lambda *_: True),
        number=2,
    ),
    # rows
    Line("recorded", "the effect before the claim", instead(store.Store, "claim", claimed_later)),
    Line("replay", "an order is no row", unwritten("put_order"), number=1),
    Line("replay", "an approval is no row", unwritten("put_approval")),
    Line("replay|an end", "an incident is no row", unwritten("put_incident")),
    Line("replay|an end", "a track is no row", unwritten("put_track")),
    Line("replay", "a ladder is no row", unwritten("put_ladder")),
    Line("replay|one at a time", "the end of an attempt is no row", unwritten("put_attempt")),
]
