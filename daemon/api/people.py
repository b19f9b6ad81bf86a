"""What people tell the daemon to leave alone, and what it asks them: orders and approvals over the control socket.

GET  /orders?all=1                                   {"orders": [OrderJson, ...]}, newest first
POST /orders    {"kind", "matchers": [[FIELD, "=", PATTERN]], "why", "lasts_seconds", "holds"}   {"order": OrderJson}
POST /orders/end {"id": ID}, or {"kind", "matchers"}  {"ended": [OrderJson, ...]}; 404 if there is none
GET  /approvals?all=1                                {"approvals": [ApprovalJson, ...]}
POST /approve   {"id": ID}                           {"approval": ApprovalJson}; 404 if it cannot be approved
POST /reject    {"id": ID, "why": TEXT}              likewise
"""

import math
from typing import Any

from daemon.api import web
from daemon.api.bounds import Routes
from daemon.api.request import refuse, text, who
from daemon.model.order import FIELDS, OrderKind
from daemon.protocols import Control

LONGEST = 400 * 86400.0  # seconds that an order may last
_MOST_MATCHERS = 50


class PeopleRoutes:
    """The handlers, over one daemon."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.routes: Routes = {
            "/orders": {"GET": self._orders, "POST": self._order},
            "/orders/end": {"POST": self._end},
            "/approvals": {"GET": self._approvals},
            "/approve": {"POST": self._approve},
            "/reject": {"POST": self._reject},
        }

    async def _orders(self, request: web.Request) -> web.Response:
        found = await self._control.orders(everything=request.query.get("all") == "1")
        return web.json_response({"orders": found})

    async def _order(self, request: web.Request) -> web.Response:
        body = await _mapping(request)
        made = await self._control.order(
            kind=_kind(body),
            matchers=_matchers(body),
            why=await text(request, "why"),
            who=who(request),
            lasts=_seconds(body.get("lasts_seconds")),
            holds=body.get("holds", True) is True,
        )
        return web.json_response({"order": made})

    async def _end(self, request: web.Request) -> web.Response:
        body = await _mapping(request)
        try:
            if "id" in body:
                ended = await self._control.end_order(await text(request, "id"), who=who(request))
            else:
                ended = await self._control.end_orders(_kind(body), _matchers(body), who=who(request))
        except LookupError as error:
            return refuse(404, str(error.args[0]))
        return web.json_response({"ended": ended})

    async def _approvals(self, request: web.Request) -> web.Response:
        found = await self._control.approvals(everything=request.query.get("all") == "1")
        return web.json_response({"approvals": found})

    async def _approve(self, request: web.Request) -> web.Response:
        try:
            given = await self._control.approve(await text(request, "id"), who=who(request))
        except LookupError as error:
            return refuse(404, str(error.args[0]))
        return web.json_response({"approval": given})

    async def _reject(self, request: web.Request) -> web.Response:
        try:
            refused = await self._control.reject(
                await text(request, "id"), who=who(request), why=await text(request, "why")
            )
        except LookupError as error:
            return refuse(404, str(error.args[0]))
        return web.json_response({"approval": refused})


async def _mapping(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="the body is no JSON object")
    return body


def _kind(body: dict[str, Any]) -> OrderKind:
    try:
        return OrderKind(str(body.get("kind")))
    except ValueError as error:
        raise web.HTTPBadRequest(reason=f"kind must be one of {', '.join(OrderKind)}") from error


def _matchers(body: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    given = body.get("matchers")
    if not isinstance(given, list) or len(given) > _MOST_MATCHERS:
        raise web.HTTPBadRequest(reason=f"matchers must be a list of at most {_MOST_MATCHERS}")
    for matcher in given:
        if not (isinstance(matcher, list) and len(matcher) == 3 and all(isinstance(part, str) for part in matcher)):
            raise web.HTTPBadRequest(reason="a matcher is a list of field, = or !=, and a pattern")
        field, operator, _ = matcher
        if operator not in ("=", "!=") or not (field in FIELDS or field.startswith("label:")):
            raise web.HTTPBadRequest(reason=f"a matcher names one of {', '.join(FIELDS)} or label:NAME, with = or !=")
    return tuple(tuple(matcher) for matcher in given)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 < value <= LONGEST:
        raise web.HTTPBadRequest(reason=f"lasts_seconds must be a number above 0 and at most {LONGEST:.0f}")
    return float(value)
