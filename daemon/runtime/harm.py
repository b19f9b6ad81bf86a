"""What an attempt could make worse, and what a run says of that: pure reading of the board, changing nothing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from daemon.config.setup import Setup
from daemon.engine.condition import View
from daemon.engine.verification import is_before_verify
from daemon.model.check import Run
from daemon.model.incident import IncidentState
from daemon.model.remediation import Attempt
from daemon.model.rule import Verdict
from daemon.runtime.bindings import PRESSING, Binding, Bindings
from daemon.runtime.board import Board
from daemon.runtime.health import Health
from daemon.runtime.judging import Judged
from daemon.runtime.orders import Orders, scope_of

_SICK = (IncidentState.PENDING, IncidentState.FIRING, IncidentState.RECOVERING)
_CHECK = "check "
OVER = "over"  # noted beside what was sick: nothing more is laid at the attempt's door


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run says of an attempt: why something became worse, or what is sick for another reason."""

    why: str | None = None
    excused: tuple[str, ...] = ()


class _Places:
    """Services by what they are run as, and by what needs them: asked at every claim."""

    def __init__(self, setup: Setup) -> None:
        self.run_as: dict[str, set[str]] = {}  # by resource
        self.needed_by: dict[str, list[str]] = {}
        for name, manager in setup.managers.items():
            self.run_as.setdefault(manager.resource, set()).add(name)
        for name, needed in setup.upstream.items():
            for service in needed:
                self.needed_by.setdefault(service, []).append(name)


class Harm:
    """Who depends on what is acted on, which other subjects there are, and whether they are sick."""

    def __init__(self, bindings: Bindings, board: Board, health: Health, orders: Orders) -> None:
        self._bindings = bindings
        self._board = board
        self._health = health
        self._orders = orders
        self._known: dict[tuple[str, frozenset[str]], list[str]] = {}  # dependants, by resource and checks
        self._places: _Places | None = None  # of the configuration, once asked for

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings
        self._known.clear()
        self._places = None

    # ---- at the claim -------------------------------------------------------------------------------------------

    def sick_around(self, rule: str, resource: str, checks: Iterable[str]) -> tuple[str, ...]:
        """What is sick already: `service NAME`, `check NAME SUBJECT`; and `unseen NAME`, a check nobody knows of."""
        joined = set(checks)
        dependants = self._dependants(resource, joined)
        services = [_service(name) for name in dependants if self._health.why_sick(name) is not None]
        unknown = [unseen(name) for name in self._checks_of(dependants) if not self._health.sees(name)]
        subjects = [
            _subject(check, name)
            for check in sorted(joined)
            for name in sorted(self._board.subjects.get((rule, check), ()))
            if self._board.tracks[rule, check, name].state in _SICK
        ]
        return (*services, *unknown, *subjects)

    def checks_around(self, attempt: Attempt) -> set[str]:
        """The checks of the services that depend on what was acted on."""
        return set(self._checks_of(self._dependants(attempt.resource, _joined(attempt))))

    def checks_that_tell(self, attempt: Attempt) -> frozenset[str]:
        """The checks whose runs `found` can find anything in, as long as the configuration stays."""
        return frozenset(self.checks_around(attempt) | _joined(attempt))

    # ---- after it -----------------------------------------------------------------------------------------------

    def found(self, attempt: Attempt, run: Run, said: Mapping[tuple[str, str], Judged], settled: float) -> Finding:
        """What a run says; `settled` is the settle's end, behind which no window reaches."""
        excused: list[str] = []
        for name, why, is_planned in self._sick_by(attempt, run, said, settled):
            if name in attempt.sick or name in excused:
                continue
            if not is_planned and (check_of(name) is not None or not self._has_another_reason(attempt, run)):
                return Finding(why, tuple(excused))
            excused.append(name)
        return Finding(None, tuple(excused))

    def _sick_by(
        self, attempt: Attempt, run: Run, said: Mapping[tuple[str, str], Judged], settled: float
    ) -> Iterator[tuple[str, str, bool]]:
        """What is sick by a run: its noted name, how that is known, and whether planned work covers it."""
        service, checks = self._bindings.setup.checks[run.check].service or "", _joined(attempt)
        is_looked_at = service in self._dependants(attempt.resource, checks) and unseen(run.check) not in attempt.sick
        says = f"{service}, which depends on it, is sick since"
        for reading in run.readings if is_looked_at else ():
            if reading.samples.get("up") == 0:
                yield _service(service), f"{says}: {run.check} has up 0", self._is_planned(run.check, reading.subject)
        for binding in self._bindings.by_check[run.check]:
            is_pressing = is_looked_at and binding.rule.severity in PRESSING
            is_own = run.check in checks and binding.rule.name == attempt.rule
            if not is_pressing and not is_own:
                continue
            for subject, is_planned in self._breached(binding, run, said, settled):
                if is_pressing:
                    yield _service(service), f"{says}: rule {binding.rule.name} is breached", is_planned
                if is_own:
                    says_too = f"{subject} of {run.check}, which was well, is breached since"
                    yield _subject(run.check, subject), says_too, is_planned

    def _breached(
        self, binding: Binding, run: Run, said: Mapping[tuple[str, str], Judged], settled: float
    ) -> Iterator[tuple[str, bool]]:
        """Subjects for which a rule is breached, and not by what its windows saw before the settle's end alone.

        With each whether planned work covers it; what such work covers of this rule alone is left out.
        """
        for (rule, subject), judged in said.items():
            if rule != binding.rule.name or judged.verdict is not Verdict.BREACHED:
                continue
            is_planned = self._is_planned(run.check, subject)
            if not is_planned and self._is_planned(run.check, subject, rule, str(binding.rule.severity)):
                continue
            if binding.when.judge(_since(judged.view, settled)) is Verdict.BREACHED:
                yield subject, is_planned

    def _is_planned(self, check: str, subject: str, rule: str = "", severity: str = "") -> bool:
        """Whether maintenance covers a subject; without a rule: whatever rule is on it."""
        scope = scope_of(self._bindings, rule, self._bindings.setup.checks[check], subject, severity)
        return self._orders.maintenance(scope) is not None

    def _dependants(self, resource: str, checks: Iterable[str]) -> list[str]:
        """Services that depend on what has this resource; if no manager has it, on the checks' services."""
        key = (resource, frozenset(checks))
        if key not in self._known:
            self._known[key] = self._found_dependants(*key)
        return self._known[key]

    def _found_dependants(self, resource: str, checks: Iterable[str]) -> list[str]:
        setup = self._bindings.setup
        places = self._places = self._places or _Places(setup)
        targets = places.run_as.get(resource)
        if targets is None:
            targets = {setup.checks[check].service or "" for check in checks if check in setup.checks}
        found = {name for target in targets for name in places.needed_by.get(target, ())} - targets
        return [name for name in setup.upstream if name in found] if found else []

    def _checks_of(self, services: Iterable[str]) -> list[str]:
        return [check for service in services for check in self._bindings.checks_of.get(service, ())]

    def _has_another_reason(self, attempt: Attempt, run: Run) -> bool:
        """Whether heald acts on a run's service, or has not let settle what it did to another that this one needs."""
        setup, at = self._bindings.setup, run.began
        service = setup.checks[run.check].service or ""
        managers, needed = setup.managers, setup.upstream.get(service, ())
        own = managers[service].resource if service in managers else None
        between = {managers[name].resource for name in needed if name in managers} - {attempt.resource}
        return any(
            it.attempt.resource == own or (it.attempt.resource in between and is_before_verify(it, at))
            for it in self._board.watches.values()
            if not it.attempt.would
        )


def is_sick(run: Run, said: Mapping[tuple[str, str], Judged]) -> bool:
    """Whether a run says of anything at all that it is sick."""
    is_down = any(reading.samples.get("up") == 0 for reading in run.readings)
    return is_down or any(judged.verdict is Verdict.BREACHED for judged in said.values())


def check_of(name: str) -> str | None:
    """The check of which a noted name is a subject; None of a service."""
    return name.split(" ", 2)[1] if name.startswith(_CHECK) else None


def unseen(check: str) -> str:
    """How it is noted that nobody knows what a check would have seen at the claim."""
    return f"unseen {check}"


def _joined(attempt: Attempt) -> set[str]:
    return {check for name in attempt.sick if (check := check_of(name)) is not None}


def _since(view: View, settled: float) -> View:
    """The same run without what windows saw before the settle's end."""
    floor = settled if view.floor is None else max(view.floor, settled)
    other = View(view.check, view.subject, view.samples, view.blind, view.now, view.observations)
    other.floor, other.lenient, other.memory = floor, True, view.memory
    return other


def _service(name: str) -> str:
    return f"service {name}"


def _subject(check: str, subject: str) -> str:
    return f"{_CHECK}{check} {subject}"
