"""What a world of the properties is made of: services, checks and rules that collide, and how they are drawn."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from daemon.config.setup import Setup, Types
from daemon.model.check import Reading
from daemon.model.service import Service
from daemon.model.settings import StormSettings
from daemon.runtime.bindings import DEFAULT_LIMIT
from tests.runtime.model_scene import Check, Config, Rule, Step
from tests.runtime.model_worlds import LETTERS, limits, setup_of

EACH = "each"  # in place of a step's service: it touches one member, not the service
MEMBERS = ("m1", "m2", "m3")  # what the check `pool` discovers
GATEWAY = "gateway"  # the check that tells whether heald's own network is well
VANISH_AFTER = 60.0
ESCALATE_AFTER = 120.0
SLOW = 60.0  # seconds that a run of `db` may take; any other's may take its interval
CHECKS = {
    name: Check(name=name, service=service, every=every)
    for name, service, every in (
        ("db", "db", 10), ("api", "api", 10), ("api_too", "api", 7), ("pool", "pool", 10), ("port", "pool", 10),
        ("a", "a", 10), ("b", "b", 10), ("c", "c", 10), ("d", "d", 10), (GATEWAY, "", 5),
    )
}  # fmt: skip
SERVICES = ("db", "api", "other", "pool", "a", "b", "c", "d")
SHAPES = {
    "one": ("api",),
    "chain": ("db", "api", "api_too"),  # api depends on db
    "pool": ("pool", "port", "api"),  # several subjects; `port` looks at the same service, and knows none of them
    "fleet": ("db", "api", "a", "b", "c", "d"),  # enough for a storm
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A configuration of the reference model, and what that does not know."""

    config: Config
    min_healthy: float | None = None  # of pool
    min_healthy_percent: bool = False
    storm: StormSettings | None = None
    has_self_test: bool = False
    harms: bool = False  # each attempt makes everything sick

    def limit_of(self, resource: str) -> tuple[tuple[int, int], ...]:
        if resource in SERVICES:
            return self.config.service_limit
        return tuple((it.count, int(it.window)) for it in DEFAULT_LIMIT)

    def check(self, name: str) -> Check | None:
        return next((it for it in self.config.checks if it.name == name), None)

    def rule(self, name: str) -> Rule | None:
        return next((it for it in self.config.rules if it.name == name), None)


# ---- how it is drawn --------------------------------------------------------------------------------------------

# Steps are short and may be tried often: what is sick for a minute is acted on three times.
steps = st.builds(
    Step,
    name=st.sampled_from(("restart", "restart", "restart", "run")),  # each `run` needs approval
    service=st.sampled_from((None, None, "other", EACH)),
    tries=st.sampled_from((30, 30, 30, 2)),
    cooldown=st.sampled_from(((0, 0), (0, 0), (10, 10), (5, 20))),
    settle=st.sampled_from((0, 5, 12)),
    verify=st.sampled_from((5, 10)),
    timeout=st.sampled_from((5, 10)),
    is_for_down=st.integers(0, 7).map(lambda it: it == 7),
)
LOOSE = ((50, 3600),)
some_limits = st.sampled_from((LOOSE, LOOSE, LOOSE, ((1, 20),), ((2, 40),), ((3, 60), (9, 300))))


@st.composite
def rules(draw: Any, name: str, checks: tuple[str, ...]) -> Rule:
    found = draw(st.lists(steps, min_size=1, max_size=2))
    found = [replace(it, tries=min(it.tries, 2)) for it in found[:-1]] + found[-1:]
    about = draw(st.integers(0, len(checks)))  # one check, or all of them
    return Rule(
        name=name,
        checks=checks if about == len(checks) else (checks[about],),
        for_=draw(st.sampled_from((0, 0, 10))),
        clear_for=draw(st.sampled_from((0, 0, 10))),
        has_clear_when=draw(st.integers(0, 3)) == 3,
        severity=draw(st.integers(0, 3)),
        steps=tuple(replace(it, approval=it.name == "run") for it in found),
        limit=draw(some_limits),
        relapse=draw(st.sampled_from((30, 100))),
        escalate_after=draw(st.sampled_from((20, 100))),
    )


@st.composite
def scenes(
    draw: Any,
    shape: str | None = None,
    rare: int | None = None,
    shares: bool | None = None,
    fits: bool = True,
    harms: bool = False,
) -> Scene:
    """A scene.

    `shape` is a key of SHAPES, `rare` says what is unusual in it, if anything is, and `shares` whether the first rule
    comes, with its second step, to a resource that the others act on all the time. Without `fits` each rule's first
    step is for what is down alone. Where it `harms`, attempts make everything sick.
    """
    shape = shape or draw(st.sampled_from(("one", "chain", "chain", "pool", "pool", "fleet")))
    names = SHAPES[shape]
    wanted = draw(st.sampled_from((("first",), ("first", "second"), ("second", "third"), ("first", "second", "third"))))
    rare = draw(st.integers(0, 15)) if rare is None else rare
    has_self_test = rare == 15
    if shape == "fleet":  # so that all of it is acted on, or would be
        found = (draw(rules("first", names)), *(draw(rules(name, names)) for name in wanted[1:]))
        found = (replace(found[0], checks=names), *found[1:])
    else:
        found = tuple(draw(rules(name, names)) for name in wanted)
    if draw(st.integers(0, 3)) == 3 if shares is None else shares:
        found = tuple(_sharing(it, is_first=place == 0) for place, it in enumerate(found))
    if not fits:
        found = tuple(replace(it, steps=(replace(it.steps[0], is_for_down=True), *it.steps[1:])) for it in found)
    return Scene(
        config=Config(
            rules=found,
            checks=tuple(CHECKS[name] for name in (*names, *((GATEWAY,) if has_self_test else ()))),
            depends_on={"api": ("db",)},
            service_limit=draw(some_limits),
            budget=draw(some_limits),
            is_act=rare != 14,
            allow=("restart",) if rare == 13 else ("restart", "run"),
            startup_grace=25 if rare == 12 else 0,
        ),
        min_healthy=(60.0 if rare % 4 == 3 else 2.0) if shape == "pool" and rare % 2 else None,
        min_healthy_percent=rare % 4 == 3,
        storm=StormSettings(share=50.0, quiet=30.0) if shape == "fleet" and rare % 4 else None,
        has_self_test=has_self_test,
        harms=harms,
    )


def _sharing(rule: Rule, *, is_first: bool) -> Rule:
    last = replace(rule.steps[-1], service="other", tries=30)
    return replace(rule, steps=(replace(last, service=None, tries=1), last) if is_first else (last,))


def edited(scene: Scene, other: Scene, what: str) -> Scene:
    """The scene after an edit of its file; `other` is where what is new comes from, of the same shape."""
    ours, new = scene.config, other.config
    match what:
        case "drop":
            config = replace(ours, rules=ours.rules[1:] or new.rules)
        case "add":
            names = {it.name for it in ours.rules}
            config = replace(ours, rules=ours.rules + tuple(it for it in new.rules if it.name not in names))
        case "rules":
            config = replace(ours, rules=new.rules)
        case "limits":
            config = replace(ours, service_limit=new.service_limit, budget=new.budget)
        case "mode":
            config = replace(ours, is_act=new.is_act, allow=new.allow)
        case _:
            return other
    return replace(scene, config=config)


# ---- what it is to the daemon -----------------------------------------------------------------------------------


def touched(step: Step, service: str, subject: str) -> str:
    """The resource of a step that is taken for a subject of a service's check."""
    return f"{service}/{subject}" if step.service == EACH else step.service or service


class _Remediation:
    asks = False
    harmless = False

    def resource(self, options: Any, target: Any) -> str:
        return touched(Step(service=options), target.service.name, target.subject)


def world_of(scene: Scene) -> Setup:
    """The configuration as it is loaded."""
    setup, config = setup_of(scene.config), scene.config
    checks = dict(setup.checks)
    if "pool" in checks:
        checks["pool"] = replace(checks["pool"], discovers=True, vanish_after=VANISH_AFTER)
    if "db" in checks:
        checks["db"] = replace(checks["db"], timeout=SLOW)
    settings = replace(
        setup.settings,
        escalate_after=ESCALATE_AFTER,
        storm=scene.storm,
        self_test=(GATEWAY,) if scene.has_self_test else (),
    )
    services = {
        name: Service(
            name=name,
            limit=limits(config.service_limit),
            depends_on=config.depends_on.get(name, ()),
            min_healthy=scene.min_healthy if name == "pool" else None,
            min_healthy_percent=scene.min_healthy_percent,
        )
        for name in SERVICES
    }
    managers: Any = {name: SimpleNamespace(resource=name, kind="command") for name in SERVICES}
    kinds: Any = {"restart": _Remediation(), "run": _Remediation()}
    return replace(
        setup,
        settings=settings,
        services=services,
        managers=managers,
        upstream={name: config.depends_on.get(name, ()) for name in SERVICES},
        checks=checks,
        types=Types(checks={}, remediations=kinds, managers={}),
    )


def readings(check: str, letters: str) -> list[Reading] | str:
    """What a check sees: a letter for each of its subjects, `-` for one that is gone, or U alone."""
    if letters == "U":
        return "no route to host"
    subjects = MEMBERS if check == "pool" else ("",)
    pairs = zip(subjects, letters, strict=True)
    return [Reading(subject=name, samples=LETTERS[letter]) for name, letter in pairs if letter != "-"]
