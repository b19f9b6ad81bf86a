"""Did it help? An attempt from its claim to its release, judged by its own copy of step and condition."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.engine.lifecycle import counted_time
from daemon.model.quick import quick, replace
from daemon.model.remediation import Attempt, Verification
from daemon.model.rule import Rule, Verdict

_LONGEST_WAIT = 3  # intervals for which verify waits for its first run (docs/judgement.md, ladder)

Member = tuple[str, str]
"""A joined incident by its check and subject."""


@quick
@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """An attempt under way; it carries the step's settle and verify. Times are steady seconds."""

    attempt: Attempt
    rule: Rule  # the rule as it was at the claim
    members: Mapping[Member, str]  # joined incidents' ids, by check and subject
    every: float  # the longest interval among the members' checks
    since: float = 0.0  # when this daemon began to watch it: before that nobody could look
    settled: float | None = None  # the settle's end; None while the effect runs
    deadline: float = 0.0  # the end of verify; it stands still while all members are CLEAR
    words: Mapping[Member, tuple[Verdict, float]] = field(default_factory=dict)  # newest run after settle, and its end
    updated: float = 0.0  # when `words` changed last
    held: float = 0.0  # seconds for which all members have been CLEAR

    @property
    def is_clear(self) -> bool:
        """Whether every member was CLEAR in its newest run after settle."""
        return bool(self.members) and all(_word(self, member) is Verdict.CLEAR for member in self.members)


def settling(watch: Watch, ended: float) -> Watch:
    """The watch once the effect ended: settle, then verify."""
    settled = ended + watch.attempt.settle
    return replace(watch, settled=settled, deadline=settled + watch.attempt.verify)


def is_before_verify(watch: Watch, at: float) -> bool:
    """Whether runs that began at `at` still judge nothing."""
    return watch.settled is None or at < watch.settled


def heard(watch: Watch, said: Mapping[Member, Verdict], at: float) -> Watch:
    """The watch after a run that began after settle and said this of its members."""
    known = {member: (verdict, at) for member, verdict in said.items() if member in watch.members}
    if not known:
        return watch
    was_clear = watch.is_clear
    after = replace(watch, words={**watch.words, **known}, updated=at)
    if was_clear and not watch.attempt.would:
        after = replace(after, deadline=watch.deadline + at - watch.updated)
    if was_clear and after.is_clear:
        counted = counted_time(Verdict.CLEAR, watch.updated, Verdict.CLEAR, at, watch.every)
        return replace(after, held=watch.held + counted)
    if any(verdict is Verdict.BREACHED for verdict, _ in known.values()):
        return replace(after, held=0.0)
    return after


def without(watch: Watch, member: Member) -> Watch:
    """The watch without an incident that vanished or was withdrawn."""
    return replace(watch, members={key: value for key, value in watch.members.items() if key != member})


def result(watch: Watch, at: float) -> Verification | None:
    """What verification has found by `at`, the end of a run; None while it goes on."""
    if not watch.members:
        return Verification.UNVERIFIED
    if watch.settled is None:
        return None
    if watch.attempt.would:
        if at < watch.deadline:
            return None
        return Verification.EFFECTIVE if watch.is_clear else Verification.INEFFECTIVE
    if watch.is_clear:
        return Verification.EFFECTIVE if watch.held >= watch.rule.clear_for else None
    if at < watch.deadline:
        return None
    late = [watch.words[member] for member in watch.members if _heard_late(watch, member)]
    if any(verdict is Verdict.BREACHED for verdict, _ in late):
        return Verification.INEFFECTIVE
    if len(late) == len(watch.members) or at >= gives_up(watch):
        return Verification.UNVERIFIED
    return None


def gives_up(watch: Watch) -> float:
    """When verify has waited long enough for a run that began after settle."""
    return max(watch.deadline, watch.since) + _LONGEST_WAIT * watch.every


def _word(watch: Watch, member: Member) -> Verdict | None:
    return watch.words[member][0] if member in watch.words else None


def _heard_late(watch: Watch, member: Member) -> bool:
    return member in watch.words and watch.words[member][1] >= watch.deadline
