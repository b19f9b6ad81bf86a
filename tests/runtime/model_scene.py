"""What a world of the reference model is made of: rules, checks, what they see, what attempts do, what happens.

Times are whole seconds since the world's start.
"""

from dataclasses import dataclass, field

# What a check sees: B breached with `up` 0 · P breached with `up` 1 · C clear · M neither `when` nor `clear_when` holds
# (clear where there is no `clear_when`) · X breached without `up` · N the sample is missing · U the run is blind.


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    service: str
    every: int = 10
    retry_every: int = 5


@dataclass(frozen=True, kw_only=True)
class Step:
    name: str = "restart"
    service: str | None = None  # None: the check's own
    tries: int = 1
    cooldown: tuple[int, int] = (0, 0)
    settle: int = 10
    verify: int = 30
    timeout: int = 20
    approval: bool = False
    is_for_down: bool = False  # only_if: up == 0


@dataclass(frozen=True, kw_only=True)
class Rule:
    name: str
    checks: tuple[str, ...]
    for_: int = 0
    clear_for: int = 0
    has_clear_when: bool = False
    severity: int = 1
    steps: tuple[Step, ...] = (Step(),)
    limit: tuple[tuple[int, int], ...] = ((50, 3600),)
    relapse: int = 100
    escalate_after: int = 100


@dataclass(frozen=True, kw_only=True)
class Config:
    rules: tuple[Rule, ...]
    checks: tuple[Check, ...]
    depends_on: dict[str, tuple[str, ...]]
    service_limit: tuple[tuple[int, int], ...] = ((50, 3600),)
    budget: tuple[tuple[int, int], ...] = ((100, 3600),)
    is_act: bool = True
    allow: tuple[str, ...] = ("restart", "run")
    startup_grace: int = 0


@dataclass(frozen=True, kw_only=True)
class Effect:
    takes: int = 1
    outcome: str = "succeeded"  # succeeded failed permanent hangs
    then: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class World:
    """One world: `readings` by check are (from, what a run sees, what a second look sees)."""

    config: Config
    readings: dict[str, list[tuple[int, str, str]]]
    effects: list[Effect]
    events: list[tuple[int, str, dict]]
    lasts: int = 400


class Reality:
    """What the checks see: the world's script, and what effects changed until the script's next word."""

    def __init__(self, world):
        self.readings, self.changed = world.readings, {}

    def see(self, check, is_look, now):
        start, run, look = [it for it in self.readings[check] if it[0] <= now][-1]
        at, letter = self.changed.get(check, (-1, ""))
        if at >= start:
            return letter
        return look if is_look else run

    def change(self, then, now):
        self.changed.update({check: (now, letter) for check, letter in then.items()})
