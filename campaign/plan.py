"""What happens in which round: from a seed, always the same."""

import random
from dataclasses import dataclass

KINDS = {
    # killed from outside
    "effect": 34,  # while a service is being restarted
    "any_moment": 4,  # while heald starts, or idles
    # killed from inside, as it passes a named point (campaign/child.py)
    "before_claim": 4,
    "in_claim": 4,
    "claim_commit": 6,
    "after_claim": 7,
    "before_effect": 5,
    "before_outcome": 7,
    "after_outcome": 5,
    "outcome_commit": 4,
    "migration_copy": 2,
    "migration": 2,
    "migration_commit": 2,
    "reload": 3,
    "reload_swap": 3,
    # faults of the surroundings, ended by a kill
    "full_in_effect": 2,
    "full_at_start": 2,
    "clock_between": 3,
    "clock_jump": 3,
    "stopped": 2,
}
"""Kinds of rounds, and how often each comes."""
JUMPS = (-400 * 86400, -86400, -3600, -61, 61, 3600, 86400, 400 * 86400)  # seconds that a clock is set by


@dataclass(frozen=True, slots=True)
class Round:
    """One life of a daemon, and how it ends."""

    kind: str
    nth: int  # passing of the named point, or effect, at which it dies: lives of which some use up a limit
    share: float  # 0 to 1: of the time or the bytes in which it may happen, where it does
    jump: int  # seconds that the wall clock is set by


def plan(rounds: int, seed: int) -> list[Round]:
    """Every kind once, if there is room for that, and then as they weigh, in a random order."""
    chance = random.Random(seed)
    kinds = list(KINDS)
    chance.shuffle(kinds)
    kinds += chance.choices(list(KINDS), weights=list(KINDS.values()), k=max(0, rounds - len(kinds)))
    kinds = kinds[:rounds]
    chance.shuffle(kinds)
    return [
        Round(kind=kind, nth=chance.randint(1, 3), share=chance.random(), jump=chance.choice(JUMPS)) for kind in kinds
    ]
