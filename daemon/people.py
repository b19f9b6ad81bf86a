"""What people order and what they are asked: that part of `protocols.Control`, over the parts that run."""

from collections.abc import Callable, Mapping, Sequence

from daemon.api.wire_people import approval_to_json, order_to_json
from daemon.engine.counting import age
from daemon.engine.orders import left_of
from daemon.errors import HealdError, StoreError
from daemon.logs import log
from daemon.model.approval import Approval
from daemon.model.order import Matcher, Order, OrderKind
from daemon.protocols import Clock
from daemon.runtime.assembly import Assembly
from daemon.runtime.orders import words

_MOST = 1000  # orders or approvals that are told at once


class People:
    """Orders and approvals. What is said here is on the disk before it is answered."""

    def __init__(self, assembly: Callable[[], Assembly], clock: Clock) -> None:
        self._assembly = assembly
        self._clock = clock

    # ---- orders -------------------------------------------------------------------------------------------------

    async def orders(self, *, everything: bool) -> list[Mapping[str, object]]:
        """Standing orders in force, or all, newest first."""
        found = self._assembly().orders.in_force()[::-1]
        if everything:
            found = await self._assembly().store.orders(limit=_MOST)
        return [self._order(order) for order in found]

    async def order(
        self,
        *,
        kind: OrderKind,
        matchers: Sequence[Matcher],
        why: str,
        who: str,
        lasts: float | None,
        holds: bool,
    ) -> Mapping[str, object]:
        """Add a standing order. Raises HealdError, also where it names what is not there: it would hold nothing."""
        try:
            self._assembly().orders.must_exist(matchers)
            order = self._assembly().orders.make(kind, matchers, who=who, why=why, lasts=lasts, holds=holds)
        except ValueError as error:
            raise HealdError(str(error)) from error
        log.warning(f"{kind}_made", f"{who} ordered {kind} of {words(matchers)}: {why}.", order=order.id, who=who)
        await self._record(f"{order.id} is in force")
        return self._order(order)

    async def end_order(self, order_id: str, *, who: str) -> list[Mapping[str, object]]:
        """End one order. Raises LookupError."""
        return await self._ended([self._assembly().orders.end(order_id, who=who)], who)

    async def end_orders(self, kind: OrderKind, matchers: Sequence[Matcher], *, who: str) -> list[Mapping[str, object]]:
        """End the orders of a kind with just these matchers, or all of the kind. Raises LookupError."""
        ended = self._assembly().orders.end_all(kind, matchers, who=who)
        if not ended:
            raise LookupError(f"no {kind} of {words(matchers) or 'anything'} is in force")
        return await self._ended(ended, who)

    async def _ended(self, ended: Sequence[Order], who: str) -> list[Mapping[str, object]]:
        for order in ended:
            log.info(
                f"{order.kind}_ended", f"{who} ended {order.id} ({words(order.matchers)}).", order=order.id, who=who
            )
            if order.holds:
                self._assembly().circumstances.acting_resumed()
        await self._record("it has ended")
        return [self._order(order) for order in ended]

    def _order(self, order: Order) -> Mapping[str, object]:
        return dict(order_to_json(order, left_of(order, self._clock.stamp())))

    # ---- approvals ----------------------------------------------------------------------------------------------

    async def approvals(self, *, everything: bool) -> list[Mapping[str, object]]:
        """What waits for a person to agree, or all that ever did, newest first."""
        found = [approval for approval, _ in self._assembly().approvals.waiting()][::-1]
        if everything:
            found = await self._assembly().store.approvals(limit=_MOST)
        return [self._approval(approval) for approval in found]

    async def approve(self, approval_id: str, *, who: str) -> Mapping[str, object]:
        """Agree to one attempt. Raises LookupError."""
        return await self._decided(self._assembly().approvals.approve(approval_id, who=who), "approved")

    async def reject(self, approval_id: str, *, who: str, why: str) -> Mapping[str, object]:
        """Refuse an attempt; its step is over. Raises LookupError."""
        return await self._decided(self._assembly().approvals.reject(approval_id, who=who, why=why), "rejected")

    async def _decided(self, approval: Approval, word: str) -> Mapping[str, object]:
        log.warning(
            f"approval_{word}",
            f"{approval.who} {word} {approval.id}: {approval.plan}.",
            approval=approval.id,
            who=approval.who,
        )
        await self._record(f"{approval.id} is {word}")
        incident = self._assembly().board.incidents.get(approval.incident)
        if incident is not None:
            self._assembly().scheduler.due(incident.check)
        return self._approval(approval)

    def _approval(self, approval: Approval) -> Mapping[str, object]:
        left = approval.expires - age(approval.asked, self._clock.stamp())
        return dict(approval_to_json(approval, max(0.0, left)))

    # ---- the record ---------------------------------------------------------------------------------------------

    async def _record(self, said: str) -> None:
        """Have it on the disk. Raises HealdError: it holds until heald ends, and is written when the store can be."""
        try:
            await self._assembly().record()
        except StoreError as error:
            raise HealdError(f"{said}, but could not be written yet: {error}") from error
