"""Which services are sick, as far as those that depend on them need to know."""

import math
from collections.abc import Collection

from daemon.engine.guards import Proposal
from daemon.model.check import Check, Run
from daemon.model.incident import IncidentState
from daemon.model.service import Service
from daemon.runtime.bindings import Binding, Bindings
from daemon.runtime.board import Board

_SICK = (IncidentState.PENDING, IncidentState.FIRING)
_NAMED = 5  # members that a sentence names


class Health:
    """Sick upstream services, and since when they are well again. Times are steady seconds."""

    def __init__(self, bindings: Bindings, board: Board) -> None:
        self._bindings = bindings
        self._board = board
        self._down: dict[str, bool] = {}  # by check: whether its newest known run had `up` 0
        self._members: dict[str, dict[str, bool]] = {}  # by check of a service with members: who is healthy
        self._missing: dict[str, dict[str, float]] = {}  # likewise: who was there, and since when it is not
        self._blind: dict[str, str] = {}  # by check: why its newest run could not look
        self._counted = self._find_counted()  # checks whose subjects are members of a service with min_healthy
        self._was_sick: dict[str, bool] = {}
        self._well_at: dict[str, float] = {}  # by service: when it was last found well after it was sick

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; what removed checks said is forgotten."""
        self._bindings = bindings
        self._counted = self._find_counted()
        self._down = {check: down for check, down in self._down.items() if check in bindings.by_check}
        self._members = {check: seen for check, seen in self._members.items() if check in bindings.by_check}
        self._missing = {check: since for check, since in self._missing.items() if check in bindings.by_check}
        self._blind = {check: why for check, why in self._blind.items() if check in bindings.by_check}

    def saw(self, run: Run) -> None:
        """Note `up` of a run; a blind one changes nothing."""
        if run.error is not None:
            self._blind[run.check] = run.error
            return
        if self._blind:
            self._blind.pop(run.check, None)
        if run.check in self._counted:
            self._members[run.check] = self._found(run)
        is_down = False
        for reading in run.readings:
            if reading.samples.get("up") == 0:
                is_down = True
        self._down[run.check] = is_down

    def _found(self, run: Run) -> dict[str, bool]:
        """The members by a run: who was there and is found no more is one, and not healthy, until it has vanished."""
        found = {it.subject: it.samples.get("up") == 1 for it in run.readings}
        missing, lasts = self._missing.get(run.check, {}), self._bindings.setup.checks[run.check].vanish_after
        gone = self._members.get(run.check, {}).keys() - found.keys()
        since = {name: at for name in gone if run.ended - (at := missing.get(name, run.ended)) < lasts}
        self._missing[run.check] = since
        return {**found, **dict.fromkeys(sorted(since), False)}

    def judged(self, check: Check, at: float) -> None:
        """Note, after a run was judged, whether its service became well."""
        service = check.service
        if service is None or service not in self._bindings.roots:
            return
        is_sick = self.why_sick(service) is not None
        if self._was_sick.get(service) and not is_sick:
            self._well_at[service] = at
        self._was_sick[service] = is_sick

    def is_down(self, check: str) -> bool:
        """Whether a check's newest known run had `up` 0."""
        return self._down.get(check, False)

    def has_seen(self, check: str) -> bool:
        """Whether a check could look at all since heald began."""
        return check in self._down

    def sees(self, check: str) -> bool:
        """Whether anything is known by a check: it has run since heald began, and its newest run could look."""
        return check in self._down and check not in self._blind

    def _find_counted(self) -> frozenset[str]:
        setup = self._bindings.setup
        limited = {name for name, service in setup.services.items() if service.min_healthy is not None}
        return frozenset(name for name, check in setup.checks.items() if check.discovers and check.service in limited)

    def too_few(self, service: Service, acted_on: str, others: Collection[str] = ()) -> str | None:
        """Why acting on one member would leave too few healthy; None if enough would stay so, whatever becomes of it.

        A member is a subject of the checks of a service; one is healthy if every check that sees it has it up, and
        nobody knows what will become of `others`, which are acted on at the same time. Who acts for no member that is
        known, as a check without subjects has it done, takes one of the healthy down.
        """
        checks = self._bindings.checks_of.get(service.name, ())
        healthy: dict[str, bool] = {}
        for check in checks:
            for subject, is_up in self._members.get(check, {}).items():
                healthy[subject] = is_up and healthy.get(subject, True)
        wanted = service.min_healthy or 0.0
        if service.min_healthy_percent:
            wanted = math.ceil(wanted * len(healthy) / 100)
        if not healthy:
            return f"no check has found the members of {service.name} yet, so how many would stay healthy is not known"
        if blind := next((check for check in checks if check in self._counted and check in self._blind), None):
            why = f"{blind} could not look: {self._blind[blind]}"
            return f"how many members of {service.name} are healthy is not known: {why}"
        touched = {acted_on, *others}
        staying = sum(is_up for subject, is_up in healthy.items() if subject not in touched)
        staying = max(0, staying - len(touched - healthy.keys()))
        if staying >= wanted:
            return None
        least = f"{service.min_healthy:g}{'%' if service.min_healthy_percent else ''}"
        too = sorted(set(others) & healthy.keys() - {acted_on})
        named = ", ".join(too[:_NAMED]) + (f" and {len(too) - _NAMED} more" if len(too) > _NAMED else "")
        meanwhile = f" while {named} {'is' if len(too) == 1 else 'are'} acted on too" if too else ""
        would = f"{staying} of {len(healthy)} members of {service.name} would stay healthy{meanwhile}"
        return f"{would}, and min_healthy is {least}"

    def self_test(self, *, known: bool = False) -> str | None:
        """What says that heald's own network is broken: a check of `self_test` that is down, blind or not run yet.

        `known` leaves out what has not run yet.
        """
        for check in self._bindings.setup.settings.self_test:
            if (why := self._blind.get(check)) is not None:
                return f"{check} could not look: {why}"
            if self._down.get(check, not known):
                return f"{check} has up 0" if check in self._down else f"{check} has not run yet"
        return None

    def why_sick(self, service: str) -> str | None:
        """What says that a service is sick: a check with `up` 0, or a P0 or P1 rule pending or firing on it."""
        for check in self._bindings.checks_of.get(service, ()):
            if self._down.get(check):
                return f"{service}, where {check} has up 0"
            for binding in self._bindings.pressing(check):
                for subject in self._board.subjects.get((binding.rule.name, check), ()):
                    state = self._board.tracks[binding.rule.name, check, subject].state
                    if state in _SICK:
                        return f"{service}, where rule {binding.rule.name} is {state}"
        return None

    def sick_upstream(self, service: str | None) -> str | None:
        """The first service that this one depends on, however far, that is sick: which, and why."""
        for needed in self._bindings.setup.upstream.get(service or "", ()):
            if why := self.why_sick(needed):
                return why
        return None

    def turn(self, proposal: Proposal) -> tuple[bool, float]:
        """Of those that share a ladder the least goes first: what is sick for itself, then what is so for longest."""
        return self.sick_upstream(proposal.service) is not None, proposal.firing_since

    def upstream_well_for(self, service: str | None, at: float) -> float:
        """Seconds for which what a service depends on has been well; 0 while it is not, infinite if it always was."""
        return 0.0 if self.sick_upstream(service) is not None else max(0.0, at - self.upstream_well_since(service)[1])

    def upstream_well_since(self, service: str | None) -> tuple[str | None, float]:
        """The upstream service that became well last, and when."""
        known = [
            (self._well_at[needed], needed)
            for needed in self._bindings.setup.upstream.get(service or "", ())
            if needed in self._well_at
        ]
        at, name = max(known, default=(float("-inf"), None))
        return name, at

    def counts_anew(self, binding: Binding) -> tuple[float, str | None]:
        """Seconds that count anew once nothing mutes an incident any more: its `for`, or if longer a root's settle.

        And whose settle it is.
        """
        root, _ = self.upstream_well_since(binding.check.service)
        roots = (root,) if root else binding.upstream  # after a restart nobody knows which was sick: the longest holds
        settles = ((self._bindings.root_settle(it), it) for it in roots)
        longest, of = max(settles, default=(0.0, None))
        for_seconds = binding.timing.for_seconds
        return (longest, of) if longest > for_seconds else (for_seconds, None)
