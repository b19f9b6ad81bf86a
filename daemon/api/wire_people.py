"""Orders and approvals as JSON, in the words of `wire.py`."""

from typing import TypedDict

from daemon.api.wire import json_value, moment
from daemon.model.approval import Approval
from daemon.model.order import Order


class OrderJson(TypedDict):
    """One standing order of a person."""

    id: str
    kind: str  # pause, silence, maintenance
    matchers: list[list[str]]  # field, operator, pattern
    holds: bool  # whether acting is held
    who: str
    why: str
    made_at: str
    left_seconds: float | None  # until it ends by itself; null: until somebody ends it
    ended_at: str | None
    ended_by: str


class ApprovalJson(TypedDict):
    """One asking for a person's consent."""

    id: str
    state: str  # asked, approved; rejected, used, expired, lapsed
    rule: str
    incident: str
    remediation: str
    resource: str
    plan: str
    facts: dict[str, object]
    asked_at: str
    left_seconds: float  # until it expires
    decided_at: str | None
    who: str
    why: str


def order_to_json(order: Order, left: float | None) -> OrderJson:
    """One order; `left` is how many seconds it has still to run."""
    return OrderJson(
        id=order.id,
        kind=order.kind.value,
        matchers=[list(matcher) for matcher in order.matchers],
        holds=order.holds,
        who=order.who,
        why=order.why,
        made_at=moment(order.made) or "",
        left_seconds=left,
        ended_at=moment(order.ended),
        ended_by=order.ended_by,
    )


def approval_to_json(approval: Approval, left: float) -> ApprovalJson:
    """One approval; `left` is how many seconds somebody can still decide."""
    return ApprovalJson(
        id=approval.id,
        state=approval.state.value,
        rule=approval.rule,
        incident=approval.incident,
        remediation=approval.remediation,
        resource=approval.resource,
        plan=approval.plan,
        facts={str(key): json_value(value) for key, value in approval.facts.items()},
        asked_at=moment(approval.asked) or "",
        left_seconds=left,
        decided_at=moment(approval.decided),
        who=approval.who,
        why=approval.why,
    )
