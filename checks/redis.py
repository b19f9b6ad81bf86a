"""Whether a Redis server (or Valkey) answers, how soon, and what memory and clients it has.

It sends PING and INFO over a connection that stays open and is shared. `up` is 0 with `error` refused, reset, closed,
timeout, unreachable, name_not_found, tls, protocol (something else answers), too_many_clients, loading (it reads its
data), cannot_save (MISCONF: it refuses because it cannot write its snapshot) or busy (a script runs too long).
We are blind with a wrong user or password, without the right to PING or INFO, where it answers with any other error (a
database that it does not have), where the connection's secret is missing or its ca_file cannot be used, or where there
is no way there from here.

"max number of clients reached" is said only to who connects. While heald's connection is open it has its place, so a
server that turns others away is seen as `clients >= max_clients`, not as `up == 0`.

Rights: none without an ACL; with one, `+ping +info`, and no keys.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from daemon.plugin import (
    OWN_SHARE,
    CheckContext,
    ConnectionOf,
    Dimension,
    Field,
    OptionsModel,
    Reading,
    Sample,
    SickError,
    sample,
)

EXAMPLE = """
connections:
  shop_cache: {redis: {host: localhost, password: "${env:SHOP_REDIS_PASSWORD}"}}
checks:
  cache: {redis: {connection: shop_cache}}
rules:
  cache-down: {check: cache, when: up == 0, for: 30s, severity: P1}
  cache-full: {check: cache, when: "memory_percent > 90%", for: 5m}
"""
SAMPLES = (
    sample("up", Dimension.NONE, "1 if the server answers PING and INFO, 0 if it does not."),
    sample("error", Dimension.STRING, "Why up is 0, one word of the check's list; empty while up is 1."),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("latency_seconds", Dimension.SECONDS, "From PING to its answer, on a connection that is open already."),
    sample("used_memory_bytes", Dimension.BYTES, "What the server has allocated for its data and itself."),
    sample("max_memory_bytes", Dimension.BYTES, "Its limit, maxmemory; missing where there is none."),
    sample("memory_percent", Dimension.PERCENT, "used_memory_bytes of max_memory_bytes; missing without a limit."),
    sample("clients", Dimension.NONE, "Clients that are connected, heald among them; replicas are not counted."),
    sample("max_clients", Dimension.NONE, "The most that it takes, maxclients; missing before Redis 6."),
    sample("blocked_clients", Dimension.NONE, "Clients that wait in a blocking command, such as BLPOP."),
    sample("uptime_seconds", Dimension.SECONDS, "Since the server's start."),
    sample("role", Dimension.STRING, "master or slave, in the server's own words."),
)


class Options(OptionsModel):
    """Which server."""

    connection: Annotated[str | None, ConnectionOf("redis")] = Field(
        default=None, description="Name of a redis connection; if not set, localhost port 6379 without a password."
    )


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask the server how it is.

    Raises:
        CheckError: we could not look.
    """
    own_time = context.timeout * OWN_SHARE
    samples: dict[str, Sample] = {"up": 1.0, "error": "", "detail": ""}
    try:
        async with asyncio.timeout(own_time), context.connection("redis", options.connection) as client:
            began = context.clock.steady()
            await client.ask("PING")
            samples["latency_seconds"] = context.clock.steady() - began
            samples |= _judged(await client.ask("INFO"), client.place)
    except TimeoutError:
        samples |= {"up": 0.0, "error": "timeout", "detail": f"no answer within {own_time:.3g}s"}
    except SickError as sick:
        samples |= {"up": 0.0, "error": sick.word, "detail": str(sick)}
    return [Reading(samples=samples)]


def _judged(info: Any, place: str) -> dict[str, Sample]:
    """The samples of an INFO. Raises SickError if it is none."""
    try:
        found = _measured(info)
    except (LookupError, TypeError, ValueError) as error:
        raise SickError(
            "protocol", f"what answers at {place} is no Redis: its INFO cannot be read ({error})"
        ) from error
    odd = next((name for name, value in found.items() if isinstance(value, float) and not math.isfinite(value)), None)
    if odd is not None or not found:
        raise SickError("protocol", f"what answers at {place} is no Redis: its INFO tells no {odd or 'number'}")
    return found


def _measured(info: Mapping[str, Any]) -> dict[str, Sample]:
    """The samples of an INFO; what an older server does not say is missing."""
    names = {
        "used_memory_bytes": "used_memory",
        "clients": "connected_clients",
        "max_clients": "maxclients",
        "blocked_clients": "blocked_clients",
        "uptime_seconds": "uptime_in_seconds",
    }
    found: dict[str, Sample] = {name: float(info[key]) for name, key in names.items() if key in info}
    if "role" in info:
        found["role"] = str(info["role"])
    limit = float(info.get("maxmemory", 0))
    if limit:
        found["max_memory_bytes"] = limit
        found["memory_percent"] = 100.0 * float(info["used_memory"]) / limit
    return found
