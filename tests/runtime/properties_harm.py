"""What an attempt could make worse, as the witness sees it: dependants, and the other subjects of its checks.

Where something else may be the reason, it says nothing.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.model.check import Run
from daemon.model.incident import IncidentState
from daemon.model.order import OrderKind
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Verdict
from tests.runtime.properties_broken import ROUNDING
from tests.runtime.properties_scene import SERVICES

if TYPE_CHECKING:
    from tests.runtime.properties_witness import Witness

Key = tuple[str, str]
SICK = (IncidentState.PENDING, IncidentState.FIRING, IncidentState.RECOVERING)


@dataclass(kw_only=True)
class Around:
    """An attempt, and who was well around it at its claim."""

    attempt: Attempt
    key: Key
    services: set[str]  # that depend on what it touches, and are not acted on since
    sick: dict[str, set[str]]  # by each check of its incidents: subjects that were sick already
    over: float  # claim + timeout + settle: when it has settled if heald is killed meanwhile
    settled: float = math.inf  # steady seconds


class Harm:
    """Whether what was well is sick after an attempt."""

    def __init__(self, seen: "Witness") -> None:
        self._seen = seen
        self._around: dict[str, Around] = {}

    # ---- at the claim -----------------------------------------------------------------------------------------------

    def claimed(self, attempt: Attempt, key: Key, checks: set[str]) -> None:
        """An attempt is claimed for incidents of these checks; what it touches is sick for that from now on."""
        seen = self._seen
        for other in self._around.values():
            between = {other.attempt.resource}
            other.services -= {it for it in other.services if attempt.resource in {it, *seen.upstream(it)} - between}
        targets = {attempt.resource} & set(SERVICES) or {seen.service(check) for check in checks}
        services = {it for it in SERVICES if it not in targets and targets & set(seen.upstream(it))}
        sick = {
            check: {at[2] for at, it in seen.states.items() if at[:2] == (key[0], check) and it in SICK}
            for check in checks
        }
        self._around[attempt.id] = Around(
            attempt=attempt,
            key=key,
            services={it for it in services if self._is_well(it)},
            sick=sick,
            over=seen.steady() + attempt.timeout + attempt.settle,
        )

    def _is_well(self, service: str) -> bool:
        """For certain: every check of it is known, nothing of it is sick, and nothing is done to it."""
        seen = self._seen
        checks = [it.name for it in seen.scene.config.checks if it.service == service]
        is_known = all(check in seen.known and check not in seen.blind for check in checks)
        resources = {it.attempt.resource for name, it in self._around.items() if name not in seen.released}
        is_touched = resources & {service, *seen.upstream(service)}
        return is_known and not is_touched and not seen.is_sick(service)

    # ---- after it ---------------------------------------------------------------------------------------------------

    def ended(self, attempt: Attempt) -> None:
        """Its effect ended, and heald saw it."""
        if attempt.state is AttemptState.LAPSED:
            self._around.pop(attempt.id, None)
        elif attempt.id in self._around:
            self._around[attempt.id].settled = self._seen.steady() + attempt.settle

    def killed(self, *, host: bool) -> None:
        if host:
            self._around.clear()
        for it in self._around.values():
            it.settled = min(it.settled, it.over)

    def clear(self) -> None:
        """The file was edited, or rows were lost."""
        self._around.clear()

    def forgets(self, key: Key) -> None:
        """A ladder began anew."""
        self._around = {name: it for name, it in self._around.items() if it.key != key}

    def judged(self, run: Run) -> None:
        """A run was judged: see what it says of each attempt."""
        seen = self._seen
        if any(it.kind is OrderKind.MAINTENANCE and seen.now <= it.until + ROUNDING for it in seen.wishes.values()):
            self._around.clear()
        for name, it in list(self._around.items()):
            if run.began > it.settled + it.attempt.verify - ROUNDING:
                if name in seen.released:
                    del self._around[name]
            elif run.began >= it.settled + ROUNDING and (why := self._found(it, run)):
                seen.ladders.climb(it.key).worse = why

    def _found(self, around: Around, run: Run) -> str:
        seen, service = self._seen, self._seen.service(run.check)
        is_dependant = service in around.services
        if is_dependant and any(it.samples.get("up") == 0 for it in run.readings):
            return f"{service} is down after {around.attempt}"
        for rule in seen.scene.config.rules:
            is_own = rule.name == around.key[0] and run.check in around.sick
            is_pressing = is_dependant and rule.severity <= 1
            for subject in [it.subject for it in run.readings] if run.check in rule.checks else []:
                is_judged = seen.ladders.is_settling(seen.ladders.key(rule, run.check, subject), run.began) is False
                is_other = is_pressing or (is_own and subject not in around.sick[run.check])
                if is_judged and is_other and seen.verdict(run, subject) is Verdict.BREACHED:
                    return f"{run.check} {subject} is sick after {around.attempt}"
        return ""
