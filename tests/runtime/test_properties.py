"""What heald must keep whatever happens, in random interleavings; and that each property can fail.

Where to find what:
    properties_scene.py     configurations, as they are drawn
    properties_host.py      the daemon and its host: what checks see, what attempts do, how it dies
    properties_targets.py   time and targets, a rule of the machine each, and what must be true when all is over
    properties_machine.py   what people do, what befalls the host
    properties_claims.py    what must hold when an attempt is claimed
    properties_witness.py   what must hold of transitions and ends, and who keeps what was seen
    properties_breaks.py    lines of heald that are broken, to see that it is found

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

from tests.runtime.properties_breaks import BREAKS, Line
from tests.runtime.properties_broken import Broken
from tests.runtime.properties_machine import Machine

EXAMPLES = int(os.environ.get("HEALD_EXAMPLES", "36"))
SEED = int(os.environ.get("HEALD_SEED", "0"))
AT_ONCE = 9  # examples of one run of hypothesis
PARTS = 2  # tests that share them, so that they run in parallel
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
        max_examples=AT_ONCE,
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


@pytest.mark.parametrize("line", BREAKS, ids=str)
def test_it_is_found_when_it_is_broken(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.breaks(monkeypatch)
    with pytest.raises(Broken, match=f"^({line.property})"):
        run(TO_FIND, line.number, steps=20, is_hunt=True, where=line.where, ends="an end" in line.property)
