"""Attempts under way hear of every run: what settles judges nothing, what is verified is judged by its own copy."""

from collections.abc import Mapping

from daemon.engine.observations import Observations
from daemon.engine.verification import Member, is_before_verify
from daemon.model.check import Run
from daemon.model.rule import Verdict
from daemon.runtime.aftercare import Aftercare
from daemon.runtime.bindings import Bindings
from daemon.runtime.board import Board
from daemon.runtime.judging import Copies, Judged


class Verifying:
    """Between the runs and the attempts that they verify."""

    def __init__(self, bindings: Bindings, *, board: Board, observations: Observations, aftercare: Aftercare) -> None:
        self._bindings = bindings
        self._board = board
        self._observations = observations
        self._aftercare = aftercare
        self._copies = Copies()

    def replace(self, bindings: Bindings) -> None:
        """Go on with another configuration; attempts under way keep their own copies, and what those look back on."""
        self._bindings = bindings
        watches = self._board.watches.values()
        self._copies.begin(watches, self._board.tracks)
        bindings.declare(self._observations, [watch.rule for watch in watches])

    def is_settling(self, rule: str, resource: str, began: float) -> bool:
        """Whether a run judges nothing for this ladder: something is being done to its resource."""
        for watch in self._board.watches.values():
            attempt = watch.attempt
            touches = attempt.resource == resource or (attempt.ladder == resource and attempt.rule == rule)
            if touches and not attempt.would and is_before_verify(watch, began):
                return True
        return False

    def concerns(self, rule: str, resource: str) -> bool:
        """Whether an attempt under way is verified by this rule, or touches this resource."""
        for watch in self._board.watches.values():
            if watch.rule.name == rule or watch.attempt.resource == resource:
                return True
        return False

    def hear(self, run: Run, judged: Mapping[tuple[str, str], Judged]) -> None:
        """Tell each attempt under way what this run says of its incidents, by the attempt's own copy of the rule."""
        for watch in list(self._board.watches.values()):
            if watch.settled is None or run.began < watch.settled:
                continue
            said: dict[Member, Verdict] = {}
            for check, name in watch.members:
                if check != run.check:
                    continue
                if self.is_settling(watch.rule.name, watch.attempt.ladder, run.began):
                    said[check, name] = Verdict.UNKNOWN
                elif (watch.rule.name, name) in judged and self._bindings.rules.get(watch.rule.name) is watch.rule:
                    said[check, name] = judged[watch.rule.name, name].word
                else:
                    said[check, name] = self._copies.word(watch, run, name, self._observations)
            if said:
                self._aftercare.heard(watch, said, run.ended)
