"""Random worlds for the reference model, and the daemon's own judging in the same worlds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from daemon.config.setup import Setup, Types
from daemon.engine.condition import Scope, compile_condition
from daemon.model import check, rule, service, settings
from daemon.model.remediation import Attempt, AttemptState
from daemon.testing import simulation
from tests.runtime.model_scene import Check, Config, Effect, Reality, Rule, Step, World

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SAMPLES = {
    name: check.SampleSpec(name=name, dimension=check.Dimension.NONE, meaning="a number") for name in ("up", "v")
}
LETTERS: dict[str, dict[str, float]] = {
    "B": {"up": 0, "v": 0},
    "P": {"up": 1, "v": 0},
    "C": {"up": 1, "v": 2},
    "M": {"up": 1, "v": 1},
    "N": {"up": 1},
    "X": {"v": 0},
}
Entry = tuple[int, str, str, str, str | None, str | None]  # time, rule, check, state, hold, handed over


# ---- random worlds --------------------------------------------------------------------------------------------


def random_world(seed: int) -> World:
    """A small world in which things collide."""
    chance = random.Random(seed)
    checks = [Check(name="api", service="api", retry_every=chance.choice([3, 5]))]
    if chance.random() < 0.4:
        checks.insert(0, Check(name="db", service="db", every=chance.choice([5, 10])))
    if chance.random() < 0.3:
        checks.append(Check(name="api_too", service="api", every=chance.choice([7, 10])))
    config = random_config(chance, tuple(checks))
    lasts = chance.choice([200, 400])
    flickers = chance.random() < 0.2  # second looks often see something else
    world = World(
        config=config,
        readings={it.name: random_readings(chance, lasts, flickers=flickers) for it in checks},
        effects=[random_effect(chance, checks) for _ in range(chance.choice([1, 2, 4]))],
        events=random_events(chance, config, lasts) if chance.random() < 0.6 else [],
        lasts=lasts,
    )
    return world if chance.random() < 0.8 else killed(chance, world)


def killed(chance: random.Random, world: World) -> World:
    """The same, but effects are slow, hardly anything helps, and heald is killed all the time."""
    kills = [(chance.randrange(1, world.lasts), "crash", {"down": 0}) for _ in range(world.lasts // 15)]
    readings = {
        name: [(at, *(("B", "B") if chance.random() < 0.8 else seen)) for at, *seen in found]
        for name, found in world.readings.items()
    }
    return replace(world, readings=readings, effects=[Effect(takes=10)], events=[*world.events, *kills])


def random_config(chance: random.Random, checks: tuple[Check, ...]) -> Config:
    names = [it.name for it in checks]
    rules = [random_rule(chance, "first", tuple(names[-1:] if chance.random() < 0.5 else names))]
    rules += [
        random_rule(chance, name, (chance.choice(names),))
        for name in ("second", "third")[: chance.choice([0, 1, 1, 2])]
    ]
    return Config(
        rules=tuple(rules),
        checks=checks,
        depends_on={"api": ("db",)} if "db" in names else {},
        service_limit=random_limit(chance),
        budget=random_limit(chance),
        is_act=chance.random() < 0.85,
        allow=("restart", "run") if chance.random() < 0.85 else ("restart",),
        startup_grace=chance.choice([0, 0, 0, 25]),
    )


def random_limit(chance: random.Random) -> tuple[tuple[int, int], ...]:
    return chance.choice([((50, 3600),), ((50, 3600),), ((2, 100),), ((1, 30), (3, 200))])


def random_rule(chance: random.Random, name: str, checks: tuple[str, ...]) -> Rule:
    steps = tuple(random_step(chance) for _ in range(chance.choice([1, 1, 2])))
    return Rule(
        name=name,
        checks=checks,
        for_=chance.choice([0, 0, 10, 20]),
        clear_for=chance.choice([0, 0, 10, 20]),
        has_clear_when=chance.random() < 0.4,
        severity=chance.choice([0, 1, 2, 3]),
        steps=steps,
        limit=random_limit(chance),
        relapse=chance.choice([30, 60, 100]),
        escalate_after=chance.choice([20, 60, 100]),
    )


def random_step(chance: random.Random) -> Step:
    return Step(
        name=chance.choice(["restart", "restart", "run"]),
        service=chance.choice([None, None, None, None, "other"]),
        tries=chance.choice([1, 1, 2, 3]),
        cooldown=chance.choice([(0, 0), (0, 0), (15, 15), (40, 40), (5, 40)]),
        settle=chance.choice([0, 5, 10, 20]),
        verify=chance.choice([10, 20, 30, 40]),
        timeout=chance.choice([5, 20]),
        approval=chance.random() < 0.05,
        is_for_down=chance.random() < 0.15,
    )


def random_readings(chance: random.Random, lasts: int, *, flickers: bool) -> list[tuple[int, str, str]]:
    found, at = [], 0
    while at < lasts:
        letter = chance.choice("BBBBBBCM" if flickers else "BBBBCCCPMNUX")
        look = chance.choice("BBCCMU") if flickers else letter if chance.random() < 0.8 else chance.choice("BCUPMX")
        found.append((at, letter, look))
        at += chance.choice([5, 10, 10] if flickers else [5, 10, 10, 20, 50, 100])
    return found


def random_effect(chance: random.Random, checks: Sequence[Check]) -> Effect:
    then = {chance.choice(checks).name: chance.choice("CCCMBU")} if chance.random() < 0.6 else {}
    outcome = chance.choice(["succeeded"] * 6 + ["failed", "permanent", "hangs"])
    return Effect(takes=chance.choice([0, 1, 5, 10]), outcome=outcome, then=then)


def random_events(chance: random.Random, config: Config, lasts: int) -> list[tuple[int, str, dict[str, object]]]:
    events: list[tuple[int, str, dict[str, object]]] = []
    kinds = ["crash", "pause", "clock", "reload", "retry"]
    if chance.random() < 0.25:
        reboot = {"down": chance.choice([0, 30]), "clock": chance.choice([0, 0, -3600, 50]), "synchronised": True}
        reboot["synchronised"] = chance.random() < 0.7
        events.append((chance.randrange(1, lasts), "reboot", reboot))
        kinds.remove("clock")  # the wall clock of one boot is not the model's to measure in another
    for _ in range(chance.choice([1, 1, 2, 4])):
        at, kind = chance.randrange(1, lasts), chance.choice(kinds)
        if kind == "crash":
            events.append((at, "crash", {"down": chance.choice([0, 0, 3, 40])}))
        elif kind == "pause":
            events += [(at, "pause", {}), (at + chance.choice([10, 50]), "resume", {})]
        elif kind == "clock":
            events.append((at, "clock", {"by": chance.choice([-7200, 20, 40, 3600])}))
        elif kind == "retry":
            events.append((at, "retry", {"rule": "first"}))
        else:
            config = edited(chance, config)
            events.append((at, "reload", {"config": config}))
    return events


def edited(chance: random.Random, config: Config) -> Config:
    other = random_config(chance, config.checks)
    kept = [it for it in config.rules if chance.random() < 0.7]
    new = [it for it in other.rules if it.name not in {rule.name for rule in kept}]
    rules = tuple(kept + (new if chance.random() < 0.6 else []))
    return Config(**{**vars(config), "rules": rules, "is_act": other.is_act, "allow": other.allow})


# ---- the daemon's own judging ---------------------------------------------------------------------------------


@dataclass
class Manager:
    resource: str
    kind: str = "command"


class Remediation:
    asks = False
    harmless = False

    def resource(self, options, target):
        return target.manager(options).resource


def limits(found: tuple[tuple[int, int], ...]) -> tuple[rule.Limit, ...]:
    return tuple(rule.Limit(count=count, window=float(window)) for count, window in found)


CONDITIONS: dict[tuple[str, str], rule.Condition] = {}


def condition(text: str, name: str) -> rule.Condition:
    if (text, name) not in CONDITIONS:
        CONDITIONS[text, name] = compile_condition(text, Scope(check=name, type="tcp", samples=SAMPLES))
    return CONDITIONS[text, name]


def step_of(it: Step, checks: Sequence[str]) -> rule.Step:
    return rule.Step(
        remediation=it.name, options=it.service, key=f"{it.name} {it.service}", tries=it.tries,
        cooldown=(float(it.cooldown[0]), float(it.cooldown[1])), settle=float(it.settle), verify=float(it.verify),
        timeout=float(it.timeout), approval=it.approval,
        only_if={name: condition("up == 0", name) for name in checks} if it.is_for_down else None,
    )  # fmt: skip


def rule_of(it: Rule, order: int) -> rule.Rule:
    return rule.Rule(
        name=it.name, order=order, checks=it.checks, when={name: condition("v == 0", name) for name in it.checks},
        for_seconds={name: float(it.for_) for name in it.checks},
        clear_when={name: condition("v != 1", name) for name in it.checks} if it.has_clear_when else None,
        clear_for=float(it.clear_for), severity=rule.Severity(f"P{it.severity}"),
        steps=tuple(step_of(step, it.checks) for step in it.steps), limit=limits(it.limit), relapse=float(it.relapse),
        escalate_after=float(it.escalate_after),
    )  # fmt: skip


def setup_of(config: Config) -> Setup:
    services = ("db", "api", "other")
    return Setup(
        path=Path("rules.yaml"),
        settings=settings.Settings(
            mode=settings.Mode.ACT if config.is_act else settings.Mode.OBSERVE, allow=frozenset(config.allow),
            budget=limits(config.budget), startup_grace=float(config.startup_grace),
        ),
        services={
            name: service.Service(
                name=name, limit=limits(config.service_limit), depends_on=config.depends_on.get(name, ())
            )
            for name in services
        },
        managers={name: Manager(name) for name in services},  # type: ignore[misc]  # only its resource is asked
        upstream={name: config.depends_on.get(name, ()) for name in services},
        checks={
            it.name: check.Check(
                name=it.name, type="tcp", options=None, every=float(it.every), timeout=float(it.every),
                retry_every=float(it.retry_every), vanish_after=300.0, service=it.service,
            )
            for it in config.checks
        },
        rules=tuple(rule_of(it, order) for order, it in enumerate(config.rules)),
        types=Types(checks={}, remediations={"restart": Remediation(), "run": Remediation()}, managers={}),
    )  # fmt: skip


class Daemon(simulation.Simulation):
    """The daemon in a world; `log` has its tracks after every instant, as the model's has."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.reality, self.log, self.nth = world, Reality(world), [], 0
        self.claimed_at: dict[str, float] = {}  # seconds since the world's start, by attempt
        super().__init__(setup_of(world.config), folder, see=self.see, effect=self.effect_of, start=START)
        self.config = world.config
        for at, kind, arguments in sorted(world.events, key=lambda it: it[0]):
            self.at(at, lambda kind=kind, arguments=arguments: getattr(self, "do_" + kind)(**arguments))

    def see(self, name: str, is_look: bool) -> Sequence[check.Reading] | str:
        letter = self.reality.see(name, is_look, self.now)
        return "blind" if letter == "U" else [check.Reading(samples=LETTERS[letter])]

    def effect_of(self, attempt: Attempt) -> simulation.Effect:
        effect = self.world.effects[self.nth % len(self.world.effects)]
        self.nth += 1
        return simulation.Effect(
            takes=float("inf") if effect.outcome == "hangs" else float(effect.takes),
            state=AttemptState.SUCCEEDED if effect.outcome == "succeeded" else AttemptState.FAILED,
            permanent=effect.outcome == "permanent",
            then=lambda: self.reality.change(effect.then, self.now),
        )

    def do_crash(self, down: int) -> None:
        self.crash(down)

    def do_reboot(self, down: int, clock: int, synchronised: bool) -> None:
        self.reboot(down, clock=clock, synchronised=synchronised)

    def do_pause(self) -> None:
        (self._directory / "pause").write_text("")

    def do_resume(self) -> None:
        (self._directory / "pause").unlink(missing_ok=True)

    def do_clock(self, by: int) -> None:
        self.clock.wall_offset += by

    def do_retry(self, rule: str) -> None:
        for incident in list(self.assembly.board.incidents.values()):
            if incident.rule == rule and incident.state.is_open:
                self.assembly.retry(incident.id)

    def do_reload(self, config: Config) -> None:
        self.config = config
        self.reload(setup_of(config))

    def _instant(self) -> None:
        super()._instant()
        board = self.assembly.board
        for attempt in board.attempts:
            self.claimed_at.setdefault(attempt, round(self.now, 3))
        open_ = {(it.rule, it.check): it for it in board.incidents.values() if it.state.is_open}
        for it in self.config.rules:
            for name in it.checks:
                found = open_.get((it.name, name), SimpleNamespace(hold=None, handed_over=None))
                track = board.tracks.get((it.name, name, ""))
                state = track.state.value if track else "inactive"
                hold = found.hold.value if found.hold and state == "firing" else None
                handed = found.handed_over.value if found.handed_over else None
                self.log.append((round(self.now, 3), it.name, name, state, hold, handed))

    def attempts(self) -> list[tuple[float, str, str, str, str, bool]]:
        ids = [it.id for it in self.ask(self.store.incidents(limit=1000, closed=True))]
        rows = {it.id: it for found in self.ask(self.store.attempts_of(ids)).values() for it in found}
        return [
            (
                self.claimed_at[it.id], it.rule, it.resource, it.state.value,
                it.verification.value if it.verification else "", it.would,
            )
            for it in sorted(rows.values(), key=lambda it: it.id)
        ]  # fmt: skip
