"""How a rule's steps are climbed: where it stands, what a try costs, when it is over, when it starts anew."""

from collections.abc import Callable

from daemon.engine.counting import age
from daemon.engine.facts import Fit
from daemon.model.moment import Stamp
from daemon.model.quick import replace
from daemon.model.rule import Rule, Step, Verdict
from daemon.model.track import Ladder

FLAPPING_LOOKS = 3  # second looks in a row that found it clear (docs/judgement.md, ladder)


def name_of(steps: tuple[Step, ...], index: int) -> tuple[str, int]:
    """A step's identity across edits: its content, and which of the equal ones it is."""
    key = steps[index].key
    return key, sum(1 for step in steps[:index] if step.key == key)


def _slot(key: str, nth: int) -> str:
    return f"{key}#{nth}"


def place(ladder: Ladder, steps: tuple[Step, ...]) -> int:
    """The index of the step the ladder stands on; the first if an edit removed it."""
    for index in range(len(steps)):
        if name_of(steps, index) == (ladder.step, ladder.nth):
            return index
    return 0


def spent(ladder: Ladder, steps: tuple[Step, ...], index: int) -> int:
    """Tries spent on a step."""
    return ladder.tries.get(_slot(*name_of(steps, index)), 0)


def current(ladder: Ladder, rule: Rule) -> int | None:
    """The index of the step to propose: the first from its place on with a try left; None when it is exhausted."""
    if ladder.exhausted:
        return None
    for index in range(place(ladder, rule.steps), len(rule.steps)):
        if spent(ladder, rule.steps, index) < rule.steps[index].tries:
            return index
    return None


def chosen(ladder: Ladder, rule: Rule, fit: Callable[[Step], Fit]) -> tuple[int, Fit] | None:
    """The step to propose, and whether it is for what is wrong now; None when the ladder is exhausted.

    Steps whose `only_if` does not hold are passed over, and cost nothing. One whose `only_if` is unknown is not: what
    comes after it may be harsher, and would be done on a guess. Where none is left, it is the last that was looked at.
    """
    first = current(ladder, rule)
    if first is None:
        return None
    found = first, fit(rule.steps[first])
    for index in range(first + 1, len(rule.steps)):
        if found[1].verdict is not Verdict.CLEAR:
            break
        if spent(ladder, rule.steps, index) < rule.steps[index].tries:
            found = index, fit(rule.steps[index])
    return found


def claimed(ladder: Ladder, rule: Rule, index: int, attempt: str, *, would: bool) -> Ladder:
    """The ladder once an attempt of a step was claimed: the try is spent, whatever comes of it."""
    key, nth = name_of(rule.steps, index)
    slot = _slot(key, nth)
    return replace(
        ladder,
        step=key,
        nth=nth,
        tries={**ladder.tries, slot: ladder.tries.get(slot, 0) + 1},
        attempt=attempt,
        clear_streak=0,
        waiting_since=None,
        held_for=0.0,
        hold=None,
        would=ladder.would or would,
    )


def given_up(ladder: Ladder, steps: tuple[Step, ...]) -> Ladder:
    """The ladder after a permanent failure: the step it stands on is over."""
    index = place(ladder, steps)
    if not steps or name_of(steps, index) != (ladder.step, ladder.nth):
        return ladder
    return over(ladder, steps, index)


def over(ladder: Ladder, steps: tuple[Step, ...], index: int) -> Ladder:
    """The ladder with every try of a step spent."""
    return replace(ladder, tries={**ladder.tries, _slot(*name_of(steps, index)): steps[index].tries})


def found_clear(ladder: Ladder) -> Ladder:
    """The ladder after a second look that found it clear."""
    streak = ladder.clear_streak + 1
    return replace(ladder, clear_streak=streak, flapping=ladder.flapping or streak >= FLAPPING_LOOKS)


def is_flapping(ladder: Ladder, rule: Rule, now: Stamp) -> bool:
    """Whether clear looks hold a ladder: until it has been closed for `relapse`."""
    return ladder.flapping and (ladder.closed is None or age(ladder.closed, now) < rule.relapse)


def reopened(ladder: Ladder, rule: Rule, now: Stamp) -> tuple[Ladder, bool]:
    """The ladder when an incident opens, and whether that is a relapse: then it goes on where it was."""
    if ladder.closed is None:
        return ladder, False
    if age(ladder.closed, now) < rule.relapse:
        return replace(ladder, closed=None), True
    return anew(ladder), False


def anew(ladder: Ladder) -> Ladder:
    """The ladder as if it had never been climbed; an attempt under way stays."""
    return Ladder(rule=ladder.rule, resource=ladder.resource, attempt=ladder.attempt)


def cooldown_of(step: Step, try_number: int) -> float:
    """Seconds of least quiet after a step's try (1 is the first): doubles with each try within the step's range."""
    least, most = step.cooldown
    return float(min(most, least * 2 ** min(try_number - 1, 60)))
