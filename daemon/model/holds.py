"""What each hold means, and what ends it: for the reference, and for whoever meets one."""

from collections.abc import Mapping
from typing import NamedTuple

from daemon.model.incident import HoldReason


class HoldText(NamedTuple):
    """A named no in words."""

    meaning: str  # what keeps heald from acting
    ends: str  # what lets it act again


HOLDS: Mapping[HoldReason, HoldText] = {
    HoldReason.SHUTTING_DOWN: HoldText(
        "heald is stopping: attempts under way come to their end, and none begins.",
        "The next start of heald.",
    ),
    HoldReason.STORE_UNAVAILABLE: HoldText(
        "The store cannot be written (a full disk, a lost mount): nothing would be on record before its effect.",
        "A write that succeeds; heald tries on by itself.",
    ),
    HoldReason.PAUSED: HoldText(
        "Somebody paused all acting, the kill switch is there, or the store was damaged and begun anew.",
        "`heald resume`, which removes the kill switch too.",
    ),
    HoldReason.STARTUP_GRACE: HoldText(
        "heald or its host started too recently (`settings.startup_grace`): what is slow to start is not sick.",
        "The end of the grace, or sooner: every check was clear once.",
    ),
    HoldReason.CLOCK_JUMPED: HoldText(
        "The wall clock jumped, by which limits are counted.",
        "A minute of a steady clock.",
    ),
    HoldReason.STALE_READING: HoldText(
        "The run that decided is older than three intervals, or began before a clock jump or a resume.",
        "The check's next run.",
    ),
    HoldReason.SELF_TEST: HoldText(
        "A check of `settings.self_test` is down, blind or has not run yet: heald itself may be cut off.",
        "Every one of these checks is up.",
    ),
    HoldReason.MAINTENANCE: HoldText(
        "Planned work covers it: a window of `maintenance`, or `heald maintenance start`. It is not told either.",
        "The window's end, or `heald maintenance end`; `for` counts anew then.",
    ),
    HoldReason.SILENCED: HoldText(
        "A silence with `--hold` covers it.",
        "The silence's end, or `heald silence expire ID`.",
    ),
    HoldReason.STOPPED_BY_OPERATOR: HoldText(
        "Its manager says that a person stopped the service, or never started it; what heald stopped itself is told "
        "apart.",
        "The service is started again.",
    ),
    HoldReason.FLAPPING: HoldText(
        "The second look found it clear three times in a row, or it changed in too many of its last 20 runs (the "
        "weighted share of Icinga: above 30 %).",
        "It stays closed for `relapse`, or `heald retry INCIDENT`; the share of changes falls below 25 %.",
    ),
    HoldReason.WORSE: HoldText(
        "After the last attempt something that was well became sick: a service that depends on what was acted on, or "
        "another subject of the check.",
        "It stays closed for `relapse`, or `heald retry INCIDENT`.",
    ),
    HoldReason.UPSTREAM: HoldText(
        "A service that this one depends on is sick: the root is healed, not what hangs on it.",
        "The upstream service is well again, and this one had its time to follow.",
    ),
    HoldReason.STORM: HoldText(
        "More than `settings.storm.share` of the services without a sick upstream, at least five, are sick at once.",
        "`quiet` without a storm; then the lowest service is healed first, one at a time. Who "
        "waits then for longer than escalate_after is handed over.",
    ),
    HoldReason.MIN_HEALTHY: HoldText(
        "Too few members of the service would stay healthy (`min_healthy`) if one were acted on; who another attempt "
        "is under way for is not counted as healthy.",
        "Enough of them are healthy again.",
    ),
    HoldReason.ONLY_IF: HoldText(
        "No step that is left is for what is wrong now: the `only_if` of each says no. Or that of the next is unknown.",
        "A run in which the `only_if` of a step with a try left holds.",
    ),
    HoldReason.RESOURCE_BUSY: HoldText(
        "Another rule's attempt on the resource is verified or about to begin, or its own manager is acting on it.",
        "That is over.",
    ),
    HoldReason.SETTLING: HoldText(
        "An attempt is under way on the resource, or was done and has its start grace (`settle`).",
        "The end of `settle`.",
    ),
    HoldReason.COOLDOWN: HoldText(
        "The resource was touched last too recently (`cooldown` of the step that did it).",
        "The end of the cooldown.",
    ),
    HoldReason.LIMIT_RULE: HoldText(
        "The rule has used up its `limit`.",
        "The oldest attempt in the window is old enough; never, where the limit is 0.",
    ),
    HoldReason.LIMIT_RESOURCE: HoldText(
        "The resource's `limit` is used up, by whichever rules.",
        "As limit_rule.",
    ),
    HoldReason.BUDGET: HoldText(
        "All remediations together have used up `settings.budget`.",
        "As limit_rule.",
    ),
    HoldReason.CONFLICT: HoldText(
        "A file or unit named in `conflicts` is there or at work: a deployment, a backup.",
        "It is gone, or has ended.",
    ),
    HoldReason.MODE: HoldText(
        "`settings.mode` is observe: all is decided and recorded as would-be, and nothing is done.",
        "`mode: act` and a reload.",
    ),
    HoldReason.NOT_ALLOWED: HoldText(
        "The remediation is not in `settings.allow`, so that it never acts.",
        "Its name in `allow` and a reload.",
    ),
    HoldReason.APPROVAL: HoldText(
        "A person must agree first: the step says `approval: true`, or the remediation asks.",
        "`heald approve ID`, within four hours; `approval: false` at the step waives what a remediation asks.",
    ),
    HoldReason.CLEAR_NOW: HoldText(
        "The second look, just before acting, found it clear.",
        "It breaches again, and long enough.",
    ),
    HoldReason.BLIND_NOW: HoldText(
        "The second look could not look.",
        "The check can look again.",
    ),
    HoldReason.EXHAUSTED: HoldText(
        "Every step was tried as often as it may be, or was ruled out: a person rejected it, it failed for good, or it "
        "cannot be done. People were told.",
        "The incident resolves, or `heald retry INCIDENT`.",
    ),
}
"""Every hold; those before clear_now in the order of the guards."""
