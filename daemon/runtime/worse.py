"""Did it harm? What was well at an attempt's claim and is sick after its settle stops the ladder at once.

Looked at are the services that depend on what was acted on, and the other subjects of the incident's checks: from the
settle's end for the step's `verify`, or until verification is over, whichever is longer (docs/judgement.md, ladder).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemon.engine.counting import since_end
from daemon.logs import log
from daemon.model.check import Run
from daemon.model.incident import Hold, HoldReason, IncidentState
from daemon.model.moment import Stamp, age
from daemon.model.remediation import Attempt, AttemptState
from daemon.model.rule import Verdict
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board, LadderKey
from daemon.runtime.health import Health
from daemon.runtime.holds import Holds
from daemon.runtime.judging import Judged

_SICK = (IncidentState.PENDING, IncidentState.FIRING, IncidentState.RECOVERING)


class Worse:
    """The newest attempt of each ladder, as long as what becomes sick is laid at its door."""

    def __init__(self, bindings: Bindings, *, board: Board, health: Health, holds: Holds, clock: Clock) -> None:
        self._bindings = bindings
        self._board = board
        self._health = health
        self._holds = holds
        self._clock = clock
        self._watched: dict[LadderKey, str] = {}  # the attempt's id

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration."""
        self._bindings = bindings

    # ---- at the claim -------------------------------------------------------------------------------------------

    def sick_around(self, rule: str, resource: str, checks: Iterable[str]) -> tuple[str, ...]:
        """What an attempt could make worse and is sick already: `service NAME`, or `check NAME SUBJECT`."""
        joined = set(checks)
        dependants = self._dependants(resource, joined)
        services = [_service(name) for name in dependants if self._health.why_sick(name) is not None]
        subjects = [
            _subject(check, name)
            for check in sorted(joined)
            for name in sorted(self._board.subjects.get((rule, check), ()))
            if self._board.tracks[rule, check, name].state in _SICK
        ]
        return (*services, *subjects)

    def watch(self, attempt: Attempt) -> None:
        """Look at what becomes of the others; of an attempt before it on the same ladder no more."""
        if not attempt.would:
            self._watched[attempt.rule, attempt.ladder] = attempt.id

    def resume(self) -> None:
        """Go on with what an earlier daemon did: the newest attempt of each ladder."""
        for attempt in self._board.attempts.values():  # oldest first
            self.watch(attempt)
        now = self._clock.stamp()
        self._watched = {
            key: name
            for key, name in self._watched.items()
            if not self._is_past(self._board.attempts[name], now, now.boottime)
        }

    # ---- after it -----------------------------------------------------------------------------------------------

    def hear(self, run: Run, said: Mapping[tuple[str, str], Judged]) -> None:
        """A run was judged so, by rule and subject: see whether anything became worse."""
        if not self._watched:
            return
        now = self._clock.stamp()
        for key, name in list(self._watched.items()):
            attempt, ladder = self._board.attempts.get(name), self._board.ladders.get(key)
            is_over = ladder is None or not ladder.tries or ladder.worse  # begun anew, or stopped
            if attempt is None or is_over or self._is_past(attempt, now, run.began):
                del self._watched[key]
                continue
            if attempt.state is AttemptState.RUNNING or run.began < _settled(attempt, now):
                continue
            if (found := self._found(attempt, run, said)) is not None:
                del self._watched[key]
                self._stop(key, attempt, found)

    def _is_past(self, attempt: Attempt, now: Stamp, at: float) -> bool:
        """Whether a run that began `at` says nothing of this attempt any more."""
        if attempt.state is AttemptState.LAPSED or attempt.would:
            return True
        if attempt.released is None:
            return False
        return at > max(_settled(attempt, now) + attempt.verify, now.boottime - age(attempt.released, now))

    def _found(self, attempt: Attempt, run: Run, said: Mapping[tuple[str, str], Judged]) -> str | None:
        """What became sick by this run, in words."""
        checks = {name.split(" ", 2)[1] for name in attempt.sick if name.startswith("check ")}
        service = self._bindings.setup.checks[run.check].service or ""
        if service in self._dependants(attempt.resource, checks) and _service(service) not in attempt.sick:
            why = self._why_sick(run, said) if not self._is_acted_on(service) else None
            if why is not None:
                return f"{service}, which depends on it, is sick since: {why}"
        for (rule, subject), judged in said.items():
            is_other = rule == attempt.rule and run.check in checks and _subject(run.check, subject) not in attempt.sick
            if is_other and judged.verdict is Verdict.BREACHED:
                return f"{subject} of {run.check}, which was well, is breached since"
        return None

    def _why_sick(self, run: Run, said: Mapping[tuple[str, str], Judged]) -> str | None:
        """What of this run says that its service is sick, as `Health` reads it."""
        if any(reading.samples.get("up") == 0 for reading in run.readings):
            return f"{run.check} has up 0"
        pressing = {binding.rule.name for binding in self._bindings.pressing(run.check)}
        breached = next(
            (rule for (rule, _), it in said.items() if rule in pressing and it.verdict is Verdict.BREACHED), None
        )
        return f"rule {breached} is breached" if breached is not None else None

    def _dependants(self, resource: str, checks: Iterable[str]) -> list[str]:
        """Services that depend on what has this resource; if no manager has it, on the checks' services."""
        setup = self._bindings.setup
        targets = {name for name, manager in setup.managers.items() if manager.resource == resource}
        if not targets:
            targets = {setup.checks[check].service or "" for check in checks if check in setup.checks}
        return [
            name for name, needed in setup.upstream.items() if name not in targets and not targets.isdisjoint(needed)
        ]

    def _is_acted_on(self, service: str) -> bool:
        """Whether something is being done to a service right now: its being down says nothing of another's attempt."""
        manager = self._bindings.setup.managers.get(service)
        if manager is None:
            return False
        watches = self._board.watches.values()
        return any(it.attempt.resource == manager.resource and not it.attempt.would for it in watches)

    def _stop(self, key: LadderKey, attempt: Attempt, found: str) -> None:
        sentence = f"after {attempt.remediation} of {attempt.resource} something became worse: {found}"
        log.error("attempt_worse", f"Rule {attempt.rule}: {sentence}.", attempt=attempt.id, rule=attempt.rule)
        self._board.put_ladder(replace(self._board.ladders[key], worse=sentence))
        self._holds.stop(key, attempt.remediation, Hold(reason=HoldReason.WORSE, sentence=sentence))


def _service(name: str) -> str:
    return f"service {name}"


def _subject(check: str, subject: str) -> str:
    return f"check {check} {subject}"


def _settled(attempt: Attempt, now: Stamp) -> float:
    """When its settle ends or ended, in steady seconds; a lost one counts as ended at claim + timeout."""
    return now.boottime - since_end(attempt, now) + attempt.settle
