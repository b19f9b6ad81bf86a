"""A small world of checks: runs go in, a condition on `api` is judged after any of them."""

from collections.abc import Iterable, Mapping

import pytest

from daemon.engine.condition import Condition, ConditionError, OtherCheck, Scope, View, compile_condition
from daemon.engine.observations import Observations
from daemon.model.check import Dimension, Reading, Run, Sample, SampleSpec
from daemon.model.rule import Verdict

BREACHED, CLEAR, UNKNOWN = Verdict.BREACHED, Verdict.CLEAR, Verdict.UNKNOWN


def specs(**dimensions: Dimension) -> Mapping[str, SampleSpec]:
    return {name: SampleSpec(name=name, dimension=unit, meaning=name) for name, unit in dimensions.items()}


SAMPLES = specs(
    up=Dimension.NONE,
    latency_seconds=Dimension.SECONDS,
    status=Dimension.NONE,
    body_bytes=Dimension.BYTES,
    used_percent=Dimension.PERCENT,
    io=Dimension.BYTES_PER_SECOND,
    state=Dimension.STRING,
    ok=Dimension.BOOLEAN,
    a=Dimension.NONE,
    b=Dimension.NONE,
    c=Dimension.NONE,
)
OTHERS = {
    "db": OtherCheck(type="postgres", samples=specs(up=Dimension.NONE, connections=Dimension.NONE), every=30.0),
    "disk": OtherCheck(
        type="disk", samples=specs(used_percent=Dimension.PERCENT, state=Dimension.STRING), discovers=True, every=60.0
    ),
}
SCOPE = Scope(check="api", type="http", samples=SAMPLES, others=OTHERS)
EVERY = 10.0


class World:
    """Observations of `api`, `db` and `disk`, and one condition on `api`."""

    def __init__(self, text: str, *, subject: str = "", scope: Scope = SCOPE) -> None:
        self.condition: Condition = compile_condition(text, scope)
        self.observations = Observations()
        self.subject = subject
        self.memory: tuple[tuple[str, ...], ...] = ()
        self.view: View | None = None
        every = {"api": EVERY, **{name: other.every for name, other in scope.others.items()}}
        for check, interval in every.items():
            keep = {name: length for (of, name), length in self.condition.windows.items() if of == check}
            unchanged = frozenset(name for of, name in self.condition.unchanged if of == check)
            self.observations.declare(check, interval, keep, unchanged)

    def saw(self, check: str, at: float, subjects: Mapping[str, Mapping[str, Sample]] | None = None, **samples: Sample):
        """A run of another check."""
        found = subjects if subjects is not None else {"": samples}
        readings = tuple(Reading(subject=name, samples=reading) for name, reading in found.items())
        self.observations.record(Run(check=check, began=at, ended=at, readings=readings))

    def blind(self, check: str, at: float, why: str = "no route to host") -> None:
        """A run of another check that could not look."""
        self.observations.record(Run(check=check, began=at, ended=at, error=why))

    def run(
        self,
        at: float,
        *,
        error: str | None = None,
        floor: float | None = None,
        lenient: bool = False,
        **samples: Sample,
    ) -> Verdict:
        """A run of `api`, judged."""
        if error is None:
            self.saw("api", at, {self.subject: samples})
        else:
            self.blind("api", at, error)
        view = View("api", self.subject, {} if error else samples, error, at, self.observations)
        view.lenient = lenient
        if floor is not None:
            view.floor = floor
        self.view = view
        self.memory = view.memory = self.condition.record(view, self.memory)
        return self.condition.judge(view)

    @property
    def because(self) -> str:
        assert self.view is not None
        return self.condition.because(self.view)


def judged(text: str, **samples: Sample) -> Verdict:
    """What a condition says of one run."""
    return World(text).run(0.0, **samples)


def because(text: str, **samples: Sample) -> str:
    """Why it says so."""
    world = World(text)
    world.run(0.0, **samples)
    return world.because


def blind(text: str) -> Verdict:
    """What it says of one blind run."""
    return World(text).run(0.0, error="no route to host")


def refused(text: str, scope: Scope = SCOPE) -> ConditionError:
    """The error of a condition that cannot be used: it knows the text and a place in it; its sentence has no hole."""
    with pytest.raises(ConditionError) as raised:
        compile_condition(text, scope)
    error = raised.value
    assert error.text == text
    assert 0 <= error.position <= len(text)
    assert "None" not in str(error)
    return error


def runs(world: World, name: str, points: Iterable[tuple[float, Sample]], **how: float | bool) -> Verdict:
    """Several runs with one sample each; the last one's verdict."""
    verdict = UNKNOWN
    for at, value in points:
        verdict = world.run(at, **{name: value}, **how)  # type: ignore[arg-type]  # floor and lenient are `how`
    return verdict
