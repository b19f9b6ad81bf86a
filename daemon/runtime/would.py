"""What observe mode would have done over a time, from the record: `heald report --would`. Pure."""

from collections.abc import Sequence

from daemon.engine.proof import peaks
from daemon.model.explanation import WouldReport, WouldRow
from daemon.model.incident import HoldReason, Incident
from daemon.model.moment import Stamp, age
from daemon.model.remediation import Attempt
from daemon.model.rule import Limit
from daemon.model.track import HoldRecord
from daemon.runtime.bindings import Bindings


def would_report(
    bindings: Bindings,
    attempts: Sequence[Attempt],
    holds: Sequence[HoldRecord],
    told: Sequence[Incident],
    seconds: float,
    now: Stamp,
    *,
    is_cut: bool,
) -> WouldReport:
    """By rule and resource: would-be attempts, how far limits in force were used, what held, what people were told.

    Args:
        bindings: the configuration in use, for the limits in force.
        attempts: all of that time and of a window before it, the real ones too, as they count against would-be ones.
        holds: of that time.
        told: incidents that were handed to people in that time.
        seconds: how long it was.
        now: its end.
        is_cut: whether the record has more than could be read.
    """
    made = [it for it in attempts if age(it.claimed, now) < seconds]
    real = {(it.rule, it.resource) for it in made if not it.would}
    paper = {(it.rule, it.resource) for it in made if it.would}
    keys = paper | ({(it.rule, it.resource) for it in holds} - real)  # what held where heald acts is no matter of this
    rows = [_row(bindings, key, attempts, holds, told, seconds, now) for key in sorted(keys)]
    budget = peaks("all", bindings.setup.settings.budget, attempts, now, within=seconds)
    return WouldReport(since=now.wall - seconds, rows=tuple(rows), budget=budget, is_cut=is_cut)


def _row(
    bindings: Bindings,
    key: tuple[str, str],
    attempts: Sequence[Attempt],
    holds: Sequence[HoldRecord],
    told: Sequence[Incident],
    seconds: float,
    now: Stamp,
) -> WouldRow:
    rule, resource = key
    mine, same = [it for it in attempts if it.rule == rule], [it for it in attempts if it.resource == resource]
    made = [it for it in mine if it.resource == resource and age(it.claimed, now) < seconds]
    held = [it for it in holds if (it.rule, it.resource) == key]
    counts: dict[HoldReason, int] = {}
    for hold in held:
        counts[hold.reason] = counts.get(hold.reason, 0) + 1
    here = {it.incident for it in held} | {name for it in made for name in it.incidents}
    limits: tuple[Limit, ...] = bindings.rules[rule].limit if rule in bindings.rules else ()
    of_resource = peaks(resource, bindings.limit_of(resource), same, now, within=seconds)
    return WouldRow(
        rule=rule,
        resource=resource,
        attempts=tuple(it for it in made if it.would),
        peaks=(*peaks(f"rule {rule}", limits, mine, now, within=seconds), *of_resource),
        holds=tuple(sorted(counts.items(), key=lambda pair: -pair[1])),
        handed_over=tuple(it for it in told if it.id in here),
    )
