"""Did it harm? What was well at an attempt's claim and is sick after its settle stops the ladder at once.

Looked at are the services that depend on what was acted on, and the other subjects of the incident's checks: from the
settle's end for the step's `verify`, or until verification is over, whichever is longer (docs/judgement.md, ladder).
What of it says that something is sick stands in `harm.py`.
"""

from collections.abc import Iterable, Mapping, Sequence

from daemon.engine.counting import since_end
from daemon.logs import log
from daemon.model.check import Run
from daemon.model.incident import Hold, HoldReason
from daemon.model.moment import Stamp, age
from daemon.model.quick import replace
from daemon.model.remediation import Attempt, AttemptState
from daemon.protocols import Clock
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board, LadderKey
from daemon.runtime.harm import OVER, Harm, is_sick, unseen
from daemon.runtime.holds import Holds
from daemon.runtime.judging import Judged

_SWEEP = 1.0  # seconds between two looks for attempts that are past; what a run says of one is never past


class Worse:
    """Attempts, as long as what becomes sick is laid at their door."""

    def __init__(self, harm: Harm, *, board: Board, holds: Holds, clock: Clock) -> None:
        self._board = board
        self._harm = harm
        self._holds = holds
        self._clock = clock
        self._watched: dict[str, tuple[LadderKey, frozenset[str]]] = {}  # by id: its ladder, the checks that tell
        self._swept = 0.0  # steady seconds: when those that are past were last left out

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration: what only it looks at dependants with, nobody asked at the claim."""
        now, attempts = self._clock.stamp(), self._board.attempts
        known = [attempts[name] for name in self._watched if name in attempts]  # the others' claims are on their way
        watched = [attempt for attempt in known if not self._is_past(attempt, now, now.boottime)]
        for attempt in known:
            if attempt not in watched:
                self._let_go(attempt.id)
        before = {attempt.id: self._harm.checks_around(attempt) for attempt in watched}
        self._harm.replace(bindings)
        for attempt in watched:
            added = self._harm.checks_around(attempt) - before[attempt.id]
            self._excuse(attempt, [unseen(check) for check in sorted(added)])
        self._watched |= {attempt.id: self._about(attempt) for attempt in watched}

    # ---- at the claim -------------------------------------------------------------------------------------------

    def watch(self, attempt: Attempt, checks: Iterable[str]) -> Attempt:
        """Look at what becomes of the others from now on; the attempt with what is sick already, or not known."""
        if attempt.would:
            return attempt
        attempt = replace(attempt, sick=self._harm.sick_around(attempt.rule, attempt.resource, checks))
        self._watched[attempt.id] = self._about(attempt)
        return attempt

    def resume(self) -> None:
        """Go on with what an earlier daemon did."""
        now = self._clock.stamp()
        attempts = self._board.attempts.values()
        watched = (it for it in attempts if not it.would and not self._is_past(it, now, now.boottime))
        self._watched = {attempt.id: self._about(attempt) for attempt in watched if OVER not in attempt.sick}

    def _about(self, attempt: Attempt) -> tuple[LadderKey, frozenset[str]]:
        return (attempt.rule, attempt.ladder), self._harm.checks_that_tell(attempt)

    # ---- after it -----------------------------------------------------------------------------------------------

    def hear(self, run: Run, said: Mapping[tuple[str, str], Judged]) -> None:
        """A run was judged so, by rule and subject: see whether anything became worse."""
        if not self._watched:
            return
        now = self._clock.stamp()
        if is_sweep := now.boottime - self._swept >= _SWEEP:
            self._swept = now.boottime
        for name, (key, checks) in list(self._watched.items()):  # at every run, with as many as were lately made
            ladder = self._board.ladders.get(key)
            if ladder is None or not ladder.tries or ladder.worse:  # begun anew, or stopped
                self._let_go(name)
            elif (tells := run.check in checks and is_sick(run, said)) or is_sweep:
                attempt = self._board.attempts.get(name)  # none: its claim was not committed
                if attempt is None or self._is_past(attempt, now, run.began):
                    self._let_go(name)
                elif tells and attempt.state is not AttemptState.RUNNING:
                    self._look(attempt, run, said, now)

    def _let_go(self, name: str) -> None:
        """For good: a later daemon, after a boot on a clock set back, could not tell by its age that it is over."""
        del self._watched[name]
        if (attempt := self._board.attempts.get(name)) is not None:
            self._excuse(attempt, [OVER])

    def _look(self, attempt: Attempt, run: Run, said: Mapping[tuple[str, str], Judged], now: Stamp) -> None:
        settled = _settled(attempt, now)
        found = self._harm.found(attempt, run, said, settled)
        self._excuse(attempt, found.excused)
        if found.why is not None and run.began >= settled:
            self._stop(attempt, found.why)

    def _excuse(self, attempt: Attempt, names: Sequence[str]) -> None:
        """What is sick for another reason is not laid at this attempt's door later either."""
        if names:
            self._board.put_attempt(replace(attempt, sick=(*attempt.sick, *names)))

    def _is_past(self, attempt: Attempt, now: Stamp, at: float) -> bool:
        """Whether a run that began `at` says nothing of this attempt any more."""
        if attempt.state is AttemptState.LAPSED:
            return True
        if attempt.released is None:
            return False
        return at > max(_settled(attempt, now) + attempt.verify, now.boottime - age(attempt.released, now))

    def _stop(self, attempt: Attempt, found: str) -> None:
        key = (attempt.rule, attempt.ladder)
        sentence = f"after {attempt.remediation} of {attempt.resource} something became worse: {found}"
        log.error("attempt_worse", f"Rule {attempt.rule}: {sentence}.", attempt=attempt.id, rule=attempt.rule)
        self._board.put_ladder(replace(self._board.ladders[key], worse=sentence))
        self._holds.stop(key, attempt.remediation, Hold(reason=HoldReason.WORSE, sentence=sentence))


def _settled(attempt: Attempt, now: Stamp) -> float:
    """When its settle ends or ended, in steady seconds; a lost one counts as ended at claim + timeout."""
    return now.boottime - since_end(attempt, now) + attempt.settle
