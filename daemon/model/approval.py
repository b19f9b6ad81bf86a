"""Approvals: a person's consent to one attempt, asked for and given or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.model.moment import Stamp

EXPIRES = 4 * 3600.0
"""Seconds after which an approval that was asked for is worth nothing (field: StackStorm has 24 h, a shift is 8)."""


class ApprovalState(StrEnum):
    """Where the asking stands."""

    ASKED = "asked"
    APPROVED = "approved"
    REJECTED = "rejected"
    USED = "used"  # an attempt was claimed on it
    EXPIRED = "expired"
    LAPSED = "lapsed"  # the incident closed, or what was planned is not what would be done any more

    @property
    def is_open(self) -> bool:
        """Whether something can still come of it."""
        return self in (ApprovalState.ASKED, ApprovalState.APPROVED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """One asking, for one step of one ladder."""

    id: str  # e.g. approval-3f2a1c
    rule: str
    ladder: str  # the ladder's resource
    incident: str
    remediation: str
    resource: str  # what would be touched
    step: str  # the step's key
    plan: str  # what would be done, in a sentence with counts
    facts: Mapping[str, object] = field(default_factory=dict)  # what the plan rests on; others: it is asked for anew
    asked: Stamp
    expires: float = EXPIRES  # seconds after `asked`
    state: ApprovalState = ApprovalState.ASKED
    decided: Stamp | None = None
    who: str = ""  # who decided: the Unix user at the other end of the control socket
    why: str = ""
