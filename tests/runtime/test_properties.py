"""What heald must keep whatever happens, in random interleavings; and that each property can fail.

Where to find what:
    properties_scene.py     configurations, as they are drawn
    properties_host.py      the daemon and its host: what checks see, what attempts do, how it dies
    properties_targets.py   time and targets, a rule of the machine each, and what must be true when all is over
    properties_machine.py   what people do, what befalls the host
    properties_claims.py    what must hold when an attempt is claimed; the property that is about each hold
    properties_witness.py   what must hold of transitions, and who keeps what was seen
    properties_ladders.py   what was seen of ladders: tries, second looks, changes
    properties_harm.py      what was seen to become worse after an attempt
    properties_ends.py      what must be true when all is over
    properties_breaks.py    lines of heald that are broken, to see that it is found
    properties_breaking.py  how they are broken

`HEALD_EXAMPLES=5000 HEALD_SEED=7 pytest tests/runtime/test_properties.py` tries more examples, and others.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from daemon.model.incident import HoldReason as H
from tests.runtime.properties_breaks import BREAKS, Line
from tests.runtime.properties_broken import Broken
from tests.runtime.properties_claims import PROPERTY_OF
from tests.runtime.properties_machine import Machine

EXAMPLES = int(os.environ.get("HEALD_EXAMPLES", "36"))
SEED = int(os.environ.get("HEALD_SEED", "0"))
AT_ONCE = 9  # examples of one run of hypothesis
PARTS = 2  # tests that share them, so that they run in parallel
TO_REACH = 90  # examples within which each hold must have been in force
TO_FIND = 270  # examples within which what is broken must be found


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """Nobody reads what a thousand daemons say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(examples: int, number: int, *, steps: int, is_hunt: bool = False, **given: Any) -> Counter[str]:
    """Run that many examples of so many steps; what happened in them. What is `given` the machine is to be like.

    In runs of a few, each with a seed of its own: after ten hypothesis goes on to vary an example that it has, and what
    comes of that is much the same. On a hunt for what is known to be there nothing is made smaller.
    """
    happened: Counter[str] = Counter()
    machine = type("Run", (Machine,), {"happened": happened, **given})
    chosen = settings(
        max_examples=min(AT_ONCE, examples),
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate,) if is_hunt else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    for place in range(0, examples, AT_ONCE):
        run_state_machine_as_test(seed(number * 1_000_000 + place)(machine), settings=chosen)
    return happened


@pytest.mark.parametrize("part", range(PARTS))
def test_heald_keeps_what_it_must_whatever_happens(part: int) -> None:
    examples = EXAMPLES // PARTS
    happened = run(examples, SEED * PARTS + part, steps=40)
    assert happened["attempts"] > 8 * examples, happened  # these worlds do heal
    assert happened["incidents"] > 3 * examples, happened
    assert happened["killed"] + happened["rebooted"] > examples, happened
    assert happened["killed in the claim"] > 0, happened
    assert happened["killed in an effect"] > 0, happened


# Where what is rare elsewhere is looked for (`scenes`), and what is found nowhere but there.
RARE: dict[str, tuple[dict[str, Any], tuple[H, ...]]] = {
    "of a start": ({"rare": 12}, (H.STARTUP_GRACE,)),
    "not all is allowed": ({"rare": 13}, (H.NOT_ALLOWED,)),
    "observed": ({"rare": 14}, (H.MODE,)),
    "self test": ({"rare": 15}, (H.SELF_TEST,)),
    "a storm": ({"shape": "fleet", "rare": 1}, (H.STORM,)),
    "members": ({"shape": "pool", "rare": 1}, (H.MIN_HEALTHY,)),
    "a shared resource": ({"shape": "chain", "rare": 0, "shares": True}, (H.SETTLING,)),
    "for something else": ({"fits": False}, (H.ONLY_IF,)),
}
ANYWHERE = tuple(it for it in H if not any(it in reasons for _, reasons in RARE.values()))


@pytest.mark.parametrize(("where", "reasons"), [*RARE.values(), ({}, ANYWHERE)], ids=[*RARE, "everything else"])
def test_each_hold_is_reached(where: dict[str, Any], reasons: tuple[H, ...]) -> None:
    happened: Counter[str] = Counter()
    for number in range(TO_REACH // 3):
        happened += run(3, SEED + number, steps=20, where=where, ends=False)
        left = [it for it in reasons if not happened[f"held: {it}"]]
        if not left:
            break
    assert not left, happened


def test_each_hold_has_a_property_that_was_seen_to_fail() -> None:
    assert list(PROPERTY_OF) == list(H)
    broken = {name for line in BREAKS for name in line.property.split("|")}
    assert set(PROPERTY_OF.values()) <= broken


@pytest.mark.parametrize("line", BREAKS, ids=str)
def test_it_is_found_when_it_is_broken(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.breaks(monkeypatch)
    with pytest.raises(Broken, match=f"^({line.property})"):
        run(TO_FIND, line.number, steps=20, is_hunt=True, where=line.where, ends="an end" in line.property)
