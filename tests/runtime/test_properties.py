"""What heald must keep whatever happens, in random interleavings; and that each property can fail.

`HEALD_EXAMPLES=5000 HEALD_SEED=7 pytest tests/runtime/test_properties.py` tries more, and others.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from daemon.engine import counting, guards
from daemon.model.incident import HoldReason
from daemon.model.rule import Verdict
from daemon.runtime import board, circumstances, healing, pipeline
from tests.runtime.properties_machine import Machine
from tests.runtime.properties_witness import Broken

EXAMPLES = int(os.environ.get("HEALD_EXAMPLES", "60"))
SEED = int(os.environ.get("HEALD_SEED", "0"))
PARTS = 2  # tests that share them, so that they run in parallel
TO_FIND = 450  # examples within which what is broken must be found


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """Nobody reads what a thousand daemons say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(examples: int, number: int, *, shrinks: bool) -> Counter[str]:
    """Run that many examples; what happened in them."""
    happened: Counter[str] = Counter()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(seed(number)(type("Run", (Machine,), {"happened": happened})), settings=chosen)
    return happened


@pytest.mark.parametrize("part", range(PARTS))
def test_heald_keeps_what_it_must_whatever_happens(part: int) -> None:
    happened = run(EXAMPLES // PARTS, SEED * PARTS + part, shrinks=True)
    assert happened["attempts"] > EXAMPLES // PARTS / 2, happened  # these worlds do heal
    assert happened["incidents"] > EXAMPLES // PARTS, happened
    assert happened["killed"] + happened["rebooted"] > EXAMPLES // PARTS, happened
    assert happened["killed in the claim"] > 0, happened


# ---- each can fail ----------------------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]


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


def _since_claim(old: Any, attempt: Any, now: Any) -> float:
    return counting.age(attempt.claimed, now)


def _one_more(old: Any, attempts: Any, limit: Any, now: Any) -> Any:
    return old(attempts, replace(limit, count=limit.count + 1), now)


def _breached(old: Any, self: Any, rule: str, found: Any, subject: str, verdict: Verdict, view: Any = None) -> None:
    old(self, rule, found, subject, Verdict.BREACHED, view)


H = HoldReason
BREAKS: list[tuple[str, str, Break]] = [
    ("limit of rule", "the guard", without(H.LIMIT_RULE)),
    ("budget", "the guard", without(H.BUDGET)),
    ("limit|budget", "counting by the wall clock", by_the_wall),
    ("limit|budget", "a lost attempt is over at its claim", instead(counting, "since_end", _since_claim)),
    ("limit|budget", "one more than the limit", instead(counting, "free_in", _one_more)),
    ("paused", "of all", instead(circumstances.Circumstances, "watch_pause", lambda old, self: None)),
    ("maintenance", "the guard", without(H.MAINTENANCE)),
    ("mode", "the guard", for_real(H.MODE)),
    ("mode|not allowed", "the guard", for_real(H.NOT_ALLOWED)),
    ("unknown opens", "UNKNOWN is BREACHED", taken_for(Verdict.BREACHED)),
    ("unknown resolves", "UNKNOWN is CLEAR", taken_for(Verdict.CLEAR)),
    ("a guess", "no second look", instead(healing.Healing, "looked", _breached)),
    ("replay", "an order is no row", unwritten("put_order")),
    ("replay", "an approval is no row", unwritten("put_approval")),
    ("replay|an end", "an incident is no row", unwritten("put_incident")),
    ("replay|an end", "a track is no row", unwritten("put_track")),
    ("replay", "a ladder is no row", unwritten("put_ladder")),
    ("replay|one at a time", "the end of an attempt is no row", unwritten("put_attempt")),
]


@pytest.mark.parametrize(("name", "what", "broken"), BREAKS, ids=[f"{name}: {what}" for name, what, _ in BREAKS])
def test_it_is_found_when_it_is_broken(name: str, what: str, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    with pytest.raises(Broken, match=f"^({name})"):
        run(TO_FIND, 0, shrinks=False)
