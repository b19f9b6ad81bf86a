"""The world of a scenario while time passes in it."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from daemon.model.check import Check, Reading
from daemon.model.remediation import Attempt
from daemon.testing.scenario.model import Deed, Scenario, Sight, Stage, is_same_resource
from daemon.testing.world import Effect, Slow

_WELL = (Reading(samples={"up": 1.0}),)


class Reality:
    """What checks see and attempts do, now. Times are seconds since the start."""

    def __init__(
        self, scenario: Scenario, *, now: Callable[[], float], checks: Callable[[], Mapping[str, Check]]
    ) -> None:
        self._readings = scenario.readings
        self._starts = {name: [stage.at for stage in stages] for name, stages in scenario.readings.items()}
        self._deeds = scenario.deeds
        self._counts = [0] * len(scenario.deeds)  # attempts so far that each of them is about
        self._changed: dict[str, tuple[float, Sight]] = {}  # by check: since when an effect makes it see this
        self._now = now
        self._checks = checks

    def see(self, name: str, is_look: bool) -> Sequence[Reading] | str | Slow:
        """What a check sees; one of which the scenario says nothing, or not yet, is well."""
        stage, changed = self._stage(name), self._changed.get(name)
        if changed is not None and (stage is None or changed[0] >= stage.at):
            sight = changed[1]
        elif stage is not None:
            sight = stage.look if is_look and stage.look is not None else stage.sight
        else:
            return () if self._checks()[name].discovers else _WELL
        return Slow(seen=sight.seen, takes=sight.takes) if sight.takes else sight.seen

    def _stage(self, name: str) -> Stage | None:
        if (starts := self._starts.get(name)) is None:
            return None
        place = bisect_right(starts, self._now())
        return self._readings[name][place - 1] if place else None

    def effect(self, attempt: Attempt) -> Effect:
        """What an attempt does: what is said of this one, else of those on its resource, else of all; else nothing."""
        about = [place for place, deed in enumerate(self._deeds) if _is_about(deed, attempt)]
        for place in about:
            self._counts[place] += 1
        fitting = [place for place in about if self._deeds[place].nth in (None, self._counts[place])]
        if not fitting:
            return Effect()
        deed = self._deeds[min(fitting, key=lambda it: (self._deeds[it].nth is None, self._deeds[it].resource is None))]
        return Effect(
            begins=deed.begins,
            takes=deed.takes,
            state=deed.state,
            permanent=deed.permanent,
            then=lambda: self._change(deed),
        )

    def _change(self, deed: Deed) -> None:
        for name, sight in deed.then.items():
            self._changed[name] = (self._now(), sight)


def _is_about(deed: Deed, attempt: Attempt) -> bool:
    return deed.remediation == attempt.remediation and (
        deed.resource is None or is_same_resource(attempt.resource, deed.resource)
    )
